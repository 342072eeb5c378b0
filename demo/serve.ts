/**
 * The demo and its server on one port: `npm start`, or `PORT=8080 npm start`.
 *
 * - pages from the repository, `/` is the demo; WebSockets reach the Holdfast server on `/live`, an echo server on any other path
 * - `POST /control/drop`     cuts every connection without a word
 * - `POST /control/mute`     the connections of now stay open and hear nothing any more, new ones are served
 * - `POST /control/slow?ms=15000`    makes everything late for that long
 * - `POST /control/refuse?ms=10000`  closes the port for that long, so that the system itself refuses connections
 * - `POST /control/restart`  says goodbye, ends everything, and comes back a second later with an empty memory, as a process would
 */

import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createServer as createVite, type ViteDevServer } from 'vite';
import { FaultProxy } from '../test/support/fault-proxy.ts';
import { Backend } from './backend.ts';

export interface Demo {
  /** Where a browser finds it. */
  readonly url: string;
  readonly port: number;
  readonly backend: Backend;
  /** What every WebSocket goes through. */
  readonly proxy: FaultProxy;
  stop(): Promise<void>;
}

/** What a control request asks for, to be done after the answer has left; undefined where there is no such thing. */
type Control = (order: string, query: URLSearchParams) => (() => void) | undefined;

const root = fileURLToPath(new URL('..', import.meta.url));

/** Served as they are, byte for byte: the page made with one script tag has no build step, so nothing may be built into it. */
const PLAIN: Record<string, string> = {
  '/demo/script-tag.html': 'text/html; charset=utf-8',
  '/dist/holdfast.iife.js': 'text/javascript; charset=utf-8',
};
const RESTART_MS = 1_000;
const LONGEST_MS = 600_000;
/** A slow link: milliseconds that everything is late, and bytes a second that go up. */
const SLOW = { delay: 400, rate: 4_000 };

/** Starts the demo; port 0 is any that is free. Rejects when the port is taken. */
export async function startDemo({ port }: { port: number }): Promise<Demo> {
  const vite = await createPages();
  const backend = new Backend();
  const proxy = await FaultProxy.start(await backend.start());
  const http = createServer((request, response) => answer(request, response, vite, control));
  http.on('upgrade', (request, socket, head) => proxy.splice(socket as Socket, Buffer.concat([headOf(request), head])));
  let comingBack: NodeJS.Timeout | undefined;
  let backAt = 0;
  let gettingFast: NodeJS.Timeout | undefined;

  try {
    port = await listen(http, port);
  } catch (error) {
    await Promise.all([vite.close(), proxy.stop(), backend.stop()]);
    throw error;
  }
  return { url: `http://localhost:${port}/`, port, backend, proxy, stop };

  function control(order: string, query: URLSearchParams): (() => void) | undefined {
    const ms = (usual: number) => Math.min(Number(query.get('ms') ?? usual) || 0, LONGEST_MS);
    if (order === 'drop') return () => proxy.cut();
    if (order === 'mute') return () => proxy.hole();
    if (order === 'slow') return () => slowDown(ms(15_000));
    if (order === 'restart') return () => void backend.shutDown().finally(() => goAway(RESTART_MS));
    if (order === 'refuse') return () => goAway(ms(10_000));
    return undefined;
  }

  function slowDown(ms: number): void {
    clearTimeout(gettingFast);
    Object.assign(proxy, SLOW);
    gettingFast = setTimeout(() => Object.assign(proxy, { delay: 0, rate: Infinity }), ms);
  }

  /** The port is closed, not merely unanswered: whoever connects meanwhile gets ECONNREFUSED. */
  function goAway(ms: number): void {
    backAt = Math.max(backAt, Date.now() + ms); // the longest of several wins
    clearTimeout(comingBack);
    http.close();
    proxy.cut();
    comingBack = setTimeout(() => {
      if (!backend.live) backend.open();
      listen(http, port).catch((error: unknown) => console.error(explain(error, port)));
    }, backAt - Date.now());
  }

  async function stop(): Promise<void> {
    clearTimeout(comingBack);
    clearTimeout(gettingFast);
    const closed = new Promise((resolve) => http.close(resolve));
    await Promise.all([proxy.stop(), backend.stop(), vite.close()]);
    http.closeAllConnections();
    await closed;
  }
}

