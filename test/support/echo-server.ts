/**
 * The raw echo server of the tests and the demo. The path of the URL names the scenario:
 *
 * - `/echo`                 echoes every message; the text "ping" is answered by "pong"
 * - `/status/503`           refuses the upgrade with that HTTP status
 * - `/stall`                never answers the upgrade
 * - `/silent`               accepts and never says anything
 * - `/close/4001?reason=x`  accepts and closes at once with that code (1005: without one)
 * - `/drop/after/3`         echoes, and cuts the connection after that many messages
 * - `/drop/ms/500`          echoes, and cuts the connection after that many milliseconds
 *
 * `?subprotocol=x` chooses that subprotocol whatever the client offered; otherwise the first offered is chosen.
 */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';

export interface Received {
  readonly data: string | Buffer;
  readonly path: string;
}

/** How a connection ended, as the server saw it. */
export interface Ended {
  readonly code: number;
  readonly reason: string;
}

/** The server without a port of its own: mount it on any HTTP server. */
export class EchoServer {
  /** Everything received, in order. */
  readonly received: Received[] = [];
  /** How connections ended, in order. */
  readonly ended: Ended[] = [];
  /** The most connections, stalled ones included, that there ever were at one time. */
  peak = 0;
  /** Upgrade requests seen, refused and stalled ones included. */
  upgrades = 0;
  readonly #wss = new WebSocketServer({ noServer: true, handleProtocols: (offered, request) => this.#choose(offered, request) });
  readonly #stalled = new Set<Duplex>();

  /** Connections that are open now. */
  get clients(): Set<WebSocket> {
    return this.#wss.clients;
  }

  /** Texts received, in order, without pings. */
  get texts(): string[] {
    return this.received.flatMap(({ data }) => (typeof data === 'string' && data !== 'ping' ? [data] : []));
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.upgrades++;
    socket.on('error', () => {});
    if (!URL.canParse(request.url ?? '/', 'http://localhost')) return void socket.destroy();
    const [, scenario, argument] = new URL(request.url ?? '/', 'http://localhost').pathname.split('/');
    if (scenario === 'status') {
      socket.end(`HTTP/1.1 ${Number(argument)} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    } else if (scenario === 'stall') {
      this.#stalled.add(socket);
      this.#count();
      socket.on('close', () => this.#stalled.delete(socket));
      socket.on('end', () => socket.destroy()); // nobody else reads it, and it would stay half open
      socket.resume();
    } else
      this.#wss.handleUpgrade(request, socket, head, (ws) => {
        this.#count();
        this.#serve(ws, request);
      });
  }

  /** Connections that wait for an answer to their upgrade now. */
  get stalled(): number {
    return this.#stalled.size;
  }

  /** Cuts every connection without a word. */
  drop(): void {
    for (const client of this.clients) client.terminate();
    for (const socket of this.#stalled) socket.destroy();
  }

  /** Stops answering: connections of now stay open and hear nothing any more. New ones are served. */
  mute(): void {
    for (const client of this.clients) {
      client.pause();
      client.removeAllListeners('message');
    }
  }

  /** Sends to everybody. */
  broadcast(data: string | Buffer): void {
    for (const client of this.clients) client.send(data);
  }

  #count(): void {
    this.peak = Math.max(this.peak, this.clients.size + this.stalled);
  }

  #serve(ws: WebSocket, request: IncomingMessage): void {
    const path = request.url ?? '/';
    const { pathname, searchParams } = new URL(path, 'http://localhost');
    const [, scenario, how, much] = pathname.split('/');
    ws.on('error', () => {});
    ws.on('close', (code, reason) => this.ended.push({ code, reason: String(reason) }));
    if (scenario === 'close') {
      if (how === '1005') ws.close();
      else ws.close(Number(how), searchParams.get('reason') ?? '');
      return;
    }
    let count = 0;
    ws.on('message', (data: RawData, isBinary) => {
      const message = isBinary ? (data as Buffer) : String(data);
      this.received.push({ data: message, path });
      if (scenario !== 'silent') ws.send(message === 'ping' ? 'pong' : message, { binary: isBinary });
      if (scenario === 'drop' && how === 'after' && ++count >= Number(much)) ws.terminate();
    });
    if (scenario === 'drop' && how === 'ms') setTimeout(() => ws.terminate(), Number(much));
  }

  #choose(offered: Set<string>, request: IncomingMessage): string | false {
    const wanted = new URL(request.url ?? '/', 'http://localhost').searchParams.get('subprotocol');
    return wanted ?? offered.values().next().value ?? false;
  }
}

export interface Running {
  readonly echo: EchoServer;
  readonly port: number;
  /** The WebSocket URL of a scenario. */
  url(path?: string): string;
  stop(): Promise<void>;
}

/** Runs the echo server on a port of its own, 0 for any that is free. */
export async function startEchoServer(port = 0): Promise<Running> {
  const echo = new EchoServer();
  const http: Server = createServer((_request, response) => response.writeHead(426).end());
  http.on('upgrade', (request, socket, head) => echo.handleUpgrade(request, socket, head));
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve));
  const actual = (http.address() as AddressInfo).port;
  return {
    echo,
    port: actual,
    url: (path = '/echo') => `ws://127.0.0.1:${actual}${path}`,
    stop: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        echo.drop();
        http.closeAllConnections();
      }),
  };
}
