/**
 * Is the link alive? Pure: from what is known, what to do now.
 *
 * `readyState === OPEN` proves nothing: a vanished peer goes unnoticed for minutes, and for ever while something is being sent.
 * Only what comes in proves life, and any message does. A late timer proves nothing: after sleep, in a hidden tab or behind a long task
 * the answer may be waiting to be read, so lateness asks again before it judges. And a slow link is not a dead one: an answer
 * stands in line behind everything that was written before the question.
 */

/** How often to ask and how long to wait for an answer, in milliseconds. */
export interface HeartbeatRules {
  /** Silence after which a ping is sent, in milliseconds, 1 or more. @default 15000 */
  readonly interval: number;
  /**
   * Milliseconds, 1 or more, that the peer has to say anything at all after a ping. It gets longer while data is leaving, and is at least four
   * round trips; where `isPong` tells which message answers, other messages put the verdict off, for a minute and no longer. @default 5000
   */
  readonly timeout: number;
  /** The same as `timeout`, when there is a reason for doubt (the page woke up, a timer came late). @default 3000 */
  readonly probeTimeout: number;
}

/** What a protocol makes certain about its peer. */
export interface PeerRules {
  /** It answers every ping: one without an answer means a link that is dead one way, whatever else comes in. */
  readonly answers: boolean;
  /** It says something at least so often, in milliseconds, and wants to hear something as well. */
  readonly speaks: number;
  /** It gives up whoever says nothing for so long, in milliseconds. */
  readonly givesUp: number;
  /** It shows that it has received something within so long, and the way; milliseconds. */
  readonly acknowledges: number;
}

/** The rules for one peer: what is certain about it comes from its protocol, where there is one. */
export type Rules = HeartbeatRules & Partial<PeerRules>;

/** What is known about the life of the link; times are monotonic milliseconds. */
export interface Life {
  /** When anything was last received, or the link opened. */
  readonly heardAt: number;
  /** When anything was last written, or the link opened. */
  readonly spokeAt: number;
  /** The question since which nothing was received. */
  readonly asked: Question | undefined;
  /** When the question was asked that has no answer as such, whatever else was received; undefined where there is none, or nobody could tell. */
  readonly unansweredSince: number | undefined;
  /** Since when the peer owes a sign that it received something; undefined when it owes none. */
  readonly owedSince: number | undefined;
  /** Smoothed round-trip time, 0 while unknown. */
  readonly roundTrip: number;
  /** Bytes that were written, and nothing shows that they arrived; and how many a millisecond have arrived lately. */
  readonly inFlight: number;
  readonly rate: number;
  /** Until when a large message may be on its way in, as the peer has announced. */
  readonly expectedUntil: number;
  /** The socket is getting rid of data: slow, not dead. */
  readonly draining: boolean;
  /** Questions in a row that were asked because a timer came late. */
  readonly doubts: number;
  /** What was waiting to be read when the time was over has been read. */
  readonly looked: boolean;
}

/** What to do now, and when to look again. */
export type Beat = Question | { readonly type: 'wait' | 'look'; readonly until: number } | { readonly type: 'lost' };

/** A ping to be sent. */
export interface Question {
  readonly type: 'ping' | 'probe';
  readonly at: number;
  /** Until when anything at all has to come in. */
  readonly until: number;
  /** Asked because the timer came late. */
  readonly late: boolean;
}

/** A timer this late says more about the page than about the peer. */
const LATE = 1_000;
/** But a peer that leaves so many questions unanswered is gone, however late each was noticed (a hidden tab looks once a minute). */
const MOST_DOUBTS = 2;
/** A peer gets at least this many round trips to answer. */
const ROUND_TRIPS = 4;
/** How long a peer is asked that must have given up: only what has come in meanwhile is waited for. */
const FORMALITY = 500;
/** The slowest link that is taken for one, in bytes a millisecond; what fits the first flight of a connection takes no time. */
const SLOWEST = 2;
const FIRST_FLIGHT = 8_192;
/** However much is on its way. */
const MOST_PATIENCE = 120_000;
/** A link on which other things come in for so long, and no answer, is dead one way: an answer may stand in line behind a lot. */
const ONE_WAY = 60_000;

/**
 * Milliseconds that so many bytes may take on a slow link.
 *
 * @param rate bytes a millisecond that have arrived lately: it is not slower than that
 */
export function passage(bytes: number, rate = 0): number {
  return Math.min(Math.max(0, bytes - FIRST_FLIGHT) / Math.max(SLOWEST, rate), MOST_PATIENCE);
}

/** Asks now: a ping with the usual patience, or a probe with little. */
export function ask(type: Question['type'], life: Life, now: number, rules: Rules, late = false): Question {
  const { timeout, probeTimeout, speaks = Infinity, givesUp = Infinity } = rules;
  const usual = type === 'ping' ? timeout : probeTimeout;
  const patience = Math.max(now - life.heardAt > givesUp ? FORMALITY : usual, ROUND_TRIPS * life.roundTrip);
  // Who speaks by itself is heard on its way in, whatever is on its way out.
  return { type, at: now, until: now + patience + Math.min(passage(life.inFlight, life.rate), speaks), late };
}

/** Decides what the facts mean. Called when the time it last named has come, or later. */
export function judge(life: Life, now: number, rules: Rules): Beat {
  const due = dueAt(life, rules);
  if (now < due) return { type: 'wait', until: due };
  if (now - due > LATE && life.doubts < MOST_DOUBTS) return ask('probe', life, now, rules, true);
  const isOwed = now < quietSince(life, rules) + rules.interval;
  if (!life.asked && now < oneWayAt(life)) return ask(isOwed ? 'probe' : 'ping', life, now, rules);
  // The peer has to hear something, while it is heard no more than the beginning of something large.
  if (now < life.expectedUntil) return ask('ping', life, now, rules);
  if (life.draining) return { type: 'wait', until: now + rules.timeout };
  // The answer may have come while the page was busy: what is waiting to be read gets its turn before the verdict.
  return life.looked ? { type: 'lost' } : { type: 'look', until: now };
}

/** When there is something to do. */
function dueAt(life: Life, rules: Rules): number {
  const { asked, spokeAt, expectedUntil, owedSince = Infinity, roundTrip } = life;
  const { interval, acknowledges = Infinity } = rules;
  if (asked) return Math.max(asked.until, Math.min(expectedUntil, spokeAt + interval));
  // To ask is not to judge: one round trip, which is only guessed after a slow opening, is enough.
  const patience = Math.min(interval, Math.max(2 * acknowledges, acknowledges + roundTrip));
  return Math.min(quietSince(life, rules) + interval, owedSince + patience, oneWayAt(life));
}

/** Since when nothing was heard, or nothing was said to a peer that wants to hear something. */
function quietSince({ heardAt, spokeAt }: Life, { speaks }: Partial<PeerRules>): number {
  return speaks === undefined ? heardAt : Math.min(heardAt, spokeAt);
}

/** When a question has been without an answer for too long, whatever else came in. */
function oneWayAt({ unansweredSince = Infinity, roundTrip, inFlight, rate }: Life): number {
  return unansweredSince + Math.max(ONE_WAY, ROUND_TRIPS * roundTrip) + passage(inFlight, rate);
}

/** The next smoothed round-trip time (RFC 6298 section 2, alpha = 1/8). */
export function smooth(roundTrip: number, sample: number): number {
  return roundTrip === 0 ? sample : roundTrip + (sample - roundTrip) / 8;
}
