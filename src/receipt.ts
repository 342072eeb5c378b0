/** What `send` and `publish` give back: what has become of a message. */

import { HoldfastError } from './errors.ts';
import { Outcome } from './outcome.ts';

/**
 * What has become of a message.
 *
 * - `queued`: it waits in the outbox
 * - `sent`: it was written; with a session it is written again until the server has it, else it may have arrived or not
 * - `acknowledged`: the server has it; a published message has been passed on
 * - `dropped`: it will not be sent, was refused, or was taken back
 */
export type ReceiptStatus = 'queued' | 'sent' | 'acknowledged' | 'dropped';

/**
 * The receipt for one message: what `send` and `publish` return. It may be ignored.
 *
 * @example
 * const receipt = client.channel('room:kelp').publish({ text: 'hello' });
 * receipt.acknowledged.then(
 *   () => console.log('everybody has it'),
 *   (error) => console.log(receipt.status === 'dropped' ? 'not sent' : 'perhaps sent', error),
 * );
 */
export interface Receipt<T = void> {
  /** What has become of it so far. */
  readonly status: ReceiptStatus;
  /**
   * Resolves when the server has the event, or has passed on the published message. A receipt that is not asked for this never becomes an unhandled rejection.
   *
   * Rejects, with the status `dropped`, with the error of the `drop` event, or a {@link HoldfastError} with the code `CANCELLED` after
   * `cancel()`. Rejects, with the status `sent`, when nobody can know: with the code `UNSUPPORTED` for `volatile` events, and for all events
   * to a server without sessions; with a {@link SessionLostError}, {@link TimeoutError} or {@link ClosedError} where it was not
   * acknowledged before the session, the time or the client was over.
   */
  readonly acknowledged: Promise<T>;
  /** Takes the message back while it waits, without a `drop` event; `false` when it was sent, or is over, already. */
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
