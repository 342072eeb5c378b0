/**
 * The way out of a client: what is posted waits in the outbox until there is a connection, and what is written in one task leaves
 * together at its end. Frames are made at that moment, so that what is cancelled or replaced in the same task is never sent.
 */

import type { Posting, Waiting } from './caller.ts';
import { type Dropped, Outbox, type OutboxLimits } from './core/outbox.ts';
import { ClosedError, HoldfastError, MessageTooLargeError, QueueFullError, UnsupportedError } from './errors.ts';
import { OPEN, type WebSocketLike } from './io/web-socket.ts';
import { guarded } from './report.ts';
import { Batch } from './wire/batch.ts';
import { bytesOf, type Payload } from './wire/codec.ts';
import type { Outgoing } from './wire/frames.ts';
import type { Capabilities, Protocol } from './wire/protocol.ts';

/** What a transmitter needs of the client. */
export interface TransmitterHost {
  readonly protocol: Protocol;
  now(): number;
  /** Whether the server offers something. */
  offers(capability: keyof Capabilities): boolean;
  /** The socket, while the connection is open. */
  socket(): WebSocketLike | undefined;
  /** A message went out. */
  sent(bytes: number): void;
}

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
  #batch: Batch;
  #scheduled = false;
  #paused = false;

  constructor(host: TransmitterHost, limits: OutboxLimits) {
    this.#host = host;
    this.#outbox = new Outbox(limits);
    this.#overflow = limits.overflow;
    this.#batch = this.#emptyBatch();
  }

  /** What waits. */
  get queued(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#outbox.size, bytes: this.#outbox.bytes };
  }

  /** A connection opened to a server that takes so much. What was written for an earlier one is gone with it. */
  opened(limit: number): void {
    this.#limit = limit;
    this.#batch = this.#emptyBatch();
    this.#paused = false;
  }

  /** Until the next connection, what waits goes on waiting. */
  pause(): void {
    this.#paused = true;
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
    this.#schedule();
    return () => this.#outbox.remove(entry);
  }

  /** Writes a frame that belongs to this connection, at the end of the task; returns why not when it is larger than the server takes. */
  write(frame: Outgoing, payload?: Payload): MessageTooLargeError | undefined {
    if (!this.#host.socket()) return undefined; // the connection it belongs to is gone, and so is whoever waited for it
    const error = this.#add(frame, payload);
    this.#schedule();
    return error;
  }

  /** Writes everything now. */
  flush(): void {
    const socket = this.#host.socket();
    // A socket on its way out would swallow it without a word: what waits goes on waiting.
    if (socket?.readyState !== OPEN) return;
    // Told last: whoever is told about a drop may close or replace the connection.
    const drops: (() => void)[] = [];
    while (!this.#paused) {
      const { entry, drops: expired } = this.#outbox.take(this.#host.now());
      drops.push(() => this.#report(expired));
      if (!entry) break;
      this.#transmit(entry.value, drops);
    }
    for (const message of this.#batch.take()) {
      this.#host.sent(bytesOf(message));
      guarded(() => socket.send(message));
    }
    for (const drop of drops) drop();
  }

  /** Drops everything that waits, for that reason. */
  clear(error: ClosedError): void {
    this.#report(this.#outbox.clear(), error);
  }

  #schedule(): void {
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

  #transmit(posting: Posting, drops: (() => void)[]): void {
    const missing = this.#missing(posting);
    if (missing) return void drops.push(() => posting.dropped('unsupported', new UnsupportedError(missing, 'The server')));
    const error = this.#add(posting.frame(), posting.payload);
    if (error) drops.push(() => posting.dropped('too-large', error));
    else posting.sent();
  }

  #add(frame: Outgoing, payload: Payload | undefined): MessageTooLargeError | undefined {
    const message = this.#host.protocol.encode(frame, payload);
    if (message === undefined) return undefined;
    const bytes = bytesOf(message);
    if (bytes > this.#limit) return new MessageTooLargeError(bytes, this.#limit);
    this.#batch.add(message, bytes);
    return undefined;
  }

  #emptyBatch(): Batch {
    return new Batch(this.#limit, this.#host.protocol.batches ? undefined : 1);
  }

  #report(drops: readonly Dropped<Posting>[], closed: ClosedError = new ClosedError()): void {
    for (const { value, reason } of drops) value.dropped(reason, reason === 'closed' ? closed : WHY[reason]());
  }
}
