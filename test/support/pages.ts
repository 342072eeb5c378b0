/** Pages over the built bundle in a real browser, with an echo server and a fault proxy to talk to. */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { type Running, startEchoServer } from './echo-server.ts';
import { FaultProxy } from './fault-proxy.ts';
import { findBrowser } from './find-browser.ts';

const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts the installed browser. With the back-forward cache, which Playwright switches off unless told not to. */
export async function launch(): Promise<Browser> {
  const executablePath = findBrowser();
  if (!executablePath) throw new Error('no browser: run `npm test`, which gets one');
  return chromium.launch({ executablePath, args, ignoreDefaultArgs: ['--disable-back-forward-cache'] });
}

export interface Site {
  readonly server: Running;
  readonly proxy: FaultProxy;
  /**
   * Of a page: `/esm` and `/script` load the bundle, `/csp` may connect nowhere, `/strict` may do nothing that the bundle does not need and
   * knows its hash, `/tampered` has another one, `/empty` is just somewhere else.
   */
  url(path: string, host?: string): string;
  stop(): Promise<void>;
}

const PAGES: Record<string, string> = {
  '/esm': `<script type="module">import * as Holdfast from '/dist/index.js'; window.Holdfast = Holdfast;</script>`,
  '/script': '<script src="/dist/holdfast.iife.js"></script>',
  '/csp': '<script src="/dist/holdfast.iife.js"></script>',
  '/strict': '<script src="/dist/holdfast.iife.js" integrity="INTEGRITY"></script>',
  '/tampered':
    '<script src="/dist/holdfast.iife.js" integrity="sha384-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"></script>',
  '/empty': '',
};

/** What the pages may do, where that is not everything. */
const POLICIES: Record<string, string> = {
  '/csp': "connect-src 'self'",
  '/strict':
    "default-src 'none'; script-src 'self'; connect-src ws:; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'",
};

/** Serves the pages and what is in `dist`. */
export async function serveSite(): Promise<Site> {
  const server = await startEchoServer();
  const proxy = await FaultProxy.start(server.port);
  const http = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const page = PAGES[pathname];
    if (page !== undefined) {
      response.setHeader('content-type', 'text/html');
      const policy = POLICIES[pathname];
      if (policy) response.setHeader('content-security-policy', policy);
      const { 'holdfast.iife.js': hash } = JSON.parse(await readFile('dist/integrity.json', 'utf8'));
      response.end(`<!doctype html><title>${pathname}</title><link rel="icon" href="data:,">${page.replace('INTEGRITY', hash)}`);
      return;
    }
    const file = await readFile(`.${pathname}`).catch(() => undefined);
    response.setHeader('content-type', 'text/javascript');
    response.writeHead(file ? 200 : 404).end(file);
  });
  await new Promise<void>((resolve) => http.listen(0, resolve));
  const { port } = http.address() as AddressInfo;
  return {
    server,
    proxy,
    url: (path, host = '127.0.0.1') => `http://${host}:${port}${path}`,
    async stop() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
      await proxy.stop();
      await server.stop();
    },
  };
}

/** Opens a page in a context of its own, and waits until the bundle is there. */
export async function openPage(browser: Browser, url: string): Promise<{ page: Page; context: BrowserContext; errors: string[] }> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(url);
  await page.waitForFunction(() => 'Holdfast' in window);
  return { page, context, errors };
}
