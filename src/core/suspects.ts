/**
 * Which messages are written with care, since the sessions in which they were written were lost: a poison message ends the server that reads
 * it, and would do so again and again. A suspect is written alone, on a connection that has just shown a sign of life, and nothing else until
 * it is acknowledged. A deterministic object: it knows neither time nor sockets.
 *
 * ```
 * lost, lost ──► suspect ──► written alone ──► lost, three times ──► given up
 *                              ▲      └──► acknowledged: innocent
 *                            proof
 * ```
 */

/** Sessions that have to be lost with a message on its way before it is written alone. A server that restarts loses all of them once. */
export const SUSPECT = 2;
/** Sessions that may be lost with it, the last of them with nothing else on its way. */
export const GIVEN_UP = 5;

export class Suspects<T extends object> {
  readonly #lost = new WeakMap<T, number>();
  /** What was written alone, and is not acknowledged. */
  #trial: T | undefined;
  /** Whether the connection has shown that it bears what was written before. */
  #proof: 'none' | 'asked' | 'given' = 'none';

  /** A session was lost in which it was written and not acknowledged. True when it is to be given up. */
  lost(message: T): boolean {
    const before = this.#lost.get(message) ?? 0;
    const after = before < SUSPECT || message === this.#trial ? before + 1 : before;
    this.#lost.set(message, after);
    return after >= GIVEN_UP;
  }

  /** The session is over. */
  ended(): void {
    this.#trial = undefined;
  }

  /** Another connection: it has shown nothing yet. */
  opened(): void {
    this.#proof = 'none';
  }

  /**
   * Whether it may be written now. If not, a sign of life is wanted first.
   *
   * @param isQuiet whether everything that was written is acknowledged
   */
  mayWrite(message: T, isQuiet: boolean): boolean {
    if (this.#trial) return false;
    return !this.#isSuspect(message) || (this.#proof === 'given' && isQuiet);
  }

  /** It was written. True when that is a trial: a sign of life shows how it ended. */
  wrote(message: T): boolean {
    if (!this.#isSuspect(message)) return false;
    this.#trial = message;
    this.#proof = 'none';
    return true;
  }

  /** Whether a sign of life is to be asked for: once. */
  asks(): boolean {
    if (this.#proof === 'asked') return false;
    this.#proof = 'asked';
    return true;
  }

  /**
   * The sign of life is here. True when something may have waited for it.
   *
   * @param isQuiet whether everything that was written is acknowledged
   */
  proved(isQuiet: boolean): boolean {
    if (this.#proof !== 'asked') return false;
    this.#proof = isQuiet ? 'given' : 'none';
    if (isQuiet) this.#trial = undefined;
    return true;
  }

  #isSuspect(message: T): boolean {
    return (this.#lost.get(message) ?? 0) >= SUSPECT;
  }
}
