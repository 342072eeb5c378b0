/** The heart that beats by core/heartbeat.ts: sends pings, listens for life, keeps the one timer for it. */

import { clampDelay } from './core/backoff.ts';
import { ask, type Beat, type HeartbeatRules, judge, smooth } from './core/heartbeat.ts';
import type { Clock } from './io/clock.ts';

/** What a heartbeat needs of the connection it watches over. */
export interface Patient {
  readonly clock: Clock;
  readonly rules: HeartbeatRules;
  ping(): void;
  bufferedAmount(): number;
  lost(): void;
}

/** Watches over one open socket, from its opening to its end. */
export class Heartbeat {
  readonly #patient: Patient;
  #heardAt: number;
  /** When the question was asked whose answer says how long the round trip takes. */
  #askedAt: number | undefined;
  #deadline: number | undefined;
  #roundTrip = 0;
  #doubts = 0;
  #looked = false;
  #buffered = 0;
  #timer: unknown;

  constructor(patient: Patient) {
    this.#patient = patient;
    this.#heardAt = patient.clock.now();
    this.#act(this.#judge());
  }

  /** Smoothed, in milliseconds; 0 while unknown. */
  get roundTrip(): number {
    return this.#roundTrip;
  }

  /** Something was received, which proves that there is life. */
  heard(): void {
    const asked = this.#deadline !== undefined;
    this.#heardAt = this.#patient.clock.now();
    this.#deadline = undefined;
    this.#doubts = 0;
    this.#looked = false;
    // The timer stands at the answer's deadline: the next question may be due before.
    if (asked) this.#act(this.#judge());
  }

  /** What was received was the answer to the question: it says how long the round trip took. */
  answered(): void {
    if (this.#askedAt !== undefined) this.#roundTrip = smooth(this.#roundTrip, this.#heardAt - this.#askedAt);
    this.#askedAt = undefined;
  }

  /** There is a reason for doubt: ask now, unless a question with a near deadline is out already. */
  probe(): void {
    const now = this.#patient.clock.now();
    const question = ask('probe', this.#life(), now, this.#patient.rules);
    const deadline = this.#deadline ?? Infinity;
    if (deadline < now || deadline > question.until) this.#act(question);
  }

  stop(): void {
    this.#patient.clock.clearTimeout(this.#timer);
  }

  #life() {
    const draining = this.#patient.bufferedAmount() < this.#buffered;
    return {
      heardAt: this.#heardAt,
      deadline: this.#deadline,
      roundTrip: this.#roundTrip,
      draining,
      doubts: this.#doubts,
      looked: this.#looked,
    };
  }

  #judge(): Beat {
    return judge(this.#life(), this.#patient.clock.now(), this.#patient.rules);
  }

  #act(beat: Beat): void {
    const { clock, ping, lost } = this.#patient;
    if (beat.type === 'lost') return lost();
    const asks = beat.type === 'ping' || beat.type === 'probe';
    this.#looked = beat.type === 'look';
    if (beat.type === 'probe') this.#doubts++;
    if (asks) this.#askedAt = clock.now();
    if (asks || this.#deadline !== undefined) this.#deadline = beat.until;
    this.#buffered = this.#patient.bufferedAmount();
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => this.#act(this.#judge()), clampDelay(beat.until - clock.now()));
    if (asks) ping();
  }
}
