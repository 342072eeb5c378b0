/**
 * Who is there on channels, and who wants to know (docs/protocol.md, section Presence). A client is there from when it says so until it says
 * that it is not, leaves the channel, or is away for longer than the grace: where its session goes on in time, nobody notices anything.
 */

import { MAX_DELAY } from '../core/backoff.ts';
import { CallError } from '../errors.ts';
import { bytesOf } from '../wire/codec.ts';
import type { ClientFrame, Member } from '../wire/frames.ts';
import type { Members } from './broker.ts';
import type { ServerClient } from './client.ts';
import type { ServerConnection } from './connection.ts';
import type { HostSettings } from './options.ts';
import { Roster } from './roster.ts';

/** What it costs to know who is there. */
export interface PresenceLimits {
  /**
   * Milliseconds that a client whose connection is lost is still there for the others; it has to come back with its session. Without
   * sessions it leaves at once. @default 10000
   */
  readonly grace: number;
  /** Members of one channel by this server; more are refused with RESOURCE_EXHAUSTED. @default 1000 */
  readonly members: number;
  /** Bytes of what one member shows of itself, as JSON; more is refused with RESOURCE_EXHAUSTED. @default 4096 */
  readonly bytes: number;
}

export type PresenceFrame = Extract<ClientFrame, { type: 'presence' }>;

/** What presence needs of the server. */
export interface PresenceHost {
  readonly settings: HostSettings;
  readonly members: Members;
  readonly limits: PresenceLimits;
  /** The subscription of a connection to a channel, as long as it is the same one. */
  subscription(connection: ServerConnection, channel: string): object | undefined;
  /** Why the client may not, if it may not. */
  permission(client: ServerClient, channel: string, data: unknown): CallError | undefined | Promise<CallError | undefined>;
  nameOf(client: ServerClient): string | undefined;
  /** A connection does not take what it would have to be told: it loses the channel. */
  refused(connection: ServerConnection, channel: string): void;
}

/** What is answered, and what follows the answer. */
export interface Declared {
  readonly result: { readonly member?: string };
  /** Tells who is there, from now on. */
  join(): unknown;
}

/** Where a client is there. */
interface Stay {
  readonly json: string;
  readonly from: string | undefined;
  /** Settles when the broker knows it. */
  readonly known: Promise<void>;
  /** The connection on which it has said so; undefined while it has to say it again. */
  by: ServerConnection | undefined;
  /** Set meanwhile. */
  timer?: unknown;
}

interface Guest {
  readonly id: string;
  readonly stays: Map<string, Stay>;
}

export class Presence {
  readonly #host: PresenceHost;
  readonly #guests = new Map<ServerClient, Guest>();
  readonly #rosters = new Map<string, Roster>();
  /** How many of this server are there, by channel. */
  readonly #sizes = new Map<string, number>();
  /** The latest that a connection said about a channel. */
  readonly #declarations = new WeakMap<ServerConnection, Map<string, object>>();

  constructor(host: PresenceHost) {
    this.#host = host;
  }

  /** Rejects with a CallError, where it may not, or has changed its mind meanwhile. What it gives up it has given up all the same. */
  async declare(connection: ServerConnection, client: ServerClient, frame: PresenceFrame): Promise<Declared> {
    const { channel, watch, here, data = null } = frame;
    const subscription = this.#host.subscription(connection, channel);
    if (!subscription) throw new CallError('FAILED_PRECONDITION', `Subscribe to ${channel} first`);
    const declaration = {};
    this.#declarationsOf(connection).set(channel, declaration);
    const isCurrent = () =>
      this.#host.subscription(connection, channel) === subscription && this.#declarations.get(connection)?.get(channel) === declaration;
    const check = () => {
      if (!isCurrent()) throw new CallError('CANCELLED', 'It was given up meanwhile');
    };
    const json = here ? this.#encoded(data) : undefined;
    if (!watch) this.#rosters.get(channel)?.leave(connection);
    if (!here) await this.#leave(client, channel);
    if (!watch && !here) return { result: {}, join: () => {} };
    const denied = await this.#host.permission(client, channel, here ? data : undefined);
    check();
    if (denied) throw denied;
    const roster = watch ? await this.#rosterFor(connection, channel) : undefined;
    check();
    let member: string | undefined;
    try {
      if (json !== undefined) member = await this.#enter(connection, client, channel, { json, data });
    } catch (error) {
      if (isCurrent()) roster?.forget(connection); // it is told that it does not watch
      throw error;
    }
    check();
    return { result: member === undefined ? {} : { member }, join: () => isCurrent() && roster?.join(connection) };
  }

  /** The connection has no part in the channel any more, but may come back to it, or another one in its place. */
  paused(connection: ServerConnection, channel: string): void {
    this.#declarations.get(connection)?.delete(channel);
    this.#rosters.get(channel)?.leave(connection);
    const { client } = connection;
    const stay = client && this.#guests.get(client)?.stays.get(channel);
    if (!client || stay?.by !== connection) return; // another connection has spoken since, or speaks still
    stay.by = undefined;
    this.#wait(client, channel, stay);
  }

