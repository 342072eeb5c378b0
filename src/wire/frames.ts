/**
 * The frames of the Holdfast protocol, version 1. docs/protocol.md says what they mean, shapes.ts what makes one of what came over the
 * wire.
 */

/** What each side takes: the largest message in bytes, and how many unacknowledged frames. */
export interface PeerLimits {
  readonly message: number;
  readonly window: number;
}

/** Why the other side said no. */
export interface WireError {
  readonly code: string;
  readonly message?: string;
  readonly data?: unknown;
  readonly retryAfter?: number;
}

/** A channel that a client wants, as hello declares it. */
export interface Declaration {
  readonly channel: string;
  readonly params?: unknown;
  /** How far it is known: both, or neither. */
  readonly epoch?: string;
  readonly offset?: number;
}

/** What became of a declaration or a subscribe. */
export interface SubscribeResult {
  readonly channel: string;
  /** Whether everything that was missed since the declared position follows. */
  readonly recovered?: boolean;
  /** Where the channel stands; both are missing where it keeps no history. */
  readonly epoch?: string;
  readonly offset?: number;
  readonly error?: WireError;
}

/**
 * Somebody who is there on a channel: one client, a page in a tab, say.
 *
 * @example
 * const ida: Member<{ typing: boolean }> = { id: '7d1c', from: 'ida', data: { typing: true } };
 */
export interface Member<T = unknown> {
  /** Unique among those who are there. */
  readonly id: string;
  /** Who it is, as the server says (`nameOf`); `undefined` where it does not. */
  readonly from?: string | undefined;
  /** What it shows of itself: anything that JSON can carry. Nobody changes it. */
  readonly data: T;
}

/** The session that a hello wants to go on with. */
export interface Resume {
  /** Its name. */
  readonly session: string;
  /** The secret that goes on with it. */
  readonly key: string;
  /** Rises with every hello of the session: one that comes late cannot replace a newer one. */
  readonly generation: number;
  /** The number of the last frame that was received. */
  readonly received: number;
}

export interface Hello {
  readonly type: 'hello';
  /** The highest version spoken. */
  readonly version: number;
  readonly features: readonly string[];
  readonly auth?: unknown;
  readonly resume?: Resume;
  readonly subscriptions?: readonly Declaration[];
  readonly limits: PeerLimits;
  /** Telemetry: consecutive failures, and how the connection before ended. */
  readonly attempt: number;
  readonly cause?: string;
}

export interface Welcome {
  readonly type: 'welcome';
  readonly version: number;
  /** What both sides offer. */
  readonly features: readonly string[];
  readonly resumed: boolean;
  /** With the feature `resume`: the session, and the secret that goes on with it. */
  readonly session?: string;
  readonly key?: string;
  /** The number of the last frame that was received, where the session goes on. */
  readonly received?: number;
  /** Milliseconds that the session outlives its connection. */
  readonly ttl?: number;
  /** Milliseconds that the outcome of an idempotent call is remembered; not at all where it is missing. */
  readonly idempotency?: number;
  /** Why the session does not go on, where the hello asked for it. */
  readonly error?: WireError;
  /** Who the client is taken for: a text that is the same for the same one, and says nothing else; missing where it is nobody. */
  readonly identity?: string;
  readonly heartbeat: { readonly interval: number; readonly timeout: number };
  readonly limits: PeerLimits;
  readonly subscriptions?: readonly SubscribeResult[];
}

export interface Bye {
  readonly type: 'bye';
  readonly code: number;
  readonly reason?: string;
  readonly reconnect: boolean;
  readonly resume: boolean;
  readonly retryAfter?: number;
  readonly received?: number;
}

/**
 * The number of a frame within its session and direction, from 1: every event, request, response, error, cancel, item, end, credit,
 * publish, chunk, finish, grant and skip has one where both sides offer `resume`, but volatile events, and answers to subscribe, unsubscribe, presence and auth.
 *
 * @inline
 */
export interface Numbered {
  /** Its number. */
  readonly seq?: number;
}

export interface Request extends Numbered {
  readonly type: 'request';
  readonly id: number;
  readonly method: string;
  readonly params?: unknown;
  /** Milliseconds left when it was written. */
  readonly timeout?: number;
  /** The same key, method and principal are executed once. */
  readonly idempotencyKey?: string;
  /** The answer may be a stream of items, so many at first; where it is asked for once more, `cursor` is that of the last item. */
  readonly stream?: boolean;
  readonly credit?: number;
  readonly cursor?: unknown;
  /** Items of the caller's own follow, as they are granted. */
  readonly upload?: boolean;
}

