/** The items of one upload on their way out: one after the other, as they are granted. */

import type { Posting } from './caller.ts';
import { Budget } from './core/credit.ts';
import { HoldfastError } from './errors.ts';
import type { UploadProgress } from './upload.ts';
import type { Items } from './upload-source.ts';
import { bytesOf, type Payload } from './wire/codec.ts';

/** What the items need of the upload. */
export interface SendingHost {
  readonly name: string;
  /** Puts a frame in line, and returns how to take it out again. */
  post(posting: Posting): () => boolean;
  /** Whether it is told when something has arrived. */
  hasReceipts(): boolean;
  /** The server has more of it. */
  progressed(progress: Omit<UploadProgress, 'total'>): void;
  failed(error: unknown): void;
}

/**
 * Sends items one after the other: the next one is read when the one before is written, so that the others have their turn. It is read before
 * it is granted, since it may be the end.
 */
export class Sending {
  readonly #items: Items;
  readonly #host: SendingHost;
  readonly #budget = new Budget(0);
  readonly #sent = { items: 0, bytes: 0 };
  readonly #received = { items: 0, bytes: 0 };
  #id = 0;
  #hasBegun = false;
  #isOver = false;
  #withdraw: (() => boolean) | undefined;
  /** Goes on when there is credit, when something was written, or when it is over. */
  #wake: () => void = () => {};

  constructor(items: Items, host: SendingHost) {
    this.#items = items;
    this.#host = host;
  }

  /** It is asked for. */
  begin(id: number): void {
    this.#id = id;
  }

  /** False when that is more than anybody may grant. */
  grant(count: number): boolean {
    const isFine = this.#budget.grant(count);
    if (!this.#hasBegun) void this.#run();
    this.#hasBegun = true;
    this.#wake();
    return isFine;
  }

  /** Nothing more is sent, and the source is left. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#withdraw?.();
    this.#wake();
    this.#items.leave();
  }

  /** What was sent before the answer came has arrived, told or not. */
  answered(): void {
    if (this.#received.items < this.#sent.items) this.#host.progressed({ ...this.#sent });
  }

  #arrived(bytes: number): void {
    if (this.#isOver) return;
    this.#received.items++;
    this.#received.bytes += bytes;
    try {
      this.#host.progressed({ ...this.#received });
    } catch (error) {
      this.#host.failed(error);
    }
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#items.payloads.next();
        while (!done && this.#budget.left === 0 && !this.#isOver) await this.#woken();
        if (this.#isOver) return;
        if (done) return await this.#post({ type: 'finish', id: this.#id }, undefined);
        this.#budget.spend();
        await this.#post({ type: 'chunk', id: this.#id }, value);
      }
    } catch (error) {
      this.#host.failed(error);
    }
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Resolves when it is written, or when it is over. */
  async #post(frame: { readonly type: 'chunk' | 'finish'; readonly id: number }, payload: Payload | undefined): Promise<void> {
    const { name, post, hasReceipts, failed } = this.#host;
    const bytes = bytesOf(payload);
    const arrived = () => frame.type === 'chunk' && this.#arrived(bytes);
    let isWritten = false;
    this.#withdraw = post({
      kind: 'upload',
      name,
      payload,
      frame: () => frame,
      sent: () => {
        isWritten = true;
        this.#withdraw = undefined;
        if (frame.type === 'chunk') this.#sent.items++;
        this.#sent.bytes += bytes;
        if (!hasReceipts()) arrived();
        this.#wake();
      },
      acknowledged: arrived,
      dropped: (_, error) => failed(error),
      cancel: () => {
        if (isWritten || this.#isOver || this.#withdraw?.() !== true) return false;
        failed(new HoldfastError('CANCELLED', 'It was taken back'));
        return true;
      },
    });
    while (!isWritten && !this.#isOver) await this.#woken();
  }
}
