/** What waits to be sent: kept while there is no connection, sent when there is one, and reported when it is dropped instead. */

import { type Drop, Queue, type QueueLimits } from './core/queue.ts';
import { copied } from './data.ts';
import { HoldfastError } from './errors.ts';
import { DropEvent } from './events.ts';
import type { Clock } from './io/clock.ts';
import { type Data, OPEN, type WebSocketLike } from './io/web-socket.ts';
import { report } from './report.ts';

/** The queue of one target, on which it dispatches `drop` events. */
export class SendQueue {
  readonly #target: EventTarget;
  readonly #queue: Queue<Data>;
  readonly #clock: Clock;
  /** Whoever listens to drops, so that nothing has to be logged. */
  readonly #listeners = new Map<unknown, AddEventListenerOptions>();
  #warned = false;

  constructor(target: EventTarget, limits: QueueLimits, clock: Clock) {
    this.#target = target;
    this.#queue = new Queue(limits);
    this.#clock = clock;
  }

  get size(): number {
    return this.#queue.size;
  }

  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Keeps a copy of the message; what does not fit is dropped. */
  keep(message: Data, bytes: number): void {
    this.drop(this.#queue.enqueue(copied(message), bytes, this.#clock.now()));
  }

  /** Sends what waited. Should the socket start to close meanwhile, the rest goes on waiting. */
  flush(socket: WebSocketLike | undefined, isOpen: () => boolean): void {
    this.#warned = false;
    this.drop(this.expire());
    while (socket?.readyState === OPEN && isOpen()) {
      const next = this.#queue.shift();
      if (!next) return;
      try {
        socket.send(next.value);
      } catch (error) {
        report(new HoldfastError('SEND_FAILED', 'The socket did not take a queued message; it is dropped', error));
        this.drop([{ ...next, reason: 'failed' }]);
      }
    }
  }

  /** Takes out what has waited too long; who takes it reports it. */
  expire(): Drop<Data>[] {
    return this.#queue.expire(this.#clock.now());
  }

  /** Takes out everything; who takes it reports it. */
  clear(): Drop<Data>[] {
    return this.#queue.clear();
  }

  /** Reports drops to whoever listens, and once an outage to the console where nobody does. */
  drop(drops: readonly Drop<Data>[]): void {
    for (const drop of drops) {
      const heard = [...this.#listeners.values()].some(({ signal }) => !signal?.aborted);
      if (!heard && !this.#warned) console.warn(`Holdfast dropped a message (${drop.reason}): listen to "drop" to know which`);
      this.#warned ||= !heard;
      this.#target.dispatchEvent(new DropEvent(drop));
      for (const [listener, { once }] of this.#listeners) if (once) this.#listeners.delete(listener);
    }
  }

  listenerAdded(listener: unknown, options: boolean | AddEventListenerOptions | undefined): void {
    if (listener) this.#listeners.set(listener, typeof options === 'object' ? options : {});
  }

  listenerRemoved(listener: unknown): void {
    this.#listeners.delete(listener);
  }
}
