/** Pages and scripts made by a test and served to a real browser, with a server to connect to, and every upgrade counted. */

import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { onTestFinished } from 'vitest';
import { createServer, type Server, type ServerOptions } from '../../src/server/index.ts';
import { root } from './read-document.ts';

/** What a path is answered with: text, or text with headers of its own. */
export type Served = string | { readonly text: string; readonly headers: Readonly<Record<string, string>> };

/** Serves files by their path, and what is in `dist` and the repository beside them. Ends with the test. */
export async function servePages(files: Readonly<Record<string, Served>>): Promise<{ readonly origin: string }> {
  const http = createHttpServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const served = files[pathname];
    const { text = undefined, headers = {} } = typeof served === 'object' ? served : { text: served };
    const body = text ?? (await readFile(join(root, pathname)).catch(() => undefined));
    response.setHeader('content-type', text?.startsWith('<!doctype html>') ? 'text/html' : 'text/javascript');
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  const { port } = await listen(http);
  return { origin: `http://127.0.0.1:${port}` };
}

async function listen(http: HttpServer): Promise<AddressInfo> {
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(() => resolve()));
  });
  return http.address() as AddressInfo;
}

export interface Counted {
  readonly server: Server;
  readonly url: string;
  /** Requests for a WebSocket, since the server is there. */
  readonly upgrades: number;
  /** Sockets that are open now. */
  readonly open: number;
  /** The most that there were at one time. */
  readonly peak: number;
  /** Clients that were welcomed for the first time. */
  readonly welcomed: number;
  /** Every "subscribe room:kelp" and "presence room:kelp" that was asked for, in order. */
  readonly asked: readonly string[];
}

/** A server of which everything is counted that opens and that is asked for. Ends with the test. */
export async function startCounted(options: Partial<ServerOptions> = {}): Promise<Counted> {
  const counts = { upgrades: 0, open: 0, peak: 0, welcomed: 0 };
  const asked: string[] = [];
  const http = createHttpServer();
  http.on('upgrade', (_, socket) => {
    counts.upgrades++;
    counts.peak = Math.max(counts.peak, ++counts.open);
    socket.on('close', () => counts.open--);
  });
  const server = createServer({
    server: http,
    onconnection: () => counts.welcomed++,
    authorize: ({ action, channel }) => asked.push(`${action} ${channel}`) > 0,
    ...options,
  });
  const { port } = await listen(http);
  onTestFinished(() => server.close({ drain: 0, retryAfter: 0 }));
  return {
    server,
    url: `ws://127.0.0.1:${port}/`,
    asked,
    get upgrades() {
      return counts.upgrades;
    },
    get open() {
      return counts.open;
    },
    get peak() {
      return counts.peak;
    },
    get welcomed() {
      return counts.welcomed;
    },
  };
}

/** One script of a module and what it imports: the built package, what is installed, and `modules` by their names. */
export async function bundled(entry: string, modules: Readonly<Record<string, string>> = {}): Promise<string> {
  const own: Plugin = {
    name: 'own',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^holdfast$/ }, () => ({ path: join(root, 'dist/index.js') }));
      onResolve({ filter: /^own:/ }, ({ path }) => ({ path, namespace: 'own' }));
      onLoad({ filter: /.*/, namespace: 'own' }, ({ path }) => ({ contents: modules[path] ?? '', loader: 'tsx', resolveDir: root }));
    },
  };
  const { outputFiles } = await build({
    stdin: { contents: entry, loader: 'tsx', resolveDir: root },
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    jsx: 'automatic',
    tsconfigRaw: {},
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'silent',
    plugins: [own],
  });
  return outputFiles[0]?.text ?? '';
}
