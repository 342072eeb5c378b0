/**
 * Which events the server must have received: those that were written before something that it answered, since messages arrive in order.
 * The others may have arrived or not when the connection is lost.
 */
export class Confirmation {
  #written = 0;
  #confirmed = 0;
  #beforePing = 0;
  #unconfirmed = 0;

  /** Events written so far: to be handed back when an answer comes to what is written now. */
  get mark(): number {
    return this.#written;
  }

  /** Events written to connections that were lost before the server gave a sign of having received them. */
  get unconfirmed(): number {
    return this.#unconfirmed;
  }

  /** An event was written. */
  wrote(): void {
    this.#written++;
  }

  /** A ping is written. */
  asked(): void {
    this.#beforePing = this.#written;
  }

  /** The answer to the last ping came. */
  ponged(): void {
    this.answered(this.#beforePing);
  }

  /** An answer came to what was written at that mark. */
  answered(mark: number): void {
    this.#confirmed = Math.max(this.#confirmed, mark);
  }

  /** The connection is gone. */
  lost(): void {
    this.#unconfirmed += this.#written - this.#confirmed;
    this.#confirmed = this.#written;
  }
}
