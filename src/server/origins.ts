/** Which pages may connect: a WebSocket knows no same-origin policy, and brings the cookies of its host along (RFC 6455, section 10.2). */

import type { IncomingHttpHeaders } from 'node:http';

/** Says of the headers of an upgrade whether it may go on. */
export function doorkeeper(
  origins: readonly string[] | ((origin: string) => boolean) | undefined,
  onerror: (error: unknown, where: string) => void,
): (headers: IncomingHttpHeaders) => boolean {
  let isTold = false;
  return (headers) => {
    const { origin } = headers;
    if (origin === undefined) return true;
    try {
      if (origins) return typeof origins === 'function' ? origins(origin) === true : origins.includes(origin);
    } catch (error) {
      onerror(error, 'origins');
      return false;
    }
    if (!headers.cookie || isAtHome(origin, headers)) return true;
    if (!isTold)
      onerror(new Error(`A page of ${origin} was refused, since it brings cookies: say in "origins" which pages may`), 'origins');
    isTold = true;
    return false;
  };
}

/** Whether a page is of the host that it connects to, or that a proxy says it does: no page can set these headers. Cookies know no ports. */
function isAtHome(origin: string, headers: IncomingHttpHeaders): boolean {
  const home = nameOf(origin);
  const forwarded = [headers['x-forwarded-host']].flat().flatMap((hosts) => hosts?.split(',') ?? []); // one for each proxy
  const hosts = [headers.host, ...forwarded];
  return home !== '' && hosts.some((host) => host !== undefined && nameOf(`http://${host.trim()}`) === home);
}

function nameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : '';
}
