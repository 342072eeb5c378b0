/** The options of a server: what they are, their defaults, and what they take. */

import { atLeast, type Check, Checker, callback, checkOptions, count, duration, has, object, period } from '../checks.ts';
import type { Anything, Contract, Events, Methods, Params, Result } from '../contract.ts';
import { MAX_DELAY } from '../core/backoff.ts';
import { type Clock, systemClock } from '../io/clock.ts';
import type { StreamItem } from '../streaming.ts';
import type { Broker } from './broker.ts';
import type { ServerClient } from './client.ts';
import { createId, log } from './defaults.ts';
import { MemoryBroker } from './memory-broker.ts';
import type { PresenceLimits } from './presence.ts';
import type { SessionLimits } from './sessions.ts';

/** What is known about a connection before its hello. */
export interface PeerRequest {
  /** The path and query of the URL, beginning with "/". */
  readonly url: string;
  /** The headers of the upgrade, their names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The IP address of the other end, "" where it is unknown; what a proxy says about it is in the headers. */
  readonly address: string;
}

/** What a handler of a call is told beside the parameters. */
export interface HandlerContext<C extends Contract = Anything> {
  /** Who calls. */
  readonly client: ServerClient<C>;
  /** Aborted when the caller cancels, its timeout is over, or its session is lost: nobody waits for the result any more. */
  readonly signal: AbortSignal;
  /** Where a stream goes on that is asked for once more: the `cursor` of the last {@link StreamItem} that arrived; `undefined` otherwise. */
  readonly cursor?: unknown;
  /**
   * What the caller uploads, for one `for await` loop: bytes as `Uint8Array`, cut as it suits the way, other items as they are. It throws
   * when the call is over before the loop: await it before you answer, or catch that. Reading this property of a call that is no upload throws a {@link CallError} with
   * FAILED_PRECONDITION, which tells the caller.
   */
  readonly upload: AsyncIterable<unknown>;
}

/** What somebody wants to do with a channel: what `authorize` decides on. */
export interface Authorization<C extends Contract = Anything> {
  /** What it wants to do; `presence` is to know who is there, or to be there itself. */
  readonly action: 'subscribe' | 'publish' | 'presence';
  /** The name of the channel. */
  readonly channel: string;
  /** Who wants it. */
  readonly client: ServerClient<C>;
  /** What the client gave with its subscription; `undefined` where it gave nothing, and for a publish or presence. */
  readonly params?: unknown;
  /** What is to be published, or shown of itself; `undefined` for a subscription, and for one that only wants to know who is there. */
  readonly data?: unknown;
}

/** What a handler returns: the result, now or later; for a stream its items, with cursors or without. */
export type Answer<R> = [R] extends [AsyncIterable<infer T>] ? AsyncIterable<T | StreamItem<T>> : R | Promise<R>;

/**
 * What the server does, by name.
 *
 * @example
 * const handlers: Handlers = {
 *   methods: {
 *     echo: (params) => params,
 *     fail: () => {
 *       throw new CallError('PERMISSION_DENIED', 'not you');
 *     },
 *   },
 *   events: { typing: (data, { client }) => console.log(client.id, data) },
 * };
 * const server = createServer({ port: 8080, handlers });
 */
export interface Handlers<C extends Contract = Anything> {
  /**
   * Answers calls, with the parameters and a {@link HandlerContext}. What a handler returns, now or as a promise, is the result. A
   * {@link CallError} that it throws is told to the caller; anything else that it throws is INTERNAL there, and reported to `onerror`. A
   * method without a handler is UNIMPLEMENTED. An async generator answers with a stream, to clients that ask for one by `stream()`: it is
   * pulled as fast as they read, and returned from when they stop.
   */
  readonly methods?: {
    readonly [M in keyof Methods<C, 'server'>]?: (
      params: Params<Methods<C, 'server'>, M>,
      context: HandlerContext<C>,
    ) => Answer<Result<Methods<C, 'server'>, M>>;
  };
  /** Takes events, with the data and the `client` that sent it. What a handler throws is reported to `onerror`. */
  readonly events?: {
    readonly [E in keyof Events<C, 'server'>]?: (data: Events<C, 'server'>[E], context: { readonly client: ServerClient<C> }) => unknown;
  };
}

