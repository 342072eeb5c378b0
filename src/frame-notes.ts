/** What may be said of a message in a log: types, numbers, names and sizes of its frames. Credentials and secrets never. */

import { bytesOf } from './wire/codec.ts';
import { PAYLOAD_FIELDS } from './wire/frames.ts';

/** A frame, as a log shows it. */
export interface FrameNote {
  /** `event`, `request`, `ping` and so on. */
  readonly type: string;
  /** Its number in the session. */
  readonly seq?: number;
  /** Of a call, and what belongs to it. */
  readonly id?: number;
  /** The name of the event, method or channel. */
  readonly name?: string;
  /** Of a ping and its pong. */
  readonly nonce?: number;
  /** The close code of a bye. */
  readonly code?: number;
  /** How far the other end is, in an acknowledgement. */
  readonly received?: number;
  /** The data, parameters or result, as JSON that is cut after 1000 characters; only where payloads were asked for. */
  readonly payload?: string;
}

const LONGEST_PAYLOAD = 1_000;
/** Frames of a message that are noted, and characters of a name: neither end of ours writes more into one message. */
const MOST = 64;
const LONGEST_NAME = 100;
/** Beyond this a message is not looked into. */
const LARGEST = 1_048_576;

/** The frames of a message; none where it is not one of the Holdfast protocol, or too large to be looked into. */
export function notesOf(message: unknown, payloads: boolean): FrameNote[] {
  if (bytesOf(message) > LARGEST) return [];
  const value = parse(textOf(message));
  return (Array.isArray(value) ? value.slice(0, MOST) : [value]).flatMap((frame: unknown) => noteOf(frame, payloads) ?? []);
}

function noteOf(frame: unknown, payloads: boolean): FrameNote | undefined {
  if (typeof frame !== 'object' || frame === null) return undefined;
  const { type, seq, id, name, method, channel, code, received, nonce, ...rest } = frame as Record<string, unknown>;
  if (typeof type !== 'string') return undefined;
  const called = [name, method, channel].find((each) => typeof each === 'string');
  const field = Object.hasOwn(PAYLOAD_FIELDS, type) ? PAYLOAD_FIELDS[type] : undefined;
  const payload = payloads && field !== undefined && rest[field] !== undefined ? JSON.stringify(rest[field]) : undefined;
  return {
    type: type.slice(0, LONGEST_NAME),
    ...numbers({ seq, id, nonce, code, received }),
    ...(called !== undefined && { name: String(called).slice(0, LONGEST_NAME) }),
    ...(payload !== undefined && { payload: payload.length > LONGEST_PAYLOAD ? `${payload.slice(0, LONGEST_PAYLOAD)}…` : payload }),
  };
}

function numbers(fields: Record<string, unknown>): Record<string, number> {
  return Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
}

/** The part of a message that is JSON: a binary one has its frame before the first byte 0xFF. */
function textOf(message: unknown): string {
  if (typeof message === 'string') return message;
  const isView = ArrayBuffer.isView(message);
  if (!isView && !(message instanceof ArrayBuffer)) return '';
  const bytes = isView ? new Uint8Array(message.buffer, message.byteOffset, message.byteLength) : new Uint8Array(message);
  const end = bytes.indexOf(0xff);
  return end < 0 ? '' : new TextDecoder().decode(bytes.subarray(0, end));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
