/** The guards that make frames of what came over the wire (docs/protocol.md, section Frames). */

import { ProtocolError } from '../errors.ts';
import type { ClientFrame, Frame, ServerFrame } from './frames.ts';

/** The frames that one side may receive, by type. `F` is what they make together. */
export interface Shapes<F extends Frame> {
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Never there: it only carries the type. */
  readonly frames?: F;
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
const pongs = { ...unnumbered, nonce: maybe(whole), received: maybe(whole) };

const COMMON: Readonly<Record<string, Shape>> = {
  ping: { ...pongs, next: maybe(whole) },
  pong: pongs,
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
    upload: maybe(flag),
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
      identity: maybe(text),
      heartbeat: record({ interval: id, timeout: id }),
      limits,
      idempotency: maybe(milliseconds),
      subscriptions: maybe(list(record({ channel: text, recovered: maybe(flag), ...place, error: maybe(error) }))),
    },
    unsubscribe: { ...unnumbered, channel: text, error: maybe(error), resubscribe: maybe(flag) },
    message: { ...unnumbered, channel: text, data: present, offset: maybe(whole), from: maybe(text) },
    presence: {
      ...unnumbered,
      channel: text,
      set: maybe(list(record({ id: text, from: maybe(text), data: present }))),
      gone: maybe(list(text)),
      snapshot: maybe(flag),
      more: maybe(flag),
    },
    grant: { ...numbered, id, count: id },
    auth: { ...unnumbered, within: milliseconds },
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
    presence: { ...unnumbered, id, channel: text, watch: flag, here: flag },
    chunk: { ...numbered, id, data: present },
    finish: { ...numbered, id },
    auth: { ...unnumbered, id },
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
