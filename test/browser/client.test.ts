/** The built `Client` in a real Chromium, against the server of the package: two pages, one conversation, and everything counted. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Client, ClientOptions } from '../../src/index.ts';
import { createServer, type Server } from '../../src/server/index.ts';
import { until } from '../support/e2e.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { launch, openPage, type Site, serveSite } from '../support/pages.ts';

declare global {
  interface Window {
    client: Client;
  }
}

let browser: Browser;
let site: Site;
let server: Server;
let proxy: FaultProxy;
/** What the server was sent, in order. */
let notes: unknown[];
let errors: unknown[];
/** Lets the call of `slow` be answered; undefined until it is there. */
let answer: ((result: string) => void) | undefined;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  notes = [];
  errors = [];
  answer = undefined;
  site = await serveSite();
  server = createServer({
    port: 0,
    hostname: '127.0.0.1',
    onerror: (error) => errors.push(error),
    handlers: {
      methods: {
        add: (params) => {
          const { a, b } = params as { a: number; b: number };
          return a + b;
        },
        echo: (params) => params,
        slow: () =>
          new Promise<string>((resolve) => {
            answer = resolve;
          }),
      },
      events: { note: (data, { client }) => notes.push(data) && client.send('noted', data) },
    },
  });
  await server.listening;
  proxy = await FaultProxy.start(server.port);
});
afterEach(async () => {
  await proxy.stop();
  await server.close({ drain: 0 });
  await site.stop();
});

/** Makes `window.client`, which writes what happens to it into `window.log`. */
async function connect(page: Page, options: ClientOptions = {}): Promise<void> {
  await page.evaluate(
    ([url, options]) => {
      const client = new window.Holdfast.Client(url, { ...options, backoff: () => 20 });
      Object.assign(window, { client, log: [] });
      const { log } = window;
      client.addEventListener('open', ({ recovered }) => void log.push(`open ${recovered}`));
      client.addEventListener('close', ({ code, willReconnect }) => void log.push(`close ${code} ${willReconnect ? 'again' : 'final'}`));
      client.addEventListener('drop', ({ name, reason }) => void log.push(`drop ${name} ${reason}`));
      client.addEventListener('unhandled', ({ name }) => void log.push(`unhandled ${name}`));
      client.on('noted', (data) => log.push(`noted ${data}`));
      client.handle('title', () => document.title);
    },
    [proxy.url('/'), options] as const,
  );
}

const logged = (page: Page, line: string, times = 1) =>
  page.waitForFunction(([line, times]) => window.log.filter((entry) => entry === line).length >= times, [line, times] as const);
const logOf = (page: Page) => page.evaluate(() => window.log);
const statsOf = (page: Page) => page.evaluate(() => window.client.stats);

/** Joins a channel and writes its messages, and its gaps, into the log. */
const join = (page: Page, name: string) =>
  page.evaluate(async (name) => {
    const channel = window.client.channel(name);
    channel.addEventListener('gap', ({ reason }) => void window.log.push(`gap ${reason}`));
    await channel.subscribe((data, { channel: from }) => void window.log.push(`${from}: ${data}`)).ready;
  }, name);

