/** Idempotency keys that nobody else has: 128 random bits for all of a client, and a number for each. */
export class Keys {
  #prefix: string | undefined;
  #count = 0;

  next(): string {
    this.#prefix ??= [...crypto.getRandomValues(new Uint32Array(4))].map((bits) => bits.toString(36)).join('');
    return `${this.#prefix}-${++this.#count}`;
  }
}
