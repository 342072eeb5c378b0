/** A promise that is made when somebody asks for it, so that one nobody asked for can never be an unhandled rejection. */
export class Outcome<T> {
  #settled: { readonly value: T } | { readonly error: unknown } | undefined;
  #promise: Promise<T> | undefined;
  #settle: (() => void) | undefined;

  /** The promise; always the same one. */
  get promise(): Promise<T> {
    this.#promise ??= new Promise((resolve, reject) => {
      this.#settle = () => {
        if (!this.#settled) return;
        if ('value' in this.#settled) resolve(this.#settled.value);
        else reject(this.#settled.error);
      };
      this.#settle();
    });
    return this.#promise;
  }

  /** Settles it, unless it is settled. */
  succeed(value: T): void {
    this.#settled ??= { value };
    this.#settle?.();
  }

  fail(error: unknown): void {
    this.#settled ??= { error };
    this.#settle?.();
  }
}
