/** The options of `Client`: what they are, their defaults, and what they take. */

import type { AuthPlace } from './auth-place.ts';
import { boolean, type Check, Checker, callback, checkOptions, count, has, object, period } from './checks.ts';
import type { AttemptContext, ConnectionOptions } from './connection.ts';
import type { OutboxLimits } from './core/outbox.ts';
import { type CommonOptions, commonChecks, connectionOptions, MAX_BYTES, queueBounds } from './options.ts';
import { holdfast } from './wire/holdfast.ts';
import type { Protocol } from './wire/protocol.ts';

/**
 * Options of a {@link Client}. Durations are milliseconds, sizes are bytes. A bad value is a `TypeError` that names it; a name that is not
 * known is a warning.
 *
 * @example
 * const client = new Client('wss://example.com/live', {
 *   auth: () => localStorage.getItem('token'),
 *   outbox: { capacity: 1_000, overflow: 'drop-oldest' },
 *   maxRetries: 10,
 * });
 */
export interface ClientOptions extends CommonOptions {
  /** How the server is spoken to. @default the Holdfast protocol, {@link holdfast} */
  readonly protocol?: Protocol;
  /** `false`: no subprotocol is offered, for servers that refuse what they do not know. @default those of the protocol */
  readonly subprotocol?: false;
  /**
   * The credentials for the server: anything that JSON can carry, now or as a promise. Asked for on every attempt, and sent as `auth` of
   * the hello (docs/protocol.md, section Credentials), and again when the server asks for fresh ones, with `attempt` 0. Throwing an
   * {@link UnauthorizedError} ends in `closed` with the cause `unauthorized`; anything else that is thrown, and a promise that takes longer
   * than `authTimeout`, is a failed attempt (AUTH_FAILED). @default none
   */
  readonly auth?: (context: AttemptContext & { readonly signal: AbortSignal }) => unknown;
  /**
   * Where the credentials go when it connects, for servers and proxies that look for them before the hello: {@link inQuery},
   * {@link inSubprotocol}, or a function of yours. Fresh ones that a server asks for meanwhile go by frame in any case. @default the hello, the
   * first message
   */
  readonly authIn?: AuthPlace;
  /** Milliseconds that `auth` may take; then its `signal` is aborted. An attempt as a whole has `connectTimeout`. @default 10000 */
  readonly authTimeout?: number;
  /** Bounds of what waits to be written. @default 8 MiB, and an error when it is full */
  readonly outbox?: Partial<OutboxLimits>;
  /**
   * What becomes of events and published messages that were written and not acknowledged when a session is lost, so that nobody knows
   * whether they arrived. `resend`: they are sent again, first and in order, and may arrive twice. `drop`: each is a `drop` event with the
   * reason `session-lost`. With `resend`, too, one that has ended five sessions is given up, with the reason `poison`.
   * @default 'resend'
   */
  readonly unacknowledged?: 'resend' | 'drop';
  /** How long a call may take, the time in the outbox included, and the confirmation of a channel; Infinity for no limit. @default 30000 */
  readonly callTimeout?: number;
  /** The largest message taken from the server, 1024 or more. It is told; a larger one ends the connection (4003). @default 262144 */
  readonly messageLimit?: number;
  /** Calls by the server that run at the same time; more are refused with RESOURCE_EXHAUSTED. @default 256 */
  readonly maxConcurrentCalls?: number;
  /** Messages that wait for a `for await` loop, 1 or more; when there are more, the oldest go, each with a `drop` event. @default 256 */
  readonly iteratorBuffer?: number;
  /** How long the server may take to answer when there is reason for doubt (the page woke up, a timer came late). @default 3000 */
  readonly probeTimeout?: number;
}

/** The options with their defaults. */
export interface ClientSettings extends ConnectionOptions {
  readonly protocol: Protocol;
  readonly outbox: OutboxLimits;
  readonly authTimeout: number;
  readonly authIn?: AuthPlace;
  readonly unacknowledged: 'resend' | 'drop';
  readonly callTimeout: number;
  readonly messageLimit: number;
  readonly maxConcurrentCalls: number;
  readonly iteratorBuffer: number;
  readonly probeTimeout: number;
}

const checks: Record<keyof ClientOptions, Check> = {
  ...commonChecks,
  protocol: has('encode', 'decode', 'classify'),
  subprotocol: [(value) => value === false, 'false'],
  auth: callback,
  authTimeout: period,
  authIn: callback,
  outbox: object,
  unacknowledged: [(value) => value === 'resend' || value === 'drop', "'resend' or 'drop'"],
  callTimeout: period,
  messageLimit: [(value) => Number.isSafeInteger(value) && (value as number) >= 1_024, 'a whole number of bytes, 1024 or more'],
  maxConcurrentCalls: count,
  iteratorBuffer: [(value) => Number.isInteger(value) && (value as number) >= 1, 'a whole number, 1 or more'],
  probeTimeout: period,
};

const POLICIES: readonly unknown[] = ['throw', 'drop-oldest', 'drop-newest'];
const outboxChecks: Record<keyof OutboxLimits, Check> = {
  ...queueBounds,
  overflow: [(value) => POLICIES.includes(value), "'throw', 'drop-oldest' or 'drop-newest'"],
};

/** Checks the options and fills in the defaults. Throws TypeError at a bad value; warns once about names it does not know. */
export function settleClient(options: ClientOptions): ClientSettings {
  checkOptions(options);
  const checker = new Checker();
  const given = checker.given(options, checks);
  const outbox = checker.given(options.outbox, outboxChecks, 'outbox.');
  checker.warn();
  return {
    protocol: holdfast,
    authTimeout: 10_000,
    unacknowledged: 'resend',
    callTimeout: 30_000,
    messageLimit: 262_144,
    maxConcurrentCalls: 256,
    iteratorBuffer: 256,
    probeTimeout: 3_000,
    ...given,
    ...connectionOptions(given),
    outbox: { maxBytes: MAX_BYTES, capacity: Infinity, overflow: 'throw', ...outbox },
  };
}

const idempotent: Check = [(value) => typeof value === 'boolean' || (typeof value === 'string' && value !== ''), 'true, false or a key'];
const callChecks: Record<string, Check> = {
  timeout: period,
  signal: has('addEventListener', 'removeEventListener'),
  idempotent,
};
const waitingChecks: Record<string, Check> = {
  ttl: period,
  key: [(value) => typeof value === 'string', 'a string'],
  priority: [(value) => Number.isFinite(value), 'a number'],
};
const publishChecks = { ...waitingChecks, idempotent };
const sendChecks = { ...waitingChecks, volatile: boolean };
const EACH: Record<'call' | 'send' | 'publish', Record<string, Check>> = { call: callChecks, send: sendChecks, publish: publishChecks };

/** Checks what is given with a single message or call. */
export function checkEach<T extends object>(options: T, kind: 'call' | 'send' | 'publish'): T {
  const checker = new Checker();
  const given = checker.given(options, EACH[kind]);
  checker.warn();
  return given;
}