describe.each(['/esm', '/script'])('on the page %s', (path) => {
  it('two pages talk to the server and to each other, are cut off, and come back with all they wrote meanwhile', async () => {
    const [a, b] = await Promise.all([openPage(browser, site.url(path)), openPage(browser, site.url(path))]);
    const pages = [a.page, b.page];
    for (const page of pages) await connect(page);

    // Events and calls, both ways.
    await a.page.evaluate(() => window.client.send('note', 'from before the connection'));
    await logged(a.page, 'noted from before the connection');
    expect(await a.page.evaluate(() => window.client.call('add', { a: 1, b: 2 }))).toBe(3);
    expect(await Promise.all(server.clients.map((client) => client.call('title')))).toEqual([path, path]);
    const refused = a.page.evaluate(() => window.client.call('subtract').catch((error: { code: string }) => error.code));
    expect(await refused).toBe('UNIMPLEMENTED');

    // A channel over both.
    for (const page of pages) await join(page, 'room');
    await a.page.evaluate(() => window.client.channel('room').publish('hi').acknowledged);
    for (const page of pages) await logged(page, 'room: hi');

    // Cut, and nobody there for a while.
    await a.page.evaluate(() => {
      window.client.call('slow').then((result) => window.log.push(`answered ${result}`));
    });
    await until(() => expect([server.clients.length, typeof answer]).toEqual([2, 'function']));
    await proxy.refuse();
    proxy.cut();
    for (const page of pages) await logged(page, 'close 1006 again', 2);
    await a.page.evaluate(() => {
      for (let i = 0; i < 50; i++) window.client.send('note', i);
      window.client.call('echo', 'unsent').then((result) => window.log.push(`answered ${result}`));
      window.client.channel('room').publish('from afar');
    });
    answer?.('after the cut');
    await proxy.accept();
    await logged(a.page, 'noted 49');
    await logged(a.page, 'answered unsent');
    await logged(a.page, 'answered after the cut');
    for (const page of pages) {
      await logged(page, 'open true', 2);
      await logged(page, 'room: from afar');
    }
    expect(server.publish('room', 'both back')).toBe(2);
    for (const page of pages) await logged(page, 'room: both back');

    // Everything once, in order; nothing dropped, nothing unhandled, nothing left.
    expect(notes).toEqual(['from before the connection', ...Array.from({ length: 50 }, (_, i) => i)]);
    const [logA, logB] = await Promise.all(pages.map(logOf));
    expect(logA?.filter((line) => line.startsWith('noted'))).toEqual(notes.map((note) => `noted ${note}`));
    const count = (log: string[] | undefined, line: string) => log?.filter((entry) => entry === line).length;
    for (const log of [logA, logB]) {
      expect(log?.[0]).toBe('open true');
      expect(log?.filter((line) => line.startsWith('room'))).toEqual(['room: hi', 'room: from afar', 'room: both back']);
      expect(log?.filter((line) => /^(drop|unhandled|gap|open false)/.test(line))).toEqual([]);
    }
    expect(count(logA, 'answered after the cut')).toBe(1);
    const stats = { connections: 2, resumed: 1, dropped: 0, unconfirmed: 0, queuedMessages: 0, pendingCalls: 0 };
    expect(await statsOf(a.page)).toMatchObject(stats);
    // 51 notes, 4 calls, 2 messages.
    expect((await statsOf(a.page)).sent).toBe(57);

    await Promise.all(pages.map((page) => page.evaluate(() => window.client.close({ code: 3000, reason: 'done' }))));
    for (const page of pages) expect((await logOf(page)).at(-1)).toBe('close 3000 final');
    await until(() => expect(server.connections).toBe(0));
    expect([a.errors, b.errors, errors]).toEqual([[], [], []]);
    await Promise.all([a.context.close(), b.context.close()]);
  });

  it('a page that the server cuts off comes back, one that it sends away for good does not', async () => {
    const { page, context, errors: complaints } = await openPage(browser, site.url(path));
    await connect(page);
    await join(page, 'room');
    server.clients[0]?.close(4600, 'come again');
    await logged(page, 'open true', 2);
    expect(server.publish('room', 'again')).toBe(1);
    await logged(page, 'room: again');
    server.clients[0]?.close(4800, 'that was it');
    await logged(page, 'close 4800 final');
    expect(await logOf(page)).toEqual(['open true', 'close 4600 again', 'open true', 'room: again', 'close 4800 final']);
    expect(await page.evaluate(() => window.client.state)).toMatchObject({ status: 'closed', cause: 'refused', code: 4800 });
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe('binary payloads', () => {
  it('of a page arrive as they are, and come back as they are', async () => {
    const { page, context } = await openPage(browser, site.url('/script'));
    await connect(page);
    const came = await page.evaluate(async () => {
      const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256);
      const results = await Promise.all(
        [bytes, bytes.buffer, new DataView(bytes.buffer, 5, 10)].map((each) => window.client.call('echo', each)),
      );
      return results.map((result) => (result instanceof Uint8Array ? [result.length, result[0], result[6]] : 'something else'));
    });
    expect(came).toEqual([
      [70_000, 0, 42],
      [70_000, 0, 42],
      [10, 35, 77],
    ]);
    const refused = page.evaluate(() => {
      try {
        window.client.send('note', new Blob(['x']));
        return 'sent';
      } catch (error) {
        return (error as Error).name;
      }
    });
    expect(await refused).toBe('TypeError');
    await context.close();
  });
});
