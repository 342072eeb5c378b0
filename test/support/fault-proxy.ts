/** A TCP proxy that misbehaves on command, between a client and a real server. One per test, on a port of its own. */

import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';

/**
 * How bytes are treated on their way: `pass`; `hole`: swallowed, the end of the stream too, and both sides stay open; `stall`: not
 * read, so that the sender's window fills up, until they may pass again.
 */
export type Treatment = 'pass' | 'hole' | 'stall';
/** Up is from the client to the server. */
export type Way = 'up' | 'down';

/** How one side is told that the connection is cut: `fin` politely, `rst` at once. */
export type End = 'fin' | 'rst';

/**
 * What becomes of a connection at a byte position: `cut`, each side being told in its own way; `hole`: what follows is swallowed, in the
 * ways named, and both sides stay open; `stall`: what follows that way is not read until `resume`.
 */
export type Fate =
  | { readonly kind: 'cut'; readonly client: End; readonly server: End }
  | { readonly kind: 'hole'; readonly ways: readonly Way[] }
  | { readonly kind: 'stall' };

/** One connection through the proxy, for whoever wants to meet it at a byte position. */
export interface Passage {
  /** Bytes that were let through so far. */
  readonly passed: Readonly<Record<Way, number>>;
  /** Whether it is over: both sides are gone, or were told so. */
  readonly isOver: boolean;
  /** Set it to hear of every chunk that is let through, before it is written. */
  onbytes: ((way: Way, chunk: Buffer) => void) | undefined;
  /** Set it to hear that the connection is over. */
  onover: (() => void) | undefined;
  /**
   * Lets exactly so many more bytes through that way: of the chunk that crosses the position only the part before it. Then it happens, once
   * these bytes are handed to the system. The last word counts.
   *
   * @param bytes 1 or more
   * @param way the way that is counted
   * @param fate what happens
   * @param met called when it has happened
   */
  after(bytes: number, way: Way, fate: Fate, met?: () => void): void;
  /** Ends the stalls of this connection. */
  resume(): void;
}

export class FaultProxy {
  /** Connections accepted so far. */
  accepted = 0;
  /** Milliseconds that every chunk is held back, order kept. */
  delay = 0;
  /** Bytes per second that go up, Infinity for as they come. */
  rate = Infinity;
  /** Set it to hear of every connection, before its first byte. */
  onpassage: ((passage: Passage) => void) | undefined;
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
    if (treatment !== 'stall') for (const pair of this.#pairs) pair.resume('up');
  }

  /** What happens to bytes from the server to the client. */
  get down(): Treatment {
    return this.#treatment.down;
  }
  set down(treatment: Treatment) {
    this.#treatment.down = treatment;
    if (treatment !== 'stall') for (const pair of this.#pairs) pair.resume('down');
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
    const pair = new Pair(client, server);
    this.#pairs.add(pair);
    this.onpassage?.(pair);
    this.#pipe(pair, 'up');
    this.#pipe(pair, 'down');
  }

  #listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  #pipe(pair: Pair, way: Way): void {
    const [from, to] = way === 'up' ? [pair.client, pair.server] : [pair.server, pair.client];
    /** Settles when everything that came before has been passed on. */
    let turn = Promise.resolve();
    const swallows = () => pair.swallows(way) || this.#treatment[way] === 'hole';
    const pass = (wait: number, deed: () => void) => {
      turn = turn.then(async () => {
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        if (!to.destroyed && !swallows()) deed();
      });
      return turn;
    };
    from.on('data', (chunk) => {
      if (swallows()) return;
      if (this.#treatment[way] === 'stall' || pair.stalls.has(way)) {
        from.pause();
        from.unshift(chunk);
        return;
      }
      const { part, rest, meet } = pair.admit(way, chunk);
      const wait = Math.max(this.delay, way === 'up' ? Math.ceil((part.length / this.rate) * 1_000) : 0);
      if (wait > 0 || rest) from.pause();
      const passed = pass(wait, () => {
        pair.passing(way, part);
        to.write(part, meet);
      });
      if (rest) from.unshift(rest);
      void passed.then(() => ((wait > 0 && !rest) || swallows()) && from.resume());
    });
    from.on('error', () => {});
    from.on('end', () => void pass(0, () => to.end()));
    from.on('close', () => void pass(0, () => to.writableEnded || to.destroy()).then(() => this.#forget(pair)));
  }

  /** Forgotten once both sides are gone: a connection into a hole has one that nobody told, and that a cut still has to reach. */
  #forget(pair: Pair): void {
    if (!pair.client.destroyed || !pair.server.destroyed) return;
    this.#pairs.delete(pair);
    pair.over();
  }
}

interface Appointment {
  left: number;
  readonly way: Way;
  readonly fate: Fate;
  readonly met: (() => void) | undefined;
}

/** A connection through the proxy: its two sides, and what is to become of it. */
class Pair implements Passage {
  readonly client: Socket;
  readonly server: Socket;
  readonly passed = { up: 0, down: 0 };
  /** The ways in which this connection leads into a hole, whatever happens to the others. */
  readonly holes = new Set<Way>();
  readonly stalls = new Set<Way>();
  onbytes: ((way: Way, chunk: Buffer) => void) | undefined;
  onover: (() => void) | undefined;
  #appointment: Appointment | undefined;
  #isCut = false;
  #isOver = false;

  constructor(client: Socket, server: Socket) {
    this.client = client;
    this.server = server;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  after(bytes: number, way: Way, fate: Fate, met?: () => void): void {
    this.#appointment = { left: bytes, way, fate, met };
  }

  /** Stalls end, in that way or in both. */
  resume(way?: Way): void {
    for (const each of way ? [way] : (['up', 'down'] as const)) {
      this.stalls.delete(each);
      (each === 'up' ? this.client : this.server).resume();
    }
  }

  swallows(way: Way): boolean {
    return this.#isCut || this.holes.has(way);
  }

  /** What of a chunk may pass, what has to wait, and what is to happen when the first has passed. */
  admit(way: Way, chunk: Buffer): { readonly part: Buffer; readonly rest?: Buffer; readonly meet?: () => void } {
    const appointment = this.#appointment;
    if (appointment?.way !== way) return { part: chunk };
    const { left, fate, met } = appointment;
    appointment.left -= chunk.length;
    if (appointment.left > 0) return { part: chunk };
    this.#appointment = undefined;
    // Nothing passes that way between the last byte and what happens then.
    this.stalls.add(way);
    const meet = () => {
      this.#meet(way, fate);
      met?.();
      if (fate.kind === 'cut') this.over();
    };
    return { part: chunk.subarray(0, left), rest: chunk.subarray(left), meet };
  }

  passing(way: Way, part: Buffer): void {
    this.passed[way] += part.length;
    this.onbytes?.(way, part);
  }

  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onover?.();
  }

  #meet(way: Way, fate: Fate): void {
    if (fate.kind === 'stall') return;
    if (fate.kind === 'hole') for (const each of fate.ways) this.holes.add(each);
    else {
      this.#isCut = true;
      end(this.client, fate.client);
      end(this.server, fate.server);
    }
    // What comes now is read, and swallowed; and the end is heard.
    if (fate.kind === 'hole') this.resume(way);
    else this.resume();
  }
}

function end(socket: Socket, how: End): void {
  if (how === 'rst') socket.resetAndDestroy();
  else socket.end();
}
