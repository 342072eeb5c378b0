/**
 * The network of a simulated world: sockets whose other end is a host. Messages keep their order and are late by chance; a connection can be
 * cut at any boundary between messages, with either end told or not, swallow everything in either direction, or not be made at all.
 */

import type { WebSocketLike } from '../../src/io/web-socket.ts';
import type { Peer } from '../../src/server/connection.ts';
import type { Port } from '../../src/server/host.ts';
import type { Random } from './random.ts';
import type { SimClock, Timeline } from './time.ts';

type Message = string | Uint8Array | ArrayBuffer;
export type Way = 'up' | 'down';

/** The server that a network leads to; undefined while there is none. */
export interface Destination {
  readonly clock: SimClock;
  accept(peer: Peer): Port;
}

export class Network {
  /** Longest delay of a message, in milliseconds. */
  latency = 20;
  /** Milliseconds that each message to the client takes of the line, which is what makes them pile up. */
  slowness = 0;
  /** Connections are refused, or, held, neither made nor refused. */
  reach: 'open' | 'refused' | 'held' = 'open';
  destination: Destination | undefined;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly #clientClock: SimClock;
  readonly #log: (line: string) => void;
  /** The connections that are not over on both sides. */
  readonly links = new Set<Link>();
  /** Most connections open at the client at one time. */
  peak = 0;
  #made = 0;

  constructor(timeline: Timeline, random: Random, clientClock: SimClock, log: (line: string) => void) {
    this.timeline = timeline;
    this.random = random;
    this.#clientClock = clientClock;
    this.#log = log;
  }

  connect(): WebSocketLike {
    const link = new Link(this, this.#clientClock, ++this.#made, this.#log);
    this.links.add(link);
    this.peak = Math.max(this.peak, [...this.links].filter(({ socket }) => socket.readyState < 2).length);
    return link.socket;
  }

  /** The connection that the client uses now. */
  get current(): Link | undefined {
    return [...this.links].findLast(({ socket }) => socket.readyState < 2);
  }
}

/** One connection: what each end believes, and what is under way between them. */
class Link {
  readonly socket: SimSocket;
  readonly #network: Network;
  readonly #clientClock: SimClock;
  readonly #log: (line: string) => void;
  readonly #name: string;
  #serverClock: SimClock | undefined;
  #port: Port | undefined;
  /** When the last thing on each way arrives: nothing overtakes. */
  readonly #last: Record<Way, number> = { up: 0, down: 0 };
  readonly #holes = new Set<Way>();
  /** The generation of what is under way: a cut makes it void. */
  #void = false;
  #clientTold = false;
  #serverTold = false;

  constructor(network: Network, clientClock: SimClock, number: number, log: (line: string) => void) {
    this.#network = network;
    this.#clientClock = clientClock;
    this.#name = `#${number}`;
    this.#log = log;
    this.socket = new SimSocket(this);
    if (network.reach === 'held') return;
    this.#carry('up', () => this.#arrive());
  }

