/** The state of the connection, in words. */

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

/** One line under the state. */
export function detail(state: State, now: number): string {
  switch (state.status) {
    case 'idle':
      return 'Nothing has been tried yet.';
    case 'connecting':
      return `${state.attempt ? `Attempt ${state.attempt}: ` : ''}${phases[state.phase]}…`;
    case 'open':
      return `For ${span(now - state.since)}.`;
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
