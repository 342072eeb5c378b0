/** A TCP proxy that misbehaves on command, between a client and a real server. One per test, on a port of its own. */

import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';

/**
 * How bytes are treated on their way: `pass`; `hole`: swallowed, the end of the stream too, and both sides stay open; `stall`: not
 * read, so that the sender's window fills up, until they may pass again.
 */
export type Treatment = 'pass' | 'hole' | 'stall';
type Way = 'up' | 'down';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** The ways in which this connection leads into a hole, whatever happens to the others. */
  readonly holes: Set<Way>;
}

export class FaultProxy {
  /** Connections accepted so far. */
  accepted = 0;
  /** Milliseconds that every chunk is held back, order kept. */
  delay = 0;
  /** Bytes per second that go up, Infinity for as they come. */
  rate = Infinity;
  readonly #treatment: Record<Way, Treatment> = { up: 'pass', down: 'pass' };
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  readonly #server: Server;
  #refusing = false;
  #port = 0;

  private constructor(target: number) {
    this.#target = target;
    // Half-open, so that the end of a stream is passed on when its turn comes, after the bytes held back before it.
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.splice(client));
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

  /** What happens to bytes from the client to the server, on every connection, present and to come. */
  get up(): Treatment {
    return this.#treatment.up;
  }
  set up(treatment: Treatment) {
    this.#treatment.up = treatment;
    if (treatment !== 'stall') for (const { client } of this.#pairs) client.resume();
  }

  /** What happens to bytes from the server to the client. */
  get down(): Treatment {
    return this.#treatment.down;
  }
  set down(treatment: Treatment) {
    this.#treatment.down = treatment;
    if (treatment !== 'stall') for (const { server } of this.#pairs) server.resume();
  }

  url(path = '/echo'): string {
    return `ws://127.0.0.1:${this.#port}${path}`;
  }

  /** From now on the connections there are lead into a black hole, for good; new ones pass. */
  hole(...ways: Way[]): void {
    for (const { holes } of this.#pairs) for (const way of ways.length > 0 ? ways : (['up', 'down'] as const)) holes.add(way);
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

  /** Takes over a connection that somebody else accepted, who has read `head` from it. */
  splice(client: Socket, head?: Buffer): void {
    this.accepted++;
    const server = dial({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true });
    if (head) server.write(head);
    const pair: Pair = { client, server, holes: new Set() };
    this.#pairs.add(pair);
    this.#pipe(pair, client, server, 'up');
    this.#pipe(pair, server, client, 'down');
  }

  #listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  #pipe(pair: Pair, from: Socket, to: Socket, way: Way): void {
    /** Settles when everything that came before has been passed on. */
    let turn = Promise.resolve();
    const swallows = () => pair.holes.has(way) || this.#treatment[way] === 'hole';
    const pass = (wait: number, deed: () => void) => {
      turn = turn.then(async () => {
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        if (!to.destroyed && !swallows()) deed();
      });
      return turn;
    };
    from.on('data', (chunk) => {
      if (swallows()) return;
      if (this.#treatment[way] === 'stall') {
        from.pause();
        from.unshift(chunk);
        return;
      }
      const wait = Math.max(this.delay, way === 'up' ? Math.ceil((chunk.length / this.rate) * 1_000) : 0);
      if (wait > 0) from.pause();
      void pass(wait, () => to.write(chunk)).then(() => wait > 0 && from.resume());
    });
    from.on('error', () => {});
    from.on('end', () => void pass(0, () => to.end()));
    from.on('close', () => void pass(0, () => to.writableEnded || to.destroy()).then(() => this.#forget(pair)));
  }

  /** Forgotten once both sides are gone: a connection into a hole has one that nobody told, and that a cut still has to reach. */
  #forget(pair: Pair): void {
    if (pair.client.destroyed && pair.server.destroyed) this.#pairs.delete(pair);
  }
}
