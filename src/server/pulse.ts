/** Whether a client is alive: asks after silence in either direction, so that the client hears something too, and gives up without an answer. */

import type { Clock } from '../io/clock.ts';

/** What happens. */
export interface PulseEvents {
  ping(): void;
  /** It did not answer. */
  silent(): void;
}

/** Watches over one client with one timer. */
export class Pulse {
  readonly #clock: Clock;
  readonly #rules: { readonly interval: number; readonly timeout: number };
  readonly #events: PulseEvents;
  #heardAt = 0;
  #spokeAt = 0;
  #askedAt = -Infinity;
  #timer: unknown;

  constructor(clock: Clock, rules: { readonly interval: number; readonly timeout: number }, events: PulseEvents) {
    this.#clock = clock;
    this.#rules = rules;
    this.#events = events;
  }

  start(): void {
    this.#heardAt = this.#spokeAt = this.#clock.now();
    this.#wait(this.#rules.interval);
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
  }

  /** Something came in. */
  heard(): void {
    this.#heardAt = this.#clock.now();
  }

  /** Something went out. */
  spoke(): void {
    this.#spokeAt = this.#clock.now();
  }

  #wait(delay: number): void {
    this.#timer = this.#clock.setTimeout(() => this.#look(), delay);
  }

  #look(): void {
    const now = this.#clock.now();
    const { interval, timeout } = this.#rules;
    const waiting = this.#askedAt > this.#heardAt;
    const due = waiting ? this.#askedAt + timeout : Math.min(this.#heardAt, this.#spokeAt) + interval;
    if (now < due) return this.#wait(due - now);
    if (waiting) return this.#events.silent();
    this.#askedAt = now;
    this.#spokeAt = now;
    this.#events.ping();
    this.#wait(Math.min(interval, timeout));
  }
}
