/** What happens to a page, and its network, as far as it takes no minutes. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { Cannot, type Tab } from '../engine.ts';
import { logged, numbers, scenario, type Trial, until } from '../scenario.ts';
import type { World } from '../world.ts';

/** Seconds within which a page is connected again; generous. */
const SOON = 5;

/** A page with a client that is connected, and a world around it. */
export async function connected(trial: Trial): Promise<{ readonly world: World; readonly tab: Tab }> {
  const world = await trial.world();
  const tab = await trial.open(world);
  await tab.evaluate((url) => window.here.connect(url), world.proxy.url('/'));
  await logged(tab, 'open new');
  // The server waits only 10 s for a client that has never said a word.
  equal(await tab.evaluate(() => window.here.isAnswered()), true);
  return { world, tab };
}

/** Waits for the call that was made at that event. */
export async function answeredAt(tab: Tab, type: 'pageshow' | 'resume' | 'visible' | 'online'): Promise<number> {
  await until(`an answer to the call at ${type}`, () => tab.evaluate((type) => type in window.here.times, type));
  return tab.evaluate((type) => window.here.times[type] ?? NaN, type);
}

/** Goes to another page and back. An engine that loads the page again has not kept it. */
async function awayAndBack(tab: Tab, world: World): Promise<void> {
  await tab.goto(world.site.url('/empty', 'localhost'));
  await tab.back();
  // While it goes there is no page to ask.
  const isBack = () => tab.evaluate(() => location.pathname === '/page' && 'here' in window && window.here.persisted !== undefined);
  await until('the page is back', () => isBack().catch(() => false));
  if (!(await tab.evaluate(() => window.here.persisted)))
    throw new Cannot('it keeps no page with a socket in its back-forward cache, and loads it again');
}

/** A page with a drop-in that is open, and that sends the name of that event when it comes. */
async function dropInAt(trial: Trial, type: 'pageshow' | 'resume'): Promise<{ readonly world: World; readonly tab: Tab }> {
  const world = await trial.world();
  const tab = await trial.open(world);
  await tab.evaluate((url) => window.here.dropIn(url), world.site.proxy.url());
  await logged(tab, 'open');
  await tab.evaluate((type) => {
    const target = type === 'pageshow' ? window : document;
    target.addEventListener(type, () => window.here.socket.send(type));
  }, type);
  return { world, tab };
}

async function lostNothing(tab: Tab, world: World, type: string): Promise<void> {
  await until('the echo', () => tab.evaluate(() => window.here.told.length > 0));
  deepEqual(world.site.server.echo.texts, [type]);
  deepEqual(await tab.evaluate(() => window.here.log), ['open', 'close 1006 again', 'open']);
}

