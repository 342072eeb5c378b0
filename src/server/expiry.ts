/** Until when a client is who it says: it is asked for new credentials in good time, and closed without them (docs/protocol.md, Credentials). */

import { clampDelay, MAX_DELAY } from '../core/backoff.ts';
import { CallError, UnauthorizedError } from '../errors.ts';
import type { Clock } from '../io/clock.ts';
import { wireError } from '../wire/errors.ts';
import type { WireError } from '../wire/frames.ts';

/** What it needs of its connection. */
export interface ExpiryHost {
  readonly clock: Clock;
  /** New credentials are wanted, within so many milliseconds. */
  ask(within: number): void;
  /** They have not come. */
  over(): void;
  /** Who has these credentials; throws where nobody does. */
  authenticate(auth: unknown): unknown;
  /** Until when a principal is who it says, in epoch milliseconds. */
  expiresAt(principal: unknown): number;
  /** Takes note of who it is from now on; false where that is somebody else than the one who is there. */
  accept(principal: unknown): boolean;
  /** Nobody is there to be answered any more. */
  isOver(): boolean;
  /** The server itself has failed. */
  failed(error: unknown): void;
}

/** How long before the end a client is asked, if it has so long; milliseconds. */
const LEAD = 30_000;

export class Expiry {
  readonly #host: ExpiryHost;
  #timer: unknown;
  /** New credentials are being looked at. */
  #isRenewing = false;

  constructor(host: ExpiryHost) {
    this.#host = host;
  }

  /** It is who it says until then, in epoch milliseconds. */
  begin(at: number): void {
    const { clock } = this.#host;
    this.stop();
    if (at === Infinity) return;
    const left = at - clock.wall();
    if (left > MAX_DELAY) this.#timer = clock.setTimeout(() => this.begin(at), MAX_DELAY);
    else if (left <= 0) this.#timer = clock.setTimeout(() => this.#host.over(), 0);
    else this.#wait(left);
  }

  /**
   * Fresh credentials have come: of the same principal, since all that there is belongs to it.
   *
   * @returns why they are not taken; undefined where they are, or nobody waits for an answer
   */
  async renew(auth: unknown): Promise<WireError | undefined> {
    const { authenticate, expiresAt, accept, isOver, failed } = this.#host;
    if (this.#isRenewing) return { code: 'RESOURCE_EXHAUSTED', message: 'Other credentials are being looked at' };
    this.#isRenewing = true;
    try {
      const principal = await authenticate(auth);
      if (isOver()) return undefined;
      if (!accept(principal)) return { code: 'FAILED_PRECONDITION', message: 'They are those of somebody else' };
      this.begin(expiresAt(principal));
      return undefined;
    } catch (error) {
      if (error instanceof UnauthorizedError) return { code: 'UNAUTHENTICATED', message: error.message };
      if (error instanceof CallError) return wireError(error);
      failed(error);
      return { code: 'INTERNAL', message: 'authentication failed' };
    } finally {
      this.#isRenewing = false;
    }
  }

  stop(): void {
    this.#host.clock.clearTimeout(this.#timer);
  }

  #wait(left: number): void {
    const { clock } = this.#host;
    const within = Math.ceil(Math.min(LEAD, left / 2));
    this.#timer = clock.setTimeout(
      () => {
        this.#timer = clock.setTimeout(() => this.#host.over(), within);
        this.#host.ask(within);
      },
      clampDelay(left - within),
    );
  }
}
