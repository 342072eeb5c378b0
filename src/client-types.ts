/** What a `Client` takes and tells, beside its options: events, arguments, counters. */

import type { ClientDropEvent, ClientErrorEvent, OpenEvent, ReconnectingCloseEvent, StateChangeEvent, UnhandledEvent } from './events.ts';

/** The lifecycle events of a `Client` by name. */
export interface ClientEventMap {
  /** A connection is there; what waited has been sent. */
  open: OpenEvent;
  /** A connection or an attempt ended. */
  close: ReconnectingCloseEvent;
  /** A connection or an attempt failed (a `close` follows), a channel was refused, or a handler threw. */
  error: ClientErrorEvent;
  /** The state is another one; everything that a status line needs. */
  statechange: StateChangeEvent;
  /** A message will not be sent, was refused, or came too fast for its loop. */
  drop: ClientDropEvent;
  /** Something came in that nobody handles. */
  unhandled: UnhandledEvent;
}

/** How an event is sent. */
export interface SendOptions {
  /** Now or never: without a connection it is dropped. @default false */
  readonly volatile?: boolean;
  /** Milliseconds it may wait for a connection. @default Infinity */
  readonly ttl?: number;
  /** The latest of a key is the only one that waits: those before are dropped. */
  readonly key?: string;
  /** Higher goes first, among what waits. @default 0 */
  readonly priority?: number;
}

/** How a call is made. */
export interface CallOptions {
  /** Aborting it rejects with its reason; the server is told, if it knows of the call. */
  readonly signal?: AbortSignal;
  /** Milliseconds, the time in the outbox included; Infinity for none. @default the `callTimeout` of the client */
  readonly timeout?: number;
}

/** What a handler of a call is told beside the parameters. */
export interface CallContext {
  /** Aborted when the caller cancels, its timeout is over, or the connection is lost. */
  readonly signal: AbortSignal;
}

/** How to close. */
export interface CloseOptions {
  /** 1000 or 3000 to 4999. @default 1000 */
  readonly code?: number;
  /** Up to 123 bytes of UTF-8. */
  readonly reason?: string;
  /** Milliseconds that what waits, and calls that are not answered, may take first. @default 0 */
  readonly drain?: number;
}

/** Counters from the beginning, and what is under way now. */
export interface ClientStats {
  /** Smoothed, in milliseconds; 0 while unknown. */
  readonly roundTrip: number;
  /** Connections that opened. */
  readonly connections: number;
  /** Events, calls and publishes written. */
  readonly sent: number;
  /** Calls and publishes that were answered. */
  readonly acknowledged: number;
  /** Events, channel messages and calls received. */
  readonly received: number;
  /** `drop` events. */
  readonly dropped: number;
  /** Written to a connection that was lost before the server gave a sign of having got them: they may have arrived or not. */
  readonly unconfirmed: number;
  /** In the outbox. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** Calls that were written and are not answered. */
  readonly pendingCalls: number;
  /** WebSocket messages and their bytes. */
  readonly messagesSent: number;
  readonly bytesSent: number;
  readonly messagesReceived: number;
}
