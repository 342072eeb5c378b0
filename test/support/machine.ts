/** The machine in its typical states, and the events that can happen to it. */

import { type Event, initial, type Model, type Moment, type Rules, transition } from '../../src/core/machine.ts';
import type { Loss, State } from '../../src/core/state.ts';

export const rules: Rules = {
  maxRetries: Infinity,
  stableAfter: 5_000,
  connectTimeout: 10_000,
  closeTimeout: 2_000,
  handshake: false,
  delay: () => 1_000,
};
export const moment: Moment = { now: 100_000, wall: 1_700_000_000_000, random: 0, hidden: false, onLine: true };

export const closedBy = (code: number, more: Partial<Loss> = {}): Loss => ({ kind: 'closed', code, reason: '', wasClean: false, ...more });

export const events = {
  connect: { type: 'connectRequested' },
  reconnect: { type: 'reconnectRequested', reason: 'again' },
  close: { type: 'closeRequested', cause: 'user', code: 4100, reason: 'bye' },
  resolved: { type: 'addressResolved' },
  opened: { type: 'socketOpened' },
  handshake: { type: 'handshakeDone', resumed: false },
  lost: { type: 'lost', loss: closedBy(1006), verdict: 'retry' },
  suspect: { type: 'lost', loss: closedBy(1009), verdict: 'suspect' },
  refused: { type: 'lost', loss: closedBy(4403), verdict: 'refused' },
  wake: { type: 'wokeUp' },
  timer: { type: 'timerFired' },
} as const satisfies Record<string, Event>;

export type EventName = keyof typeof events;

const after = (names: readonly EventName[], more: Partial<Moment> = {}, over: Partial<Rules> = {}): Model =>
  names.reduce((model, name) => transition(model, events[name], { ...moment, ...more }, { ...rules, ...over })[0], initial);

/** Typical states, each reached the way it is reached in life; made when asked for, so that a broken machine fails tests, not imports. */
export const at = {
  get idle() {
    return initial;
  },
  get resolving() {
    return after(['connect']);
  },
  get opening() {
    return after(['connect', 'resolved']);
  },
  get handshaking() {
    return after(['connect', 'resolved', 'opened'], {}, { handshake: true });
  },
  get open() {
    return after(['connect', 'resolved', 'opened']);
  },
  get waiting() {
    return after(['connect', 'resolved', 'opened', 'lost']);
  },
  get offline() {
    return after(['connect', 'resolved', 'lost'], { onLine: false });
  },
  get closing() {
    return after(['connect', 'resolved', 'opened', 'close']);
  },
  get leaving() {
    return after(['connect', 'close']);
  },
  get closed() {
    return after(['connect', 'close', 'timer']);
  },
} satisfies Record<string, Model>;

/** The states on the way through these events. */
export function run(names: readonly EventName[]): State[] {
  return names.map((_, i) => after(names.slice(0, i + 1)).state);
}