/** What one client, or all of them, may take of the server. Close codes are those of docs/protocol.md, section Close codes. */
export interface ServerLimits {
  /** Bytes of a message; more is close code 4413 (1009 where the WebSocket itself notices). @default 262144 */
  readonly message: number;
  /**
   * Events, calls, publishes and presences of one client a second, on average; more is close code 4429. Clients do not know it: leave room
   * for what comes out of an outbox after an outage. What is written again after a cut has the same rate once more; items of uploads do not count.
   * @default Infinity
   */
  readonly rate: number;
  /** Events, calls, publishes and presences of one client that may come at once, 1 or more; more is close code 4429. @default twice the rate */
  readonly burst: number;
  /** Connections at the same time; more are closed with 4429. @default Infinity */
  readonly connections: number;
  /** Connections from one address at the same time; more are closed with 4429. @default Infinity */
  readonly connectionsPerAddress: number;
  /** Channels of one client; more are refused with RESOURCE_EXHAUSTED. @default 1000 */
  readonly subscriptions: number;
  /** Calls of one client that run at the same time; more are refused with RESOURCE_EXHAUSTED. @default 1000 */
  readonly calls: number;
  /**
   * Uploads of one client at the same time, each with up to 1 MiB that waits for its handler; more are refused with RESOURCE_EXHAUSTED.
   * @default 16
   */
  readonly uploads: number;
  /**
   * Bytes that may wait for a slow client (more is close code 4422), and bytes of its publishes that wait to be authorized (more are
   * refused with RESOURCE_EXHAUSTED). @default 16 MiB
   */
  readonly buffered: number;
}

/**
 * What a server does, without the port it does it on. Durations are milliseconds, sizes are bytes. A bad value is a `TypeError` that names
 * it; a name that is not known is a warning.
 *
 * @example
 * const host = new Host({
 *   authenticate: (token) => {
 *     if (token !== 'secret') throw new UnauthorizedError();
 *     return 'ida';
 *   },
 *   authorize: ({ action, channel, client }) => action === 'subscribe' || channel === `user:${client.principal}`,
 *   nameOf: ({ principal }) => String(principal),
 *   limits: { rate: 100, connections: 10_000 },
 * });
 */
