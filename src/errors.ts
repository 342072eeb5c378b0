/** The errors of the library. Each has a stable `code`, the facts in its message, and the `cause` where there is one. */

/**
 * What went wrong on this side, as a stable word. What the other side answers has a {@link CallErrorCode}.
 *
 * - `ADDRESS_FAILED`: the `url` or `protocols` function failed; `cause` is what it threw
 * - `ADDRESS_INVALID`: the `url` or `protocols` function returned what is no address; it is closed for good
 * - `AUTH_FAILED`: `auth` failed, or returned what JSON cannot carry; `cause` says which
 * - `CANCELLED`: a message or a call was taken back by `cancel()`
 * - `CLIENT_CLOSED`: see {@link ClosedError}
 * - `CONNECTION_FAILED`: no connection could be made, or it broke; or there was none for a `volatile` event
 * - `CONNECT_TIMEOUT`: an attempt took longer than `connectTimeout`
 * - `DEADLINE_EXCEEDED`: see {@link TimeoutError}; or an event waited longer than its `ttl`
 * - `HANDSHAKE_FAILED`: the `handshake`, or the opening of the protocol, failed; `cause` is what it threw
 * - `HEARTBEAT_LOST`: a ping was not answered in time, the link is dead
 * - `MESSAGE_TOO_LARGE`: see {@link MessageTooLargeError}
 * - `PROTOCOL_VIOLATION`: see {@link ProtocolError}
 * - `QUEUE_FULL`: see {@link QueueFullError}
 * - `REPLACED`: a newer message with the same `key` took the place of one that waited
 * - `SEND_FAILED`: a socket threw at a message from the queue
 * - `SESSION_LOST`: see {@link SessionLostError}
 * - `UNAUTHENTICATED`: see {@link UnauthorizedError}
 * - `UNSUPPORTED`: see {@link UnsupportedError}
 */
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

/**
 * What a call, a subscription or a message can fail with on the other side (docs/protocol.md, section Calls). The words are those of
 * gRPC's status codes; applications add their own, in lower case. The library itself uses these:
 *
 * - `ABORTED`: the server ended a subscription and did not say why
 * - `CANCELLED`: the caller, or the subscriber, has given it up
 * - `DEADLINE_EXCEEDED`: the handler took longer than the caller waits, or the server longer than `callTimeout` to confirm a channel
 * - `INTERNAL`: the handler failed, or returned what cannot be sent; what it threw stays on its side
 * - `FAILED_PRECONDITION`: the method answers with a stream, and was not asked by `stream`
 * - `INVALID_ARGUMENT`: the name of the channel is too long, the data cannot be passed on, or the idempotency key belongs to other parameters
 * - `PERMISSION_DENIED`: `authorize` returned `false`
 * - `RESOURCE_EXHAUSTED`: a limit of the other side is reached, or the result is larger than the caller takes
 * - `UNAVAILABLE`: the broker of the server failed
 * - `UNIMPLEMENTED`: the method has no handler
 */
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

/**
 * The base of every error of the library, except where the WebSocket standard names another: bad arguments are a `DOMException` there,
 * and bad options a `TypeError`.
 *
 * @example
 * socket.addEventListener('error', ({ error }) => {
 *   if (error.code === 'HEARTBEAT_LOST') console.log('the link was dead');
 *   else console.log(error.code, error.message, error.cause);
 * });
 */
export class HoldfastError<Code extends string = ErrorCode> extends Error {
  /** A stable word to switch on. The message may change, this will not. */
  readonly code: Code;
  /** The name of the class, written out: a minifier renames classes. */
  override readonly name: string = 'HoldfastError';

