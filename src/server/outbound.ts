/** What goes out to one client: within what it takes, and what is written in one task as one message. */

import { Batch } from '../wire/batch.ts';
import { encodeFrame, type Message } from '../wire/codec.ts';
import { announcement } from '../wire/frames.ts';

/** The way out to one client. */
export class Outbound {
  readonly #pump: () => void;
  readonly #send: (messages: Message[]) => void;
  #batch = new Batch(Infinity);
  #scheduled = false;
  /** Bytes that the client takes in a message. */
  limit: number = Infinity;
  /** What both sides offer. */
  features: readonly string[] = [];

  /**
   * @param pump adds what can be written by now
   * @param send writes the messages of a task; both are called at its end, or by `flush`
   */
  constructor(pump: () => void, send: (messages: Message[]) => void) {
    this.#pump = pump;
    this.#send = send;
  }

  /** The client has said what it takes. */
  agreed(limit: number, features: readonly string[]): void {
    this.limit = limit;
    this.features = features;
    this.#batch = new Batch(limit, undefined, (next) => encodeFrame(announcement(next), undefined));
  }

  /** Bytes that wait for the end of the task. */
  get bytes(): number {
    return this.#batch.bytes;
  }

  /** Adds an encoded frame; false when the client does not take it. */
  add(message: Message, bytes: number): boolean {
    if (bytes > this.limit || (typeof message !== 'string' && !this.features.includes('binary'))) return false;
    this.#batch.add(message, bytes);
    this.wake();
    return true;
  }

  /** Writes everything at the end of the task. */
  wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Writes everything now. */
  flush(): void {
    this.#pump();
    this.#send(this.#batch.take());
  }
}
