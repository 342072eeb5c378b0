/** A channel: what others publish, as events, to handlers, or in a `for await` loop. It sees the client as a small {@link ChannelHost}. */

import type { Question, Waiting } from './caller.ts';
import { show } from './checks.ts';
import type { ChannelState } from './core/subscriptions.ts';
import { ClosedError, type UnsupportedError } from './errors.ts';
import { OurEventTarget } from './event-target.ts';
import { ChannelMessageEvent, ChannelStateEvent, GapEvent } from './events.ts';
import type { Clock } from './io/clock.ts';
import { MessageIterator } from './iterator.ts';
import { type Load, Loader } from './loader.ts';
import { Outcome } from './outcome.ts';
import type { Receipt } from './receipt.ts';
import { guarded } from './report.ts';
import { encodePayload } from './wire/codec.ts';
import type { ServerFrame } from './wire/frames.ts';
import type { Capabilities } from './wire/protocol.ts';

/** What is known about a message beside its data. */
export interface MessageInfo {
  /** The name of the channel. */
  readonly channel: string;
  /** Its place in the history of the channel; `undefined` where the server keeps none. */
  readonly offset?: number | undefined;
  /** Who published it; `undefined` where the server does not say. */
  readonly from?: string | undefined;
}

/** The events of a {@link Channel} by name. */
export interface ChannelEventMap<T> {
  /** Something was published. */
  message: ChannelMessageEvent<T>;
  /** The state is another one. */
  statechange: ChannelStateEvent;
  /** Messages may be missing here: load what you show anew. */
  gap: GapEvent;
}

/** One handler on a channel: what `subscribe` returns. */
export interface Subscription {
  /**
   * Resolves when the server has confirmed the channel. Rejects with a {@link CallError} when it refuses (DEADLINE_EXCEEDED: it does not
   * answer within `callTimeout`), with an {@link UnsupportedError} when it has no channels, with a {@link ClosedError} when the
   * subscription or the client ends first, or with the reason of a `signal` that was aborted before. Ignoring it is fine: `channel.state`
   * says the same.
   */
  readonly ready: Promise<void>;
  /** Ends it: the handler is not called any more. Doing so twice is doing it once. */
  unsubscribe(): void;
}

/** How a message is published. A bad value is a `TypeError` that names it. */
export interface PublishOptions extends Pick<Waiting, 'key' | 'priority'> {
  /**
   * The server publishes it once, also where it is sent again because a session was lost; a text is a key of your own, for messages that a
   * page publishes again after it was loaded again. @default false
   */
  readonly idempotent?: boolean | string;
  /** Milliseconds it may take until the server has confirmed it, 1 or more, the time in the outbox included. @default Infinity */
  readonly ttl?: number;
}

/** What a server may say about a published message: what `acknowledged` of its {@link Receipt} resolves with. */
export interface Published {
  /** Its place in the history of the channel; `undefined` where the server keeps none. */
  readonly offset?: number | undefined;
}

/** What a channel needs of its client. */
export interface ChannelHost {
  /** Whether the client is closed. */
  readonly isOver: boolean;
  /** Most messages that an iterator holds, or that wait for a snapshot. */
  readonly iteratorBuffer: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Why the server does not do it; undefined where it does. */
  unsupported(capability: keyof Capabilities): UnsupportedError | undefined;
  /** Asks about a channel, on this connection alone. */
  ask(channel: string, question: Pick<Question, 'what' | 'frame'> & Partial<Question>): Promise<unknown>;
  /** Nobody wants the channel any more: unless that changes within the tick, the server is told. */
  idle(channel: Channel): void;
  stateOf(channel: string): ChannelState;
  want(channel: string, params: unknown): void;
  publish(channel: string, data: unknown, options: PublishOptions): Receipt<Published>;
  /** An iterator had no room for a message. */
  overflowed(channel: string, data: unknown): void;
  /** Something of the user's has failed. */
  failed(error: Error): void;
}

/** What listens to a channel. */
export interface ChannelListener<T> {
  message(data: T, info: MessageInfo): void;
  /** It is confirmed, on this connection. */
  ready(): void;
  /** Messages may be missing here. */
  gap?(): void;
  /** Who is there has changed. */
  presence?(frame: Extract<ServerFrame, { type: 'presence' }>): void;
  /** Nobody listens any more. */
  removed?(): void;
  /** Whoever it was for is signed out. */
  forgotten?(): void;
  failed(error: Error): void;
  /** The client is closed; `error` unless it was asked to. */
  closed(error: Error | undefined): void;
}

/**
 * A channel of a client: what others publish, and the way to publish. `client.channel(name)` is the same object for the same name.
 *
 * The server is asked for it when the first handler or loop comes, and told when the last one has gone, a tick later, so that leaving and
 * coming back in one task is neither. It is asked again on every connection. `addEventListener` alone asks for nothing.
 *
 * @example
 * const room = client.channel('room:kelp');
 * const { ready, unsubscribe } = room.subscribe((message, { from }) => console.log(from, message));
 * await ready;
 * room.publish({ text: 'hello' });
 * unsubscribe();
 */
