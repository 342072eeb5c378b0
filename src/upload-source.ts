/** What can be uploaded, as items: bytes are cut, other values are items as they are. */

import { show } from './checks.ts';
import { MessageTooLargeError } from './errors.ts';
import { bytesOf, encodePayload, type Payload } from './wire/codec.ts';

/**
 * What can be uploaded: bytes as a whole (a `File`, say), or a stream, generator or array of bytes and of values that JSON can carry. Bytes
 * are cut as it suits; each other value is an item of its own, of up to 64 KiB.
 */
export type UploadSource = Blob | ArrayBuffer | ArrayBufferView | ReadableStream<unknown> | AsyncIterable<unknown> | Iterable<unknown>;

/** Most bytes of an item. */
export const MAX_ITEM = 65_536;

/** Bytes of all of it, where that is known. */
export function sizeOf(source: unknown): number | undefined {
  if (isBlob(source)) return source.size;
  return ArrayBuffer.isView(source) || isBuffer(source) ? source.byteLength : undefined;
}

/** The items of a source, encoded, and how to leave it. */
export interface Items {
  readonly payloads: AsyncIterator<Payload>;
  leave(): void;
}

/** @throws TypeError at what is no source */
export function itemsOf(source: UploadSource, size: number): Items {
  const values = sizeOf(source) === undefined ? iteratorOf(source) : [source].values();
  const payloads = cut({ [Symbol.asyncIterator]: () => values as AsyncIterator<unknown> }, size);
  const leave = () => {
    for (const left of [values, payloads])
      void Promise.resolve()
        .then(() => left.return?.())
        .catch(() => {}); // nobody waits for how it ends
  };
  return { payloads, leave };
}

/** Of a stream not its own iterator: not every browser has one, and it cannot be left while it waits. */
function iteratorOf(source: UploadSource): AsyncIterator<unknown> | Iterator<unknown> {
  const {
    getReader,
    [Symbol.asyncIterator]: async,
    [Symbol.iterator]: sync,
  } = Object(source) as Partial<ReadableStream<unknown> & AsyncIterable<unknown> & Iterable<unknown>>;
  if (typeof getReader === 'function') {
    const reader = (source as ReadableStream<unknown>).getReader();
    return {
      next: () => reader.read() as Promise<IteratorResult<unknown>>,
      return: (value) => reader.cancel().then(() => ({ done: true, value })),
    };
  }
  const iterate: unknown = async ?? sync;
  if (typeof source !== 'string' && typeof iterate === 'function') return iterate.call(source) as Iterator<unknown>;
  throw new TypeError(`upload() takes a Blob, bytes, a stream, or what can be iterated, but got ${show(source)}`);
}

async function* cut(source: AsyncIterable<unknown>, size: number): AsyncGenerator<Payload, void> {
  for await (const item of source) {
    const value = await item;
    if (isBlob(value)) {
      for (let at = 0; at < value.size; at += size) yield new Uint8Array(await value.slice(at, at + size).arrayBuffer());
      continue;
    }
    const payload = encodePayload(value) ?? 'null';
    if (typeof payload !== 'string') for (let at = 0; at < payload.length; at += size) yield payload.slice(at, at + size);
    else if (bytesOf(payload) <= MAX_ITEM) yield payload;
    else throw new MessageTooLargeError(bytesOf(payload), MAX_ITEM);
  }
}

/** By what it can do: not every Blob is one of this window's. */
function isBlob(value: unknown): value is Blob {
  const { size, slice, arrayBuffer } = Object(value) as Partial<Blob>;
  return typeof size === 'number' && typeof slice === 'function' && typeof arrayBuffer === 'function';
}

function isBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]';
}