  /** The upgrade reaches the server, or nothing. */
  #arrive(): void {
    const { destination, reach } = this.#network;
    if (!destination || reach !== 'open' || this.socket.readyState !== 0)
      return this.#carry('down', () => this.#tellClient(1006, '', false));
    this.#serverClock = destination.clock;
    const backlog = () => this.#backlog;
    const peer: Peer = {
      get bufferedAmount() {
        return backlog();
      },
      send: (message) => this.#send('down', message),
      close: (code, reason) => this.#closeFrom('down', code, reason),
      terminate: () => {
        this.cut({ client: true, server: false, inFlight: 0 });
        this.#network.timeline.at(this.#network.timeline.now, () => this.#tellServer(), this.#serverClock);
      },
    };
    this.#port = destination.accept(peer);
    this.#carry('down', () => {
      if (this.socket.readyState !== 0) return;
      this.#log(`${this.#name} open`);
      this.socket.open();
    });
  }

  up(message: Message): void {
    this.#send('up', message);
  }

  #send(way: Way, message: Message): void {
    const copy = typeof message === 'string' ? message : new Uint8Array(message).slice().buffer;
    const size = typeof copy === 'string' ? copy.length : copy.byteLength;
    // What leads into a hole is never taken from the sender's hands.
    if (way === 'down' && (this.#network.slowness > 0 || this.#holes.has(way))) this.#backlog += size;
    this.#carry(way, () => {
      if (way === 'down') this.#backlog = Math.max(0, this.#backlog - size);
      if (way === 'down') this.socket.hear(copy);
      else if (!this.#serverTold) this.#port?.receive(copy);
    });
  }

  /** One end closes: the other hears of it in its turn, and answers. */
  #closeFrom(way: Way, code: number, reason: string): void {
    const other = way === 'up' ? 'down' : 'up';
    this.#carry(way, () => {
      if (way === 'up') this.#tellServer();
      else this.#tellClient(code, reason, true);
      this.#carry(other, () => {
        if (way === 'up') this.#tellClient(code, reason, true);
        else this.#tellServer();
      });
    });
  }

  closeFromClient(code: number, reason: string): void {
    this.#closeFrom('up', code, reason);
  }

  /** It breaks: of what is under way only the first `inFlight` arrive, and each end is told or not. */
  cut({ client, server, inFlight }: { client: boolean; server: boolean; inFlight: number }): void {
    if (this.#void) return;
    this.#spare = inFlight;
    this.#void = true;
    const { timeline, random, latency } = this.#network;
    const soon = () => timeline.now + random.between(0, latency);
    if (client) timeline.at(Math.max(soon(), this.#last.down), () => this.#tellClient(1006, '', false), this.#clientClock);
    if (server) timeline.at(Math.max(soon(), this.#last.up), () => this.#tellServer(), this.#serverClock);
  }

  /** From now on everything on these ways is swallowed, and nobody is told. */
  hole(...ways: Way[]): void {
    for (const way of ways) this.#holes.add(way);
  }

  #spare = 0;
  /** Bytes that the server has sent and that have not left. */
  #backlog = 0;

  #carry(way: Way, deed: () => void): void {
    const { timeline, random, latency } = this.#network;
    if (this.#void || this.#holes.has(way)) return;
    const slowness = way === 'down' ? this.#network.slowness : 0;
    this.#last[way] = Math.max(this.#last[way] + slowness, timeline.now + random.between(0, latency));
    const owner = way === 'up' ? this.#serverClock : this.#clientClock;
    timeline.at(
      this.#last[way],
      () => {
        if (this.#holes.has(way) || (this.#void && this.#spare-- <= 0)) return;
        deed();
      },
      owner,
    );
  }

  #tellClient(code: number, reason: string, wasClean: boolean): void {
    if (this.#clientTold) return;
    this.#clientTold = true;
    this.#log(`${this.#name} client closed ${code}`);
    this.socket.closed(code, reason, wasClean);
    this.#forget();
  }

  #tellServer(): void {
    if (this.#serverTold) return;
    this.#serverTold = true;
    this.#log(`${this.#name} server closed`);
    if (!this.#serverClock?.isFrozen) this.#port?.closed(); // a process that has died hears nothing
    this.#forget();
  }

  #forget(): void {
    if (this.#clientTold && (this.#serverTold || !this.#port)) this.#network.links.delete(this);
  }
}

export type { Link };

class SimSocket implements WebSocketLike {
  readyState = 0;
  bufferedAmount = 0;
  readonly protocol = '';
  readonly extensions = '';
  binaryType = 'blob';
  onopen: unknown = null;
  onmessage: unknown = null;
  onerror: unknown = null;
  onclose: unknown = null;
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  open(): void {
    this.readyState = 1;
    call(this.onopen, { type: 'open' });
  }

  hear(data: Message): void {
    if (this.readyState === 1) call(this.onmessage, { type: 'message', data });
  }

  send(message: unknown): void {
    if (this.readyState === 1) this.#link.up(message as Message);
  }

  close(code = 1005, reason = ''): void {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.#link.closeFromClient(code, reason);
  }

  closed(code: number, reason: string, wasClean: boolean): void {
    if (this.readyState === 3) return;
    const opening = this.readyState === 0;
    this.readyState = 3;
    if (opening) call(this.onerror, { type: 'error' });
    call(this.onclose, { type: 'close', code, reason, wasClean });
  }
}

function call(handler: unknown, event: unknown): void {
  if (typeof handler === 'function') handler(event);
}
