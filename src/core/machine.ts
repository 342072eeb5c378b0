/**
 * The connection machine: `transition(model, event, moment) -> [model, effects]`. Pure, and the only place where a state changes.
 *
 * ```
 *  idle ──connect──► connecting ──opened──► open ──lost · reconnect()──► waiting ──retry timer · wake──► connecting
 *                       │ failed, may retry ───────────────────────────► waiting
 *                       │ failed and the device says offline ──► offline ──slow timer · wake──► connecting
 *                       │ final verdict · retries used up ─────► closed ──connect() · reconnect()──► connecting
 *  any ──close()──► closing (own short deadline) ──► closed
 * ```
 *
 * Events are past facts, effects are orders to the shell. There is one timer seat, and the state says whose it is: connecting has
 * the connect timer, waiting and offline the retry timer, closing the close timer; open has the heartbeat. Messages never come
 * here: they are the hot path. Facts about a socket that was given up must not come here either: the shell drops them.
 */

import { clampDelay } from './backoff.ts';
import { type Ruling, SUSPECT_LIMIT } from './retry-policy.ts';
import type { ClosedCause, CloseRequest, Loss, State } from './state.ts';

/** What is remembered across states. Times are monotonic milliseconds. */
export interface Memory {
  /** Consecutive failures; a connection that lasted `stableAfter` ends the series. */
  readonly attempt: number;
  /** Suspect closes in a row. */
  readonly suspects: number;
  readonly everOpened: boolean;
  readonly openedAt: number;
  /** When the last attempt began, and how many in a row took too long. */
  readonly attemptedAt: number;
  readonly timeouts: number;
  /** When the page last woke up, and when that last forced an attempt. */
  readonly wokeAt: number;
  readonly forcedAt: number;
  /** When the retry timer fires, and before when the server does not want to see it. */
  readonly retryAt: number;
  readonly notBefore: number;
  /** What ended the connection or attempt before. */
  readonly cause: Loss | undefined;
}

export interface Model {
  readonly state: State;
  readonly memory: Memory;
}

export type Event =
  | { readonly type: 'connectRequested' }
  | { readonly type: 'reconnectRequested'; readonly reason: string }
  | ({ readonly type: 'closeRequested' } & CloseRequest)
  | { readonly type: 'addressResolved' }
  | { readonly type: 'socketOpened' }
  | { readonly type: 'handshakeDone'; readonly resumed: boolean }
  /** The connection or the attempt is over, by whatever fact; the verdict is the policy's. */
  | ({ readonly type: 'lost'; readonly loss: Loss } & Ruling)
  | { readonly type: 'wokeUp' }
  /** The retry timer or the close timer; the connect timer is a loss. */
  | { readonly type: 'timerFired' };

export type Effect =
  /** Resolve the address, make the socket, report. */
  | { readonly type: 'openSocket' }
  | { readonly type: 'runHandshake' }
  /** Ask for the closing handshake and go on listening, without a heartbeat. */
  | ({ readonly type: 'closeSocket' } & CloseRequest)
  /** Whatever there is of a socket: detach, tell the peer if it can be told, and forget. Never wait. */
  | { readonly type: 'dropSocket'; readonly loss: Loss }
  /** There is one timer: starting replaces it. */
  | { readonly type: 'startTimer'; readonly delay: number }
  | { readonly type: 'stopTimer' }
  | { readonly type: 'startHeartbeat' }
  | { readonly type: 'probe' }
  /** Listen, or stop listening, to the life of the page. */
  | { readonly type: 'watch' }
  | { readonly type: 'unwatch' }
  /** Tell the face above. */
  | Emission;

/** What the face above tells its users. */
export type Emission =
  | { readonly type: 'emitOpened' }
  | { readonly type: 'emitLost'; readonly loss: Loss; readonly willReconnect: boolean };

