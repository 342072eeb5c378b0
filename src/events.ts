/** The events of a connection. Classes of our own, since some runtimes lack CloseEvent; where it exists, ours are instances of it. */

import type { DropCause } from './caller.ts';
import type { Drop, DropReason } from './core/queue.ts';
import type { Loss, State } from './core/state.ts';
import type { ChannelState } from './core/subscriptions.ts';
import type { HoldfastError } from './errors.ts';
import type { Data } from './io/web-socket.ts';
import type { Member } from './wire/frames.ts';

/** What had been accepted and had not gone out when a connection ended: the `unsent` of a {@link ReconnectingCloseEvent}. */
export interface Unsent {
  /** Bytes that the socket still held: these are gone. What it had passed to the network may have arrived or not; nobody can know. */
  readonly lostBytes: number;
  /** Messages that wait in the queue or outbox: kept if `willReconnect`, otherwise each is dropped, with a `drop` event of its own. */
  readonly queuedMessages: number;
  /** Bytes of these messages, counted as the limits of the queue or outbox count them. */
  readonly queuedBytes: number;
}

const NativeCloseEvent: new (type: string) => Event = typeof CloseEvent === 'function' ? CloseEvent : Event;

/**
 * A connection ended, or an attempt failed. Exactly one has `willReconnect: false`: the last. It is a `CloseEvent` where the platform has
 * these (WHATWG WebSockets, section 6).
 *
 * @example
 * socket.addEventListener('close', ({ code, willReconnect, unsent }) => {
 *   console.log(willReconnect ? `lost (${code}), ${unsent.queuedMessages} messages wait` : `closed for good (${code})`);
 * });
 */
export class ReconnectingCloseEvent extends NativeCloseEvent {
  /**
   * The close code as the browser gave it, or a synthetic one: 4000 heartbeat lost, 4001 `reconnect()`, 4002 no welcome in time, 4003 the
   * server broke the protocol, 4412 a message of the session is missing, 1006 for the rest. The last three 4xxx are a client's
   * (docs/protocol.md, section Close codes).
   */
  declare readonly code: number;
  /** The close reason, up to 123 bytes of UTF-8; "" where there is none. */
  declare readonly reason: string;
  /** Whether the closing handshake was completed (RFC 6455, section 7.1.4). */
  declare readonly wasClean: boolean;
  /** Whether another attempt follows. */
  declare readonly willReconnect: boolean;
  /** What had not gone out. */
  declare readonly unsent: Unsent;

  /** @internal */
  constructor({ code, reason, wasClean }: Loss, willReconnect: boolean, unsent: Unsent) {
    super('close');
    define(this, { code, reason, wasClean, willReconnect, unsent });
  }
}

/**
 * A connection or an attempt failed; a `close` event follows.
 *
 * @example
 * socket.addEventListener('error', ({ error }) => console.log(error.code, error.message));
 */
export class ReconnectingErrorEvent extends Event {
  /** What went wrong, as far as the browser tells. */
  declare readonly error: HoldfastError;
  /** The message of the error. */
  declare readonly message: string;

  /** @internal */
  constructor(error: HoldfastError) {
    super('error');
    define(this, { error, message: error.message });
  }
}

/**
 * The state of a connection is another one.
 *
 * @example
 * socket.addEventListener('statechange', ({ state, previous }) => {
 *   if (state.status === 'open' && previous.status === 'connecting') console.log('connected');
 * });
 */
export class StateChangeEvent extends Event {
  /** The state that begins. Where a listener before has changed it again, another event follows. */
  declare readonly state: State;
  /** The state that ended. */
  declare readonly previous: State;

  /** @internal */
  constructor(state: State, previous: State) {
    super('statechange');
    define(this, { state, previous });
  }
}

/**
 * A message that the `send` of a {@link ReconnectingWebSocket} accepted will not be sent.
 *
 * @example
 * socket.addEventListener('drop', ({ data, reason }) => console.warn(`not sent (${reason})`, data));
 */
export class DropEvent extends Event {
  /** The message: its own copy, where it was a buffer that waited. */
  declare readonly data: Data;
  /** Its size in bytes, text as UTF-8. */
  declare readonly bytes: number;
  /** Why it is dropped. */
  declare readonly reason: DropReason;

  /** @internal */
  constructor({ value, bytes, reason }: Drop<Data>) {
    super('drop');
    define(this, { data: value, bytes, reason });
  }
}

/**
 * A client has a connection: the server has welcomed it, and what waited has been written.
 *
 * @example
 * client.addEventListener('open', ({ recovered }) => {
 *   if (!recovered) console.log('a channel may have missed messages');
 * });
 */
export class OpenEvent extends Event {
  /** Whether the session before goes on, so that nothing written is lost; `false` with every server that has no sessions. */
  declare readonly resumed: boolean;
  /** Whether no channel has missed anything; `false` when one was subscribed before and its messages were not kept by the server. */
  declare readonly recovered: boolean;

  /** @internal */
  constructor(resumed: boolean, recovered: boolean) {
    super('open');
    define(this, { resumed, recovered });
  }
}

