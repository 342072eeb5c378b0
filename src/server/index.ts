/**
 * The reference server, in Node on the `ws` package, and the same without sockets.
 *
 * - The server: {@link createServer}, {@link ServerOptions}, {@link ServerLimits}, {@link Server}, {@link ShutdownOptions}
 * - What it does: {@link Handlers}, {@link HandlerContext}, {@link ServerClient}, {@link Authorization}, {@link PeerRequest}
 * - The same without sockets, for tests and other servers: {@link Host}, {@link HostOptions}, {@link Peer}, {@link Port}
 * - As in `holdfast`: {@link Contract}, {@link Side}, {@link Anything}, {@link HoldfastError}, {@link CallError}, {@link ClosedError},
 *   {@link MessageTooLargeError}, {@link SessionLostError}, {@link TimeoutError}, {@link UnauthorizedError}
 *
 * Durations are milliseconds, sizes are bytes, text counts as UTF-8. Close codes are in docs/protocol.md, section Close codes.
 *
 * @module holdfast/server
 */

export type { Anything, Contract, Side } from '../contract.ts';
export {
  CallError,
  ClosedError,
  HoldfastError,
  MessageTooLargeError,
  SessionLostError,
  TimeoutError,
  UnauthorizedError,
} from '../errors.ts';
export type { Peer, ServerClient } from './client.ts';
export { Host, type Port, type ShutdownOptions } from './host.ts';
export type { Authorization, HandlerContext, Handlers, HostOptions, PeerRequest, ServerLimits } from './options.ts';
export { createServer, type Server, type ServerOptions } from './server.ts';
