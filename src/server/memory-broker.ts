/** The broker of a server that shares nothing with others: everything in the memory of one process, every answer at once. */

import { atLeast, type Check, Checker, callback, has, object, period, show } from '../checks.ts';
import { type Clock, systemClock } from '../io/clock.ts';
import type { Begun, Broker, BrokerMessage, Members, Missed, Outcome, Position, Publication } from './broker.ts';
import { createId, log } from './defaults.ts';
import { Histories, type HistoryLimits } from './history.ts';
import { Executions, type IdempotencyLimits } from './idempotency.ts';
import { MemoryMembers } from './members.ts';

/**
 * What a {@link MemoryBroker} keeps. Durations are milliseconds, sizes are bytes. A bad value is a `TypeError` that names it; a name that
 * is not known is a warning.
 *
 * The memory of a process may be up to twice the bytes that are counted, since text that is not Latin takes two bytes for each character.
 *
 * @example
 * const options: MemoryBrokerOptions = {
 *   history: (channel) => (channel.startsWith('chat:') ? { size: 500, ttl: 3_600_000 } : undefined),
 *   historyBytes: 256 * 1_024 * 1_024,
 *   idempotency: { ttl: 600_000 },
 * };
 */
export interface MemoryBrokerOptions {
  /**
   * What is kept of each channel; `false` for nothing. A function says it for each channel, by its name, and always the same; `undefined`
   * and `false` are nothing. @default that of {@link HistoryLimits}
   */
  readonly history?: Partial<HistoryLimits> | false | ((channel: string) => Partial<HistoryLimits> | false | undefined);
  /**
   * Most bytes of all that is kept of channels: their messages, and for each channel its name as UTF-8 and 512 more. Where there is no
   * room, the channel that was idle longest is forgotten: whoever comes back to it learns that something may have been missed.
   * @default 64 MiB
   */
  readonly historyBytes?: number;
  /** How executions are remembered. @default that of {@link IdempotencyLimits} */
  readonly idempotency?: Partial<IdempotencyLimits>;
  /** Makes the beginning of all epochs: never the same for two brokers. @default 128 random bits, in hex */
  readonly createId?: () => string;
  /** Called with what a listener threw, and with "a listener of the broker". @default console.error */
  readonly onerror?: (error: unknown, where: string) => void;
  /** What tells the time; no timer is set. @default the platform's */
  readonly clock?: Clock;
}

const whole: Check = [
  (value) => value === Infinity || (Number.isInteger(value) && (value as number) >= 1),
  'a whole number, 1 or more, or Infinity',
];
const bytes = atLeast(0, 'bytes');
const optionChecks: Record<keyof MemoryBrokerOptions, Check> = {
  history: [(value) => value === false || callback[0](value) || object[0](value), 'an object, a function or false'],
  historyBytes: bytes,
  idempotency: object,
  createId: callback,
  onerror: callback,
  clock: has('now', 'wall', 'setTimeout', 'clearTimeout'),
};
const historyChecks: Record<keyof HistoryLimits, Check> = { size: whole, bytes, ttl: period };
/** It goes over the wire. */
const ms: Check = [(value) => Number.isSafeInteger(value) && (value as number) >= 0, 'a whole number of milliseconds'];
const idempotencyChecks: Record<keyof IdempotencyLimits, Check> = { ttl: ms, capacity: whole, bytes };

const HISTORY: HistoryLimits = { size: 100, bytes: 1_024 * 1_024, ttl: 300_000 };
const IDEMPOTENCY: IdempotencyLimits = { ttl: 300_000, capacity: 100_000, bytes: 32 * 1_024 * 1_024 };

/** The options with their defaults. */
interface Settings {
  /** What is kept of a channel; undefined for nothing. */
  readonly limitsOf: (channel: string) => HistoryLimits | undefined;
  readonly historyBytes: number;
  readonly idempotency: IdempotencyLimits;
  readonly createId: () => string;
  readonly onerror: (error: unknown, where: string) => void;
  readonly clock: Clock;
}

/** Checks the options and fills in the defaults. Throws TypeError at a bad value; warns once about names it does not know. */
function settle(options: MemoryBrokerOptions): Settings {
  const checker = new Checker();
  const { history, ...given } = checker.given(options, optionChecks);
  const idempotency = { ...IDEMPOTENCY, ...checker.given(options.idempotency, idempotencyChecks, 'idempotency.') };
  const limits = typeof history === 'object' ? checker.given(history, historyChecks, 'history.') : {};
  checker.warn();
  const settings = { historyBytes: 64 * 1_024 * 1_024, createId, onerror: log, clock: systemClock, ...given, idempotency };
  if (history === false) return { ...settings, limitsOf: () => undefined };
  const all = { ...HISTORY, ...limits };
  return { ...settings, limitsOf: typeof history === 'function' ? (channel) => checked(history(channel)) : () => all };
}

/** What a function said of a channel. */
function checked(said: Partial<HistoryLimits> | false | undefined): HistoryLimits | undefined {
  if (said === false || said === undefined) return undefined;
  const checker = new Checker();
  checker.given({ 'history(channel)': said }, { 'history(channel)': object });
  return { ...HISTORY, ...checker.given(said, historyChecks, 'history(channel).') };
}

