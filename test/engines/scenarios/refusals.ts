/** Servers that do not want, or are not there. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import type { Tab } from '../engine.ts';
import { scenario, until } from '../scenario.ts';
import type { World } from '../world.ts';

/** Delays before the retries, each twice as long as the one before; milliseconds. */
const DELAYS = [100, 200, 400];
const ATTEMPTS = DELAYS.length + 1;

const failures = (tab: Tab, count: number) =>
  until(`${count} failures`, () =>
    tab.evaluate((count) => window.here.log.filter((line) => line.startsWith('close')).length >= count, count),
  );

/** Every attempt fails, one after the other, no sooner than its delay allows; then it is closed. */
async function failsAgainAndAgain(tab: Tab, world: World, url: string, options: { connectTimeout?: number } = {}): Promise<void> {
  const { echo } = world.site.server;
  const began: number[] = [];
  const { handleUpgrade } = echo;
  echo.handleUpgrade = (...args) => {
    began.push(performance.now());
    handleUpgrade.apply(echo, args);
  };
  const all = { ...options, delays: DELAYS, maxRetries: DELAYS.length };
  await tab.evaluate((url, all) => window.here.dropIn(url, all), url, all);
  await failures(tab, ATTEMPTS);
  const gaps = began.slice(1).map((at, i) => at - (began[i] ?? 0));
  for (const [i, gap] of gaps.entries()) ok(gap > (DELAYS[i] ?? 0) - 10, `the delay before retry ${i + 1} was ${gap} ms`);
  const { log, states, peak, sockets } = await tab.evaluate(() => {
    const { log, states, native, socket } = window.here;
    return { log, states, peak: native.peak, sockets: native.sockets.length, state: socket.state.status };
  });
  equal(sockets, ATTEMPTS);
  equal(peak, 1);
  const tries = DELAYS.flatMap(() => ['waiting', 'connecting']);
  deepEqual(
    states.filter((state) => state !== 'open'),
    [...tries, 'closed'],
  );
  equal(log.filter((line) => line.startsWith('close')).length, ATTEMPTS);
}

export const refusals = [
  scenario('where no port is open every attempt fails, one at a time, with its delay before it', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world);
    await world.site.proxy.refuse();
    await failsAgainAndAgain(tab, world, world.site.proxy.url());
    equal(world.site.server.echo.upgrades, 0);
  }),

  scenario('a server that accepts and closes is not hammered: the delays grow', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world);
    await failsAgainAndAgain(tab, world, world.site.server.url('/close/1012'));
    equal(world.site.server.echo.upgrades, ATTEMPTS);
  }),

  scenario('a server that never answers the upgrade has one attempt at a time, and each ends by connectTimeout', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world);
    await failsAgainAndAgain(tab, world, world.site.server.url('/stall'), { connectTimeout: 200 });
    // Firefox keeps the connection of a socket that was closed while it was connecting, until the page is gone.
    trial.seen(
      `connections at one time that a server has which never answers, after ${ATTEMPTS} attempts`,
      `${world.site.server.echo.peak}`,
    );
  }),

  scenario(
    'after four minutes without a server it is found again, however the browser holds attempts back',
    async (trial) => {
      const world = await trial.world();
      const tab = await trial.open(world);
      await tab.evaluate((url) => window.here.connect(url), world.proxy.url('/'));
      await until('a connection', () => tab.evaluate(() => window.here.log.includes('open new')));
      await world.proxy.refuse();
      world.proxy.cut();
      const gone = performance.now();
      await until('four minutes', () => performance.now() - gone > 240_000, 300_000);
      const attempts = await tab.evaluate(() => window.here.native.sockets.length - 1);
      await world.proxy.accept();
      const since = performance.now();
      await tab.evaluate(() => window.here.note(0, 1));
      await until(
        'it is back',
        () => tab.evaluate(() => window.here.log.includes('open resumed') || window.here.log.includes('open new', 1)),
        120_000,
      );
      trial.measured(
        'from the return of a server after four minutes to the connection (the longest delay is 10 s)',
        (performance.now() - since) / 1_000,
      );
      trial.seen('attempts in these four minutes', `${attempts}`);
      await until('the note', () => world.notes.length > 0);
      deepEqual(world.notes, [0]);
      equal(await tab.evaluate(() => window.here.native.peak), 1);
    },
    'away',
  ),
];
