/**
 * The frames of the Holdfast protocol, version 1: what they are, and the guards that make them of what came over the wire.
 * docs/protocol.md says what they mean.
 */

import { ProtocolError } from '../errors.ts';

/** What each side takes: the largest message in bytes, and how many unacknowledged frames. */
export interface PeerLimits {
  readonly message: number;
  readonly window: number;
}

/** Why the other side said no. */
export interface WireError {
  readonly code: string;
  readonly message?: string;
  readonly data?: unknown;
  readonly retryAfter?: number;
}

/** A channel that a client wants, as hello declares it. */
export interface Declaration {
  readonly channel: string;
  readonly params?: unknown;
}

/** What became of a declaration or a subscribe. */
export interface SubscribeResult {
  readonly channel: string;
  readonly recovered?: boolean;
  readonly error?: WireError;
}

export interface Hello {
  readonly type: 'hello';
  /** The highest version spoken. */
  readonly version: number;
  readonly features: readonly string[];
  readonly auth?: unknown;
  readonly subscriptions?: readonly Declaration[];
  readonly limits: PeerLimits;
  /** Telemetry: consecutive failures, and how the connection before ended. */
  readonly attempt: number;
  readonly cause?: string;
}

export interface Welcome {
  readonly type: 'welcome';
  readonly version: number;
  /** What both sides offer. */
  readonly features: readonly string[];
  readonly resumed: boolean;
  readonly heartbeat: { readonly interval: number; readonly timeout: number };
  readonly limits: PeerLimits;
  readonly subscriptions?: readonly SubscribeResult[];
}

export interface Bye {
  readonly type: 'bye';
  readonly code: number;
  readonly reason?: string;
  readonly reconnect: boolean;
  readonly resume: boolean;
  readonly retryAfter?: number;
}

export interface Request {
  readonly type: 'request';
  readonly id: number;
  readonly method: string;
  readonly params?: unknown;
  /** Milliseconds left when it was written. */
  readonly timeout?: number;
}

/** What both sides may send. */
export type CommonFrame =
  | { readonly type: 'ping'; readonly nonce?: number }
  | { readonly type: 'pong'; readonly nonce?: number }
  | Bye
  | { readonly type: 'event'; readonly name: string; readonly data: unknown }
  | Request
  | { readonly type: 'response'; readonly id: number; readonly result?: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError }
  | { readonly type: 'cancel'; readonly id: number };

/** What a client sends. */
export type ClientFrame =
  | CommonFrame
  | Hello
  | { readonly type: 'subscribe'; readonly id: number; readonly channel: string; readonly params?: unknown }
  | { readonly type: 'unsubscribe'; readonly id: number; readonly channel: string }
  | { readonly type: 'publish'; readonly id?: number; readonly channel: string; readonly data: unknown };

/**
 * What a server sends (docs/protocol.md, section Frames): what the `decode` of a {@link Protocol} returns. `CommonFrame` is ping, pong,
 * bye, event, request, response, error and cancel; a `WireError` is `{ code, message?, data?, retryAfter? }`.
 */
export type ServerFrame =
  | CommonFrame
  | Welcome
  | {
      readonly type: 'unsubscribe';
      /** The name of the channel. */
      readonly channel: string;
      /** Why the server ended it. */
      readonly error?: WireError;
      /** Whether the client is to ask for it again. */
      readonly resubscribe?: boolean;
    }
  | {
      readonly type: 'message';
      /** The name of the channel. */
      readonly channel: string;
      /** What was published. */
      readonly data: unknown;
      /** Its place in the history of the channel. */
      readonly offset?: number;
      /** Who published it. */
      readonly from?: string;
    };

export type Frame = ClientFrame | ServerFrame;

/** Where the user's payload stands in a frame; binary payloads may stand nowhere else. */
export const PAYLOAD_FIELDS: Readonly<Record<string, string>> = {
  event: 'data',
  publish: 'data',
  message: 'data',
  request: 'params',
  response: 'result',
};

type PayloadField = 'data' | 'params' | 'result';
type WithoutPayload<F> = F extends { type: 'event' | 'publish' | 'message' | 'request' | 'response' } ? Omit<F, PayloadField> : F;

