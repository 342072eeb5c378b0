/** What works while nothing is wrong, and over a cut. */

import { deepEqual, equal } from 'node:assert/strict';
import { type Site, serveSite } from '../../support/pages.ts';
import { selfSigned } from '../certificate.ts';
import { Cannot, type Tab } from '../engine.ts';
import { logged, numbers, scenario, type Trial, until } from '../scenario.ts';
import { pages } from '../world.ts';

export const conversation = [
  scenario('a call is answered, events go both ways in order, and bytes arrive as they are', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world);
    await tab.evaluate((url) => window.here.connect(url), world.proxy.url('/'));
    await tab.evaluate(() => window.here.note(0, 100));
    await until('100 notes', () => world.notes.length >= 100);
    for (const i of numbers(100)) world.server.clients[0]?.send('told', i);
    await until('100 events', () => tab.evaluate(() => window.here.told.length >= 100));
    equal(await tab.evaluate(() => window.here.isAnswered()), true);
    const bytes = await tab.evaluate(async () => {
      const sent = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256);
      const came = (await window.here.client.call('echo', sent)) as Uint8Array;
      return { isBytes: came instanceof Uint8Array, isSame: came.every((byte, i) => byte === sent[i]), length: came.length };
    });
    deepEqual(bytes, { isBytes: true, isSame: true, length: 70_000 });
    deepEqual(world.notes, numbers(100));
    deepEqual(await tab.evaluate(() => window.here.told), numbers(100));
    await tab.evaluate(() => window.here.client.close({ code: 3000 }));
    deepEqual(await tab.evaluate(() => window.here.log), ['open new', 'close 3000 final']);
    deepEqual(world.errors, []);
  }),

  scenario('text, ArrayBuffers and Blobs of the drop-in come back as they were and in order, over a cut', async (trial) => {
    const { site } = await trial.world();
    const tab = await trial.open(await trial.world());
    await tab.evaluate((url) => window.here.dropIn(url, { delays: [20] }), site.proxy.url());
    await send(tab, 0, 30);
    await until('30 echoes', () => tab.evaluate(() => window.here.told.length === 30));
    await site.proxy.refuse();
    site.proxy.cut();
    await logged(tab, 'close 1006 again', 2);
    await send(tab, 30, 60);
    await site.proxy.accept();
    await until('60 echoes', () => tab.evaluate(() => window.here.told.length === 60));
    deepEqual(
      await tab.evaluate(plain),
      numbers(60).map((i) => `${i % 3 === 0 ? 'text' : 'bytes'} ${i}`),
    );
    await tab.evaluate(() => window.here.socket.close(3000));
    await logged(tab, 'close 3000 final');
  }),

  scenario('under a strict Content Security Policy all of it works, and nothing is prevented', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world, '/page-strict');
    await tab.evaluate((url) => window.here.connect(url, { delays: [20] }), world.proxy.url('/'));
    await logged(tab, 'open new');
    world.proxy.cut();
    await logged(tab, 'open resumed');
    equal(await tab.evaluate(() => window.here.isAnswered()), true);
    deepEqual(await tab.evaluate(() => window.here.violations), []);
  }),

  scenario('a Content Security Policy that forbids to connect ends it for good, as refused', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world, '/page-forbidden');
    await tab.evaluate((url) => window.here.dropIn(url), world.site.server.url());
    await logged(tab, 'close 1006 final');
    const state = await tab.evaluate(() => ({ ...window.here.socket.state, error: undefined }));
    deepEqual([state.status, 'cause' in state && state.cause], ['closed', 'refused']);
    equal(world.site.server.echo.upgrades, 0);
  }),

  scenario('a page from https that may not connect to ws is told so, for good', async (trial) => {
    const site = await secureSite(trial);
    const tab = await trial.open({ site });
    // An address for documentation, behind which nobody is: one of this machine counts as secure.
    if (!(await tab.evaluate(throwsAt, 'ws://192.0.2.1/')))
      throw new Cannot('its socket says `error`, never `close`, and is retried as any other');
    await tab.evaluate(() => window.here.dropIn('ws://192.0.2.1/'));
    await logged(tab, 'close 1006 final');
    const state = await tab.evaluate(() => ({ ...window.here.socket.state, error: undefined }));
    deepEqual([state.status, 'cause' in state && state.cause], ['closed', 'refused']);
  }),

  scenario('two scripts that mount, unmount and mount in one task make one connection and one subscription', async (trial) => {
    const world = await trial.world();
    const tab = await trial.open(world, `/twice?server=${encodeURIComponent(world.proxy.url('/'))}`);
    await until('a subscription', () => world.subscribed.length > 0);
    equal(world.server.publish('room', 'hello'), 1);
    await until('both told', () => tab.evaluate(() => (window as unknown as { told: unknown[] }).told.length >= 2));
    deepEqual(await tab.evaluate(() => (window as unknown as { told: unknown[] }).told), ['first hello', 'second hello']);
    deepEqual(world.subscribed, ['room']);
    equal(world.proxy.accepted, 1);
  }),
];

/** The pages over https, with a certificate that nobody else has signed. */
async function secureSite(trial: Trial): Promise<Site> {
  const certificate = selfSigned();
  if (!certificate) throw new Cannot('there is no openssl here, which makes the certificate');
  const site = await serveSite(await pages(), certificate);
  trial.later(() => site.stop());
  return site;
}

/** Whether the constructor of the browser's own sockets throws. */
function throwsAt(url: string): boolean {
  try {
    new WebSocket(url).close();
    return false;
  } catch {
    return true;
  }
}

/** Sends data of every kind, each with its number in it. */
const send = (tab: Tab, from: number, to: number) =>
  tab.evaluate(
    (from, to) => {
      for (let i = from; i < to; i++) {
        const bytes = new Uint8Array(i % 7 === 0 ? 50_000 : 10).fill(i);
        window.here.socket.send(i % 3 === 0 ? `${i}` : i % 3 === 1 ? bytes.buffer : new Blob([bytes]));
      }
    },
    from,
    to,
  );

/** What has come, in words. */
async function plain(): Promise<string[]> {
  const words = async (data: unknown) => {
    if (typeof data === 'string') return `text ${data}`;
    const bytes = new Uint8Array(await new Response(data as Blob).arrayBuffer());
    const [first = -1] = bytes;
    const isWhole = bytes.length === (first % 7 === 0 ? 50_000 : 10) && bytes.every((byte) => byte === first);
    return isWhole ? `bytes ${first}` : `broken ${first}`;
  };
  return Promise.all(window.here.told.map(words));
}
