/**
 * Credit of a streamed answer: how many items may still come. Deterministic. The consumer grants it, the producer stops when it is spent, so
 * that neither a slow consumer nor a fast producer needs more room than was agreed on.
 */

/** Most credit that may be outstanding: more is a violation. */
export const MAX_CREDIT = 65_536;

/** The producing end: what it may still send. */
export class Budget {
  #left: number;

  constructor(credit: number) {
    this.#left = credit;
  }

  get left(): number {
    return this.#left;
  }

  /** More is granted; false when that is more than anybody may grant. */
  grant(count: number): boolean {
    this.#left += count;
    return this.#left <= MAX_CREDIT;
  }

  spend(): void {
    this.#left--;
  }
}

/** The consuming end: what it has granted, and how much of it came. */
export class Allowance {
  readonly #room: number;
  /** Granted, and not come yet. */
  #outstanding = 0;
  /** Came, and is not consumed. */
  #held = 0;

  /** @param room most items that wait for the consumer, under way ones included */
  constructor(room: number) {
    this.#room = room;
  }

  /** What may be granted in the beginning, or when it begins anew: what is held takes its room. */
  open(): number {
    this.#outstanding = Math.max(0, this.#room - this.#held);
    return this.#outstanding;
  }

  /** An item came; false when it was never granted. */
  arrive(): boolean {
    if (this.#outstanding === 0) return false;
    this.#outstanding--;
    this.#held++;
    return true;
  }

  /** An item was consumed. Returns what is to be granted now: nothing until half the room is free. */
  consume(): number {
    this.#held--;
    const free = this.#room - this.#held - this.#outstanding;
    if (free < Math.ceil(this.#room / 2)) return 0;
    this.#outstanding += free;
    return free;
  }
}
