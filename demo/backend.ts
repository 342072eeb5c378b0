/**
 * The server behind the demo: Holdfast on `/live`, an echo on every other path. It listens on a port of its own that only serve.ts
 * knows, and every WebSocket reaches it through a proxy, where the demo hurts it for real.
 */

import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { createServer, type Server } from '../src/server/index.ts';
import { EchoServer } from '../test/support/echo-server.ts';
import { Archive } from './archive.ts';
import type { Demo } from './contract.ts';

/** How long one step of `grow` takes, in milliseconds. */
const STEP = 150;

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

  /** A new Holdfast server, which knows of nobody. */
  open(): void {
    const { archive } = this;
    this.#live = createServer<Demo>({
      server: this.#http,
      path: '/live',
      heartbeat: { interval: 2_000, timeout: 2_000 }, // short, for the show
      authorize: ({ action, data }) => {
        if (action === 'publish') archive.keep(data);
        return true;
      },
      handlers: {
        methods: {
          history: () => ({ archive: archive.id, messages: archive.latest() }),
          arrived: (ids) => archive.arrived(ids),
          tally: (from) => archive.tally(from),
          echo: (value) => value,
          async grow({ job, steps }, { client, signal }) {
            for (let step = 1; step <= steps; step++) {
              if (await stopped(signal)) {
                client.send('stopped', { job, step });
                break;
              }
              client.send('progress', { job, step });
            }
            return `grown in ${steps} steps`;
          },
        },
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
