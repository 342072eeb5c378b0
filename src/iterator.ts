/** Messages for a `for await` loop: bounded, and what has no room is handed back. */

interface Pull<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** An iterator that is filled from outside. */
export class MessageIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #capacity: number;
  readonly #ended: () => void;
  readonly #messages: T[] = [];
  readonly #pulls: Pull<T>[] = [];
  /** What comes after the last message; undefined while it goes on. */
  #end: { readonly error?: unknown } | undefined;
  /** The loop has got it, or was left. */
  #isConcluded = false;

  /**
   * @param capacity most messages that wait for the loop
   * @param ended called once when the loop is left
   */
  constructor(capacity: number, ended: () => void) {
    this.#capacity = capacity;
    this.#ended = ended;
  }

  /** Adds a message, and returns those that had to go for it: the oldest. */
  push(message: T): T[] {
    if (this.#end) return [];
    const pull = this.#pulls.shift();
    if (pull) pull.resolve({ value: message, done: false });
    else this.#messages.push(message);
    return this.#messages.splice(0, this.#messages.length - this.#capacity);
  }

  /** Nothing more comes: the loop gets what there is, then ends. */
  end(): void {
    this.#over({});
  }

  /** The same, but the loop throws. */
  fail(error: unknown): void {
    this.#over({ error });
  }

  /** The loop throws at once: what waits is dropped. */
  abort(error: unknown): void {
    this.#messages.length = 0;
    if (this.#isConcluded) return;
    if (this.#end) this.#end = { error };
    else this.fail(error);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      if (this.#messages.length > 0) resolve({ value: this.#messages.shift() as T, done: false });
      else if (this.#end) this.#conclude({ resolve, reject });
      else this.#pulls.push({ resolve, reject });
    });
  }

  /** The loop is left: nothing more is kept for it. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#messages.length = 0;
    this.#isConcluded = true;
    this.#over({});
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #over(end: { readonly error?: unknown }): void {
    if (this.#end) return;
    this.#end = end;
    this.#ended();
    for (const pull of this.#pulls.splice(0)) this.#conclude(pull);
  }

  /** The error is thrown once; after it the loop is simply over. */
  #conclude({ resolve, reject }: Pull<T>): void {
    const end = this.#end;
    this.#end = {};
    this.#isConcluded = true;
    if (end && 'error' in end) reject(end.error);
    else resolve({ value: undefined, done: true });
  }
}