  /**
   * @param code what went wrong
   * @param message what happened, for people
   * @param cause what it comes from
   */
  constructor(code: Code, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/**
 * The client is closed, or the subscription was ended: what was asked for will not come. `cause` is what closed it, where there is more
 * to know than that it was asked to.
 *
 * @example
 * client.connect().catch((error) => {
 *   if (error instanceof ClosedError) console.log('no connection will come', error.cause);
 * });
 */
export class ClosedError extends HoldfastError {
  override readonly name = 'ClosedError';

  /** Its code is `CLIENT_CLOSED`. */
  constructor(message = 'The client is closed', cause?: unknown) {
    super('CLIENT_CLOSED', message, cause);
  }
}

/**
 * The other side refused a call, a subscription or a message, or failed at it. Throw one in a handler to say no; anything else that a
 * handler throws is `INTERNAL` for the caller, without its message.
 *
 * @example
 * // One side says no …
 * client.handle('rename', () => {
 *   throw new CallError('PERMISSION_DENIED', 'not your room', { data: { owner: 'ida' } });
 * });
 *
 * // … and the other is told.
 * try {
 *   await client.call('rename', { to: 'kelp' });
 * } catch (error) {
 *   if (error instanceof CallError && error.code === 'PERMISSION_DENIED') console.log(error.message, error.data);
 * }
 */
export class CallError extends HoldfastError<CallErrorCode> {
  override readonly name = 'CallError';
  /** What the other side added, decoded from JSON; `undefined` where it added nothing. */
  readonly data: unknown;
  /** Milliseconds after which trying again makes sense; `undefined` where the other side did not say. */
  readonly retryAfter: number | undefined;

  /**
   * @param code for programs
   * @param message for people; it is told to the caller. Without one it is the code
   * @param details more for the caller
   * @param details.data anything that JSON can carry; what it cannot is left out
   * @param details.retryAfter milliseconds after which trying again makes sense
   */
  constructor(code: CallErrorCode, message: string = code, { data, retryAfter }: { data?: unknown; retryAfter?: number | undefined } = {}) {
    super(code, message);
    this.data = data;
    this.retryAfter = retryAfter;
  }
}

/**
 * A call took longer than its `timeout`, or a message longer than its `ttl`, the time in the outbox included. Its code is
 * `DEADLINE_EXCEEDED`.
 *
 * @example
 * try {
 *   await client.call('report', undefined, { timeout: 5_000 });
 * } catch (error) {
 *   if (error instanceof TimeoutError && !error.maybeExecuted) console.log('it never left');
 * }
 */
export class TimeoutError extends HoldfastError {
  override readonly name = 'TimeoutError';
  /** Whether it was written, so that the other side may have executed it. */
  readonly maybeExecuted: boolean;

  /**
   * @param message what took too long
   * @param maybeExecuted whether it was written
   */
  constructor(message: string, maybeExecuted: boolean) {
    super('DEADLINE_EXCEEDED', message);
    this.maybeExecuted = maybeExecuted;
  }
}

/**
 * The session was lost (or, where the server has none, the connection) after something was written and before it was answered or
 * acknowledged. Its code is `SESSION_LOST`. Repeat what may be executed twice; an `idempotent` call is repeated by itself, and executed once; one
 * that has ended five sessions is not, and its message says so: it may be what breaks the server.
 *
 * @example
 * const history = await client.call('history').catch((error) => {
 *   if (error instanceof SessionLostError) return client.call('history'); // it waits for the next connection
 *   throw error;
 * });
 */
export class SessionLostError extends HoldfastError {
  override readonly name = 'SessionLostError';
  /** Whether the other side may have executed it; where it is `true`, nobody can know. */
  readonly maybeExecuted: boolean;

  /**
   * @param message what was not answered
   * @param maybeExecuted whether it was written
   */
  constructor(message: string, maybeExecuted: boolean) {
    super('SESSION_LOST', message);
    this.maybeExecuted = maybeExecuted;
  }
}

/**
 * The outbox of a client has no room: see {@link OutboxLimits}. Its code is `QUEUE_FULL`.
 *
 * @example
 * try {
 *   client.send('position', { x: 1, y: 2 });
 * } catch (error) {
 *   if (error instanceof QueueFullError) console.log('too much is waiting', client.stats.queuedBytes);
 * }
 */
export class QueueFullError extends HoldfastError {
  override readonly name = 'QueueFullError';

  /** @param message what had no room */
  constructor(message: string) {
    super('QUEUE_FULL', message);
  }
}

/**
 * A message is larger than the other side takes, which it says when a connection opens. Its code is `MESSAGE_TOO_LARGE`.
 *
 * @example
 * try {
 *   client.send('photo', bytes);
 * } catch (error) {
 *   if (error instanceof MessageTooLargeError) console.log(`${error.bytes} bytes, and ${error.limit} are taken`);
 * }
 */
export class MessageTooLargeError extends HoldfastError {
  override readonly name = 'MessageTooLargeError';
  /** Bytes of the message, text as UTF-8; of its payload alone where that is too large already. */
  readonly bytes: number;
  /** Bytes that the other side takes in a message. */
  readonly limit: number;

  /**
   * @param bytes of the message
   * @param limit bytes that the other side takes
   */
  constructor(bytes: number, limit: number) {
    super('MESSAGE_TOO_LARGE', `The message has ${bytes} bytes, and the other side takes ${limit}`);
    this.bytes = bytes;
    this.limit = limit;
  }
}

/**
 * The other side sent what the protocol does not allow (docs/protocol.md, section Messages). Its code is `PROTOCOL_VIOLATION`. The
 * connection is closed then, by a client with 4003. Throw one in the `decode` of a {@link Protocol} of your own.
 *
 * @example
 * function parse(message: unknown): unknown {
 *   try {
 *     return JSON.parse(String(message));
 *   } catch (cause) {
 *     throw new ProtocolError('A message is JSON', cause);
 *   }
 * }
 */
export class ProtocolError extends HoldfastError {
  override readonly name = 'ProtocolError';

  /**
   * @param message what is not allowed
   * @param cause what it was noticed by
   */
  constructor(message: string, cause?: unknown) {
    super('PROTOCOL_VIOLATION', message, cause);
  }
}

/**
 * Nobody is logged in, or the token is not good. Its code is `UNAUTHENTICATED`. Thrown in the `auth` of a client it ends in `closed` with
 * the cause `unauthorized`; thrown in the `authenticate` of a server it closes the connection with 4401.
 *
 * @example
 * const client = new Client('wss://example.com/live', {
 *   auth: async ({ signal }) => {
 *     const response = await fetch('/token', { signal });
 *     if (response.status === 401) throw new UnauthorizedError('logged out');
 *     return response.text();
 *   },
 * });
 */
export class UnauthorizedError extends HoldfastError {
  override readonly name = 'UnauthorizedError';

  /**
   * @param message for people; a server tells it to the client, as the close reason
   * @param cause what it comes from
   */
  constructor(message = 'Not authorized', cause?: unknown) {
    super('UNAUTHENTICATED', message, cause);
  }
}

/**
 * What was asked for is not offered by this protocol, or not by this server: see {@link Capabilities}. Its code is `UNSUPPORTED`.
 *
 * @example
 * try {
 *   await client.call('add', { a: 1, b: 2 });
 * } catch (error) {
 *   if (error instanceof UnsupportedError) console.log('this server takes no calls');
 * }
 */
export class UnsupportedError extends HoldfastError {
  override readonly name = 'UnsupportedError';

  /**
   * @param what is asked for
   * @param who does not offer it
   */
  constructor(what: string, who: string) {
    super('UNSUPPORTED', `${who} does not offer ${what}`);
  }
}
