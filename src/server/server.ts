/** A host on real sockets: HTTP, the `ws` package, origins, a health endpoint. */

import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Check, callback } from '../checks.ts';
import type { Anything, Channels, Contract, Events, Name, Optional } from '../contract.ts';
import type { Member } from '../wire/frames.ts';
import { HELLO_LIMIT, SUBPROTOCOL } from '../wire/holdfast.ts';
import type { Position } from './broker.ts';
import type { ServerClient } from './client.ts';
import type { Peer } from './connection.ts';
import { Host, type ShutdownOptions } from './host.ts';
import { type HostOptions, hostChecks, type PeerRequest, settleHost } from './options.ts';
import { doorkeeper } from './origins.ts';

/**
 * Options of a server: those of a host, and where to listen. A bad value is a `TypeError` that names it; a name that is not known is a
 * warning.
 */
export interface ServerOptions<C extends Contract = Anything> extends HostOptions<C> {
  /** The port to listen on, 0 to 65535; 0 for any that is free. Give this, or `server`. */
  readonly port?: number;
  /** The interface to listen on. @default all of them */
  readonly hostname?: string;
  /** Your own HTTP server, listening or not; upgrades to other paths are left to its other listeners. Give this, or `port`. */
  readonly server?: HttpServer;
  /** The path of the WebSocket, without a query. Others are answered with 404. @default '/' */
  readonly path?: string;
  /** The path that answers with 200, or 503 while shutting down; `false` for none. Only on an HTTP server of its own. @default '/health' */
  readonly health?: string | false;
  /**
   * The pages that may connect, as in the Origin header (RFC 6455, section 10.2), or a function that says so; others are answered with 403.
   * Programs that send no such header are let in. @default all, but a page of another host whose browser sends cookies: these are for your
   * pages, and any page can open a WebSocket with them. The first one that is refused so is reported to `onerror`
   */
  readonly origins?: readonly string[] | ((origin: string) => boolean);
}

