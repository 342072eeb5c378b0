/** The events of a connection. Classes of our own, since some runtimes lack CloseEvent; where it exists, ours are instances of it. */

import type { Drop, DropReason } from './core/queue.ts';
import type { Loss, State } from './core/state.ts';
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

/** Own properties, over the accessors that a native base class has. */
function define(event: Event, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) Object.defineProperty(event, name, { value, enumerable: true });
}
