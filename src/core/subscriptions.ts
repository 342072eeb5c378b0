/**
 * Which channels are wanted, and which the server has confirmed. Deterministic. Subscriptions belong to a connection: what is wanted
 * is declared in every hello, and only what was confirmed on this connection delivers.
 *
 * ```
 *  idle ──want──► subscribing ──confirmed──► subscribed ──lost · demanded anew──► subscribing
 *                     │ refused                   │ ended by the server
 *                     └──────────► failed ◄───────┘        failed ──want · lost or retry, if it may pass──► subscribing
 *  any ──release──► idle
 * ```
 *
 * From asking until the answer nothing of a channel is delivered: it would belong to the subscription before. Where the server keeps a
 * history, each message has its place in it, and only the next one is delivered: what was there before is dropped, and where some are
 * missing the server is asked again, from the last one on.
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
   * The server refused it, ended it, has no channels, or did not answer. It is asked for again with a backoff as long as it has a handler
   * (not before `error.retryAfter`), by the next connection and by the next handler or loop; if the code is PERMISSION_DENIED, NOT_FOUND,
   * INVALID_ARGUMENT, UNIMPLEMENTED, FAILED_PRECONDITION or UNSUPPORTED, by the next handler or loop alone.
   */
  | {
      readonly status: 'failed';
      /** Why: a {@link CallError}, or an {@link UnsupportedError} where the server has no channels. */
      readonly error: HoldfastError<string>;
    };

/** Refusals that time will not change. */
const PERMANENT: readonly string[] = [
  'PERMISSION_DENIED',
  'NOT_FOUND',
  'INVALID_ARGUMENT',
  'UNIMPLEMENTED',
  'FAILED_PRECONDITION',
  'UNSUPPORTED',
];

/** How far a channel is known. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** What the server says about a subscription: `recovered` where everything that was missed follows, and where the channel stands. */
export interface Confirmed {
  readonly recovered?: boolean | null | undefined;
  readonly epoch?: string | null | undefined;
  readonly offset?: number | null | undefined;
}

interface Wanted {
  state: ChannelState;
  /** Undefined where nothing is known of the history, or there is none. */
  position: Position | undefined;
  /** Where something was missing the last time. */
  hole: number | undefined;
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
  readonly position: Position | undefined;
}

/** What to do with a message: hand it on, forget it, or ask the server again, since some before it are missing. */
export type Passage = 'next' | 'stale' | 'hole';

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

  /** A message came in, with its place in the history where there is one. */
  arrived(channel: string, offset: number | undefined): Passage {
    const wanted = this.#wanted.get(channel);
    if (wanted?.state.status !== 'subscribed') return 'stale';
    const { position } = wanted;
    if (!position || offset === undefined) return 'next';
    if (offset <= position.offset) return 'stale';
    if (offset === position.offset + 1) {
      wanted.position = { ...position, offset };
      return 'next';
    }
    // Twice at the same place: the server does not have what is missing, whatever it says.
    if (wanted.hole === position.offset) wanted.position = undefined;
    wanted.hole = position.offset;
    wanted.state = { status: 'subscribing' };
    wanted.asked = false;
    return 'hole';
  }

  /** Whether it was refused for a reason that may pass. */
  mayPass(channel: string): boolean {
    const { state } = this.#wanted.get(channel) ?? {};
    return state?.status === 'failed' && !PERMANENT.includes(state.error.code);
  }

  /** What was refused for a reason that may pass is to be asked for again; false where it was not. */
  retry(channel: string): boolean {
    const wanted = this.#wanted.get(channel);
    if (!wanted || !this.mayPass(channel)) return false;
    wanted.state = { status: 'subscribing' };
    wanted.asked = false;
    return true;
  }

  /** Somebody wants a channel, for the first time or again after it failed. */
  want(channel: string, params: unknown): void {
    if (this.#wanted.get(channel)?.state.status === 'failed') this.#wanted.delete(channel);
    if (!this.#wanted.has(channel))
      this.#wanted.set(channel, {
        state: { status: 'subscribing' },
        position: undefined,
        hole: undefined,
        params,
        generation: 0,
        asked: false,
      });
  }

  /** Nobody wants it any more; true when the server knows of it and has to be told. */
  release(channel: string): boolean {
    const { asked = false, state } = this.#wanted.get(channel) ?? {};
    this.#wanted.delete(channel);
    return asked && state?.status !== 'failed';
  }

  /**
   * Everything that the server has not been asked for on this connection, each marked as asked now.
   *
   * @param isHeld whether a channel is not to be asked for yet
   */
  ask(isHeld: (channel: string) => boolean = () => false): Wish[] {
    const questions: Wish[] = [];
    for (const [channel, wanted] of this.#wanted) {
      if (wanted.asked || wanted.state.status === 'failed' || isHeld(channel)) continue;
      wanted.asked = true;
      wanted.generation = ++this.#generation;
      questions.push({ channel, params: wanted.params, generation: wanted.generation, position: wanted.position });
    }
    return questions;
  }

  /** The server did not answer to this declaration at all: it is to be asked for by frame. */
  unanswered({ channel, generation }: Wish): void {
    const wanted = this.#current(channel, generation);
    if (wanted) wanted.asked = false;
  }

  /** The server refused; false when the answer belongs to a question that matters no more. */
  refused({ channel, generation }: Wish, error: HoldfastError<string>): boolean {
    const wanted = this.#current(channel, generation);
    if (!wanted) return false;
    wanted.state = { status: 'failed', error };
    return true;
  }

  /**
   * The server confirmed; undefined when the answer belongs to a question that matters no more, else whether nothing was missed: what was
   * follows.
   */
  confirmed({ channel, generation, position }: Wish, { recovered, epoch, offset }: Confirmed): boolean | undefined {
    const wanted = this.#current(channel, generation);
    if (!wanted) return undefined;
    wanted.state = { status: 'subscribed' };
    const isKnown = typeof epoch === 'string' && typeof offset === 'number';
    // What it claims to have recovered must be what was asked about.
    const isPlausible = !isKnown || (epoch === position?.epoch && offset >= position.offset);
    const isRecovered = recovered === true && position !== undefined && isPlausible;
    if (!isRecovered) wanted.position = isKnown ? { epoch, offset } : undefined;
    if (!isRecovered) wanted.hole = undefined;
    return isRecovered;
  }

  /** The server ended a subscription; false when it does not concern a confirmed one. Without an error: it is to be asked for again. */
  ended(channel: string, error: HoldfastError<string> | undefined): boolean {
    const wanted = this.#wanted.get(channel);
    if (wanted?.state.status !== 'subscribed') return false;
    wanted.state = error ? { status: 'failed', error } : { status: 'subscribing' };
    wanted.asked = error !== undefined;
    if (error) wanted.position = undefined;
    return true;
  }

  /** The connection is gone, and every subscription with it. Returns the channels whose state changed. */
  lost(): string[] {
    const changed: string[] = [];
    for (const [channel, wanted] of this.#wanted) {
      wanted.asked = false;
      const { status } = wanted.state;
      if (status === 'subscribing' || (status === 'failed' && !this.mayPass(channel))) continue;
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