/**
 * Something that a client was given will not be sent, or was refused; or a `for await` loop was too slow for a message. Calls have none:
 * their promise rejects.
 *
 * @example
 * client.addEventListener('drop', ({ kind, name, reason, error }) => console.warn(`${kind} ${name} dropped: ${reason}`, error));
 */
export class ClientDropEvent extends Event {
  /** An event that was sent, a message that was published, or one that was received and that a slow loop did not fetch. */
  declare readonly kind: 'event' | 'publish' | 'message';
  /** The name of the event or channel. */
  declare readonly name: string;
  /** The data as the other side would have got it: through JSON, or as a `Uint8Array`. */
  declare readonly data: unknown;
  /** Why it is dropped. */
  declare readonly reason: DropCause;
  /** Why, in detail; `undefined` for a message that a loop did not fetch. */
  declare readonly error: Error | undefined;

  /** @internal */
  constructor(kind: ClientDropEvent['kind'], name: string, data: unknown, reason: DropCause, error?: Error) {
    super('drop');
    define(this, { kind, name, data, reason, error });
  }
}

/**
 * An event or a call came in that has no handler. The call is answered with `UNIMPLEMENTED`.
 *
 * @example
 * client.addEventListener('unhandled', ({ kind, name }) => console.warn(`no handler for the ${kind} ${name}`));
 */
export class UnhandledEvent extends Event {
  /** Whether `on` or `handle` would have taken it. */
  declare readonly kind: 'event' | 'call';
  /** The name of the event or method. */
  declare readonly name: string;
  /** The data of the event; `undefined` for a call. */
  declare readonly data: unknown;

  /** @internal */
  constructor(kind: UnhandledEvent['kind'], name: string, data: unknown) {
    super('unhandled');
    define(this, { kind, name, data });
  }
}

/**
 * A connection or an attempt of a client failed, and a `close` event follows; or the server refused or ended a channel, or refused to say
 * who is there.
 *
 * @example
 * client.addEventListener('error', ({ error }) => {
 *   if (error instanceof CallError) console.warn('a channel was refused', error.code);
 *   else console.warn('the connection failed', error);
 * });
 */
export class ClientErrorEvent extends Event {
  /** What went wrong: a {@link HoldfastError} of the connection, or the {@link CallError} of the channel or presence. */
  declare readonly error: Error;
  /** The message of the error. */
  declare readonly message: string;

  /** @internal */
  constructor(error: Error) {
    super('error');
    define(this, { error, message: error.message });
  }
}

/**
 * A message on a channel. It comes only while the channel is subscribed: a listener alone does not subscribe.
 *
 * @example
 * const room = client.channel('room:kelp');
 * room.addEventListener('message', ({ data, from }) => console.log(from, data));
 * room.subscribe();
 */
export class ChannelMessageEvent<T> extends Event {
  /** What was published. */
  declare readonly data: T;
  /** Its place in the history of the channel; `undefined` where the server keeps none. */
  declare readonly offset: number | undefined;
  /** Who published it; `undefined` where the server does not say. */
  declare readonly from: string | undefined;

  /** @internal */
  constructor(data: T, { offset, from }: { readonly offset?: number | undefined; readonly from?: string | undefined }) {
    super('message');
    define(this, { data, offset, from });
  }
}

/**
 * The state of a channel is another one.
 *
 * @example
 * client.channel('room:kelp').addEventListener('statechange', ({ state }) => {
 *   if (state.status === 'failed') console.warn('refused', state.error.code);
 * });
 */
export class ChannelStateEvent extends Event {
  /** The state that begins. */
  declare readonly state: ChannelState;

  /** @internal */
  constructor(state: ChannelState) {
    super('statechange');
    define(this, { state });
  }
}

/**
 * Messages of a channel may be missing here: load what you show anew.
 *
 * @example
 * client.channel('room:kelp').addEventListener('gap', async () => {
 *   console.log(await client.call('history', { room: 'kelp' }));
 * });
 */
export class GapEvent extends Event {
  /** `reconnected`: the server does not have all that was published meanwhile. `overflow`: a loop was too slow for the messages. */
  declare readonly reason: 'reconnected' | 'overflow';

  /** @internal */
  constructor(reason: GapEvent['reason']) {
    super('gap');
    define(this, { reason });
  }
}

/**
 * Somebody came to a channel, shows something else there, or left it.
 *
 * @example
 * people.addEventListener('join', ({ member }) => console.log(member.from, 'is here'));
 */
export class MemberEvent<T> extends Event {
  /** Who, with what it shows; what it showed last, where it left. */
  declare readonly member: Member<T>;
  /** As it was before an `update`; `undefined` otherwise. */
  declare readonly previous: Member<T> | undefined;

  /** @internal */
  constructor(type: 'join' | 'update' | 'leave', member: Member<T>, previous: Member<T> | undefined) {
    super(type);
    define(this, { member, previous });
  }
}

/** Own properties, over the accessors that a native base class has. */
function define(event: Event, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) Object.defineProperty(event, name, { value, enumerable: true });
}
