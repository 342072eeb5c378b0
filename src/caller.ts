/** The asking side of calls, the same on both ends: deadlines, cancellation, and a promise that never hangs. */

import { clampDelay, MAX_DELAY } from './core/backoff.ts';
import { Calls } from './core/calls.ts';
import { HoldfastError, ProtocolError, SessionLostError, TimeoutError } from './errors.ts';
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
 * - `signed-out`: it belongs to who was there before `setAuth()`, or before `auth` brought somebody else (`signOut()` closes: `closed`)
 * - `too-large`: the server does not take so many bytes
 * - `unsupported`: the server does not take such a thing
 * - `volatile`: there was no connection at that moment
 * - `refused`: the server said no
 * - `session-lost`: it was written, the session was lost before the server had acknowledged it, and `unacknowledged` says `drop`, or somebody
 *   else is signed in: it may have arrived or not
 * - `poison`: five sessions were lost soon after it was written, in the last three with nothing else that was sent on its way: most likely
 *   it breaks whoever reads it
 */
export type DropCause =
  | 'overflow'
  | 'expired'
  | 'replaced'
  | 'closed'
  | 'signed-out'
  | 'too-large'
  | 'unsupported'
  | 'volatile'
  | 'refused'
  | 'session-lost'
  | 'poison';

/** What is to be written: the frame is made at that moment, since only then its id and the time left are known. */
export interface Posting {
  /** What it is to whoever sent it, and its name there. */
  readonly kind: 'event' | 'call' | 'publish' | 'upload';
  readonly name: string;
  readonly payload: Payload | undefined;
  /** What the server has to offer for it. */
  readonly needs?: keyof Capabilities | undefined;
  /** Now or never: it has no number, and is never written again. */
  readonly volatile?: boolean;
  /** The frame as it is to be written now. */
  frame(): Outgoing;
  /** It was written. */
  sent(): void;
  /** It will not be written. */
  dropped(reason: DropCause, error: Error): void;
  /** The other side has it. */
  acknowledged?(): void;
  /** It was written, and what became of it will not be known. */
  unknown?(error: Error): void;
  /** Where it is written again, in another session, then not after this; monotonic milliseconds. */
  again?(): number | undefined;
  /** Takes it back while it waits; false when it does not. */
  cancel(): boolean;
  /** Of a question, whether nothing has come of it yet: neither its answer nor an item. */
  readonly isPending?: boolean;
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
  readonly kind?: 'call' | 'publish';
  readonly name: string;
  /** What it is called in errors. */
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
  done?(result: unknown): void;
  /** It was dropped before it was written. */
  dropped?(reason: DropCause, error: Error): void;
  /**
   * The session is lost in which it was written: until when it may be asked once more, in the next one, in monotonic milliseconds;
   * undefined where it may not.
   *
   * @param received whether the other side is known to have it
   */
  again?(received: boolean): number | undefined;
  /** It was taken back while it waited. */
  cancelled?(): void;
  /** An item of a streamed answer came; false when it was not granted. */
  item?(data: unknown, cursor: unknown): boolean;
  /** So many more items of an upload are welcome; false when that is more than anybody may grant. */
  granted?(count: number): boolean;
}

/** What a caller needs of the connection it calls on. */
export interface CallerHost {
  readonly clock: Clock;
  /**
   * Puts it in line and returns how to take it out again, which is true when it had not been written since. It may be written, or dropped,
   * before this returns.
   */
  post(posting: Posting, waiting?: Waiting): () => boolean;
  /** Sends a frame that belongs to the session. */
  write(frame: Outgoing): void;
}

/** Asks one peer, over one connection after the other. */
export class Caller {
  readonly #host: CallerHost;
  readonly #calls = new Calls<Asked>();

  constructor(host: CallerHost) {
    this.#host = host;
  }

