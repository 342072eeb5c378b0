/** Publishing on a channel: a call in every respect but its receipt. */

import type { DropCause, Question } from './caller.ts';
import type { Published, PublishOptions } from './channel.ts';
import { checkEach } from './client-options.ts';
import { CallError, type ClosedError } from './errors.ts';
import { type Receipt, Ticket } from './receipt.ts';
import { decodePayload, type Payload } from './wire/codec.ts';

/** What publishing needs of the client. */
export interface PublishingHost {
  /** Why there is no connection to come, where that is so. */
  closed(): ClosedError | undefined;
  /** Encodes a payload; throws where it cannot be sent. */
  encode(data: unknown): Payload;
  /** Asks the server, and counts it as sent. */
  publish(question: Question): Promise<unknown>;
  dropped(kind: 'publish', name: string, data: unknown, reason: DropCause, error?: Error): void;
  /** A message was written and what became of it will not be known. */
  unconfirmed(): void;
}

/** Publishes. Throws what cannot be sent, or has no room. */
export function publish(host: PublishingHost, channel: string, data: unknown, options: PublishOptions): Receipt<Published> {
  const { ttl = Infinity, key, priority } = checkEach(options, 'send');
  const payload = host.encode(data);
  const withdrawn = new AbortController();
  const ticket = new Ticket<Published>(() => {
    withdrawn.abort();
    return true;
  });
  const drop = (reason: DropCause, error: Error) => {
    if (ticket.status === 'dropped') return; // told already, or taken back
    ticket.dropped(error);
    host.dropped('publish', channel, decodePayload(payload), reason, error);
  };
  const failed = (error: Error) => {
    if (error instanceof CallError) return drop('refused', error);
    if (ticket.status !== 'sent') return drop('expired', error);
    // Written, and then nobody said what became of it.
    host.unconfirmed();
    ticket.unknown(error);
  };
  const closed = host.closed();
  if (closed) drop('closed', closed);
  else
    host
      .publish({
        what: `the message on ${channel}`,
        payload,
        needs: 'channels',
        timeout: ttl,
        signal: withdrawn.signal,
        waiting: { key: key === undefined ? undefined : JSON.stringify(['channel', channel, key]), priority },
        frame: (id) => ({ type: 'publish', id, channel }),
        sent: () => ticket.sent(),
        dropped: drop,
      })
      .then((result) => ticket.succeed({ offset: (result as Published | undefined)?.offset }), failed);
  return ticket;
}