export const pageLife = [
  scenario('a page that comes out of the back-forward cache is connected again, and loses nothing written then', async (trial) => {
    const { world, tab } = await connected(trial);
    await tab.evaluate(() => window.here.timeFrom('pageshow'));
    await awayAndBack(tab, world);
    const took = await answeredAt(tab, 'pageshow');
    ok(took < SOON, `it took ${took} s`);
    trial.measured('from pageshow out of the back-forward cache to the next answered call', took);
    deepEqual(world.notes, ['pageshow']);
    deepEqual(await tab.evaluate(() => window.here.log), ['open new', 'close 1006 again', 'open resumed']);
  }),

  scenario(
    'a page that closes its client in pagehide, and calls reconnect() in pageshow, goes through the back-forward cache',
    async (trial) => {
      const { world, tab } = await connected(trial);
      await tab.evaluate(() => {
        addEventListener('pagehide', () => void window.here.client.close());
        addEventListener('pageshow', () => window.here.client.reconnect());
        window.here.timeFrom('pageshow');
      });
      await awayAndBack(tab, world);
      const took = await answeredAt(tab, 'pageshow');
      ok(took < SOON, `it took ${took} s`);
      trial.measured('the same, with close() in pagehide and reconnect() in pageshow', took);
      deepEqual(world.notes, ['pageshow']);
    },
  ),

  scenario('the drop-in in such a page is connected again, too, and loses nothing written then', async (trial) => {
    const { world, tab } = await dropInAt(trial, 'pageshow');
    await awayAndBack(tab, world);
    await lostNothing(tab, world, 'pageshow');
  }),

  scenario(
    'a page whose client is closed before it is left goes through the back-forward cache, and connects with reconnect()',
    async (trial) => {
      const { world, tab } = await connected(trial);
      await tab.evaluate(() => window.here.client.close());
      await until('the server knows', () => world.server.connections === 0);
      await tab.evaluate(() => {
        addEventListener('pageshow', () => window.here.client.reconnect());
        window.here.timeFrom('pageshow');
      });
      await awayAndBack(tab, world);
      await answeredAt(tab, 'pageshow');
      deepEqual(world.notes, ['pageshow']);
      deepEqual(await tab.evaluate(() => window.here.log), ['open new', 'close 1000 final', 'open new']);
    },
  ),

  scenario(
    'a page that is frozen and resumed is connected again, has all that was sent meanwhile, and loses nothing written then',
    async (trial) => {
      const { world, tab } = await connected(trial);
      await tab.hide();
      await tab.evaluate(() => window.here.timeFrom('resume'));
      await tab.freeze();
      for (const i of numbers(100)) world.server.clients[0]?.send('told', i);
      await tab.show(); // which resumes it
      const took = await answeredAt(tab, 'resume');
      ok(took < SOON, `it took ${took} s`);
      trial.measured('from resume after a freeze to the next answered call', took);
      await until('all events', () => tab.evaluate(() => window.here.told.length >= 100));
      deepEqual(await tab.evaluate(() => window.here.told), numbers(100));
      deepEqual(world.notes, ['resume']);
      deepEqual(await tab.evaluate(() => window.here.log), ['open new', 'close 1006 again', 'open resumed']);
    },
  ),

  scenario('the drop-in in a page that is frozen and resumed is connected again, too, and loses nothing written then', async (trial) => {
    const { world, tab } = await dropInAt(trial, 'resume');
    await tab.hide();
    await tab.freeze();
    await tab.show(); // which resumes it
    await lostNothing(tab, world, 'resume');
  }),

  scenario('a page that hears of another network finds its dead link within seconds', async (trial) => {
    const { world, tab } = await connected(trial);
    await tab.evaluate(() => window.here.client.drained()); // without the news it would take 15 s and more: nothing waits for an answer
    world.proxy.hole();
    await tab.roam();
    const since = performance.now();
    await logged(tab, 'open resumed');
    const took = (performance.now() - since) / 1_000;
    ok(took < 10, `it took ${took} s`);
    trial.measured('from the news of another network, on a dead link, to the next connection', took);
    deepEqual(await tab.evaluate(() => window.here.log), ['open new', 'close 4000 again', 'open resumed']);
  }),

  scenario(
    'a page that goes offline finds its link dead, waits, and is back when it is online, with all that was written',
    async (trial) => {
      const { world, tab } = await connected(trial);
      await tab.offline();
      world.proxy.hole(); // Firefox leaves the sockets alone that there are
      await until('it knows', () => tab.evaluate(() => window.here.states.at(-1) === 'offline'));
      await tab.evaluate(() => window.here.note(0, 100));
      for (const i of numbers(100)) world.server.clients[0]?.send('told', i);
      await tab.evaluate(() => window.here.timeFrom('online'));
      await tab.online();
      const took = await answeredAt(tab, 'online');
      ok(took < SOON, `it took ${took} s`);
      trial.measured('from online to the next answered call', took);
      await until('all events', () => tab.evaluate(() => window.here.told.length >= 100));
      deepEqual(world.notes, [...numbers(100), 'online']);
      deepEqual(await tab.evaluate(() => window.here.told), numbers(100));
    },
  ),

  scenario('a page that is hidden for a moment keeps its connection', async (trial) => {
    const { world, tab } = await connected(trial);
    await tab.hide();
    await until('it is hidden', () => tab.evaluate(() => document.visibilityState === 'hidden'));
    equal(await tab.evaluate(() => window.here.isAnswered()), true);
    await tab.evaluate(() => window.here.timeFrom('visible'));
    await tab.show();
    await answeredAt(tab, 'visible');
    equal(world.proxy.accepted, 1);
    deepEqual(await tab.evaluate(() => window.here.log), ['open new']);
  }),
];
