/** The events of a connection. Classes of our own, since some runtimes lack CloseEvent; where it exists, ours are instances of it. */

import type { DropCause } from './caller.ts';
import type { Drop, DropReason } from './core/queue.ts';
import type { Loss, State } from './core/state.ts';
import type { ChannelState } from './core/subscriptions.ts';
import type { HoldfastError } from './errors.ts';
import type { Data } from './io/web-socket.ts';

/** What `send` had accepted and what had not gone out when a connection ended. */
export interface Unsent {
  /** Bytes that the dead socket still held: these are gone. What it had passed to the network may have arrived or not; nobody can know. */
  readonly lostBytes: number;
  /** Messages waiting in the queue: kept if `willReconnect`, otherwise each is reported by a `drop` event. */
  readonly queuedMessages: number;
  /** Their bytes. */
  readonly queuedBytes: number;
}

const NativeCloseEvent: new (type: string) => Event = typeof CloseEvent === 'function' ? CloseEvent : Event;

/** A connection ended, or an attempt failed. Exactly one has `willReconnect: false`: the last. */
export class ReconnectingCloseEvent extends NativeCloseEvent {
  /** The close code as the browser gave it; 4000 when the heartbeat was lost, 4001 after `reconnect()`. */
  declare readonly code: number;
  declare readonly reason: string;
  /** Whether the closing handshake was completed. */
  declare readonly wasClean: boolean;
  /** Whether another attempt follows. */
  declare readonly willReconnect: boolean;
  declare readonly unsent: Unsent;

  constructor({ code, reason, wasClean }: Loss, willReconnect: boolean, unsent: Unsent) {
    super('close');
    define(this, { code, reason, wasClean, willReconnect, unsent });
  }
}

/** A connection or an attempt failed; a `close` event follows. */
export class ReconnectingErrorEvent extends Event {
  /** What went wrong, as far as the browser tells. */
  declare readonly error: HoldfastError;
  declare readonly message: string;

  constructor(error: HoldfastError) {
    super('error');
    define(this, { error, message: error.message });
  }
}

/** The state is another one. */
export class StateChangeEvent extends Event {
  declare readonly state: State;
  declare readonly previous: State;

  constructor(state: State, previous: State) {
    super('statechange');
    define(this, { state, previous });
  }
}

/** A message that was accepted by `send` will not be sent. */
export class DropEvent extends Event {
  /** The message. */
  declare readonly data: Data;
  /** Its size in bytes, text as UTF-8. */
  declare readonly bytes: number;
  /** `overflow`: no room. `expired`: it waited too long. `closed`: there is no connection to come. `failed`: the socket would not take it. */
  declare readonly reason: DropReason;

  constructor({ value, bytes, reason }: Drop<Data>) {
    super('drop');
    define(this, { data: value, bytes, reason });
  }
}

/** A connection is there. */
export class OpenEvent extends Event {
  /** Whether the session before goes on: nothing that was written is lost. */
  declare readonly resumed: boolean;
  /** Whether no channel may have missed anything. */
  declare readonly recovered: boolean;

  constructor(resumed: boolean, recovered: boolean) {
    super('open');
    define(this, { resumed, recovered });
  }
}

/** Something that a client was given will not be sent, or was refused; or an iterator had no room for a message. */
export class ClientDropEvent extends Event {
  /** An event that was sent, a message that was published, or one that was received and that a slow loop did not fetch. */
  declare readonly kind: 'event' | 'publish' | 'message';
  /** The name of the event or channel. */
  declare readonly name: string;
  declare readonly data: unknown;
  /**
   * `overflow`: no room. `expired`: it waited too long. `replaced`: a newer one has its key. `closed`: there is no connection to come.
   * `too-large`: the server does not take so much. `unsupported`: it does not take such a thing. `volatile`: there was no connection at
   * that moment. `refused`: the server said no.
   */
  declare readonly reason: DropCause;
  /** Why, in detail. */
  declare readonly error: Error | undefined;

  constructor(kind: ClientDropEvent['kind'], name: string, data: unknown, reason: DropCause, error?: Error) {
    super('drop');
    define(this, { kind, name, data, reason, error });
  }
}

/** Something came in that nobody handles. */
export class UnhandledEvent extends Event {
  declare readonly kind: 'event' | 'call';
  /** The name of the event or method. */
  declare readonly name: string;
  declare readonly data: unknown;

  constructor(kind: UnhandledEvent['kind'], name: string, data: unknown) {
    super('unhandled');
    define(this, { kind, name, data });
  }
}

/** Something failed that nobody else is told about, or a connection or an attempt did, and a `close` event follows. */
export class ClientErrorEvent extends Event {
  declare readonly error: Error;
  declare readonly message: string;

  constructor(error: Error) {
    super('error');
    define(this, { error, message: error.message });
  }
}

/** A message on a channel. */
export class ChannelMessageEvent<T> extends Event {
  declare readonly data: T;
  /** Its place in the history of the channel, where the server keeps one. */
  declare readonly offset: number | undefined;
  /** Who published it, where the server says so. */
  declare readonly from: string | undefined;

  constructor(data: T, { offset, from }: { readonly offset?: number | undefined; readonly from?: string | undefined }) {
    super('message');
    define(this, { data, offset, from });
  }
}

/** The state of a channel is another one. */
export class ChannelStateEvent extends Event {
  declare readonly state: ChannelState;

  constructor(state: ChannelState) {
    super('statechange');
    define(this, { state });
  }
}

/** Messages of a channel may be missing here: load what you show anew. */
export class GapEvent extends Event {
  /** `reconnected`: the server keeps nothing that was published meanwhile. `overflow`: a loop was too slow for the messages. */
  declare readonly reason: 'reconnected' | 'overflow';

  constructor(reason: GapEvent['reason']) {
    super('gap');
    define(this, { reason });
  }
}

/** Own properties, over the accessors that a native base class has. */
function define(event: Event, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) Object.defineProperty(event, name, { value, enumerable: true });
}
