/**
 * Who is there on one channel, as the connections of one server see it: a copy of what the broker knows, told to whoever watches as a
 * snapshot and then by changes. Changes that follow each other closely are told together, so that a crowd that comes back at once does not
 * make a message for each pair of it.
 */

import { bytesOf, encodeFrame, type Message } from '../wire/codec.ts';
import type { Member } from '../wire/frames.ts';
import type { MemberChange, Members } from './broker.ts';
import type { ServerConnection } from './connection.ts';
import type { HostSettings } from './options.ts';

/** What a roster needs of the server. */
export interface RosterHost {
  readonly settings: HostSettings;
  readonly members: Members;
  /** A connection does not take what it would have to be told. */
  refused(connection: ServerConnection): void;
  /** Nobody watches any more. */
  emptied(): void;
}

/** Encoded, with their bytes. */
type Frames = readonly (readonly [Message, number])[];

/** Changes within this time after one that was told are told together; milliseconds. */
const TOGETHER = 50;
/** How soon is asked again who is there, where the broker failed; milliseconds. */
const RETRY = 1_000;
/** Bytes of members in one frame: more make another one. */
const FRAME_BYTES = 16_384;

export class Roster {
  readonly #channel: string;
  readonly #host: RosterHost;
  readonly #members = new Map<string, Member>();
  /** Who wants to know, and whether it has been told. */
  readonly #watchers = new Map<ServerConnection, boolean>();
  /** What was not told yet: who is there now, or undefined. */
  readonly #changes = new Map<string, Member | undefined>();
  #timer: unknown;
  /** Who is there is being asked; it is to be asked once more; what has changed since; and when it is tried again. */
  #refreshing: Promise<void> | undefined;
  #isStale = false;
  #meanwhile: MemberChange[] | undefined;
  #retryTimer: unknown;
  /** Resolves when it is known who is there. */
  readonly known: Promise<void>;
  #stop: (() => void) | undefined;
  #isOver = false;

  constructor(channel: string, host: RosterHost) {
    this.#channel = channel;
    this.#host = host;
    this.known = this.#begin();
    this.known.catch(() => this.#end()); // whoever waits for it is told
  }

  /** Somebody is going to be told: it is waited for. */
  expect(connection: ServerConnection): void {
    if (!this.#watchers.has(connection)) this.#watchers.set(connection, false);
  }

  /** It is told everything, unless it was before, and then every change. */
  join(connection: ServerConnection): void {
    if (this.#watchers.get(connection) !== false) return;
    this.#watchers.set(connection, true);
    this.#deliver(connection, this.#snapshot());
  }

  /** It is not going to be told, unless it is told already. */
  forget(connection: ServerConnection): void {
    if (this.#watchers.get(connection) === false) this.leave(connection);
  }

  /** It does not want to know any more. */
  leave(connection: ServerConnection): void {
    if (this.#watchers.delete(connection) && this.#watchers.size === 0) this.#end();
  }

  async #begin(): Promise<void> {
    this.#stop = await this.#host.members.watch(
      this.#channel,
      (change) => this.#changed(change),
      () => this.#lost(),
    );
    if (this.#isOver) return this.#stop();
    await this.#refresh();
  }

  /** Changes may have been left out: who is there is asked again, until it is known. */
  #lost(): void {
    const { clock, onerror } = this.#host.settings;
    clock.clearTimeout(this.#retryTimer);
    this.#refresh().catch((error: unknown) => {
      onerror(error, 'the broker');
      if (!this.#isOver) this.#retryTimer = clock.setTimeout(() => this.#lost(), RETRY);
    });
  }

  /** What is known is known anew. */
  #refresh(): Promise<void> {
    this.#isStale = true;
    this.#refreshing ??= this.#list().finally(() => {
      this.#refreshing = this.#meanwhile = undefined;
    });
    return this.#refreshing;
  }

  async #list(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false;
      this.#meanwhile = [];
      const all = await this.#host.members.list(this.#channel);
      if (!this.#isStale) this.#replace(all, this.#meanwhile);
    }
  }

  #replace(all: readonly Member[], since: readonly MemberChange[]): void {
    this.#members.clear();
    for (const member of all) this.#members.set(member.id, member);
    for (const change of since) this.#apply(change);
    this.#changes.clear();
    const told = this.#told;
    if (told.length === 0) return;
    const frames = this.#snapshot();
    for (const connection of told) this.#deliver(connection, frames);
  }

  #changed(change: MemberChange): void {
    this.#meanwhile?.push(change);
    if (!this.#apply(change)) return;
    const { set, gone } = change;
    this.#changes.set(set ? set.id : gone, set);
    if (this.#timer === undefined) this.#tell();
  }

  /** False when it changes nothing. */
  #apply({ set, gone }: MemberChange): boolean {
    if (!set) return this.#members.delete(gone);
    this.#members.set(set.id, set);
    return true;
  }

  get #told(): ServerConnection[] {
    return [...this.#watchers].flatMap(([connection, isTold]) => (isTold ? connection : []));
  }

  /** Tells what has changed; what follows closely waits a moment. */
  #tell(): void {
    const { clock } = this.#host.settings;
    clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    const told = this.#told;
    if (this.#changes.size === 0 || told.length === 0) return this.#changes.clear();
    const frames = framesOf(this.#channel, this.#changes, false);
    this.#changes.clear();
    this.#timer = clock.setTimeout(() => this.#tell(), TOGETHER);
    for (const connection of told) this.#deliver(connection, frames);
  }

  #snapshot(): Frames {
    return framesOf(this.#channel, this.#members, true);
  }

  #deliver(connection: ServerConnection, frames: Frames): void {
    if (!frames.every(([message, bytes]) => connection.deliver(message, bytes))) this.#host.refused(connection);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { clock } = this.#host.settings;
    clock.clearTimeout(this.#timer);
    clock.clearTimeout(this.#retryTimer);
    this.#host.emptied();
    try {
      this.#stop?.();
    } catch (error) {
      this.#host.settings.onerror(error, 'the broker');
    }
  }
}

/** The frames that say who is there, and who is not any more: as few as have room. A snapshot has at least one. */
function framesOf(channel: string, changes: ReadonlyMap<string, Member | undefined>, snapshot: boolean): Frames {
  const parts: { set: Member[]; gone: string[] }[] = [];
  let room = 0;
  for (const [id, member] of changes) {
    const bytes = bytesOf(JSON.stringify(member ?? id)) + 1;
    if (parts.length === 0 || bytes > room) {
      parts.push({ set: [], gone: [] });
      room = FRAME_BYTES;
    }
    room -= bytes;
    if (member) parts.at(-1)?.set.push(member);
    else parts.at(-1)?.gone.push(id);
  }
  if (parts.length === 0 && snapshot) parts.push({ set: [], gone: [] });
  return parts.map(({ set, gone }, i) => {
    const more = snapshot && i < parts.length - 1;
    const lists = { ...(set.length > 0 && { set }), ...(gone.length > 0 && { gone }) };
    const message = encodeFrame({ type: 'presence', channel, ...lists, ...(snapshot && { snapshot }), ...(more && { more }) }, undefined);
    return [message, bytesOf(message)] as const;
  });
}
