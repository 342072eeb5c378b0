/** Links that are dead without a word. */

import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import { logged, numbers, scenario, until } from '../scenario.ts';

/** So that a silence is noticed soon; milliseconds. */
const SHORT = { interval: 300, timeout: 300 };

export const deadLinks = [
  scenario('a dead link is replaced while the browser still calls it open, and nothing is lost', async (trial) => {
    const world = await trial.world({ heartbeat: SHORT });
    const tab = await trial.open(world);
    await tab.evaluate((url) => window.here.connect(url, { delays: [20], probeTimeout: 300 }), world.proxy.url('/'));
    await logged(tab, 'open new');
    world.proxy.hole();
    await tab.evaluate(() => window.here.note(0, 100));
    for (const i of numbers(100)) world.server.clients[0]?.send('told', i);
    await logged(tab, 'open resumed');
    const [first = -1, ...later] = await tab.evaluate(() => window.here.native.sockets.map(({ readyState }) => readyState));
    notEqual(first, 3);
    deepEqual(later, [1]);
    await until('all notes', () => world.notes.length >= 100);
    await until('all events', () => tab.evaluate(() => window.here.told.length >= 100));
    deepEqual(world.notes, numbers(100));
    deepEqual(await tab.evaluate(() => window.here.told), numbers(100));
    deepEqual(await tab.evaluate(() => window.here.log), ['open new', 'close 4000 again', 'open resumed']);
  }),

  scenario('the drop-in with a heartbeat replaces a dead link, too', async (trial) => {
    const world = await trial.world();
    const { proxy } = world.site;
    const tab = await trial.open(world);
    const heartbeat = { ping: 'ping', interval: 300, timeout: 300 };
    await tab.evaluate((url, heartbeat) => window.here.dropIn(url, { delays: [20], heartbeat }), proxy.url(), heartbeat);
    await logged(tab, 'open');
    proxy.hole();
    await logged(tab, 'open', 2);
    deepEqual(await tab.evaluate(() => window.here.log), ['open', 'close 4000 again', 'open']);
    notEqual(await tab.evaluate(() => window.here.native.sockets[0]?.readyState), 3);
  }),

  scenario('close() on a dead link ends within closeTimeout, with one close event', async (trial) => {
    const world = await trial.world();
    const { proxy } = world.site;
    const tab = await trial.open(world);
    await tab.evaluate((url) => window.here.dropIn(url, { closeTimeout: 1_000 }), proxy.url());
    await logged(tab, 'open');
    proxy.hole();
    const took = await tab.evaluate(
      () =>
        new Promise<number>((resolve) => {
          const since = performance.now();
          window.here.socket.addEventListener('close', () => resolve((performance.now() - since) / 1_000));
          window.here.socket.close(3000);
        }),
    );
    ok(took < 5, `it took ${took} s`);
    deepEqual(await tab.evaluate(() => window.here.log), ['open', 'close 1006 final']);
    equal(await tab.evaluate(() => window.here.native.sockets.length), 1);
    trial.measured('close() on a dead link, closeTimeout 1 s', took);
  }),
];