/** The world as it is when an event happens. */
export interface Moment {
  /** Monotonic milliseconds. */
  readonly now: number;
  /** Epoch milliseconds, for display only. */
  readonly wall: number;
  /** A number in [0, 1). */
  readonly random: number;
  readonly hidden: boolean;
  readonly onLine: boolean;
}

/** What is settled for the life of a connection. Durations are milliseconds. */
export interface Rules {
  readonly maxRetries: number;
  readonly stableAfter: number;
  readonly connectTimeout: number;
  readonly closeTimeout: number;
  /** Whether an open socket still needs a handshake before it is a connection. */
  readonly handshake: boolean;
  readonly delay: (attempt: number, random: number, patient: boolean) => number;
}

export type Step = readonly [model: Model, effects: readonly Effect[]];

/** Synthetic close codes. */
export const HEARTBEAT_LOST = 4000;
export const REPLACED = 4001;

/** Reconnects after a wake-up are spread over this: every tab of every laptop lid opens at nine. */
const WAKE_JITTER = 250;
/** At most one attempt is forced in this time, however often the page toggles. */
const WAKE_EVERY = 3_000;
/** A connection lost within this time after a wake-up was lost to the sleep: no backoff. */
const WAKE_GRACE = 5_000;
/** Attempts get longer while they take too long, up to this: browsers hold them back after failures, Firefox for up to a minute. */
const LONGEST_ATTEMPT = 60_000;
/** `onLine === false` is a hint that can be wrong, so it slows attempts down and never stops them. */
const OFFLINE_RETRY = 30_000;

/** The machine before anything happened. */
export const initial: Model = {
  state: { status: 'idle' },
  memory: {
    attempt: 0,
    suspects: 0,
    everOpened: false,
    openedAt: 0,
    attemptedAt: 0,
    timeouts: 0,
    wokeAt: -Infinity,
    forcedAt: -Infinity,
    retryAt: 0,
    notBefore: 0,
    cause: undefined,
  },
};

/** One step: the state after `event`, and what the shell has to do for it, in order. */
export function transition(model: Model, event: Event, moment: Moment, rules: Rules): Step {
  const { state, memory } = model;
  const { status } = state;
  const connecting = status === 'connecting';
  const waiting = status === 'waiting' || status === 'offline';
  const over = status === 'idle' || status === 'closed';
  const nothing: Step = [model, []];
  switch (event.type) {
    case 'connectRequested':
      return over ? begin(memory, moment, rules) : nothing;
    case 'reconnectRequested':
      return over ? begin(memory, moment, rules) : waiting ? attempt(memory, moment, rules) : replace(model, event.reason, moment, rules);
    case 'closeRequested':
      return status === 'closing' || status === 'closed' ? nothing : close(model, event, rules);
    case 'addressResolved':
      return connecting ? [{ state: { ...state, phase: 'opening' }, memory }, []] : nothing;
    case 'socketOpened':
      if (connecting && rules.handshake) return [{ state: { ...state, phase: 'handshaking' }, memory }, [{ type: 'runHandshake' }]];
      return connecting ? opened(memory, false, moment, rules) : nothing;
    case 'handshakeDone':
      return connecting ? opened(memory, event.resumed, moment, rules) : nothing;
    case 'lost':
      if (status === 'closing') return closed(memory, state.cause, event.loss, state.error);
      return connecting || status === 'open' ? lost(model, event.loss, event, moment, rules) : nothing;
    case 'wokeUp':
      return wake(model, moment, rules);
    case 'timerFired':
      if (status === 'closing') return closed(memory, state.cause, unanswered(state), state.error);
      return waiting ? attempt(memory, moment, rules) : nothing;
    default:
      return event satisfies never;
  }
}

/** From nothing: a new life, with nothing held against it. */
function begin({ everOpened }: Memory, moment: Moment, rules: Rules): Step {
  const [model, effects] = attempt({ ...initial.memory, everOpened }, moment, rules);
  return [model, [{ type: 'watch' }, ...effects]];
}

