/** The arguments of `close()`, checked as the WebSocket standard does (WHATWG WebSockets, section 3.1). */

import { utf8Length } from './core/queue.ts';

/** Bytes of UTF-8 in the reason of a close frame (RFC 6455, section 5.5). */
const MOST_BYTES = 123;

/** A close code that a page may use. Throws InvalidAccessError at others. */
export function closeCode(code: number): number {
  // To the nearest whole number, of two to the even one (Web IDL, [Clamp]).
  const nearest = Math.round(code);
  const rounded = Math.abs(code % 1) === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
  if (rounded !== 1000 && !(rounded >= 3000 && rounded <= 4999))
    throw new DOMException(`The close code must be 1000 or between 3000 and 4999, not ${code}.`, 'InvalidAccessError');
  return rounded;
}

/** As much of a text as a close frame can carry. */
export function shortened(reason: string): string {
  let text = reason.slice(0, MOST_BYTES);
  while (utf8Length(text) > MOST_BYTES) text = text.slice(0, -1);
  return text;
}

/** A close reason as text. Throws SyntaxError where it is longer than a close frame can carry (RFC 6455, section 5.5). */
export function reasonText(reason: string | undefined): string {
  const text = reason === undefined ? '' : `${reason}`;
  if (utf8Length(text) > MOST_BYTES) throw new DOMException('The close reason must not exceed 123 bytes of UTF-8.', 'SyntaxError');
  return text;
}
