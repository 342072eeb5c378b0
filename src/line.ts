/**
 * The tracked frames between two peers, over one connection after the other (docs/protocol.md, section Sessions): those that wait for a
 * number, those that are written and not acknowledged, and how far the other end has come. The same on both ends. The numbers are the
 * business of core/session.ts; here are frames, their bytes, and the clock that sees to it that acknowledgements are not forgotten.
 */

import type { Posting } from './caller.ts';
import { Session, type Tracked, WINDOW } from './core/session.ts';
import { MessageTooLargeError, ProtocolError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import { bytesOf, type Message, type Payload } from './wire/codec.ts';
import type { Outgoing } from './wire/frames.ts';
import { ACK_WITHIN } from './wire/protocol.ts';

/** What a line needs of its end. */
export interface LineHost {
  readonly clock: Clock;
  encode(frame: Outgoing, payload: Payload | undefined, seq?: number): Message | undefined;
  /** There is something to write: `flush` is to be called at the end of the task. */
  wake(): void;
}

/** The connection under a line. */
export interface Way {
  /** The largest message that the other end takes, in bytes. */
  readonly limit: number;
  /** Frames that the other end lets us leave unacknowledged. */
  readonly window: number;
  /** Adds an encoded frame to what is written now. */
  add(message: Message, bytes: number): void;
}

/** A frame with a number. */
interface Item {
  readonly message: Message;
  readonly posting: Posting | undefined;
  /** The call that it is the result of: somebody waits for it, whatever becomes of it. */
  readonly answers: number | undefined;
}

/** A frame that waits for one. */
interface Parked {
  readonly frame: Outgoing;
  readonly payload: Payload | undefined;
  readonly posting: Posting | undefined;
  readonly bytes: number;
}

/** What makes room, or stops what takes it. */
const URGENT: readonly string[] = ['cancel', 'credit', 'grant'];
/** What a frame costs on the wire beside its payload and names, at most; in memory too. */
const FRAME_COST = 128;

/** What a frame is without its payload, at most, where nobody gives it a very long name. */
const HEAD_COST = 4_096;

export class Line {
  readonly #host: LineHost;
  readonly #session: Session<Item>;
  /** Cancels, credit and grants wait in front. */
  #urgent: Parked[] = [];
  #parked: Parked[] = [];
  #parkedBytes = 0;
  #way: Way | undefined;
  #limit: number;
  #ackTimer: unknown;
  /** The other end is to be told now how far we are, due or not. */
  #owes = false;
  #again = 0;
  /** What is still to be told about frames that came to nothing. */
  #news: (() => void)[] = [];

  /** @param way the connection on which the session begins */
  constructor(host: LineHost, way: Way) {
    this.#host = host;
    this.#session = new Session(way.window, WINDOW);
    this.#way = way;
    this.#limit = way.limit;
  }

  /** The number of the last frame that came in. */
  get received(): number {
    return this.#session.received;
  }

  /** How many frames are numbered and not acknowledged, and their bytes. */
  get unacknowledged(): { readonly frames: number; readonly bytes: number } {
    return { frames: this.#session.frames, bytes: this.#session.bytes };
  }

  /** Who posted what is not acknowledged. */
  get postings(): Posting[] {
    return this.#session.log.flatMap(({ value }) => value?.posting ?? []);
  }

  /** Whether all that was posted is acknowledged: answers, credits and the like are nobody's. */
  get isQuiet(): boolean {
    return this.#session.log.every(({ value }) => !value?.posting);
  }

  /** Whether bytes are among what is not acknowledged. */
  get hasBinary(): boolean {
    return this.#session.log.some(({ value }) => typeof value?.message === 'object');
  }

  /** Bytes of everything that is kept for the other end. */
  get bytes(): number {
    return this.#session.bytes + this.#session.frames * FRAME_COST + this.#parkedBytes;
  }

  /** Frames that were written again, on another connection. */
  get again(): number {
    return this.#again;
  }

  /** Whether a frame with a payload of so many bytes can have its number now. */
  hasRoom(bytes: number): boolean {
    return this.#parked.length === 0 && this.#session.mayNumber(bytes + FRAME_COST);
  }

  /**
   * Sends a frame, as soon as the window allows; it survives its connection. Returns why not when it is larger than the other end takes.
   *
   * @param posting told when it is written, and when the other end has it
   */
  post(frame: Outgoing, payload?: Payload, posting?: Posting): MessageTooLargeError | undefined {
    if (this.hasRoom(payload?.length ?? 0)) return this.#number(frame, payload, posting);
    // Whatever may be too large is measured now, when there is somebody to be told.
    if (3 * (payload?.length ?? 0) + HEAD_COST > this.#limit) {
      const size = bytesOf(this.#host.encode(frame, payload, Number.MAX_SAFE_INTEGER));
      if (size > this.#limit) return new MessageTooLargeError(size, this.#limit);
    }
    const parked = { frame, payload, posting, bytes: bytesOf(payload) + FRAME_COST };
    (URGENT.includes(frame.type) ? this.#urgent : this.#parked).push(parked);
    this.#parkedBytes += parked.bytes;
    return undefined;
  }

  /**
   * Takes a frame back. True when it has not been written, and never will be. Else the other end may have it; where it is written again,
   * nothing is.
   */
  withdraw(posting: Posting): boolean {
    const parked = this.#parked.find((each) => each.posting === posting);
    if (parked) {
      this.#parked = this.#parked.filter((each) => each !== parked);
      this.#parkedBytes -= parked.bytes;
      return true;
    }
    const tracked = this.#session.log.find(({ value }) => value?.posting === posting);
    if (tracked) this.#session.replace(tracked.seq, undefined, 0);
    return false;
  }

  /** Writes what may be written now: what the other end is owed, what it has to get again, what has waited. */
  flush(): void {
    if (!this.#way) return;
    if (this.#owes || this.#session.isAckDue) this.#write({ type: 'ack', received: this.tell() });
    this.#pump();
    this.#urgent = this.#numberAll(this.#urgent);
    this.#parked = this.#numberAll(this.#parked);
  }

  /** Who is still to be told of frames that came to nothing: told last, since whoever is told may close or replace the connection. */
  news(): (() => void)[] {
    const news = this.#news;
    this.#news = [];
    return news;
  }

  /**
   * A frame came in. True when it is to be handled: it counts as received from now on, whatever its handler does.
   *
   * @param bytes of the message that it came in, once for each message
   * @throws GapError when one before it is missing: the session is worth nothing any more
   */
  receive(seq: number, bytes: number): boolean {
    const arrival = this.#session.receive(seq, bytes);
    if (arrival === 'gap') throw new GapError(`Frame ${this.received + 1} is missing: ${seq} came`);
    if (arrival === 'again') this.#owes = true;
    if (this.#owes || this.#session.isAckDue) this.#host.wake();
    else this.#ackTimer ??= this.#host.clock.setTimeout(this.#overdue, ACK_WITHIN);
    return arrival === 'next';
  }

  /** How far we are, to be told to the other end in what is written now. */
  tell(): number {
    this.#owes = false;
    this.#stopTimer();
    return this.#session.tell();
  }

  /**
   * The other end has everything up to there. Returns whether that is news.
   *
   * @throws ProtocolError when that was never sent
   */
  acknowledge(received: number): boolean {
    const done = this.#session.acknowledge(received);
    if (!done) throw new ProtocolError(`Frame ${received} is acknowledged, and was never sent`);
    for (const { value } of done) value?.posting?.acknowledged?.();
    if (done.length > 0) this.#host.wake(); // there is room
    return done.length > 0;
  }

  /** The connection is gone; what is numbered is kept. */
  detach(): void {
    this.#way = undefined;
    this.#owes = false;
    this.#stopTimer();
  }

  /** Whether another connection could go on with the session, whose other end has everything up to there. */
  mayResume(received: number): boolean {
    return this.#session.mayResume(received);
  }

  /**
   * Another connection goes on with the session, whose other end has everything up to there. Returns false, and changes nothing, when that
   * cannot be: it had more before, or has what was never sent.
   */
  resume(received: number, way: Way): boolean {
    const done = this.#session.resumed(received, way.window);
    if (!done) return false;
    this.#way = way;
    this.#limit = way.limit;
    for (const { value } of done) value?.posting?.acknowledged?.();
    // What the other end does not take any more gives its place to nothing.
    for (const tracked of [...this.#session.log]) if (tracked.bytes > way.limit) this.#refuse(tracked);
    this.#host.wake();
    return true;
  }

  /**
   * A frame is too large for something on the way; false when none can be that. It is the first that the other end does not have: where that is not
   * known, the first that can be to blame.
   */
  blame(isKnown: boolean): boolean {
    const { log } = this.#session;
    const suspect = isKnown ? log[0] : log.find(({ bytes }) => bytes > BLAMELESS);
    if (!suspect || suspect.bytes <= BLAMELESS) return false;
    this.#refuse(suspect);
    return true;
  }

  /** The session is over. Returns who posted what is not acknowledged, in order. */
  end(): Posting[] {
    this.detach();
    this.#urgent = this.#parked = [];
    this.#parkedBytes = 0;
    return this.#session.drain().flatMap(({ value }) => value?.posting ?? []);
  }

  /** The other end will not have this frame: what stands in its place has its number. */
  #refuse({ seq, value, bytes }: Tracked<Item>): void {
    const error = new MessageTooLargeError(bytes, Math.min(this.#limit, bytes - 1));
    const id = value?.answers;
    if (id === undefined) this.#session.replace(seq, undefined, 0);
    else {
      const message = this.#host.encode(tooMuch(id, error), undefined, seq);
      if (message !== undefined) this.#session.replace(seq, { message, posting: undefined, answers: undefined }, bytesOf(message));
    }
    this.#news.push(() => value?.posting?.dropped('too-large', error));
  }

  readonly #overdue = () => {
    this.#ackTimer = undefined;
    this.#owes = true;
    this.#host.wake();
  };

  #stopTimer(): void {
    this.#host.clock.clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
  }

  /** Returns those that have to go on waiting. */
  #numberAll(waiting: readonly Parked[]): Parked[] {
    let done = 0;
    for (const { frame, payload, posting, bytes } of waiting) {
      if (!this.#session.mayNumber(bytes)) break;
      this.#parkedBytes -= bytes;
      done++;
      const error = this.#number(frame, payload, posting);
      if (!error) continue;
      if (isAnswer(frame)) this.#number(tooMuch(frame.id, error), undefined, undefined);
      this.#news.push(() => posting?.dropped('too-large', error));
    }
    return waiting.slice(done);
  }

  #number(frame: Outgoing, payload: Payload | undefined, posting: Posting | undefined): MessageTooLargeError | undefined {
    const message = this.#host.encode(frame, payload, this.#session.upcoming);
    if (message === undefined) return undefined;
    const bytes = bytesOf(message);
    if (bytes > this.#limit) return new MessageTooLargeError(bytes, this.#limit);
    this.#session.number({ message, posting, answers: isAnswer(frame) ? frame.id : undefined }, bytes);
    this.#pump();
    posting?.sent();
    return undefined;
  }

  #pump(): void {
    if (!this.#way) return;
    for (let tracked = this.#session.next(); tracked; tracked = this.#session.next()) {
      if (this.#session.isAgain(tracked)) this.#again++;
      const { value, bytes, seq } = tracked;
      if (value === undefined) this.#write({ type: 'skip', seq });
      else this.#way.add(value.message, bytes);
    }
  }

  #write(frame: Outgoing, seq?: number): void {
    const message = this.#host.encode(frame, undefined, seq);
    if (message !== undefined) this.#way?.add(message, bytesOf(message));
  }
}

/** Somebody waits for it. */
function isAnswer(frame: Outgoing): frame is Extract<Outgoing, { type: 'response' | 'error' }> {
  return frame.type === 'response' || frame.type === 'error';
}

/** The answer in the place of one that the caller does not take. */
function tooMuch(id: number, { message }: Error): Outgoing {
  return { type: 'error', id, error: { code: 'RESOURCE_EXHAUSTED', message } };
}

/** What is no larger than this gets through everywhere; bytes. */
const BLAMELESS = 16_384;

/** A number is missing: the session is given up, and the connection closed with 4412. */
export class GapError extends ProtocolError {}
