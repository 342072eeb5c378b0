/** What the tests of uploads share: handlers and sources that note what becomes of them, and what went over the wire, in words. */

import type { HandlerContext } from '../../src/server/options.ts';
import { framesIn, type LinkSocket, type Pair } from './link.ts';

type Context = Pick<HandlerContext, 'signal' | 'upload'>;
type Message = LinkSocket['sent'][number];

const codeOf = (error: unknown) => (error as { code?: unknown } | undefined)?.code ?? error;

/** A handler that reads everything, notes what comes, and returns how many items that were. */
export function storing() {
  const seen = { begun: 0, ended: 0, items: [] as unknown[], thrown: [] as unknown[], aborts: [] as unknown[] };
  async function handler(_params: unknown, { signal, upload }: Context): Promise<number> {
    seen.begun++;
    signal.addEventListener('abort', () => seen.aborts.push(codeOf(signal.reason)));
    let count = 0;
    try {
      for await (const item of upload) {
        seen.items.push(item);
        count++;
      }
    } catch (error) {
      seen.thrown.push(codeOf(error));
      throw error;
    } finally {
      seen.ended++;
    }
    return count;
  }
  return { handler, seen };
}

/** One call of a handler that does what the test says. */
export interface Led {
  readonly params: unknown;
  readonly signal: AbortSignal;
  readonly items: AsyncIterator<unknown>;
  answer(result: unknown): void;
  fail(error: unknown): void;
  /** Reads so many items. */
  read(count: number): Promise<unknown[]>;
}

/** A handler that does what the test says, call by call. */
export function led() {
  const calls: Led[] = [];
  const handler = (params: unknown, { signal, upload }: Context) =>
    new Promise((answer, fail) => {
      const items = upload[Symbol.asyncIterator]();
      const read = async (count: number) => {
        const got: unknown[] = [];
        while (got.length < count) got.push((await items.next()).value);
        return got;
      };
      calls.push({ params, signal, items, answer, fail, read });
    });
  return { handler, calls };
}

/** The numbers from 1 on, and what becomes of whom they come from: how many were read, and how it was left. */
export function numbered(count: number) {
  const seen = { read: 0, left: 0, ended: 0 };
  async function* numbers() {
    let isDone = false;
    try {
      while (seen.read < count) yield ++seen.read;
      isDone = true;
    } finally {
      if (isDone) seen.ended++;
      else seen.left++;
    }
  }
  return { source: numbers(), seen };
}

/** A stream that gives nothing but what the test says, and notes why it is cancelled. */
export function stalled() {
  const cancelled: unknown[] = [];
  const feed: { give(value: unknown): void; end(): void; fail(error: unknown): void } = { give: () => {}, end: () => {}, fail: () => {} };
  const source = new ReadableStream<unknown>(
    {
      start: (controller) => {
        feed.give = (value) => controller.enqueue(value);
        feed.end = () => controller.close();
        feed.fail = (error) => controller.error(error);
      },
      cancel: (reason) => void cancelled.push(reason),
    },
    { highWaterMark: 0 },
  );
  return { source, feed, cancelled };
}

/** Bytes that look like nothing in particular, the same ones each time. */
export function someBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = 7;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

/** Bytes of a message behind its separator. */
function payloadOf(message: Message): number | undefined {
  if (typeof message === 'string') return undefined;
  const bytes = new Uint8Array(message);
  return bytes.length - bytes.indexOf(0xff) - 1;
}

/**
 * Frames of a message in words: "upload store", "chunk 16384 B", "chunk {"a":1}", "finish", "grant 16", "cancel", "call echo", "event note",
 * "response", "error CANCELLED", "skip"; others have none.
 */
export function words(message: Message): string[] {
  return framesIn(message).flatMap(({ type, upload, method, name, data, count, error }) => {
    if (type === 'request') return [`${upload ? 'upload' : 'call'} ${method}`];
    if (type === 'chunk') return [`chunk ${typeof message === 'string' ? JSON.stringify(data) : `${payloadOf(message)} B`}`];
    if (type === 'grant') return [`grant ${count}`];
    if (type === 'event') return [`event ${name}`];
    if (type === 'error') return [`error ${(error as { code: string }).code}`];
    return ['cancel', 'finish', 'response', 'skip'].includes(type) ? [type] : [];
  });
}

/** What the client said on a connection, and what it was told. */
export const said = (p: Pair, socket: LinkSocket = p.socket) => socket.sent.flatMap(words);
export const heard = (p: Pair, socket: LinkSocket = p.socket) => socket.received.flatMap(words);

/** How many of those words begin like that. */
export const countOf = (log: readonly string[], beginning: string) => log.filter((line) => line.startsWith(beginning)).length;

/** All that goes over a socket from now on, both ways, in one order. */
export function overheard(socket: LinkSocket): string[] {
  const log: string[] = [];
  const { send, deliver } = socket;
  socket.send = (message) => {
    log.push(...words(message));
    send.call(socket, message);
  };
  socket.deliver = (message) => {
    log.push(...words(message));
    deliver.call(socket, message);
  };
  return log;
}

/** Credit as it is seen on the wire: how much was granted, how much of it came, and the most that was ever under way or unread. */
export function creditIn(log: readonly string[]) {
  const credit = { granted: 0, sent: 0, overdrawn: 0 };
  for (const line of log) {
    if (line.startsWith('grant ')) credit.granted += Number(line.slice(6));
    if (line.startsWith('chunk ') && ++credit.sent > credit.granted) credit.overdrawn++;
  }
  return credit;
}
