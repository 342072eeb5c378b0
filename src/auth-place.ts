/** Where credentials go when a client connects: by default the hello, which no log shows; some servers and proxies look elsewhere. */

import { parseProtocols, parseUrl, TOKEN } from './address.ts';
import type { Address } from './attempt.ts';
import { show } from './checks.ts';
import { HoldfastError } from './errors.ts';

/**
 * Puts credentials into the address of an attempt: {@link inQuery}, {@link inSubprotocol}, or a function of yours, which is given the URL and
 * the subprotocols, and what `auth` gave, and returns the ones to connect with. Where it throws, or returns what is no such address, the attempt
 * has failed (AUTH_FAILED). Without credentials (`undefined`, `null`) it is not asked.
 */
export type AuthPlace = (address: Address, credentials: unknown) => Address;

/** The address with the credentials in it. Throws AUTH_FAILED where that is none, and quotes nothing of it: there are secrets in it. */
export function placed(place: AuthPlace, address: Address, credentials: unknown): Address {
  try {
    const { url, protocols } = place(address, credentials);
    return { url: parseUrl(url), protocols: parseProtocols(protocols) };
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError('AUTH_FAILED', 'Option "authIn" threw, or did not return an address: { url, protocols }');
  }
}

/**
 * Credentials as a parameter of the URL, in the place of any of that name, for servers and proxies that look for them there. Servers and proxies write URLs to their logs: give
 * them something that is short-lived. They must be a text; otherwise the attempt fails (AUTH_FAILED).
 *
 * @param name the name of the parameter
 * @returns what the option `authIn` of a client takes
 * @throws `TypeError` at a name that is no text, or empty
 *
 * @example
 * const client = new Client('wss://example.com/live', { auth: () => sessionStorage.getItem('ticket'), authIn: inQuery('ticket') });
 */
export function inQuery(name: string): AuthPlace {
  if (typeof name !== 'string' || name === '') throw new TypeError(`inQuery() takes the name of a parameter, but got ${show(name)}`);
  return ({ url, protocols }, credentials) => {
    const target = new URL(url);
    target.searchParams.set(name, text(credentials));
    return { url: target.href, protocols };
  };
}

/**
 * Credentials as a subprotocol of their own, behind a prefix: the only header of a WebSocket that a page can write to. They must be a text, and
 * an HTTP token together with the prefix, as base64url is (RFC 6455, section 4.1); otherwise the attempt fails (AUTH_FAILED). The server has
 * to choose another subprotocol: `holdfast/server` does.
 *
 * @param prefix what the server knows them by
 * @returns what the option `authIn` of a client takes
 * @throws `TypeError` at a prefix that is no HTTP token
 *
 * @example
 * const client = new Client('wss://example.com/live', { auth: () => localStorage.getItem('token'), authIn: inSubprotocol('bearer.') });
 */
export function inSubprotocol(prefix: string): AuthPlace {
  if (typeof prefix !== 'string' || !TOKEN.test(prefix))
    throw new TypeError(`inSubprotocol() takes a prefix of letters, digits and !#$%&'*+-.^_\`|~, but got ${show(prefix)}`);
  return ({ url, protocols }, credentials) => {
    const ticket = prefix + text(credentials);
    // What was given is not quoted: it is a secret.
    if (!TOKEN.test(ticket))
      throw new HoldfastError('AUTH_FAILED', 'As a subprotocol, what "auth" returns must be an HTTP token: base64url is');
    return { url, protocols: [...protocols, ticket] };
  };
}

function text(credentials: unknown): string {
  if (typeof credentials === 'string') return credentials;
  throw new HoldfastError(
    'AUTH_FAILED',
    `In an address, what "auth" returns must be a text, but it returned something of type ${typeof credentials}`,
  );
}
