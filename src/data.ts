/** What can be sent: what it becomes, how large it is, and a copy of it to keep. */

import { utf8Length } from './core/queue.ts';
import type { Data } from './io/web-socket.ts';

/** What `send` makes of its argument: data as it is, anything else as text (Web IDL union conversion). */
export function sendable(data: unknown): Data {
  if (typeof data === 'string') return data;
  const view = ArrayBuffer.isView(data);
  const tag = tagOf(view ? data.buffer : data);
  if (tag === 'SharedArrayBuffer') throw new TypeError('send() does not take shared memory.');
  // A Blob is known by what it can do: whichever window it comes from, and whoever made it (happy-dom).
  const { arrayBuffer, size } = (data ?? {}) as Partial<Blob>;
  const blob = typeof arrayBuffer === 'function' && typeof size === 'number';
  return blob || tag === 'ArrayBuffer' ? (data as Exclude<Data, string>) : `${data}`;
}

/** Its own copy: the caller may write to a buffer again, and what was sent is what it was when it was sent. */
export function copied(data: Data): Data {
  if (byteLength(data) === 0 && typeof data === 'object') return new ArrayBuffer(0); // what is detached cannot be copied
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return tagOf(data) === 'ArrayBuffer' ? (data as ArrayBuffer).slice(0) : data;
}

/** Bytes on the wire, text as UTF-8. */
export function byteLength(data: Data): number {
  if (typeof data === 'string') return utf8Length(data);
  return 'size' in data ? data.size : data.byteLength;
}

/** The class of a value, whichever window it comes from. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
