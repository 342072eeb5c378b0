/**
 * A drop-in for `WebSocket` that reconnects, and a client with events, calls, streams, uploads, channels and who is there on them.
 *
 * - The drop-in: {@link ReconnectingWebSocket}, {@link ReconnectingWebSocketOptions}, {@link HeartbeatOptions}, {@link QueueLimits},
 *   {@link HandshakeSocket}, {@link UrlSource}, {@link ProtocolsSource}, {@link ProviderContext}, {@link AttemptContext}, {@link Data}
 * - Its events: {@link ReconnectingWebSocketEventMap}, {@link ReconnectingCloseEvent}, {@link Unsent}, {@link ReconnectingErrorEvent},
 *   {@link StateChangeEvent}, {@link DropEvent}, {@link DropReason}
 * - The client: {@link Client}, {@link ClientOptions}, {@link OutboxLimits}, {@link SendOptions}, {@link Receipt}, {@link ReceiptStatus},
 *   {@link CallOptions}, {@link CallContext}, {@link CloseOptions}, {@link ClientStats}, {@link Capabilities}, {@link queued},
 *   {@link QueuedMessage}
 * - Its events: {@link ClientEventMap}, {@link OpenEvent}, {@link ClientErrorEvent}, {@link ClientDropEvent}, {@link DropCause},
 *   {@link UnhandledEvent}
 * - Channels: {@link Channel}, {@link Subscription}, {@link MessageInfo}, {@link Load}, {@link LoadContext}, {@link PublishOptions},
 *   {@link Published}, {@link ChannelState}, {@link ChannelEventMap}, {@link ChannelMessageEvent}, {@link ChannelStateEvent}, {@link GapEvent}
 * - Presence: {@link presence}, {@link Presence}, {@link PresenceOptions}, {@link PresenceEventMap}, {@link MemberEvent}, {@link Member}
 * - Streams: {@link stream}, {@link Stream}, {@link StreamOptions}, {@link Item}
 * - Seeing it: {@link describe}, {@link inspect}, {@link Inspector}, {@link InspectorReport}, {@link InspectOptions}, {@link LogEntry}, {@link FrameNote}, {@link Logger}, {@link Metrics}, {@link Summary}
 * - Several addresses: {@link endpoints}, {@link EndpointsOptions}
 * - Credentials in the address: {@link inQuery}, {@link inSubprotocol}, {@link AuthPlace}, {@link Address}
 * - Uploads: {@link upload}, {@link UploadSource}, {@link UploadOptions}, {@link UploadProgress}
 * - Types of a conversation: {@link Contract}, {@link Side}, {@link Anything}
 * - What is going on: {@link State}, {@link Loss}, {@link ClosedCause}
 * - Errors: {@link HoldfastError}, {@link ErrorCode}, {@link CallError}, {@link CallErrorCode}, {@link ClosedError},
 *   {@link MessageTooLargeError}, {@link ProtocolError}, {@link QueueFullError}, {@link SessionLostError}, {@link TimeoutError},
 *   {@link UnauthorizedError}, {@link UnsupportedError}
 * - Servers that speak another protocol: {@link Protocol}, {@link NO_CAPABILITIES}, {@link holdfast}, {@link OpeningSocket},
 *   {@link Opening}, {@link Opened}, {@link SessionGrant}, {@link Resume}, {@link Ending}, {@link EndingRuling}, {@link Outgoing}, {@link ServerFrame}, {@link Payload},
 *   {@link Message}
 * - The world, to be replaced in tests: {@link Clock}, {@link Lifecycle}, {@link LifecycleSignal}, {@link CreateSocket},
 *   {@link WebSocketLike}, {@link backoff}
 *
 * Durations are milliseconds, sizes are bytes, text counts as UTF-8.
 *
 * @module holdfast
 */

export type { ProtocolsSource, ProviderContext, UrlSource } from './address.ts';
export type { Address } from './attempt.ts';
export { type AuthPlace, inQuery, inSubprotocol } from './auth-place.ts';
export type { DropCause } from './caller.ts';
export { Channel, type ChannelEventMap, type MessageInfo, type Published, type PublishOptions, type Subscription } from './channel.ts';
export { Client } from './client.ts';
export type { ClientOptions } from './client-options.ts';
export type { CallContext, CallOptions, ClientEventMap, ClientStats, CloseOptions, SendOptions } from './client-types.ts';
export type { AttemptContext } from './connection.ts';
export type { Anything, Contract, Side } from './contract.ts';
export { backoff } from './core/backoff.ts';
export type { OutboxLimits } from './core/outbox.ts';
export type { DropReason, QueueLimits } from './core/queue.ts';
export type { ClosedCause, Loss, State } from './core/state.ts';
export type { ChannelState } from './core/subscriptions.ts';
export { describe } from './describe.ts';
export { type EndpointsOptions, endpoints } from './endpoints.ts';
export {
  CallError,
  type CallErrorCode,
  ClosedError,
  type ErrorCode,
  HoldfastError,
  MessageTooLargeError,
  ProtocolError,
  QueueFullError,
  SessionLostError,
  TimeoutError,
  UnauthorizedError,
  UnsupportedError,
} from './errors.ts';
export {
  ChannelMessageEvent,
  ChannelStateEvent,
  ClientDropEvent,
  ClientErrorEvent,
  DropEvent,
  GapEvent,
  MemberEvent,
  OpenEvent,
  ReconnectingCloseEvent,
  ReconnectingErrorEvent,
  StateChangeEvent,
  UnhandledEvent,
  type Unsent,
} from './events.ts';
export type { FrameNote } from './frame-notes.ts';
export type { HandshakeSocket } from './handshake.ts';
export { type InspectOptions, type Inspector, type InspectorReport, inspect, type LogEntry, type Logger, type Metrics } from './inspect.ts';
export type { Clock } from './io/clock.ts';
export type { Lifecycle, LifecycleSignal } from './io/lifecycle.ts';
export type { CreateSocket, Data, WebSocketLike } from './io/web-socket.ts';
export type { Load, LoadContext } from './loader.ts';
export type { HeartbeatOptions, ReconnectingWebSocketOptions } from './options.ts';
export { Presence, type PresenceEventMap, type PresenceOptions, presence } from './presence.ts';
export { type QueuedMessage, queued } from './queued.ts';
export type { Receipt, ReceiptStatus } from './receipt.ts';
export type { Summary } from './samples.ts';
export { ReconnectingWebSocket, type ReconnectingWebSocketEventMap } from './socket.ts';
export { type Item, type Stream, type StreamOptions, stream } from './stream.ts';
export { type UploadOptions, type UploadProgress, upload } from './upload.ts';
export type { UploadSource } from './upload-source.ts';
export type { Message, Payload } from './wire/codec.ts';
export type { Member, Outgoing, Resume, ServerFrame } from './wire/frames.ts';
export { holdfast } from './wire/holdfast.ts';
export {
  type Capabilities,
  type Ending,
  type EndingRuling,
  NO_CAPABILITIES,
  type Opened,
  type Opening,
  type OpeningSocket,
  type Protocol,
  type SessionGrant,
} from './wire/protocol.ts';
