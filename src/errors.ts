/** The errors of the library. Each has a stable `code`, the facts in its message, and the `cause` where there is one. */

/** What went wrong, as a stable word. */
export type ErrorCode =
  | 'ADDRESS_FAILED'
  | 'ADDRESS_INVALID'
  | 'CONNECTION_FAILED'
  | 'CONNECT_TIMEOUT'
  | 'HANDSHAKE_FAILED'
  | 'HEARTBEAT_LOST'
  | 'SEND_FAILED';

/** The base of every error this library makes, except where the WebSocket standard names another. */
export class HoldfastError extends Error {
  /** A stable word to switch on; the message may change, this will not. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'HoldfastError';
    this.code = code;
  }
}
