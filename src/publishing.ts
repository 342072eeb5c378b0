/** Publishing on a channel: a call in every respect but its receipt. */

import type { DropCause, Question } from './caller.ts';
import type { Published, PublishOptions } from './channel.ts';
import { checkEach } from './client-options.ts';
import { CallError, type ClosedError, HoldfastError, SessionLostError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import { type Receipt, Ticket } from './receipt.ts';
import { decodePayload, type Payload } from './wire/codec.ts';

/** What publishing needs of the client. */
export interface PublishingHost {
  /** Why there is no connection to come, where that is so. */
  closed(): ClosedError | undefined;
  /** Whether what may have been lost with a session is sent again. */
  readonly resends: boolean;
  readonly clock: Clock;
  /** A key for idempotent publishing. */
  newKey(): string;
  /** Whether what was written belonged to a session. */
  hasSession(): boolean;
  /** Until when the server remembers what was asked first at that time. */
  remembers(since: number): number | undefined;
  /** Encodes a payload; throws where it cannot be sent. */
  encode(data: unknown): Payload;
  /** Asks the server, and counts it as sent. */
  publish(question: Question): Promise<unknown>;
  dropped(kind: 'publish', name: string, data: unknown, reason: DropCause, error?: Error): void;
  /** A message was written and what became of it will not be known. */
  unconfirmed(): void;
}

/** Reasons that say nothing of whether it arrived before. */
const UNKNOWN: readonly DropCause[] = ['closed', 'signed-out', 'expired', 'overflow', 'session-lost'];

/** Publishes. Throws what cannot be sent, or has no room. */
export function publish(host: PublishingHost, channel: string, data: unknown, options: PublishOptions): Receipt<Published> {
  const { ttl = Infinity, key, priority, idempotent = false } = checkEach(options, 'publish');
  const idempotencyKey = idempotent === true ? host.newKey() : idempotent || undefined;
  let since = Infinity;
  /** It was not received in a session that is lost, and is not sent again. */
  let isLost = false;
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
    if (isLost && error instanceof SessionLostError) return drop('session-lost', error);
    // Written, and then nobody said what became of it.
    host.unconfirmed();
    ticket.unknown(error);
  };
  const closed = host.closed();
  if (closed) drop('closed', closed);
  else
    host
      .publish({
        kind: 'publish',
        name: channel,
        what: `the message on ${channel}`,
        cancelled: () => ticket.dropped(new HoldfastError('CANCELLED', 'It was taken back')),
        payload,
        needs: 'channels',
        timeout: ttl,
        signal: withdrawn.signal,
        waiting: { key: key === undefined ? undefined : JSON.stringify(['channel', channel, key]), priority },
        frame: (id) => ({ type: 'publish', id, channel, ...(idempotencyKey !== undefined && { idempotencyKey }) }),
        sent: () => {
          since = host.clock.now();
          ticket.sent();
        },
        // Written before, in a session that is lost, it may have arrived: what is known is told by its end.
        dropped: (reason, error) => (ticket.status === 'sent' && UNKNOWN.includes(reason) ? undefined : drop(reason, error)),
        again: (received) => {
          isLost = !host.resends && !received;
          if (!host.resends || (idempotencyKey === undefined && !host.hasSession())) return undefined;
          return idempotencyKey !== undefined ? host.remembers(since) : received ? undefined : Infinity;
        },
      })
      .then((result) => ticket.succeed({ offset: (result as Published | undefined)?.offset }), failed);
  return ticket;
}
