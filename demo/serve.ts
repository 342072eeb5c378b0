/**
 * The demo and its server on one port: `npm start`, or `PORT=8080 npm start`.
 *
 * - pages from the repository, `/` is the demo; WebSockets on any path are those of the echo server
 * - `POST /control/drop`     cuts every connection without a word
 * - `POST /control/mute`     stops answering: the connections of now stay open and hear nothing any more, new ones are served
 * - `POST /control/refuse?ms=10000`  closes the port for that long, so that the system itself refuses connections
 * - `POST /control/restart`  ends everything, and comes back a second later, as a process would
 */

import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createServer as createVite, type ViteDevServer } from 'vite';
import { EchoServer } from '../test/support/echo-server.ts';

export interface Demo {
  /** Where a browser finds it. */
  readonly url: string;
  readonly port: number;
  readonly echo: EchoServer;
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/** Served as they are, byte for byte: the page made with one script tag has no build step, so nothing may be built into it. */
const PLAIN: Record<string, string> = {
  '/demo/script-tag.html': 'text/html; charset=utf-8',
  '/dist/holdfast.iife.js': 'text/javascript; charset=utf-8',
};
const RESTART_MS = 1_000;
const LONGEST_REFUSAL_MS = 600_000;

/** Starts the demo; port 0 is any that is free. Rejects when the port is taken. */
export async function startDemo({ port }: { port: number }): Promise<Demo> {
  const vite = await createVite({
    root,
    configFile: false, // the one in the root builds the library
    appType: 'mpa',
    logLevel: 'warn',
    server: { middlewareMode: true, hmr: false, ws: false, watch: { ignored: ['**/dist/**', '**/test/**'] } },
    optimizeDeps: { noDiscovery: true },
  });
  const echo = new EchoServer();
  const http = createServer((request, response) => answer(request, response, vite, control));
  http.on('upgrade', (request, socket, head) => echo.handleUpgrade(request, socket, head));
  let comingBack: NodeJS.Timeout | undefined;

  try {
    port = await listen(http, port);
  } catch (error) {
    await vite.close();
    throw error;
  }
  return { url: `http://localhost:${port}/`, port, echo, stop };

  /** What a control request asks for, to be done after the answer has left; undefined where there is no such thing. */
  function control(order: string, query: URLSearchParams): (() => void) | undefined {
    if (order === 'drop') return () => echo.drop();
    if (order === 'mute') return () => echo.mute();
    if (order === 'restart') return () => goAway(RESTART_MS);
    if (order === 'refuse') return () => goAway(Math.min(Number(query.get('ms') ?? 10_000) || 0, LONGEST_REFUSAL_MS));
    return undefined;
  }

  /** The port is closed, not merely unanswered: whoever connects meanwhile gets ECONNREFUSED. */
  function goAway(ms: number): void {
    clearTimeout(comingBack);
    http.close();
    echo.drop();
    comingBack = setTimeout(() => {
      listen(http, port).catch((error: unknown) => console.error(explain(error, port)));
    }, ms);
  }

  async function stop(): Promise<void> {
    clearTimeout(comingBack);
    const closed = new Promise((resolve) => http.close(resolve));
    echo.drop();
    http.closeAllConnections();
    await Promise.all([closed, vite.close()]);
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  vite: ViteDevServer,
  control: (order: string, query: URLSearchParams) => (() => void) | undefined,
): void {
  const target = `http://localhost${request.url}`;
  if (!URL.canParse(target)) return void response.writeHead(400).end();
  const { pathname, searchParams, search } = new URL(target);
  response.setHeader('Cache-Control', 'no-store');
  if (pathname === '/') {
    response.writeHead(302, { Location: `/demo/script-tag.html${search}` }).end();
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
  return `The demo cannot listen on port ${port}: ${message}`;
}

async function main(): Promise<void> {
  const port = Number(process.env['PORT'] || 5173);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error(`PORT is "${process.env['PORT']}"; it takes a whole number from 0 to 65535`);
    process.exitCode = 1;
    return;
  }
  try {
    const demo = await startDemo({ port });
    console.log(`\n  Holdfast demo: ${demo.url}   (stop it with Ctrl+C)\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void demo.stop());
  } catch (error) {
    console.error(explain(error, port));
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
