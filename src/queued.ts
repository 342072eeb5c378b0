/** The outbox of a client, to be looked at and weeded. */

import type { Client } from './client.ts';
import type { Contract } from './contract.ts';
import { conversationOf } from './internals.ts';
import { decodePayload } from './wire/codec.ts';

/** Something that waits in the outbox of a client. */
export interface QueuedMessage {
  /** What it was sent with: `send`, `call` (or `stream`), `publish`; of an `upload` it is the next item. */
  readonly kind: 'event' | 'call' | 'publish' | 'upload';
  /** The name of the event, method or channel. */
  readonly name: string;
  /** The data as the other side will get it: through JSON, or as a `Uint8Array`. */
  readonly data: unknown;
  /** Bytes of the data, text as UTF-8. */
  readonly bytes: number;
  /** Its priority; Infinity where it was written in a session that was lost, and is the first to be written again. */
  readonly priority: number;
  /**
   * Takes it back: its receipt, or its call, rejects with a {@link HoldfastError} with the code `CANCELLED`.
   *
   * @returns `false` when it does not wait any more, and for an event that was written before, in a session that was lost
   */
  cancel(): boolean;
}

/**
 * What waits in the outbox of a client, in the order in which it would be written: a list as of now.
 *
 * @param client whose outbox
 * @returns what waits
 * @throws `TypeError` at what is no {@link Client}
 *
 * @example
 * for (const message of queued(client)) if (message.name === 'typing') message.cancel();
 */
export function queued<C extends Contract>(client: Client<C>): QueuedMessage[] {
  return conversationOf(client, 'queued').waiting.map(({ value, bytes, priority }) => ({
    kind: value.kind,
    name: value.name,
    get data() {
      return decodePayload(value.payload);
    },
    bytes,
    priority,
    cancel: () => value.cancel(),
  }));
}