function attempt(before: Memory, { now, wall }: Moment, { connectTimeout }: Rules): Step {
  const memory = { ...before, attemptedAt: now, forcedAt: Math.min(before.forcedAt, now) };
  const delay = Math.min(connectTimeout * 2 ** memory.timeouts, Math.max(connectTimeout, LONGEST_ATTEMPT));
  return [
    { state: { status: 'connecting', attempt: memory.attempt, startedAt: wall, phase: 'resolving' }, memory },
    [{ type: 'startTimer', delay: clampDelay(delay) }, { type: 'openSocket' }],
  ];
}

function opened(before: Memory, resumed: boolean, { now, wall }: Moment, { connectTimeout }: Rules): Step {
  // What has taken long will take long again.
  const timeouts = now - before.attemptedAt > connectTimeout / 2 ? before.timeouts : 0;
  return [
    { state: { status: 'open', since: wall, resumed }, memory: { ...before, everOpened: true, openedAt: now, timeouts } },
    [{ type: 'stopTimer' }, { type: 'startHeartbeat' }, { type: 'emitOpened' }],
  ];
}

/** The user's reconnect, where there is something to give up: at once; the series of failures goes on where it stood. */
function replace(before: Model, reason: string, moment: Moment, rules: Rules): Step {
  const loss: Loss = { kind: 'replaced', code: REPLACED, reason, wasClean: false };
  return again(before.state, settled(before, moment, rules), loss, moment, rules);
}

/** Another attempt in the place of what there is. */
function again(state: State, memory: Memory, loss: Loss, moment: Moment, rules: Rules): Step {
  // There is no socket, so none is lost: asked anew without a word (a close listener that reconnects would never end).
  if ((state.status === 'connecting' && state.phase === 'resolving') || (state.status === 'closing' && !state.socket)) {
    const [model, effects] = attempt(memory, moment, rules);
    return [model, [{ type: 'dropSocket', loss }, ...effects]];
  }
  const [model, effects] = attempt({ ...memory, cause: loss }, moment, rules);
  return [model, [{ type: 'dropSocket', loss }, { type: 'emitLost', loss, willReconnect: true }, ...effects]];
}

/** Every way out is the same door; where there is no socket to wait for, the deadline is now. */
function close({ state, memory }: Model, { cause, code, reason, error }: CloseRequest, { closeTimeout }: Rules): Step {
  const socket = state.status === 'open' || (state.status === 'connecting' && state.phase !== 'resolving');
  const request = { cause, code, reason, error };
  const closing = { status: 'closing', socket, ...request } as const;
  return [
    { state: closing, memory },
    [
      { type: 'startTimer', delay: socket ? clampDelay(closeTimeout) : 0 },
      socket ? { type: 'closeSocket', ...request } : { type: 'dropSocket', loss: unanswered(closing) },
    ],
  ];
}

/** What `close()` comes to without a close event: the caller's code where there was no socket, else what a browser would say. */
function unanswered({ socket, code, reason }: CloseRequest & { socket: boolean }): Loss {
  return { kind: 'requested', code: socket ? 1006 : (code ?? 1005), reason: socket ? '' : reason, wasClean: false };
}

