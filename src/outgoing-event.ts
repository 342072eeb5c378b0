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
  dropped(name: string, payload: Payload, reason: DropCause, error: Error): void;
}

export class OutgoingEvent implements Posting {
  readonly name: string;
  readonly payload: Payload;
  readonly ticket: Ticket<void> = new Ticket(() => this.#withdraw());
  readonly #host: OutgoingEventHost;
  #takeOut: () => boolean = () => false;
  #timer: unknown;

  constructor(name: string, payload: Payload, host: OutgoingEventHost) {
    this.name = name;
    this.payload = payload;
    this.#host = host;
  }

  frame(): Outgoing {
    return { type: 'event', name: this.name };
  }

  /** Puts it in line, for `ttl` milliseconds at most. */
  post(ttl: number, isVolatile: boolean, waiting: Waiting): void {
    const { clock, volatile } = this.#host;
    this.#takeOut = this.#host.post(this, { ...waiting, expiresAt: clock.now() + ttl });
    if (this.ticket.status !== 'queued') return;
    if (isVolatile) volatile.add(this);
    if (ttl > MAX_DELAY) return;
    const error = new HoldfastError('DEADLINE_EXCEEDED', `${this.name} waited longer than ${ttl} ms`);
    this.#timer = clock.setTimeout(() => this.#withdraw() && this.dropped('expired', error), ttl);
  }

  sent(): void {
    this.#over();
    this.#host.sent();
    this.ticket.sent();
    if (!this.#host.confirms()) this.ticket.unknown(new UnsupportedError('acknowledgement of events', 'The server'));
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
