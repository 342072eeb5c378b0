/**
 * The server without its sockets: who is connected, and who handles what they say; channels are in channels.ts. Sans-I/O: whoever owns the
 * connections hands each one in as a {@link Peer} and tells what comes in and when it is gone, so that a whole server runs inside a test.
 */

import { checkText, checkWait, show } from '../checks.ts';
import type { Anything, Channels, Contract, Events, Name, Optional } from '../contract.ts';
import type { Member } from '../wire/frames.ts';
import { Close } from '../wire/holdfast.ts';
import type { Position } from './broker.ts';
import { ChannelHub } from './channels.ts';
import { type ClientHost, ServerClient } from './client.ts';
import { type ConnectionHost, type Peer, ServerConnection } from './connection.ts';
import { Once } from './once.ts';
import { type HostOptions, type HostSettings, type PeerRequest, settleHost } from './options.ts';
import { SessionStore } from './sessions.ts';

/** What the owner of a connection is to tell about it: what `host.accept` returns. */
export interface Port {
  /**
   * A message came in. One that the protocol does not allow closes the connection with 4400, one that is too large with 4413.
   *
   * @param message text as a string, anything else as ArrayBuffer or view
   */
  receive(message: unknown): void;
  /** Bytes came in, perhaps of a message that is not complete yet: a slow link is not a dead one. Where you cannot know, do not say it. */
  alive(): void;
  /** The connection is gone. Saying so twice is saying it once. */
  closed(): void;
}

/** How a server shuts down. */
export interface ShutdownOptions {
  /** Milliseconds that running calls may take; clients wait no longer than 5 s after the goodbye. @default 4000 */
  readonly drain?: number;
  /** Milliseconds over which the clients spread their return, so that they do not come all at once. @default 5000 */
  readonly retryAfter?: number;
}

/**
 * A server without its sockets, for tests and for servers of other kinds: whoever owns the connections hands each one in as a {@link Peer},
 * and tells its {@link Port} what comes in.
 *
 * @example
 * const host = new Host({ handlers: { methods: { echo: (params) => params } } });
 * webSocketServer.on('connection', (ws, { url = '/', headers, socket }) => {
 *   const port = host.accept(ws, { url, headers, address: socket.remoteAddress ?? '' });
 *   ws.on('error', () => {}); // a close follows
 *   ws.on('message', (data, isBinary) => port.receive(isBinary ? data : String(data)));
 *   ws.on('close', () => port.closed());
 * });
 */
