/** The states of a connection, as users see them. Each variant holds only its own data. */

import type { HoldfastError } from '../errors.ts';
import type { Verdict } from './retry-policy.ts';

/** How a connection or an attempt ended. */
export interface Loss {
  /**
   * `closed`: the peer or the browser closed it. `failed`: it never opened, or its handshake failed. `timeout`: it did not open within
   * `connectTimeout`. `heartbeat`: a ping was not answered. `frozen`: the page was suspended, which kills sockets. `violation`: the peer
   * broke the protocol. `replaced`: `reconnect()` was called. `requested`: `close()` was.
   */
  readonly kind: 'closed' | 'failed' | 'timeout' | 'heartbeat' | 'frozen' | 'violation' | 'replaced' | 'requested';
  /** The close code as the browser gave it, or a synthetic one: those of {@link ReconnectingCloseEvent}. */
  readonly code: number;
  /** The close reason; "" where there is none. */
  readonly reason: string;
  /** Whether the closing handshake was completed; `false` for every synthetic close. */
  readonly wasClean: boolean;
  /** What went wrong; `undefined` where nobody said, as after most closes. */
  readonly error?: HoldfastError | undefined;
}

/**
 * Why a connection is closed for good.
 *
 * - `user`: `close()` was called
 * - `aborted`: the `signal` was aborted
 * - `exhausted`: `maxRetries` were not enough
 * - `refused`: `shouldReconnect` said so, a close code will repeat itself, the address is none, or the page may not connect there
 * - `unauthorized`: the credentials were refused (clients only)
 * - `superseded`: the server prefers another connection of the same user (clients only)
 */
export type ClosedCause = 'user' | 'aborted' | 'exhausted' | Exclude<Verdict, 'retry' | 'suspect'>;

/**
 * The state of a connection: everything that a status line needs. Each status has its own properties.
 *
 * @example
 * function show(state: State): string {
 *   if (state.status === 'waiting') return `lost, next attempt at ${new Date(state.retryAt).toLocaleTimeString()}`;
 *   if (state.status === 'closed') return `closed (${state.cause})`;
 *   return state.status;
 * }
 */
export type State =
  /** Nothing has begun: it was made with `startClosed`. */
  | { readonly status: 'idle' }
  /** An attempt is under way. */
  | {
      readonly status: 'connecting';
      /** Consecutive failures before it; 0 for the first one, and after a connection that lasted `stableAfter`. */
      readonly attempt: number;
      /** When it began, in epoch milliseconds. */
      readonly startedAt: number;
      /** `resolving`: the address is asked for. `opening`: the socket opens. `handshaking`: it is open, and the handshake runs. */
      readonly phase: 'resolving' | 'opening' | 'handshaking';
    }
  /** There is a connection. */
  | {
      readonly status: 'open';
      /** When it opened, in epoch milliseconds. */
      readonly since: number;
      /** Whether the session before goes on; `false` without one. */
      readonly resumed: boolean;
    }
  /** An attempt failed or a connection was lost, and another attempt will follow. */
  | {
      /** `offline`: the attempt failed and the device says that it has no network; retries are slow then and not counted. */
      readonly status: 'waiting' | 'offline';
      /** Consecutive failures so far. */
      readonly attempt: number;
      /** When the waiting began, in epoch milliseconds. */
      readonly since: number;
      /** When the next attempt begins, in epoch milliseconds; waking up brings it forward. */
      readonly retryAt: number;
      /** What was lost. */
      readonly cause: Loss;
      /** Whether any connection ever opened; `false` for long means that something on the way refuses WebSockets. */
      readonly everOpened: boolean;
    }
  /**
   * `close()` was called, or the `signal` aborted. `cause`, `code`, `reason` and `error` are those of that request; `socket` is whether
   * there is a socket whose closing handshake is waited for, `closeTimeout` at the longest.
   */
  | ({
      readonly status: 'closing';
      /** Whether there is a socket whose closing handshake is waited for. */
      readonly socket: boolean;
    } & CloseRequest)
  /** It is over: no attempt follows, unless `reconnect()` or `connect()` begins a new life. */
  | {
      readonly status: 'closed';
      /** Why no attempt follows. */
      readonly cause: ClosedCause;
      /** The close code of the last loss. */
      readonly code: number;
      /** The close reason of the last loss; "" where there is none. */
      readonly reason: string;
      /** What went wrong, or the reason of the `signal` where that is an error; `undefined` where nothing did. */
      readonly error?: Error | undefined;
      /** Whether any connection ever opened. */
      readonly everOpened: boolean;
    };

/**
 * A wish to end the connection.
 *
 * @inline
 */
export interface CloseRequest {
  /** `user`: `close()` was called. `aborted`: the `signal` was aborted. */
  readonly cause: 'user' | 'aborted';
  /** The close code to send; `undefined` for none. */
  readonly code?: number | undefined;
  /** The close reason to send; "" for none. */
  readonly reason: string;
  /** The reason of the `signal`, where that is an error. */
  readonly error?: Error | undefined;
}
