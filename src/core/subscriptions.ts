/**
 * Which channels are wanted, and which the server has confirmed. Deterministic. Subscriptions belong to a connection: what is wanted
 * is declared in every hello, and only what was confirmed on this connection delivers.
 *
 * ```
 *  idle ──want──► subscribing ──confirmed──► subscribed ──lost · demanded anew──► subscribing
 *                     │ refused                   │ ended by the server
 *                     └──────────► failed ◄───────┘        failed ──want · lost, if it was for the moment──► subscribing
 *  any ──release──► idle
 * ```
 *
 * From asking until the answer nothing of a channel is delivered: it would belong to the subscription before.
 */

import type { HoldfastError } from '../errors.ts';

/**
 * The state of a channel.
 *
 * @example
 * const { state } = client.channel('room:kelp');
 * console.log(state.status === 'failed' ? `refused: ${state.error.code}` : state.status);
 */
export type ChannelState =
  /** Nobody wants it: it has no handler and no loop. */
  | { readonly status: 'idle' }
  /** The server is asked, or will be when there is a connection; after a loss it is asked again. */
  | { readonly status: 'subscribing' }
  /** The server has confirmed it: messages are delivered. */
  | { readonly status: 'subscribed' }
  /**
   * The server refused it, ended it, has no channels, or did not answer. The next handler or loop asks again, and so does the next
   * connection, unless the code is PERMISSION_DENIED, NOT_FOUND, INVALID_ARGUMENT, UNIMPLEMENTED, FAILED_PRECONDITION or UNSUPPORTED.
   */
  | {
      readonly status: 'failed';
      /** Why: a {@link CallError}, or an {@link UnsupportedError} where the server has no channels. */
      readonly error: HoldfastError<string>;
    };

/** Refusals that another connection will not change. */
const PERMANENT: readonly string[] = [
  'PERMISSION_DENIED',
  'NOT_FOUND',
  'INVALID_ARGUMENT',
  'UNIMPLEMENTED',
  'FAILED_PRECONDITION',
  'UNSUPPORTED',
];

interface Wanted {
  state: ChannelState;
  readonly params: unknown;
  /** Counts the questions: the answer to an earlier one is none. */
  generation: number;
  /** Whether the server has been asked on this connection. */
  asked: boolean;
}

/** A channel to be asked for: its generation goes with it, and comes back with the answer. */
export interface Wish {
  readonly channel: string;
  readonly params: unknown;
  readonly generation: number;
}

/** The channels of one client. */
export class Subscriptions {
  readonly #wanted = new Map<string, Wanted>();
  #generation = 0;

  /** Channels that are wanted. */
  get size(): number {
    return this.#wanted.size;
  }

  /** The state of a channel. */
  stateOf(channel: string): ChannelState {
    return this.#wanted.get(channel)?.state ?? { status: 'idle' };
  }

  /** Whether a message of this channel belongs to a confirmed subscription. */
  delivers(channel: string): boolean {
    return this.#wanted.get(channel)?.state.status === 'subscribed';
  }

  /** Somebody wants a channel, for the first time or again after it failed. */
  want(channel: string, params: unknown): void {
    if (this.#wanted.get(channel)?.state.status === 'failed') this.#wanted.delete(channel);
    if (!this.#wanted.has(channel)) this.#wanted.set(channel, { state: { status: 'subscribing' }, params, generation: 0, asked: false });
  }

  /** Nobody wants it any more; true when the server knows of it and has to be told. */
  release(channel: string): boolean {
    const { asked = false, state } = this.#wanted.get(channel) ?? {};
    this.#wanted.delete(channel);
    return asked && state?.status !== 'failed';
  }

  /** Everything that the server has not been asked for on this connection, each marked as asked now. */
  ask(): Wish[] {
    const questions: Wish[] = [];
    for (const [channel, wanted] of this.#wanted) {
      if (wanted.asked || wanted.state.status === 'failed') continue;
      wanted.asked = true;
      wanted.generation = ++this.#generation;
      questions.push({ channel, params: wanted.params, generation: wanted.generation });
    }
    return questions;
  }

  /** The server did not answer to this declaration at all: it is to be asked for by frame. */
  unanswered({ channel, generation }: Wish): void {
    const wanted = this.#current(channel, generation);
    if (wanted) wanted.asked = false;
  }

  /** The server answered; false when the answer belongs to a question that matters no more. */
  answer({ channel, generation }: Wish, error: HoldfastError<string> | undefined): boolean {
    const wanted = this.#current(channel, generation);
    if (!wanted) return false;
    wanted.state = error ? { status: 'failed', error } : { status: 'subscribed' };
    return true;
  }

  /** The server ended a subscription; false when it does not concern a confirmed one. Without an error: it is to be asked for again. */
  ended(channel: string, error: HoldfastError<string> | undefined): boolean {
    const wanted = this.#wanted.get(channel);
    if (wanted?.state.status !== 'subscribed') return false;
    wanted.state = error ? { status: 'failed', error } : { status: 'subscribing' };
    wanted.asked = error !== undefined;
    return true;
  }

  /** The connection is gone, and every subscription with it. Returns the channels whose state changed. */
  lost(): string[] {
    const changed: string[] = [];
    for (const [channel, wanted] of this.#wanted) {
      wanted.asked = false;
      const { state } = wanted;
      if (state.status === 'subscribing' || (state.status === 'failed' && PERMANENT.includes(state.error.code))) continue;
      wanted.state = { status: 'subscribing' };
      changed.push(channel);
    }
    return changed;
  }

  #current(channel: string, generation: number): Wanted | undefined {
    const wanted = this.#wanted.get(channel);
    return wanted?.asked && wanted.generation === generation ? wanted : undefined;
  }
}
