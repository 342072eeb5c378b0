/** One streamed answer, on the side that answers: pulls from what a handler returned as long as there is credit, and sends what comes. */

import { Budget, MAX_CREDIT } from './core/credit.ts';
import { CallError, ProtocolError } from './errors.ts';
import { encodePayload, type Payload } from './wire/codec.ts';
import type { Outgoing } from './wire/frames.ts';

/**
 * An item of a stream with its place: where the stream is asked for once more, after a session was lost, it is told the `cursor` of the last
 * item that arrived, and goes on from there. For handlers of streams to yield.
 *
 * @example
 * const handlers: Handlers = {
 *   methods: {
 *     async *lines(_, { cursor = 0 }) {
 *       for (let i = Number(cursor) + 1; i <= 1_000; i++) yield new StreamItem(`line ${i}`, i);
 *     },
 *   },
 * };
 */
export class StreamItem<T = unknown> {
  /** What is sent. */
  readonly data: T;
  /** Its place: anything that JSON can carry. */
  readonly cursor: unknown;

  /**
   * @param data what is sent
   * @param cursor its place
   */
  constructor(data: T, cursor: unknown) {
    this.data = data;
    this.cursor = cursor;
  }
}

/** Sends the items of one answer. */
export class Streaming {
  readonly #id: number;
  readonly #budget: Budget;
  readonly #write: (frame: Outgoing, payload: Payload | undefined) => boolean;
  readonly #room: () => Promise<void> | undefined;
  #iterator: AsyncIterator<unknown> | undefined;
  /** Goes on when there is credit, or when it is over. */
  #wake: (() => void) | undefined;
  #over = false;

  /**
   * @param write false when an item is more than the other side takes
   * @param room resolves when there is room for another item on the way; undefined where there is now
   */
  constructor(
    id: number,
    credit: number,
    write: (frame: Outgoing, payload: Payload | undefined) => boolean,
    room: () => Promise<void> | undefined = () => undefined,
  ) {
    if (credit > MAX_CREDIT) throw new ProtocolError('That is too much credit');
    this.#id = id;
    this.#budget = new Budget(credit);
    this.#write = write;
    this.#room = room;
  }

  /** @throws ProtocolError at more than anybody may grant */
  grant(count: number): void {
    if (!this.#budget.grant(count)) throw new ProtocolError('That is too much credit');
    this.#wake?.();
  }

  /** Sends what comes, until it is over; rejects with what the handler throws. */
  async run(source: AsyncIterable<unknown>): Promise<void> {
    const iterator = source[Symbol.asyncIterator]();
    this.#iterator = iterator;
    if (this.#over) this.#end();
    for (;;) {
      if (this.#budget.left === 0 && !this.#over)
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      for (let room = this.#room(); room && !this.#over; room = this.#room()) await room;
      if (this.#over) return;
      const { done, value } = await iterator.next();
      if (done || this.#over) return;
      this.#send(value);
    }
  }

  /** Nothing more is sent; the handler is told at its next step, if its signal has not told it before. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#wake?.();
    this.#end();
  }

  #end(): void {
    void Promise.resolve(this.#iterator?.return?.()).catch(() => {}); // nobody waits for how it ends
  }

  #send(value: unknown): void {
    const { data, cursor } = value instanceof StreamItem ? value : { data: value, cursor: undefined };
    const payload = encodePayload(data) ?? 'null';
    this.#budget.spend();
    if (this.#write({ type: 'item', id: this.#id, ...(cursor !== undefined && { cursor }) }, payload)) return;
    this.stop();
    throw new CallError('RESOURCE_EXHAUSTED', 'An item is more than the caller takes');
  }
}