  /** Questions of the user that were written and are not answered: not what belongs to the connection alone. */
  get size(): number {
    return this.#calls.count(({ isDirect }) => !isDirect);
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

  /** Whether a question belongs to this connection alone; undefined when nobody waits for its answer. */
  isDirect(id: number): boolean | undefined {
    return this.#calls.get(id)?.isDirect;
  }

  /** A final frame came in; what belongs to nothing is late, and ignored. */
  response(id: number, result: unknown): void {
    this.#calls.take(id)?.succeed(result);
  }

  error(id: number, error: WireError): void {
    this.#calls.take(id)?.fail(callError(error));
  }

  /**
   * An item of a streamed answer came in.
   *
   * @throws ProtocolError at one that was not asked for
   */
  item(id: number, data: unknown, cursor: unknown): void {
    if (this.#calls.get(id)?.item(data, cursor) === false) throw new ProtocolError('An item came without credit');
  }

  /**
   * More items of an upload are welcome.
   *
   * @throws ProtocolError at more than anybody may grant
   */
  grant(id: number, count: number): void {
    if (this.#calls.get(id)?.granted(count) === false) throw new ProtocolError('That is too much credit');
  }

  /** The connection is gone, and the session goes on: what belonged to the connection alone will not be answered. */
  disconnected(): void {
    for (const asked of this.#calls.clear((each) => each.isDirect)) asked.lost();
  }

  /**
   * The session is gone: what was written will not be answered. Returns what is to be asked once more, in the order in which it was asked.
   *
   * @param mayAsk whether anything is
   */
  lost(mayAsk = false): Posting[] {
    return this.#calls.clear().flatMap((asked) => asked.lost(mayAsk) ?? []);
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
  readonly #posting: Posting;
  #id: number | undefined;
  #written = false;
  #received = false;
  #withdraw: (() => boolean) | undefined;
  #over = false;
  /** Whether items of its answer have come in this session. */
  #flows = false;

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
    const { kind = 'call', name, payload, needs } = question;
    const isPending = () => !this.#over && !this.#flows;
    this.#posting = {
      get isPending() {
        return isPending();
      },
      kind,
      name,
      payload,
      needs,
      frame: () => {
        this.#id = calls.ask(this);
        return question.frame(this.#id, Math.max(0, this.#deadline - host.clock.now()));
      },
      sent: () => {
        if (!this.#written) question.sent?.();
        this.#written = true;
      },
      acknowledged: () => {
        this.#received = true;
      },
      dropped: (reason, error) => {
        this.#forget();
        question.dropped?.(reason, error);
        this.fail(reason !== 'expired' ? error : host.clock.now() < this.#deadline ? this.#lostError() : this.#late());
      },
      again: () => question.again?.(this.#received),
      cancel: () => {
        if (this.#over || this.#id !== undefined || this.#withdraw?.() !== true) return false; // what is written cannot be taken back
        question.cancelled?.();
        this.fail(new HoldfastError('CANCELLED', 'It was taken back'));
        return true;
      },
    };
  }

  /** Whether it belongs to this connection alone. */
  get isDirect(): boolean {
    return this.#question.waiting?.direct === true;
  }

  post(): void {
    try {
      this.#withdraw = this.#host.post(this.#posting, { expiresAt: this.#deadline, ...this.#question.waiting });
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  item(data: unknown, cursor: unknown): boolean {
    this.#flows = true;
    return this.#question.item?.(data, cursor) === true;
  }

  granted(count: number): boolean {
    return this.#question.granted?.(count) !== false;
  }

  succeed(result: unknown): void {
    this.#end();
    this.#question.done?.(result);
    this.#resolve(result);
  }

  fail(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  /** Nothing will be answered in this session any more. Returns what is to be asked once more in the next one. */
  lost(mayAsk = false): Posting | undefined {
    if (mayAsk && this.#question.again?.(this.#received) !== undefined) {
      this.#id = undefined; // it has another one next time
      this.#flows = false;
      return this.#posting;
    }
    this.fail(this.#lostError());
    return undefined;
  }

  readonly #abort = () => this.#giveUp(this.#question.signal?.reason);
  readonly #expire = () => this.#giveUp(this.#late());

  #lostError(): SessionLostError {
    const { what } = this.#question;
    return new SessionLostError(`The connection was lost before ${what} was answered: it may have been executed or not`, true);
  }

  #late(): TimeoutError {
    const { what, timeout } = this.#question;
    const written = this.#written;
    return new TimeoutError(`${what} ${written ? 'was not answered' : 'could not be sent'} within ${timeout} ms`, written);
  }

  /** In line it is taken out; once written the other side is told. */
  #giveUp(error: unknown): void {
    if (this.#over) return;
    this.fail(error);
    const id = this.#id;
    const isPending = this.#forget();
    if (!this.#withdraw?.() && isPending && id !== undefined) this.#host.write({ type: 'cancel', id });
  }

  /** Its answer is not waited for any more; true when it was. */
  #forget(): boolean {
    return this.#id !== undefined && this.#calls.take(this.#id) !== undefined;
  }

  #end(): void {
    this.#over = true;
    this.#host.clock.clearTimeout(this.#timer);
    this.#question.signal?.removeEventListener('abort', this.#abort);
  }
}
