/** Pages that may do little, in a real Chromium: a strict policy with trusted types, an opaque origin without storage, a file on disk. */

import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Frame, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/e2e.ts';
import { startEchoServer } from '../support/echo-server.ts';
import { launch } from '../support/pages.ts';
import { root } from '../support/read-document.ts';
import { type Counted, servePages, startCounted } from '../support/web-pages.ts';
import { openWatched } from './support.ts';

let browser: Browser;
let live: Counted;
let echo: string;
/** What the server was told of the origins of pages. */
let origins: unknown[];
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  origins = [];
  live = await startCounted({
    handlers: { methods: { echo: (params) => params } },
    onconnection: ({ request }) => origins.push(request.headers['origin']),
  });
  const running = await startEchoServer();
  onTestFinished(() => running.stop());
  echo = running.url();
});

/**
 * All that a client and a drop-in do, with a cut in between: calls, bytes, a channel, presence, an idempotent call, an inspector, a queue.
 * Each step says what it saw.
 */
async function use(page: Page | Frame): Promise<unknown> {
  await page.evaluate(
    ([url, echo]) => {
      const client = new window.Holdfast.Client(url, { backoff: () => 20 });
      const socket = new window.Holdfast.ReconnectingWebSocket(echo, { backoff: () => 20 });
      Object.assign(window, { client, ws: socket, inspector: window.Holdfast.inspect(client) });
    },
    [live.url, echo] as const,
  );
  const work = () =>
    page.evaluate(async () => {
      const { client, ws, Holdfast } = window;
      const room = client.channel('room:kelp');
      const heard = new Promise((resolve) => {
        const { ready } = room.subscribe((message) => resolve(message));
        ready.then(() => room.publish('published', { idempotent: true }));
      });
      const people = Holdfast.presence(room, { data: 'me' });
      const here = new Promise((resolve) => people.addEventListener('join', ({ member }) => resolve(member.data)));
      const echoed = new Promise((resolve) => ws.addEventListener('message', ({ data }) => resolve(data), { once: true }));
      ws.send('queued');
      return {
        call: await client.call('echo', 'x', { idempotent: true }),
        bytes: [...((await client.call('echo', new Uint8Array([1, 2, 255]))) as Uint8Array)],
        heard: await heard,
        here: await here,
        echoed: await echoed,
      };
    });
  const first = await work();
  for (const each of live.server.clients) each.close(4600);
  await until(() => expect(live.upgrades).toBe(2));
  const again = await page.evaluate(() => window.client.call('echo', 'again'));
  const log = await page.evaluate(() => JSON.parse(JSON.stringify(window.inspector)).log.length > 0);
  await page.evaluate(() => {
    window.ws.close();
    return window.client.close();
  });
  await until(() => expect(live.open).toBe(0));
  return { ...first, again, log };
}

const ALL = {
  call: 'x',
  bytes: [1, 2, 255],
  heard: 'published',
  here: 'me',
  echoed: 'queued',
  again: 'again',
  log: true,
};

const SCRIPT = '<!doctype html><link rel="icon" href="data:,"><script src="/dist/holdfast.iife.js"></script>';

describe('the bundle', () => {
  it('under a strict policy with trusted types does all that a client does, and violates nothing', async () => {
    const policy = [
      "default-src 'none'",
      "script-src 'self'",
      'connect-src ws:',
      'img-src data:',
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ];
    const { origin } = await servePages({
      '/': {
        text: '<!doctype html><link rel="icon" href="data:,"><script src="/watch.js"></script><script src="/dist/holdfast.iife.js"></script>',
        headers: { 'content-security-policy': policy.join('; ') },
      },
      '/watch.js': "log = []; addEventListener('securitypolicyviolation', ({ violatedDirective }) => log.push(violatedDirective));",
    });
    const { page, complaints } = await openWatched(browser, `${origin}/`, /^$/);
    onTestFinished(() => page.context().close());
    expect(await use(page)).toEqual(ALL);
    expect(await page.evaluate(() => window.log)).toEqual([]);
    // The policy is there: what is not allowed is told, and does not happen.
    const refused = await page.evaluate(() => {
      try {
        document.body.innerHTML = '<b></b>';
        return 'allowed';
      } catch (error) {
        return (error as Error).name;
      }
    });
    expect(refused).toBe('TypeError');
    expect(complaints.filter((text) => !/TrustedHTML/.test(text))).toEqual([]);
  });

  it('in a sandboxed frame, which has an opaque origin and no storage, does all that a client does', async () => {
    const { origin } = await servePages({
      '/': '<!doctype html><link rel="icon" href="data:,"><iframe sandbox="allow-scripts" src="/frame"></iframe>',
      '/frame': SCRIPT,
    });
    const { page, complaints } = await openWatched(browser, `${origin}/`, /^$/);
    onTestFinished(() => page.context().close());
    const frame = page.frame({ url: `${origin}/frame` }) as Frame;
    const storage = await frame.evaluate(() => {
      try {
        return typeof localStorage;
      } catch (error) {
        return (error as Error).name;
      }
    });
    expect([await frame.evaluate(() => self.origin), storage]).toEqual(['null', 'SecurityError']);
    expect(await use(frame)).toEqual(ALL);
    expect(origins).toEqual(['null']);
    expect(complaints).toEqual([]);
  });

  it('in a page from disk does all that a client does', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-page-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await copyFile(join(root, 'dist/holdfast.iife.js'), join(folder, 'holdfast.iife.js'));
    await writeFile(join(folder, 'page.html'), SCRIPT.replace('/dist/', ''));
    const { page, complaints } = await openWatched(browser, pathToFileURL(join(folder, 'page.html')).href, /^$/);
    onTestFinished(() => page.context().close());
    expect(await use(page)).toEqual(ALL);
    expect(origins).toEqual(['null']);
    expect(complaints).toEqual([]);
  });
});

it('a sandboxed frame is kept out by a server that has a list of origins', async () => {
  const listed = await startCounted({ origins: ['https://example.com'] });
  const { origin } = await servePages({
    '/': '<!doctype html><link rel="icon" href="data:,"><iframe sandbox="allow-scripts" src="/frame"></iframe>',
    '/frame': SCRIPT,
  });
  const { page } = await openWatched(browser, `${origin}/`, /^$/);
  onTestFinished(() => page.context().close());
  const frame = page.frame({ url: `${origin}/frame` }) as Frame;
  const outcome = await frame.evaluate(
    (url) =>
      new Promise((resolve) => {
        const client = new window.Holdfast.Client(url);
        client.addEventListener('close', ({ code }) => {
          resolve([code, client.state.status, 'everOpened' in client.state && client.state.everOpened]);
          void client.close();
        });
      }),
    listed.url,
  );
  expect(outcome).toEqual([1006, 'waiting', false]);
  expect([listed.upgrades, listed.welcomed]).toEqual([1, 0]);
});
