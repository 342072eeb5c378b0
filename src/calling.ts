/** Calling a method of the server: a question with a deadline, which may be asked again where it is idempotent. */

import type { Question } from './caller.ts';
import { checkEach } from './client-options.ts';
import type { CallOptions } from './client-types.ts';
import type { ClosedError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import { encodePayload } from './wire/codec.ts';

/** What calling needs of the client. */
export interface CallingHost {
  readonly clock: Clock;
  /** Milliseconds that a call may take, unless it says otherwise. */
  readonly callTimeout: number;
  /** Why there is no connection to come, where that is so. */
  closed(): ClosedError | undefined;
  /** A key for an idempotent call. */
  newKey(): string;
  /** Until when the server remembers what was asked first at that time. */
  remembers(since: number): number | undefined;
  /** Asks the server, and counts it as sent. */
  ask(question: Question): Promise<unknown>;
}

/** Calls. Throws what cannot be sent, or has no room. */
export function call(host: CallingHost, method: string, params: unknown, options: CallOptions): Promise<unknown> {
  const { clock } = host;
  const { signal, timeout = host.callTimeout, idempotent = false } = checkEach(options, 'call');
  const payload = encodePayload(params);
  const closed = host.closed();
  if (closed) throw closed;
  const idempotencyKey = idempotent === true ? host.newKey() : idempotent || undefined;
  let since = Infinity;
  return host.ask({
    name: method,
    what: `the call of ${method}`,
    payload,
    needs: 'calls',
    timeout,
    signal,
    frame: (id, left) => ({
      type: 'request',
      id,
      method,
      ...(left !== Infinity && { timeout: Math.ceil(left) }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    }),
    sent: () => {
      since = clock.now();
    },
    again: () => (idempotencyKey === undefined ? undefined : host.remembers(since)),
  });
}
