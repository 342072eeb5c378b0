/**
 * The seam between a client and the protocol of its server. A client speaks in frames (event, request, subscribe …); a protocol says how
 * these look in messages, what of it the server can do, and what a close means. The Holdfast protocol is one of them.
 */

import type { HoldfastError } from '../errors.ts';
import type { Message, Payload } from './codec.ts';
import type { Bye, Declaration, Outgoing, Resume, ServerFrame, SubscribeResult, WireError } from './frames.ts';

/**
 * What can be asked of a server. What is missing is an {@link UnsupportedError} where it is asked for. With the Holdfast protocol these are
 * the features of the welcome (docs/protocol.md, section Frames).
 *
 * @example
 * if (client.capabilities.calls) console.log(await client.call('time'));
 */
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
  /** Calls with items of the client's own. */
  readonly uploads: boolean;
  /** Who is there on a channel. */
  readonly presence: boolean;
}

/**
 * Nothing but events: for a {@link Protocol} of your own to start from.
 *
 * @example
 * const capabilities: Capabilities = { ...NO_CAPABILITIES, calls: true };
 */
export const NO_CAPABILITIES: Capabilities = {
  calls: false,
  serverCalls: false,
  cancel: false,
  channels: false,
  binary: false,
  streams: false,
  resume: false,
  recovery: false,
  uploads: false,
  presence: false,
};

/** What a client brings to the opening of a connection. */
export interface Opening {
  /** The credentials: what the option `auth` returned; `undefined` without it. */
  readonly auth: unknown;
  /** Consecutive failures so far: telemetry. */
  readonly attempt: number;
  /** How the connection before ended, as its kind and code: telemetry. `undefined` where there was none. */
  readonly cause: string | undefined;
  /** The largest message that this side takes, in bytes. */
  readonly limit: number;
  /**
   * The channels to be subscribed to. Ask at the moment when they are written: what is subscribed later is asked for by frame.
   *
   * @returns each channel as `{ channel, params? }`
   */
  subscriptions(): readonly Declaration[];
  /**
   * The session to go on with. Ask at the moment when it is written: each time counts as another hello.
   *
   * @returns `{ session, key, generation, received }`; `undefined` where there is none
   */
  resume(): Resume | undefined;
  /**
   * To be told when the server says goodbye instead of welcome; its close follows.
   *
   * @param frame the bye: `{ type: 'bye', code, reason?, reconnect, resume, retryAfter? }`
   */
  bye(frame: Bye): void;
}

/** What was agreed on in the opening of a connection. */
export interface Opened {
  /** What the server can do of what the protocol can. */
  readonly capabilities: Capabilities;
  /** The largest message that the server takes, in bytes. */
  readonly limit: number;
  /** When the server pings, and how long it waits, in milliseconds; `undefined` for no heartbeat. */
  readonly heartbeat?:
    | {
        /** Silence after which the server pings. */
        readonly interval: number;
        /** How long it waits then. */
        readonly timeout: number;
      }
    | undefined;
  /** What became of the declared channels, each as `{ channel, recovered?, error? }`; those that are missing are asked for by frame. */
  readonly subscriptions: readonly SubscribeResult[];
  /** Whether the session before goes on. */
  readonly resumed: boolean;
  /** The session of this connection, where the server has the capability `resume`. */
  readonly session?: SessionGrant | undefined;
  /** Milliseconds that the server remembers the outcome of an idempotent call; 0, or nothing, where it does not. */
  readonly idempotency?: number;
  /** Who the client is taken for, in any words: where they are others than those before, what waits is somebody else's, and dropped. */
  readonly identity?: string | undefined;
  /** What came in the same message as the answer, after it. */
  readonly rest?: readonly ServerFrame[];
}

/** A session, as a server grants it. */
export interface SessionGrant {
  /** Its name. */
  readonly session: string;
  /** The secret that goes on with it. */
  readonly key: string;
  /** The number of the last frame that the server has received, where the session before goes on; 0 for a new one. */
  readonly received: number;
  /** Frames that the server lets the client leave unacknowledged. */
  readonly window: number;
  /** Why the session before does not go on, where it was asked for. */
  readonly error?: WireError | undefined;
}

/** A socket during the opening: messages in order, nothing else. */
export interface OpeningSocket {
  /** The subprotocol that the server chose, or "". */
  readonly protocol: string;
  /**
   * Sends at once, ahead of everything in the outbox.
   *
   * @param message text or bytes
   */
  send(message: Message): void;
  /**
   * The next message. Rejects with a {@link HoldfastError} with the code HANDSHAKE_FAILED when the connection ends first.
   *
   * @returns text, or bytes as an ArrayBuffer
   */
  receive(): Promise<unknown>;
}

