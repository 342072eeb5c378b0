/** A `ReconnectingWebSocket` over real sockets, what it met on its way, and the things to meet: all of it ends with the test. */

import { onTestFinished, vi } from 'vitest';
import { WebSocket as WS } from 'ws';
import {
  type ReconnectingWebSocketOptions as Options,
  ReconnectingWebSocket,
  type ReconnectingWebSocketEventMap,
} from '../../src/index.ts';
import type { CreateSocket } from '../../src/io/web-socket.ts';
import { type Running, startEchoServer } from './echo-server.ts';
import { FaultProxy } from './fault-proxy.ts';

/** Generous: reached only when something is broken. */
const DEADLINE = 10_000;
const TYPES = ['open', 'message', 'error', 'close', 'drop'] as const;

type AnyEvent = ReconnectingWebSocketEventMap[keyof ReconnectingWebSocketEventMap];

/** How Node 20, which has no WebSocket of its own, gets one. */
export const createSocket: CreateSocket = (url, protocols) => new WS(url, protocols);

/** An echo server for this test. */
export async function serve(): Promise<Running> {
  const server = await startEchoServer();
  onTestFinished(() => server.stop());
  return server;
}

/** An echo server for this test and a proxy in front of it. */
export async function serveBehindProxy(): Promise<Running & { readonly proxy: FaultProxy }> {
  const server = await serve();
  const proxy = await FaultProxy.start(server.port);
  onTestFinished(() => proxy.stop());
  return { ...server, proxy };
}

export interface Observed {
  readonly ws: ReconnectingWebSocket;
  /** Every socket made, the newest last. */
  readonly sockets: WS[];
  /** Every event but `statechange`, in order and in words: "open", "message hi", "error CODE", "close 1006 again", "close 1000 final". */
  readonly log: string[];
  /** The data of every message, in order. */
  readonly messages: unknown[];
  readonly closes: ReconnectingWebSocketEventMap['close'][];
  readonly drops: ReconnectingWebSocketEventMap['drop'][];
}

/** A connection that retries at once, and is closed when the test is over. */
export function connect(url: ConstructorParameters<typeof ReconnectingWebSocket>[0], options: Options = {}): Observed {
  const sockets: WS[] = [];
  const ws = new ReconnectingWebSocket(url, {
    backoff: () => 5,
    createSocket: (address, protocols) => {
      const socket = new WS(address, protocols);
      sockets.push(socket);
      return socket;
    },
    ...options,
  });
  const observed: Observed = { ws, sockets, log: [], messages: [], closes: [], drops: [] };
  for (const type of TYPES) ws.addEventListener(type, (event: AnyEvent) => observed.log.push(told(event)));
  ws.addEventListener('message', ({ data }) => observed.messages.push(data));
  ws.addEventListener('close', (event) => observed.closes.push(event));
  ws.addEventListener('drop', (event) => observed.drops.push(event));
  onTestFinished(() => {
    ws.close();
    for (const socket of sockets) socket.terminate();
  });
  return observed;
}

function told(event: AnyEvent): string {
  if ('willReconnect' in event) return `close ${event.code} ${event.willReconnect ? 'again' : 'final'}`;
  if ('bytes' in event) return `drop ${event.data} ${event.reason}`;
  if (event instanceof MessageEvent) return `message ${event.data}`;
  if ('error' in event) return 'code' in event.error ? `error ${event.error.code}` : 'error';
  return event.type;
}

/** The next event of that type (and of that kind, with `where`). */
export function next<K extends keyof ReconnectingWebSocketEventMap>(
  ws: ReconnectingWebSocket,
  type: K,
  where: (event: ReconnectingWebSocketEventMap[K]) => boolean = () => true,
): Promise<ReconnectingWebSocketEventMap[K]> {
  return new Promise((resolve, reject) => {
    const done = new AbortController();
    const overdue = setTimeout(() => {
      done.abort();
      reject(new Error(`no such ${type} event within ${DEADLINE} ms; the state is ${JSON.stringify(ws.state)}`));
    }, DEADLINE);
    const listener = (event: ReconnectingWebSocketEventMap[K]) => {
      if (!where(event)) return;
      clearTimeout(overdue);
      done.abort();
      resolve(event);
    };
    ws.addEventListener(type, listener, { signal: done.signal });
  });
}

/** The last close event there will be. */
export function final(ws: ReconnectingWebSocket): Promise<ReconnectingWebSocketEventMap['close']> {
  return next(ws, 'close', ({ willReconnect }) => !willReconnect);
}

/** Until the assertions hold: for what announces itself by no event, such as the other side of a wire. */
export function until<T>(assertions: () => T): Promise<T> {
  return vi.waitFor(assertions, { timeout: DEADLINE, interval: 2 });
}

/** The first of these events on an emitter or a plain `ws` socket. */
export function once(source: Pick<NodeJS.EventEmitter, 'once'>, type: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const overdue = setTimeout(() => reject(new Error(`no ${type} within ${DEADLINE} ms`)), DEADLINE);
    source.once(type, (...args: unknown[]) => {
      clearTimeout(overdue);
      resolve(args);
    });
  });
}

/** Reproducible randomness: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