export interface HostOptions<C extends Contract = Anything> {
  /** What answers calls and takes events. @default none: calls are UNIMPLEMENTED, events are unhandled */
  readonly handlers?: Handlers<C>;
  /**
   * Says who is there, from the `auth` of the hello (`undefined` without one): what it returns, now or as a promise, is `client.principal`.
   * Throwing an {@link UnauthorizedError} is close code 4401, a {@link CallError} with PERMISSION_DENIED 4403; anything else that is thrown
   * is reported to `onerror`, and 1011. @default everybody is let in
   */
  readonly authenticate?: (token: unknown, request: PeerRequest) => unknown;
  /**
   * Until when a client is who it says, in epoch milliseconds (`Date.now()`); `undefined` for ever. Half a minute before, or after half of a
   * shorter time, it is asked for fresh credentials, which go to `authenticate`; without them its connection is closed with 4401, and its
   * session waits for it. @default for ever
   */
  readonly expiresAt?: (principal: unknown) => number | undefined;
  /**
   * Whether a client may subscribe, publish, or know who is there and be there itself (`presence`); asked again for a message that is sent
   * again, and by a client that comes back, so that nothing is to be counted here. `false` is PERMISSION_DENIED, a {@link CallError} says
   * it in its own words, anything else that is thrown is INTERNAL, and reported to `onerror`. @default everybody may do everything
   */
  readonly authorize?: (what: Authorization<C>) => boolean | Promise<boolean>;
  /**
   * A text that tells principals apart: a session goes on only for the one who began it. @default a text or number as it is, an object by
   * its `id` or, where it has none, by its JSON
   */
  readonly identityOf?: (principal: unknown) => string;
  /**
   * How long clients that lose their connection are waited for, and what they may cost; `false` for no sessions, so that each connection is
   * a client of its own (docs/protocol.md, section Sessions). @default those of {@link SessionLimits}
   */
  readonly sessions?: Partial<SessionLimits> | false;
  /**
   * How long clients that lose their connection are still there for others, and what that may cost; `false` for no presence
   * (docs/protocol.md, section Presence). @default those of {@link PresenceLimits}
   */
  readonly presence?: Partial<PresenceLimits> | false;
  /**
   * What keeps the history of channels, who is there on them, and the outcomes of idempotent calls, and spreads what is published: one that
   * several servers share makes them one. @default a {@link MemoryBroker} of its own: the last 100 messages of each channel, for 5 minutes
   */
  readonly broker?: Broker;
  /** Who published a message, for its `from`. What it throws is reported to `onerror`, and nobody named. @default nobody is named */
  readonly nameOf?: (client: ServerClient<C>) => string | undefined;
  /** What one client, or all of them, may take. @default those of {@link ServerLimits} */
  readonly limits?: Partial<ServerLimits>;
  /** How to notice dead connections, which is always on; clients are told in the welcome (docs/protocol.md, section Life). */
  readonly heartbeat?: {
    /** Milliseconds of silence, either way, after which a client is pinged. @default 15000 */
    readonly interval?: number;
    /** Milliseconds that an answer should take, or anything else; after four times that the client is closed with 4408. @default 5000 */
    readonly timeout?: number;
  };
  /** Milliseconds that a client has from connecting to its welcome; then it is closed with 4408. @default 10000 */
  readonly helloTimeout?: number;
  /** Called when a client has been welcomed that is new: not when one comes back. @default nothing */
  readonly onconnection?: (client: ServerClient<C>) => void;
  /** Called when a client is gone for good: it has said goodbye, was closed, or stayed away longer than its session lasts. @default nothing */
  readonly ondisconnection?: (client: ServerClient<C>) => void;
  /** Called with an event that has no handler. @default nothing */
  readonly onunhandled?: (name: string, data: unknown, client: ServerClient<C>) => void;
  /** Called with what a handler or another of these functions threw, and which one it was. @default console.error */
  readonly onerror?: (error: unknown, where: string) => void;
  /** What tells the time and keeps the timers. @default the platform's */
  readonly clock?: Clock;
  /** Makes the names and secrets of sessions: texts that nobody can guess, 128 random bits or more. @default from crypto.getRandomValues */
  readonly createId?: () => string;
}

/** The options with their defaults. */
export interface HostSettings {
  readonly sessions: SessionLimits | false;
  readonly presence: PresenceLimits | false;
  readonly broker: Broker;
  readonly createId: () => string;
  readonly limits: ServerLimits;
  readonly heartbeat: { readonly interval: number; readonly timeout: number };
  readonly helloTimeout: number;
  readonly onerror: (error: unknown, where: string) => void;
  readonly clock: Clock;
}

const objectOrNot: Check = [(value) => value === false || object[0](value), 'an object, or false'];

/** Checks of the options of a host. */
export const hostChecks: Record<keyof HostOptions, Check> = {
  handlers: object,
  authenticate: callback,
  expiresAt: callback,
  authorize: callback,
  identityOf: callback,
  nameOf: callback,
  broker: has('subscribe', 'publish', 'history', 'begin', 'finish', 'forget'),
  sessions: objectOrNot,
  presence: objectOrNot,
  limits: object,
  heartbeat: object,
  helloTimeout: period,
  onconnection: callback,
  ondisconnection: callback,
  onunhandled: callback,
  onerror: callback,
  clock: has('now', 'wall', 'setTimeout', 'clearTimeout'),
  createId: callback,
};

