/**
 * Who is there, as a store beside the process keeps it: whatever is asked of it takes its time, in order, and so does what it hands on, which
 * may overtake an answer; and now and then it leaves out for a while what has changed, and says so.
 */

import type { BrokerMessage, MemberChange, Members } from '../../src/server/broker.ts';
import { MemoryMembers } from '../../src/server/members.ts';
import { MemoryBroker, type MemoryBrokerOptions } from '../../src/server/memory-broker.ts';
import type { Member } from '../../src/wire/frames.ts';
import type { Random } from './random.ts';
import type { SimClock, Timeline } from './time.ts';

export interface Distance {
  readonly timeline: Timeline;
  /** Of the process: once it is dead nothing is answered. */
  readonly clock: SimClock;
  readonly random: Random;
  /** Longest time that each way takes, in milliseconds. */
  readonly latency: number;
}

export class DistantMembers implements Members {
  readonly #store: Members;
  readonly #distance: Distance;
  /** When the last question arrives, and the last that is handed on: nothing overtakes its like. */
  #asked = 0;
  #handed = 0;
  /** How to tell who watches that something was left out. */
  readonly #watchers = new Set<() => void>();
  #isDeaf = false;

  /** @param store answers at once */
  constructor(store: Members, distance: Distance) {
    this.#store = store;
    this.#distance = distance;
  }

  enter(channel: string, member: Member): Promise<void> {
    return this.#ask(() => this.#store.enter(channel, member));
  }

  leave(channel: string, id: string): Promise<void> {
    return this.#ask(() => this.#store.leave(channel, id));
  }

  list(channel: string): Promise<readonly Member[]> {
    return this.#ask(() => this.#store.list(channel));
  }

  watch(channel: string, listener: (change: MemberChange) => void, lost = () => {}): Promise<() => void> {
    return this.#ask(() => {
      let isStopped = false;
      const told = (deed: () => void) => this.#deliver(() => !isStopped && deed());
      const stop = this.#store.watch(channel, (change) => !this.#isDeaf && told(() => listener(change))) as () => void;
      const tell = () => told(lost);
      this.#watchers.add(tell);
      return () => {
        isStopped = true;
        this.#watchers.delete(tell);
        stop();
      };
    });
  }

  /** Leaves out what changes from now on, for a while, and tells then. */
  interrupt(ms: number): void {
    const { timeline, clock } = this.#distance;
    if (this.#isDeaf) return;
    this.#isDeaf = true;
    const heal = () => {
      this.#isDeaf = false;
      for (const tell of [...this.#watchers]) tell();
    };
    timeline.at(timeline.now + ms, heal, clock);
  }

  /** What was handed on before the answer arrives before it. */
  #ask<T>(act: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      this.#asked = this.#plan(this.#asked, () => {
        const answer = act();
        this.#plan(this.#handed, () => resolve(answer));
      });
    });
  }

  #deliver(deed: () => void): void {
    this.#handed = this.#plan(this.#handed, deed);
  }

  /** Returns when it arrives: not before that time. */
  #plan(from: number, deed: () => void): number {
    const { timeline, clock, random, latency } = this.#distance;
    const at = Math.max(from, timeline.now + random.between(0, latency));
    timeline.at(at, deed, clock);
    return at;
  }
}

/** A broker in memory, but for who is there, where that is kept elsewhere. */
export class WorldBroker extends MemoryBroker {
  override readonly members: Members;
  /** Who is there in truth. */
  readonly store: Members;
  readonly #distant: DistantMembers | undefined;
  /** How to tell who listens to a channel that messages may have been left out. */
  readonly #listeners = new Map<() => void, string>();

  constructor(options: MemoryBrokerOptions, distance: Distance | undefined) {
    super(options);
    this.store = new MemoryMembers((error) => options.onerror?.(error, 'a listener of the members'));
    this.#distant = distance && new DistantMembers(this.store, distance);
    this.members = this.#distant ?? this.store;
  }

  override subscribe(channel: string, listener: (message: BrokerMessage) => void, lost = () => {}): () => void {
    const stop = super.subscribe(channel, listener);
    const tell = () => lost();
    this.#listeners.set(tell, channel);
    return () => {
      this.#listeners.delete(tell);
      stop();
    };
  }

  /** Says that messages may have been left out, though none were. */
  demand(channel: string): void {
    for (const [tell, of] of [...this.#listeners]) if (of === channel) tell();
  }

  /** What changes is left out for a while; nothing of that kind happens in one's own memory. */
  interrupt(ms: number): void {
    this.#distant?.interrupt(ms);
  }
}
