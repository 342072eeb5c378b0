/** New credentials on the connection that there is, when the server asks for them (docs/protocol.md, section Credentials). */

import { backoff } from './core/backoff.ts';
import { UnauthorizedError } from './errors.ts';
import type { Clock } from './io/clock.ts';

/** What a refresh needs of its client. */
export interface RefreshHost {
  readonly clock: Clock;
  readonly random: () => number;
  /** Asks the user for credentials. */
  ask(signal: AbortSignal): Promise<unknown>;
  /** Hands them to the server; rejects where it does not take them. */
  tell(credentials: unknown): Promise<unknown>;
  /** It has failed, and is tried again while there is time. */
  failed(error: unknown): void;
  /** Nobody has credentials any more. */
  unauthorized(error: UnauthorizedError): void;
}

/** One at a time: whoever asks meanwhile is answered by the one under way. */
export class Refresh {
  readonly #host: RefreshHost;
  #abort: AbortController | undefined;
  #timer: unknown;

  constructor(host: RefreshHost) {
    this.#host = host;
  }

  /** The server wants them, within so many milliseconds. */
  begin(within: number): void {
    if (this.#abort) return;
    this.#abort = new AbortController();
    void this.#try(this.#abort.signal, this.#host.clock.now() + within, 1);
  }

  /** The connection is over, or whoever it was for is gone. */
  stop(): void {
    this.#host.clock.clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = undefined;
  }

  async #try(signal: AbortSignal, end: number, attempt: number): Promise<void> {
    const { clock, random, ask, tell, failed, unauthorized } = this.#host;
    try {
      const credentials = await ask(signal);
      if (signal.aborted) return;
      await tell(credentials);
      if (!signal.aborted) this.stop();
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof UnauthorizedError) {
        this.stop();
        return unauthorized(error);
      }
      failed(error);
      const delay = backoff(attempt, random());
      if (clock.now() + delay >= end) return this.stop(); // the server ends it, and another connection begins with fresh ones
      this.#timer = clock.setTimeout(() => void this.#try(signal, end, attempt + 1), delay);
    }
  }
}
