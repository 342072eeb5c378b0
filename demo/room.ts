/**
 * The room: what is typed here is published on a channel, and what anybody publishes is shown.
 *
 * That each message arrives is the library's business, also when its connection is lost: as long as the session goes on it arrives once. What
 * is left for the page is what no session outlives: a reload, and being closed. It keeps what is not settled in the session storage, and
 * publishes it again under the same key, so that the server, while it remembers, publishes it once.
 */

import { type Channel, type Client, type LoadContext, type Receipt, stream } from 'holdfast';
import type { Arrivals, Demo, Message } from './contract.ts';
import { remember } from './memory.ts';
import type { Entry } from './tally.ts';
import { loaded } from './words.ts';

export interface RoomEvents {
  changed(): void;
  log(text: string): void;
  /** Loaded, as far as this message. */
  loaded(offset: number): void;
  /** The server has been restarted since the room was loaded last. */
  restarted(): void;
  /** The demo was stopped and started: it knows nothing of before. */
  startedOver(): void;
}

export class Room {
  /** What was typed here, by id. */
  readonly entries = new Map<string, Entry>();
  /** Everything in the room, by id, in the order in which it came to be known. */
  readonly messages = new Map<string, Message>();
  readonly me: string;
  /** How many messages were typed here, those that were taken back included. */
  given: number;
  /** What the server has counted of the messages typed here, when it was asked last; undefined when that is out of date. */
  counted: Arrivals | undefined;
  /** How many messages were published once more, since their session did not go on. */
  again: number;
  readonly #client: Client<Demo>;
  readonly #channel: Channel<Message>;
  readonly #events: RoomEvents;
  readonly #receipts = new Map<string, Receipt<unknown>>();
  #counting = false;
  /** Where the messages are kept, as far as that is known. */
  #archive: string | undefined;
  /** Which run of the server they were loaded from. */
  #run: string | undefined;
  /** How many messages were ever typed here, those that were taken back included. */
  #typed: number;