/** The connection or attempt is over: waiting, offline or closed. */
function lost(model: Model, loss: Loss, { verdict, retryAfter }: Ruling, moment: Moment, rules: Rules): Step {
  const before = settled(model, moment, rules);
  const suspects = verdict === 'suspect' ? before.suspects + 1 : 0;
  if (verdict !== 'retry' && verdict !== 'suspect') return closed(before, verdict, loss);
  if (suspects >= SUSPECT_LIMIT) return closed(before, 'refused', loss);
  // An attempt that the device itself calls hopeless is not held against the server, unless there is only one.
  const offline = model.state.status === 'connecting' && !moment.onLine && rules.maxRetries > 0;
  const attempt = before.attempt + (offline ? 0 : 1);
  if (attempt > rules.maxRetries) return closed(before, 'exhausted', loss);
  const woken = model.state.status === 'open' && moment.now - before.wokeAt <= WAKE_GRACE && mayForce(before, moment);
  const timeouts = before.timeouts + (loss.kind === 'timeout' ? 1 : 0);
  const memory = { ...before, suspects, attempt, timeouts, cause: loss, forcedAt: woken ? moment.now : before.forcedAt };
  if (offline) return wait('offline', OFFLINE_RETRY, memory, loss, moment);
  const chosen = delay();
  // Waking up does not shorten what the server has asked for.
  const asked = retryAfter?.spread ? chosen : (retryAfter?.ms ?? 0);
  return wait('waiting', chosen, { ...memory, notBefore: moment.now + asked }, loss, moment);

  function delay(): number {
    const { random } = moment;
    if (retryAfter?.spread) return clampDelay(retryAfter.ms * random);
    const own = woken ? WAKE_JITTER * random : rules.delay(attempt, random, moment.hidden || !before.everOpened);
    // A quarter more at most: those who were told the same must not come back in step.
    return clampDelay(Math.max(own, (retryAfter?.ms ?? 0) * (1 + random / 4)));
  }
}

function wait(status: 'waiting' | 'offline', delay: number, before: Memory, loss: Loss, { now, wall }: Moment): Step {
  const memory = { ...before, retryAt: now + delay };
  const { attempt, everOpened } = memory;
  return [
    { state: { status, attempt, since: wall, retryAt: wall + delay, cause: loss, everOpened }, memory },
    [
      { type: 'dropSocket', loss },
      { type: 'startTimer', delay },
      { type: 'emitLost', loss, willReconnect: true },
    ],
  ];
}

function closed(memory: Memory, cause: ClosedCause, loss: Loss, asked?: Error): Step {
  const { code, reason, error = asked } = loss;
  return [
    { state: { status: 'closed', cause, code, reason, error, everOpened: memory.everOpened }, memory },
    [{ type: 'dropSocket', loss }, { type: 'stopTimer' }, { type: 'unwatch' }, { type: 'emitLost', loss, willReconnect: false }],
  ];
}

/** The page is back: doubt what is open, hurry what is waiting, though not more often than {@link WAKE_EVERY}. */
function wake({ state, memory: before }: Model, moment: Moment, rules: Rules): Step {
  const { now, wall, random } = moment;
  const memory = { ...before, wokeAt: now };
  if (state.status === 'open') return [{ state, memory }, [{ type: 'probe' }]];
  // An attempt from before the sleep, or over a network that is gone, may hang until its time is over.
  if (state.status === 'connecting' && now - before.attemptedAt >= rules.connectTimeout / 2 && mayForce(before, moment)) {
    return again(state, { ...memory, forcedAt: now }, OVERSLEPT, moment, rules);
  }
  const forcedAt = Math.max(now, before.forcedAt + WAKE_EVERY, before.notBefore);
  const retryAt = forcedAt + WAKE_JITTER * random;
  if (!('retryAt' in state) || retryAt >= before.retryAt) return [{ state, memory }, []];
  const delay = retryAt - now;
  return [{ state: { ...state, retryAt: wall + delay }, memory: { ...memory, forcedAt, retryAt } }, [{ type: 'startTimer', delay }]];
}

/** What an attempt comes to that is begun anew when the page wakes up. */
const OVERSLEPT: Loss = { kind: 'timeout', code: 1006, reason: 'the page woke up', wasClean: false };

function mayForce({ forcedAt }: Memory, { now }: Moment): boolean {
  return now - forcedAt >= WAKE_EVERY;
}

/** The memory with the series of failures ended, if the connection that is now over lasted long enough. */
export function settled({ state, memory }: Model, { now }: Pick<Moment, 'now'>, { stableAfter }: Pick<Rules, 'stableAfter'>): Memory {
  return state.status === 'open' && now - memory.openedAt >= stableAfter ? { ...memory, attempt: 0, suspects: 0 } : memory;
}
