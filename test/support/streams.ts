/** What the tests of streams share: handlers that note what becomes of them, loops, and what went over the wire. */

import type { Client } from '../../src/client.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import type { HandlerContext, HostOptions } from '../../src/server/options.ts';
import { type StreamOptions, stream } from '../../src/stream.ts';
import { StreamItem } from '../../src/streaming.ts';
import { type Frame, framesIn, type LinkSocket, type Pair, pair } from './link.ts';

/** A handler that yields the numbers from 1 on, and notes what becomes of it. */
export function counting(count: number, { cursors = false } = {}) {
  const seen = { begun: [] as unknown[], yielded: 0, ended: 0, aborts: [] as unknown[] };
  async function* handler(_params: unknown, { signal, cursor }: Pick<HandlerContext, 'signal' | 'cursor'>) {
    seen.begun.push(cursor);
    signal.addEventListener('abort', () => seen.aborts.push((signal.reason as { code?: string }).code));
    try {
      for (let i = Number(cursor ?? 0) + 1; i <= count; i++) {
        seen.yielded = i;
        yield cursors ? new StreamItem(i, i) : i;
      }
    } finally {
      seen.ended++;
    }
  }
  return { handler, seen };
}

/** More items than any test reads: one that goes wrong comes to an end all the same. */
export const ENDLESS = 5_000;

export const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** Everything that a stream gives, and how it ends: an error is the last. */
export async function collected(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  try {
    for await (const item of items) all.push(item);
  } catch (error) {
    all.push(error);
  }
  return all;
}

type Methods = NonNullable<NonNullable<HostOptions['handlers']>['methods']>;

/** A pair that is connected, whose server has these methods. */
export async function serving(methods: Methods, options: ClientOptions = {}, server: HostOptions = {}) {
  const p = pair(options, { ...server, handlers: { methods } });
  await p.settle();
  return p;
}

/** The same with `numbers`, which counts. */
export async function countingUp(count: number, options: ClientOptions = {}, server: HostOptions = {}) {
  const { handler, seen } = counting(count);
  const p = await serving({ numbers: handler, echo: (params) => params }, options, server);
  return { p, seen };
}

/** Asks for `numbers`, and collects. */
export const numbers = (client: Client, options: StreamOptions = {}) => collected(stream(client, 'numbers', undefined, options));

/** Frames about streams on a connection, in words: "request 32", "item 1", "credit 16", "cancel", "end", "error CANCELLED". */
export function spoken(frames: readonly Frame[]): string[] {
  return frames.flatMap(({ type, stream: isStream, credit, data, count, error }) => {
    if (type === 'request') return [isStream ? `request ${credit}` : 'request'];
    if (type === 'item') return [`item ${data}`];
    if (type === 'credit') return [`credit ${count}`];
    if (type === 'error') return [`error ${(error as { code: string }).code}`];
    return ['cancel', 'end', 'response'].includes(type) ? [type] : [];
  });
}

/** What the client said about streams on a connection, and what it was told. */
export const said = (p: Pair, socket: LinkSocket = p.socket) => spoken(socket.sent.flatMap(framesIn));
export const heard = (p: Pair, socket: LinkSocket = p.socket) => spoken(socket.received.flatMap(framesIn));

/** All that goes over a socket from now on, both ways, in one order. */
export function overheard(socket: LinkSocket): string[] {
  const log: string[] = [];
  const { send, deliver } = socket;
  socket.send = (message) => {
    log.push(...spoken(framesIn(message)));
    send.call(socket, message);
  };
  socket.deliver = (message) => {
    log.push(...spoken(framesIn(message)));
    deliver.call(socket, message);
  };
  return log;
}
