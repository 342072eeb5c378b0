/** How long a service worker lives with a connection that its server pings, and without a word from a page: in a Chromium that nobody drives. */

import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from '../../src/server/index.ts';
import { findBrowser } from '../support/find-browser.ts';
import { root } from '../support/read-document.ts';

export interface Life {
  /** Seconds from the first connection until the server lost the last one; undefined where it was there in the end. */
  readonly seconds: number | undefined;
  /** How often the script of the worker was run. */
  readonly starts: number;
}

const FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic']; // biome-ignore format: a list

/** No debugger is attached, which would keep the worker alive: it tells its server by HTTP that it is there. */
const script = (library: string, origin: string) => `
  import { Client } from '${library}';
  fetch('${origin}/started', { mode: 'no-cors' });
  new Client('${origin.replace('http', 'ws')}/live');
  addEventListener('install', () => skipWaiting());
  addEventListener('activate', (event) => event.waitUntil(clients.claim()));
`;
const PAGE = `<!doctype html><link rel="icon" href="data:,"><script>navigator.serviceWorker.register('/worker.js', { type: 'module' });</script>`;

/** Watches one for so many milliseconds, with a page that stays open and says nothing. */
export async function lifeOf(kind: 'web' | 'extension', duration: number): Promise<Life> {
  let starts = 0;
  let [connectedAt, lostAt]: (number | undefined)[] = [];
  const http = createHttpServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/started') starts++;
    const own = new Map([
      ['/', PAGE],
      ['/worker.js', script('/dist/index.js', origin)],
      ['/started', ''],
    ]).get(pathname);
    const file = own ?? (await readFile(join(root, pathname)).catch(() => undefined));
    response.setHeader('content-type', pathname === '/' ? 'text/html' : 'text/javascript');
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const server = createServer({
    server: http,
    path: '/live',
    sessions: false,
    onconnection: () => {
      connectedAt ??= performance.now();
      lostAt = undefined;
    },
    ondisconnection: () => {
      lostAt = performance.now();
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-service-worker-'));
  const flags = [...FLAGS, `--user-data-dir=${join(folder, 'profile')}`];
  if (kind === 'extension') flags.push(...(await extension(folder, origin)));
  const browser = spawn(findBrowser() ?? '', [...flags, kind === 'web' ? `${origin}/` : 'about:blank'], { stdio: 'ignore' });
  await new Promise((resolve) => setTimeout(resolve, duration));
  if (connectedAt === undefined) throw new Error(`the service worker (${kind}) never connected`);
  const seconds = lostAt === undefined ? undefined : Math.round((lostAt - connectedAt) / 1_000);
  const ended = new Promise((resolve) => browser.once('exit', resolve));
  browser.kill();
  await ended;
  await server.close({ drain: 0 });
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  return { seconds, starts };
}

async function extension(folder: string, origin: string): Promise<string[]> {
  const own = join(folder, 'extension');
  await mkdir(own);
  await cp(join(root, 'dist'), join(own, 'dist'), { recursive: true });
  await writeFile(join(own, 'worker.js'), script('./dist/index.js', origin));
  const manifest = { manifest_version: 3, name: 'Holdfast', version: '1', background: { service_worker: 'worker.js', type: 'module' } };
  await writeFile(join(own, 'manifest.json'), JSON.stringify({ ...manifest, host_permissions: ['http://127.0.0.1/*'] }));
  return [`--load-extension=${own}`, `--disable-extensions-except=${own}`];
}
