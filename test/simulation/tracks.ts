/** Which clients the server has, which of them know that they are there, and how long those were away that are gone: no frames, only times. */

import type { ServerClient } from '../../src/server/client.ts';
import type { PeerRequest } from '../../src/server/options.ts';
import type { Member } from '../../src/wire/frames.ts';

/** How long a client may be away and is still there; milliseconds. */
export const GRACE = 10_000;
/** What adding up fractions of milliseconds comes to. */
const ROUNDING = 0.001;
/** How late a store may know that it is not; milliseconds. */
const LATE = 500;

export interface TracksHost {
  now(): number;
  violated(text: string): void;
}

/** A client as the server knows it. */
interface Track {
  readonly client: ServerClient;
  /** The connection on which it knows that it is there, as long as the server has it. */
  confirmed: PeerRequest | undefined;
  /** When the server lost that, or wanted to be asked again. */
  lostAt: number;
  /** Since when it has no connection, or is over; undefined while it has one. */
  awayAt: number | undefined;
  isOpen: boolean;
}

export class Tracks {
  readonly #host: TracksHost;
  /** By the `from` of their members. */
  readonly #tracks = new Map<string, Track>();

  constructor(host: TracksHost) {
    this.#host = host;
  }

  /** By which the server knows a client, in the `from` of its members. */
  nameOf(client: ServerClient, process: number): string {
    const name = `${process}.${client.id}`;
    const track = { client, confirmed: undefined, lostAt: -Infinity, awayAt: undefined, isOpen: true };
    if (!this.#tracks.has(name)) this.#tracks.set(name, track);
    return name;
  }

  /** The process is dead. */
  clear(): void {
    this.#tracks.clear();
  }

  /** After everything that happens. `there` are the members of now. */
  follow(there: ReadonlyMap<string, Member>): void {
    const now = this.#host.now();
    for (const [name, track] of this.#tracks) {
      const { client, confirmed, awayAt, isOpen } = track;
      if (confirmed && !(client.isConnected && client.request === confirmed)) this.#unconfirm(track);
      if (client.isConnected) track.awayAt = undefined;
      else if (awayAt === undefined || client.isOpen !== isOpen) track.awayAt = now;
      track.isOpen = client.isOpen;
      if (track.awayAt === undefined || now - track.awayAt <= (client.isOpen ? GRACE : 0) + LATE) continue;
      track.awayAt = Infinity; // it is looked at once
      const isThere = [...there.values()].some(({ from }) => from === name);
      if (isThere) this.#host.violated(`${name} is ${client.isOpen ? 'away for long' : 'over'}, and still there`);
    }
  }

  /** A client knows that it is there: so does the server, as long as it has that connection. */
  confirm(client: ServerClient | undefined): void {
    if (!client?.isConnected) return;
    for (const track of this.#tracks.values()) if (track.client === client) track.confirmed = client.request;
  }

  /** Everybody has to say once more that it is there. */
  unconfirm(): void {
    for (const track of this.#tracks.values()) this.#unconfirm(track);
  }

  #unconfirm(track: Track): void {
    if (track.confirmed) track.lostAt = this.#host.now();
    track.confirmed = undefined;
  }

  /** A member is gone that has not left: it has to have lost its session, or been away for long. */
  judge({ id, from = '' }: Member): void {
    const track = this.#tracks.get(from);
    if (!track) return this.#host.violated(`member ${id} is gone, of a client that nobody knows`);
    if (!track.client.isOpen) return;
    const away = track.confirmed ? 0 : this.#host.now() - track.lostAt;
    if (away < GRACE - ROUNDING) this.#host.violated(`member ${id} is gone, and was away for ${away} ms only`);
  }
}
