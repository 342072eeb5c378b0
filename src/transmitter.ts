/**
 * The way out of a client: what is posted waits in the outbox until there is a connection, and what is written in one task leaves
 * together at its end. Frames are made at that moment, so that what is cancelled or replaced in the same task is never sent.
 */

import type { Posting, Waiting } from './caller.ts';
import { type Dropped, type Entry, Outbox, type OutboxLimits } from './core/outbox.ts';
import { type ClosedError, HoldfastError, MessageTooLargeError, QueueFullError, SessionLostError, UnsupportedError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import { OPEN, type WebSocketLike } from './io/web-socket.ts';
import type { Line, Way } from './line.ts';
import { guarded } from './report.ts';
import { Trials } from './trials.ts';
import { Batch } from './wire/batch.ts';
import { bytesOf, type Payload } from './wire/codec.ts';
import { announcement, type Outgoing } from './wire/frames.ts';
import type { Capabilities, Protocol } from './wire/protocol.ts';

/** What a transmitter needs of the client. */
export interface TransmitterHost {
  readonly protocol: Protocol;
  readonly clock: Clock;
  /** Whether the server offers something. */
  offers(capability: keyof Capabilities): boolean;
  /** The socket, while the connection is open. */
  socket(): WebSocketLike | undefined;
  /**
   * A message went out.
   *
   * @param owes whether the server will show that it has received it
   */
  sent(bytes: number, owes: boolean): void;
  /** Asks the server for a sign of life, when nothing is under way. */
  ask(): void;
  /** A number from 0 to 1. */
  random(): number;
}

/** Bytes that may wait in the socket before the outbox is held back. */
const HIGH_WATER = 65_536;
/** How soon is looked whether they have left, and then ever later; milliseconds. */
const PACE = 4;
const SLOWEST = 100;

const WHY = {
  overflow: () => new QueueFullError('There was no room in the outbox'),
  expired: () => new HoldfastError('DEADLINE_EXCEEDED', 'It waited too long in the outbox'),
  replaced: () => new HoldfastError('REPLACED', 'A newer one with the same key took its place'),
} as const;

export class Transmitter {
  readonly #host: TransmitterHost;
  readonly #outbox: Outbox<Posting>;
  readonly #overflow: OutboxLimits['overflow'];
  /** Bytes that the server takes in a message; Infinity while that is unknown. */
  #limit = Infinity;
  #batch = new Batch(Infinity);
  /** The frames of the session; undefined where the server has none. */
  #line: Line | undefined;
  /** What is in the outbox again: it had been written in a session that was lost. */
  readonly #readmitted = new Map<Posting, Entry<Posting>>();
  /** What is written with care. */
  readonly trials: Trials;
  #scheduled = false;
  /** Whether something is written that the user has posted. */
  #owes = false;
  #paused = false;
  /** Set while the socket has enough to do, and how long until it is looked at again. */
  #pacing: unknown;
  #pace = PACE;

  constructor(host: TransmitterHost, limits: OutboxLimits) {
    this.#host = host;
    this.#outbox = new Outbox(limits);
    this.#overflow = limits.overflow;
    const { clock, random, ask } = host;
    this.trials = new Trials({ clock, random, ask, isQuiet: () => this.#line?.isQuiet !== false, wake: () => this.wake() });
  }

  /** What waits. */
  get queued(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#outbox.size, bytes: this.#outbox.bytes };
  }

  /**
   * A connection opens to a server that takes so much. What was written for an earlier one, and belonged to it, is gone with it.
   *
   * @returns the way onto this connection, for the line of a session
   */
  opened(limit: number, window: number): Way {
    const { protocol } = this.#host;
    const announce = (next: number) => protocol.encode(announcement(next), undefined);
    const batch = new Batch(limit, protocol.batches ? undefined : 1, protocol.pings ? announce : undefined);
    this.#limit = limit;
    this.#batch = batch;
    this.#paused = false;
    this.trials.opened();
    return { limit, window, add: (message, bytes) => batch.add(message, bytes) };
  }

  /** The session of this connection, or that there is none. */
  use(line: Line | undefined): void {
    this.#line = line;
    if (line) this.trials.ended(); // the one before, with what was on trial in it
  }

  /** Puts back what was written in a session that was lost: ahead of everything that waits, of what has come back before too. */
  readmit(postings: readonly Posting[]): void {
    const before = [...this.#readmitted];
    for (const [posting, entry] of before) {
      this.#outbox.remove(entry);
      this.#readmitted.delete(posting);
    }
    for (const posting of [...postings, ...before.map(([posting]) => posting)])
      this.#readmitted.set(posting, this.#outbox.readmit(posting, bytesOf(posting.payload), posting.again?.()));
  }

  /** Until the next connection, what waits goes on waiting, but for items of uploads: their calls run. */
  pause(): void {
    this.#paused = true;
    for (const entry of this.#outbox.entries) if (entry.value.kind === 'upload' && this.#outbox.remove(entry)) this.#pass(entry.value);
  }

  #pass(posting: Posting): void {
    const drops: (() => void)[] = [];
    this.#transmit(posting, drops);
    for (const drop of drops) drop();
    this.wake();
  }

  /**
   * Puts something in line and returns how to take it out again.
   *
   * @throws QueueFullError where there is no room and the policy is `throw`; UnsupportedError and MessageTooLargeError when it is known
   * that the server does not take it
   */
  post(posting: Posting, { priority = 0, key, expiresAt = Infinity }: Waiting = {}): () => boolean {
    const bytes = bytesOf(posting.payload);
    const missing = this.#missing(posting);
    if (missing) throw new UnsupportedError(missing, this.#limit === Infinity ? this.#host.protocol.name : 'The server');
    if (bytes > this.#limit) throw new MessageTooLargeError(bytes, this.#limit);
    if (this.#paused && posting.kind === 'upload' && this.#host.socket()) {
      this.#pass(posting);
      return () => this.#line?.withdraw(posting) === true;
    }
    const { entry, drops } = this.#outbox.enqueue(posting, { bytes, priority, key, expiresAt });
    this.#report(drops);
    if (!entry) {
      const error = new QueueFullError(
        `There is no room for ${bytes} bytes: ${this.#outbox.size} messages with ${this.#outbox.bytes} bytes wait`,
      );
      if (this.#overflow === 'throw') throw error;
      posting.dropped('overflow', error);
      return () => false;
    }
    this.wake();
    return () => this.#withdraw(posting, entry);
  }

  #withdraw(posting: Posting, entry: Entry<Posting>): boolean {
    const again = this.#readmitted.get(posting);
    this.#readmitted.delete(posting);
    this.wake(); // something may have waited for its trial
    return this.#outbox.remove(again ?? entry) || this.#line?.withdraw(posting) === true;
  }

  /** Writes a frame that belongs to this connection, at the end of the task; returns why not when it is larger than the server takes. */
  write(frame: Outgoing, payload?: Payload): MessageTooLargeError | undefined {
    if (!this.#host.socket()) return undefined; // the connection it belongs to is gone, and so is whoever waited for it
    const error = this.#add(frame, payload);
    this.wake();
    return error;
  }

  /** Writes a frame at once, and nothing else: what waits is not for a connection that ends. */
  sayLast(frame: Outgoing): void {
    const socket = this.#host.socket();
    const message = this.#host.protocol.encode(frame, undefined);
    if (socket?.readyState === OPEN && message !== undefined) guarded(() => socket.send(message));
  }

  /** Writes a frame that belongs to the session, or to this connection where there is none; returns why not when it is too large. */
  answer(frame: Outgoing, payload?: Payload): MessageTooLargeError | undefined {
    if (!this.#line) return this.write(frame, payload);
    const error = this.#line.post(frame, payload);
    this.wake();
    return error;
  }

  /**
   * Writes now what may be written.
   *
   * @param isLast whether there may be no other time: then however much the socket has to do
   */
  flush(isLast = false): void {
    const socket = this.#host.socket();
    // A socket on its way out would swallow it without a word: what waits goes on waiting.
    if (socket?.readyState !== OPEN) return;
    // Told last: whoever is told about a drop may close or replace the connection.
    const drops: (() => void)[] = [];
    this.#line?.flush();
    let isHeld = true;
    // A socket that gets rid of it at once can have more at once.
    while (isHeld) {
      isHeld = this.#fill(drops, isLast, HIGH_WATER - socket.bufferedAmount);
      this.#write(socket);
      if (isHeld && socket.bufferedAmount >= HIGH_WATER) {
        this.#lookLater();
        break;
      }
    }
    if (!isHeld) this.#pace = PACE;
    drops.push(...(this.#line?.news() ?? []));
    for (const drop of drops) drop();
  }

  /** Takes as much from the outbox as may be written; true when there is more, and no room for it in the socket. */
  #fill(drops: (() => void)[], isLast: boolean, room: number): boolean {
    let isHeld = false;
    const fits = ({ value, bytes }: Entry<Posting>) => {
      if (!this.#hasRoom(value, bytes) || !(isLast || !this.#canTry || this.trials.mayWrite(value))) return false;
      isHeld = !isLast && this.#batch.bytes >= room;
      return !isHeld;
    };
    while (!this.#paused) {
      const { entry, drops: expired } = this.#outbox.take(this.#host.clock.now(), fits);
      drops.push(() => this.#report(expired));
      if (!entry) break;
      const { value } = entry;
      // What this server does not remember is not asked again.
      if (this.#readmitted.delete(value) && value.again && value.again() === undefined)
        drops.push(() => value.dropped('session-lost', lost()));
      else this.#transmit(value, drops, isLast);
    }
    return isHeld;
  }

  #write(socket: WebSocketLike): void {
    const owes = this.#line ? this.#line.unacknowledged.frames > 0 : this.#owes;
    this.#owes = false;
    for (const message of this.#batch.take()) {
      this.#host.sent(bytesOf(message), owes);
      guarded(() => socket.send(message));
    }
  }

  /** The socket has enough to do: what waits goes on waiting, where it can still be taken back, and is not lost with the connection. */
  #lookLater(): void {
    this.#pacing ??= this.#host.clock.setTimeout(() => {
      this.#pacing = undefined;
      guarded(() => this.flush());
    }, this.#pace);
    this.#pace = Math.min(2 * this.#pace, SLOWEST);
  }

  /** What waits, and what is written and not acknowledged. */
  get unfinished(): Posting[] {
    return [...this.#outbox.entries.map(({ value }) => value), ...(this.#line?.postings ?? [])];
  }

  /** What waits, in the order in which it would be written. */
  get waiting(): readonly Entry<Posting>[] {
    return this.#outbox.entries;
  }

  /** Drops everything that waits, for that reason. */
  clear(error: ClosedError, reason: 'closed' | 'signed-out'): void {
    this.#host.clock.clearTimeout(this.#pacing);
    this.#pacing = undefined;
    const readmitted = new Set(this.#readmitted.keys());
    this.#readmitted.clear();
    const waited = this.#outbox.clear();
    // What was written before may have arrived.
    for (const posting of waited) if (readmitted.has(posting)) posting.unknown?.(error);
    for (const posting of waited) if (!readmitted.has(posting) || !posting.unknown) posting.dropped(reason, error);
  }

  /** Writes what there is to write at the end of the task. */
  wake(): void {
    if (this.#scheduled || !this.#host.socket()) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      guarded(() => this.flush());
    });
  }

  /** What the posting needs and the server does not offer. */
  #missing({ needs, payload }: Posting): string | undefined {
    const { offers } = this.#host;
    if (needs && !offers(needs)) return needs;
    return typeof payload === 'object' && !offers('binary') ? 'binary payloads' : undefined;
  }

  #transmit(posting: Posting, drops: (() => void)[], isLast = false): void {
    const missing = this.#missing(posting);
    if (missing) return void drops.push(() => posting.dropped('unsupported', new UnsupportedError(missing, 'The server')));
    const line = posting.volatile ? undefined : this.#line;
    this.#owes = true;
    const error = line ? line.post(posting.frame(), posting.payload, posting) : this.#add(posting.frame(), posting.payload);
    if (error) drops.push(() => posting.dropped('too-large', error));
    else if (!line) posting.sent();
    else if (isLast)
      this.trials.ended(); // nothing is alone any more
    else if (this.#canTry) this.trials.wrote(posting);
  }

  /** Whether the server can show that it lives, and how far it is: else nobody is on trial. */
  get #canTry(): boolean {
    return this.#line !== undefined && this.#host.protocol.pings;
  }

  #hasRoom({ volatile }: Posting, bytes: number): boolean {
    return volatile || !this.#line || this.#line.hasRoom(bytes);
  }

  #add(frame: Outgoing, payload: Payload | undefined): MessageTooLargeError | undefined {
    const message = this.#host.protocol.encode(frame, payload);
    if (message === undefined) return undefined;
    const bytes = bytesOf(message);
    if (bytes > this.#limit) return new MessageTooLargeError(bytes, this.#limit);
    this.#batch.add(message, bytes);
    return undefined;
  }

  #report(drops: readonly Dropped<Posting>[]): void {
    for (const { value, reason } of drops) {
      this.#readmitted.delete(value);
      value.dropped(reason, WHY[reason]());
    }
  }
}

function lost(): SessionLostError {
  return new SessionLostError('The session was lost before it was answered: it may have been executed or not', true);
}
