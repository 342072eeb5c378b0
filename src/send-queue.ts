/** What waits to be sent: kept while there is no connection, sent when there is one, and reported when it is dropped instead. */

import { clampDelay } from './core/backoff.ts';
import { type Drop, Queue, type QueueLimits } from './core/queue.ts';
import { copied } from './data.ts';
import { HoldfastError } from './errors.ts';
import { DropEvent } from './events.ts';
import type { Clock } from './io/clock.ts';
import { type Data, OPEN, type WebSocketLike } from './io/web-socket.ts';
import { report } from './report.ts';

interface DropListener {
  readonly listener: unknown;
  readonly capture: boolean;
  readonly once: boolean;
}

/** The queue of one target, on which it dispatches `drop` events. */
export class SendQueue {
  readonly #target: EventTarget;
  readonly #queue: Queue<Data>;
  readonly #clock: Clock;
  /** Whoever listens to drops, so that nothing has to be logged; by the rules of EventTarget. */
  #listeners: DropListener[] = [];
  #warned = false;
  #timer: unknown;

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
    this.#watch();
  }

  /** Sends what waited. Should the socket start to close meanwhile, the rest goes on waiting. */
  flush(socket: WebSocketLike | undefined, isOpen: () => boolean, sent: (bytes: number) => void): void {
    this.#warned = false;
    this.drop(this.expire());
    this.#send(socket, isOpen, sent);
    this.#watch();
  }

  #send(socket: WebSocketLike | undefined, isOpen: () => boolean, sent: (bytes: number) => void): void {
    while (socket?.readyState === OPEN && isOpen()) {
      const next = this.#queue.shift();
      if (!next) return;
      try {
        socket.send(next.value);
        sent(next.bytes);
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
    const drops = [...this.expire(), ...this.#queue.clear()];
    this.#watch();
    return drops;
  }

  /** Reports drops to whoever listens, and once an outage to the console where nobody does, with what ended the connection. */
  drop(drops: readonly Drop<Data>[], why?: Error): void {
    for (const drop of drops) {
      const heard = this.#listeners;
      if (heard.length === 0 && !this.#warned)
        console.warn(`Holdfast dropped a message (${drop.reason}): listen to "drop" to know which${why ? `. ${why.message}` : ''}`);
      this.#warned ||= heard.length === 0;
      this.#target.dispatchEvent(new DropEvent(drop));
      this.#listeners = this.#listeners.filter((each) => !each.once || !heard.includes(each));
    }
  }

  listenerAdded(listener: unknown, options: boolean | AddEventListenerOptions | undefined): void {
    const { capture = false, once = false, signal } = typeof options === 'object' ? options : { capture: options };
    const known = this.#listeners.some((each) => each.listener === listener && each.capture === capture);
    if (!listener || known || signal?.aborted) return;
    this.#listeners = [...this.#listeners, { listener, capture, once }];
    signal?.addEventListener('abort', () => this.listenerRemoved(listener, capture), { once: true });
  }

  listenerRemoved(listener: unknown, options: boolean | EventListenerOptions | undefined): void {
    const capture = (typeof options === 'object' ? options.capture : options) ?? false;
    this.#listeners = this.#listeners.filter((each) => each.listener !== listener || each.capture !== capture);
  }

  /** Has the message that waits longest dropped when its time is over, not when somebody looks. */
  #watch(): void {
    const { expiresAt } = this.#queue;
    this.#clock.clearTimeout(this.#timer);
    if (expiresAt === Infinity) return;
    this.#timer = this.#clock.setTimeout(
      () => {
        this.drop(this.expire());
        this.#watch();
      },
      clampDelay(expiresAt - this.#clock.now()),
    );
  }
}
