/**
 * The seam between a server and what it shares with other servers: what is published, the history of channels, and the outcomes of
 * idempotent executions. The default is {@link MemoryBroker}, for one process; one on top of a store makes many processes one server.
 */

import type { Payload } from '../wire/codec.ts';
import type { Member, WireError } from '../wire/frames.ts';

/**
 * A place in the history of a channel: everything that was published up to there is known.
 *
 * @example
 * const start: Position = { epoch: '6f1c0a.0', offset: 0 };
 */
export interface Position {
  /** Which history: another one where it was lost or begun anew. No two histories of a channel ever have the same. */
  readonly epoch: string;
  /** How many messages it has had: 0 before the first one, which is number 1. */
  readonly offset: number;
}

/** What is published. */
export interface Publication {
  /** The data as JSON, or bytes. The broker keeps it and hands it on as it is: nobody changes the bytes any more. */
  readonly payload: Payload;
  /** Who published it. @default nobody is named */
  readonly from?: string | undefined;
}

/** A published message as a broker hands it on. It is shared by all who get it: nobody changes it. */
export interface BrokerMessage extends Publication {
  /** The epoch of its position; `undefined` where the channel keeps no history. */
  readonly epoch?: string | undefined;
  /** The offset of its position, 1 or more; `undefined` where the channel keeps no history. */
  readonly offset?: number | undefined;
}

/** Where a channel stands, and what was missed. */
export interface Missed {
  /** Where the channel stands now; `undefined` where it keeps no history. */
  readonly position: Position | undefined;
  /**
   * Every message after the position that was asked about, in order, up to `position`; empty where there is none. `undefined` where that
   * cannot be told: nothing was asked about, some of it is not kept any more, it is no position of this history, or there is no history.
   */
  readonly missed: readonly BrokerMessage[] | undefined;
}

/** What became of an execution: its result as JSON or bytes (`undefined` for none), or its error. */
export type Outcome =
  | {
      /** The result as JSON or bytes; `undefined` for none. */
      readonly payload?: Payload | undefined;
      /** It did not fail. */
      readonly error?: undefined;
    }
  | {
      /** Why it failed. */
      readonly error: WireError;
    };

/**
 * What is known about an execution that somebody asks for:
 *
 * - `new`: nothing. Whoever asked runs it, and then calls `finish`, or `forget`
 * - `running`: somebody runs it, here or on another server. `outcome` resolves when it is done, with `undefined` where it came to
 *   nothing: then ask again. It never rejects
 * - `done`: this came out
 * - `conflict`: the key belongs to something else
 * - `full`: nothing, and there is no room to remember it: do not run it
 */
export type Begun =
  | {
      /** Run it. */
      readonly status: 'new';
    }
  | {
      /** Wait for it. */
      readonly status: 'running';
      /** What comes out; `undefined` where it came to nothing. */
      readonly outcome: Promise<Outcome | undefined>;
    }
  | {
      /** It was run. */
      readonly status: 'done';
      /** What came out. */
      readonly outcome: Outcome;
    }
  | {
      /** Refuse it: INVALID_ARGUMENT. */
      readonly status: 'conflict';
    }
  | {
      /** Refuse it: RESOURCE_EXHAUSTED. */
      readonly status: 'full';
    };

/** Somebody came or shows something else (`set`), or left (`gone`). */
export type MemberChange =
  | {
      /** Who is there from now on, with that data. */
      readonly set: Member;
      /** It did not leave. */
      readonly gone?: undefined;
    }
  | {
      /** The `id` of who is not there any more. */
      readonly gone: string;
      /** It did not come. */
      readonly set?: undefined;
    };

/**
 * Who is there on channels: the part of a {@link Broker} for presence. What one server says of one member keeps its order. The members of a
 * server that ends without a word are to go as well: on Redis, say, by a lease that each server renews.
 *
 * @example
 * const members: Members = {
 *   enter: (channel, member) => console.log(member.id, 'is on', channel),
 *   leave: (channel, id) => console.log(id, 'left', channel),
 *   list: () => [],
 *   watch: () => () => {},
 * };
 */
export interface Members {
  /**
   * Somebody is there, or shows something else.
   *
   * @param channel the name of the channel
   * @param member who
   */
  enter(channel: string, member: Member): void | Promise<void>;

  /**
   * Somebody is not there any more. Of somebody who was not there it does nothing.
   *
   * @param channel the name of the channel
   * @param id its `id`
   */
  leave(channel: string, id: string): void | Promise<void>;

  /**
   * Who is there now, on whichever server.
   *
   * @param channel the name of the channel
   * @returns all of them, in any order
   */
  list(channel: string): readonly Member[] | Promise<readonly Member[]>;

