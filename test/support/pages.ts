/** Pages over the built bundle in a real browser, with an echo server and a fault proxy to talk to. */

import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { type Running, startEchoServer } from './echo-server.ts';
import { FaultProxy } from './fault-proxy.ts';
import { CHROMIUM_FLAGS, findBrowser } from './find-browser.ts';

/** Starts the installed browser. With the back-forward cache, which Playwright switches off unless told not to. */
export async function launch(): Promise<Browser> {
  const executablePath = findBrowser();
  if (!executablePath) throw new Error('no browser: run `npm test`, which gets one');
  return chromium.launch({ executablePath, args: [...CHROMIUM_FLAGS], ignoreDefaultArgs: ['--disable-back-forward-cache'] });
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

/** What is served, by path: the body of a page, or a script. */
export interface Sheet {
  readonly html?: string;
  readonly script?: string;
  /** The Content Security Policy, where not everything is allowed. */
  readonly policy?: string;
}

const PAGES: Record<string, Sheet> = {
  '/esm': { html: `<script type="module">import * as Holdfast from '/dist/index.js'; window.Holdfast = Holdfast;</script>` },
  '/script': { html: '<script src="/dist/holdfast.iife.js"></script>' },
  '/csp': { html: '<script src="/dist/holdfast.iife.js"></script>', policy: "connect-src 'self'" },
  '/strict': {
    html: '<script src="/dist/holdfast.iife.js" integrity="INTEGRITY"></script>',
    policy:
      "default-src 'none'; script-src 'self'; connect-src ws:; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'",
  },
  '/tampered': { html: `<script src="/dist/holdfast.iife.js" integrity="sha384-${'A'.repeat(64)}"></script>` },
  '/empty': { html: '' },
};

/** Serves the pages and what is in `dist`, and what else it is given; with a certificate over https. */
export async function serveSite(more: Record<string, Sheet> = {}, certificate?: { key: string; cert: string }): Promise<Site> {
  const server = await startEchoServer();
  const proxy = await FaultProxy.start(server.port);
  const answer: RequestListener = async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const sheet = more[pathname] ?? PAGES[pathname];
    if (sheet?.policy) response.setHeader('content-security-policy', sheet.policy);
    if (sheet?.html !== undefined) {
      response.setHeader('content-type', 'text/html');
      const { 'holdfast.iife.js': hash } = JSON.parse(await readFile('dist/integrity.json', 'utf8'));
      response.end(`<!doctype html><title>${pathname}</title><link rel="icon" href="data:,">${sheet.html.replace('INTEGRITY', hash)}`);
      return;
    }
    const file = sheet?.script ?? (await readFile(`.${pathname}`).catch(() => undefined));
    response.setHeader('content-type', 'text/javascript');
    response.writeHead(file === undefined ? 404 : 200).end(file);
  };
  const http = certificate ? createSecureServer(certificate, answer) : createServer(answer);
  await new Promise<void>((resolve) => http.listen(0, resolve));
  const { port } = http.address() as AddressInfo;
  return {
    server,
    proxy,
    url: (path, host = '127.0.0.1') => `http${certificate ? 's' : ''}://${host}:${port}${path}`,
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
