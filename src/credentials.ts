/** The credentials for the server, as the user's `auth` gives them: asked for every time, and for no longer than they may take. */

import type { ProviderContext } from './address.ts';
import { clampDelay } from './core/backoff.ts';
import { HoldfastError, UnauthorizedError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import { encodePayload } from './wire/codec.ts';

/** The `auth` of a client. */
export type Auth = (context: ProviderContext) => unknown;

export class Credentials {
  readonly #clock: Clock;
  /** Milliseconds that asking may take. */
  readonly #limit: number;
  /** Whoever gives them; undefined where nobody does. */
  auth: Auth | undefined;

  constructor(auth: Auth | undefined, clock: Clock, limit: number) {
    this.auth = auth;
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Asks for them. Throws UnauthorizedError as the user does, and AUTH_FAILED for all the rest; for nobody, once the signal is aborted. */
  async ask(context: ProviderContext): Promise<unknown> {
    const { auth } = this;
    if (!auth) return undefined;
    const abort = new AbortController();
    const { signal } = context;
    let timer: unknown;
    let giveUp = () => {};
    try {
      const late = new Promise<never>((_, reject) => {
        giveUp = () => {
          abort.abort(signal.reason);
          reject(signal.reason);
        };
        signal.addEventListener('abort', giveUp);
        timer = this.#clock.setTimeout(() => {
          const error = new Error(`Option "auth" took longer than ${this.#limit} ms`);
          abort.abort(error);
          reject(error);
        }, clampDelay(this.#limit));
      });
      const credentials = await Promise.race([auth({ ...context, signal: abort.signal }), late]);
      if (typeof encodePayload(credentials) === 'object')
        throw new TypeError('Option "auth" returned bytes; it returns what JSON can carry');
      return credentials;
    } catch (error) {
      throw error instanceof UnauthorizedError ? error : new HoldfastError('AUTH_FAILED', 'No credentials for the server', error);
    } finally {
      this.#clock.clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    }
  }
}
