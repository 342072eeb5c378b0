/** Where to connect to: URL and subprotocols, checked as the WebSocket standard does (WHATWG WebSockets, section 3.1). */

import type { Address } from './attempt.ts';
import { show } from './checks.ts';
import type { AttemptContext } from './connection.ts';
import { tagOf } from './data.ts';
import { HoldfastError } from './errors.ts';
import { redacted } from './redacted.ts';

/** What the `url` and `protocols` functions are told, on every attempt. */
export type ProviderContext = AttemptContext & {
  /** Aborted when the attempt is given up; a result that comes later is ignored. */
  readonly signal: AbortSignal;
};

/** A value, or a function that is asked for it on every attempt. */
export type Provided<T> = T | ((context: ProviderContext) => T | Promise<T>);

/**
 * Where to connect: a URL (WHATWG WebSockets, section 3.1: ws, wss, http or https, no fragment, relative to the page), or a function that
 * is asked for it on every attempt, for fresh tokens. `Provided<T>` is `T | ((context: ProviderContext) => T | Promise<T>)`.
 *
 * What goes wrong in a function is an `error` event: ADDRESS_FAILED when it throws, and another attempt follows; ADDRESS_INVALID when it
 * returns what is no such URL, which is final; CONNECT_TIMEOUT when it takes longer than `connectTimeout`.
 *
 * @example
 * const url: UrlSource = async ({ signal }) => {
 *   const response = await fetch('/ticket', { signal });
 *   return `wss://example.com/chat?ticket=${await response.text()}`;
 * };
 * const socket = new ReconnectingWebSocket(url);
 */
export type UrlSource = Provided<string | URL>;
/**
 * The subprotocols to offer (RFC 6455, section 1.9), or a function that is asked for them on every attempt; it fails as the URL's does.
 * `Provided<T>` is `T | ((context: ProviderContext) => T | Promise<T>)`.
 */
export type ProtocolsSource = Provided<string | string[] | undefined>;

/** Characters of an HTTP token (RFC 9110 section 5.6.2). */
export const TOKEN: RegExp = /^[!#$%&'*+\-.^_`|~\w]+$/;

/** The URL that a WebSocket to `url` has. Throws SyntaxError, as `new WebSocket(url)` does. */
export function parseUrl(url: string | URL): string {
  let parsed: URL;
  try {
    parsed = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    return syntaxError(`The URL '${url}' is invalid.`);
  }
  parsed.protocol = parsed.protocol.replace('http', 'ws');
  const { href } = parsed;
  if (!/^wss?:/.test(href)) syntaxError(`The URL '${url}' must have the scheme ws, wss, http or https.`);
  if (href.includes('#')) syntaxError(`The URL '${url}' must not have a fragment.`);
  return href;
}

/** The subprotocols as a list. Throws SyntaxError at duplicates and bad tokens, as `new WebSocket(url, protocols)` does. */
export function parseProtocols(protocols: string | Iterable<string> | undefined = []): string[] {
  const list = typeof protocols === 'object' && protocols ? Array.from(protocols, String) : [`${protocols}`];
  for (const [i, protocol] of list.entries())
    if (!TOKEN.test(protocol) || list.indexOf(protocol) < i) syntaxError(`The subprotocol '${protocol}' is invalid or given twice.`);
  return list;
}

/** Where a connection gets its addresses from: checked at once where they are known, else asked for on every attempt. */
export class AddressSource {
  /** The URL, or the one used last; "" while it is unknown. */
  url = '';
  readonly resolve: (context: ProviderContext) => Address | Promise<Address>;

  /** Throws SyntaxError at a bad URL or subprotocol. */
  constructor(url: UrlSource, protocols: ProtocolsSource) {
    if (typeof url !== 'function') this.url = parseUrl(url);
    const list = typeof protocols === 'function' ? undefined : parseProtocols(protocols);
    if (typeof url !== 'function' && list) this.resolve = () => ({ url: this.url, protocols: list });
    else
      this.resolve = async (context) => {
        const address = await resolveAddress(url, protocols, context);
        if (!context.signal.aborted) this.url = address.url;
        return address;
      };
  }
}

/** Asks both sources. What a provider throws is thrown on; what it returns and cannot be used is an ADDRESS_INVALID error. */
export async function resolveAddress(url: UrlSource, protocols: ProtocolsSource, context: ProviderContext): Promise<Address> {
  const ask = async <T>(source: Provided<T>) =>
    typeof source === 'function' ? (source as (context: ProviderContext) => T)(context) : source;
  const [where, which] = await Promise.all([ask(url), ask(protocols)]);
  try {
    if (!/^(String|URL)$/.test(tagOf(where))) throw new TypeError(`The url provider returned ${show(where)}; it returns a string or a URL`);
    if (!/^(String|Array|Undefined)$/.test(tagOf(which)))
      throw new TypeError(`The protocols provider returned ${show(which)}; it returns a string, an array of strings or undefined`);
    return { url: parseUrl(where), protocols: parseProtocols(which) };
  } catch (error) {
    throw new HoldfastError('ADDRESS_INVALID', (error as Error).message, error);
  }
}

function syntaxError(message: string): never {
  throw new DOMException(redacted(message), 'SyntaxError');
}
