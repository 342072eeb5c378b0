/** The channels of a server, in memory: who is subscribed, who may, and what a published message is worth. */

import { show } from '../checks.ts';
import { CallError } from '../errors.ts';
import { bytesOf, encodeFrame, encodePayload, type Message, type Payload } from '../wire/codec.ts';
import { wireError } from '../wire/errors.ts';
import type { Admission } from './admission.ts';
import type { ServerClient } from './client.ts';
import type { HostOptions, HostSettings } from './options.ts';

export class ChannelHub {
  readonly #settings: HostSettings;
  readonly #hooks: Pick<HostOptions, 'authorize' | 'nameOf'>;
  readonly #subscribers = new Map<string, Set<ServerClient>>();
  /** The channels of each client, and those it is waiting for: the latest demand for each. */
  readonly #channels = new Map<ServerClient, Map<string, object>>();
  /** Subscriptions of each client that wait to be authorized. */
  readonly #deciding = new WeakMap<ServerClient, number>();
  /** What each client is publishing: how much, and the end of the line. */
  readonly #publishing = new WeakMap<ServerClient, { length: number; size: number; last: Promise<void> }>();

  constructor(
    settings: HostSettings,
    { authorize, nameOf }: { authorize: HostOptions['authorize'] | undefined; nameOf: HostOptions['nameOf'] | undefined },
  ) {
    this.#settings = settings;
    this.#hooks = { ...(authorize && { authorize }), ...(nameOf && { nameOf }) };
  }

  /** A client is there. */
  joined(client: ServerClient): void {
    this.#channels.set(client, new Map());
  }

  /** Publishes from the server itself; returns how many it went to. Throws TypeError at what cannot be sent. */
  announce(channel: string, data: unknown): number {
    return this.#spread(channel, ...messageOf(channel, encodePayload(data) ?? 'null', undefined));
  }

  /** Asks for permission, and answers when it is there; a second subscribe replaces the first. */
  subscribe(client: ServerClient, channel: string, params: unknown): Admission | Promise<Admission> {
    const channels = this.#channels.get(client) ?? new Map<string, object>();
    const { subscriptions } = this.#settings.limits;
    const deciding = this.#deciding.get(client) ?? 0;
    if ((!channels.has(channel) && channels.size >= subscriptions) || deciding >= 2 * subscriptions)
      return refused(channel, new CallError('RESOURCE_EXHAUSTED', 'Too many channels'));
    if (channel.length > LONGEST_NAME) return refused(channel, new CallError('INVALID_ARGUMENT', 'The name of the channel is too long'));
    const demand = {};
    channels.set(channel, demand);
    this.#leave(client, channel);
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

  unsubscribe(client: ServerClient, channel: string): void {
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
  publish(client: ServerClient, channel: string, data: unknown): Promise<unknown> {
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
    const name = this.#nameOf(client);
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
        this.unsubscribe(client, channel);
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
    const { authorize } = this.#hooks;
    if (!authorize) return undefined;
    const denied = () => new CallError('PERMISSION_DENIED', `Not allowed to ${what.action} on ${what.channel}`);
    const failed = (error: unknown) => {
      if (error instanceof CallError) return error;
      this.#settings.onerror(error, 'authorize');
      return new CallError('INTERNAL', 'The authorization failed');
    };
    try {
      const allowed: unknown = authorize({ ...what, client });
      // Anything that has a `then` is a decision to come: a query builder is no yes.
      if (typeof (allowed as PromiseLike<unknown> | undefined)?.then !== 'function') return allowed ? undefined : denied();
      return Promise.resolve(allowed).then((yes) => (yes ? undefined : denied()), failed);
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

  /** A client takes no messages any more. */
  left(client: ServerClient): void {
    for (const channel of this.#channels.get(client)?.keys() ?? []) this.#leave(client, channel);
    this.#channels.delete(client);
  }

  /** Who published, as the user says; undefined where that fails or is no text. */
  #nameOf(client: ServerClient): string | undefined {
    try {
      const name: unknown = this.#hooks.nameOf?.(client);
      if (typeof name === 'string' || name === undefined) return name;
      throw new TypeError(`nameOf returned ${show(name)}; it returns a string, or undefined`);
    } catch (error) {
      this.#settings.onerror(error, 'nameOf');
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
  return [message, bytesOf(message)];
}

function refused(channel: string, error: CallError): Admission {
  return { result: { channel, error: wireError(error) }, join: () => {} };
}
