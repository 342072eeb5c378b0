/**
 * What was asked and not answered yet, by id. Deterministic. The same on both ends, since both sides may call.
 *
 * Requests, publishes, subscribes and unsubscribes share one counter from 1. An id is given when a frame is written, and never again
 * for the life of the table: what comes late for an old one finds nobody.
 */

/** The table of one direction. */
export class Calls<T> {
  #lastId = 0;
  readonly #pending = new Map<number, T>();

  /** How many of the questions without an answer are meant. */
  count(isMeant: (question: T) => boolean): number {
    let count = 0;
    for (const question of this.#pending.values()) if (isMeant(question)) count++;
    return count;
  }

  /** Notes a question as asked, and gives it its id. */
  ask(question: T): number {
    this.#pending.set(++this.#lastId, question);
    return this.#lastId;
  }

  /** The question with that id, if it is not settled. */
  get(id: number): T | undefined {
    return this.#pending.get(id);
  }

  /** Takes out the question that an answer belongs to; undefined when it was settled before, or never asked. */
  take(id: number): T | undefined {
    const question = this.#pending.get(id);
    this.#pending.delete(id);
    return question;
  }

  /** Takes out everything, or those that are meant: no answer can come any more. In the order in which it was asked. */
  clear(isMeant: (question: T) => boolean = () => true): T[] {
    const questions: T[] = [];
    for (const [id, question] of this.#pending) {
      if (!isMeant(question)) continue;
      this.#pending.delete(id);
      questions.push(question);
    }
    return questions;
  }
}

/** How many ids beyond a gap are remembered at least; when there are twice as many, the gaps below are taken for used. */
const REMEMBERED = 1_024;

/** The ids that a peer has used. Ids mostly come without gaps, so that only the few beyond a gap have to be remembered. */
export class UsedIds {
  /** Every id up to here was used, or will not be accepted any more. */
  #floor = 0;
  #beyond = new Set<number>();

  /** Notes an id; false when it was used before. */
  add(id: number): boolean {
    if (id <= this.#floor || this.#beyond.has(id)) return false;
    this.#beyond.add(id);
    if (this.#beyond.size > 2 * REMEMBERED) this.#forget();
    while (this.#beyond.delete(this.#floor + 1)) this.#floor++;
    return true;
  }

  #forget(): void {
    const ids = [...this.#beyond].sort((a, b) => a - b);
    this.#floor = ids[ids.length - REMEMBERED - 1] as number;
    this.#beyond = new Set(ids.slice(-REMEMBERED));
  }
}
