/**
 * The reference server, in Node on the `ws` package, and the same without sockets.
 *
 * - The server: {@link createServer}, {@link ServerOptions}, {@link ServerLimits}, {@link SessionLimits}, {@link PresenceLimits},
 *   {@link Server}, {@link ShutdownOptions}
 * - What it does: {@link Handlers}, {@link HandlerContext}, {@link Answer}, {@link ServerClient}, {@link Authorization}, {@link PeerRequest}
 * - The same without sockets, for tests and other servers: {@link Host}, {@link HostOptions}, {@link Peer}, {@link Port}
 * - What several servers share: {@link Broker}, {@link MemoryBroker}, {@link MemoryBrokerOptions}, {@link HistoryLimits},
 *   {@link IdempotencyLimits}, {@link Position}, {@link Missed}, {@link Publication}, {@link BrokerMessage}, {@link Begun}, {@link Outcome},
 *   {@link Members}, {@link Member}, {@link MemberChange}
 * - As in `holdfast`: {@link Contract}, {@link Side}, {@link Anything}, {@link HoldfastError}, {@link CallError}, {@link ClosedError},
 *   {@link MessageTooLargeError}, {@link SessionLostError}, {@link TimeoutError}, {@link UnauthorizedError}, {@link StreamItem}
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
export { StreamItem } from '../streaming.ts';
export type { Member } from '../wire/frames.ts';
export type { Begun, Broker, BrokerMessage, MemberChange, Members, Missed, Outcome, Position, Publication } from './broker.ts';
export type { ServerClient } from './client.ts';
export type { Peer } from './connection.ts';
export type { HistoryLimits } from './history.ts';
export { Host, type Port, type ShutdownOptions } from './host.ts';
export type { IdempotencyLimits } from './idempotency.ts';
export { MemoryBroker, type MemoryBrokerOptions } from './memory-broker.ts';
export type { Answer, Authorization, HandlerContext, Handlers, HostOptions, PeerRequest, ServerLimits } from './options.ts';
export type { PresenceLimits } from './presence.ts';
export { createServer, type Server, type ServerOptions } from './server.ts';
export type { SessionLimits } from './sessions.ts';
