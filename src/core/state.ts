/** The states of a connection, as users see them. Each variant holds only its own data. */

import type { HoldfastError } from '../errors.ts';
import type { Verdict } from './retry-policy.ts';

/** How a connection or an attempt ended. */
export interface Loss {
  /**
   * `closed`: the peer or the browser closed it. `failed`: it never opened, or its handshake failed. `timeout`: it did not open in time. `heartbeat`: no
   * answer. `frozen`: the page was suspended, which kills sockets. `violation`: the peer broke the protocol. `replaced`: `reconnect()` was called. `requested`: `close()` was.
   */
  readonly kind: 'closed' | 'failed' | 'timeout' | 'heartbeat' | 'frozen' | 'violation' | 'replaced' | 'requested';
  /** The close code as the browser gave it, or the synthetic one: 4000 heartbeat, 4001 replaced, 1006 otherwise. */
  readonly code: number;
  readonly reason: string;
  /** Whether the closing handshake was completed; false for every synthetic close. */
  readonly wasClean: boolean;
  /** What went wrong, where that is known. */
  readonly error?: HoldfastError | undefined;
}

/** Why a connection is closed for good. */
export type ClosedCause = 'user' | 'aborted' | 'exhausted' | Exclude<Verdict, 'retry' | 'suspect'>;

/** The state of a connection. `attempt` counts consecutive failures; `startedAt`, `since` and `retryAt` are epoch milliseconds. */
export type State =
  | { readonly status: 'idle' }
  | {
      readonly status: 'connecting';
      readonly attempt: number;
      readonly startedAt: number;
      readonly phase: 'resolving' | 'opening' | 'handshaking';
    }
  | { readonly status: 'open'; readonly since: number; readonly resumed: boolean }
  | {
      /** `offline`: the attempt failed and the device says that it has no network; retries are slow then and not counted. */
      readonly status: 'waiting' | 'offline';
      readonly attempt: number;
      readonly since: number;
      readonly retryAt: number;
      readonly cause: Loss;
      /** Whether any connection ever opened; false for long means that something on the way refuses WebSockets. */
      readonly everOpened: boolean;
    }
  | ({
      readonly status: 'closing';
      /** Whether there is a socket whose closing handshake is waited for. */
      readonly socket: boolean;
    } & CloseRequest)
  | {
      readonly status: 'closed';
      readonly cause: ClosedCause;
      readonly code: number;
      readonly reason: string;
      readonly error?: Error | undefined;
    };

/** A wish to end the connection. */
export interface CloseRequest {
  readonly cause: 'user' | 'aborted';
  readonly code?: number | undefined;
  readonly reason: string;
  readonly error?: Error | undefined;
}
