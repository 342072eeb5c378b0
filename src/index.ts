/** Holdfast: a connection that survives. Public names only. */

export type { ProtocolsSource, ProviderContext, UrlSource } from './address.ts';
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
  OpenEvent,
  ReconnectingCloseEvent,
  ReconnectingErrorEvent,
  StateChangeEvent,
  UnhandledEvent,
  type Unsent,
} from './events.ts';
export type { HandshakeSocket } from './handshake.ts';
export type { Clock } from './io/clock.ts';
export type { Lifecycle, LifecycleSignal } from './io/lifecycle.ts';
export type { CreateSocket, Data, WebSocketLike } from './io/web-socket.ts';
export type { HeartbeatOptions, ReconnectingWebSocketOptions } from './options.ts';
export type { Receipt, ReceiptStatus } from './receipt.ts';
export { ReconnectingWebSocket, type ReconnectingWebSocketEventMap } from './socket.ts';
export { holdfast } from './wire/holdfast.ts';
export { type Capabilities, NO_CAPABILITIES, type Protocol } from './wire/protocol.ts';
