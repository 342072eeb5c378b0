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
  /** How far it is known: both, or neither. */
  readonly epoch?: string;
  readonly offset?: number;
}

/** What became of a declaration or a subscribe. */
export interface SubscribeResult {
  readonly channel: string;
  /** Whether everything that was missed since the declared position follows. */
  readonly recovered?: boolean;
  /** Where the channel stands; both are missing where it keeps no history. */
  readonly epoch?: string;
  readonly offset?: number;
  readonly error?: WireError;
}

/** The session that a hello wants to go on with. */
export interface Resume {
  /** Its name. */
  readonly session: string;
  /** The secret that goes on with it. */
  readonly key: string;
  /** Rises with every hello of the session: one that comes late cannot replace a newer one. */
  readonly generation: number;
  /** The number of the last frame that was received. */
  readonly received: number;
}

export interface Hello {
  readonly type: 'hello';
  /** The highest version spoken. */
  readonly version: number;
  readonly features: readonly string[];
  readonly auth?: unknown;
  readonly resume?: Resume;
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
  /** With the feature `resume`: the session, and the secret that goes on with it. */
  readonly session?: string;
  readonly key?: string;
  /** The number of the last frame that was received, where the session goes on. */
  readonly received?: number;
  /** Milliseconds that the session outlives its connection. */
  readonly ttl?: number;
  /** Milliseconds that the outcome of an idempotent call is remembered; not at all where it is missing. */
  readonly idempotency?: number;
  /** Why the session does not go on, where the hello asked for it. */
  readonly error?: WireError;
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
  readonly received?: number;
}

/**
 * The number of a frame within its session and direction, from 1: every event, request, response, error, cancel, item, end, credit,
 * publish and skip has one where both sides offer `resume`, but volatile events, and answers to subscribe and unsubscribe.
 *
 * @inline
 */
export interface Numbered {
  readonly seq?: number;
}

export interface Request extends Numbered {
  readonly type: 'request';
  readonly id: number;
  readonly method: string;
  readonly params?: unknown;
  /** Milliseconds left when it was written. */
  readonly timeout?: number;
  /** The same key, method and principal are executed once. */
  readonly idempotencyKey?: string;
  /** The answer may be a stream of items, so many at first; where it is asked for once more, `cursor` is that of the last item. */
  readonly stream?: boolean;
  readonly credit?: number;
  readonly cursor?: unknown;
}

/** What both sides may send. */
export type CommonFrame =
  | { readonly type: 'ping'; readonly nonce?: number; readonly received?: number }
  | { readonly type: 'pong'; readonly nonce?: number; readonly received?: number }
  | { readonly type: 'ack'; readonly received: number }
  /** Nothing, with a number: a frame of an unknown type comes out as one too. */
  | { readonly type: 'skip'; readonly seq: number }
  | Bye
  | (Numbered & { readonly type: 'event'; readonly name: string; readonly data: unknown })
  | Request
  | (Numbered & { readonly type: 'response'; readonly id: number; readonly result?: unknown })
  | (Numbered & { readonly type: 'error'; readonly id: number; readonly error: WireError })
  | (Numbered & { readonly type: 'cancel'; readonly id: number })
  | (Numbered & { readonly type: 'item'; readonly id: number; readonly data: unknown; readonly cursor?: unknown })
  | (Numbered & { readonly type: 'end'; readonly id: number })
  | (Numbered & { readonly type: 'credit'; readonly id: number; readonly count: number });

/** What a client sends. */
export type ClientFrame =
  | CommonFrame
  | Hello
  | (Declaration & { readonly type: 'subscribe'; readonly id: number })
  | { readonly type: 'unsubscribe'; readonly id: number; readonly channel: string }
  | (Numbered & {
      readonly type: 'publish';
      readonly id?: number;
      readonly channel: string;
      readonly data: unknown;
      readonly idempotencyKey?: string;
    });

/**
 * What a server sends (docs/protocol.md, section Frames): what the `decode` of a {@link Protocol} returns. `CommonFrame` is ping, pong,
 * ack, skip, bye, event, request, response, error, cancel, item, end and credit; a `WireError` is `{ code, message?, data?, retryAfter? }`.
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
  item: 'data',
};

type PayloadField = 'data' | 'params' | 'result';
type WithoutPayload<F> = F extends { type: 'event' | 'publish' | 'message' | 'request' | 'response' | 'item' } ? Omit<F, PayloadField> : F;

/** A frame as it is sent (docs/protocol.md, section Frames). Its `data`, `params` or `result` is encoded already, and goes beside it. */
export type Outgoing<F extends Frame = Frame> = WithoutPayload<F>;

