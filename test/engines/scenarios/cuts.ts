/** Connections that end, and what was on its way then. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { logged, numbers, scenario, until } from '../scenario.ts';

const CUTS = 5;

export const cuts = [
  scenario('a session goes on over five cuts, with 100 events each way: each once and in order', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world);
    await tab.evaluate((url) => window.here.connect(url, { delays: [20] }), world.proxy.url('/'));
    await logged(tab, 'open new');
    const [peer] = world.server.clients;
    await tab.evaluate(() => window.here.note(0, 100, 10));
    let told = 0;
    for (let cut = 1; cut <= CUTS; cut++) {
      await until(`${cut * 15} notes`, () => world.notes.length >= cut * 15);
      while (told < cut * 20) peer?.send('told', told++);
      world.proxy.cut();
      await logged(tab, 'open resumed', cut);
    }
    await until('all notes', () => world.notes.length >= 100);
    await until('all events', () => tab.evaluate(() => window.here.told.length >= 100));
    equal(await tab.evaluate(() => window.here.isAnswered()), true);
    deepEqual(world.notes, numbers(100));
    deepEqual(await tab.evaluate(() => window.here.told), numbers(100));
    equal(world.proxy.accepted, CUTS + 1);
    equal(await tab.evaluate(() => window.here.native.peak), 1);
  }),

  scenario('a server that restarts is found again, and gets what was written meanwhile, in order', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world);
    await tab.evaluate((url) => window.here.connect(url, { delays: [20] }), world.proxy.url('/'));
    await logged(tab, 'open new');
    await world.proxy.refuse();
    const restarted = world.restart();
    await logged(tab, 'close 4100 again');
    await tab.evaluate(() => window.here.note(0, 100));
    await restarted;
    await world.proxy.accept();
    await logged(tab, 'open new', 2);
    await until('all notes', () => world.notes.length >= 100);
    equal(await tab.evaluate(() => window.here.isAnswered()), true);
    deepEqual(world.notes, numbers(100));
  }),

  scenario('a page that is closed right after it has written: the server has all of it', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world);
    await tab.evaluate((url) => window.here.connect(url), world.proxy.url('/'));
    await logged(tab, 'open new');
    await tab.evaluate(() => {
      addEventListener('pagehide', () => window.here.note(10, 20));
      window.here.note(0, 10);
    });
    await tab.close();
    await until('the server knows', () => world.server.connections === 0);
    ok(world.notes.length >= 10);
    deepEqual(world.notes, numbers(world.notes.length)); // of those of pagehide a beginning
    trial.seen('of 10 events before a page is closed, and 10 in its pagehide, the server got', `${world.notes.length}`);
  }),

  scenario(
    'a page that is closed while its link takes nothing: the server gets a beginning of what was written, in order',
    async (trial) => {
      const world = await trial.world();
      const tab = await trial.open(world);
      await tab.evaluate((url) => window.here.connect(url), world.proxy.url('/'));
      await logged(tab, 'open new');
      world.proxy.up = 'stall';
      await tab.evaluate(() => window.here.note(0, 100, 0, 10_000));
      await tab.close();
      world.proxy.up = 'pass';
      await until('the server knows', () => world.server.connections === 0);
      deepEqual(world.notes, numbers(world.notes.length));
      trial.seen('of 100 events of 10 kB that wait when a page is closed, the server got', `${world.notes.length}`);
    },
  ),
];
