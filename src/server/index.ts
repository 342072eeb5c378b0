/** The reference server of Holdfast. Public names only. */

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
