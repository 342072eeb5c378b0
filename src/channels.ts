/** The channels of one client: the objects by name, what is subscribed on the server, and what is published. */

import type { DropCause, Question } from './caller.ts';
import { Channel, type ChannelHost, type Published, type PublishOptions } from './channel.ts';
import type { Delivery } from './conversation.ts';
import { backoff, clampDelay } from './core/backoff.ts';
import { LONGEST_RETRY_AFTER } from './core/retry-policy.ts';
import { type ChannelState, type Confirmed, Subscriptions, type Wish } from './core/subscriptions.ts';
import { CallError, ClosedError, type HoldfastError, SessionLostError, TimeoutError, type UnsupportedError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import { type PublishingHost, publish } from './publishing.ts';
import type { Receipt } from './receipt.ts';
import { callError } from './wire/errors.ts';
import type { Declaration, SubscribeResult } from './wire/frames.ts';
import type { Capabilities } from './wire/protocol.ts';

/** What the channels need of the client. */
export interface ChannelsHost extends PublishingHost {
  readonly clock: Clock;
  readonly random: () => number;
  readonly iteratorBuffer: number;
  /** Milliseconds the server may take to confirm a channel. */
  readonly timeout: number;
  /** Whether there is a connection. */
  isOpen(): boolean;
  /** Why the server does not do it; undefined where it does. */
  unsupported(capability: keyof Capabilities): UnsupportedError | undefined;
  ask(question: Question): Promise<unknown>;
  dropped(kind: 'publish' | 'message', name: string, data: unknown, reason: DropCause, error?: Error): void;
  /** A channel was refused, or ended. */
  failed(error: Error): void;
}

/** A demand by the server to subscribe again is met at once, but not more often than this; milliseconds. */
const RESUBSCRIBE_EVERY = 5_000;
/** A channel that was not refused for so long begins anew; milliseconds, more than the longest backoff. */
const FORGIVEN_AFTER = 60_000;

export class ChannelDirectory implements ChannelHost {
  readonly #host: ChannelsHost;
  readonly #channels = new Map<string, Channel>();
  readonly #subscriptions = new Subscriptions();
  /** What the hello of this connection asked for. */
  #declared: readonly Wish[] = [];
  readonly #demandedAt = new Map<string, number>();
  /** Channels that are not to be asked for again yet, with their timers. */
  readonly #held = new Map<string, unknown>();
  /** How often in a row channels were refused that are asked for again, and when last. */
  readonly #refusals = new Map<string, { readonly count: number; readonly at: number }>();
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

  get clock(): Clock {
    return this.#host.clock;
  }

  get random(): () => number {
    return this.#host.random;
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
    return this.#declared.map(declarationOf);
  }

  /** The server has answered to the declarations; what it left out, and what came since, is asked for now. True when nothing was missed. */
  opened(results: readonly SubscribeResult[]): boolean {
    const answers = new Map(results.map((result) => [result.channel, result]));
    let recovered = true;
    for (const wish of this.#declared) {
      const result = answers.get(wish.channel);
      const before = this.#channels.get(wish.channel)?.wasSubscribed === true;
      if (!result) this.#subscriptions.unanswered(wish);
      else if (result.error) this.#refused(wish, callError(result.error));
      if (!result || result.error) recovered &&= !before;
      else {
        const isRecovered = this.#confirmed(wish, result);
        recovered &&= isRecovered !== false || !before;
        if (isRecovered === undefined) this.#unsubscribe(wish.channel); // given up between hello and welcome: the server does not know
      }
    }
    this.#declared = [];
    this.#askAll();
    return recovered;
  }

  /** The connection is gone. */
  lost(): void {
    for (const timer of this.#held.values()) this.#host.clock.clearTimeout(timer);
    this.#held.clear();
    this.#refusals.clear();
    this.#demandedAt.clear();
    for (const channel of this.#subscriptions.lost()) this.#changed(channel, false);
  }

  /** The client is closed: loops end. */
  closed(error: Error | undefined): void {
    for (const channel of [...this.#channels.values()]) channel.closed(error);
  }

  /** Who was there is gone, and all that was theirs: nobody listens any more. */
  forget(error: Error): void {
    this.lost();
    this.#idle.clear();
    this.#declared = [];
    for (const channel of [...this.#channels.values()]) {
      this.#subscriptions.release(channel.name);
      if (channel.forget(error)) this.#changed(channel.name, false);
    }
  }

  /** Somebody else is there now: who was shown to be there is not. */
  forgetPresence(error: Error): void {
    for (const channel of [...this.#channels.values()]) channel.forgetPresence(error);
  }

  /** A message of a channel, or the end of a subscription. */
  deliver(frame: Exclude<Delivery, { type: 'event' }>): void {
    const { channel } = frame;
    if (frame.type === 'unsubscribe') this.#ended(channel, frame.resubscribe ? undefined : callError(frame.error ?? { code: 'ABORTED' }));
    else if (frame.type === 'message') this.#received(frame);
    else if (this.stateOf(channel).status === 'subscribed') this.#channels.get(channel)?.receivePresence(frame);
  }

  #received({ channel, data, offset, from }: Extract<Delivery, { type: 'message' }>): void {
    const passage = this.#subscriptions.arrived(channel, offset ?? undefined);
    if (passage === 'next') this.#channels.get(channel)?.receive(data, { channel, offset: offset ?? undefined, from: from ?? undefined });
    if (passage !== 'hole') return;
    this.#changed(channel, false);
    this.#askAgain(channel);
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
    if (before.status === 'failed') this.#release(channel); // who wants it now does not wait
    this.#subscriptions.want(channel, params);
    if (before.status === 'idle' || before.status === 'failed') this.#changed(channel, false);
    if (this.unsupported('channels')) return this.#askAll();
    // At the end of the task: what is subscribed and given up in it is never asked for.
    if (this.#host.isOpen()) queueMicrotask(() => this.#askAll());
  }

  unsupported(capability: keyof Capabilities): UnsupportedError | undefined {
    return this.#host.unsupported(capability);
  }

  ask(channel: string, question: Parameters<ChannelHost['ask']>[1]): Promise<unknown> {
    return this.#host.ask({ name: channel, payload: undefined, timeout: this.#host.timeout, waiting: { direct: true }, ...question });
  }

  publish(channel: string, data: unknown, options: PublishOptions): Receipt<Published> {
    return publish(this.#host, channel, data, options);
  }

  failed(error: Error): void {
    this.#host.failed(error);
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
      this.#release(channel.name);
      this.#refusals.delete(channel.name);
      this.#changed(channel.name, false);
      if (known && this.#host.isOpen()) this.#unsubscribe(channel.name);
    }
  }

  #askAll(): void {
    const unsupported = this.unsupported('channels');
    if (!this.#host.isOpen() && !unsupported) return;
    for (const wish of this.#subscriptions.ask((each) => this.#held.has(each))) {
      const { channel } = wish;
      if (unsupported) {
        this.#refused(wish, unsupported);
        continue;
      }
      const failed = (error: Error) => {
        if (error instanceof SessionLostError || error instanceof ClosedError) return;
        const current = this.#refused(wish, asCallError(error));
        if (current && error instanceof TimeoutError) this.#unsubscribe(channel); // should the server say yes after all
      };
      this.ask(channel, {
        what: `the subscription to ${channel}`,
        frame: (id) => ({ type: 'subscribe', id, ...declarationOf(wish) }),
        done: (result) => this.#confirmed(wish, Object(result) as Confirmed),
      }).catch(failed);
    }
  }

  #unsubscribe(channel: string): void {
    const frame = (id: number) => ({ type: 'unsubscribe', id, channel }) as const;
    this.ask(channel, { what: `leaving ${channel}`, timeout: Infinity, frame }).catch(() => {}); // it has left in any case
  }

  #refused(wish: Wish, error: HoldfastError<string>): boolean {
    const isCurrent = this.#subscriptions.refused(wish, error);
    if (!isCurrent) return false;
    this.#failed(wish.channel, error);
    return true;
  }

  /** True when nothing was missed; undefined when it matters no more. */
  #confirmed(wish: Wish, confirmed: Confirmed): boolean | undefined {
    const isRecovered = this.#subscriptions.confirmed(wish, confirmed);
    if (isRecovered === undefined) return undefined;
    this.#changed(wish.channel, isRecovered);
    return isRecovered;
  }

  /** The server ended a subscription, and wants it back where there is no error. */
  #ended(channel: string, error: CallError | undefined): void {
    if (!this.#subscriptions.ended(channel, error)) return;
    if (error) return this.#failed(channel, error);
    this.#changed(channel, false);
    this.#askAgain(channel);
  }

  /** The server said no: whoever listens is told, and it is asked again later where that may change. */
  #failed(channel: string, error: HoldfastError<string>): void {
    const { clock, random } = this.#host;
    if (this.#subscriptions.mayPass(channel)) {
      const { count, at } = this.#refusals.get(channel) ?? { count: 0, at: 0 };
      // What was confirmed, and did not last, is no success.
      const refusals = { count: clock.now() - at < FORGIVEN_AFTER ? count + 1 : 1, at: clock.now() };
      this.#refusals.set(channel, refusals);
      const wanted = error instanceof CallError ? Math.min(error.retryAfter ?? 0, LONGEST_RETRY_AFTER) : 0;
      this.#hold(channel, clampDelay(Math.max(wanted, backoff(refusals.count, random(), true))), () => {
        if (this.#subscriptions.retry(channel)) this.#changed(channel, false);
      });
    }
    this.#changed(channel, false);
    this.#host.failed(error);
  }

  /** The server is asked again, at once, but not over and over. */
  #askAgain(channel: string): void {
    const { clock } = this.#host;
    const next = (this.#demandedAt.get(channel) ?? -Infinity) + RESUBSCRIBE_EVERY;
    const delay = Math.max(0, next - clock.now());
    this.#demandedAt.set(channel, clock.now() + delay);
    if (delay === 0) return this.#askAll();
    if (!this.#held.has(channel)) this.#hold(channel, delay);
  }

  /** The channel is not asked for until then. */
  #hold(channel: string, delay: number, prepare = () => {}): void {
    this.#release(channel);
    const ask = () => {
      this.#held.delete(channel);
      prepare();
      this.#askAll();
    };
    this.#held.set(channel, this.#host.clock.setTimeout(ask, delay));
  }

  /** It may be asked for. */
  #release(channel: string): void {
    this.#host.clock.clearTimeout(this.#held.get(channel));
    this.#held.delete(channel);
  }

  #changed(name: string, recovered: boolean): void {
    this.#channels.get(name)?.changed(this.stateOf(name), recovered);
  }
}

function declarationOf({ channel, params, position }: Wish): Declaration {
  return { channel, ...(params !== undefined && { params }), ...position };
}

function asCallError(error: Error): CallError {
  if (error instanceof CallError) return error;
  return new CallError(error instanceof TimeoutError ? 'DEADLINE_EXCEEDED' : 'ABORTED', error.message);
}