/** How a connection ended, as far as a protocol wants to know. */
export interface Ending {
  /** The `kind` of the {@link Loss}. */
  readonly kind: string;
  /** The close code as the browser gave it, or a synthetic one. */
  readonly code: number;
  /** What went wrong, where that is known. */
  readonly error?: HoldfastError | undefined;
  /** Whether the opening had succeeded: before that, nothing proves that the peer speaks this protocol. */
  readonly welcomed: boolean;
  /** What the server said before it closed; `undefined` where it said nothing. */
  readonly bye: Bye | undefined;
  /** Suspect endings in a row before this one. */
  readonly suspects: number;
}

/** What an ending means. */
export interface EndingRuling {
  /**
   * `retry`: try again. `suspect`: the same, but the third in a row is final. `reauthorize`: try again with fresh credentials, but the
   * second in a row is final. The others are final at once, and become the {@link ClosedCause}.
   */
  readonly verdict: 'retry' | 'suspect' | 'reauthorize' | 'refused' | 'unauthorized' | 'superseded';
  /** When the server wants to see the client again: not before `ms` milliseconds, or, to `spread` a crowd, at any time within them. */
  readonly retryAfter?:
    | {
        /** Milliseconds. */
        readonly ms: number;
        /** Whether they are the end of a span, not its beginning. */
        readonly spread: boolean;
      }
    | undefined;
  /** Whether the session is over: what was not answered is lost then, and the next connection begins another one. @default false */
  readonly forget?: boolean;
}

/** Close codes that a client sends, whatever the protocol: the opening took too long; a message made no sense; a number was missing. */
export const HANDSHAKE_TIMEOUT = 4002;
/** An acknowledgement is not put off for longer than this; milliseconds. */
export const ACK_WITHIN = 1_000;
/** A server waits for so many times `heartbeat.timeout` before it gives a client up: its page may have a long task to do. */
export const PATIENCE = 4;
export const UNDECODABLE = 4003;
export const SEQUENCE_GAP = 4412;

/**
 * How a client speaks to its server: an adapter, for servers that speak another protocol than Holdfast's. A client speaks in the frames of
 * docs/protocol.md; a protocol says how these look in messages, what of it the server can do, and what a close means. It keeps nothing:
 * what belongs to a connection is in its arguments.
 *
 * @example
 * // Events as {"event":"name","data":…}, and nothing else.
 * const plain: Protocol = {
 *   name: 'The plain protocol',
 *   subprotocols: [],
 *   capabilities: NO_CAPABILITIES,
 *   batches: false,
 *   pings: false,
 *   encode: (frame, payload) => (frame.type === 'event' ? `{"event":${JSON.stringify(frame.name)},"data":${payload}}` : undefined),
 *   decode(message) {
 *     const { event, data } = JSON.parse(String(message));
 *     if (typeof event !== 'string') throw new ProtocolError('A message has an event');
 *     return [{ type: 'event', name: event, data }];
 *   },
 *   classify: ({ code }) => ({ verdict: code === 4403 ? 'refused' : 'retry' }),
 * };
 * const client = new Client('wss://example.com/events', { protocol: plain });
 */
export interface Protocol {
  /** For error messages. */
  readonly name: string;
  /** Subprotocols offered to the server, most wanted first (RFC 6455, section 1.9); none is fine. */
  readonly subprotocols: readonly string[];
  /** What it can do where the server can. */
  readonly capabilities: Capabilities;
  /**
   * Opens a connection over a socket that has just opened. A protocol without it is open as soon as the socket is. Rejecting is a failed
   * attempt: with a {@link ProtocolError} the connection is closed with 4003, with anything else the error is HANDSHAKE_FAILED.
   *
   * @param socket messages in order, nothing else
   * @param opening what the client brings
   * @returns what was agreed on
   */
  open?(socket: OpeningSocket, opening: Opening): Promise<Opened>;
  /**
   * A frame with its payload, as a message. Besides what the capabilities offer it is asked for `bye`, and for `pong` where the server
   * pings. With the capability `resume` there are `ack` and `skip` too, and the tracked ones have a number.
   *
   * @param frame the frame, without its payload
   * @param payload JSON, or bytes where the capability `binary` is there; `undefined` where the frame has none
   * @param seq the number of the frame in its session, where it has one
   * @returns the message; `undefined` where there is nothing to say
   */
  encode(frame: Outgoing, payload: Payload | undefined, seq?: number): Message | undefined;
  /**
   * The frames of a message, one after the other: those before a malformed one are handled.
   *
   * @param message text, or bytes as an ArrayBuffer
   * @returns the frames; none where there is nothing to handle
   * @throws {@link ProtocolError} at what the protocol does not allow; anything else that it throws counts as one. The connection is closed
   * with 4003 then
   */
  decode(message: unknown): Iterable<ServerFrame>;
  /** Whether frames that are written in one task may share a message: `[frame,frame]`. */
  readonly batches: boolean;
  /** Whether the server answers pings: a client has no heartbeat of its own without. */
  readonly pings: boolean;
  /**
   * Whether to try again after an ending.
   *
   * @param ending how the connection ended
   * @returns what that means
   */
  classify(ending: Ending): EndingRuling;
}
