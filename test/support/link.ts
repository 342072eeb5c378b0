/** A client and a server in one thread: real code on both ends, a link in memory between them, one clock for everything. */

import { Client } from '../../src/client.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import type { Anything, Contract } from '../../src/contract.ts';
import type { ServerClient } from '../../src/server/client.ts';
import type { Peer } from '../../src/server/connection.ts';
import { Host, type Port } from '../../src/server/host.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { FakeLifecycle } from './face.ts';
import { FakeClock, settled } from './fake-clock.ts';

type Message = string | Uint8Array | ArrayBuffer;

/**
 * A socket whose other end is a host. Messages arrive in order, each in a microtask of its own, copied as a network would; nothing
 * arrives once the link is cut.
 */
export class LinkSocket {
  readyState = 0;
  bufferedAmount = 0;
  protocol = '';
  extensions = '';
  binaryType = 'blob';
  onopen: unknown = null;
  onmessage: unknown = null;
  onerror: unknown = null;
  onclose: unknown = null;
  /** What the client sent, and what it was sent, as on the wire. */
  readonly sent: Message[] = [];
  readonly received: Message[] = [];
  readonly url: string;
  readonly protocols: readonly string[];
  /** Why the server closed it, as the server said. */
  serverClose: { readonly code: number; readonly reason: string } | undefined;
  #port: Port | undefined;
  /** Neither end hears of the other any more, and nobody is told. */
  #silent = false;

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
  }

  /** The server takes the connection. */
  accept(host: { accept: Host<Anything>['accept'] }, address = '10.0.0.1'): void {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    const peer: Peer = {
      bufferedAmount: 0,
      send: (message) => this.deliver(typeof message === 'string' ? message : message.slice().buffer),
      close: (code, reason) => {
        this.serverClose = { code, reason };
        queueMicrotask(() => this.#close(code, reason, true));
      },
      terminate: () => this.cut(),
    };
    this.#port = host.accept(peer, { url: '/', headers: {}, address });
    this.#call(this.onopen, new Event('open'));
  }

  /** A message from the server, or from a test in its place. */
  deliver(message: Message): void {
    this.received.push(message);
    queueMicrotask(() => {
      if (this.readyState === 1 && !this.#silent) this.#call(this.onmessage, new MessageEvent('message', { data: message }));
    });
  }

  send(message: Message): void {
    this.sent.push(message);
    if (this.readyState !== 1) return; // it swallows it, as the platform's does
    const port = this.#port;
    const copy = typeof message === 'string' ? message : new Uint8Array(message).slice();
    // What was sent before a close arrives before it.
    queueMicrotask(() => {
      if (this.readyState !== 3 && !this.#silent) port?.receive(copy);
    });
  }

  close(code = 1005, reason = ''): void {
    if (this.readyState >= 2) return;
    const opened = this.readyState === 1;
    this.readyState = 2;
    queueMicrotask(() => this.#close(opened ? code : 1006, reason, opened));
  }

  /** The link breaks: both ends are told, the client with this code. */
  cut(code = 1006): void {
    this.#close(code, '', false);
  }

  /** The link goes dead: neither end is told. */
  vanish(): void {
    this.#silent = true;
  }

  /** The server sees bytes come in, of a message that is not there yet. */
  hears(): void {
    this.#port?.alive();
  }

  /** The server is told that the connection is gone, as a proxy or a timeout of TCP would tell it. */
  serverGone(): void {
    this.#port?.closed();
    this.#port = undefined;
  }

  #close(code: number, reason: string, wasClean: boolean): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.serverGone();
    if (!this.#silent) this.#call(this.onclose, { code, reason, wasClean });
  }

  #call(handler: unknown, event: unknown): void {
    if (typeof handler === 'function') handler.call(this, event);
  }
}

export interface Pair<C extends Contract = Anything> {
  readonly client: Client<C>;
  readonly host: Host<C>;
  readonly clock: FakeClock;
  readonly page: FakeLifecycle;
  /** Every socket the client made, the newest last. */
  readonly sockets: LinkSocket[];
  /** The newest socket. */
  readonly socket: LinkSocket;
  /** The client as the server sees it; the newest one. */
  readonly peer: ServerClient<C>;
  /** What the server reported: "where: message". */
  readonly errors: string[];
  /** Lifecycle events of the client in words, but `statechange`. */
  readonly log: string[];
  /** Whether the server takes connections; while not, they stay connecting. */
  reachable: boolean;
  /** Until nothing more happens without time passing. */
  settle(): Promise<void>;
  /** Frames that the client sent on the newest socket, without batches; binary ones as their JSON part. */
  frames(socket?: LinkSocket): Frame[];
}

export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The server dies of what it has just read, and its session with it. */
export function dies(p: Pair): void {
  p.socket.cut();
  p.peer.close(4_422);
}

/** A pair that connects as soon as promises settle. Retries wait a second each, unless the test says otherwise. */
export function pair<C extends Contract = Anything>(options: ClientOptions = {}, server: HostOptions<C> = {}): Pair<C> {
  const clock = new FakeClock();
  const page = new FakeLifecycle();
  const sockets: LinkSocket[] = [];
  const errors: string[] = [];
  const log: string[] = [];
  const host = new Host<C>({
    clock,
    onerror: (error, where) => errors.push(`${where}: ${error instanceof Error ? error.message : String(error)}`),
    ...server,
  });
  const state = { reachable: true };
  const client = new Client<C>('wss://example.test/live', {
    clock,
    lifecycle: page,
    random: () => 0.5,
    backoff: () => 1_000,
    createSocket: (url, protocols) => {
      const socket = new LinkSocket(url, protocols);
      sockets.push(socket);
      if (state.reachable) queueMicrotask(() => socket.accept(host as unknown as Host<Anything>));
      return socket as never;
    },
    ...options,
  });
  for (const type of ['open', 'close', 'error', 'drop', 'unhandled'] as const)
    client.addEventListener(type, (event) => void log.push(told(event)));
  return {
    client,
    host,
    clock,
    page,
    sockets,
    errors,
    log,
    get socket() {
      const socket = sockets.at(-1);
      if (!socket) throw new Error('no socket was made yet');
      return socket;
    },
    get peer() {
      const peer = host.clients.at(-1);
      if (!peer) throw new Error('no client was welcomed yet');
      return peer;
    },
    get reachable() {
      return state.reachable;
    },
    set reachable(reachable) {
      state.reachable = reachable;
    },
    settle: async () => {
      for (let i = 0; i < 10; i++) await settled();
    },
    frames(this: Pair<C>, socket: LinkSocket = this.socket) {
      return socket.sent.flatMap((message) => framesIn(message));
    },
  };
}

/** The frames of a message on the wire. */
export function framesIn(message: Message): Frame[] {
  const text =
    typeof message === 'string'
      ? message
      : new TextDecoder().decode(new Uint8Array(message).subarray(0, new Uint8Array(message).indexOf(0xff)));
  const value: unknown = JSON.parse(text);
  return (Array.isArray(value) ? value : [value]) as Frame[];
}

function told(event: Event): string {
  const { code, willReconnect, kind, name, reason, error } = event as unknown as Record<string, unknown>;
  if (event.type === 'close') return `close ${code} ${willReconnect ? 'again' : 'final'}`;
  if (event.type === 'drop') return `drop ${kind} ${name} ${reason}`;
  if (event.type === 'unhandled') return `unhandled ${kind} ${name}`;
  if (event.type === 'error') return `error ${(error as { code?: string }).code ?? error}`;
  return event.type;
}
