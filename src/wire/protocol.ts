/**
 * The seam between a client and the protocol of its server. A client speaks in frames (event, request, subscribe …); a protocol says how
 * these look in messages, what of it the server can do, and what a close means. The Holdfast protocol is one of them.
 */

import type { HoldfastError } from '../errors.ts';
import type { Message, Payload } from './codec.ts';
import type { Bye, Declaration, Outgoing, ServerFrame, SubscribeResult } from './frames.ts';

/** What can be asked of a server. What is missing is an UnsupportedError where it is asked for. */
export interface Capabilities {
  /** The client may call. */
  readonly calls: boolean;
  /** The server may call. */
  readonly serverCalls: boolean;
  /** A call that was written can be cancelled. */
  readonly cancel: boolean;
  /** Channels: subscribe and publish. */
  readonly channels: boolean;
  /** Payloads may be binary. */
  readonly binary: boolean;
  /** Items of a streamed result. */
  readonly streams: boolean;
  /** What was written and not acknowledged is written again on the next connection, and nothing is handled twice. */
  readonly resume: boolean;
  /** What was missed on a channel comes after. */
  readonly recovery: boolean;
}

/** Nothing but events. */
export const NO_CAPABILITIES: Capabilities = {
  calls: false,
  serverCalls: false,
  cancel: false,
  channels: false,
  binary: false,
  streams: false,
  resume: false,
  recovery: false,
};

/** What a client brings to the opening of a connection. */
export interface Opening {
  readonly auth: unknown;
  /** Consecutive failures, and how the connection before ended: telemetry. */
  readonly attempt: number;
  readonly cause: string | undefined;
  /** The largest message that this side takes, in bytes. */
  readonly limit: number;
  /** The channels to be subscribed to; asked for at the moment when they are written. */
  subscriptions(): readonly Declaration[];
  /** The server said goodbye instead of welcome: its close follows. */
  bye(frame: Bye): void;
}

/** What was agreed on. */
export interface Opened {
  readonly capabilities: Capabilities;
  /** The largest message that the server takes, in bytes. */
  readonly limit: number;
  /** When the server pings; milliseconds. Without it there is no heartbeat. */
  readonly heartbeat?: { readonly interval: number; readonly timeout: number } | undefined;
  /** What became of the declared channels; those that are missing are asked for by frame. */
  readonly subscriptions: readonly SubscribeResult[];
  readonly resumed: boolean;
  /** What came in the same message as the answer, after it. */
  readonly rest?: readonly ServerFrame[];
}

/** A socket during the opening: messages in order, nothing else. */
export interface OpeningSocket {
  /** The subprotocol that the server chose, or "". */
  readonly protocol: string;
  send(message: Message): void;
  /** The next message; rejects when the connection ends first. */
  receive(): Promise<unknown>;
}

/** How a connection ended, as far as a protocol wants to know. */
export interface Ending {
  readonly kind: string;
  readonly code: number;
  readonly error?: HoldfastError | undefined;
  /** Whether the opening had succeeded: before that, nothing proves that the peer speaks this protocol. */
  readonly welcomed: boolean;
  /** What the server said before it closed. */
  readonly bye: Bye | undefined;
  /** Suspect endings in a row before this one. */
  readonly suspects: number;
}

/** What an ending means. */
export interface EndingRuling {
  /** `suspect` is final at the third in a row; `reauthorize` asks for fresh credentials, and is final at the second. */
  readonly verdict: 'retry' | 'suspect' | 'reauthorize' | 'refused' | 'unauthorized' | 'superseded';
  /** When the server wants to see the client again. */
  readonly retryAfter?: { readonly ms: number; readonly spread: boolean } | undefined;
}

/** Close codes that a client sends, whatever the protocol: the opening took too long; a message made no sense. */
export const HANDSHAKE_TIMEOUT = 4002;
export const UNDECODABLE = 4003;

/** A protocol. It keeps nothing: what belongs to a connection is in its arguments. */
export interface Protocol {
  /** For error messages. */
  readonly name: string;
  /** Offered to the server, most wanted first. */
  readonly subprotocols: readonly string[];
  /** What it can do where the server can. */
  readonly capabilities: Capabilities;
  /** Opens a connection; rejecting is a failed attempt. A protocol without it is open as soon as the socket is. */
  open?(socket: OpeningSocket, opening: Opening): Promise<Opened>;
  /** A frame with its payload, as a message. Called for nothing that the capabilities rule out; undefined where there is nothing to say. */
  encode(frame: Outgoing, payload: Payload | undefined): Message | undefined;
  /**
   * The frames of a message, one after the other.
   *
   * @throws ProtocolError at what the protocol does not allow; the connection is closed then
   */
  decode(message: unknown): Iterable<ServerFrame>;
  /** Whether frames that are written in one task may share a message: `[frame,frame]`. */
  readonly batches: boolean;
  /** Whether the server answers pings. */
  readonly pings: boolean;
  /** Whether to try again after an ending. */
  classify(ending: Ending): EndingRuling;
}
