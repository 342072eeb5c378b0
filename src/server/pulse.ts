/**
 * Whether a client is alive: asks after silence in either direction, so that the client hears something too, and gives up without an answer.
 * Patiently: a page may be busy for seconds, and a client that is really gone costs little.
 */

import { passage } from '../core/heartbeat.ts';
import type { Clock } from '../io/clock.ts';
import { PATIENCE } from '../wire/protocol.ts';

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
  /** When it was asked first since it was heard. */
  #askedAt = -Infinity;
  /** Until when a large message may be on its way. */
  #expectedUntil = 0;
  #timer: unknown;

  constructor(clock: Clock, rules: { readonly interval: number; readonly timeout: number }, events: PulseEvents) {
    this.#clock = clock;
    this.#rules = rules;
    this.#events = events;
  }

  start(): void {
    this.#heardAt = this.#spokeAt = this.#clock.now();
    this.#look();
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
  }

  /** Something came in. */
  heard(): void {
    this.#heardAt = this.#clock.now();
    this.#expectedUntil = 0;
  }

  /** Something went out. */
  spoke(): void {
    this.#spokeAt = this.#clock.now();
  }

  /** A message of so many bytes is on its way. */
  expect(bytes: number): void {
    this.#expectedUntil = this.#clock.now() + this.#rules.interval + passage(bytes);
  }

  #look(): void {
    const now = this.#clock.now();
    const { interval, timeout } = this.#rules;
    const asked = this.#askedAt > this.#heardAt;
    const verdict = asked ? Math.max(this.#askedAt, this.#expectedUntil) + PATIENCE * timeout : Infinity;
    if (now >= verdict) return this.#events.silent();
    // Who does not say anything may still be listening.
    const due = (asked ? this.#spokeAt : Math.min(this.#heardAt, this.#spokeAt)) + interval;
    if (now >= due) {
      if (!asked) this.#askedAt = now;
      this.#spokeAt = now;
      this.#events.ping();
    }
    const next = now < due ? due : now + Math.min(interval, PATIENCE * timeout);
    this.#timer = this.#clock.setTimeout(() => this.#look(), Math.min(next, verdict) - now);
  }
}