export class Host<C extends Contract = Anything> {
  readonly #channels: ChannelHub;
  readonly #settings: HostSettings;
  readonly #sessions: SessionStore | undefined;
  readonly #connectionHost: ConnectionHost;
  /** Every connection, welcomed or not. */
  readonly #connections = new Set<ServerConnection>();
  readonly #perAddress = new Map<string, number>();
  /** Those that have been welcomed, and are there or waited for. */
  readonly #clients = new Set<ServerClient>();
  #lastId = 0;
  #draining = false;
  #emptied: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  /**
   * @param options what the server does
   * @param settings for `createServer`: the options as it has checked them
   * @throws `TypeError` at a bad option
   */
  constructor(options: HostOptions<C> = {}, settings: HostSettings = settleHost(options as HostOptions)) {
    this.#settings = settings;
    const {
      authorize,
      nameOf,
      authenticate,
      expiresAt,
      identityOf,
      handlers = {},
      onconnection,
      ondisconnection,
      onunhandled,
    } = options as HostOptions;
    this.#channels = new ChannelHub(settings, { authorize, nameOf });
    this.#sessions = settings.sessions ? new SessionStore(settings.sessions, settings.clock) : undefined;
    const { methods = {}, events = {} } = handlers;
    const shared = {
      settings,
      sessions: this.#sessions,
      // Whoever cannot be told apart from others is like nobody else.
      identityOf: (principal: unknown) =>
        this.#guard('identityOf', () => (identityOf ?? nameOfPrincipal)(principal)) ?? settings.createId(),
    };
    const once = new Once(settings.broker, settings.onerror);
    const executor = (client: ServerClient) => (client.principal === undefined ? undefined : client.identity);
    const clientHost: ClientHost = {
      ...shared,
      publish: (client, channel, data, key) => {
        const execution = { method: `publish ${channel}`, key: key ?? '', params: data, identity: executor(client) };
        const exactlyOnce = (publish: () => unknown) => once.execute(execution, publish);
        return this.#channels.publish(client, channel, data, key === undefined ? undefined : exactlyOnce);
      },
      once: (client, execution, run) => once.execute({ ...execution, identity: executor(client) }, run),
      method: (name) => (Object.hasOwn(methods, name) ? methods[name] : undefined),
      event: (client, name, data) => {
        const handler = Object.hasOwn(events, name) ? events[name] : undefined;
        if (handler) this.#guard(`the handler of ${name}`, () => handler(data, { client }));
        else this.#guard('onunhandled', () => onunhandled?.(name, data, client));
      },
      returned: (client) => this.#channels.returned(client),
      ended: (client) => {
        this.#channels.ended(client);
        if (this.#clients.delete(client)) this.#guard('ondisconnection', () => ondisconnection?.(client));
      },
    };
    this.#connectionHost = {
      ...shared,
      authenticate: (token, request) => authenticate?.(token, request),
      knownAs: (principal) => {
        try {
          return String((identityOf ?? nameOfPrincipal)(principal));
        } catch {
          return undefined;
        }
      },
      // Where nobody can say until when, it is over: that was reported.
      expiresAt: (principal) => this.#guard('expiresAt', () => epoch(expiresAt?.(principal)) ?? Infinity) ?? -Infinity,
      newClient: (principal, request) => new ServerClient(`${++this.#lastId}`, principal, request, clientHost),
      subscribe: (connection, declaration) => this.#channels.subscribe(connection, declaration),
      unsubscribe: (connection, channel) => this.#channels.unsubscribe(connection, channel),
      forgo: (connection, channel) => this.#channels.forgo(connection, channel),
      isSubscribed: (connection, channel) => this.#channels.isSubscribed(connection, channel),
      hasPresence: this.#channels.hasPresence,
      presence: (connection, client, frame) => this.#channels.presence(connection, client, frame),
      welcomed: (client) => {
        this.#clients.add(client);
        this.#guard('onconnection', () => onconnection?.(client));
      },
      left: (connection) => this.#channels.left(connection),
      gone: (connection) => this.#gone(connection),
    };
  }

