/**
 * A Chromium as people run it: started without the switches by which an automated one keeps pages awake, so that a page can be hidden, frozen
 * and kept in the back-forward cache. Each page has a window and, by its host name, a process of its own.
 */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CDPSession, chromium, type Page } from 'playwright-core';
import { CHROMIUM_FLAGS, findBrowser } from '../../test/support/find-browser.ts';
import { bundle, type Peer } from './peers.ts';

const ARGS = ['--headless=new', ...CHROMIUM_FLAGS, '--remote-debugging-port=0'];

/** Serves the page of each peer under its id. */
export async function serveSite(peers: readonly Peer[]): Promise<{ address(host: string, path: string): string; stop(): void }> {
  const scripts = new Map<string, string>();
  for (const peer of peers) scripts.set(`/${peer.id}.js`, await bundle(peer));
  const http: Server = createServer((request, response) => {
    const path = request.url ?? '/';
    const script = scripts.get(path);
    response.setHeader('content-type', script === undefined ? 'text/html' : 'text/javascript');
    response.end(script ?? `<!doctype html><title>${path}</title><link rel="icon" href="data:,"><script src="${path}.js"></script>`);
  });
  await new Promise<void>((resolve) => http.listen(0, resolve));
  const { port } = http.address() as AddressInfo;
  return {
    address: (host, path) => `http://${host}.localhost:${port}/${path}`,
    stop() {
      http.closeAllConnections();
      http.close();
    },
  };
}

/** A page in a window of its own. */
export interface Tab {
  readonly page: Page;
  readonly session: CDPSession;
  readonly window: number;
}

export interface Browser {
  readonly version: string;
  /** One at a time. */
  open(): Promise<Tab>;
  /** Stops every process of it. */
  pause(): Promise<void>;
  resume(): void;
  close(): Promise<void>;
}

export async function startBrowser(): Promise<Browser> {
  const executable = findBrowser();
  if (!executable) throw new Error('no browser: run `npm test`, which gets one');
  const profile = await mkdtemp(join(tmpdir(), 'recovery-'));
  const child = spawn(executable, [...ARGS, `--user-data-dir=${profile}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const endpoint = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (text) => {
      const [found] = /ws:\/\/\S+/.exec(String(text)) ?? [];
      if (found) resolve(found);
    });
    child.on('exit', () => reject(new Error('the browser ended')));
  });
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true });
  const [context] = browser.contexts();
  if (!context) throw new Error('the browser has no context');
  const session = await browser.newBrowserCDPSession();
  let stopped: number[] = [];
  process.on('exit', () => {
    for (const id of [...stopped, child.pid ?? 0]) if (id > 0) kill(id, 'SIGKILL');
  });
  return {
    version: browser.version(),
    async open() {
      const opened = context.waitForEvent('page');
      await session.send('Target.createTarget', { url: 'about:blank', newWindow: true });
      const page = await opened;
      const own = await context.newCDPSession(page);
      const { windowId } = await own.send('Browser.getWindowForTarget');
      return { page, session: own, window: windowId };
    },
    async pause() {
      const { processInfo } = await session.send('SystemInfo.getProcessInfo');
      stopped = processInfo.map(({ id }) => id);
      for (const id of stopped) kill(id, 'SIGSTOP');
    },
    resume() {
      for (const id of stopped) kill(id, 'SIGCONT');
      stopped = [];
    },
    async close() {
      await browser.close();
      child.kill();
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A process that has ended meanwhile needs nothing. */
function kill(id: number, signal: NodeJS.Signals): void {
  try {
    process.kill(id, signal);
  } catch {}
}
