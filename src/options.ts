/** The options: what they are, their defaults, and what they take. Those of every face first, then those of `ReconnectingWebSocket`. */

import type { ProtocolsSource } from './address.ts';
import { boolean, type Check, Checker, callback, count, duration, has, object, period, show } from './checks.ts';
import type { AttemptContext, ConnectionOptions } from './connection.ts';
import { backoff } from './core/backoff.ts';
import type { HeartbeatRules } from './core/heartbeat.ts';
import type { Rules } from './core/machine.ts';
import type { QueueLimits } from './core/queue.ts';
import type { Loss } from './core/state.ts';
import type { HandshakeSocket } from './handshake.ts';
import { type Clock, systemClock } from './io/clock.ts';
import { browserLifecycle, type Lifecycle } from './io/lifecycle.ts';
import { type CreateSocket, type Data, nativeSocket } from './io/web-socket.ts';
import { guarded, report } from './report.ts';

/** Options of every connection. Durations are milliseconds. */
export interface CommonOptions {
  /** Retries after which it is closed for good; a connection that lasted `stableAfter` starts the count again. @default Infinity */
  readonly maxRetries?: number;
  /**
   * How long to wait before a retry, in milliseconds, from its number (1 is the first), a random number in [0, 1), and whether nobody is
   * looking or nothing ever answered. What it throws, and what is no number, is reported, and the default used. @default {@link backoff}
   */
  readonly backoff?: (attempt: number, random: number, patient: boolean) => number;
  /** Milliseconds that a connection must last to count as a success; one that is shorter counts as a failure. @default 5000 */
  readonly stableAfter?: number;
  /**
   * Milliseconds for one attempt: address, opening and handshake together. Then it fails with CONNECT_TIMEOUT, and the next one has twice as
   * long, up to a minute: browsers hold attempts back after failures. @default 10000
   */
  readonly connectTimeout?: number;
  /** Milliseconds that `close()` waits for the server's answer; longer while the last bytes are leaving. @default 2000 */
  readonly closeTimeout?: number;
  /**
   * Whether to try again: `false` ends it for good, with the cause `refused`. Asked after every loss but those where it is clear
   * (`close()`, `reconnect()`, an address that is none, what the page forbids). What it throws is reported, and ends nothing.
   * @default always
   */
  readonly shouldReconnect?: (close: Loss, context: AttemptContext) => boolean | undefined;
  /** Aborting it closes the connection for good, with the cause `aborted`; `reconnect()` throws after that. @default none */
  readonly signal?: AbortSignal;
  /** Makes the sockets. Needed where the platform has no WebSocket, as in Node 20. @default the platform's WebSocket */
  readonly createSocket?: CreateSocket;
  /** What tells the time and keeps the timers. @default the platform's */
  readonly clock?: Clock;
  /** Where chance comes from: returns a number in [0, 1). @default Math.random */
  readonly random?: () => number;
  /** What tells about the page: network, visibility, suspension. @default the events of the page or worker */
  readonly lifecycle?: Lifecycle;
  /** Whether to wait before connecting: for `reconnect()`, or the `connect()` of a client. @default false */
  readonly startClosed?: boolean;
}

/**
 * How to ask the server for a sign of life. There is none until you say how: not every server answers. A link whose server does not
 * answer in time is replaced, with the close code 4000.
 *
 * @example
 * const socket = new ReconnectingWebSocket('wss://example.com/chat', {
 *   heartbeat: { ping: 'ping', isPong: (data) => data === 'pong', interval: 30_000 },
 * });
 */
export interface HeartbeatOptions extends Partial<HeartbeatRules> {
  /** What to send, or a function that makes it. The server has to answer with anything at all. */
  readonly ping: Data | (() => Data);
  /** Whether a message is nothing but the answer to a ping: such a message is not delivered. @default none is */
  readonly isPong?: (data: unknown) => boolean;
}

/**
 * Options of a {@link ReconnectingWebSocket}. Durations are milliseconds. A bad value is a `TypeError` that names it; a name that is not
 * known is a warning.
 *
 * @example
 * const socket = new ReconnectingWebSocket('wss://example.com/chat', {
 *   protocols: ['chat.v2', 'chat.v1'],
 *   maxRetries: 10,
 *   queue: { capacity: 1_000, ttl: 60_000, overflow: 'drop-oldest' },
 *   shouldReconnect: ({ code }) => code !== 4401,
 * });
 */
