/** Who is there on a channel: watching it, and being there. */

import { Channel } from './channel.ts';
import { type Check, Checker, has, show } from './checks.ts';
import { Crowd } from './crowd.ts';
import { ClosedError } from './errors.ts';
import { OurEventTarget } from './event-target.ts';
import type { MemberEvent } from './events.ts';
import { Outcome } from './outcome.ts';
import { encodePayload } from './wire/codec.ts';
import type { Member } from './wire/frames.ts';

/** How to be there, or only to watch. A bad value is a `TypeError` that names it. */
export interface PresenceOptions<T> {
  /** What this client shows of itself: anything that JSON can carry, up to 4096 bytes with `holdfast/server`. @default it only watches */
  readonly data?: T;
  /** Aborting it closes it. @default none */
  readonly signal?: AbortSignal;
}

/** The events of a {@link Presence} by name. */
export interface PresenceEventMap<T> {
  /** Somebody is there who was not. */
  join: MemberEvent<T>;
  /** Somebody shows something else. */
  update: MemberEvent<T>;
  /** Somebody is not there any more. */
  leave: MemberEvent<T>;
  /** After one or more of these, and when it is known again who is there: `members` is to be shown anew. */
  change: Event;
}

const checks: Record<string, Check> = {
  data: [() => true, 'anything'],
  signal: has('addEventListener', 'removeEventListener'),
};

/**
 * Who is there on a channel (docs/protocol.md, section Presence). Keeps the channel subscribed until it is closed. Whoever loses its
 * connection is still there for a while (10 s with `holdfast/server`): a client that comes back in time with its session never left. After
 * an outage of its own it is told what has changed, and nothing else.
 *
 * @param channel where
 * @param options `data` to be there, `signal` to close it
 * @returns who is there; each call returns one of its own, to be closed by itself
 * @throws `TypeError` at what is no channel, at a bad option, and at data that JSON cannot carry
 *
 * @example
 * const people = presence<{ name: string }>(client.channel('room:kelp'), { data: { name: 'Ida' } });
 * people.addEventListener('change', () => {
 *   console.log([...people.members.values()].map(({ data }) => data.name).join(', '));
 * });
 */
export function presence<T = unknown>(channel: Channel, options: PresenceOptions<T> = {}): Presence<T> {
  if (!(channel instanceof Channel)) throw new TypeError(`presence() takes a channel of a client first, but got ${show(channel)}`);
  const checker = new Checker();
  const { data, signal } = checker.given(options, checks);
  checker.warn();
  const payload = data === undefined ? undefined : encoded(data);
  return new Presence(Crowd.of<T>(channel), payload, signal);
}

/**
 * Who is there on a channel, as of now and by events: what {@link presence} returns.
 *
 * @example
 * const people = presence<{ name: string }>(client.channel('room:kelp'));
 * await people.ready;
 * for (const { data } of people.members.values()) console.log(data.name, 'is here');
 * people.addEventListener('join', ({ member }) => console.log(member.data.name, 'comes'));
 * people.addEventListener('leave', ({ member }) => console.log(member.data.name, 'goes'));
 */
export class Presence<T = unknown> extends OurEventTarget<PresenceEventMap<T>> {
  readonly #crowd: Crowd<T>;
  readonly #ready = new Outcome<void>();
  readonly #signal: AbortSignal | undefined;
  #isClosed = false;

  /** @internal Made by `presence(channel)`. */
  constructor(crowd: Crowd<T>, payload: string | undefined, signal: AbortSignal | undefined) {
    super();
    this.#crowd = crowd;
    this.#signal = signal;
    if (signal?.aborted) {
      this.#isClosed = true;
      this.#ready.fail(signal.reason);
      return;
    }
    signal?.addEventListener('abort', this.#close);
    crowd.add(this, payload);
  }

  /**
   * Resolves when it is known who is there, for the first time. Rejects with a {@link CallError} when the server refuses (DEADLINE_EXCEEDED:
   * it does not answer within `callTimeout`, and is asked again), with an {@link UnsupportedError} when it has no presence, with a {@link ClosedError} when this
   * or the client is closed first, or with the reason of a `signal` that was aborted before. Ignoring it is fine. A refusal is an `error`
   * event of the client too, then and later; it is asked again on the next connection, and by `update()`.
   */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Who is there, this client too, by their ids, in the order in which they came. Another object after each change. */
  get members(): ReadonlyMap<string, Member<T>> {
    return this.#crowd.members;
  }

  /** The id of this client among the members; `undefined` while it is not there, or that is not known. */
  get me(): string | undefined {
    return this.#crowd.me;
  }

  /** Whether `members` is what the server knows: not before it is `ready`, nor without a connection. */
  get isCurrent(): boolean {
    return !this.#isClosed && this.#crowd.isCurrent;
  }

  /**
   * Is there from now on, or shows something else. What follows in quick succession is told as fast as the server answers, the latest of
   * it. Where several of one channel and client are there, the one that spoke last is heard.
   *
   * @param data anything that JSON can carry
   * @throws `TypeError` at what cannot be sent, {@link ClosedError} when this is closed
   *
   * @example
   * input.addEventListener('input', () => people.update({ name: 'Ida', typing: true }));
   */
  update(data: T): void {
    const payload = encoded(data);
    this.#check();
    this.#crowd.show(this, payload);
  }

  /**
   * Is not there any more, and goes on watching.
   *
   * @throws {@link ClosedError} when this is closed
   *
   * @example
   * addEventListener('pagehide', () => people.leave()); // else the others see it for as long as it is waited for
   */
  leave(): void {
    this.#check();
    this.#crowd.show(this, undefined);
  }

  /**
   * Leaves, and watches no more. Doing so twice is doing it once.
   *
   * @example
   * const people = presence(client.channel('room:kelp'), { data: { name: 'Ida' } });
   * people.close();
   */
  close(): void {
    this.#close();
  }

  /** @internal It is known who is there, or will not be. */
  settle(error?: unknown): void {
    if (error === undefined) this.#ready.succeed();
    else this.#ready.fail(error);
  }

  readonly #close = (): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#signal?.removeEventListener('abort', this.#close);
    this.#ready.fail(new ClosedError('It was closed'));
    this.#crowd.remove(this);
  };

  #check(): void {
    if (this.#isClosed) throw new ClosedError('This presence is closed');
  }
}

function encoded(data: unknown): string {
  const json = encodePayload(data);
  if (typeof json === 'string') return json;
  throw new TypeError(`What is shown of a member is JSON, but got ${json ? 'bytes' : 'undefined'}`);
}
