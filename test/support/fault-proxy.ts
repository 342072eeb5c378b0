/** A TCP proxy that misbehaves on command, between a client and a real server. One per test, on a port of its own. */

import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * How bytes are treated on their way: `pass`; `hole`: swallowed, both sides stay open; `stall`: not read, so that the sender's window
 * fills up.
 */
export type Treatment = 'pass' | 'hole' | 'stall';

export class FaultProxy {
  /** Connections accepted so far. */
  accepted = 0;
  up: Treatment = 'pass';
  down: Treatment = 'pass';
  /** Milliseconds that every chunk is held back, order kept. */
  delay = 0;
  /** Bytes per second that go up, Infinity for as they come. */
  rate = Infinity;
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  readonly #server: Server;
  #refusing = false;
  #port = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(target: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await proxy.#listen();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#pairs.size;
  }

  url(path = '/echo'): string {
    return `ws://127.0.0.1:${this.#port}${path}`;
  }

  /** Ends all connections: `fin` politely, `rst` at once. */
  cut(how: 'fin' | 'rst' = 'rst'): void {
    for (const { client, server } of this.#pairs) {
      if (how === 'fin') client.end();
      else client.resetAndDestroy();
      server.destroy();
    }
    if (how === 'rst') this.#pairs.clear();
  }

  /** New connections are refused by the system until `accept()`; those of now live on. */
  async refuse(): Promise<void> {
    if (this.#refusing) return;
    this.#refusing = true;
    this.#server.close();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async accept(): Promise<void> {
    if (!this.#refusing) return;
    this.#refusing = false;
    await this.#listen();
  }

  async stop(): Promise<void> {
    this.cut();
    if (!this.#refusing) await new Promise((resolve) => this.#server.close(resolve));
  }

  #listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  #accept(client: Socket): void {
    this.accepted++;
    const pair = { client, server: dial(this.#target, '127.0.0.1') };
    this.#pairs.add(pair);
    this.#pipe(client, pair.server, 'up');
    this.#pipe(pair.server, client, 'down');
    for (const [one, other] of [
      [client, pair.server],
      [pair.server, client],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => {
        this.#pairs.delete(pair);
        other.destroy();
      });
    }
  }

  #pipe(from: Socket, to: Socket, way: 'up' | 'down'): void {
    let clear = Promise.resolve();
    from.on('data', (chunk) => {
      const treatment = this[way];
      if (treatment === 'hole') return;
      if (treatment === 'stall') {
        from.pause();
        from.unshift(chunk);
        return;
      }
      const wait = Math.max(this.delay, way === 'up' && this.rate < Infinity ? (chunk.length / this.rate) * 1_000 : 0);
      if (wait === 0) return void to.write(chunk);
      from.pause();
      clear = clear.then(async () => {
        await new Promise((resolve) => setTimeout(resolve, wait));
        if (!to.destroyed) to.write(chunk);
        from.resume();
      });
    });
    from.on('end', () => to.end());
  }
}
