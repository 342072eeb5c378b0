/**
 * Between values and messages: JSON in text messages; a frame with a binary payload as one binary message, its JSON first, then one byte
 * 0xFF, which cannot occur in UTF-8, then the raw bytes.
 */

import { utf8Length } from '../core/queue.ts';
import { ProtocolError } from '../errors.ts';
import { type Frame, type Outgoing, PAYLOAD_FIELDS } from './frames.ts';
import { frameOf, type Shapes } from './shapes.ts';

/** The user's data as it goes out: JSON, or bytes. Encoded when it is handed over, so that later changes to the value do not matter. */
export type Payload = string | Uint8Array<ArrayBuffer>;

/** A WebSocket message: text, or bytes. */
export type Message = string | Uint8Array<ArrayBuffer>;

/** Most frames in one message. */
export const MAX_BATCH = 64;

const SEPARATOR = 0xff;

/**
 * Encodes a value; undefined stays undefined.
 *
 * @throws TypeError at what JSON cannot carry: cycles, BigInt, functions, symbols, Blobs
 */
export function encodePayload(value: unknown): Payload | undefined {
  if (value === undefined) return undefined;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  if (isBuffer(value)) return new Uint8Array(value).slice();
  if (/^(Blob|File)$/.test(tagOf(value))) throw new TypeError('A Blob cannot be sent: send `await blob.arrayBuffer()`');
  if (tagOf(value) === 'SharedArrayBuffer') throw new TypeError('Shared memory cannot be sent: send a copy');
  const json = stringify(value);
  if (json === undefined) throw new TypeError(`A ${typeof value} cannot be sent`);
  return json;
}

function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) throw new TypeError('What is nested so deeply cannot be sent', { cause: error });
    throw error;
  }
}

/** The value that the other side gets. */
export function decodePayload(payload: Payload | undefined): unknown {
  return typeof payload === 'string' ? JSON.parse(payload) : payload;
}

/** Bytes of a message or payload, text as UTF-8. */
export function bytesOf(message: unknown): number {
  return typeof message === 'string' ? utf8Length(message) : ((message as { byteLength?: number } | null | undefined)?.byteLength ?? 0);
}

/** Encodes a frame with its number, where it has one, and its payload. */
export function encodeFrame(frame: Outgoing, payload: Payload | undefined, seq?: number): Message {
  const head = JSON.stringify(frame).slice(0, -1) + (seq === undefined ? '' : `,"seq":${seq}`);
  if (typeof payload === 'string') return `${head},"${PAYLOAD_FIELDS[frame.type]}":${payload}}`;
  if (payload === undefined) return `${head}}`;
  const start = new TextEncoder().encode(`${head}}`);
  const message = new Uint8Array(start.length + 1 + payload.length);
  message.set(start);
  message[start.length] = SEPARATOR;
  message.set(payload, start.length + 1);
  return message;
}

/**
 * The frames of a message, one after the other: those before a malformed one are handed out, then it throws.
 *
 * @throws ProtocolError at a message or frame that the protocol does not allow
 */
export function* decodeFrames<F extends Frame>(message: unknown, shapes: Shapes<F>): Generator<F> {
  const values = typeof message === 'string' ? split(parse(message)) : [binary(message, shapes)];
  for (const value of values) {
    const frame = frameOf(value, shapes);
    if (frame) yield frame;
  }
}

function split(value: unknown): unknown[] {
  if (!Array.isArray(value)) return [value];
  if (value.length === 0 || value.length > MAX_BATCH) throw new ProtocolError(`A batch has 1 to ${MAX_BATCH} frames`);
  return value;
}

/** A binary message: the frame, with the bytes after the separator where its payload stands. */
function binary(message: unknown, { shapes }: Shapes<Frame>): unknown {
  const view = ArrayBuffer.isView(message);
  if (!view && !isBuffer(message)) throw new ProtocolError('A message is text or binary');
  const bytes = view ? new Uint8Array(message.buffer, message.byteOffset, message.byteLength) : new Uint8Array(message);
  const end = bytes.indexOf(SEPARATOR);
  if (end < 0) throw new ProtocolError('A binary message has a separator');
  const frame = parse(utf8(bytes.subarray(0, end)));
  const type: unknown = (frame as { type?: unknown } | null)?.type;
  const field = typeof type === 'string' && Object.hasOwn(PAYLOAD_FIELDS, type) ? PAYLOAD_FIELDS[type] : undefined;
  if (typeof type === 'string' && !Object.hasOwn(shapes, type)) return frame; // of a type to come, perhaps
  if (field === undefined || Array.isArray(frame)) throw new ProtocolError('Only a frame with a payload can be binary');
  return { ...(frame as object), [field]: bytes.slice(end + 1) };
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ProtocolError('A binary message begins with UTF-8');
  }
}

/** Parses JSON without letting `__proto__` in: whoever copies such an object would change the prototype of the copy. */
function parse(json: string): unknown {
  try {
    return /__proto__|\\u00(5f|6f|7[024])/i.test(json) ? JSON.parse(json, dropProto) : JSON.parse(json);
  } catch {
    throw new ProtocolError('A message is JSON');
  }
}

function dropProto(this: unknown, key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value;
}

/** Whichever window it comes from. */
function isBuffer(value: unknown): value is ArrayBuffer {
  return tagOf(value) === 'ArrayBuffer';
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