  /** The client has left the channel. */
  left(client: ServerClient, channel: string): void {
    void this.#leave(client, channel).catch(() => {}); // told to onerror
  }

  /** The client is back, and is going to say where it is. */
  returned(client: ServerClient): void {
    for (const [channel, stay] of this.#guests.get(client)?.stays ?? []) if (!stay.by) this.#wait(client, channel, stay);
  }

  /** The client is gone for good. */
  ended(client: ServerClient): void {
    for (const channel of [...(this.#guests.get(client)?.stays.keys() ?? [])]) this.left(client, channel);
  }

  #wait(client: ServerClient, channel: string, stay: Stay): void {
    const { settings, limits } = this.#host;
    settings.clock.clearTimeout(stay.timer);
    // A grace that no timer can hold lasts as long as the session.
    if (limits.grace <= MAX_DELAY) stay.timer = settings.clock.setTimeout(() => this.left(client, channel), limits.grace);
  }

  /** Returns the id of the member. */
  async #enter(
    connection: ServerConnection,
    client: ServerClient,
    channel: string,
    { json, data }: { readonly json: string; readonly data: unknown },
  ): Promise<string> {
    const { settings, limits, members } = this.#host;
    const guest = this.#guests.get(client) ?? { id: settings.createId(), stays: new Map<string, Stay>() };
    const before = guest.stays.get(channel);
    const size = this.#sizes.get(channel) ?? 0;
    if (!before && size >= limits.members) throw new CallError('RESOURCE_EXHAUSTED', 'Too many members');
    if (!before) this.#sizes.set(channel, size + 1);
    settings.clock.clearTimeout(before?.timer);
    const from = this.#host.nameOf(client);
    const isSame = before?.json === json && before.from === from; // nobody has to be told
    const member: Member = { id: guest.id, ...(from !== undefined && { from }), data };
    const known = isSame ? before.known : asPromise(() => members.enter(channel, member));
    const stay: Stay = { json, from, known, by: connection };
    this.#guests.set(client, guest);
    guest.stays.set(channel, stay);
    try {
      await known;
    } catch (error) {
      if (guest.stays.get(channel) === stay) this.left(client, channel); // as far as anybody knows it is not there
      throw this.#failed(error);
    }
    return guest.id;
  }

  async #leave(client: ServerClient, channel: string): Promise<void> {
    const guest = this.#guests.get(client);
    const stay = guest?.stays.get(channel);
    if (!guest || !stay) return;
    this.#host.settings.clock.clearTimeout(stay.timer);
    guest.stays.delete(channel);
    if (guest.stays.size === 0) this.#guests.delete(client);
    const size = (this.#sizes.get(channel) ?? 1) - 1;
    if (size > 0) this.#sizes.set(channel, size);
    else this.#sizes.delete(channel);
    try {
      await this.#host.members.leave(channel, guest.id);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** What it shows, as JSON. */
  #encoded(data: unknown): string {
    const json = jsonOf(data);
    if (json === undefined) throw new CallError('INVALID_ARGUMENT', 'The data cannot be passed on');
    const { bytes: limit } = this.#host.limits;
    const bytes = bytesOf(json);
    if (bytes > limit) throw new CallError('RESOURCE_EXHAUSTED', `The data has ${bytes} bytes, and a member shows up to ${limit}`);
    return json;
  }

  /** What the connection is going to be told by, when it is known who is there. */
  async #rosterFor(connection: ServerConnection, channel: string): Promise<Roster> {
    const roster = this.#rosters.get(channel) ?? this.#newRoster(channel);
    roster.expect(connection);
    try {
      await roster.known;
    } catch (error) {
      throw this.#failed(error);
    }
    return roster;
  }

  #newRoster(channel: string): Roster {
    const { settings, members, refused } = this.#host;
    const roster: Roster = new Roster(channel, {
      settings,
      members,
      refused: (connection) => refused(connection, channel),
      emptied: () => this.#rosters.delete(channel),
    });
    this.#rosters.set(channel, roster);
    return roster;
  }

  #failed(error: unknown): CallError {
    this.#host.settings.onerror(error, 'the broker');
    return new CallError('UNAVAILABLE', 'The broker failed');
  }

  #declarationsOf(connection: ServerConnection): Map<string, object> {
    const found = this.#declarations.get(connection) ?? new Map<string, object>();
    this.#declarations.set(connection, found);
    return found;
  }
}

/** What is done at once, and throws, like what takes its time. */
function asPromise(deed: () => void | Promise<void>): Promise<void> {
  return new Promise((resolve) => resolve(deed()));
}

/** Undefined where it is nested too deeply. */
function jsonOf(data: unknown): string | undefined {
  try {
    return JSON.stringify(data);
  } catch {
    return undefined;
  }
}