export class Channel<T = unknown> extends OurEventTarget<ChannelEventMap<T>> {
  /** The name, as given to `client.channel`. */
  readonly name: string;
  readonly #host: ChannelHost;
  /** JSON of what the server is told when it is subscribed. */
  #params: string | undefined;
  readonly #listeners = new Set<ChannelListener<T>>();
  #confirmed = false;

  /** @internal Made by `client.channel(name)`. */
  constructor(name: string, host: ChannelHost) {
    super();
    this.name = name;

    this.#host = host;
  }

  /** @internal Sets what the server is told. Throws TypeError where that is too late, or cannot be sent. */
  setParams(params: unknown): void {
    const json = encodePayload(params);
    if (typeof json !== 'string') throw new TypeError(`The parameters of the channel ${this.name} are not JSON`);
    if (this.isWanted && json !== this.#params) throw new TypeError(`The channel ${this.name} is subscribed with other parameters`);
    this.#params = json;
  }

  /** @internal Whether it has a handler or a loop. */
  get isWanted(): boolean {
    return this.#listeners.size > 0;
  }

  /** @internal Whether it was ever confirmed since somebody wanted it: only then can anything have been missed. */
  get wasSubscribed(): boolean {
    return this.#confirmed;
  }

  /** Whether it is idle, subscribing, subscribed, or failed with an error. */
  get state(): ChannelState {
    return this.#host.stateOf(this.name);
  }

  /**
   * Calls the handler for every message from now on. Without a handler it only keeps the channel subscribed, for event listeners. What a
   * handler throws goes to `reportError`, or `console.error` where there is none, and harms no other.
   *
   * @param handler called with the data and what else is known about the message
   * @param options for how long, and from where
   * @param options.signal aborting it unsubscribes
   * @param options.load fetches what the handler starts from, when the channel is confirmed and after every gap; messages wait until it
   * resolves. What it returns may have an `offset`: messages up to there are part of it. Where it throws or rejects, there is an `error`
   * event of the client, and it is asked again, with a backoff
   * @returns when it is confirmed, and how to end it
   *
   * @example
   * const controller = new AbortController();
   * const { ready } = client.channel('room:kelp').subscribe((message) => console.log(message), { signal: controller.signal });
   * ready.catch((error) => console.warn('refused', error));
   * controller.abort(); // unsubscribes
   *
   * @example
   * let snapshot: { messages: unknown[]; offset: number };
   * client.channel('room:kelp').subscribe((message) => snapshot.messages.push(message), {
   *   load: async ({ channel, signal }) => {
   *     snapshot = (await client.call('history', channel, { signal })) as typeof snapshot;
   *     return snapshot;
   *   },
   * });
   */
  subscribe(
    handler?: (data: T, info: MessageInfo) => void,
    { signal, load }: { readonly signal?: AbortSignal | undefined; readonly load?: Load | undefined } = {},
  ): Subscription {
    if (handler !== undefined && typeof handler !== 'function')
      throw new TypeError(`subscribe() takes a function, or nothing, but got ${show(handler)}`);
    if (load !== undefined && typeof load !== 'function') throw new TypeError(`Option "load" got ${show(load)}; it takes a function`);
    const ready = new Outcome<void>();
    const message = (data: T, info: MessageInfo) => void guarded(() => handler?.(data, info));
    const listener: ChannelListener<T> = {
      message,
      ready: () => ready.succeed(),
      failed: (error) => ready.fail(error),
      closed: (error) => ready.fail(error ?? new ClosedError()),
      ...(load && this.#loading(load, message, ready)),
    };
    const unsubscribe = () => {
      signal?.removeEventListener('abort', unsubscribe);
      ready.fail(new ClosedError('It was unsubscribed'));
      this.#remove(listener);
    };
    const subscription = {
      get ready() {
        return ready.promise;
      },
      unsubscribe,
    };
    if (signal?.aborted) ready.fail(signal.reason);
    else {
      this.#add(listener);
      signal?.addEventListener('abort', unsubscribe);
    }
    return subscription;
  }

  /**
   * Publishes to everybody who is subscribed, or keeps the message until there is a connection. Publishing needs no subscription; who has
   * one gets its own messages too, from `holdfast/server`. On a closed client the message is dropped.
   *
   * @param data JSON, or an ArrayBuffer or view as a whole; encoded at once
   * @param options `ttl`, `key`, `priority` and `idempotent`
   * @returns what becomes of it
   * @throws `TypeError` at what cannot be sent and at a bad option, {@link QueueFullError} when the outbox has no room,
   * {@link MessageTooLargeError} and {@link UnsupportedError} when it is known that the server does not take it
   *
   * @example
   * const receipt = client.channel('room:kelp').publish({ text: 'hello' }, { ttl: 10_000 });
   * await receipt.acknowledged;
   */
  publish(data: T, options: PublishOptions = {}): Receipt<Published> {
    return this.#host.publish(this.name, data, options);
  }

  /**
   * The messages from now on, for a `for await` loop. It is bounded by `iteratorBuffer`: when the loop is too slow, the oldest messages go,
   * each a `gap` of the channel and a `drop` event of the client. Leaving the loop unsubscribes. It ends when the client is closed by
   * `close()`, throws a {@link ClosedError} when it is closed otherwise, and a {@link CallError} or {@link UnsupportedError} when the
   * channel is refused.
   *
   * @example
   * for await (const message of client.channel('room:kelp')) {
   *   console.log(message);
   *   if (message === 'bye') break;
   * }
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    const iterator = new MessageIterator<T>(this.#host.iteratorBuffer, () => this.#remove(listener));
    const listener: ChannelListener<T> = {
      message: (data) => {
        for (const lost of iterator.push(data)) {
          this.#host.overflowed(this.name, lost);
          this.dispatchEvent(new GapEvent('overflow'));
        }
      },
      ready: () => {},
      failed: (error) => iterator.fail(error),
      closed: (error) => (error ? iterator.fail(error) : iterator.end()),
    };
    this.#add(listener);
    return iterator;
  }

  /** @internal The client that it belongs to. */
  get host(): ChannelHost {
    return this.#host;
  }

  /** @internal Whether more than one listens. */
  get isShared(): boolean {
    return this.#listeners.size > 1;
  }

  /** @internal Listens, until what it returns is called. */
  listen(listener: ChannelListener<T>): () => void {
    this.#add(listener);
    return () => this.#remove(listener);
  }

  /** @internal Who is there has changed. */
  receivePresence(frame: Extract<ServerFrame, { type: 'presence' }>): void {
    for (const listener of [...this.#listeners]) listener.presence?.(frame);
  }

  /** @internal A message came in on a confirmed subscription. */
  receive(data: T, info: MessageInfo): void {
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) guarded(() => listener.message(data, info));
    this.dispatchEvent(new ChannelMessageEvent(data, info));
  }

  /** @internal The state is another one; `recovered`: nothing was missed since it was subscribed last. */
  changed(state: ChannelState, recovered: boolean): void {
    this.dispatchEvent(new ChannelStateEvent(state));
    if (state.status === 'subscribed') {
      if (this.#confirmed && !recovered) this.#gap();
      this.#confirmed = true;
      for (const listener of [...this.#listeners]) listener.ready();
    } else if (state.status === 'failed') for (const listener of [...this.#listeners]) listener.failed(state.error);
  }

  #gap(): void {
    for (const listener of [...this.#listeners]) listener.gap?.();
    this.dispatchEvent(new GapEvent('reconnected'));
  }

  /** @internal The server is told that nobody wants it: what comes later is another subscription. */
  released(): void {
    this.#confirmed = false;
  }

  /** @internal The client is closed: loops end, handlers stay for the next `connect()`. */
  closed(error: Error | undefined): void {
    for (const listener of [...this.#listeners]) listener.closed(error);
  }

  /** @internal Whoever wanted it is gone. Returns whether there was anybody. */
  forget(error: Error): boolean {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.#params = undefined;
    this.#confirmed = false;
    for (const listener of listeners) {
      listener.closed(error);
      listener.removed?.();
      listener.forgotten?.();
    }
    return listeners.length > 0;
  }

  /** @internal Whoever was shown to be there is not any more. */
  forgetPresence(error: Error): void {
    for (const listener of [...this.#listeners]) {
      if (!listener.forgotten) continue;
      listener.closed(error);
      listener.forgotten();
      this.#remove(listener);
    }
  }

  /** How a handler listens that starts from a snapshot. */
  #loading(load: Load, message: ChannelListener<T>['message'], ready: Outcome<void>): ChannelListener<T> {
    const { clock, random, iteratorBuffer } = this.#host;
    const failed = (error: unknown) => this.#host.failed(error instanceof Error ? error : new Error(String(error)));
    const loader = new Loader<T>({ channel: this.name, clock, random, limit: iteratorBuffer, load, message, failed });
    let begun = false;
    return {
      message: (data, info) => loader.message(data, info),
      ready: () => {
        if (!begun) loader.begin('subscribed');
        begun = true;
        ready.succeed();
      },
      gap: () => {
        loader.begin('reconnected');
        begun = true;
      },
      failed: (error) => {
        loader.stop();
        begun = false;
        ready.fail(error);
      },
      closed: (error) => {
        loader.stop();
        begun = false;
        ready.fail(error ?? new ClosedError());
      },
      removed: () => loader.stop(),
    };
  }

  #add(listener: ChannelListener<T>): void {
    this.#listeners.add(listener);
    this.#host.want(this.name, this.#params === undefined ? undefined : JSON.parse(this.#params));
    if (this.#host.isOver) return listener.closed(undefined);
    if (this.state.status === 'subscribed') listener.ready();
  }

  #remove(listener: ChannelListener<T>): void {
    if (!this.#listeners.delete(listener)) return;
    listener.removed?.();
    if (!this.isWanted) this.#host.idle(this as Channel);
  }
}
