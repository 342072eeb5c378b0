/** One event on its way out: waiting, perhaps too long, then written or dropped; its ticket says which. */

import type { DropCause, Posting, Waiting } from './caller.ts';
import { MAX_DELAY } from './core/backoff.ts';
import { HoldfastError, UnsupportedError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import { Ticket } from './receipt.ts';
import type { Payload } from './wire/codec.ts';
import type { Outgoing } from './wire/frames.ts';

/** What an event needs of its client. */
export interface OutgoingEventHost {
  readonly clock: Clock;
  /** Events meant for this connection alone that have not been written. */
  readonly volatile: Set<OutgoingEvent>;
  /** Puts it in line and returns how to take it out again. */
  post(posting: Posting, waiting: Waiting): () => boolean;
  /** Whether the server will confirm it. */
  confirms(): boolean;
  sent(): void;
  acknowledged(): void;
  /** It was written, and what became of it will not be known. */
  unknown(): void;
  dropped(name: string, payload: Payload, reason: DropCause, error: Error): void;
}

export class OutgoingEvent implements Posting {
  readonly kind = 'event';
  readonly name: string;
  readonly payload: Payload;
  readonly volatile: boolean;
  readonly ticket: Ticket<void> = new Ticket(() => this.#withdraw());
  readonly #host: OutgoingEventHost;
  #takeOut: () => boolean = () => false;
  #timer: unknown;

  constructor(name: string, payload: Payload, isVolatile: boolean, host: OutgoingEventHost) {
    this.name = name;
    this.payload = payload;
    this.volatile = isVolatile;
    this.#host = host;
  }

  frame(): Outgoing {
    return { type: 'event', name: this.name };
  }

  /** Puts it in line, for `ttl` milliseconds at most. */
  post(ttl: number, waiting: Waiting): void {
    const { clock, volatile } = this.#host;
    this.#takeOut = this.#host.post(this, { ...waiting, expiresAt: clock.now() + ttl });
    if (this.ticket.status !== 'queued') return;
    if (this.volatile) volatile.add(this);
    if (ttl > MAX_DELAY) return;
    const error = new HoldfastError('DEADLINE_EXCEEDED', `${this.name} waited longer than ${ttl} ms`);
    this.#timer = clock.setTimeout(() => this.#withdraw() && this.dropped('expired', error), ttl);
  }

  cancel(): boolean {
    return this.ticket.cancel();
  }

  sent(): void {
    this.#over();
    if (this.ticket.status === 'queued') this.#host.sent(); // once, however often it is written
    this.ticket.sent();
    if (this.volatile) this.ticket.unknown(new HoldfastError('UNSUPPORTED', 'Volatile events are not acknowledged'));
    else if (!this.#host.confirms()) this.ticket.unknown(new UnsupportedError('acknowledgement of events', 'The server'));
  }

  acknowledged(): void {
    this.#host.acknowledged();
    this.ticket.succeed();
  }

  unknown(error: Error): void {
    this.#host.unknown();
    this.ticket.unknown(error);
  }

  dropped(reason: DropCause, error: Error): void {
    this.#over();
    this.ticket.dropped(error);
    this.#host.dropped(this.name, this.payload, reason, error);
  }

  /** The connection that it was meant for is gone, or was never there. */
  missed(): void {
    this.#withdraw();
    this.dropped('volatile', new HoldfastError('CONNECTION_FAILED', 'There was no connection'));
  }

  #withdraw(): boolean {
    this.#over();
    return this.#takeOut();
  }

  #over(): void {
    this.#host.clock.clearTimeout(this.#timer);
    this.#host.volatile.delete(this);
  }
}
