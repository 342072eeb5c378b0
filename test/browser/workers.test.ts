/** The built package in the workers of a real Chromium: dedicated, shared and service workers, with a client and with the drop-in. */

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/e2e.ts';
import { type Running, startEchoServer } from '../support/echo-server.ts';
import { launch } from '../support/pages.ts';
import { type Counted, servePages, startCounted } from '../support/web-pages.ts';

/**
 * A worker that holds a client and a drop-in, or passes on to its pages what they said. A message names a number, which the server adds
 * one to, and the drop-in sends to the echo server and back.
 */
const worker = (live: string, echo: string) => `
  import { Client, ReconnectingWebSocket } from '/dist/index.js';
  const client = new Client('${live}', { backoff: () => 20 });
  const socket = new ReconnectingWebSocket('${echo}', { backoff: () => 20 });
  const echoed = (text) => new Promise((resolve) => {
    socket.addEventListener('message', ({ data }) => data === text && resolve(data));
    socket.send(text);
  });
  const answer = async ({ data, ports: [port] }) =>
    port.postMessage([await client.call('next', data), await echoed(String(data)), typeof document, client.stats.resumed]);
  self.onconnect = ({ ports: [page] }) => { page.onmessage = answer; };
  if ('clients' in self) {
    self.oninstall = () => self.skipWaiting();
    self.onactivate = (event) => event.waitUntil(self.clients.claim());
    self.onmessage = (event) => event.waitUntil(answer(event));
  } else if (!('onconnect' in self && 'SharedWorkerGlobalScope' in self)) self.onmessage = answer;
`;

type Talking = Window & { talkTo: MessagePort | Worker | ServiceWorker; ask(number: number): Promise<unknown>; stop(): Promise<unknown> };

const PAGE = (how: string) => `<!doctype html><link rel="icon" href="data:,"><script type="module">
  ${how}
  window.ask = (number) => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data);
    talkTo.postMessage(number, [port2]);
  });
</script>`;

const HOW = {
  '/dedicated': "window.talkTo = new Worker('/worker.js', { type: 'module' }); window.stop = async () => talkTo.terminate();",
  '/shared': "window.talkTo = new SharedWorker('/worker.js', { type: 'module' }).port; talkTo.start();",
  '/service': `const registration = await navigator.serviceWorker.register('/worker.js', { type: 'module' });
    window.talkTo = (await navigator.serviceWorker.ready).active;
    window.stop = () => registration.unregister();`,
};

let browser: Browser;
let live: Counted;
let echo: Running;
let context: BrowserContext;
let origin: string;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  live = await startCounted({
    handlers: { methods: { next: (number) => Number(number) + 1 } },
  });
  echo = await startEchoServer();
  onTestFinished(() => echo.stop());
  const pages = Object.entries(HOW).map(([path, how]) => [path, PAGE(how)] as const);
  ({ origin } = await servePages({ ...Object.fromEntries(pages), '/worker.js': worker(live.url, echo.url()) }));
  context = await browser.newContext();
  onTestFinished(() => context.close());
});

async function open(path: keyof typeof HOW): Promise<Page> {
  const page = await context.newPage();
  await page.goto(origin + path);
  await page.waitForFunction(() => 'ask' in window);
  return page;
}
const ask = (page: Page, number: number) => page.evaluate((number) => (window as never as Talking).ask(number), number);
const stop = (page: Page) => page.evaluate(() => (window as never as Talking).stop());
/** Sockets to both servers. */
const sockets = () => [live.open, live.server.connections, echo.echo.clients.size];

describe('a dedicated worker', () => {
  it('holds a client and a drop-in without a document, comes back after a cut, and leaves nothing when it is terminated', async () => {
    const page = await open('/dedicated');
    expect(await ask(page, 1)).toEqual([2, '1', 'undefined', 0]);
    for (const client of live.server.clients) client.close(4600, 'come again');
    echo.echo.drop();
    await until(() => expect([live.upgrades, echo.echo.upgrades]).toEqual([2, 2]));
    expect(await ask(page, 2)).toEqual([3, '2', 'undefined', 1]);
    expect(sockets()).toEqual([1, 1, 1]);
    await stop(page);
    await until(() => expect(sockets()).toEqual([0, 0, 0]));
  });
});

describe('a shared worker', () => {
  it('gives two tabs one connection, which ends with the last of them', async () => {
    const [a, b] = [await open('/shared'), await open('/shared')];
    expect([await ask(a, 1), await ask(b, 2)]).toEqual([
      [2, '1', 'undefined', 0],
      [3, '2', 'undefined', 0],
    ]);
    expect([live.upgrades, echo.echo.upgrades]).toEqual([1, 1]);
    await a.close();
    expect(await ask(b, 3)).toEqual([4, '3', 'undefined', 0]);
    expect(sockets()).toEqual([1, 1, 1]);
    await b.close();
    await until(() => expect(sockets()).toEqual([0, 0, 0]));
  });
});

describe('a service worker', () => {
  it('connects, answers its pages by calls to the server, and leaves nothing when it is gone', async () => {
    const [a, b] = [await open('/service'), await open('/service')];
    expect([await ask(a, 1), await ask(b, 2)]).toEqual([
      [2, '1', 'undefined', 0],
      [3, '2', 'undefined', 0],
    ]);
    expect([live.upgrades, echo.echo.upgrades]).toEqual([1, 1]);
    await stop(a);
    await context.close();
    await until(() => expect(sockets()).toEqual([0, 0, 0]));
  });
});
