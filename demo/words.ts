/** What the page says: of the state of the connection, of the session, of the room and of the job. */

import type { Loss, State } from 'holdfast';

export const names: Record<State['status'], string> = {
  idle: 'Not started',
  connecting: 'Connecting',
  open: 'Connected',
  waiting: 'Waiting to retry',
  offline: 'No network',
  closing: 'Closing',
  closed: 'Closed',
};

const phases = { resolving: 'asking where to', opening: 'opening a socket', handshaking: 'saying hello' };

/** Closes by the server that say why. */
const goodbyes: Record<number, string> = {
  4100: 'The server said goodbye: it is restarting',
  4408: 'The server heard nothing from this page in time',
  1001: 'The server is going away',
  1011: 'The server failed',
};

const losses: Record<Loss['kind'], string> = {
  closed: 'The connection broke',
  failed: 'Could not connect',
  timeout: 'The attempt took too long',
  heartbeat: 'The server did not answer a ping: the link is dead, whatever the browser thinks',
  frozen: 'The page had been frozen',
  violation: 'The server broke the protocol',
  replaced: 'Replaced, because you asked for a new one',
  requested: 'Closed, because you asked',
};

const endings: Record<Extract<State, { status: 'closed' }>['cause'], string> = {
  user: 'because you asked',
  aborted: 'by its signal',
  exhausted: 'after too many attempts',
  refused: 'because the server refused',
  unauthorized: 'because nobody is logged in',
  superseded: 'because another tab took over',
};

/** Why a connection or an attempt ended. */
export function reasonOf({ kind, code }: Loss): string {
  return `${(kind === 'closed' && goodbyes[code]) || losses[kind]} (code ${code})`;
}

/**
 * One line under the state.
 *
 * @param session how the connection of now came by its session
 */
export function detail(state: State, now: number, session = ''): string {
  switch (state.status) {
    case 'idle':
      return 'Nothing has been tried yet.';
    case 'connecting':
      return `${state.attempt ? `Attempt ${state.attempt}: ` : ''}${phases[state.phase]}…`;
    case 'open':
      return `For ${span(now - state.since)}. ${session}`.trimEnd();
    case 'waiting':
    case 'offline':
      return `${reasonOf(state.cause)}.`;
    case 'closing':
      return 'Waiting for the server to agree.';
    case 'closed':
      return `Closed ${endings[state.cause]} (code ${state.code}).`;
  }
}

function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`;
}

/** What has become of the session, in short. */
export function sessionOf(resumed: boolean, again: number): string {
  if (!resumed) return 'New session: the server did not know the old one.';
  return `Session resumed, ${again === 0 ? 'nothing' : count(again, 'frame')} written again.`;
}

export const restarted = 'New session: the server had restarted.';

/** What was there to be sent when a connection opened. */
export interface Opening {
  /** Whether the session of before goes on; undefined where there was none. */
  readonly resumed: boolean | undefined;
  /** Milliseconds without a connection. */
  readonly away: number;
  /** Frames that were written again. */
  readonly again: number;
  /** Messages that were written before and not acknowledged. */
  readonly open: number;
  /** Messages that had not been written yet. */
  readonly waiting: number;
}

/** A connection has opened. */
export function opened({ resumed, away, again, open, waiting }: Opening): string {
  const after = `after ${(away / 1_000).toFixed(1)} s`;
  const rest = waiting > 0 ? ` ${count(waiting, 'message had waited and goes', 'messages had waited and go')} out now.` : '';
  if (resumed === undefined) return `Connected.${rest}`;
  if (resumed) return `Session resumed ${after}: ${again === 0 ? 'nothing' : count(again, 'frame')} written again.${rest}`;
  const unacknowledged = count(open, 'message was not acknowledged and is', 'messages were not acknowledged and are');
  const repeated = open > 0 ? ` ${unacknowledged} sent again; the server counts what comes twice.` : '';
  return `New session ${after}: the server did not know the old one.${repeated}${rest}`;
}

/**
 * The room was loaded.
 *
 * @param isFirst whether it was not shown before; else the channel could not go on where it was
 */
export function loaded(messages: number, isFirst: boolean): string {
  if (isFirst) return `${count(messages, 'message')} of the room loaded.`;
  return `The channel has a gap, so the room was loaded again: ${count(messages, 'message was', 'messages were')} new.`;
}

/** Who is in the room. */
export function here(names: readonly string[]): string {
  return names.length === 0 ? '\u00a0' : `${names.length} here: ${names.join(', ')}`;
}

/** What others had published meanwhile has come in. */
export function recovered(messages: number): string {
  return `${count(messages, 'message')} of others came meanwhile: recovered, in order, none missing.`;
}

/** A message did not come in its turn. */
export function misplaced(offset: number, last: number): string {
  return `Message ${offset} of the room came after message ${last}.`;
}

/** What is said of the job. */
export const job = {
  waiting: 'Waiting for a connection.',
  busy: 'The server is at it.',
  cut: (step: number) => `No connection after step ${step}. It goes on from there.`,
  wentOn: (step: number) => `It went on with step ${step}, where it was.`,
  done: (steps: number, connections: number) =>
    `All ${steps} steps came, each once, in order${connections > 1 ? `, over ${connections} connections` : ''}.`,
  misplaced: (step: number, last: number) => `Step ${step} came after step ${last}.`,
  lost: 'Lost with its session: begun or not, nobody can know.',
  takenBack: 'Cancelled before it was sent.',
  cancelled: 'Cancelled; the server is being told.',
  stopped: (step: number) => `Cancelled; the server stopped before step ${step}.`,
};
