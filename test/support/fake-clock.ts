/** A clock that stands still until it is told to go on. */

import type { Clock } from '../../src/io/clock.ts';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now = 0;
  /** Epoch milliseconds at the start. */
  epoch = 1_700_000_000_000;

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.epoch + this.#now;
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer; Infinity when there is none. */
  get next(): number {
    return Math.min(Infinity, ...[...this.#timers].map(({ at }) => at)) - this.#now;
  }

  setTimeout(callback: () => void, delay: number): Timer {
    if (!(delay >= 0 && delay <= 2 ** 31 - 1)) throw new RangeError(`a timer of ${delay} ms would fire at once`);
    const timer = { at: this.#now + delay, callback };
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as Timer);
  }

  /** Lets `ms` pass; each timer fires at its time, and promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (let timer = this.#due(end); timer; timer = this.#due(end)) {
      this.#now = Math.max(this.#now, timer.at);
      await this.#fire(timer);
    }
    this.#now = end;
  }

  /** The laptop slept: `ms` pass in which nothing fires, then every timer that is due fires, late and once. */
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
    for (let timer = this.#due(this.#now); timer; timer = this.#due(this.#now)) await this.#fire(timer);
  }

  /** The time passes and nothing has fired yet: for what comes in before the timers, after a sleep. */
  jump(ms: number): void {
    this.#now += ms;
  }

  #due(until: number): Timer | undefined {
    return [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
  }

  async #fire(timer: Timer): Promise<void> {
    this.#timers.delete(timer);
    timer.callback();
    await settled();
  }
}

/** Every promise that can settle without time passing has settled. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
