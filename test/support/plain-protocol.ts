/** The smallest protocol there is, as a second way through the seam: `{ event, data }` as JSON, and nothing else. */

import { ProtocolError } from '../../src/errors.ts';
import type { ServerFrame } from '../../src/wire/frames.ts';
import { NO_CAPABILITIES, type Protocol } from '../../src/wire/protocol.ts';

/** Events both ways; no opening, no batches, no pings. Close code 4999 is final. */
export const plain: Protocol = {
  name: 'The plain protocol',
  subprotocols: ['plain'],
  capabilities: NO_CAPABILITIES,
  batches: false,
  pings: false,
  encode: (frame, payload) => {
    if (frame.type === 'bye') return undefined; // there is no word for it
    if (frame.type !== 'event' || typeof payload !== 'string') throw new Error(`asked for a ${frame.type}, which it does not offer`);
    return `{"event":${JSON.stringify(frame.name)},"data":${payload}}`;
  },
  decode: (message) => [eventOf(message)],
  classify: ({ code, kind }) => ({ verdict: code === 4_999 ? 'refused' : kind === 'violation' ? 'suspect' : 'retry' }),
};

function eventOf(message: unknown): ServerFrame {
  let value: unknown;
  try {
    value = JSON.parse(String(message));
  } catch {
    throw new ProtocolError('A message is JSON');
  }
  const { event, data } = (value ?? {}) as { event?: unknown; data?: unknown };
  if (typeof event !== 'string') throw new ProtocolError('A message has an event');
  return { type: 'event', name: event, data };
}