  /** The clients that are there, or waited for (`isConnected` says which), in the order of their welcome. A new list each time. */
  get clients(): ServerClient<C>[] {
    return [...this.#clients].filter(({ isOpen }) => isOpen) as unknown as ServerClient<C>[];
  }

  /** How many connections there are, welcomed or not. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Whether `close()` was called. */
  get isDraining(): boolean {
    return this.#draining;
  }

  /**
   * Takes a new connection. One that is too much is closed with 4429, one that comes while the host shuts down with 4100.
   *
   * @param peer the connection
   * @param request what is known about it
   * @returns where to tell what happens on it
   *
   * @example
   * const sent: unknown[] = [];
   * const closed = () => port.closed();
   * const peer: Peer = { bufferedAmount: 0, send: (message) => sent.push(message), close: closed, terminate: closed };
   * const port = new Host().accept(peer, { url: '/', headers: {}, address: '127.0.0.1' });
   * port.receive('{"type":"hello","version":1,"features":[],"limits":{"message":65536,"window":256},"attempt":0}');
   */
  accept(peer: Peer, request: PeerRequest): Port {
    const connection = new ServerConnection(peer, request, this.#connectionHost);
    const { connections, connectionsPerAddress } = this.#settings.limits;
    const here = this.#perAddress.get(request.address) ?? 0;
    // Who is turned away takes nobody's place, however long it takes to go.
    if (this.#draining) connection.drain(0, 1_000);
    else if (this.#connections.size >= connections || here >= connectionsPerAddress)
      connection.leaveWith(Close.OVERLOADED, 'too many connections', 5_000);
    else {
      this.#connections.add(connection);
      this.#channels.joined(connection);
      this.#perAddress.set(request.address, here + 1);
    }
    return {
      receive: (message) => connection.receive(message),
      alive: () => connection.alive(),
      closed: () => connection.closed(),
    };
  }

  /**
   * Publishes to everybody who is subscribed, from the server itself: without asking `authorize`, and without a `from`. A subscriber that
   * takes less loses the channel, with an error.
   *
   * @param channel the name of the channel
   * @param data JSON, or an ArrayBuffer or view as a whole
   * @returns how many of this host it has gone to already; a broker that takes its time, or fails, makes it 0 (and is reported to `onerror`)
   * @throws `TypeError` at what cannot be sent
   *
   * @example
   * const reached = host.publish('room:kelp', { text: 'hello' });
   */
  publish<N extends Name<Channels<C>>>(channel: N, data: Channels<C>[N]): number {
    checkText(channel, 'publish');
    return this.#channels.announce(channel, data);
  }

  /**
   * Where a channel stands, for whoever reads a snapshot of what was published on it: ask in the same step in which you read, and give the
   * `offset` to the client with the snapshot (`load` of its `subscribe`). Asked a moment earlier, messages may come twice.
   *
   * Rejects with what the broker throws.
   *
   * @param channel the name of the channel
   * @returns `{ epoch, offset }`; `undefined` where the channel keeps no history
   *
   * @example
   * const { offset } = (await host.position('room:kelp')) ?? {};
   */
  position(channel: Name<Channels<C>>): Promise<Position | undefined> {
    return this.#channels.position(channel);
  }

  /**
   * Who is there on a channel, on this host and on those that share its broker, as the clients see it by `presence(channel)`. Empty where
   * there is no presence.
   *
   * Rejects with what the broker throws.
   *
   * @param channel the name of the channel
   * @returns everybody, in any order
   *
   * @example
   * for (const { from, data } of await host.members('room:kelp')) console.log(from, data);
   */
  members(channel: Name<Channels<C>>): Promise<readonly Member[]> {
    return this.#channels.members(channel);
  }

  /**
   * Sends a named event to everybody who is there, or waited for. What cannot be sent, or is more than a client takes, is reported to `onerror`.
   *
   * @param name the name of the event
   * @param data the data; left out it is `null`
   *
   * @example
   * host.broadcast('notice', 'back in five minutes');
   */
  broadcast<N extends Name<Events<C, 'client'>>>(name: N, ...data: Optional<Events<C, 'client'>[N], never>): void {
    checkText(name, 'broadcast');
    for (const client of this.clients) this.#guard(`sending ${name}`, () => client.send(name, ...data));
  }

  /**
   * Says goodbye to everybody (4100), lets running calls finish, and resolves when all are gone. New connections are sent away. Doing so
   * twice is doing it once.
   *
   * @param options `drain` and `retryAfter`
   *
   * @example
   * await host.close({ drain: 1_000 });
   */
  close({ drain = 4_000, retryAfter = 5_000 }: ShutdownOptions = {}): Promise<void> {
    checkWait(drain, 'drain');
    checkWait(retryAfter, 'retryAfter');
    this.#closed ??= new Promise((resolve) => {
      this.#draining = true;
      this.#emptied = () => {
        for (const client of [...this.#clients]) client.end('unknown');
        resolve();
      };
      for (const connection of [...this.#connections]) connection.drain(drain, retryAfter);
      if (this.#connections.size === 0) this.#emptied();
    });
    return this.#closed;
  }

  #gone(connection: ServerConnection): void {
    this.#channels.left(connection);
    if (!this.#connections.delete(connection)) return; // it had been turned away
    const { address } = connection.request;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(address, left);
    else this.#perAddress.delete(address);
    if (this.#connections.size === 0) this.#emptied?.();
  }

  /** Runs a hook of the user; what it throws is reported and harms nobody. */
  #guard<T>(where: string, hook: () => T): T | undefined {
    const failed = (error: unknown) => this.#settings.onerror(error, where);
    try {
      const result = hook();
      if (result instanceof Promise) result.catch(failed);
      return result;
    } catch (error) {
      failed(error);
      return undefined;
    }
  }
}

/** A principal by what it says of itself: a text or number as it is, an object by its `id` or, where it has none, by everything it says. */
function nameOfPrincipal(principal: unknown): string {
  if (typeof principal !== 'object' || principal === null) return `${typeof principal} ${String(principal)}`;
  const { id } = principal as { readonly id?: unknown };
  const name = JSON.stringify(id ?? principal);
  if (name === undefined || name === '{}') throw new TypeError('A principal cannot be told from others: give the option "identityOf"');
  return `${id === undefined || id === null ? 'object' : 'id'} ${name}`;
}

/** Until when somebody is who they say. @throws TypeError at what is no time */
function epoch(at: number | undefined): number | undefined {
  if (at !== undefined && (typeof at !== 'number' || Number.isNaN(at)))
    throw new TypeError(`Option "expiresAt" returned ${show(at)}; it returns epoch milliseconds, or undefined`);
  return at;
}
