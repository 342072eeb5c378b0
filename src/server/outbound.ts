/** What goes out to one client: within what it takes, and what is written in one task as one message. */

import { UnsupportedError } from '../errors.ts';
import { Batch } from '../wire/batch.ts';
import type { Message } from '../wire/codec.ts';

/** The way out to one client. */
export class Outbound {
  readonly #send: (messages: Message[]) => void;
  #batch = new Batch(Infinity);
  #scheduled = false;
  /** Bytes that the client takes in a message. */
  limit: number = Infinity;
  /** What both sides offer. */
  features: readonly string[] = [];

  /** @param send writes the messages of a task; called at its end, or by `flush` */
  constructor(send: (messages: Message[]) => void) {
    this.#send = send;
  }

  /** The client has said what it takes. */
  agreed(limit: number, features: readonly string[]): void {
    this.limit = limit;
    this.features = features;
    this.#batch = new Batch(limit);
  }

  /** Throws UnsupportedError where the client has not announced a feature. */
  need(feature: string): void {
    if (!this.features.includes(feature)) throw new UnsupportedError(feature, 'The client');
  }

  /** Adds an encoded frame; false when the client does not take it. */
  add(message: Message, bytes: number): boolean {
    if (bytes > this.limit || (typeof message !== 'string' && !this.features.includes('binary'))) return false;
    this.#batch.add(message, bytes);
    if (this.#scheduled) return true;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.flush();
    });
    return true;
  }

  /** Writes everything now. */
  flush(): void {
    this.#send(this.#batch.take());
  }
}
