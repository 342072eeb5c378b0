/** Several addresses of the same service, tried in turn. */

import { type ProviderContext, parseUrl } from './address.ts';
import { type Check, Checker, checkOptions, duration, has, show } from './checks.ts';
import { type Clock, systemClock } from './io/clock.ts';

/** How endpoints are chosen. */
export interface EndpointsOptions {
  /** Milliseconds that one which did not open is left alone, unless all are; twice as long every time in a row, ten times at most. @default 30000 */
  readonly rest?: number;
  /** What tells the time. @default the platform's */
  readonly clock?: Clock;
}

const OPTIONS: Record<keyof EndpointsOptions, Check> = { rest: duration, clock: has('now', 'wall', 'setTimeout', 'clearTimeout') };

interface Endpoint {
  readonly url: string;
  /** Attempts in a row that did not open. */
  failures: number;
  restsUntil: number;
}

/** A rest grows up to so many times the first one. */
const LONGEST = 10;

/**
 * Several addresses of one service, in the order in which they are preferred: for the `url` of a client or socket. An attempt that does not open
 * goes on with the next address, and leaves that one alone for a while. Where a connection is lost that was open, the same address is tried once
 * more: the session is there. Make one for each client.
 *
 * @param urls one or more URLs, as native `WebSocket` takes them
 * @param options `rest`
 * @returns a function to be given as `url`
 * @throws `TypeError` without any, and at a bad option; a `SyntaxError` DOMException at a bad URL
 *
 * @example
 * const client = new Client(endpoints(['wss://eu.example.com/live', 'wss://us.example.com/live']));
 */
export function endpoints(
  urls: readonly (string | URL)[],
  options: EndpointsOptions = {},
): (context: Pick<ProviderContext, 'attempt' | 'cause'>) => string {
  if (!Array.isArray(urls) || urls.length === 0) throw new TypeError(`endpoints() takes one URL or more, but got ${show(urls)}`);
  checkOptions(options);
  const checker = new Checker();
  const { rest = 30_000, clock = systemClock } = checker.given(options, OPTIONS);
  checker.warn();
  const all: readonly Endpoint[] = urls.map((url) => ({ url: parseUrl(url), failures: 0, restsUntil: 0 }));
  let last: Endpoint | undefined;
  return ({ attempt, cause }: Pick<ProviderContext, 'attempt' | 'cause'>): string => {
    const now = clock.now();
    const failed = attempt > 1 || (attempt === 1 && (cause?.kind === 'failed' || cause?.kind === 'timeout'));
    if (last && failed) {
      last.restsUntil = now + rest * Math.min(2 ** last.failures, LONGEST);
      last.failures++;
    } else if (last) {
      last.failures = last.restsUntil = 0; // it was open
      return last.url;
    }
    // In turn, from the next one on; where all rest, whoever has rested longest.
    const next = last ? all.indexOf(last) + 1 : 0;
    last =
      [...all.slice(next), ...all.slice(0, next)].find(({ restsUntil }) => restsUntil <= now) ??
      [...all].sort((a, b) => a.restsUntil - b.restsUntil)[0];
    return (last as Endpoint).url;
  };
}
