/** A broker that takes its time, leaves things out, and fails, as it is told; what it keeps is kept by a broker in memory. */

import type { Begun, Broker, BrokerMessage, Missed, Outcome, Position, Publication } from '../../src/server/broker.ts';
import { MemoryBroker, type MemoryBrokerOptions } from '../../src/server/memory-broker.ts';
import type { FakeClock } from './fake-clock.ts';

/** What can be slow or fail. */
export type Deed = 'subscribe' | 'publish' | 'history' | 'begin' | 'finish' | 'forget';

export interface SlowBrokerOptions {
  readonly clock: FakeClock;
  /** Milliseconds until an answer; 0 is a tick, and so is what is left out. */
  readonly delays?: Partial<Record<Deed, number>>;
  /** Milliseconds until a message is handed on; 0 is at once. @default 0 */
  readonly live?: number;
  /** Whether an answer is what was so when it was asked for, or when it is given. @default false: when it is given */
  readonly early?: boolean;
  readonly memory?: MemoryBrokerOptions;
}

export class SlowBroker implements Broker {
  readonly #options: SlowBrokerOptions;
  readonly #memory: MemoryBroker;
  readonly #lost = new Map<object, { readonly channel: string; readonly lost: () => void }>();
  /** How what is asked of a channel (or a key) fails; undefined where it does not. */
  fails: (deed: Deed | 'stop', name: string) => 'throws' | 'rejects' | undefined = () => undefined;
  /** Whether messages are handed on: in vain, for a while, when the way to the store is broken. */
  isDeaf = false;

  constructor(options: SlowBrokerOptions) {
    this.#options = options;
    this.#memory = new MemoryBroker({ clock: options.clock, ...options.memory });
  }

  /** Who listens now. */
  get listeners(): number {
    return this.#lost.size;
  }

  get idempotency(): number {
    return this.#memory.idempotency;
  }

  /** It may have left something out. */
  interrupt(channel: string): void {
    for (const each of [...this.#lost.values()]) if (each.channel === channel) each.lost();
  }

  subscribe(channel: string, listener: (message: BrokerMessage) => void, lost = () => {}): Promise<() => void> {
    return this.#answer('subscribe', channel, () => {
      const { clock, live = 0 } = this.#options;
      const stop = this.#memory.subscribe(channel, (message) => {
        if (this.isDeaf) return;
        if (live === 0) listener(message);
        else clock.setTimeout(() => this.#lost.has(stop) && listener(message), live);
      });
      this.#lost.set(stop, { channel, lost });
      return () => {
        stop();
        this.#lost.delete(stop);
        if (this.fails('stop', channel)) throw new Error(`stop ${channel}`);
      };
    });
  }

  publish(channel: string, publication: Publication): Promise<Position | undefined> {
    return this.#answer('publish', channel, () => this.#memory.publish(channel, publication), true);
  }

  history(channel: string, since?: Position): Promise<Missed> {
    return this.#answer('history', channel, () => this.#memory.history(channel, since));
  }

  begin(key: string, fingerprint: string): Promise<Begun> {
    return this.#answer('begin', key, () => this.#memory.begin(key, fingerprint));
  }

  finish(key: string, outcome: Outcome): Promise<void> {
    return this.#answer('finish', key, () => this.#memory.finish(key, outcome));
  }

  forget(key: string): Promise<void> {
    return this.#answer('forget', key, () => this.#memory.forget(key));
  }

  #answer<T>(deed: Deed, name: string, act: () => T, isEarly = this.#options.early === true): Promise<T> {
    if (this.fails(deed, name) === 'throws') throw new Error(`${deed} ${name}`);
    const { clock, delays = {} } = this.#options;
    const { [deed]: delay = 0 } = delays;
    const wait = delay === 0 ? Promise.resolve() : new Promise<void>((resolve) => clock.setTimeout(resolve, delay));
    const done = isEarly && !this.fails(deed, name) ? { value: act() } : undefined;
    return wait.then(() => {
      if (this.fails(deed, name)) throw new Error(`${deed} ${name}`);
      return done ? done.value : act();
    });
  }
}