/** Vite serves the pages, without the client that it would put into them to watch for changes. */
function createPages(): Promise<ViteDevServer> {
  return createVite({
    root,
    configFile: false, // the one in the root builds the library
    appType: 'mpa',
    logLevel: 'warn',
    resolve: { alias: { holdfast: `${root}dist/index.js` } }, // what an application gets: the package as it is built
    server: { middlewareMode: true, hmr: false, ws: false, watch: { ignored: ['**/dist/**', '**/test/**', '**/docs/**'] } },
    optimizeDeps: { noDiscovery: true },
    plugins: [
      {
        name: 'no-client',
        transformIndexHtml: {
          order: 'post',
          handler: (html) => html.replace('<script type="module" src="/@vite/client"></script>', ''),
        },
      },
    ],
  });
}

function answer(request: IncomingMessage, response: ServerResponse, vite: ViteDevServer, control: Control): void {
  const target = `http://localhost${request.url}`;
  if (!URL.canParse(target)) return void response.writeHead(400).end();
  const { pathname, searchParams, search } = new URL(target);
  response.setHeader('Cache-Control', 'no-store');
  if (pathname === '/') {
    response.writeHead(302, { Location: `/demo/index.html${search}` }).end();
  } else if (pathname.startsWith('/control/')) {
    // A page opened from disk may ask, too. And no connection stays behind that would have to be cut under the answer.
    response.setHeader('Access-Control-Allow-Origin', '*').setHeader('Connection', 'close');
    const act = control(pathname.slice('/control/'.length), searchParams);
    if (request.method !== 'POST') response.writeHead(405, { Allow: 'POST' }).end();
    else if (act) response.writeHead(204).end(act);
    else response.writeHead(404).end();
  } else {
    const type = PLAIN[pathname];
    if (type) void sendFile(response, pathname, type);
    else vite.middlewares(request, response);
  }
}

async function sendFile(response: ServerResponse, path: string, type: string): Promise<void> {
  try {
    const content = await readFile(root + path.slice(1));
    response.writeHead(200, { 'Content-Type': type }).end(content);
  } catch {
    response.writeHead(404).end(`${path} is not there: run "npm run build" first`);
  }
}

/** The head of a request as it came in, to be sent on. */
function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const headers = rawHeaders.map((text, i) => text + (i % 2 === 0 ? ': ' : '\r\n')).join('');
  return Buffer.from(`${method} ${url} HTTP/${httpVersion}\r\n${headers}\r\n`, 'latin1');
}

function listen(http: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, '127.0.0.1', () => {
      http.off('error', reject);
      const address = http.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

function explain(error: unknown, port: number): string {
  const { code, message } = error instanceof Error ? (error as NodeJS.ErrnoException) : { code: undefined, message: String(error) };
  if (code === 'EADDRINUSE') return `Port ${port} is taken by another program. Choose another one: PORT=${port + 1} npm start`;
  if (code === 'EACCES') return `Port ${port} may not be used by you. Choose one above 1023: PORT=5173 npm start`;
  return code ? `The demo cannot listen on port ${port}: ${message}` : `The demo cannot start: ${message}`;
}

/** Builds the library, unless the port is taken: another demo may run on what is there. */
async function build(port: number): Promise<void> {
  const probe = createServer();
  await listen(probe, port);
  await new Promise((resolve) => probe.close(resolve));
  const { status } = spawnSync('npm run build', { shell: true, stdio: 'inherit', cwd: root });
  if (status !== 0) throw new Error('the library could not be built');
}

async function main(): Promise<void> {
  const port = Number(process.env['PORT'] || 5173);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error(`PORT is "${process.env['PORT']}"; it takes a whole number from 0 to 65535`);
    process.exitCode = 1;
    return;
  }
  try {
    if (process.argv.includes('--build')) await build(port);
    const demo = await startDemo({ port });
    console.log(`\n  Holdfast demo: ${demo.url}   (stop it with Ctrl+C)\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void demo.stop());
  } catch (error) {
    console.error(explain(error, port));
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
