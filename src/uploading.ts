/** The items of one upload, on the side that answers: as many as its handler has room for, in a loop. */

import { Allowance } from './core/credit.ts';
import { ProtocolError } from './errors.ts';
import { MessageIterator } from './iterator.ts';

/** Items that may wait for the handler of an upload. */
const ROOM = 16;

/** What the caller sends, for the handler to read. Nothing is granted before it reads. */
export class Uploading implements AsyncIterableIterator<unknown, undefined> {
  readonly #allowance = new Allowance(ROOM);
  readonly #iterator = new MessageIterator<unknown>(Infinity, () => {});
  readonly #grant: (count: number) => void;
  #hasBegun = false;
  #isOver = false;

  /** @param grant tells the caller that so many more are welcome */
  constructor(grant: (count: number) => void) {
    this.#grant = grant;
  }

  /** @throws ProtocolError at an item that was not granted */
  receive(item: unknown): void {
    if (!this.#allowance.arrive()) throw new ProtocolError('An item came without credit');
    this.#iterator.push(item);
  }

  /** The caller has sent everything. */
  finish(): void {
    this.#isOver = true;
    this.#iterator.end();
  }

  /** Nobody waits for the answer any more: a handler that still reads is told so. */
  stop(reason: unknown): void {
    this.#isOver = true;
    this.#iterator.abort(reason);
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.#hasBegun && !this.#isOver) this.#grant(this.#allowance.open());
    this.#hasBegun = true;
    const result = await this.#iterator.next();
    if (result.done) return result;
    const granted = this.#allowance.consume();
    if (granted > 0 && !this.#isOver) this.#grant(granted);
    return result;
  }

  /** The handler reads no more: what comes is dropped. */
  async return(): Promise<IteratorResult<unknown, undefined>> {
    this.#isOver = true;
    return this.#iterator.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
