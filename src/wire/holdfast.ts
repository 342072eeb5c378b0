/** The Holdfast protocol, from the client's side: hello and welcome, JSON, batches, and what its close codes mean. */

import { utf8Length } from '../core/queue.ts';
import { rawVerdict } from '../core/retry-policy.ts';
import { ProtocolError, UnauthorizedError } from '../errors.ts';
import { decodeFrames, encodeFrame } from './codec.ts';
import { type Declaration, FROM_SERVER, type Hello, type ServerFrame, type Welcome } from './frames.ts';
import type { Capabilities, Ending, EndingRuling, Opened, Opening, OpeningSocket, Protocol } from './protocol.ts';

/** The version spoken. */
export const VERSION = 1;
/** The subprotocol offered. An echo of it proves nothing, and its absence neither: welcome does. */
export const SUBPROTOCOL = 'holdfast.v1.json';
/** Largest hello, in bytes. */
export const HELLO_LIMIT = 65_536;
/** What both sides of this library can do beyond events and pings, by the names used in hello and welcome. */
export const FEATURES = ['calls', 'channels', 'binary'] as const;

/** Close codes that the server sends (docs/protocol.md). */
export const Close = {
  DRAINING: 4100,
  VIOLATION: 4400,
  UNAUTHENTICATED: 4401,
  FORBIDDEN: 4403,
  SILENT: 4408,
  SUPERSEDED: 4409,
  TOO_LARGE: 4413,
  SLOW: 4422,
  OVERLOADED: 4429,
} as const;

const CAPABILITIES: Capabilities = {
  calls: true,
  serverCalls: true,
  cancel: true,
  channels: true,
  binary: true,
  streams: false,
  resume: false,
  recovery: false,
};

/** Bytes of the declarations in a hello, which has 64 KiB in all. */
const DECLARATIONS_LIMIT = 48 * 1_024;

/** Codes that are repeated once: proxies send some of them too. */
const DOUBTFUL: readonly number[] = [1002, 1003, 1007, 1008, 1010, 1015];
/** Codes that another attempt cannot change. */
const FINAL: readonly number[] = [4400, 4403, 4404, 4406, 4409, 4410];

/**
 * The protocol of `holdfast/server` (docs/protocol.md), which a client speaks unless told otherwise. For protocols that differ a little.
 *
 * @example
 * // A server that closes with 4200 wants nobody back.
 * const protocol: Protocol = {
 *   ...holdfast,
 *   classify: (ending) => (ending.code === 4200 ? { verdict: 'refused' } : holdfast.classify(ending)),
 * };
 */
export const holdfast: Protocol = {
  name: 'The Holdfast protocol',
  subprotocols: [SUBPROTOCOL],
  capabilities: CAPABILITIES,
  batches: true,
  pings: true,
  open,
  encode: encodeFrame,
  decode: (message) => decodeFrames(message, FROM_SERVER),
  classify,
};

async function open(socket: OpeningSocket, opening: Opening): Promise<Opened> {
  const { auth, attempt, cause, limit } = opening;
  const subscriptions = fitting(opening.subscriptions());
  const hello: Hello = {
    type: 'hello',
    version: VERSION,
    features: FEATURES,
    ...(auth !== undefined && { auth }),
    ...(subscriptions.length > 0 && { subscriptions }),
    limits: { message: limit, window: 256 },
    attempt,
    ...(cause !== undefined && { cause }),
  };
  socket.send(encodeFrame(hello, undefined));
  const { welcome, rest } = await answerTo(socket, opening);
  if (welcome.version > VERSION) throw new ProtocolError(`The server speaks version ${welcome.version}, and this client ${VERSION}`);
  const offers = (feature: (typeof FEATURES)[number]) => welcome.features.includes(feature);
  const calls = offers('calls');
  return {
    capabilities: { ...CAPABILITIES, calls, serverCalls: calls, cancel: calls, channels: offers('channels'), binary: offers('binary') },
    limit: welcome.limits.message,
    heartbeat: welcome.heartbeat,
    subscriptions: welcome.subscriptions ?? [],
    resumed: false,
    ...(rest.length > 0 && { rest }),
  };
}

/** As many declarations as fit; those that are left out are not answered by the welcome, and are then asked for by frame. */
function fitting(declarations: readonly Declaration[]): Declaration[] {
  let room = DECLARATIONS_LIMIT;
  return declarations.filter((declaration) => {
    room -= utf8Length(JSON.stringify(declaration)) + 1;
    return room >= 0;
  });
}

/** The welcome. After a goodbye nothing comes but the close, so that waiting for more ends by itself. */
async function answerTo(socket: OpeningSocket, opening: Opening): Promise<{ welcome: Welcome; rest: ServerFrame[] }> {
  for (;;) {
    const frames = [...decodeFrames(await socket.receive(), FROM_SERVER)];
    for (const [i, frame] of frames.entries()) {
      if (frame.type === 'welcome') return { welcome: frame, rest: frames.slice(i + 1) };
      if (frame.type !== 'bye') throw new ProtocolError(`The server answered hello with a frame of type ${frame.type}`);
      opening.bye(frame);
    }
  }
}

function classify(ending: Ending): EndingRuling {
  const { bye } = ending;
  const ms = bye?.retryAfter;
  const retryAfter = typeof ms === 'number' ? { ms, spread: bye?.code === Close.DRAINING } : undefined;
  return { verdict: verdictOn(ending), retryAfter };
}

function verdictOn({ kind, code, error, welcomed, bye, suspects }: Ending): EndingRuling['verdict'] {
  if (error instanceof UnauthorizedError) return 'unauthorized';
  const said = bye?.code ?? code;
  const final = said === Close.SUPERSEDED ? 'superseded' : 'refused';
  if (said === Close.UNAUTHENTICATED && (welcomed || bye)) return bye?.reconnect === false ? 'unauthorized' : 'reauthorize';
  if (bye) return bye.reconnect ? 'retry' : final;
  if (kind === 'violation') return 'suspect';
  if (!welcomed) return rawVerdict(code);
  if (DOUBTFUL.includes(code)) return suspects > 0 ? 'refused' : 'suspect';
  return FINAL.includes(code) || (code >= 4800 && code <= 4999) ? final : 'retry';
}