/** A frame as it is sent (docs/protocol.md, section Frames). Its `data`, `params` or `result` is encoded already, and goes beside it. */
export type Outgoing<F extends Frame = Frame> = WithoutPayload<F>;

/** The frames that one side may receive, by type. `F` is what they make together. */
export interface Shapes<F extends Frame> {
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Never there: it only carries the type. */
  readonly frames?: F;
}

/** The answer to a ping: its nonce and nothing else that came with it. */
export function pongTo({ nonce }: { readonly nonce?: number | null }): Outgoing {
  return { type: 'pong', ...(typeof nonce === 'number' && { nonce }) };
}

type Guard = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Guard>>;

const text: Guard = (value) => typeof value === 'string';
const flag: Guard = (value) => typeof value === 'boolean';
const anything: Guard = () => true;
const present: Guard = (value) => value !== undefined;
const whole: Guard = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const id: Guard = (value) => whole(value) && value !== 0;
const milliseconds: Guard = (value) => Number.isFinite(value) && (value as number) >= 0;
/** Absent, or null: some languages cannot leave a field out. */
const maybe =
  (guard: Guard): Guard =>
  (value) =>
    value === undefined || value === null || guard(value);
const list =
  (guard: Guard): Guard =>
  (value) =>
    Array.isArray(value) && value.every(guard);
const record =
  (shape: Shape): Guard =>
  (value) =>
    isRecord(value) && misfit(value, shape) === undefined;

const limits = record({ message: id, window: whole });
const error = record({ code: text, message: maybe(text), data: anything, retryAfter: maybe(milliseconds) });
const pings = { nonce: maybe(whole) };

const COMMON: Readonly<Record<string, Shape>> = {
  ping: pings,
  pong: pings,
  bye: { code: whole, reason: maybe(text), reconnect: flag, resume: flag, retryAfter: maybe(milliseconds) },
  event: { name: text, data: present },
  request: { id, method: text, timeout: maybe(milliseconds) },
  response: { id },
  error: { id, error },
  cancel: { id },
};

/** What a client may receive, by type. */
export const FROM_SERVER: Shapes<ServerFrame> = {
  shapes: {
    ...COMMON,
    welcome: {
      version: id,
      features: list(text),
      resumed: flag,
      heartbeat: record({ interval: id, timeout: id }),
      limits,
      subscriptions: maybe(list(record({ channel: text, recovered: maybe(flag), error: maybe(error) }))),
    },
    unsubscribe: { channel: text, error: maybe(error), resubscribe: maybe(flag) },
    message: { channel: text, data: present, offset: maybe(whole), from: maybe(text) },
  },
};

/** What a server may receive, by type. */
export const FROM_CLIENT: Shapes<ClientFrame> = {
  shapes: {
    ...COMMON,
    hello: {
      version: id,
      features: list(text),
      subscriptions: maybe(list(record({ channel: text }))),
      limits,
      attempt: whole,
      cause: maybe(text),
    },
    subscribe: { id, channel: text },
    unsubscribe: { id, channel: text },
    publish: { id: maybe(id), channel: text, data: present },
  },
};

/**
 * Makes a frame of a value; undefined when its type is unknown, which is to be ignored.
 *
 * @throws ProtocolError when it is no frame, or a known one with a field missing or of the wrong type
 */
export function frameOf<F extends Frame>(value: unknown, { shapes }: Shapes<F>): F | undefined {
  if (!isRecord(value)) throw new ProtocolError('A frame is an object');
  const { type } = value;
  if (typeof type !== 'string') throw new ProtocolError('A frame has a type');
  const shape = Object.hasOwn(shapes, type) ? shapes[type] : undefined;
  if (!shape) return undefined;
  const field = misfit(value, shape);
  if (field) throw new ProtocolError(`A frame of type ${type} has no valid "${field}"`);
  return value as unknown as F;
}

/** The first field that does not fit. */
function misfit(value: Record<string, unknown>, shape: Shape): string | undefined {
  return Object.keys(shape).find((name) => !shape[name]?.(Object.hasOwn(value, name) ? value[name] : undefined));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