  /**
   * Hands on who comes, changes and leaves from now on, by whichever server. What comes between `watch` and `list` may be told by both.
   *
   * @param channel the name of the channel
   * @param listener called with each change; what it throws harms nobody
   * @param lost called where changes may have been left out: they are in the next `list`. @default not told
   * @returns stops it, at once; calling that again does nothing
   */
  watch(channel: string, listener: (change: MemberChange) => void, lost?: () => void): (() => void) | Promise<() => void>;
}

/**
 * What servers share. Every method answers at once or with a promise, as it can. One that throws or rejects has not done what was asked
 * of it, as far as it knows. Whoever made a broker ends it, after the servers that use it.
 *
 * Who subscribes and wants what was missed before asks for the history after `subscribe` has answered; what is handed on until the history
 * is there waits, and then goes for nothing up to the `position` of the answer. So nothing is missed between the two, and nothing comes
 * twice.
 *
 * To write one on Redis: `publish` as one script that appends to a stream, counts up the offset and publishes what it made; `history` as
 * another that reads both; `begin` as SET with NX.
 *
 * @example
 * const memory = new MemoryBroker();
 * const broker: Broker = {
 *   idempotency: memory.idempotency,
 *   members: memory.members,
 *   subscribe: (channel, listener) => memory.subscribe(channel, listener),
 *   publish(channel, publication) {
 *     console.log('published on', channel);
 *     return memory.publish(channel, publication);
 *   },
 *   history: async (channel, since) => memory.history(channel, since), // every answer may be a promise
 *   begin: (key, fingerprint) => memory.begin(key, fingerprint),
 *   finish: (key, outcome) => memory.finish(key, outcome),
 *   forget: (key) => memory.forget(key),
 * };
 */
export interface Broker {
  /**
   * How long an outcome is remembered after `finish`, a whole number of milliseconds: what clients are told in the welcome, as
   * `idempotency`. A broker that runs out of room may remember it for less.
   */
  readonly idempotency: number;

  /** Who is there on channels; without it the server offers no presence. */
  readonly members?: Members;

  /**
   * Hands on what is published on a channel from now on, by whomever and on whichever server: each message once, in the order of the
   * offsets where there is a history, and otherwise in one order for all. From when it has answered nothing is left out without a call
   * of `lost`. A message may come before `publish` has answered, and before `subscribe` has. Where a listener publishes, that message
   * comes to nobody before all have got the one before.
   *
   * @param channel the name of the channel
   * @param listener called with each message; what it throws harms nobody
   * @param lost called where messages may have been left out, or the epoch has changed: the broker has lost its own connection, say.
   * What was missed is in the history, if anywhere. @default not told
   * @returns stops it, at once; calling that again does nothing
   */
  subscribe(channel: string, listener: (message: BrokerMessage) => void, lost?: () => void): (() => void) | Promise<() => void>;

  /**
   * Publishes a message: appends it to the history, if the channel keeps one, and hands it on. What one caller publishes on a channel
   * keeps its order, whether it waits for the answers or not.
   *
   * @param channel the name of the channel
   * @param publication the message
   * @returns its position; `undefined` where the channel keeps no history
   */
  publish(channel: string, publication: Publication): Position | undefined | Promise<Position | undefined>;

  /**
   * Where a channel stands now, and everything that came after a position: all of it or nothing.
   *
   * @param channel the name of the channel
   * @param since a position as it came from a client: anything may stand in it. @default only the position is asked for
   * @returns the position, and what was missed
   */
  history(channel: string, since?: Position): Missed | Promise<Missed>;

  /**
   * Begins an idempotent execution, unless it was begun before: of all who ask, on whichever server, exactly one is told `new`.
   *
   * @param key what the execution is known by: the principal, the method and the key of the caller in one
   * @param fingerprint what is to be executed, best as a digest: the same key with another one is a `conflict`
   * @returns what is known about it
   */
  begin(key: string, fingerprint: string): Begun | Promise<Begun>;

  /**
   * The execution is done: all who wait are told, and it is remembered for `idempotency` milliseconds. Of a key that is not running it
   * does nothing.
   *
   * @param key as it was begun
   * @param outcome what came out; nobody changes it any more
   */
  finish(key: string, outcome: Outcome): void | Promise<void>;

  /**
   * The execution came to nothing that may be remembered, say because it was refused before it ran: another may run. Of a key that is not
   * running it does nothing: an outcome stays remembered.
   *
   * @param key as it was begun
   */
  forget(key: string): void | Promise<void>;
}