/** What both sides may send. */
export type CommonFrame =
  /** `next`: bytes of the large message that follows. */
  | { readonly type: 'ping'; readonly nonce?: number; readonly received?: number; readonly next?: number }
  | { readonly type: 'pong'; readonly nonce?: number; readonly received?: number }
  | { readonly type: 'ack'; readonly received: number }
  /** Nothing, with a number: a frame of an unknown type comes out as one too. */
  | { readonly type: 'skip'; readonly seq: number }
  | Bye
  | (Numbered & { readonly type: 'event'; readonly name: string; readonly data: unknown })
  | Request
  | (Numbered & { readonly type: 'response'; readonly id: number; readonly result?: unknown })
  | (Numbered & { readonly type: 'error'; readonly id: number; readonly error: WireError })
  | (Numbered & { readonly type: 'cancel'; readonly id: number })
  | (Numbered & { readonly type: 'item'; readonly id: number; readonly data: unknown; readonly cursor?: unknown })
  | (Numbered & { readonly type: 'end'; readonly id: number })
  | (Numbered & { readonly type: 'credit'; readonly id: number; readonly count: number });

/** What a client sends. */
export type ClientFrame =
  | CommonFrame
  | Hello
  | (Declaration & { readonly type: 'subscribe'; readonly id: number })
  | { readonly type: 'unsubscribe'; readonly id: number; readonly channel: string }
  | (Numbered & {
      readonly type: 'publish';
      readonly id?: number;
      readonly channel: string;
      readonly data: unknown;
      readonly idempotencyKey?: string;
    })
  | {
      readonly type: 'presence';
      readonly id: number;
      readonly channel: string;
      /** Whether it wants to know who is there, and whether it is there itself, with that data. */
      readonly watch: boolean;
      readonly here: boolean;
      readonly data?: unknown;
    }
  /** New credentials, for the connection that there is. */
  | { readonly type: 'auth'; readonly id: number; readonly auth?: unknown }
  | (Numbered & { readonly type: 'chunk'; readonly id: number; readonly data: unknown })
  | (Numbered & { readonly type: 'finish'; readonly id: number });

/**
 * What a server sends (docs/protocol.md, section Frames): what the `decode` of a {@link Protocol} returns. `CommonFrame` is ping, pong,
 * ack, skip, bye, event, request, response, error, cancel, item, end and credit; a `WireError` is `{ code, message?, data?, retryAfter? }`.
 */
export type ServerFrame =
  | CommonFrame
  | Welcome
  | {
      readonly type: 'unsubscribe';
      /** The name of the channel. */
      readonly channel: string;
      /** Why the server ended it. */
      readonly error?: WireError;
      /** Whether the client is to ask for it again. */
      readonly resubscribe?: boolean;
    }
  | {
      readonly type: 'message';
      /** The name of the channel. */
      readonly channel: string;
      /** What was published. */
      readonly data: unknown;
      /** Its place in the history of the channel. */
      readonly offset?: number;
      /** Who published it. */
      readonly from?: string;
    }
  | {
      readonly type: 'presence';
      /** The name of the channel. */
      readonly channel: string;
      /** Members that are there, new ones and changed ones; in a snapshot all of them. */
      readonly set?: readonly Member[];
      /** Members that are not there any more. */
      readonly gone?: readonly string[];
      /** Whether this is everybody who is there, and takes the place of what was known. */
      readonly snapshot?: boolean;
      /** Whether the snapshot goes on in the next frame. */
      readonly more?: boolean;
    }
  | {
      readonly type: 'auth';
      /** Milliseconds in which new credentials are wanted. */
      readonly within: number;
    }
  | (Numbered & {
      readonly type: 'grant';
      /** The id of the upload. */
      readonly id: number;
      /** So many more of its items are welcome. */
      readonly count: number;
    });

export type Frame = ClientFrame | ServerFrame;

/** Where the user's payload stands in a frame; binary payloads may stand nowhere else. */
export const PAYLOAD_FIELDS: Readonly<Record<string, string>> = {
  event: 'data',
  publish: 'data',
  message: 'data',
  request: 'params',
  response: 'result',
  item: 'data',
  chunk: 'data',
};

type PayloadField = 'data' | 'params' | 'result';
type WithPayload = 'event' | 'publish' | 'message' | 'request' | 'response' | 'item' | 'chunk';
type WithoutPayload<F> = F extends { type: WithPayload } ? Omit<F, PayloadField> : F;

/** A frame as it is sent (docs/protocol.md, section Frames). Its `data`, `params` or `result` is encoded already, and goes beside it. */
export type Outgoing<F extends Frame = Frame> = WithoutPayload<F>;

/** Says that a large message follows; with a nonce of its own, since its answer says nothing about the round trip. */
export function announcement(next: number): Outgoing<{ readonly type: 'ping'; readonly nonce?: number; readonly next?: number }> {
  return { type: 'ping', nonce: 0, next };
}

/** The answer to a ping: its nonce, and nothing else that came with it. */
export function pongTo({ nonce }: { readonly nonce?: number | null }): Outgoing<{ readonly type: 'pong'; readonly nonce?: number }> {
  return { type: 'pong', ...(typeof nonce === 'number' && { nonce }) };
}
