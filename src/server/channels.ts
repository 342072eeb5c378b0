/** The channels of a server: who may subscribe and publish, and who is subscribed. What is published goes through the {@link Broker}. */

import { show } from '../checks.ts';
import { CallError } from '../errors.ts';
import { bytesOf, encodeFrame, encodePayload, type Payload } from '../wire/codec.ts';
import { wireError } from '../wire/errors.ts';
import type { Declaration, Member } from '../wire/frames.ts';
import type { Admission } from './admission.ts';
import type { Broker, Missed, Position } from './broker.ts';
import type { ServerClient } from './client.ts';
import type { ServerConnection } from './connection.ts';
import type { HostOptions, HostSettings } from './options.ts';
import { type Declared, Presence, type PresenceFrame } from './presence.ts';
import { Room, resultOf } from './room.ts';

export class ChannelHub {
  readonly #settings: HostSettings;
  readonly #broker: Broker;
  readonly #hooks: Pick<HostOptions, 'authorize' | 'nameOf'>;
  /** Who is there; undefined where that is not offered. */
  readonly #presence: Presence | undefined;
  /** The channels that somebody listens to. */
  readonly #rooms = new Map<string, Room>();
  /** The channels of each connection, and those it is waiting for: the latest demand for each. */
  readonly #channels = new Map<ServerConnection, Map<string, object>>();
  /** Subscriptions and presences of each connection that wait to be decided. */
  readonly #deciding = new WeakMap<ServerConnection, number>();
  /** Bytes of what each connection has missed that are going to be written, by channel. */
  readonly #reserved = new WeakMap<ServerConnection, Map<string, number>>();
  /** What each client is publishing: how much, and the end of the line. */
  readonly #publishing = new WeakMap<ServerClient, { length: number; size: number; last: Promise<void> }>();

