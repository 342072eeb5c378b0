/**
 * The server without its sockets: who is connected, who is subscribed to what, and what a message is worth. Sans-I/O: whoever owns the
 * connections hands each one in as a {@link Peer} and tells what comes in and when it is gone, so that a whole server runs inside a test.
 */

import { show } from '../checks.ts';
import type { Anything, Channels, Contract, Events, Name, Optional } from '../contract.ts';
import { utf8Length } from '../core/queue.ts';
import { CallError } from '../errors.ts';
import { encodeFrame, encodePayload, type Message, type Payload } from '../wire/codec.ts';
import { wireError } from '../wire/errors.ts';
import { Close } from '../wire/holdfast.ts';
import type { Admission } from './admission.ts';
import { type ClientHost, type Peer, ServerClient } from './client.ts';
import { type HostOptions, type HostSettings, type PeerRequest, settleHost } from './options.ts';

/** What the owner of a connection tells about it. */
export interface Port {
  /** A message came in: text as a string, anything else as ArrayBuffer or view. */
  receive(message: unknown): void;
  /** Bytes came in, perhaps of a message that is not complete yet: a slow link is not a dead one. */
  alive(): void;
  /** It is gone. */
  closed(): void;
}

/** How a server shuts down. */
export interface ShutdownOptions {
  /** Milliseconds that running calls may take; clients wait no longer than 5 s after the goodbye. @default 4000 */
  readonly drain?: number;
  /** Milliseconds over which the clients spread their return. @default 5000 */
  readonly retryAfter?: number;
}