const checks: Record<keyof ServerOptions, Check> = {
  ...hostChecks,
  port: [(value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535, 'a port, 0 to 65535'],
  hostname: [(value) => typeof value === 'string', 'a host name'],
  server: [(value) => typeof (value as HttpServer | null)?.on === 'function', 'an HTTP server'],
  path: [isPath, 'a path that begins with /'],
  health: [(value) => value === false || isPath(value), 'a path that begins with /, or false'],
  origins: [
    (value) => callback[0](value) || (Array.isArray(value) && value.every(isOrigin)),
    'a list of origins (https://example.com, without a path or slash), or a function',
  ],
};

/** A server that is listening, or about to: what `createServer` returns. */
export interface Server<C extends Contract = Anything> {
  /** The HTTP server under it. */
  readonly http: HttpServer;
  /**
   * Resolves when it listens, or at once on an HTTP server of your own. Rejects with Node's error when it cannot, EADDRINUSE for instance;
   * where nobody has asked for the promise, that is reported to `onerror`.
   */
  readonly listening: Promise<void>;
  /** The port it listens on; 0 while it does not. */
  readonly port: number;
  /** The clients that are there, or waited for (`isConnected` says which), in the order of their welcome. A new list each time. */
  readonly clients: ServerClient<C>[];
  /** How many connections there are, welcomed or not. */
  readonly connections: number;
  /**
   * Publishes to everybody who is subscribed, from the server itself: without asking `authorize`, and without a `from`. A subscriber that
   * takes less loses the channel, with an error.
   *
   * @param channel the name of the channel
   * @param data JSON, or an ArrayBuffer or view as a whole
   * @returns how many of this server it has gone to already; a broker that takes its time, or fails, makes it 0 (and is reported to `onerror`)
   * @throws `TypeError` at what cannot be sent
   *
   * @example
   * const reached = server.publish('room:kelp', { text: 'hello' });
   */
  publish<N extends Name<Channels<C>>>(channel: N, data: Channels<C>[N]): number;
  /**
   * Where a channel stands, for whoever reads a snapshot of what was published on it: ask in the same step in which you read, and give the
   * `offset` to the client with the snapshot (`load` of its `subscribe`). Asked a moment earlier, messages may come twice.
   *
   * Rejects with what the broker throws.
   *
   * @param channel the name of the channel
   * @returns `{ epoch, offset }`; `undefined` where the channel keeps no history
   */
  position(channel: Name<Channels<C>>): Promise<Position | undefined>;
  /**
   * Who is there on a channel, on this server and on those that share its broker, as the clients see it by `presence(channel)`. Empty where
   * there is no presence.
   *
   * Rejects with what the broker throws.
   *
   * @param channel the name of the channel
   * @returns everybody, in any order
   *
   * @example
   * for (const { from, data } of await server.members('room:kelp')) console.log(from, data);
   */
  members(channel: Name<Channels<C>>): Promise<readonly Member[]>;
  /**
   * Sends a named event to everybody who is there, or waited for. What cannot be sent, or is more than a client takes, is reported to `onerror`.
   *
   * @param name the name of the event
   * @param data the data; left out it is `null`
   *
   * @example
   * server.broadcast('notice', 'back in five minutes');
   */
  broadcast<N extends Name<Events<C, 'client'>>>(name: N, ...data: Optional<Events<C, 'client'>[N], never>): void;
  /**
   * Says goodbye to everybody (4100), lets running calls finish, and resolves when all are gone and, on an HTTP server of its own, it does
   * not listen any more. Doing so twice is doing it once.
   *
   * @param options `drain` and `retryAfter`
   *
   * @example
   * process.once('SIGTERM', () => server.close({ drain: 3_000 }));
   */
  close(options?: ShutdownOptions): Promise<void>;
}

/**
 * Starts a server, in Node, on the `ws` package.
 *
 * @param options what it does, and where it listens: `port` or `server`
 * @returns the server, which is about to listen: wait for `listening`
 * @throws `TypeError` at a bad option, or without a `port` or `server`
 *
 * @example
 * type Sums = { server: { methods: { add(params: { a: number; b: number }): number } } };
 * const server = createServer<Sums>({ port: 8080, handlers: { methods: { add: ({ a, b }) => a + b } } });
 * await server.listening;
 */
export function createServer<C extends Contract = Anything>(options: ServerOptions<C>): Server<C> {
  const { port, hostname, server, path = '/', origins } = options;
  if ((port === undefined) === (server === undefined)) throw new TypeError('createServer() takes either "port" or "server"');
  if (server && options.health) throw new TypeError('Option "health" is for a server of its own, but "server" was given');
  const settings = settleHost(options as HostOptions, checks);
  const host = new Host<C>(options, settings);
  // Per-message compression is left to proxies: it costs memory for each connection (the `ws` README has the figures).
  const wss = new WebSocketServer({
    noServer: true,
    maxPayload: Math.max(settings.limits.message, HELLO_LIMIT),
    clientTracking: false,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  const http = server ?? createHttpServer((request, response) => answer(host, request, response, path, options.health ?? '/health'));
  const mayConnect = doorkeeper(origins, settings.onerror);
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // On another's HTTP server, other paths are for its other listeners, if there are any.
    if (pathOf(request) !== path) return server && http.listenerCount('upgrade') > 1 ? undefined : refuse(socket, '404 Not Found');
    if (!mayConnect(request.headers)) return refuse(socket, '403 Forbidden');
    wss.handleUpgrade(request, socket, head, (ws) => connect(host, ws, request));
  };
  http.on('upgrade', upgrade);
  const listening = server ? Promise.resolve() : listen(http, port ?? 0, hostname);
  let isAwaited = false;
  listening.catch((error: unknown) => {
    if (!isAwaited) settings.onerror(error, 'listening');
  });
  return {
    http,
    get listening() {
      isAwaited = true;
      return listening;
    },
    get port() {
      return (http.address() as AddressInfo | null)?.port ?? 0;
    },
    get clients() {
      return host.clients;
    },
    get connections() {
      return host.connections;
    },
    publish: (channel, data) => host.publish(channel, data),
    position: (channel) => host.position(channel),
    members: (channel) => host.members(channel),
    broadcast: (name, ...data) => host.broadcast(name, ...data),
    async close(shutdown) {
      // The port stays open meanwhile: whoever looks after the server asks there how it is, and who comes late is sent elsewhere.
      await host.close(shutdown);
      http.off('upgrade', upgrade);
      if (server) return;
      await new Promise<void>((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections(); // whoever only keeps the line open is not waited for
      });
    },
  };
}

/** Plain HTTP, on a server of its own. */
function answer<C extends Contract>(
  host: Host<C>,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  health: string | false,
): void {
  const where = pathOf(request);
  if (where !== health) return void response.writeHead(where === path ? 426 : 404).end();
  const { isDraining, connections } = host;
  response.writeHead(isDraining ? 503 : 200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify({ status: isDraining ? 'draining' : 'ok', connections }));
}

function connect<C extends Contract>(host: Host<C>, ws: WebSocket, request: IncomingMessage): void {
  const peer: Peer = {
    get bufferedAmount() {
      return ws.bufferedAmount;
    },
    send: (message) => ws.send(message),
    close: (code, reason) => ws.close(code, reason),
    terminate: () => ws.terminate(),
  };
  const about: PeerRequest = { url: request.url ?? '/', headers: request.headers, address: request.socket.remoteAddress ?? '' };
  const port = host.accept(peer, about);
  ws.on('message', (data: Buffer, isBinary) => port.receive(isBinary ? data : data.toString()));
  request.socket.on('data', () => port.alive());
  ws.on('close', () => port.closed());
  ws.on('error', () => {}); // a close follows
}

function listen(http: HttpServer, port: number, hostname: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, hostname, () => resolve());
  });
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').replace(/\?.*$/, '');
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && /^\/[^?#]*$/.test(value);
}

/** As browsers write them; "null" is that of sandboxed frames and files. */
function isOrigin(value: unknown): boolean {
  return typeof value === 'string' && (value === 'null' || /^[a-z][a-z\d+.-]*:\/\/[^/?#]+$/i.test(value));
}

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => {}); // it has hung up already
  socket.once('finish', () => socket.destroy()); // and if it does not hang up, it must not keep the server from closing
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
