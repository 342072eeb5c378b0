/**
 * The room: what is typed here is published on a channel, and what anybody publishes is shown.
 *
 * A message whose connection died before the server confirmed it may have arrived or not. The page does not guess: on the next connection it
 * asks which of them are there, and publishes the others again. Each has an id, so that one which comes twice is still one message.
 * What is not settled outlives a reload in the session storage.
 */

import { type Channel, type Client, ClosedError, type Receipt, SessionLostError } from 'holdfast';
import type { Demo, Message } from './contract.ts';
import { remember } from './memory.ts';
import type { Entry } from './tally.ts';
import { count } from './words.ts';

export interface RoomEvents {
  changed(): void;
  log(text: string): void;
  /** The server is another one, which knows nothing of before. */
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
  /** How many of the messages typed here the server has counted, when it was asked last; undefined when that is out of date. */
  counted: number | undefined;
  readonly #client: Client<Demo>;
  readonly #channel: Channel<Message>;
  readonly #events: RoomEvents;
  readonly #receipts = new Map<string, Receipt<unknown>>();
  #counting = false;
  /** Where the messages are kept, as far as that is known. */
  #archive: string | undefined;
  /** How many messages were ever typed here, those that were taken back included. */
  #typed: number;

  constructor(client: Client<Demo>, events: RoomEvents) {
    this.#client = client;
    this.#events = events;
    const stored = remember<Stored>('room', () => this.#toStore());
    this.me = stored?.me ?? newName();
    this.#typed = stored?.typed ?? 0;
    this.given = stored?.given ?? 0;
    this.#archive = stored?.archive;
    for (const entry of stored?.entries ?? []) this.entries.set(entry.id, entry);
    this.#channel = client.channel('room');
    this.#channel.subscribe((message) => this.#show(message));
    this.#channel.addEventListener('gap', () => this.#events.log('The room may have missed something meanwhile: it is loaded again.'));
    client.addEventListener('open', () => void this.#catchUp());
    for (const entry of this.entries.values()) if (entry.fate === 'waiting') this.#publish(entry);
  }

  /** How many of the messages typed here are to be seen in the room. */
  get shown(): number {
    return [...this.entries.keys()].filter((id) => this.messages.has(id)).length;
  }

  say(text: string): void {
    const entry: Entry = { id: `${this.me}:${++this.#typed}`, text, fate: 'waiting', tries: 0 };
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

  #publish(entry: Entry): void {
    entry.tries++;
    const receipt = this.#channel.publish({ id: entry.id, from: this.me, text: entry.text });
    this.#receipts.set(entry.id, receipt);
    this.#follow(entry, receipt);
    this.#changed();
    receipt.acknowledged.then(
      () => this.#settle(entry, 'arrived'),
      () => this.#settle(entry, receipt.status === 'dropped' ? 'dropped' : 'unsure'),
    );
  }

  /** Takes over how far its messages are, where the receipts know better than this page. */
  look(): void {
    for (const [id, receipt] of this.#receipts) {
      const entry = this.entries.get(id);
      if (entry) this.#follow(entry, receipt);
    }
  }

  #follow(entry: Entry, { status }: Receipt<unknown>): void {
    if (status === 'queued') entry.fate = 'waiting';
    else if (status === 'sent') entry.fate = 'sent';
  }

  #settle(entry: Entry, fate: Entry['fate']): void {
    if (!this.entries.has(entry.id)) return; // taken back
    entry.fate = fate;
    this.#receipts.delete(entry.id);
    this.#changed();
  }

  /** On every connection: what was missed is loaded, and what is in doubt is cleared up. */
  async #catchUp(): Promise<void> {
    const ofFate = (...fates: Entry['fate'][]) => [...this.entries.values()].filter(({ fate }) => fates.includes(fate));
    const unsure = ofFate('unsure');
    const unseen = ofFate('unsure', 'arrived').filter(({ id }) => !this.messages.has(id));
    try {
      const [arrived, { archive, messages }] = await Promise.all([
        this.#client.call(
          'arrived',
          unseen.map(({ id }) => id),
        ),
        this.#client.call('history'),
      ]);
      if (this.#archive !== undefined && this.#archive !== archive) await this.#startOver();
      this.#archive = archive;
      const missed = [...arrived, ...messages].filter((message) => this.#show(message)).length;
      if (missed > 0) this.#events.log(`${count(missed, 'message')} of the room loaded.`);
      this.#clearUp(unsure);
    } catch (error) {
      if (!isLoss(error)) reportError(error);
    }
    this.#changed();
  }

  /** What is in the room has arrived; the rest has not, and is sent again, unless that was done meanwhile. */
  #clearUp(unsure: readonly Entry[]): void {
    const open = unsure.filter(({ fate }) => fate === 'unsure');
    const lost = open.filter(({ id }) => !this.messages.has(id));
    for (const entry of open) if (this.messages.has(entry.id)) this.#settle(entry, 'arrived');
    for (const entry of lost) this.#publish(entry);
    if (open.length > 0)
      this.#events.log(`${open.length} had been in doubt: ${open.length - lost.length} were there, ${lost.length} are sent again.`);
  }

  /** The demo was stopped and started: it knows what was sent since, and nothing of before. */
  async #startOver(): Promise<void> {
    const settled = [...this.entries.values()].filter(({ fate }) => fate === 'arrived' || fate === 'dropped');
    const known = await this.#client.call(
      'arrived',
      settled.map(({ id }) => id),
    );
    this.#events.startedOver();
    this.messages.clear();
    for (const { id } of settled) this.entries.delete(id);
    for (const message of known) {
      this.entries.set(message.id, { ...message, fate: 'arrived', tries: 1 });
      this.#show(message);
    }
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
    return { me: this.me, typed: this.#typed, given: this.given, archive: this.#archive, entries };
  }

  /** Asks the server for its count, once everything is settled. */
  async #count(): Promise<void> {
    const isSettled = () => [...this.entries.values()].every(({ fate }) => fate === 'arrived' || fate === 'dropped');
    if (this.#counting || this.entries.size === 0 || !isSettled() || this.#client.state.status !== 'open') return;
    this.#counting = true;
    const { size } = this.entries;
    const counted = await this.#client.call('tally', this.me).catch(() => undefined);
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
  readonly archive: string | undefined;
  readonly entries: readonly Entry[];
}

/** As it is found again: what was written and not settled is in doubt, and what waited was never tried. */
function kept(entry: Entry, isOpen: boolean): Entry {
  if (entry.fate === 'waiting' && !isOpen) return { ...entry, tries: entry.tries - 1 };
  return entry.fate === 'arrived' || entry.fate === 'dropped' ? entry : { ...entry, fate: 'unsure' };
}

/** The connection went before the answer came: the next one asks again. */
function isLoss(error: unknown): boolean {
  return error instanceof SessionLostError || error instanceof ClosedError;
}

function newName(): string {
  const kelps = ['Arame', 'Dabberlocks', 'Dulse', 'Kombu', 'Nori', 'Oarweed', 'Tangle', 'Wakame'];
  const [kelp = 0, number = 0] = crypto.getRandomValues(new Uint16Array(2));
  return `${kelps[kelp % kelps.length]} ${number.toString(36)}`;
}
