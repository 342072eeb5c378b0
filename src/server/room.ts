/**
 * A channel on one server: who listens to it here, over the broker that it shares with others. Whoever comes waits until it is known what
 * it has missed, so that nothing is left out between history and life, nothing comes twice, and nothing overtakes.
 */

import { CallError } from '../errors.ts';
import { bytesOf, encodeFrame, type Message } from '../wire/codec.ts';
import { wireError } from '../wire/errors.ts';
import type { SubscribeResult } from '../wire/frames.ts';
import type { Broker, BrokerMessage, Missed, Position } from './broker.ts';
import type { ServerConnection } from './connection.ts';

interface Subscriber {
  /** What was published before it was told that it is subscribed; undefined from then on. */
  waiting: BrokerMessage[] | undefined;
  bytes: number;
  /** Where the channel stood when it was told: what was before comes from the history. */
  known: Position | undefined;
  /** Something may have been left out while it waited. */
  interrupted: boolean;
}

/** What a room needs of the hub. */
export interface RoomHost {
  readonly broker: Broker;
  /** Bytes that may wait for one subscriber. */
  readonly buffered: number;
  /** Somebody does not listen any more. */
  left(connection: ServerConnection): void;
  /** Nobody does. */
  emptied(): void;
  failed(error: unknown): void;
}

export class Room {
  readonly #channel: string;
  readonly #host: RoomHost;
  readonly #subscribers = new Map<ServerConnection, Subscriber>();
  /** Ends the subscription at the broker. */
  readonly #subscription: (() => void) | Promise<() => void>;
  /** Deliveries so far. */
  #reached = 0;

  /** @throws what the broker throws */
  constructor(channel: string, host: RoomHost) {
    this.#channel = channel;
    this.#host = host;
    this.#subscription = host.broker.subscribe(
      channel,
      (message) => this.#spread(message),
      () => this.#interrupted(),
    );
    if (this.#subscription instanceof Promise) this.#subscription.catch(() => {}); // whoever waits for it is told
  }

  get reached(): number {
    return this.#reached;
  }

  /** Somebody comes. What is published from now on waits for it; resolves with what it has missed. */
  enter(connection: ServerConnection, since: Position | undefined): Missed | Promise<Missed> {
    this.#subscribers.set(connection, { waiting: [], bytes: 0, known: undefined, interrupted: false });
    const { broker } = this.#host;
    if (!(this.#subscription instanceof Promise)) return broker.history(this.#channel, since);
    return this.#subscription.then(() => broker.history(this.#channel, since));
  }

  /** It has been told: what it has missed goes out, then what has waited, then everything as it comes. */
  join(connection: ServerConnection, { position, missed }: Missed): void {
    const subscriber = this.#subscribers.get(connection);
    if (!subscriber) return;
    const { waiting, bytes, interrupted } = subscriber;
    subscriber.waiting = undefined;
    subscriber.known = position;
    if (interrupted || bytes > this.#host.buffered) return this.#demand(connection);
    const fresh = (waiting ?? []).filter((message) => isNews(message, position));
    for (const message of [...(missed ?? []), ...fresh]) this.#deliver(connection, encoded(this.#channel, message));
  }

  /** Whether it listens, or is going to. */
  has(connection: ServerConnection): boolean {
    return this.#subscribers.has(connection);
  }

  leave(connection: ServerConnection): void {
    if (!this.#subscribers.delete(connection) || this.#subscribers.size > 0) return;
    this.#host.emptied();
    const stop = (end: () => void) => {
      try {
        end();
      } catch (error) {
        this.#host.failed(error);
      }
    };
    // Where it never came about, whoever waited for it has been told.
    if (this.#subscription instanceof Promise) this.#subscription.then(stop, () => {});
    else stop(this.#subscription);
  }

  #spread(message: BrokerMessage): void {
    const wire = encoded(this.#channel, message);
    for (const [connection, subscriber] of [...this.#subscribers]) {
      if (!subscriber.waiting) {
        if (isNews(message, subscriber.known)) this.#deliver(connection, wire);
        continue;
      }
      subscriber.bytes += wire[1];
      if (subscriber.bytes <= this.#host.buffered) subscriber.waiting.push(message);
    }
  }

  /** Whoever does not take so much loses the channel, with an error, rather than a message in silence. */
  #deliver(connection: ServerConnection, [message, bytes]: readonly [Message, number]): void {
    if (!this.#subscribers.has(connection)) return;
    if (connection.deliver(message, bytes)) {
      this.#reached++;
      return;
    }
    this.refuse(connection);
  }

  /** Whoever does not take what it would have to get loses the channel, and is told. */
  refuse(connection: ServerConnection): void {
    this.#host.left(connection);
    const error = wireError(new CallError('RESOURCE_EXHAUSTED', 'A message was more than you take'));
    connection.write({ type: 'unsubscribe', channel: this.#channel, error });
  }

  /** The broker may have left something out: everybody is to come back, with the position that it has. */
  #interrupted(): void {
    for (const [connection, subscriber] of [...this.#subscribers]) {
      if (subscriber.waiting) subscriber.interrupted = true;
      else this.#demand(connection);
    }
  }

  #demand(connection: ServerConnection): void {
    this.#host.left(connection);
    connection.write({ type: 'unsubscribe', channel: this.#channel, resubscribe: true });
  }
}

/** Whether a message came after that position. */
function isNews({ epoch, offset }: BrokerMessage, known: Position | undefined): boolean {
  return !known || offset === undefined || epoch !== known.epoch || offset > known.offset;
}

/** What a subscriber is told about what it has missed. */
export function resultOf(channel: string, { position, missed }: Missed): SubscribeResult {
  return { channel, recovered: missed !== undefined, ...position };
}

function encoded(channel: string, { payload, from, offset }: BrokerMessage): readonly [Message, number] {
  const frame = { type: 'message', channel, ...(offset !== undefined && { offset }), ...(from !== undefined && { from }) } as const;
  const message = encodeFrame(frame, payload);
  return [message, bytesOf(message)];
}
