/** The heart that beats by core/heartbeat.ts: sends pings, listens for life, keeps the one timer for it. */

import { clampDelay } from './core/backoff.ts';
import { ask, type Beat, judge, type Life, passage, type Question, type Rules, smooth } from './core/heartbeat.ts';
import type { Clock } from './io/clock.ts';

/** What a heartbeat needs of the connection it watches over. */
export interface Patient {
  readonly clock: Clock;
  readonly rules: Rules;
  /** Milliseconds that the opening took: the round trip, while nothing better is known. */
  readonly opening: number;
  ping(): void;
  /** A timer has come late: the page slept, or was busy. */
  overslept(): void;
  bufferedAmount(): number;
  lost(): void;
}

/**
 * What an opening says about the round trip: no more than this, so that an answer has half as long again as the opening had. It takes a round trip
 * or more, and it may have been slow for other reasons: credentials to be checked, a browser that holds attempts back.
 */
const GUESS = 0.375;
const SLOWEST_OPENING = 10_000;
/** A question behind more than this says how much was written, not how long the round trip takes; bytes. */
const LIGHT = 16_384;
/** No more than this was buffered only because it was written a moment before: it says nothing of the link; bytes. */
const MOMENTARY = 8_192;
/** More than this is not left unproven, where only answers prove anything: what follows would have to be given time for it; bytes. */
const UNPROVEN = 32_768;

/** What comes in together may have come together because something on the way held it up: no rate is told from less time; milliseconds. */
const AT_LEAST = 1_000;

/** Watches over one open socket, from its opening to its end. */
export class Heartbeat {
  readonly #patient: Patient;
  readonly #guess: number;
  #heardAt: number;
  #spokeAt: number;
  #asked: Question | undefined;
  #unansweredSince: number | undefined;
  /** When the question was asked whose answer says how long the round trip takes; undefined where it says nothing. */
  #timedAt: number | undefined;
  #roundTrip = 0;
  #doubts = 0;
  #looked = false;
  #buffered = 0;
  /** Bytes written; those of them that have arrived for certain; those that were written before the question. */
  #written = 0;
  #arrived = 0;
  #mark = 0;
  /** When something arrived for certain last, and how many bytes a millisecond do lately. */
  #arrivedAt: number;
  #rate = 0;
  #owedSince: number | undefined;
  #expectedUntil = 0;
  /** Whether it is known that questions are answered as such. */
  #answers: boolean;
  #timer: unknown;
  /** When the timer fires. */
  #until = 0;

  constructor(patient: Patient) {
    this.#patient = patient;
    this.#guess = GUESS * Math.min(patient.opening, SLOWEST_OPENING);
    this.#answers = patient.rules.answers === true;
    this.#heardAt = this.#spokeAt = this.#arrivedAt = patient.clock.now();
    this.#act(this.#judge());
  }

  /** Smoothed, in milliseconds; 0 while unknown. */
  get roundTrip(): number {
    return this.#roundTrip;
  }

