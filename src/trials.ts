/** Sees to it that what is suspected of ending sessions is written alone: the clock and the pings for core/suspects.ts. */

import type { Posting } from './caller.ts';
import { Suspects } from './core/suspects.ts';
import type { Clock } from './io/clock.ts';

/** What trials need of the way out. */
export interface TrialsHost {
  readonly clock: Clock;
  /** A number from 0 to 1. */
  random(): number;
  /** Asks the server for a sign of life, when nothing is under way. */
  ask(): void;
  /** Whether all that was posted is acknowledged. */
  isQuiet(): boolean;
  /** What was held may go on: it is to be tried again. */
  wake(): void;
}

export class Trials {
  readonly #host: TrialsHost;
  readonly #suspects = new Suspects<Posting>();
  /** Whether something was held since it was tried the last time. */
  #isHolding = false;
  #timer: unknown;

  constructor(host: TrialsHost) {
    this.#host = host;
  }

  /** Another connection. */
  opened(): void {
    const { clock, random } = this.#host;
    this.#suspects.opened(clock.now(), random());
  }

  /**
   * The connection has ended.
   *
   * @param isAbrupt whether the server was gone all at once
   */
  closed(isAbrupt: boolean): void {
    const { clock, isQuiet } = this.#host;
    this.#suspects.closed(clock.now(), isAbrupt, isQuiet());
    clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isHolding = false;
  }

  /** Counts a lost session against what would be written again. True when it is to be given up. */
  blame(posting: Posting): boolean {
    return this.#suspects.lost(posting);
  }

  /** The session is over. */
  ended(): void {
    this.#suspects.ended();
  }

  /** Something else is on its way: what is on trial is not alone any more. */
  disturbed(): void {
    this.#suspects.disturbed();
  }

  /** Whether it may be written now; else it waits, with everything behind it. */
  mayWrite(posting: Posting): boolean {
    const { clock, isQuiet } = this.#host;
    if (!this.#suspects.exist || this.#suspects.mayWrite(posting, clock.now(), isQuiet)) return true;
    this.#isHolding = true;
    this.#seek();
    return false;
  }

  /** It was written. */
  wrote(posting: Posting): void {
    if (this.#suspects.exist && this.#suspects.wrote(posting, this.#host.clock.now())) this.#seek();
  }

  /**
   * The server has answered, or has more than was known.
   *
   * @param isSign whether it has shown that it lives, after all that was written
   */
  heard(isSign: boolean): void {
    if (isSign) this.#suspects.signed();
    if (this.#isHolding) this.#goOn();
  }

  #seek(): void {
    const { clock, ask } = this.#host;
    const now = clock.now();
    const wish = this.#suspects.wish(now);
    if (wish === 'sign') ask();
    if (typeof wish === 'number') this.#timer ??= clock.setTimeout(this.#goOn, wish - now);
  }

  readonly #goOn = (): void => {
    this.#host.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isHolding = false;
    this.#host.wake();
  };
}
