/** The asking side of calls, the same on both ends: deadlines, cancellation, and a promise that never hangs. */

import { clampDelay, MAX_DELAY } from './core/backoff.ts';
import { Calls } from './core/calls.ts';
import { SessionLostError, TimeoutError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import type { Payload } from './wire/codec.ts';
import { callError } from './wire/errors.ts';
import type { Outgoing, WireError } from './wire/frames.ts';
import type { Capabilities } from './wire/protocol.ts';

/**
 * Why something that a client had accepted will not be sent, or not be taken: the `reason` of a {@link ClientDropEvent}.
 *
 * - `overflow`: there was no room in the outbox, or a `for await` loop was too slow
 * - `expired`: it waited longer than its `ttl`
 * - `replaced`: a newer one has its `key`
 * - `closed`: there is no connection to come
 * - `too-large`: the server does not take so many bytes
 * - `unsupported`: the server does not take such a thing
 * - `volatile`: there was no connection at that moment
 * - `refused`: the server said no
 */
export type DropCause = 'overflow' | 'expired' | 'replaced' | 'closed' | 'too-large' | 'unsupported' | 'volatile' | 'refused';

/** What is to be written: the frame is made at that moment, since only then its id and the time left are known. */
export interface Posting {
  readonly payload: Payload | undefined;
  /** What the server has to offer for it. */
  readonly needs?: keyof Capabilities | undefined;
  /** The frame as it is to be written now. */
  frame(): Outgoing;
  /** It was written. */
  sent(): void;
  /** It will not be written. */
  dropped(reason: DropCause, error: Error): void;
}

/** How it waits in line. */
export interface Waiting {
  /** Higher goes first, among what waits; any finite number. @default 0 */
  readonly priority?: number | undefined;
  /** The latest of a key, for the same name, is the only one that waits: those before it are dropped. */
  readonly key?: string | undefined;
  /** Monotonic milliseconds after which it is not to be written. */
  readonly expiresAt?: number | undefined;
  /** Belongs to this connection alone: written ahead of the line, and never on another one. */
  readonly direct?: boolean;
}

/** A question: what it is called in errors, how long it may take, and the frame that asks it. */
export interface Question {
  readonly what: string;
  readonly payload: Payload | undefined;
  readonly needs?: keyof Capabilities;
  /** Milliseconds, the time in line included; Infinity for none. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  readonly waiting?: Waiting | undefined;
  /** Makes the frame from the id and the milliseconds left. */
  frame(id: number, left: number): Outgoing;
  /** It was written. */
  sent?(): void;
  /** The other side has done it. Told at once: what follows in the same message may build upon it, and a promise would settle later. */
  done?(): void;
  /** It was dropped before it was written. */
  dropped?(reason: DropCause, error: Error): void;
}

/** What a caller needs of the connection it calls on. */
export interface CallerHost {
  readonly clock: Clock;
  /** Puts it in line and returns how to take it out again. It may be written, or dropped, before this returns. */
  post(posting: Posting, waiting?: Waiting): () => boolean;
  /** Sends a frame that belongs to this connection. */
  write(frame: Outgoing): void;
}

/** Asks one peer, over one connection after the other. */
export class Caller {
  readonly #host: CallerHost;
  readonly #calls = new Calls<Asked>();

  constructor(host: CallerHost) {
    this.#host = host;
  }

  /** Questions that were written and are not answered. */
  get size(): number {
    return this.#calls.size;
  }

  /**
   * Asks. Settles exactly once: with the result, or with a CallError, TimeoutError, SessionLostError, the reason of the signal, or why it
   * was dropped.
   *
   * @throws what the line throws when it does not take it
   */
  ask(question: Question): Promise<unknown> {
    if (question.signal?.aborted) return Promise.reject(question.signal.reason);
    const asked = new Asked(question, this.#host, this.#calls);
    asked.post();
    return asked.answer;
  }

  /** A final frame came in; what belongs to nothing is late, and ignored. */
  response(id: number, result: unknown): void {
    this.#calls.take(id)?.succeed(result);
  }

  error(id: number, error: WireError): void {
    this.#calls.take(id)?.fail(callError(error));
  }

  /** The connection is gone: what was written will not be answered. */
  lost(): void {
    for (const asked of this.#calls.clear()) asked.lost();
  }

  /** No answer is waited for any more. */
  stop(error: Error): void {
    for (const asked of this.#calls.clear()) asked.fail(error);
  }
}

/** One question on its way: in line, then written, then over. */
class Asked {
  readonly #question: Question;
  readonly #host: CallerHost;
  readonly #calls: Calls<Asked>;
  readonly answer: Promise<unknown>;
  #resolve: (result: unknown) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  readonly #deadline: number;
  readonly #timer: unknown;
  #id: number | undefined;
  #withdraw: (() => boolean) | undefined;
  #over = false;

  constructor(question: Question, host: CallerHost, calls: Calls<Asked>) {
    this.#question = question;
    this.#host = host;
    this.#calls = calls;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#deadline = host.clock.now() + question.timeout;
    // A timeout that no timer can hold is none.
    if (question.timeout <= MAX_DELAY) this.#timer = host.clock.setTimeout(this.#expire, clampDelay(question.timeout));
    question.signal?.addEventListener('abort', this.#abort);
  }

  post(): void {
    const { payload, needs, waiting } = this.#question;
    const posting: Posting = {
      payload,
      needs,
      frame: () => {
        this.#id = this.#calls.ask(this);
        return this.#question.frame(this.#id, Math.max(0, this.#deadline - this.#host.clock.now()));
      },
      sent: () => this.#question.sent?.(),
      dropped: (reason, error) => {
        if (this.#id !== undefined) this.#calls.take(this.#id);
        this.#question.dropped?.(reason, error);
        this.fail(reason === 'expired' ? this.#late() : error);
      },
    };
    try {
      this.#withdraw = this.#host.post(posting, { expiresAt: this.#deadline, ...waiting });
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  succeed(result: unknown): void {
    this.#end();
    this.#question.done?.();
    this.#resolve(result);
  }

  fail(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  lost(): void {
    this.fail(
      new SessionLostError(`The connection was lost before ${this.#question.what} was answered: it may have been executed or not`, true),
    );
  }

  readonly #abort = () => this.#giveUp(this.#question.signal?.reason);
  readonly #expire = () => this.#giveUp(this.#late());

  #late(): TimeoutError {
    const { what, timeout } = this.#question;
    const written = this.#id !== undefined;
    return new TimeoutError(`${what} ${written ? 'was not answered' : 'could not be sent'} within ${timeout} ms`, written);
  }

  /** In line it is taken out; once written the other side is told. */
  #giveUp(error: unknown): void {
    if (this.#over) return;
    this.fail(error);
    if (this.#id === undefined) this.#withdraw?.();
    else if (this.#calls.take(this.#id)) this.#host.write({ type: 'cancel', id: this.#id });
  }

  #end(): void {
    this.#over = true;
    this.#host.clock.clearTimeout(this.#timer);
    this.#question.signal?.removeEventListener('abort', this.#abort);
  }
}
