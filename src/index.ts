/** Holdfast: a connection that survives. Public names only. */

export type { ProtocolsSource, ProviderContext, UrlSource } from './address.ts';
export type { AttemptContext } from './connection.ts';
export { backoff } from './core/backoff.ts';
export type { DropReason, QueueLimits } from './core/queue.ts';
export type { ClosedCause, Loss, State } from './core/state.ts';
export { type ErrorCode, HoldfastError } from './errors.ts';
export { DropEvent, ReconnectingCloseEvent, ReconnectingErrorEvent, StateChangeEvent, type Unsent } from './events.ts';
export type { HandshakeSocket } from './handshake.ts';
export type { Clock } from './io/clock.ts';
export type { Lifecycle, LifecycleSignal } from './io/lifecycle.ts';
export type { CreateSocket, Data, WebSocketLike } from './io/web-socket.ts';
export type { HeartbeatOptions, ReconnectingWebSocketOptions } from './options.ts';
export { ReconnectingWebSocket, type ReconnectingWebSocketEventMap } from './socket.ts';
