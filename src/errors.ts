/** The errors of the library. Each has a stable `code`, the facts in its message, and the `cause` where there is one. */

/** What went wrong with a connection, as a stable word. */
export type ErrorCode =
  | 'ADDRESS_FAILED'
  | 'ADDRESS_INVALID'
  | 'AUTH_FAILED'
  | 'CANCELLED'
  | 'CLIENT_CLOSED'
  | 'CONNECTION_FAILED'
  | 'CONNECT_TIMEOUT'
  | 'DEADLINE_EXCEEDED'
  | 'HANDSHAKE_FAILED'
  | 'HEARTBEAT_LOST'
  | 'MESSAGE_TOO_LARGE'
  | 'PROTOCOL_VIOLATION'
  | 'QUEUE_FULL'
  | 'REPLACED'
  | 'SEND_FAILED'
  | 'SESSION_LOST'
  | 'UNAUTHENTICATED'
  | 'UNSUPPORTED';

/** The codes a call can fail with on the other side (the gRPC vocabulary); applications add their own in lower case. */
export type CallErrorCode =
  | 'CANCELLED'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | (string & {});

/** The base of every error this library makes, except where the WebSocket standard names another. */
export class HoldfastError<Code extends string = ErrorCode> extends Error {
  /** A stable word to switch on; the message may change, this will not. */
  readonly code: Code;
  // Written out: a minifier renames classes.
  override readonly name: string = 'HoldfastError';

  constructor(code: Code, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The client was closed for good; `cause` is what closed it, where there is more to know than that it was asked to. */
export class ClosedError extends HoldfastError {
  override readonly name = 'ClosedError';

  constructor(message = 'The client is closed', cause?: unknown) {
    super('CLIENT_CLOSED', message, cause);
  }
}

/** The other side refused a call, a subscription or a message, or failed at it. */
export class CallError extends HoldfastError<CallErrorCode> {
  override readonly name = 'CallError';
  /** What the other side adds; whatever its application chose. */
  readonly data: unknown;
  /** Milliseconds after which trying again makes sense, where the other side said so. */
  readonly retryAfter: number | undefined;

  /** Throw it in a handler to answer a call with this error; anything else that is thrown becomes INTERNAL, without its message. */
  constructor(code: CallErrorCode, message: string = code, { data, retryAfter }: { data?: unknown; retryAfter?: number | undefined } = {}) {
    super(code, message);
    this.data = data;
    this.retryAfter = retryAfter;
  }
}

/** A call took longer than its timeout, the time in the outbox included. */
export class TimeoutError extends HoldfastError {
  override readonly name = 'TimeoutError';
  /** Whether it was written, so that it may have been executed. */
  readonly maybeExecuted: boolean;

  constructor(message: string, maybeExecuted: boolean) {
    super('DEADLINE_EXCEEDED', message);
    this.maybeExecuted = maybeExecuted;
  }
}

/** The connection was lost after something was written and before it was answered. */
export class SessionLostError extends HoldfastError {
  override readonly name = 'SessionLostError';
  /** Whether the other side may have executed it: nobody can know. */
  readonly maybeExecuted: boolean;

  constructor(message: string, maybeExecuted: boolean) {
    super('SESSION_LOST', message);
    this.maybeExecuted = maybeExecuted;
  }
}

/** The outbox has no room. */
export class QueueFullError extends HoldfastError {
  override readonly name = 'QueueFullError';

  constructor(message: string) {
    super('QUEUE_FULL', message);
  }
}

/** A message is larger than the other side takes. */
export class MessageTooLargeError extends HoldfastError {
  override readonly name = 'MessageTooLargeError';
  /** Bytes of the message. */
  readonly bytes: number;
  /** Bytes the other side takes. */
  readonly limit: number;

  constructor(bytes: number, limit: number) {
    super('MESSAGE_TOO_LARGE', `The message has ${bytes} bytes, and the other side takes ${limit}`);
    this.bytes = bytes;
    this.limit = limit;
  }
}

/** The other side sent what the protocol does not allow. */
export class ProtocolError extends HoldfastError {
  override readonly name = 'ProtocolError';

  constructor(message: string, cause?: unknown) {
    super('PROTOCOL_VIOLATION', message, cause);
  }
}

/** Nobody is logged in, or the token is not good. Throw it in `auth` to end in `closed` with the cause `unauthorized`. */
export class UnauthorizedError extends HoldfastError {
  override readonly name = 'UnauthorizedError';

  constructor(message = 'Not authorized', cause?: unknown) {
    super('UNAUTHENTICATED', message, cause);
  }
}

/** What was asked for is not offered by this protocol, or not by this server. */
export class UnsupportedError extends HoldfastError {
  override readonly name = 'UnsupportedError';

  constructor(what: string, who: string) {
    super('UNSUPPORTED', `${who} does not offer ${what}`);
  }
}
