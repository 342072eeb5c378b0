/**
 * The server behind the demo: Holdfast on `/live`, an echo on every other path. It listens on a port of its own that only serve.ts
 * knows, and every WebSocket reaches it through a proxy, where the demo hurts it for real.
 */

import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { createServer, MemoryBroker, type Server, StreamItem } from '../src/server/index.ts';
import { EchoServer } from '../test/support/echo-server.ts';
import { Archive } from './archive.ts';
import type { History, Talk } from './contract.ts';

/** How long one step of `grow` takes, in milliseconds. */
const STEP = 150;
/** Messages in one part of the history. */
const PART = 100;

type Demo = Talk<StreamItem<number>>;

export class Backend {
  readonly echo = new EchoServer();
  readonly archive = new Archive();
  readonly #http: HttpServer = createHttpServer((_request, response) => response.writeHead(404).end());
  #live: Server<Demo> | undefined;

  /** Resolves to the port. */
  async start(): Promise<number> {
    this.#http.on('upgrade', (request, socket, head) => {
      if (!request.url?.startsWith('/live')) this.echo.handleUpgrade(request, socket, head);
      else if (!this.#live) socket.destroy();
    });
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    this.open();
    return (this.#http.address() as AddressInfo).port;
  }

  /** The Holdfast server; undefined while it is away. */
  get live(): Server<Demo> | undefined {
    return this.#live;
  }

  /** A new Holdfast server. It knows the archive, and nothing else of before: no sessions, no outcomes, no history of the channel. */
  open(): void {
    const { archive } = this;
    const run = randomUUID();
    const broker = new MemoryBroker();
    const offset = () => broker.history('room').position?.offset;
    broker.subscribe('room', ({ payload }) => archive.keep(JSON.parse(String(payload))));
    this.#live = createServer<Demo>({
      broker,
      server: this.#http,
      path: '/live',
      heartbeat: { interval: 2_000, timeout: 2_000 }, // short, for the show
      authorize: ({ action, data }) => {
        if (action === 'publish') archive.check(data);
        return true;
      },
      handlers: {
        methods: {
          position: offset,
          arrivals: (from) => archive.arrivals(from),
          async *history(): AsyncGenerator<History> {
            const now = { archive: archive.id, run, offset: offset() };
            const { messages } = archive;
            for (let i = 0; i === 0 || i < messages.length; i += PART) yield { ...now, messages: messages.slice(i, i + PART) };
          },
          async *grow({ job, steps }, { client, signal, cursor = 0 }): AsyncGenerator<StreamItem<number>> {
            for (let step = Number(cursor) + 1; step <= steps; step++) {
              if (await stopped(signal)) return void client.send('stopped', { job, step });
              yield new StreamItem(step, step);
            }
          },
        },
        events: { ping: (sent, { client }) => client.send('pong', sent, { volatile: true }) },
      },
    });
  }

  /** Says goodbye to everybody, as a server does that is about to be restarted. */
  async shutDown(): Promise<void> {
    const live = this.#live;
    this.#live = undefined;
    await live?.close({ drain: 200, retryAfter: 500 });
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    await this.shutDown();
    this.echo.drop();
    this.#http.closeAllConnections();
    await closed;
  }
}

/** Waits one step; whether somebody lost interest meanwhile. */
async function stopped(signal: AbortSignal): Promise<boolean> {
  await wait(STEP, undefined, { signal }).catch(() => {});
  return signal.aborted;
}