/** The frames that one side may receive, by type. `F` is what they make together. */
export interface Shapes<F extends Frame> {
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Never there: it only carries the type. */
  readonly frames?: F;
}

/** The answer to a ping: its nonce, and nothing else that came with it. */
export function pongTo({ nonce }: { readonly nonce?: number | null }): Outgoing<{ readonly type: 'pong'; readonly nonce?: number }> {
  return { type: 'pong', ...(typeof nonce === 'number' && { nonce }) };
}

type Guard = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Guard>>;

const text: Guard = (value) => typeof value === 'string';
const flag: Guard = (value) => typeof value === 'boolean';
const anything: Guard = () => true;
const present: Guard = (value) => value !== undefined;
const absent: Guard = (value) => value === undefined || value === null;
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
/** A number here would be missing in the count. */
const unnumbered = { seq: absent };
const numbered = { seq: maybe(id) };
/** A place in the history of a channel. */
const place = { epoch: maybe(text), offset: maybe(whole) };
const pings = { ...unnumbered, nonce: maybe(whole), received: maybe(whole) };

const COMMON: Readonly<Record<string, Shape>> = {
  ping: pings,
  pong: pings,
  ack: { ...unnumbered, received: whole },
  skip: { seq: id },
  bye: {
    ...unnumbered,
    code: whole,
    reason: maybe(text),
    reconnect: flag,
    resume: flag,
    retryAfter: maybe(milliseconds),
    received: maybe(whole),
  },
  event: { ...numbered, name: text, data: present },
  request: {
    ...numbered,
    id,
    method: text,
    timeout: maybe(milliseconds),
    idempotencyKey: maybe(text),
    stream: maybe(flag),
    credit: maybe(whole),
  },
  response: { ...numbered, id },
  error: { ...numbered, id, error },
  cancel: { ...numbered, id },
  item: { ...numbered, id, data: present },
  end: { ...numbered, id },
  credit: { ...numbered, id, count: id },
};

/** What a client may receive, by type. */
export const FROM_SERVER: Shapes<ServerFrame> = {
  shapes: {
    ...COMMON,
    welcome: {
      ...unnumbered,
      version: id,
      features: list(text),
      resumed: flag,
      session: maybe(text),
      key: maybe(text),
      received: maybe(whole),
      ttl: maybe(milliseconds),
      error: maybe(error),
      heartbeat: record({ interval: id, timeout: id }),
      limits,
      idempotency: maybe(milliseconds),
      subscriptions: maybe(list(record({ channel: text, recovered: maybe(flag), ...place, error: maybe(error) }))),
    },
    unsubscribe: { ...unnumbered, channel: text, error: maybe(error), resubscribe: maybe(flag) },
    message: { ...unnumbered, channel: text, data: present, offset: maybe(whole), from: maybe(text) },
  },
};

/** What a server may receive, by type. */
export const FROM_CLIENT: Shapes<ClientFrame> = {
  shapes: {
    ...COMMON,
    hello: {
      ...unnumbered,
      version: id,
      features: list(text),
      resume: maybe(record({ session: text, key: text, generation: whole, received: whole })),
      subscriptions: maybe(list(record({ channel: text, ...place }))),
      limits,
      attempt: whole,
      cause: maybe(text),
    },
    subscribe: { ...unnumbered, id, channel: text, ...place },
    unsubscribe: { ...unnumbered, id, channel: text },
    publish: { ...numbered, id: maybe(id), channel: text, data: present, idempotencyKey: maybe(text) },
  },
};

/**
 * Makes a frame of a value; undefined when its type is unknown, which is to be ignored. Where such a one has a number it counts all the
 * same, and is a skip.
 *
 * @throws ProtocolError when it is no frame, or a known one with a field missing or of the wrong type
 */
export function frameOf<F extends Frame>(value: unknown, { shapes }: Shapes<F>): F | undefined {
  if (!isRecord(value)) throw new ProtocolError('A frame is an object');
  const { type, seq } = value as { type?: unknown; seq?: unknown };
  if (typeof type !== 'string') throw new ProtocolError('A frame has a type');
  const known = Object.hasOwn(shapes, type);
  if (!known && absent(seq)) return undefined;
  const shape = shapes[known ? type : 'skip'] as Shape;
  const field = misfit(value, shape);
  if (field) throw new ProtocolError(`A frame of type ${type} has no valid "${field}"`);
  return (known ? value : { type: 'skip', seq }) as unknown as F;
}

/** The first field that does not fit. */
function misfit(value: Record<string, unknown>, shape: Shape): string | undefined {
  return Object.keys(shape).find((name) => !shape[name]?.(Object.hasOwn(value, name) ? value[name] : undefined));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
