/** The credentials for a hello, as the user's `auth` gives them. */

import type { ProviderContext } from './address.ts';
import { HoldfastError, UnauthorizedError } from './errors.ts';
import { encodePayload } from './wire/codec.ts';

/** Asks for them. Throws UnauthorizedError as the user does, and AUTH_FAILED for all the rest. */
export async function credentialsOf(auth: ((context: ProviderContext) => unknown) | undefined, context: ProviderContext): Promise<unknown> {
  try {
    const credentials = await auth?.(context);
    if (typeof encodePayload(credentials) === 'object') throw new TypeError('Option "auth" returned bytes; it returns what JSON can carry');
    return credentials;
  } catch (error) {
    throw error instanceof UnauthorizedError ? error : new HoldfastError('AUTH_FAILED', 'No credentials for the server', error);
  }
}