  constructor(client: Client<Demo>, events: RoomEvents) {
    this.#client = client;
    this.#events = events;
    const stored = remember<Stored>('room', () => this.#toStore());
    this.me = stored?.me ?? newName();
    this.#typed = stored?.typed ?? 0;
    this.given = stored?.given ?? 0;
    this.again = stored?.again ?? 0;
    this.#archive = stored?.archive;
    this.#channel = client.channel('room');
    this.#channel.subscribe((message) => this.#show(message), { load: (context) => this.#load(context) });
    for (const entry of stored?.entries ?? []) this.entries.set(entry.id, entry);
    this.#publishOpen();
    client.addEventListener('statechange', ({ previous }) => previous.status === 'closed' && this.#publishOpen());
    client.addEventListener('open', () => this.#changed());
  }

  /** How many of the messages typed here are to be seen in the room. */
  get shown(): number {
    return [...this.entries.keys()].filter((id) => this.messages.has(id)).length;
  }

  say(text: string): void {
    const number = ++this.#typed;
    const entry: Entry = { id: `${this.me}:${number}`, number, key: newKey(), text, fate: 'queued', again: false };
    this.given++;
    this.entries.set(entry.id, entry);
    this.#publish(entry);
  }

  /** Takes a message back, if it has not left yet. */
  takeBack(id: string): void {
    if (!this.#receipts.get(id)?.cancel()) return;
    this.entries.delete(id);
    this.#receipts.delete(id);
    this.#events.log('You took a message back before it was sent.');
    this.#changed();
  }

  /** Takes over how far its messages are, where the receipts know better than this page. */
  look(): void {
    for (const [id, { status }] of this.#receipts) {
      const entry = this.entries.get(id);
      if (entry && (status === 'queued' || status === 'sent')) entry.fate = status;
    }
  }

  /** The session is lost: what was written and is not acknowledged is sent again in the next one. */
  sentAgain(entries: readonly Entry[]): void {
    for (const entry of entries) entry.again = true;
    this.again += entries.length;
  }

  #publish(entry: Entry): void {
    const { id, number, text, key } = entry;
    const receipt = this.#channel.publish({ id, from: this.me, text, number }, { idempotent: key });
    this.#receipts.set(id, receipt);
    this.#changed();
    receipt.acknowledged.then(
      () => this.#settle(entry, 'acknowledged'),
      () => this.#settle(entry, receipt.status === 'dropped' ? 'dropped' : 'in doubt'),
    );
  }

  /** What came over from before: in old order, ahead of everything new. */
  #publishOpen(): void {
    for (const entry of this.entries.values()) {
      if (entry.fate === 'in doubt') this.sentAgain([entry]);
      if (entry.fate === 'in doubt' || (entry.fate === 'queued' && !this.#receipts.has(entry.id))) this.#publish(entry);
    }
  }

  #settle(entry: Entry, fate: Entry['fate']): void {
    if (!this.entries.has(entry.id)) return; // taken back
    entry.fate = fate;
    this.#receipts.delete(entry.id);
    const { status } = this.#client.state;
    if (fate === 'in doubt' && status !== 'closing' && status !== 'closed') this.#publishOpen(); // too old for the library to do it
    this.#changed();
  }

  /** Loads the room: when it is entered, and when the channel may have missed something. Messages wait meanwhile. */
  async #load({ reason, signal }: LoadContext): Promise<{ offset: number | undefined }> {
    const settled = [...this.entries.values()].filter(({ fate }) => fate === 'acknowledged' || fate === 'dropped');
    const all: Message[] = [];
    let offset: number | undefined;
    let [archive, run] = [this.#archive, this.#run];
    for await (const part of stream(this.#client, 'history', undefined, { signal })) {
      all.push(...part.messages);
      ({ archive, run, offset } = part);
    }
    if (this.#run !== undefined && this.#run !== run) this.#events.restarted();
    if (this.#archive !== undefined && this.#archive !== archive) this.#startOver(settled, new Set(all.map(({ id }) => id)));
    this.#archive = archive;
    this.#run = run;
    const missed = all.filter((message) => this.#show(message)).length;
    this.#events.loaded(offset ?? 0);
    if (reason !== 'subscribed' || missed > 0) this.#events.log(loaded(missed, reason === 'subscribed'));
    return { offset };
  }

  /** What was settled and is not known there is as good as never said. */
  #startOver(settled: readonly Entry[], known: ReadonlySet<string>): void {
    this.#events.startedOver();
    this.messages.clear();
    for (const { id } of settled) if (!known.has(id)) this.entries.delete(id);
    this.given = this.entries.size;
  }

  /** Whether it was new. */
  #show(message: Message): boolean {
    const isNew = !this.messages.has(message.id);
    if (isNew) this.messages.set(message.id, message);
    if (isNew) this.#changed();
    return isNew;
  }

  #changed(): void {
    this.counted = undefined;
    void this.#count();
    this.#events.changed();
  }

  #toStore(): Stored {
    this.look();
    const isOpen = this.#client.state.status === 'open'; // then what waits leaves at the end of the task
    const entries = [...this.entries.values()].map((entry) => kept(entry, isOpen));
    return { me: this.me, typed: this.#typed, given: this.given, again: this.again, archive: this.#archive, entries };
  }

  /** Asks the server for its count, once everything is settled. */
  async #count(): Promise<void> {
    const isSettled = () => [...this.entries.values()].every(({ fate }) => fate === 'acknowledged' || fate === 'dropped');
    if (this.#counting || this.entries.size === 0 || !isSettled() || this.#client.state.status !== 'open') return;
    this.#counting = true;
    const { size } = this.entries;
    const counted = await this.#client.call('arrivals', this.me).catch(() => undefined);
    this.#counting = false;
    if (counted !== undefined && size === this.entries.size && isSettled()) this.counted = counted;
    else if (counted !== undefined) void this.#count();
    this.#events.changed();
  }
}

interface Stored {
  readonly me: string;
  readonly typed: number;
  readonly given: number;
  readonly again: number;
  readonly archive: string | undefined;
  readonly entries: readonly Entry[];
}

/** As it is found again: what was written and not acknowledged is in doubt. */
function kept(entry: Entry, isOpen: boolean): Entry {
  return entry.fate === 'sent' || (entry.fate === 'queued' && isOpen) ? { ...entry, fate: 'in doubt' } : entry;
}

function newName(): string {
  const kelps = ['Arame', 'Dabberlocks', 'Dulse', 'Kombu', 'Nori', 'Oarweed', 'Tangle', 'Wakame'];
  const [kelp = 0, number = 0] = crypto.getRandomValues(new Uint16Array(2));
  return `${kelps[kelp % kelps.length]} ${number.toString(36)}`;
}

/** A key that nobody can guess: the server tells apart by it what is published again. */
function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}