export class Host<C extends Contract = Anything> {
  readonly #options: HostOptions<C>;
  readonly #settings: HostSettings;
  readonly #clientHost: ClientHost;
  /** Every connection, welcomed or not. */
  readonly #clients = new Set<ServerClient>();
  readonly #subscribers = new Map<string, Set<ServerClient>>();
  /** The channels of each client, and those it is waiting for: the latest demand for each. */
  readonly #channels = new Map<ServerClient, Map<string, object>>();
  readonly #perAddress = new Map<string, number>();
  /** Subscriptions of each client that wait to be authorized. */
  readonly #deciding = new WeakMap<ServerClient, number>();
  /** What each client is publishing: how much, and the end of the line. */
  readonly #publishing = new WeakMap<ServerClient, { length: number; size: number; last: Promise<void> }>();
  #lastId = 0;
  #draining = false;
  #emptied: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: HostOptions<C> = {}, settings: HostSettings = settleHost(options as HostOptions)) {
    this.#options = options;
    this.#settings = settings;
    const { handlers = {}, authenticate } = options as HostOptions;
    const { methods = {}, events = {} } = handlers;
    this.#clientHost = {
      settings: this.#settings,
      authenticate: (token, request) => authenticate?.(token, request),
      subscribe: (client, channel, params) => this.#subscribe(client, channel, params),
      unsubscribe: (client, channel) => this.#unsubscribe(client, channel),
      publish: (client, channel, data) => this.#publish(client, channel, data),
      method: (name) => (Object.hasOwn(methods, name) ? methods[name] : undefined),
      event: (client, name, data) => {
        const handler = Object.hasOwn(events, name) ? events[name] : undefined;
        if (handler) this.#guard(`the handler of ${name}`, () => handler(data, { client }));
        else this.#guard('onunhandled', () => options.onunhandled?.(name, data, client as unknown as ServerClient<C>));
      },
      welcomed: (client) => this.#guard('onconnection', () => options.onconnection?.(client as unknown as ServerClient<C>)),
      left: (client) => this.#left(client),
      gone: (client) => this.#gone(client),
    };
  }

  /** The clients that are there. */
  get clients(): ServerClient<C>[] {
    return [...this.#clients].filter(({ isOpen }) => isOpen) as unknown as ServerClient<C>[];
  }

  /** Connections, welcomed or not. */
  get connections(): number {
    return this.#clients.size;
  }

  /** Whether it is shutting down. */
  get isDraining(): boolean {
    return this.#draining;
  }

  /** Takes a new connection. One that is not welcome is told so and closed. */
  accept(peer: Peer, request: PeerRequest): Port {
    const client = new ServerClient(`${++this.#lastId}`, peer, request, this.#clientHost);
    const { connections, connectionsPerAddress } = this.#settings.limits;
    const here = this.#perAddress.get(request.address) ?? 0;
    const port = { receive: (message: unknown) => client.receive(message), alive: () => client.alive(), closed: () => client.closed() };
    // Who is turned away takes nobody's place, however long it takes to go.
    if (this.#draining) client.drain(0, 1_000);
    else if (this.#clients.size >= connections || here >= connectionsPerAddress)
      client.close(Close.OVERLOADED, 'too many connections', 5_000);
    else {
      this.#clients.add(client);
      this.#channels.set(client, new Map());
      this.#perAddress.set(request.address, here + 1);
    }
    return port;
  }

  /**
   * Publishes to everybody who is subscribed, from the server itself.
   *
   * @returns how many it went to
   * @throws TypeError at what cannot be sent
   */
  publish<N extends Name<Channels<C>>>(channel: N, data: Channels<C>[N]): number {
    return this.#spread(channel, ...messageOf(channel, encodePayload(data) ?? 'null', undefined));
  }

  /** Sends a named event to everybody who is there; who does not take so much is reported to `onerror`. */
  broadcast<N extends Name<Events<C, 'client'>>>(name: N, ...data: Optional<Events<C, 'client'>[N], never>): void {
    for (const client of this.clients) this.#guard(`sending ${name}`, () => client.send(name, ...data));
  }

  /** Says goodbye to everybody, lets running calls finish, and resolves when all are gone. New connections are sent away. */
  close({ drain = 4_000, retryAfter = 5_000 }: ShutdownOptions = {}): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#draining = true;
      this.#emptied = resolve;
      for (const client of [...this.#clients]) client.drain(drain, retryAfter);
      if (this.#clients.size === 0) resolve();
    });
    return this.#closed;
  }

  #subscribe(client: ServerClient, channel: string, params: unknown): Admission | Promise<Admission> {
    const channels = this.#channels.get(client) ?? new Map<string, object>();
    const { subscriptions } = this.#settings.limits;
    const deciding = this.#deciding.get(client) ?? 0;
    if ((!channels.has(channel) && channels.size >= subscriptions) || deciding >= 2 * subscriptions)
      return refused(channel, new CallError('RESOURCE_EXHAUSTED', 'Too many channels'));
    if (channel.length > LONGEST_NAME) return refused(channel, new CallError('INVALID_ARGUMENT', 'The name of the channel is too long'));
    const demand = {};
    channels.set(channel, demand);
    this.#leave(client, channel); // a second subscribe replaces the first
    const permission = this.#permission(client, { action: 'subscribe', channel, params });
    if (!(permission instanceof Promise)) return this.#admission(client, channel, demand, permission);
    this.#deciding.set(client, deciding + 1);
    return permission.then((error) => {
      this.#deciding.set(client, (this.#deciding.get(client) ?? 1) - 1);
      return this.#admission(client, channel, demand, error);
    });
  }

  /** What a decision comes to, unless the client has changed its mind meanwhile. */
  #admission(client: ServerClient, channel: string, demand: object, error: CallError | undefined): Admission {
    const isCurrent = () => this.#channels.get(client)?.get(channel) === demand;
    if (!isCurrent()) return refused(channel, new CallError('CANCELLED', 'It was given up meanwhile'));
    if (error) {
      this.#channels.get(client)?.delete(channel);
      return refused(channel, error);
    }
    const join = () => {
      if (!isCurrent()) return;
      const subscribers = this.#subscribers.get(channel) ?? new Set();
      this.#subscribers.set(channel, subscribers.add(client));
    };
    return { result: { channel, recovered: false }, join };
  }

  #unsubscribe(client: ServerClient, channel: string): void {
    this.#channels.get(client)?.delete(channel);
    this.#leave(client, channel);
  }

  #leave(client: ServerClient, channel: string): void {
    const subscribers = this.#subscribers.get(channel);
    if (subscribers?.delete(client) && subscribers.size === 0) this.#subscribers.delete(channel);
  }

  /** One publish of a client after the other, however long each takes to be authorized. */
  #inTurn<T>(client: ServerClient, size: number, publish: () => Promise<T>): Promise<T> {
    const line = this.#publishing.get(client) ?? { length: 0, size: 0, last: Promise.resolve() };
    const cost = size + PUBLISH_COST;
    if (line.size + cost > this.#settings.limits.buffered)
      return Promise.reject(new CallError('RESOURCE_EXHAUSTED', 'Too many publishes at once'));
    const published = line.last.then(publish);
    const done = () => {
      line.length--;
      line.size -= cost;
      if (line.length === 0) this.#publishing.delete(client);
    };
    line.length++;
    line.size += cost;
    line.last = published.then(done, done);
    this.#publishing.set(client, line);
    return published;
  }

  /** Asks for permission at once, and publishes when it is there and it is this message's turn. */
  #publish(client: ServerClient, channel: string, data: unknown): Promise<unknown> {
    const payload = this.#encoded(data);
    if (payload === undefined) return Promise.reject(new CallError('INVALID_ARGUMENT', 'The data cannot be passed on'));
    const permission = this.#permission(client, { action: 'publish', channel, data });
    const pass = (error: CallError | undefined) => {
      if (error) throw error;
      return this.#pass(client, channel, payload);
    };
    // At once where nothing is waited for, so that no burst has to wait in line.
    if (!(permission instanceof Promise) && !this.#publishing.has(client)) return new Promise((resolve) => resolve(pass(permission)));
    return this.#inTurn(client, payload.length, async () => pass(await permission));
  }

  #pass(client: ServerClient, channel: string, payload: Payload): object {
    let name = this.#guard('nameOf', () => this.#options.nameOf?.(client as unknown as ServerClient<C>));
    if (typeof name !== 'string' && name !== undefined) {
      this.#settings.onerror(new TypeError(`nameOf returned ${show(name)}; it returns a string, or undefined`), 'nameOf');
      name = undefined;
    }
    // Numbers may be longer when they are written again: what the sender may send, others must not have to refuse.
    const [message, bytes] = messageOf(channel, payload, name);
    const { message: limit } = this.#settings.limits;
    if (bytes > limit) throw new CallError('RESOURCE_EXHAUSTED', `The message has ${bytes} bytes, and ${limit} can be passed on`);
    this.#spread(channel, message, bytes);
    return {};
  }

  /** To every subscriber. Whoever does not take so much loses the channel, with an error, rather than a message in silence. */
  #spread(channel: string, message: Message, bytes: number): number {
    let reached = 0;
    for (const client of [...(this.#subscribers.get(channel) ?? [])]) {
      if (client.deliver(message, bytes)) reached++;
      else {
        this.#unsubscribe(client, channel);
        client.tell({
          type: 'unsubscribe',
          channel,
          error: wireError(new CallError('RESOURCE_EXHAUSTED', 'A message was more than you take')),
        });
      }
    }
    return reached;
  }

  /** Why the client may not do it, if it may not; at once, where `authorize` knows at once. */
  #permission(
    client: ServerClient,
    what: { action: 'subscribe' | 'publish'; channel: string; params?: unknown; data?: unknown },
  ): CallError | undefined | Promise<CallError | undefined> {
    const { authorize } = this.#options as HostOptions;
    if (!authorize) return undefined;
    const denied = () => new CallError('PERMISSION_DENIED', `Not allowed to ${what.action} on ${what.channel}`);
    const failed = (error: unknown) => {
      if (error instanceof CallError) return error;
      this.#settings.onerror(error, 'authorize');
      return new CallError('INTERNAL', 'The authorization failed');
    };
    try {
      const allowed = authorize({ ...what, client });
      if (!(allowed instanceof Promise)) return allowed ? undefined : denied();
      return allowed.then((yes) => (yes ? undefined : denied()), failed);
    } catch (error) {
      return failed(error);
    }
  }

  /** What a client published, encoded again; undefined where that cannot be, since it is nested too deeply. */
  #encoded(data: unknown): Payload | undefined {
    try {
      return encodePayload(data) ?? 'null';
    } catch {
      return undefined;
    }
  }

  #left(client: ServerClient): void {
    for (const channel of this.#channels.get(client)?.keys() ?? []) this.#leave(client, channel);
    this.#channels.delete(client);
  }

  #gone(client: ServerClient): void {
    this.#left(client);
    if (!this.#clients.delete(client)) return; // it had been turned away
    const { address } = client.request;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(address, left);
    else this.#perAddress.delete(address);
    if (this.#clients.size === 0) this.#emptied?.();
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

/** Characters in the name of a channel, at most. */
const LONGEST_NAME = 1_024;
/** What a publish that waits costs beside its payload, in bytes. */
const PUBLISH_COST = 64;

function messageOf(channel: string, payload: Payload, from: string | undefined): [message: Message, bytes: number] {
  const message = encodeFrame({ type: 'message', channel, ...(from !== undefined && { from }) }, payload);
  return [message, typeof message === 'string' ? utf8Length(message) : message.length];
}

function refused(channel: string, error: CallError): Admission {
  return { result: { channel, error: wireError(error) }, join: () => {} };
}
