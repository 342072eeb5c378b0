/** A module that holds a connection is edited while the page runs: a real dev server of Vite, a real Chromium, and a server that counts. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { createServer as createDevServer } from 'vite';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/e2e.ts';
import { launch } from '../support/pages.ts';
import { root } from '../support/read-document.ts';
import { startCounted } from '../support/web-pages.ts';
import { openWatched } from './support.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** A page of a dev server, made of these files; `edit` writes one anew. What the page complains about fails the test. */
async function develop(files: Readonly<Record<string, string>>): Promise<{ page: Page; edit(name: string, text: string): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-dev-'));
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  await write('index.html', '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>');
  for (const [name, text] of Object.entries(files)) await write(name, text);
  const dev = await createDevServer({
    configFile: false,
    root: folder,
    cacheDir: join(folder, 'cache'),
    logLevel: 'silent',
    resolve: { alias: { holdfast: join(root, 'dist/index.js') } },
    // It is told of every edit below: its watcher leaves out what comes within 50 ms of the edit before.
    server: { port: 0, host: '127.0.0.1', fs: { strict: false }, watch: null },
    optimizeDeps: { noDiscovery: true },
  });
  onTestFinished(async () => {
    await dev.close();
    await rm(folder, { recursive: true });
  });
  await dev.listen();
  const { port } = (dev.httpServer as Server).address() as AddressInfo;
  const hears = new Promise((resolve) => dev.ws.on('connection', resolve)); // what is edited before would not be told
  const { page, complaints } = await openWatched(browser, `http://127.0.0.1:${port}/`, /^$/);
  await hears;
  onTestFinished(async () => {
    await page.context().close();
    expect(complaints).toEqual([]);
  });
  const edit = async (name: string, text: string) => {
    await write(name, text);
    dev.watcher.emit('change', join(folder, name));
  };
  return { page, edit };
}

const titled = (page: Page, title: string) => page.waitForFunction((wanted) => document.title === wanted, title);
/** Whether the page is still the one that was opened: a reload would forget it. */
const mark = (page: Page) => page.evaluate(() => Object.assign(window, { sameDocument: true }));
const isMarked = (page: Page) => page.evaluate(() => 'sameDocument' in window);

const EDITS = 5;

it('a module that closes its client in dispose() has one connection at a time, and each version asks once', async () => {
  const counted = await startCounted();
  const version = (number: number) => `
    import { Client } from 'holdfast';
    const client = new Client('${counted.url}');
    client.channel('room:kelp').subscribe((message) => { document.title = message + ' in ${number}'; }).ready
      .then(() => { document.title = 'version ${number}'; });
    if (import.meta.hot) {
      import.meta.hot.accept();
      import.meta.hot.dispose(() => client.close());
    }`;
  const { page, edit } = await develop({ 'main.js': version(0) });
  await titled(page, 'version 0');
  await mark(page);
  for (let number = 1; number <= EDITS; number++) {
    await edit('main.js', version(number));
    await titled(page, `version ${number}`);
    expect([counted.open, counted.server.clients.length]).toEqual([1, 1]);
    expect(counted.server.publish('room:kelp', 'hello')).toBe(1);
    await titled(page, `hello in ${number}`);
  }
  expect(await isMarked(page)).toBe(true);
  expect([counted.upgrades, counted.welcomed, counted.peak]).toEqual([EDITS + 1, EDITS + 1, 1]);
  expect(counted.asked).toEqual(Array(EDITS + 1).fill('subscribe room:kelp'));
});

it('a module that keeps its client in hot.data keeps the connection, and subscribes anew', async () => {
  const counted = await startCounted();
  const version = (number: number) => `
    import { Client } from 'holdfast';
    const kept = import.meta.hot?.data ?? {};
    const client = (kept.client ??= new Client('${counted.url}'));
    const room = client.channel('room:kelp').subscribe((message) => { document.title = message + ' in ${number}'; });
    room.ready.then(() => { document.title = 'version ${number}'; });
    if (import.meta.hot) {
      import.meta.hot.accept();
      import.meta.hot.dispose(() => room.unsubscribe());
    }`;
  const { page, edit } = await develop({ 'main.js': version(0) });
  await titled(page, 'version 0');
  await mark(page);
  for (let number = 1; number <= EDITS; number++) {
    await edit('main.js', version(number));
    await titled(page, `version ${number}`);
    expect(counted.server.publish('room:kelp', 'hello')).toBe(1);
    await titled(page, `hello in ${number}`);
  }
  expect(await isMarked(page)).toBe(true);
  expect([counted.upgrades, counted.welcomed, counted.open]).toEqual([1, 1, 1]);
});

it('a drop-in that is closed in dispose() has one connection in the end', async () => {
  const counted = await startCounted({ helloTimeout: 60_000 });
  const version = (number: number) => `
    import { ReconnectingWebSocket } from 'holdfast';
    const socket = new ReconnectingWebSocket('${counted.url}');
    socket.onopen = () => { document.title = 'version ${number}'; };
    if (import.meta.hot) {
      import.meta.hot.accept();
      import.meta.hot.dispose(() => socket.close());
    }`;
  const { page, edit } = await develop({ 'main.js': version(0) });
  await titled(page, 'version 0');
  await mark(page);
  for (let number = 1; number <= EDITS; number++) {
    await edit('main.js', version(number));
    await titled(page, `version ${number}`);
    await until(() => expect(counted.open).toBe(1));
  }
  expect(await isMarked(page)).toBe(true);
  expect(counted.upgrades).toBe(EDITS + 1);
});

it('a page that accepts no replacement is loaded again, and leaves nothing of the one before', async () => {
  const counted = await startCounted();
  const version = (number: number) => `
    import { Client } from 'holdfast';
    const client = new Client('${counted.url}');
    client.addEventListener('open', () => { document.title = 'version ${number}'; });`;
  const { page, edit } = await develop({ 'main.js': version(0) });
  await titled(page, 'version 0');
  await mark(page);
  await edit('main.js', version(1));
  await titled(page, 'version 1');
  expect(await isMarked(page)).toBe(false);
  await until(() => expect([counted.open, counted.server.connections]).toEqual([1, 1]));
  expect(counted.upgrades).toBe(2);
});
