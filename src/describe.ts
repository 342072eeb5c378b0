/** The state of a connection in words: for status lines and logs. */

import type { Loss, State } from './core/state.ts';

const PHASES = { resolving: 'asking for the address', opening: 'opening a socket', handshaking: 'agreeing with the server' };

const LOSSES: Record<Loss['kind'], string> = {
  closed: 'the connection was closed',
  failed: 'it could not connect',
  timeout: 'the attempt took too long',
  heartbeat: 'there was no sign of life',
  frozen: 'the page was frozen',
  violation: 'the server broke the protocol',
  replaced: 'it was asked to connect anew',
  requested: 'it was asked to close',
};

const ENDINGS: Record<Extract<State, { status: 'closed' }>['cause'], string> = {
  user: 'it was asked to',
  aborted: 'its signal was aborted',
  exhausted: 'there were too many failures',
  refused: 'another attempt cannot help',
  unauthorized: 'the credentials were refused',
  superseded: 'another connection has taken its place',
};

/** What is added where no connection ever opened. */
const NEVER = '; it has never been open';

/** What a proxy that lets no WebSocket through looks like. */
const UNREACHED: readonly Loss['kind'][] = ['failed', 'timeout'];

/**
 * What is going on, in a sentence without times: they are in the state.
 *
 * @param state of a client or socket
 * @returns "waiting after 2 failures: the connection was closed (1006)", and the like
 *
 * @example
 * client.addEventListener('statechange', ({ state }) => {
 *   document.title = describe(state);
 * });
 */
export function describe(state: State): string {
  switch (state.status) {
    case 'idle':
      return 'not started';
    case 'connecting':
      return `connecting${after(state.attempt)}: ${PHASES[state.phase]}`;
    case 'open':
      return state.resumed ? 'connected, the session goes on' : 'connected';
    case 'waiting':
    case 'offline': {
      const where = state.status === 'offline' ? 'offline' : 'waiting';
      const isRefused = !state.everOpened && UNREACHED.includes(state.cause.kind);
      return `${where}${after(state.attempt)}: ${lossOf(state.cause)}${isRefused ? `${NEVER}: something on the way may refuse WebSockets` : ''}`;
    }
    case 'closing':
      return 'closing';
    case 'closed': {
      const never = state.cause === 'exhausted' && !state.everOpened ? NEVER : '';
      return `closed: ${ENDINGS[state.cause]} (${codeOf(state)})${state.error ? `: ${state.error.message}` : ''}${never}`;
    }
  }
}

function after(failures: number): string {
  return failures === 0 ? '' : ` after ${failures} ${failures === 1 ? 'failure' : 'failures'}`;
}

function lossOf(loss: Loss): string {
  return `${LOSSES[loss.kind]} (${codeOf(loss)})${loss.error ? `: ${loss.error.message}` : ''}`;
}

function codeOf({ code, reason }: { readonly code: number; readonly reason: string }): string {
  return reason ? `${code}, ${reason}` : `${code}`;
}
