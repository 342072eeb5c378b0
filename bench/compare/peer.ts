/** What the comparison needs of every peer: a server of its kind, and a client that an application would make. */

import { createServer, type Server } from 'node:http';
import { createServer as createDoor, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { WebSocket as WS } from 'ws';

/** What an application hears from its client. */
export interface Ear {
  /** There is a connection, the library's own handshake included. */
  opened(): void;
  lost(): void;
  /** A message is not sent, or may be lost: an event, a callback, an exception or a rejected promise that names it. */
  told(message: number, how: string): void;
  /** Something says that messages of a channel may be missing. */
  gap(how: string): void;
}

/** A client. `way` is one of the ways that its peer lists. */
export interface Frontend {
  send(message: number, way: string): void;
  /** Asks the server for what takes it a second. */
  call?(way: string): Promise<unknown>;
  subscribe?(hear: (message: number) => void, way: string): void;
  /** The library's own call for a new connection. */
  reconnect?(): void;
  /** Counters of messages that may be lost, by their name. */
  doubts?(): Record<string, number>;
  /** More that the library says of what it lost, in words. */
  remarks?(): string[];
  close(): void;
}

/** An HTTP server behind a door of its own. */
export interface House {
  readonly http: Server;
  readonly port: number;
  /** When connections came, by `performance.now()`. */
  readonly arrivals: readonly number[];
  /** Connections are cut, and new ones refused, until it is open again. */
  shut(): void;
  open(): Promise<void>;
}

/** A library's server. */
export interface Backend extends House {
  /** Messages in the order in which they came. */
  readonly received: readonly number[];
  /** How often the call was begun. */
  readonly executed: number;
  /** To be told of every connection that is complete. */
  welcomed: () => void;
  publish(message: number): void;
  stop(): void;
}

export interface Peer {
  readonly name: string;
  /** The options it runs with, where they are not the defaults. */
  readonly options: string;
  /** A socket for any server, or a client with a server of its own. */
  readonly kind: 'socket' | 'client';
  /** Where its version is written. */
  readonly manifest: string;
  /** What of it is used, as a module for esbuild; none where the platform has it. */
  readonly module: string | undefined;
  /** Ways of sending, calling and subscribing; empty where there is none, one without a name where there is one. */
  readonly ways: { readonly send: readonly string[]; readonly call: readonly string[]; readonly subscribe: readonly string[] };
  serve(): Promise<Backend>;
  connect(url: string, ear: Ear): Promise<Frontend>;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** A module that need not be installed for the type check. */
export const load = <T>(path: string): Promise<T> => import(new URL(path, import.meta.url).href);

/** How long the server works on a call. */
export const WORK = 1_000;

/** The platform's WebSocket. An error that nobody listens to is nothing in a browser, and would end the process here. */
export class QuietSocket extends WS {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    this.on('error', () => {});
  }
}

/** Below the ports that systems give away by themselves: nobody moves in while the door is shut. */
let nextPort = 20_000;

/** The HTTP server lives on while its door is shut: not every library can listen again. */
export async function build(): Promise<House> {
  const http = createServer();
  const arrivals: number[] = [];
  const guests = new Set<Socket>();
  const door = createDoor((guest) => {
    arrivals.push(performance.now());
    guests.add(guest);
    guest.on('close', () => guests.delete(guest));
    guest.on('error', () => {});
    http.emit('connection', guest);
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      door.once('error', reject);
      door.listen(port, '127.0.0.1', () => {
        door.off('error', reject);
        resolve();
      });
    });
  let port = nextPort++;
  while (!(await listen(port).then(() => true, unlessTaken))) port = nextPort++;
  const shut = () => {
    door.close();
    for (const guest of guests) guest.resetAndDestroy();
  };
  return { http, port, arrivals, shut, open: () => listen(port) };
}

function unlessTaken(error: Error & { code?: string }): false {
  if (error.code === 'EADDRINUSE') return false;
  throw error;
}

/** A failure in words that are the same in every run: without ports and times. */
export function describe(failure: unknown): string {
  if (typeof failure !== 'object' || failure === null) return String(failure);
  const { name, message, code, reason, maybeExecuted } = failure as Record<string, unknown>;
  if (maybeExecuted !== undefined) return `\`${name}\`, \`maybeExecuted: ${maybeExecuted}\``;
  if (reason !== undefined) return `close ${code}`;
  const text = String(message).replace(/ [\d.:]+$/, '');
  return failure instanceof Error && name !== 'Error' ? `\`${name}\`` : `error "${text}"`;
}
