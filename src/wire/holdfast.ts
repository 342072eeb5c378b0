/** The Holdfast protocol, from the client's side: hello and welcome, JSON, batches, and what its close codes mean. */

import { utf8Length } from '../core/queue.ts';
import { LONGEST_RETRY_AFTER, rawVerdict } from '../core/retry-policy.ts';
import { WINDOW } from '../core/session.ts';
import { ProtocolError, UnauthorizedError } from '../errors.ts';
import { decodeFrames, encodeFrame } from './codec.ts';
import type { Declaration, Hello, ServerFrame, Welcome } from './frames.ts';
import {
  type Capabilities,
  type Ending,
  type EndingRuling,
  type Opened,
  type Opening,
  type OpeningSocket,
  type Protocol,
  type SessionGrant,
  UNDECODABLE,
} from './protocol.ts';
import { FROM_SERVER } from './shapes.ts';

/** The version spoken. */
export const VERSION = 1;
/** The subprotocol offered. That a server chooses it proves nothing: welcome does. */
export const SUBPROTOCOL = 'holdfast.v1.json';
/** Largest hello, in bytes. */
export const HELLO_LIMIT = 65_536;
/** What both sides of this library can do beyond events and pings, by the names used in hello and welcome. */
export const FEATURES = ['calls', 'channels', 'binary', 'resume', 'recovery', 'streams', 'uploads', 'presence', 'refresh'] as const;

/** Close codes that the server sends (docs/protocol.md). */
export const Close = {
  DRAINING: 4100,
  VIOLATION: 4400,
  UNAUTHENTICATED: 4401,
  FORBIDDEN: 4403,
  SILENT: 4408,
  SUPERSEDED: 4409,
  GAP: 4412,
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
  streams: true,
  resume: true,
  recovery: true,
  uploads: true,
  presence: true,
};

/** Bytes of the declarations in a hello, which has 64 KiB in all. */
const DECLARATIONS_LIMIT = 48 * 1_024;

/** Codes that are repeated once: proxies send some of them too. */
const DOUBTFUL: readonly number[] = [1002, 1003, 1007, 1008, 1010, 1015];
/** Codes that end the session with the connection. */
const FORGETTING: readonly number[] = [...DOUBTFUL, UNDECODABLE, 4400, 4403, 4404, 4406, 4409, 4410, 4412, 4422];
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
  const resume = opening.resume();
  const subscriptions = fitting(opening.subscriptions());
  const hello: Hello = {
    type: 'hello',
    version: VERSION,
    features: FEATURES,
    ...(auth !== undefined && { auth }),
    ...(resume && { resume }),
    ...(subscriptions.length > 0 && { subscriptions }),
    limits: { message: limit, window: WINDOW },
    attempt,
    ...(cause !== undefined && { cause }),
  };
  socket.send(encodeFrame(hello, undefined));
  const { welcome, rest } = await answerTo(socket, opening);
  if (welcome.version > VERSION) throw new ProtocolError(`The server speaks version ${welcome.version}, and this client ${VERSION}`);
  const offers = (feature: (typeof FEATURES)[number]) => welcome.features.includes(feature);
  const calls = offers('calls');
  const session = offers('resume') ? grantOf(welcome) : undefined;
  return {
    capabilities: {
      ...CAPABILITIES,
      calls,
      serverCalls: calls,
      cancel: calls,
      channels: offers('channels'),
      binary: offers('binary'),
      resume: session !== undefined,
      recovery: offers('recovery'),
      streams: calls && offers('streams'),
      uploads: calls && offers('uploads'),
      presence: offers('channels') && offers('presence'),
    },
    idempotency: welcome.idempotency ?? 0,
    limit: welcome.limits.message,
    heartbeat: welcome.heartbeat,
    subscriptions: welcome.subscriptions ?? [],
    resumed: welcome.resumed,
    session,
    identity: welcome.identity ?? undefined,
    ...(rest.length > 0 && { rest }),
  };
}

/** @throws ProtocolError when the server offers sessions, and does not say which one this is */
function grantOf({ session, key, received, limits, error, resumed }: Welcome): SessionGrant {
  if (typeof session !== 'string' || typeof key !== 'string')
    throw new ProtocolError('A welcome with the feature resume has a session and a key');
  if (resumed && typeof received !== 'number') throw new ProtocolError('A welcome that resumes says what was received');
  return { session, key, received: received ?? 0, window: limits.window, error: error ?? undefined };
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
  const { bye, code, welcomed } = ending;
  const ms = bye?.retryAfter;
  const retryAfter = typeof ms === 'number' ? { ms: Math.min(ms, LONGEST_RETRY_AFTER), spread: bye?.code === Close.DRAINING } : undefined;
  const forget = bye ? !bye.resume : welcomed && (FORGETTING.includes(code) || (code >= 4800 && code <= 4999));
  return { verdict: verdictOn(ending), retryAfter, forget };
}

function verdictOn({ kind, code, error, welcomed, bye, suspects }: Ending): EndingRuling['verdict'] {
  if (error instanceof UnauthorizedError) return 'unauthorized';
  const said = bye?.code ?? code;
  const final = said === Close.SUPERSEDED ? 'superseded' : 'refused';
  if (said === Close.UNAUTHENTICATED && (welcomed || bye)) return bye?.reconnect === false ? 'unauthorized' : 'reauthorize';
  if (bye) return bye.reconnect ? 'retry' : final;
  if (code === Close.GAP && kind === 'violation') return 'retry'; // noticed here; the session is given up, and the next one begins anew
  if (kind === 'violation') return 'suspect';
  if (!welcomed) return rawVerdict(code);
  if (DOUBTFUL.includes(code)) return suspects > 0 ? 'refused' : 'suspect';
  return FINAL.includes(code) || (code >= 4800 && code <= 4999) ? final : 'retry';
}
