/** Who is there, by a store that takes its time, leaves things out and fails, as it is told; what it keeps is kept in memory. */

import type { MemberChange, Members } from '../../src/server/broker.ts';
import { MemoryMembers } from '../../src/server/members.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import type { Member } from '../../src/wire/frames.ts';
import type { FakeClock } from './fake-clock.ts';

/** What can be slow or fail. */
export type MemberDeed = 'enter' | 'leave' | 'list' | 'watch';
type Listener = (change: MemberChange) => void;

export interface SlowMembersOptions {
  readonly clock: FakeClock;
  /** Milliseconds until an answer; 0, and what is left out, is a tick. */
  readonly delays?: Partial<Record<MemberDeed, number>>;
  /** Milliseconds until a change is handed on; 0 is at once. @default 0 */
  readonly live?: number;
  /** Whether a list is what was so when it was asked for, or when it is given. @default false: when it is given */
  readonly early?: boolean;
}

export class SlowMembers implements Members {
  readonly #options: SlowMembersOptions;
  readonly #memory = new MemoryMembers(() => {});
  readonly #lost = new Map<object, { readonly channel: string; readonly lost: () => void }>();
  /** What is said of members keeps its order, however long each takes. */
  #line: Promise<unknown> = Promise.resolve();
  #interruptions = 0;
  /** What was asked of it, in order: "enter a", "list a". */
  readonly asked: string[] = [];
  /** How what is asked of a channel fails; undefined where it does not. */
  fails: (deed: MemberDeed | 'stop', channel: string) => 'throws' | 'rejects' | undefined = () => undefined;
  /** Milliseconds until an answer, asked each time. */
  delayOf: (deed: MemberDeed) => number;
  /** Whether changes are handed on: in vain, for a while, when the way to the store is broken. */
  isDeaf = false;

  constructor(options: SlowMembersOptions) {
    this.#options = options;
    this.delayOf = (deed) => options.delays?.[deed] ?? 0;
  }

  /** How many watch now. */
  get watchers(): number {
    return this.#lost.size;
  }

  /** It may have left something out: what was on its way does not arrive. */
  interrupt(channel = 'a'): void {
    this.#interruptions++;
    for (const each of [...this.#lost.values()]) if (each.channel === channel) each.lost();
  }

  /** Somebody comes, or shows something else, on another server. */
  comes(id: string, data: unknown = id, channel = 'a'): void {
    this.#memory.enter(channel, { id, data });
  }

  /** Somebody leaves there. */
  goes(id: string, channel = 'a'): void {
    this.#memory.leave(channel, id);
  }

  /** What is shown now, in the order in which they came. */
  shown(channel = 'a'): unknown[] {
    return this.#memory.list(channel).map(({ data }) => data);
  }

  enter(channel: string, member: Member): Promise<void> {
    return this.#inTurn('enter', channel, () => this.#memory.enter(channel, member));
  }

  leave(channel: string, id: string): Promise<void> {
    return this.#inTurn('leave', channel, () => this.#memory.leave(channel, id));
  }

  list(channel: string): Promise<readonly Member[]> {
    const early = this.#memory.list(channel);
    return this.#answer('list', channel, () => (this.#options.early ? early : this.#memory.list(channel)));
  }

  watch(channel: string, listener: Listener, lost = () => {}): Promise<() => void> {
    return this.#answer('watch', channel, () => {
      const { clock, live = 0 } = this.#options;
      const stop = this.#memory.watch(channel, (change) => {
        if (this.isDeaf) return;
        if (live === 0) listener(change);
        else {
          const before = this.#interruptions;
          clock.setTimeout(() => this.#lost.has(stop) && this.#interruptions === before && listener(change), live);
        }
      });
      this.#lost.set(stop, { channel, lost });
      return () => {
        stop();
        this.#lost.delete(stop);
        if (this.fails('stop', channel)) throw new Error(`stop ${channel}`);
      };
    });
  }

  #inTurn(deed: MemberDeed, channel: string, act: () => void): Promise<void> {
    const answer = this.#answer(deed, channel, () => {});
    const done = Promise.all([answer, this.#line]).then(act);
    this.#line = done.catch(() => {});
    return done;
  }

  #answer<T>(deed: MemberDeed, channel: string, act: () => T): Promise<T> {
    this.asked.push(`${deed} ${channel}`);
    if (this.fails(deed, channel) === 'throws') throw new Error(`${deed} ${channel}`);
    const fails = this.fails(deed, channel) === 'rejects';
    const delay = this.delayOf(deed);
    const { clock } = this.#options;
    const wait = delay === 0 ? Promise.resolve() : new Promise<void>((resolve) => clock.setTimeout(resolve, delay));
    return wait.then(() => {
      if (fails) throw new Error(`${deed} ${channel}`);
      return act();
    });
  }
}

/** A broker in memory, but for who is there. */
export class MembersBroker extends MemoryBroker {
  override readonly members: SlowMembers;

  constructor(options: SlowMembersOptions) {
    super({ clock: options.clock });
    this.members = new SlowMembers(options);
  }
}
