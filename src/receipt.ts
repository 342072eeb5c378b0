/** What `send` and `publish` give back: what has become of a message. */

import { HoldfastError } from './errors.ts';
import { Outcome } from './outcome.ts';

/** `queued`: it waits. `sent`: it was handed to the network. `acknowledged`: the server has it. `dropped`: it will not be sent, or was refused. */
export type ReceiptStatus = 'queued' | 'sent' | 'acknowledged' | 'dropped';

/** The receipt for one message. */
export interface Receipt<T = void> {
  readonly status: ReceiptStatus;
  /**
   * Resolves when the server has confirmed the message; rejects when it was dropped or refused, or when nobody can know. A receipt that
   * is not asked for this never becomes an unhandled rejection.
   */
  readonly acknowledged: Promise<T>;
  /** Takes the message back while it waits; false when it was sent, or is over, already. */
  cancel(): boolean;
}

/** A receipt as its issuer holds it. */
export class Ticket<T> implements Receipt<T> {
  readonly #outcome = new Outcome<T>();
  readonly #withdraw: () => boolean;
  #status: ReceiptStatus = 'queued';

  /** @param withdraw takes the message out of line; false when it is not there any more */
  constructor(withdraw: () => boolean) {
    this.#withdraw = withdraw;
  }

  get status(): ReceiptStatus {
    return this.#status;
  }

  get acknowledged(): Promise<T> {
    return this.#outcome.promise;
  }

  cancel(): boolean {
    if (this.#status !== 'queued' || !this.#withdraw()) return false;
    this.dropped(new HoldfastError('CANCELLED', 'It was taken back'));
    return true;
  }

  sent(): void {
    this.#status = 'sent';
  }

  succeed(value: T): void {
    this.#status = 'acknowledged';
    this.#outcome.succeed(value);
  }

  /** It was sent, and what became of it will not be known. */
  unknown(error: Error): void {
    this.#outcome.fail(error);
  }

  dropped(error: unknown): void {
    this.#status = 'dropped';
    this.#outcome.fail(error);
  }
}
