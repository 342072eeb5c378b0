/** What a `Client` takes and tells, beside its options: events, arguments, counters. */

import type { ClientDropEvent, ClientErrorEvent, OpenEvent, ReconnectingCloseEvent, StateChangeEvent, UnhandledEvent } from './events.ts';

/** The lifecycle events of a `Client` by name. */
export interface ClientEventMap {
  /** A connection is there: the server has welcomed the client, and what waited has been written. */
  open: OpenEvent;
  /** A connection or an attempt ended. */
  close: ReconnectingCloseEvent;
  /** A connection or an attempt failed (a `close` follows), or the server refused or ended a channel, or refused a presence. */
  error: ClientErrorEvent;
  /** The state is another one; everything that a status line needs. */
  statechange: StateChangeEvent;
  /** A message will not be sent, was refused, or came too fast for its loop. */
  drop: ClientDropEvent;
  /** An event or a call came in that has no handler. */
  unhandled: UnhandledEvent;
}

/** How an event is sent. A bad value is a `TypeError` that names it. */
export interface SendOptions {
  /**
   * Now or never: without a connection, or when it is lost before the event is written, the event is dropped. It is written once at most, in
   * no order with the rest, and never acknowledged. @default false
   */
  readonly volatile?: boolean;
  /** Milliseconds it may wait for a connection, 1 or more; then it is dropped as `expired`. @default Infinity */
  readonly ttl?: number;
  /** The latest of a key, for the same name, is the only one that waits: those before it are dropped as `replaced`. @default none */
  readonly key?: string;
  /** Higher goes first, among what waits; any finite number. @default 0 */
  readonly priority?: number;
}

/** How a call is made. A bad value is a `TypeError` that names it. */
export interface CallOptions {
  /** Aborting it rejects with its reason; the server is told, if it knows of the call. @default none */
  readonly signal?: AbortSignal;
  /** Milliseconds, 1 or more, the time in the outbox included; Infinity for no limit. @default the `callTimeout` of the client */
  readonly timeout?: number;
  /**
   * The server executes it once, also where it is sent again because a session was lost: then the call goes on instead of rejecting, for as
   * long as the server remembers outcomes. A text is a key of your own, for calls that a page makes again after it was loaded again: the same
   * key with other parameters is refused with INVALID_ARGUMENT. @default false
   */
  readonly idempotent?: boolean | string;
}

/** What a handler of a call is told beside the parameters. */
export interface CallContext {
  /** Aborted when the caller cancels, its timeout is over, or the session is lost: nobody waits for the result any more. */
  readonly signal: AbortSignal;
}

/** How to close. */
export interface CloseOptions {
  /** 1000 or 3000 to 4999 (WHATWG WebSockets, section 3.1). @default 1000 */
  readonly code?: number;
  /** Up to 123 bytes of UTF-8 (RFC 6455, section 5.5), for the server and the `close` event. @default '' */
  readonly reason?: string;
  /** Milliseconds that what waits, what is not acknowledged, and calls that are not answered may take first. @default 0 */
  readonly drain?: number;
}

/** Counters since the client was made, and what is under way now. */
export interface ClientStats {
  /** Round trip of the pings on this connection, in milliseconds, smoothed (RFC 6298, section 2); 0 while unknown. */
  readonly roundTrip: number;
  /** Connections that opened. */
  readonly connections: number;
  /** Connections that went on with the session of the one before. */
  readonly resumed: number;
  /** Events, calls and published messages that were written; streams and uploads are not counted. */
  readonly sent: number;
  /** Events that the server acknowledged, and calls and published messages that it answered, refusals not counted. */
  readonly acknowledged: number;
  /** Events, channel messages and calls that came in, handled or not. */
  readonly received: number;
  /** `drop` events. */
  readonly dropped: number;
  /**
   * Events and published messages of which nobody will know whether they arrived: written, and then the client was closed, or a connection
   * without a session was lost, before the server gave a sign of having got them.
   */
  readonly unconfirmed: number;
  /** Events, calls, published messages and items of uploads that wait in the outbox now. */
  readonly queuedMessages: number;
  /** Bytes that wait in the outbox now, as {@link OutboxLimits} counts them. */
  readonly queuedBytes: number;
  /** Frames that were written and that the server has not acknowledged yet: written again if the connection is lost now. */
  readonly unacknowledgedMessages: number;
  /** Bytes of these frames, text as UTF-8. */
  readonly unacknowledgedBytes: number;
  /** Frames that were written again, on another connection, since the client was made. */
  readonly resent: number;
  /** Calls, streams, uploads, published messages, subscriptions and presences that were written and are not answered yet. */
  readonly pendingCalls: number;
  /** WebSocket messages that were sent after the welcome; one may carry up to 64 frames. */
  readonly messagesSent: number;
  /** Bytes of the WebSocket messages that were sent after the welcome, text as UTF-8. */
  readonly bytesSent: number;
  /** WebSocket messages that came in after the welcome. */
  readonly messagesReceived: number;
}
