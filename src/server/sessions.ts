/**
 * The sessions of a server (docs/protocol.md, section Sessions): who may go on with which, how long they outlive their connections, and how
 * much memory they take meanwhile.
 */

import type { Clock } from '../io/clock.ts';
import type { Resume } from '../wire/frames.ts';
import type { ServerClient } from './client.ts';

/**
 * How long clients that are away are waited for, and what they may cost: a client that comes back in time finds everything as it was. When
 * there is too much, those are given up that never said a word, then those that have been away longest.
 */
export interface SessionLimits {
  /** Milliseconds that a session outlives its connection, from when the server notices the loss. @default 120000 */
  readonly ttl: number;
  /** Sessions without a connection at the same time. @default 10000 */
  readonly capacity: number;
  /** Sessions without a connection of one principal; those of nobody in particular are only bounded by the others. @default 100 */
  readonly perPrincipal: number;
  /** Bytes that are kept for all clients that are away. @default 64 MiB */
  readonly bytes: number;
}

/** Why a session does not go on: the code of `welcome.error`. */
export type Refusal = 'unknown' | 'expired' | 'overflow' | 'mismatch' | 'identity';

/** How many sessions that are over are remembered, to tell why. */
const REMEMBERED = 1_000;

/** How long a client is waited for that has never said anything; milliseconds. */
const UNHEARD = 10_000;

interface Absent {
  bytes: number;
  /** Undefined where nobody is named. */
  readonly owner: string | undefined;
  readonly timer: unknown;
}

export class SessionStore {
  readonly #limits: SessionLimits;
  readonly #clock: Clock;
  readonly #sessions = new Map<string, ServerClient>();
  /** Those without a connection, the longest away first. */
  readonly #absent = new Map<ServerClient, Absent>();
  /** Those of them that never said a word: they are given up first. */
  readonly #unheard = new Set<ServerClient>();
  /** The same by owner. */
  readonly #ofOwner = new Map<string, Set<ServerClient>>();
  #bytes = 0;
  readonly #ended = new Map<string, Refusal>();

  constructor(limits: SessionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Sessions, with a connection or without. */
  get size(): number {
    return this.#sessions.size;
  }

  add(session: string, client: ServerClient): void {
    this.#sessions.set(session, client);
  }

  /**
   * Who is meant, and whether it may go on. A wrong key is told no more than that it does not go on.
   *
   * @param identity of the principal who asks
   */
  find(resume: Resume, identity: string): ServerClient | Refusal {
    const client = this.#sessions.get(resume.session);
    if (!client) return this.#ended.get(resume.session) ?? 'unknown';
    if (client.secret === undefined || !isSame(resume.key, client.secret)) return 'unknown';
    if (client.identity !== identity) return 'identity';
    return client.mayResume(resume) ? client : 'mismatch';
  }

  /**
   * A client has lost its connection: it is waited for.
   *
   * @param heard whether it ever said anything: else it may not know of the session, and is not waited for for long
   */
  left(client: ServerClient, owner: string | undefined, heard = true): void {
    const { capacity } = this.#limits;
    const ttl = heard ? this.#limits.ttl : Math.min(this.#limits.ttl, UNHEARD);
    const timer = this.#clock.setTimeout(() => client.end('expired'), ttl);
    this.#absent.set(client, { bytes: client.weight, owner, timer });
    this.#bytes += client.weight;
    if (!heard) this.#unheard.add(client);
    if (owner !== undefined) this.#own(owner, client);
    if (this.#absent.size > capacity) this.#oldest()?.end('overflow');
    this.#shrink();
  }

  #own(owner: string, client: ServerClient): void {
    const others = this.#ofOwner.get(owner) ?? new Set();
    this.#ofOwner.set(owner, others.add(client));
    if (others.size > this.#limits.perPrincipal) others.values().next().value?.end('overflow');
  }

  /** It is back. */
  returned(client: ServerClient): void {
    const absent = this.#absent.get(client);
    if (!absent) return;
    this.#clock.clearTimeout(absent.timer);
    this.#absent.delete(client);
    this.#unheard.delete(client);
    this.#bytes -= absent.bytes;
    const { owner } = absent;
    const others = owner === undefined ? undefined : this.#ofOwner.get(owner);
    others?.delete(client);
    if (owner !== undefined && others?.size === 0) this.#ofOwner.delete(owner);
  }

  /** There is more, or less, that is kept for it. */
  weigh(client: ServerClient): void {
    const absent = this.#absent.get(client);
    if (!absent) return;
    this.#bytes += client.weight - absent.bytes;
    absent.bytes = client.weight;
    this.#shrink();
  }

  /** A session is over. */
  ended(session: string, client: ServerClient, why: Refusal): void {
    this.returned(client);
    if (!this.#sessions.delete(session)) return;
    this.#ended.set(session, why);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > REMEMBERED && oldest !== undefined) this.#ended.delete(oldest);
  }

  #shrink(): void {
    for (let oldest = this.#oldest(); oldest && this.#bytes > this.#limits.bytes; oldest = this.#oldest()) oldest.end('overflow');
  }

  #oldest(): ServerClient | undefined {
    const [unheard] = this.#unheard;
    return unheard ?? this.#absent.keys().next().value;
  }
}

/** Compares secrets in a time that does not tell how much of them is right. */
function isSame(one: string, other: string): boolean {
  let difference = one.length ^ other.length;
  for (let i = 0; i < other.length; i++) difference |= one.charCodeAt(i) ^ other.charCodeAt(i);
  return difference === 0;
}
