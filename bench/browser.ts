/** Receiving in a real browser, where it matters: what of the main thread's time is the wrapper's? */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { type Running, startEchoServer } from '../test/support/echo-server.ts';
import { launch } from '../test/support/pages.ts';

const COUNT = 40_000;
const ROUNDS = 7;

/** Milliseconds of the page's main thread for {@link COUNT} messages of 32 bytes. */
async function round(page: Page, server: Running): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const busy = async () => (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
  await page.evaluate(
    ([url, count]) =>
      new Promise((resolve) => {
        const socket = (globalThis as unknown as { connect(url: string): WebSocket }).connect(url);
        let received = 0;
        const done = new Promise((resolve) => {
          socket.onmessage = () => {
            if (++received === count) resolve(socket.close());
          };
        });
        Object.assign(globalThis, { done });
        socket.addEventListener('open', resolve);
      }),
    [server.url(), COUNT] as const,
  );
  const before = await busy();
  const text = 'x'.repeat(32);
  for (let i = 0; i < COUNT; i++) server.echo.broadcast(text);
  await page.evaluate(() => (globalThis as unknown as { done: Promise<void> }).done);
  return ((await busy()) - before) * 1_000;
}

/** The best of several rounds for each of the scripts, which define `connect(url)`; the order rotates from round to round. */
export async function receiveInBrowser(scripts: readonly string[]): Promise<number[]> {
  const server = await startEchoServer();
  const http = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>bench</title>'),
  );
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const browser = await launch();
  const best = scripts.map(() => Infinity);
  for (let i = 0; i < ROUNDS; i++) {
    for (let j = 0; j < scripts.length; j++) {
      const which = (i + j) % scripts.length;
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`);
      await page.addScriptTag({ content: scripts[which] ?? '' });
      best[which] = Math.min(best[which] ?? Infinity, await round(page, server));
      await page.close();
    }
  }
  await browser.close();
  http.close();
  await server.stop();
  return best;
}
