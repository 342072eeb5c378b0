/**
 * Is the link alive? Pure: from what is known, what to do now.
 *
 * `readyState === OPEN` proves nothing: a vanished peer goes unnoticed for minutes, and for ever while something is being sent.
 * Only an answer proves life, and any received message is one. A late timer proves nothing either: after sleep, in a hidden tab or
 * behind a long task the answer may be waiting to be read, so lateness asks again before it judges.
 */

/** How often to ask and how long to wait for an answer, in milliseconds. */
export interface HeartbeatRules {
  /** Silence after which a ping is sent, in milliseconds, 1 or more. @default 15000 */
  readonly interval: number;
  /**
   * Milliseconds, 1 or more, that the peer has to say anything at all after a ping. It gets longer while data is leaving, and at least four
   * round trips where `isPong` tells which message answers. @default 5000
   */
  readonly timeout: number;
  /** The same as `timeout`, when there is a reason for doubt (the page woke up, a timer came late). @default 3000 */
  readonly probeTimeout: number;
}

/** What is known about the life of the link; times are monotonic milliseconds. */
export interface Life {
  /** When anything was last received, or the link opened. */
  readonly heardAt: number;
  /** Until when the unanswered ping may be answered; undefined when none is out. */
  readonly deadline: number | undefined;
  /** Smoothed round-trip time, 0 while unknown. */
  readonly roundTrip: number;
  /** The socket is getting rid of data: slow, not dead. */
  readonly draining: boolean;
  /** Probes in a row that were not answered. */
  readonly doubts: number;
  /** What was waiting to be read when the time was over has been read. */
  readonly looked: boolean;
}

/** What to do now, and when to look again. */
export type Beat = Question | { readonly type: 'wait' | 'look'; readonly until: number } | { readonly type: 'lost' };

/** A ping to be sent, and until when it may be answered. */
export interface Question {
  readonly type: 'ping' | 'probe';
  readonly until: number;
}

/** A timer this late says more about the page than about the peer. */
const LATE = 1_000;
/** But a peer that leaves so many questions unanswered is gone, however late each was noticed (a hidden tab looks once a minute). */
const MOST_DOUBTS = 2;
/** A peer gets at least this many round trips to answer. */
const ROUND_TRIPS = 4;

/** Asks now: a ping with the usual patience, or a probe with little. */
export function ask(type: 'ping' | 'probe', life: Life, now: number, rules: HeartbeatRules): Question {
  const patience = type === 'ping' ? rules.timeout : rules.probeTimeout;
  return { type, until: now + Math.max(patience, ROUND_TRIPS * life.roundTrip) };
}

/** Decides what the facts mean. Called when the time it last named has come, or later. */
export function judge(life: Life, now: number, rules: HeartbeatRules): Beat {
  const due = life.deadline ?? life.heardAt + rules.interval;
  if (now < due) return { type: 'wait', until: due };
  if (now - due > LATE && life.doubts < MOST_DOUBTS) return ask('probe', life, now, rules);
  if (life.deadline === undefined) return ask('ping', life, now, rules);
  if (life.draining) return { type: 'wait', until: now + rules.timeout };
  // The answer may have come while the page was busy: what is waiting to be read gets its turn before the verdict.
  return life.looked ? { type: 'lost' } : { type: 'look', until: now };
}

/** The next smoothed round-trip time (RFC 6298 section 2, alpha = 1/8). */
export function smooth(roundTrip: number, sample: number): number {
  return roundTrip === 0 ? sample : roundTrip + (sample - roundTrip) / 8;
}