  constructor(
    settings: HostSettings,
    { authorize, nameOf }: { authorize: HostOptions['authorize'] | undefined; nameOf: HostOptions['nameOf'] | undefined },
  ) {
    this.#settings = settings;
    this.#broker = settings.broker;
    this.#hooks = { ...(authorize && { authorize }), ...(nameOf && { nameOf }) };
    const { members } = this.#broker;
    const { presence: limits } = settings;
    if (!members || !limits) return;
    this.#presence = new Presence({
      settings,
      members,
      limits,
      subscription: (connection, channel) => this.#subscription(connection, channel),
      permission: (client, channel, data) => this.#permission(client, { action: 'presence', channel, data }),
      nameOf: (client) => this.#nameOf(client),
      refused: (connection, channel) => this.#rooms.get(channel)?.refuse(connection),
    });
  }

  /** Whether it can be asked who is there. */
  get hasPresence(): boolean {
    return this.#presence !== undefined;
  }

  /** A connection is there. */
  joined(connection: ServerConnection): void {
    this.#channels.set(connection, new Map());
  }

  /** Publishes from the server itself; returns how many it has gone to by now. Throws TypeError at what cannot be sent. */
  announce(channel: string, data: unknown): number {
    const payload = encodePayload(data) ?? 'null';
    const room = this.#rooms.get(channel);
    const before = room?.reached ?? 0;
    const failed = (error: unknown) => this.#settings.onerror(error, 'the broker');
    try {
      const published = this.#broker.publish(channel, { payload });
      if (published instanceof Promise) published.catch(failed);
    } catch (error) {
      failed(error);
    }
    return (room?.reached ?? 0) - before;
  }

  /** Where a channel stands. */
  async position(channel: string): Promise<Position | undefined> {
    return (await this.#broker.history(channel)).position;
  }

  /** Asks for permission, and answers when it is there; a second subscribe replaces the first. */
  subscribe(connection: ServerConnection, declaration: Declaration): Admission | Promise<Admission> {
    const { channel, params } = declaration;
    const channels = this.#channels.get(connection) ?? new Map<string, object>();
    const { subscriptions } = this.#settings.limits;
    if ((!channels.has(channel) && channels.size >= subscriptions) || this.#isBusy(connection))
      return refused(channel, new CallError('RESOURCE_EXHAUSTED', 'Too many channels'));
    if (channel.length > LONGEST_NAME) return refused(channel, new CallError('INVALID_ARGUMENT', 'The name of the channel is too long'));
    this.#leave(connection, channel);
    const demand = {};
    channels.set(channel, demand);
    const permission = this.#permission(connection.client, { action: 'subscribe', channel, params });
    const admission =
      permission instanceof Promise
        ? permission.then((error) => this.#enter(connection, declaration, demand, error))
        : this.#enter(connection, declaration, demand, permission);
    return admission instanceof Promise ? this.#decide(connection, admission) : admission;
  }

  /** Begins to listen, unless the client may not, or has changed its mind meanwhile. */
  #enter(
    connection: ServerConnection,
    { channel, epoch, offset }: Declaration,
    demand: object,
    error: CallError | undefined,
  ): Admission | Promise<Admission> {
    const isCurrent = () => this.#channels.get(connection)?.get(channel) === demand;
    const givenUp = () => refused(channel, new CallError('CANCELLED', 'It was given up meanwhile'));
    if (!isCurrent()) return givenUp();
    const refuse = (why: CallError) => {
      this.forgo(connection, channel);
      return refused(channel, why);
    };
    if (error) return refuse(error);
    const failed = (failure: unknown) => {
      this.#settings.onerror(failure, 'the broker');
      return isCurrent() ? refuse(new CallError('UNAVAILABLE', 'The broker failed')) : givenUp();
    };
    const admit = (found: Missed): Admission => {
      if (!isCurrent()) return givenUp();
      const missed = this.#reserve(connection, channel, sizeOf(found)) ? found : { position: found.position, missed: undefined };
      const join = () => {
        if (!isCurrent()) return;
        this.#reserved.get(connection)?.delete(channel); // it is written now
        this.#rooms.get(channel)?.join(connection, missed);
      };
      return { result: resultOf(channel, missed), join };
    };
    const since = typeof epoch === 'string' && typeof offset === 'number' ? { epoch, offset } : undefined;
    try {
      const missed = this.#roomOf(channel).enter(connection, since);
      return missed instanceof Promise ? missed.then(admit).catch(failed) : admit(missed);
    } catch (failure) {
      return failed(failure);
    }
  }

  /** Whether so much that was missed may still be written to a connection: what waits for it is bounded, also where it missed a lot. */
  #reserve(connection: ServerConnection, channel: string, bytes: number): boolean {
    if (bytes === 0) return true;
    const reserved = this.#reserved.get(connection) ?? new Map<string, number>();
    const sum = [...reserved.values()].reduce((all, each) => all + each, bytes);
    if (sum + connection.backlog > this.#settings.limits.buffered / 2) return false;
    this.#reserved.set(connection, reserved.set(channel, bytes));
    return true;
  }

  #roomOf(channel: string): Room {
    const found = this.#rooms.get(channel);
    if (found) return found;
    const room = new Room(channel, {
      broker: this.#broker,
      buffered: this.#settings.limits.buffered,
      left: (connection) => this.forgo(connection, channel),
      emptied: () => this.#rooms.delete(channel),
      failed: (error) => this.#settings.onerror(error, 'the broker'),
    });
    this.#rooms.set(channel, room);
    return room;
  }

  /** The client does not want the channel any more. */
  unsubscribe(connection: ServerConnection, channel: string): void {
    this.forgo(connection, channel);
    if (connection.client) this.#presence?.left(connection.client, channel);
  }

  /** The connection does not have the channel any more. */
  forgo(connection: ServerConnection, channel: string): void {
    this.#channels.get(connection)?.delete(channel);
    this.#leave(connection, channel);
  }

  #leave(connection: ServerConnection, channel: string): void {
    this.#presence?.paused(connection, channel);
    this.#reserved.get(connection)?.delete(channel);
    this.#rooms.get(channel)?.leave(connection);
  }

  /** A client says whether it is there, and wants to know who is. */
  async presence(connection: ServerConnection, client: ServerClient, frame: PresenceFrame): Promise<Declared> {
    if (!this.#presence) throw new CallError('UNIMPLEMENTED', 'There is no presence here');
    if (this.#isBusy(connection)) throw new CallError('RESOURCE_EXHAUSTED', 'Too many channels');
    return this.#decide(connection, this.#presence.declare(connection, client, frame));
  }

  /** Whether it listens to a channel, or is going to. */
  isSubscribed(connection: ServerConnection, channel: string): boolean {
    return this.#subscription(connection, channel) !== undefined;
  }

  #subscription(connection: ServerConnection, channel: string): object | undefined {
    return this.#rooms.get(channel)?.has(connection) ? this.#channels.get(connection)?.get(channel) : undefined;
  }

  /** Whether too much waits already to be decided for a connection. */
  #isBusy(connection: ServerConnection): boolean {
    return (this.#deciding.get(connection) ?? 0) >= 2 * this.#settings.limits.subscriptions;
  }

  /** Counts what waits. */
  #decide<T>(connection: ServerConnection, decision: Promise<T>): Promise<T> {
    const count = (change: number) => this.#deciding.set(connection, (this.#deciding.get(connection) ?? 0) + change);
    count(1);
    const decided = () => count(-1);
    decision.then(decided, decided);
    return decision;
  }

  /** Who is there on a channel. */
  async members(channel: string): Promise<readonly Member[]> {
    return this.#presence && this.#broker.members ? this.#broker.members.list(channel) : [];
  }

  /** A client is back with its session. */
  returned(client: ServerClient): void {
    this.#presence?.returned(client);
  }

  /** A client is gone for good. */
  ended(client: ServerClient): void {
    this.#presence?.ended(client);
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

  /**
   * Asks for permission at once, and publishes when it is there and it is this message's turn.
   *
   * @param once sees to it that it is published once, however often it is sent
   */
  publish(client: ServerClient, channel: string, data: unknown, once?: (publish: () => unknown) => Promise<unknown>): Promise<unknown> {
    const payload = this.#encoded(data);
    if (payload === undefined) return Promise.reject(new CallError('INVALID_ARGUMENT', 'The data cannot be passed on'));
    const permission = this.#permission(client, { action: 'publish', channel, data });
    const pass = (error: CallError | undefined) => {
      if (error) throw error;
      const publish = () => this.#pass(client, channel, payload);
      return once ? once(publish) : publish();
    };
    // At once where nothing is waited for, so that no burst has to wait in line.
    if (!once && !(permission instanceof Promise) && !this.#publishing.has(client))
      return new Promise((resolve) => resolve(pass(permission)));
    return this.#inTurn(client, payload.length, async () => pass(await permission));
  }

  #pass(client: ServerClient, channel: string, payload: Payload): object | Promise<object> {
    const from = this.#nameOf(client);
    // Numbers may be longer when they are written again: what the sender may send, others must not have to refuse.
    const bytes = bytesOf(encodeFrame({ type: 'message', channel, ...(from !== undefined && { from }) }, payload)) + OFFSET_BYTES;
    const { message: limit } = this.#settings.limits;
    if (bytes > limit) throw new CallError('RESOURCE_EXHAUSTED', `The message has ${bytes} bytes, and ${limit} can be passed on`);
    const answer = (position: Position | undefined) => (position ? { offset: position.offset } : {});
    const failed = (error: unknown) => {
      this.#settings.onerror(error, 'the broker');
      throw new CallError('UNAVAILABLE', 'The broker failed');
    };
    try {
      const position = this.#broker.publish(channel, { payload, from });
      return position instanceof Promise ? position.then(answer, failed) : answer(position);
    } catch (error) {
      return failed(error);
    }
  }

  /** Why the client may not do it, if it may not; at once, where `authorize` knows at once. */
  #permission(
    client: ServerClient | undefined,
    what: { action: 'subscribe' | 'publish' | 'presence'; channel: string; params?: unknown; data?: unknown },
  ): CallError | undefined | Promise<CallError | undefined> {
    const { authorize } = this.#hooks;
    if (!authorize || !client) return undefined;
    const doing = what.action === 'presence' ? 'be present' : what.action;
    const denied = () => new CallError('PERMISSION_DENIED', `Not allowed to ${doing} on ${what.channel}`);
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

  /** A connection takes no messages any more. */
  left(connection: ServerConnection): void {
    for (const channel of this.#channels.get(connection)?.keys() ?? []) this.#leave(connection, channel);
    this.#channels.delete(connection);
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

/** Bytes of what was missed, about. */
function sizeOf({ missed = [] }: Missed): number {
  return missed.reduce((sum, { payload }) => sum + bytesOf(payload) + PUBLISH_COST, 0);
}

/** Characters in the name of a channel, at most. */
const LONGEST_NAME = 1_024;
/** What a publish that waits costs beside its payload, in bytes. */
const PUBLISH_COST = 64;
/** What the place in the history adds to a message, in bytes, at most. */
const OFFSET_BYTES = `"offset":${Number.MAX_SAFE_INTEGER},`.length;

function refused(channel: string, error: CallError): Admission {
  return { result: { channel, error: wireError(error) }, join: () => {} };
}