const some: Check = [(value) => typeof value === 'number' && value >= 1, 'a number, 1 or more, or Infinity'];
const limitChecks: Record<keyof ServerLimits, Check> = {
  message: [(value) => Number.isSafeInteger(value) && (value as number) >= 1_024, 'a whole number of bytes, 1024 or more'],
  rate: some,
  burst: some,
  connections: count,
  connectionsPerAddress: count,
  subscriptions: count,
  calls: count,
  uploads: count,
  buffered: atLeast(0, 'bytes'),
};
/** Both go over the wire, and into timers. */
const ms: Check = [
  (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_DELAY,
  'a whole number of milliseconds',
];
const heartbeatChecks: Record<string, Check> = { interval: ms, timeout: ms };
const sessionChecks: Record<keyof SessionLimits, Check> = { ttl: ms, capacity: count, perPrincipal: count, bytes: atLeast(0, 'bytes') };
const presenceChecks: Record<keyof PresenceLimits, Check> = { grace: duration, members: count, bytes: atLeast(0, 'bytes') };
const handlerChecks: Record<string, Check> = { methods: object, events: object };

/** Checks the options and fills in the defaults. Throws TypeError at a bad value; warns once about names it does not know. */
export function settleHost(options: HostOptions, checks: Record<string, Check> = hostChecks): HostSettings {
  checkOptions(options);
  const checker = new Checker();
  const given = checker.given(options, checks);
  const limits = checker.given(options.limits, limitChecks, 'limits.');
  const heartbeat = checker.given(options.heartbeat, heartbeatChecks, 'heartbeat.');
  const sessions = options.sessions !== false && checker.given(options.sessions, sessionChecks, 'sessions.');
  const presence = options.presence !== false && checker.given(options.presence, presenceChecks, 'presence.');
  const { methods = {}, events = {} } = checker.given(options.handlers, handlerChecks, 'handlers.');
  checkHandlers(methods, 'handlers.methods.');
  checkHandlers(events, 'handlers.events.');
  checker.warn();
  const { clock = systemClock, onerror = log } = options;
  return {
    helloTimeout: 10_000,
    onerror: log,
    clock: systemClock,
    createId,
    broker: options.broker ?? new MemoryBroker({ clock, onerror: safely(onerror), createId: options.createId ?? createId }),
    ...given,
    sessions: sessions && { ttl: 120_000, capacity: 10_000, perPrincipal: 100, bytes: 64 * 1_024 * 1_024, ...sessions },
    presence: presence && { grace: 10_000, members: 1_000, bytes: 4_096, ...presence },
    ...(options.onerror && { onerror: safely(options.onerror) }),
    heartbeat: { interval: 15_000, timeout: 5_000, ...heartbeat },
    limits: {
      message: 262_144,
      rate: Infinity,
      burst: 2 * (limits.rate ?? Infinity),
      connections: Infinity,
      connectionsPerAddress: Infinity,
      subscriptions: 1_000,
      calls: 1_000,
      uploads: 16,
      buffered: 16 * 1_024 * 1_024,
      ...limits,
    },
  };
}

/** A reporter that fails is the last that could be told about. */
function safely(onerror: HostSettings['onerror']): HostSettings['onerror'] {
  return (error, where) => {
    const failed = (failure: unknown) => {
      log(failure, 'onerror');
      log(error, where);
    };
    try {
      const told: unknown = onerror(error, where);
      if (told instanceof Promise) told.catch(failed);
    } catch (failure) {
      failed(failure);
    }
  };
}

function checkHandlers(handlers: object, prefix: string): void {
  const table = Object.fromEntries(Object.keys(handlers).map((name) => [name, callback]));
  new Checker().given(handlers, table, prefix);
}