function idOf(createId: () => string): string {
  const id: unknown = createId();
  if (typeof id !== 'string') throw new TypeError(`createId returned ${show(id)}; it returns a string`);
  return id;
}

interface Subscription {
  readonly listener: (message: BrokerMessage) => void;
  isStopped: boolean;
}

/** Replaced, never changed: a message goes to those that were there when it was published. */
type Subscriptions = readonly Subscription[];

/**
 * A broker in the memory of one process, with histories and outcomes that are gone when it ends. Every method answers at once; messages
 * are handed on before `publish` returns, unless a listener publishes: then in their turn, before the first `publish` returns.
 *
 * What it takes is bounded: messages by `history` and `historyBytes`, executions by `idempotency`. A channel without messages counts for
 * its name and 512 bytes, for a day after its last message and subscriber, so that whoever comes back can be told that nothing was missed;
 * a channel that nobody ever published on counts for nothing. Beside these it holds what is subscribed to, which is up to whoever
 * subscribes, who is there, which is up to the servers, and 32 kB. What is too old is given back as further messages are published: it sets no timer.
 *
 * @example
 * const broker = new MemoryBroker({ history: { size: 1_000, ttl: 600_000 } });
 * const server = createServer({ port: 8080, broker });
 */
export class MemoryBroker implements Broker {
  readonly #settings: Settings;
  readonly members: Members;
  readonly #histories: Histories;
  readonly #executions: Executions;
  /** Only channels that somebody is subscribed to. */
  readonly #subscriptions = new Map<string, Subscriptions>();
  /** Messages that are being handed on, and those that listeners published meanwhile. */
  #waiting: { readonly message: BrokerMessage; readonly subscriptions: Subscriptions }[] = [];

  /**
   * @param options what it keeps
   * @throws `TypeError` at a bad option
   */
  constructor(options: MemoryBrokerOptions = {}) {
    this.#settings = settle(options);
    const { createId, limitsOf, historyBytes, idempotency } = this.#settings;
    this.#histories = new Histories(idOf(createId), limitsOf, historyBytes);
    this.#executions = new Executions(idempotency);
    this.members = new MemoryMembers((error) => this.#report(error));
  }

  get idempotency(): number {
    return this.#settings.idempotency.ttl;
  }

  /** Channels that it holds anything of: messages, or the position while somebody is subscribed or may come back. */
  get channels(): number {
    return this.#histories.size;
  }

  /** What it keeps of channels, in bytes: at most the option of this name. */
  get historyBytes(): number {
    return this.#histories.bytes;
  }

  /** Executions, running and remembered. */
  get executions(): number {
    return this.#executions.size;
  }

  subscribe(channel: string, listener: (message: BrokerMessage) => void): () => void {
    const subscription: Subscription = { listener, isStopped: false };
    const others = this.#subscriptions.get(channel) ?? [];
    if (others.length === 0) this.#histories.hold(channel);
    this.#subscriptions.set(channel, [...others, subscription]);
    return () => {
      if (!subscription.isStopped) this.#stop(channel, subscription);
    };
  }

  publish(channel: string, { payload, from }: Publication): Position | undefined {
    const message = this.#histories.append(channel, { payload, from }, this.#settings.clock.now());
    this.#handOn(message ?? { payload, from, epoch: undefined, offset: undefined }, this.#subscriptions.get(channel) ?? []);
    return message && { epoch: message.epoch, offset: message.offset };
  }

  history(channel: string, since?: Position): Missed {
    return this.#histories.read(channel, since, this.#settings.clock.now());
  }

  begin(key: string, fingerprint: string): Begun {
    return this.#executions.begin(key, fingerprint, this.#settings.clock.now());
  }

  finish(key: string, outcome: Outcome): void {
    this.#executions.finish(key, outcome, this.#settings.clock.now());
  }

  forget(key: string): void {
    this.#executions.forget(key);
  }

  #stop(channel: string, subscription: Subscription): void {
    subscription.isStopped = true;
    const others = (this.#subscriptions.get(channel) ?? []).filter((each) => each !== subscription);
    if (others.length > 0) this.#subscriptions.set(channel, others);
    else {
      this.#subscriptions.delete(channel);
      this.#histories.release(channel, this.#settings.clock.now());
    }
  }

  /** Hands a message on; those that are published by listeners come after it, so that all listeners have the same order. */
  #handOn(message: BrokerMessage, subscriptions: Subscriptions): void {
    if (subscriptions.length === 0) return;
    this.#waiting.push({ message, subscriptions });
    if (this.#waiting.length > 1) return;
    for (const { message, subscriptions } of this.#waiting)
      for (const subscription of subscriptions) if (!subscription.isStopped) this.#tell(subscription, message);
    this.#waiting = [];
  }

  #tell({ listener }: Subscription, message: BrokerMessage): void {
    try {
      listener(message);
    } catch (error) {
      this.#report(error);
    }
  }

  /** A reporter that fails is the last that could be told about. */
  #report(error: unknown): void {
    try {
      this.#settings.onerror(error, WHERE);
    } catch (failure) {
      log(failure, 'onerror');
      log(error, WHERE);
    }
  }
}

const WHERE = 'a listener of the broker';
