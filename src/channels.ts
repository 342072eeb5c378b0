/** The channels of one client: the objects by name, what is subscribed on the server, and what is published. */

import type { DropCause, Question } from './caller.ts';
import { Channel, type ChannelHost, type Published, type PublishOptions } from './channel.ts';
import type { Delivery } from './conversation.ts';
import { type ChannelState, Subscriptions, type Wish } from './core/subscriptions.ts';
import { CallError, ClosedError, type HoldfastError, SessionLostError, TimeoutError, type UnsupportedError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import { type PublishingHost, publish } from './publishing.ts';
import type { Receipt } from './receipt.ts';
import { callError } from './wire/errors.ts';
import type { Declaration, SubscribeResult } from './wire/frames.ts';

/** What the channels need of the client. */
export interface ChannelsHost extends PublishingHost {
  readonly clock: Clock;
  readonly iteratorBuffer: number;
  /** Milliseconds the server may take to confirm a channel. */
  readonly timeout: number;
  /** Whether there is a connection. */
  isOpen(): boolean;
  /** Why the server has no channels; undefined where it has them. */
  unsupported(): UnsupportedError | undefined;
  ask(question: Question): Promise<unknown>;
  dropped(kind: 'publish' | 'message', name: string, data: unknown, reason: DropCause, error?: Error): void;
  /** A channel was refused, or ended. */
  failed(error: Error): void;
}

/** A demand by the server to subscribe again is met at once, but not more often than this; milliseconds. */
const RESUBSCRIBE_EVERY = 5_000;

export class ChannelDirectory implements ChannelHost {
  readonly #host: ChannelsHost;
  readonly #channels = new Map<string, Channel>();
  readonly #subscriptions = new Subscriptions();
  /** What the hello of this connection asked for. */
  #declared: readonly Wish[] = [];
  readonly #demandedAt = new Map<string, number>();
  #demandTimer: unknown;
  /** Channels that nobody wants any more, until the end of the tick. */
  readonly #idle = new Set<Channel>();

  constructor(host: ChannelsHost) {
    this.#host = host;
  }

  get isOver(): boolean {
    return this.#host.closed() !== undefined;
  }

  get iteratorBuffer(): number {
    return this.#host.iteratorBuffer;
  }

  /** The channel of that name: always the same object. */
  get(name: string, params: unknown): Channel {
    const channel = this.#channels.get(name) ?? new Channel(name, this);
    if (params !== undefined) channel.setParams(params);
    this.#channels.set(name, channel);
    return channel;
  }

  /** Everything that is wanted, for the hello that is written now. */
  declarations(): Declaration[] {
    this.#releaseIdle();
    this.#declared = this.#subscriptions.ask();
    return this.#declared.map(({ channel, params }) => ({ channel, ...(params !== undefined && { params }) }));
  }

  /** The server has answered to the declarations; what it left out, and what came since, is asked for now. True when nothing was missed. */
  opened(results: readonly SubscribeResult[]): boolean {
    const answers = new Map(results.map((result) => [result.channel, result]));
    let recovered = true;
    for (const wish of this.#declared) {
      const result = answers.get(wish.channel);
      if (!result) this.#subscriptions.unanswered(wish);
      else {
        recovered &&= result.recovered === true || !this.#channels.get(wish.channel)?.wasSubscribed;
        const error = result.error ? callError(result.error) : undefined;
        // Given up between hello and welcome: the server does not know.
        if (!this.#answered(wish, error, result.recovered === true) && !error) this.#unsubscribe(wish.channel);
      }
    }
    this.#declared = [];
    this.#askAll();
    return recovered;
  }

  /** The connection is gone. */
  lost(): void {
    this.#host.clock.clearTimeout(this.#demandTimer);
    this.#demandTimer = undefined;
    for (const channel of this.#subscriptions.lost()) this.#changed(channel, false);
  }

  /** The client is closed: loops end. */
  closed(error: Error | undefined): void {
    for (const channel of [...this.#channels.values()]) channel.closed(error);
  }

  /** A message of a channel, or the end of a subscription. */
  deliver(frame: Exclude<Delivery, { type: 'event' }>): void {
    const { channel } = frame;
    if (frame.type === 'unsubscribe') this.#ended(channel, frame.resubscribe ? undefined : callError(frame.error ?? { code: 'ABORTED' }));
    else if (this.#subscriptions.delivers(channel)) {
      const { data, offset, from } = frame;
      this.#channels.get(channel)?.receive(data, { channel, offset: offset ?? undefined, from: from ?? undefined });
    }
  }

  idle(channel: Channel): void {
    if (this.#idle.size === 0) this.#host.clock.setTimeout(() => this.#releaseIdle(), 0);
    this.#idle.add(channel);
  }

  stateOf(channel: string): ChannelState {
    return this.#subscriptions.stateOf(channel);
  }

  want(channel: string, params: unknown): void {
    const before = this.stateOf(channel);
    this.#subscriptions.want(channel, params);
    if (before.status === 'idle' || before.status === 'failed') this.#changed(channel, false);
    if (this.#host.unsupported()) return this.#askAll();
    // At the end of the task: what is subscribed and given up in it is never asked for.
    if (this.#host.isOpen()) queueMicrotask(() => this.#askAll());
  }

  publish(channel: string, data: unknown, options: PublishOptions): Receipt<Published> {
    return publish(this.#host, channel, data, options);
  }

  overflowed(channel: string, data: unknown): void {
    this.#host.dropped('message', channel, data, 'overflow');
  }

  /** Takes leave of the channels that still nobody wants. */
  #releaseIdle(): void {
    for (const channel of [...this.#idle]) {
      this.#idle.delete(channel);
      if (channel.isWanted) continue;
      channel.released();
      const known = this.#subscriptions.release(channel.name);
      this.#changed(channel.name, false);
      if (known && this.#host.isOpen()) this.#unsubscribe(channel.name);
    }
  }

  #askAll(): void {
    const unsupported = this.#host.unsupported();
    if (!this.#host.isOpen() && !unsupported) return;
    for (const wish of this.#subscriptions.ask()) {
      const { channel, params } = wish;
      if (unsupported) {
        this.#answered(wish, unsupported, false);
        continue;
      }
      const failed = (error: Error) => {
        if (error instanceof SessionLostError || error instanceof ClosedError) return;
        const current = this.#answered(wish, asCallError(error), false);
        if (current && error instanceof TimeoutError) this.#unsubscribe(channel); // should the server say yes after all
      };
      this.#host
        .ask({
          what: `the subscription to ${channel}`,
          payload: undefined,
          timeout: this.#host.timeout,
          waiting: { direct: true },
          frame: (id) => ({ type: 'subscribe', id, channel, ...(params !== undefined && { params }) }),
          done: () => this.#answered(wish, undefined, false),
        })
        .catch(failed);
    }
  }

  #unsubscribe(channel: string): void {
    const frame = (id: number) => ({ type: 'unsubscribe', id, channel }) as const;
    const question = { what: `leaving ${channel}`, payload: undefined, timeout: Infinity, waiting: { direct: true }, frame };
    this.#host.ask(question).catch(() => {}); // it has left in any case
  }

  #answered(wish: Wish, error: HoldfastError<string> | undefined, recovered: boolean): boolean {
    const current = this.#subscriptions.answer(wish, error);
    if (current) this.#changed(wish.channel, recovered);
    if (current && error) this.#host.failed(error);
    return current;
  }

  /** The server ended a subscription, and wants it back where there is no error. */
  #ended(channel: string, error: CallError | undefined): void {
    if (!this.#subscriptions.ended(channel, error)) return;
    this.#changed(channel, false);
    if (error) return this.#host.failed(error);
    const { clock } = this.#host;
    const next = (this.#demandedAt.get(channel) ?? -Infinity) + RESUBSCRIBE_EVERY;
    const delay = Math.max(0, next - clock.now());
    this.#demandedAt.set(channel, clock.now() + delay);
    if (delay === 0) return this.#askAll();
    this.#demandTimer ??= clock.setTimeout(() => {
      this.#demandTimer = undefined;
      this.#askAll();
    }, delay);
  }

  #changed(name: string, recovered: boolean): void {
    this.#channels.get(name)?.changed(this.stateOf(name), recovered);
  }
}

function asCallError(error: Error): CallError {
  if (error instanceof CallError) return error;
  return new CallError(error instanceof TimeoutError ? 'DEADLINE_EXCEEDED' : 'ABORTED', error.message);
}
