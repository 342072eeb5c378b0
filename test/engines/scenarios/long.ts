/** What takes minutes, or stops the whole browser: not part of `npm test`. Everything has its defaults here. */

import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { putToSleep } from '../process-tree.ts';
import { scenario, until } from '../scenario.ts';
import { answeredAt, connected } from './page-life.ts';

const MINUTES_HIDDEN = 6;
/** Longer than the server waits for a page, 35 s. */
const ASLEEP = 50_000;
const BLOCKS = [8_000, 15_000, 8_000, 15_000];

export const long = [
  scenario(
    'a tab that is hidden for six minutes, its timers throttled, keeps its one connection',
    async (trial) => {
      const { world, tab } = await connected(trial);
      await tab.hide();
      await until('it is hidden', () => tab.evaluate(() => document.visibilityState === 'hidden'));
      await tab.evaluate(() => window.here.tick());
      await sleep(MINUTES_HIDDEN * 60_000);
      const { ticks, visibility, log } = await tab.evaluate(() => {
        const { ticks, log } = window.here;
        const since = performance.now() - 60_000;
        return { ticks: ticks.filter((at) => at > since).length, visibility: document.visibilityState, log };
      });
      equal(visibility, 'hidden');
      trial.seen('times that a timer of 100 ms fired in the last minute of six in a hidden tab', `${ticks}`);
      deepEqual(log, ['open new']);
      await tab.evaluate(() => window.here.timeFrom('visible'));
      await tab.show();
      trial.measured('from visible after six minutes hidden to the next answered call', await answeredAt(tab, 'visible'));
      equal(world.proxy.accepted, 1);
      deepEqual(world.notes, ['visible']);
    },
    'hidden',
  ),

  scenario(
    'a page that computes for 8 s and 15 s, again and again, keeps its one connection',
    async (trial) => {
      const { world, tab } = await connected(trial);
      for (const ms of BLOCKS) {
        await tab.evaluate((ms) => window.here.block(ms), ms);
        // Answered only when it is done.
        await until('it is done', () => tab.evaluate(() => window.here.isAnswered()), 60_000);
      }
      equal(world.proxy.accepted, 1);
      deepEqual(await tab.evaluate(() => window.here.log), ['open new']);
    },
    'busy',
  ),

  scenario(
    'a browser that is stopped for 50 s finds its connection given up by the server, and goes on with its session',
    async (trial) => {
      const { world, tab } = await connected(trial);
      const wake = putToSleep(trial.engine.pid);
      trial.later(wake);
      await sleep(ASLEEP);
      for (let i = 0; i < 100; i++) world.server.clients[0]?.send('told', i);
      const isGiven = world.server.connections === 0;
      wake();
      const since = performance.now();
      equal(await tab.evaluate(() => window.here.isAnswered()), true);
      trial.measured('from waking up to the next answered call, where the server had given up (4408)', (performance.now() - since) / 1_000);
      ok(isGiven, 'the server had given it up');
      await until('all events', () => tab.evaluate(() => window.here.told.length >= 100));
      const [first, loss = '', ...then] = await tab.evaluate(() => window.here.log);
      match(loss, /^close (4408|4000) again$/); // its own heartbeat may be quicker than the reading of what the server has said
      deepEqual([first, then], ['open new', ['open resumed']]);
    },
    'asleep',
  ),

  scenario(
    'a browser that is stopped for 50 s, and whose network has forgotten the connection, goes on with its session',
    async (trial) => {
      const { world, tab } = await connected(trial);
      const wake = putToSleep(trial.engine.pid);
      trial.later(wake);
      world.proxy.hole();
      await sleep(ASLEEP);
      for (let i = 0; i < 100; i++) world.server.clients[0]?.send('told', i);
      wake();
      const since = performance.now();
      equal(await tab.evaluate(() => window.here.isAnswered()), true);
      trial.measured(
        'from waking up to the next answered call, where nothing said that the link was dead',
        (performance.now() - since) / 1_000,
      );
      await until('all events', () => tab.evaluate(() => window.here.told.length >= 100));
      deepEqual(await tab.evaluate(() => window.here.log), ['open new', 'close 4000 again', 'open resumed']);
    },
    'forgotten',
  ),

  scenario(
    'a page that is frozen for 50 s, for longer than the server waits, goes on with its session',
    async (trial) => {
      const { world, tab } = await connected(trial);
      await tab.hide();
      await tab.evaluate(() => window.here.timeFrom('resume'));
      await tab.freeze();
      await sleep(ASLEEP);
      for (let i = 0; i < 100; i++) world.server.clients[0]?.send('told', i);
      equal(world.server.connections, 0);
      await tab.show(); // which resumes it
      trial.measured('from resume after a freeze of 50 s to the next answered call', await answeredAt(tab, 'resume'));
      await until('all events', () => tab.evaluate(() => window.here.told.length >= 100));
      deepEqual(world.notes, ['resume']);
      equal(await tab.evaluate(() => window.here.log.at(-1)), 'open resumed');
    },
    'frozen',
  ),
];