export interface ReconnectingWebSocketOptions extends CommonOptions {
  /** Subprotocols, or a function that is asked for them on every attempt; given here or as second argument. @default none */
  readonly protocols?: ProtocolsSource;
  /** Whether to reconnect at all. `false`: one connection, its close is final; for libraries that reconnect themselves. @default true */
  readonly reconnect?: boolean;
  /** Bounds of what waits for a connection. `false`: nothing does, and `send` throws while connecting, as native does. @default 8 MiB */
  readonly queue?: false | Partial<QueueLimits>;
  /** How to notice dead links. @default off: an open link is never doubted, unless the page was frozen */
  readonly heartbeat?: HeartbeatOptions;
  /**
   * Runs on every new socket before anything else is sent: log in here. When it throws or rejects, the attempt has failed, with
   * HANDSHAKE_FAILED. The `signal` aborts when the attempt is given up. @default none
   */
  readonly handshake?: (socket: HandshakeSocket, options: { readonly signal: AbortSignal }) => unknown;
}

/** The options with their defaults, as everything below the surface uses them. */
export interface Settings extends ConnectionOptions {
  readonly queue: QueueLimits;
  readonly heartbeat: (HeartbeatOptions & HeartbeatRules) | undefined;
}

/** Checks of the common options. */
export const commonChecks: Record<keyof CommonOptions, Check> = {
  maxRetries: count,
  backoff: callback,
  stableAfter: duration,
  connectTimeout: period,
  closeTimeout: duration,
  shouldReconnect: callback,
  signal: has('addEventListener', 'removeEventListener'),
  createSocket: callback,
  clock: has('now', 'wall', 'setTimeout', 'clearTimeout'),
  random: callback,
  lifecycle: has('watch'),
  startClosed: boolean,
};

const checks: Record<keyof ReconnectingWebSocketOptions, Check> = {
  ...commonChecks,
  protocols: [() => true, ''], // checked with the address
  reconnect: boolean,
  queue: [(value) => value === false || object[0](value), 'false or an object'],
  heartbeat: object,
  handshake: callback,
};

/** Checks of the bounds that every queue has. */
export const queueBounds: Record<'maxBytes' | 'capacity', Check> = { maxBytes: [duration[0], 'bytes, 0 or more'], capacity: count };

const queueChecks: Record<keyof QueueLimits, Check> = {
  ...queueBounds,
  ttl: duration,
  overflow: [(value) => value === 'drop-newest' || value === 'drop-oldest', "'drop-newest' or 'drop-oldest'"],
};

const heartbeatChecks: Record<keyof HeartbeatOptions, Check> = {
  ping: [
    (value) => /string|function/.test(typeof value) || (object[0](value) && ('byteLength' in Object(value) || 'size' in Object(value))),
    'data to send, or a function that makes it',
  ],
  isPong: callback,
  interval: period,
  timeout: period,
  probeTimeout: period,
};

/** Most bytes that wait, by default. */
export const MAX_BYTES: number = 8 * 1_024 * 1_024;

/** Checks the options and fills in the defaults. Throws TypeError at a bad value; warns once about names it does not know. */
export function settle(options: ReconnectingWebSocketOptions): Settings {
  const checker = new Checker();
  const { reconnect, ...given } = checker.given(options, checks);
  const heartbeat =
    options.heartbeat &&
    checker.given({ ...options.heartbeat, ping: options.heartbeat.ping ?? null } as HeartbeatOptions, heartbeatChecks, 'heartbeat.');
  const queue = checker.given(options.queue || {}, queueChecks, 'queue.');
  checker.warn();
  return {
    ...connectionOptions(given),
    ...(reconnect === false && { maxRetries: 0 }),
    heartbeat: heartbeat && { interval: 15_000, timeout: 5_000, probeTimeout: 3_000, ...heartbeat },
    queue: { maxBytes: MAX_BYTES, capacity: Infinity, ttl: Infinity, overflow: 'drop-newest', ...queue },
  };
}

/** What a connection needs, of options that were checked. */
export function connectionOptions(given: CommonOptions): ConnectionOptions {
  return {
    clock: systemClock,
    random: Math.random,
    lifecycle: browserLifecycle,
    createSocket: nativeSocket,
    maxRetries: Infinity,
    stableAfter: 5_000,
    connectTimeout: 10_000,
    closeTimeout: 2_000,
    ...given,
    delay: trusted(given.backoff),
  };
}

/** A backoff that can be relied on: what the user's throws or returns by mistake is reported, and the default takes its place. */
function trusted(custom: Rules['delay'] | undefined): Rules['delay'] {
  if (!custom) return backoff;
  return (...args) => {
    const delay: unknown = guarded(() => custom(...args));
    if (typeof delay === 'number' && !Number.isNaN(delay)) return delay;
    if (delay !== undefined)
      report(new TypeError(`Option "backoff" returned ${show(delay)}; it takes a function that returns milliseconds`));
    return backoff(...args);
  };
}
