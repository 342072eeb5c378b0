/**
 * Which messages are written with care, since the sessions in which they were written were lost: a poison message ends the server that reads
 * it, and would do so again and again. Deterministic: the caller tells the time, and what happens.
 *
 * ```
 * lost, lost ──► suspect ──► on trial: alone, on a connection that has lasted and lives ──► lost, three times ──► given up
 *                                └──► it lives on: acquitted
 * ```
 *
 * An innocent message must not be given up, however often a server dies of something else. So a trial is a fair one: nothing else is on its
 * way, the connection has lasted for a while that nobody can foresee, and has just shown a sign of life. And a session that was ended in
 * good order, by this side, or by silence, says nothing about a message.
 */

/** Sessions that have to be lost with a message, one soon after the other, before it is a suspect. */
const SUSPECT = 2;
/** Sessions that may be lost with it, the last ones on trial. */
export const GIVEN_UP = 5;
/** What a connection lives before something is on trial, up to twice that, and twice as long after each trial that was lost; milliseconds. */
const STEADY = 2_000;
/** Sessions in a row that were lost while suspects were waiting: it is something else that they are lost by. */
const ALIBIS = 2;
/** How long a call on trial is waited for, where its answer takes longer; milliseconds. */
const TRIAL = 3_000;
/** Who dies of a message dies so soon; milliseconds. */
const SOON = 10_000;

/** What may be on trial. */
export interface Suspect {
  /** Of a question, whether nothing has come of it yet. */
  readonly isPending?: boolean;
}

/** What the end of a connection says of messages. */
const NOTHING = { isAbrupt: false, isSoon: false, isAlibi: false };

export class Suspects<T extends Suspect> {
  #lost = new WeakMap<T, number>();
  #exist = false;
  /** What was written alone, and since when. */
  #trial: { readonly message: T; readonly since: number } | undefined;
  #sign: 'none' | 'asked' | 'here' = 'none';
  #openedAt = 0;
  /** How long a connection has to last. */
  #steady = 0;
  /** The suspect that waits on this connection, on which no trial has begun. */
  #waiting: T | undefined;
  #alibis = 0;
  #isOpen = false;
  /** How the last connection has ended: a session is lost by it, though that is told when the next one opens. */
  #end = NOTHING;

  /** Whether there ever was a suspect: until then nothing has to be asked. */
  get exist(): boolean {
    return this.#exist;
  }

  /** Another connection. */
  opened(now: number, random: number): void {
    this.#isOpen = true;
    this.#sign = 'none';
    this.#openedAt = now;
    this.#steady = STEADY * (1 + random);
    this.#waiting = undefined;
  }

  /**
   * The connection has ended.
   *
   * @param isAbrupt whether the other end was gone all at once
   * @param isQuiet whether all that was posted is acknowledged
   */
  closed(now: number, isAbrupt: boolean, isQuiet: boolean): void {
    this.#look(now, isQuiet);
    const isSoon = now - this.#openedAt <= SOON;
    const isAlibi = isAbrupt && isQuiet && this.#waiting !== undefined && !this.#trial;
    if (this.#isOpen) this.#end = { isAbrupt, isSoon, isAlibi }; // attempts that fail later say nothing
    this.#isOpen = false;
  }

  /** The session is lost with this message: it is written once more, or, where this returns true, given up. */
  lost(message: T): boolean {
    const before = this.#lost.get(message) ?? 0;
    const { isAbrupt, isSoon } = this.#end;
    if (!isAbrupt) return false;
    const counts = before === 0 || (before < SUSPECT ? isSoon : message === this.#trial?.message);
    this.#lost.set(message, counts ? before + 1 : before);
    this.#exist ||= counts && before + 1 >= SUSPECT;
    return counts && before + 1 >= GIVEN_UP;
  }

  /** The session is over, and with it what was on trial. */
  ended(): void {
    this.#trial = undefined;
    if (this.#end.isAlibi && ++this.#alibis >= ALIBIS) this.#acquitAll();
    this.#end = NOTHING;
  }

  /** Something else is on its way: what is on trial is not alone any more. */
  disturbed(): void {
    this.#trial = undefined;
  }

  /** Whether it may be written now; else {@link wish} says what is waited for. */
  mayWrite(message: T, now: number, isQuiet: () => boolean): boolean {
    if (this.#trial) this.#look(now, isQuiet());
    if (this.#trial) return false;
    if (!this.#isSuspect(message)) return true;
    this.#waiting = message;
    return now >= this.#steadyAt && this.#sign === 'here' && isQuiet();
  }

  /** It was written. True where it is on trial now. */
  wrote(message: T, now: number): boolean {
    if (!this.#isSuspect(message)) return false;
    this.#trial = { message, since: now };
    this.#waiting = undefined;
    this.#alibis = 0;
    this.#sign = 'none';
    return true;
  }

  /** A sign of life that is to be asked for now, or when to look again; undefined where something will come by itself. */
  wish(now: number): 'sign' | number | undefined {
    const { since } = this.#trial ?? {};
    if (since === undefined && now < this.#steadyAt) return this.#steadyAt;
    if (this.#sign === 'none') {
      this.#sign = 'asked';
      return 'sign';
    }
    return since !== undefined && now < since + TRIAL ? since + TRIAL : undefined;
  }

  /** The sign of life is here. */
  signed(): void {
    if (this.#sign === 'asked') this.#sign = 'here';
  }

  #look(now: number, isQuiet: boolean): void {
    if (!this.#trial || !isQuiet) return;
    const { message, since } = this.#trial;
    const isDone = this.#sign === 'here' && message.isPending !== true;
    if (!isDone && now < since + TRIAL) return;
    this.#lost.delete(message);
    this.#trial = undefined;
  }

  /** From when on what waits may be on trial. */
  get #steadyAt(): number {
    const lost = this.#waiting ? (this.#lost.get(this.#waiting) ?? 0) : 0;
    return this.#openedAt + this.#steady * 2 ** Math.max(0, lost - SUSPECT);
  }

  /** It was something else. */
  #acquitAll(): void {
    this.#lost = new WeakMap();
    this.#alibis = 0;
  }

  #isSuspect(message: T): boolean {
    return (this.#lost.get(message) ?? 0) >= SUSPECT;
  }
}
