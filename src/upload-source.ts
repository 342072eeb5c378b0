/** What can be uploaded, as items: bytes are cut, other values are items as they are. */

import { show } from './checks.ts';
import { MessageTooLargeError } from './errors.ts';
import { bytesOf, encodePayload, type Payload } from './wire/codec.ts';

/**
 * What can be uploaded: bytes as a whole (a `File`, say; what is no Blob is copied at once), or a stream, generator or array of bytes and of
 * values that JSON can carry. Bytes are cut as it suits; each other value is an item of its own, of up to 64 KiB.
 */
export type UploadSource = Blob | ArrayBuffer | ArrayBufferView | ReadableStream<unknown> | AsyncIterable<unknown> | Iterable<unknown>;

type Bytes = Blob | ArrayBuffer | ArrayBufferView;

/** Most bytes of an item. */
export const MAX_ITEM = 65_536;

/** Bytes of all of it, where that is known. */
export function sizeOf(source: unknown): number | undefined {
  if (isBlob(source)) return source.size;
  return ArrayBuffer.isView(source) || isBuffer(source) ? source.byteLength : undefined;
}

/** The items of a source, encoded, and how to leave it. */
export interface Items {
  readonly payloads: AsyncIterator<Payload, void>;
  leave(): void;
}

/** @throws TypeError at what is no source */
export function itemsOf(source: UploadSource, size: number): Items {
  const whole = sizeOf(source) !== undefined;
  const values = whole ? [isBlob(source) ? source : encodePayload(source)].values() : iteratorOf(source);
  const guarded = new Leaving(values);
  const payloads = cut(guarded, size);
  const leave = () => {
    for (const left of [guarded, payloads]) left.return().catch(() => {}); // nobody waits for how it ends
  };
  return { payloads, leave };
}

/** An iterator that is left once, also while it is waited for, and not at all where it is done. */
class Leaving implements AsyncIterableIterator<unknown> {
  readonly #values: AsyncIterator<unknown> | Iterator<unknown>;
  #isOver = false;

  constructor(values: AsyncIterator<unknown> | Iterator<unknown>) {
    this.#values = values;
  }

  async next(): Promise<IteratorResult<unknown>> {
    try {
      const result = await this.#values.next();
      if (result.done) this.#isOver = true;
      return result;
    } catch (error) {
      this.#isOver = true;
      throw error;
    }
  }

  async return(): Promise<IteratorResult<unknown>> {
    const wasOver = this.#isOver;
    this.#isOver = true;
    if (!wasOver) await this.#values.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
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

async function* cut(source: AsyncIterable<unknown>, size: number): AsyncGenerator<Payload, void, void> {
  for await (const item of source) {
    const value = await item;
    const total = sizeOf(value);
    if (total === undefined) yield itemOf(value);
    else for (let at = 0; at < total; at += size) yield new Uint8Array(await slice(value as Bytes, at, Math.min(at + size, total)));
  }
}

/** A copy of some bytes. */
function slice(value: Bytes, from: number, to: number): ArrayBuffer | Promise<ArrayBuffer> {
  if (isBlob(value)) return value.slice(from, to).arrayBuffer();
  const bytes = ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
  return bytes.slice(from, to).buffer as ArrayBuffer;
}

function itemOf(value: unknown): Payload {
  const payload = encodePayload(value) ?? 'null';
  const bytes = bytesOf(payload);
  if (bytes > MAX_ITEM) throw new MessageTooLargeError(bytes, MAX_ITEM);
  return payload;
}

/** By what it can do: not every Blob is one of this window's. */
function isBlob(value: unknown): value is Blob {
  const { size, slice, arrayBuffer } = Object(value) as Partial<Blob>;
  return typeof size === 'number' && typeof slice === 'function' && typeof arrayBuffer === 'function';
}

function isBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]';
}