  /** Something was received, which proves that there is life. */
  heard(): void {
    const wasAsked = this.#asked !== undefined;
    this.#heardAt = this.#patient.clock.now();
    this.#expectedUntil = 0;
    this.#doubts = 0;
    this.#looked = false;
    this.#asked = undefined;
    if (!this.#answers) this.#arrived = this.#written; // nobody can tell better
    // The timer stands at the answer's deadline: the next question may be due before.
    if (wasAsked) this.#act(this.#judge());
  }

  /** What was received was the answer to the question: it says how long the round trip took, and what has arrived. */
  answered(): void {
    if (this.#timedAt !== undefined) this.#roundTrip = smooth(this.#roundTrip, this.#heardAt - this.#timedAt);
    this.#timedAt = undefined;
    this.#answers = true;
    this.#settle(this.#mark);
  }

  /**
   * Something was written.
   *
   * @param owes whether the peer will show that it has received it
   */
  wrote(bytes: number, owes: boolean): void {
    this.#written += bytes;
    this.#spokeAt = this.#patient.clock.now();
    if (owes) this.#owe();
    const { rules } = this.#patient;
    const isMuch = this.#answers && !this.#asked && this.#written - this.#mark > UNPROVEN;
    if (isMuch && rules.speaks === undefined) this.#act(ask('ping', this.#life(), this.#spokeAt, rules));
  }

  /** The peer has received all but so many bytes of what was written. */
  confirmed(rest: number): void {
    this.#owedSince = undefined;
    this.#settle(this.#written - rest);
    if (rest > 0) this.#owe();
  }

  /** A message of so many bytes is on its way in. */
  expect(bytes: number): void {
    const { clock, rules } = this.#patient;
    this.#expectedUntil = clock.now() + rules.interval + rules.timeout + passage(bytes);
  }

  /** There is a reason for doubt: ask now, unless a question with a near deadline is out already. */
  probe(): void {
    const now = this.#patient.clock.now();
    const question = ask('probe', this.#life(), now, this.#patient.rules);
    const { until } = this.#asked ?? { until: Infinity };
    if (until < now || until > question.until) this.#act(question);
  }

  stop(): void {
    this.#patient.clock.clearTimeout(this.#timer);
  }

  /** Both ways were open a moment ago. */
  #settle(arrived: number): void {
    const now = this.#patient.clock.now();
    const rate = Math.max(0, arrived - this.#arrived) / Math.max(AT_LEAST, now - this.#arrivedAt);
    this.#rate = Math.max(rate, this.#rate / 2); // one quiet moment says nothing about the way
    this.#arrivedAt = now;
    this.#arrived = Math.max(this.#arrived, arrived);
    this.#unansweredSince = undefined;
  }

  #owe(): void {
    if (this.#owedSince !== undefined) return;
    this.#owedSince = this.#patient.clock.now();
    if (this.#asked) return;
    const beat = this.#judge();
    if (beat.type !== 'wait' || beat.until < this.#until) this.#act(beat);
  }

  #life(): Life {
    return {
      heardAt: this.#heardAt,
      spokeAt: this.#spokeAt,
      asked: this.#asked,
      unansweredSince: this.#answers ? this.#unansweredSince : undefined,
      owedSince: this.#answers ? this.#owedSince : undefined,
      roundTrip: this.#roundTrip || this.#guess,
      inFlight: this.#written - this.#arrived,
      rate: this.#rate,
      expectedUntil: this.#expectedUntil,
      draining: this.#buffered > MOMENTARY && this.#patient.bufferedAmount() < this.#buffered,
      doubts: this.#doubts,
      looked: this.#looked,
    };
  }

  #judge(): Beat {
    return judge(this.#life(), this.#patient.clock.now(), this.#patient.rules);
  }

  #act(beat: Beat): void {
    const { clock, lost } = this.#patient;
    if (beat.type === 'lost') return lost();
    this.#looked = beat.type === 'look';
    this.#until = beat.until;
    if (this.#asked) this.#asked = { ...this.#asked, until: beat.until };
    this.#buffered = this.#patient.bufferedAmount();
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => this.#act(this.#judge()), clampDelay(beat.until - clock.now()));
    if (beat.type === 'ping' || beat.type === 'probe') this.#ask(beat);
  }

  #ask(question: Question): void {
    const { ping, overslept } = this.#patient;
    this.#spokeAt = question.at; // also where the ping is not worth counting
    if (question.late) this.#doubts++;
    if (question.late) this.#unansweredSince = undefined;
    this.#unansweredSince ??= question.at;
    this.#asked = question;
    this.#timedAt = this.#written - this.#arrived <= LIGHT ? question.at : undefined;
    ping();
    this.#mark = this.#written;
    this.#owedSince = undefined; // the question stands for all of it
    if (question.late) overslept();
  }
}
