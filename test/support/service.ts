/** A `Client` and a server of its own over real sockets, with a proxy between them where wanted: all of it ends with the test. */

import { onTestFinished } from 'vitest';
import { WebSocket as WS } from 'ws';
import type { Anything, Contract } from '../../src/contract.ts';
import { Client, type ClientEventMap, type ClientOptions } from '../../src/index.ts';
import { createServer, type Server, type ServerOptions } from '../../src/server/index.ts';
import { FaultProxy } from './fault-proxy.ts';
import { type Frame, framesIn } from './link.ts';

/** Generous: reached only when something is broken. */
const DEADLINE = 10_000;
const TYPES = ['open', 'close', 'error', 'drop', 'unhandled'] as const;

/** A server on a port of its own; what it reports is in `errors`, as "where: message". */
export async function startServer<C extends Contract = Anything>(
  options: Partial<ServerOptions<C>> = {},
): Promise<{ readonly server: Server<C>; readonly errors: string[]; url(path?: string): string }> {
  const errors: string[] = [];
  const own = options.server ? {} : { port: 0, hostname: '127.0.0.1' };
  const server = createServer<C>({
    onerror: (error, where) => errors.push(`${where}: ${error instanceof Error ? error.message : String(error)}`),
    ...own,
    ...options,
  });
  onTestFinished(() => server.close({ drain: 0, retryAfter: 0 }));
  await server.listening;
  return { server, errors, url: (path = '/') => `ws://127.0.0.1:${server.port}${path}` };
}

/** The same with a proxy in front of it. */
export async function startService<C extends Contract = Anything>(
  options: Partial<ServerOptions<C>> = {},
): Promise<{ readonly server: Server<C>; readonly errors: string[]; readonly proxy: FaultProxy; readonly url: string }> {
  const { server, errors } = await startServer<C>(options);
  const proxy = await FaultProxy.start(server.port);
  onTestFinished(() => proxy.stop());
  return { server, errors, proxy, url: proxy.url('/') };
}

export interface Joined<C extends Contract> {
  readonly client: Client<C>;
  /** Lifecycle events but `statechange`, in order and in words, as in the tests over a link in memory. */
  readonly log: string[];
  /** Every socket made, the newest last. */
  readonly sockets: WS[];
  /** Frames that the client wrote, by socket. */
  readonly written: Frame[][];
}

/** A client that retries at once, and is gone when the test is over. */
export function join<C extends Contract = Anything>(url: string | (() => string), options: ClientOptions = {}): Joined<C> {
  const log: string[] = [];
  const sockets: WS[] = [];
  const written: Frame[][] = [];
  const client = new Client<C>(url, {
    backoff: () => 5,
    createSocket: (address, protocols) => {
      const socket = new WS(address, protocols);
      const frames: Frame[] = [];
      const send = socket.send.bind(socket);
      socket.send = (message: string | Uint8Array) => {
        frames.push(...framesIn(message));
        send(message);
      };
      sockets.push(socket);
      written.push(frames);
      return socket;
    },
    ...options,
  });
  for (const type of TYPES) client.addEventListener(type, (event) => void log.push(told(event)));
  onTestFinished(async () => {
    await client.close();
    for (const socket of sockets) socket.terminate();
  });
  return { client, log, sockets, written };
}

/** The next lifecycle event of that type (and of that kind, with `where`). */
export function heard<K extends keyof ClientEventMap, C extends Contract>(
  client: Client<C>,
  type: K,
  where: (event: ClientEventMap[K]) => boolean = () => true,
): Promise<ClientEventMap[K]> {
  return new Promise((resolve, reject) => {
    const overdue = setTimeout(() => {
      client.removeEventListener(type, listener);
      reject(new Error(`no such ${type} event within ${DEADLINE} ms; the state is ${JSON.stringify(client.state)}`));
    }, DEADLINE);
    const listener = (event: ClientEventMap[K]) => {
      if (!where(event)) return;
      clearTimeout(overdue);
      client.removeEventListener(type, listener);
      resolve(event);
    };
    client.addEventListener(type, listener);
  });
}

/** A plain socket of `ws` that says hello, or does not; what it heard, and how it ended. */
export interface Raw {
  readonly ws: WS;
  readonly frames: Frame[];
  /** Code and reason of its end. */
  readonly ended: Promise<readonly [number, string]>;
}

/** Connects without a client; resolves when it is open. */
export async function raw(url: string, { hello = false, protocols = [] as string[], headers = {} } = {}): Promise<Raw> {
  const ws = new WS(url, protocols, { headers });
  const frames: Frame[] = [];
  onTestFinished(() => ws.terminate());
  ws.on('message', (data: Buffer, isBinary) => frames.push(...framesIn(isBinary ? data : data.toString())));
  const ended = new Promise<readonly [number, string]>((resolve) => ws.on('close', (code, reason) => resolve([code, reason.toString()])));
  await new Promise((resolve, reject) => {
    ws.once('open', resolve);
    ws.once('error', reject);
  });
  ws.on('error', () => {}); // a close follows
  if (hello) ws.send(HELLO);
  return { ws, frames, ended };
}

/** The smallest hello there is. */
export const HELLO: string = JSON.stringify({
  type: 'hello',
  version: 1,
  features: ['calls', 'channels', 'binary'],
  limits: { message: 262_144, window: 256 },
  attempt: 0,
});

function told(event: ClientEventMap[(typeof TYPES)[number]]): string {
  if ('willReconnect' in event) return `close ${event.code} ${event.willReconnect ? 'again' : 'final'}`;
  if (event.type === 'drop' && 'reason' in event) return `drop ${event.kind} ${event.name} ${event.reason}`;
  if ('kind' in event) return `unhandled ${event.kind} ${event.name}`;
  if ('error' in event) return `error ${'code' in event.error ? event.error.code : event.error.message}`;
  return event.type;
}
