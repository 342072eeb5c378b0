/** Errors of calls, as they go over the wire and come from it. */

import { CallError } from '../errors.ts';
import type { WireError } from './frames.ts';

/** A call error as it goes over the wire. Data that cannot be sent is left out. */
export function wireError({ code, message, data, retryAfter }: CallError): WireError {
  let sendable = data;
  try {
    JSON.stringify(data);
  } catch {
    sendable = undefined;
  }
  return {
    code: typeof code === 'string' ? code : 'INTERNAL', // JavaScript may have said anything
    message: `${message}`,
    ...(sendable !== undefined && { data: sendable }),
    ...(typeof retryAfter === 'number' && retryAfter >= 0 && { retryAfter }),
  };
}

/** A call error as it came over the wire. */
export function callError({ code, message, data, retryAfter }: WireError): CallError {
  return new CallError(code, message ?? code, { data, retryAfter: retryAfter ?? undefined });
}
