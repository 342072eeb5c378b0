#!/usr/bin/env node
/** `holdfast-server`: a server to try things on, with methods, events and channels that echo. */

import { parseArgs } from 'node:util';
import { CallError } from '../errors.ts';

const HELP = `holdfast-server: a server to try Holdfast on

  --port <number>      port to listen on (default 8080; 0 for any)
  --hostname <name>    interface to listen on (default 127.0.0.1)
  --path <path>        path of the WebSocket (default /)
  --origin <origin>    page that may connect, may be given several times (default all)
  --help

Methods: echo(anything), add({ a, b }), time(), wait({ ms }), fail({ code, message }); items([…]) is a stream, and
count() takes an upload. Who is there on a channel is known.
The event "echo" comes back as the event "echo". Every channel is open to everybody; try "chat".
GET /health tells how it is.`;

/** What it does. */
const demo = {
  methods: {
    echo: (value: unknown): unknown => value,
    add: (params: unknown): number => {
      const { a, b } = Object(params) as { a?: unknown; b?: unknown };
      if (typeof a !== 'number' || typeof b !== 'number') throw new CallError('INVALID_ARGUMENT', 'add takes { a, b }, two numbers');
      return a + b;
    },
    time: (): number => Date.now(),
    wait: (params: unknown, { signal }: { readonly signal: AbortSignal }): Promise<string> =>
      new Promise((resolve, reject) => {
        const { ms } = Object(params) as { ms?: unknown };
        const timer = setTimeout(() => resolve('waited'), Number(ms) || 0);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(signal.reason);
        });
      }),
    items: async function* (params: unknown): AsyncGenerator<unknown> {
      for (const each of Array.isArray(params) ? params : [params]) {
        const { fail } = Object(each) as { fail?: unknown };
        if (typeof fail === 'string') throw new CallError(fail, 'as you wish');
        yield each;
      }
    },
    count: async (_: unknown, { upload }: { readonly upload: AsyncIterable<unknown> }): Promise<{ items: number; bytes: number }> => {
      const total = { items: 0, bytes: 0 };
      for await (const item of upload) {
        total.items++;
        if (item instanceof Uint8Array) total.bytes += item.byteLength;
      }
      return total;
    },
    fail: (params: unknown): never => {
      const { code, message } = Object(params) as { code?: unknown; message?: unknown };
      throw new CallError(typeof code === 'string' ? code : 'ABORTED', typeof message === 'string' ? message : 'as you wish');
    },
  },
  events: {
    echo: (data: unknown, { client }: { readonly client: { send(name: string, data: unknown): boolean } }): boolean =>
      client.send('echo', data),
  },
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8080' },
      hostname: { type: 'string', default: '127.0.0.1' },
      path: { type: 'string', default: '/' },
      origin: { type: 'string', multiple: true },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const { createServer } = await import('./server.ts').catch(explain);
  const { hostname, path, origin } = values;
  const server = createServer({ port: Number(values.port), hostname, path, handlers: demo, ...(origin && { origins: origin }) });
  await server.listening;
  console.log(`holdfast-server listens on ws://${hostname}:${server.port}${path}`);
  const stop = () => {
    console.log('shutting down');
    void server.close().then(() => process.exit(0));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

/** What it stands on is an optional dependency. */
function explain(error: NodeJS.ErrnoException): never {
  throw error.code === 'ERR_MODULE_NOT_FOUND' ? new Error('holdfast-server needs the ws package: npm install ws') : error;
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
