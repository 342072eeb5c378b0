/** Until when a client is who it says: it is asked for new credentials in good time, and closed without them (docs/protocol.md, Credentials). */

import { clampDelay, MAX_DELAY } from '../core/backoff.ts';
import type { Clock } from '../io/clock.ts';

/** What happens. */
export interface ExpiryEvents {
  /** New credentials are wanted, within so many milliseconds. */
  ask(within: number): void;
  /** They have not come. */
  over(): void;
}

/** How long before the end a client is asked, if it has so long; milliseconds. */
const LEAD = 30_000;

export class Expiry {
  readonly #clock: Clock;
  readonly #events: ExpiryEvents;
  #timer: unknown;

  constructor(clock: Clock, events: ExpiryEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  /** It is who it says until then, in epoch milliseconds. */
  renew(at: number): void {
    this.stop();
    if (at === Infinity) return;
    const left = at - this.#clock.wall();
    if (left > MAX_DELAY) this.#timer = this.#clock.setTimeout(() => this.renew(at), MAX_DELAY);
    else if (left <= 0) this.#timer = this.#clock.setTimeout(() => this.#events.over(), 0);
    else this.#wait(left);
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
  }

  #wait(left: number): void {
    const within = Math.ceil(Math.min(LEAD, left / 2));
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#timer = this.#clock.setTimeout(() => this.#events.over(), within);
        this.#events.ask(within);
      },
      clampDelay(left - within),
    );
  }
}
