/** The histories of channels: the latest messages of each, and all of them together, within bounds. Deterministic: the caller tells the time. */

import { bytesOf } from '../wire/codec.ts';
import type { BrokerMessage, Missed, Position, Publication } from './broker.ts';

/** What is kept of a channel. A message goes when it is too old, and the oldest one whenever there are too many. */
export interface HistoryLimits {
  /** Most messages, 1 or more. @default 100 */
  readonly size: number;
  /**
   * Most bytes: payloads and names, text as UTF-8, and 256 for each message. A larger message is handed on and not kept, nor is what came
   * before it. Keep it below `limits.buffered`, which bounds what can be sent to one client at once. @default 1 MiB
   */
  readonly bytes: number;
  /** Milliseconds that a message is kept. @default 300000 */
  readonly ttl: number;
}

/** A message of a channel that keeps a history. */
export type KeptMessage = BrokerMessage & Position;

/** What a message costs beside its text or bytes. */
const MESSAGE_COST = 256;

interface Entry {
  readonly message: KeptMessage;
  readonly bytes: number;
  readonly expiresAt: number;
}

/** The latest messages of a channel, without a hole: it forgets from the front only, and never counts back. */
export class History {
  readonly #epoch: string;
  readonly #limits: HistoryLimits;
  #offset = 0;
  #entries: (Entry | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(epoch: string, limits: HistoryLimits) {
    this.#epoch = epoch;
    this.#limits = limits;
  }

  get position(): Position {
    return { epoch: this.#epoch, offset: this.#offset };
  }

  /** Messages that are kept. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** Bytes that are kept, with what each message costs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends a message, and forgets what has no room beside it: the message itself too, if it is too large. */
  append({ payload, from }: Publication, now: number): KeptMessage {
    this.expire(now);
    this.#offset++;
    const message = { payload, from, epoch: this.#epoch, offset: this.#offset };
    const bytes = MESSAGE_COST + bytesOf(payload) + bytesOf(from);
    this.#entries.push({ message, bytes, expiresAt: now + this.#limits.ttl });
    this.#bytes += bytes;
    while (this.size > this.#limits.size || this.#bytes > this.#limits.bytes) this.#shift();
    return message;
  }

  /** Everything after a position, in order; undefined where some of it is not kept any more, or that is no position of this history. */
  since({ epoch, offset }: Position): KeptMessage[] | undefined {
    const missed = this.#offset - offset;
    if (epoch !== this.#epoch || !Number.isSafeInteger(offset) || missed < 0 || missed > this.size) return undefined;
    return this.#entries.slice(this.#entries.length - missed).map((entry) => (entry as Entry).message);
  }

  /** Forgets the messages that are too old. */
  expire(now: number): void {
    for (let entry = this.#entries[this.#head]; entry && entry.expiresAt <= now; entry = this.#entries[this.#head]) this.#shift();
  }

  /** Forgets the messages. The position stays. */
  clear(): void {
    this.#entries = [];
    this.#head = this.#bytes = 0;
  }

  #shift(): void {
    this.#bytes -= (this.#entries[this.#head] as Entry).bytes;
    this.#entries[this.#head++] = undefined; // a forgotten message must not be kept alive
    if (this.#head * 2 < this.#entries.length) return;
    this.#entries.splice(0, this.#head); // only when it is half of all: each message is moved once on average
    this.#head = 0;
  }
}

/** What a channel costs beside its name and its messages. */
const CHANNEL_COST = 512;
/** How long a channel keeps its position without messages and subscribers, in milliseconds: whoever comes back may have missed nothing. */
const POSITION_TTL = 86_400_000;
/** How many channels every message looks at, each in its turn, for what is too old: memory is given back without a timer. */
const SWEEP = 2;
/** Counters of forgotten channels, by a hash of the name. */
const GENERATIONS = 4_096;

/** A channel that has messages, or had some not long ago, or is held. */
interface KeptChannel {
  readonly channel: string;
  readonly history: History;
  /** Whether somebody is subscribed. */
  isHeld: boolean;
  /** When the last message came, or the last subscriber left. */
  idleSince: number;
  /** What it counts for, in bytes; 0 where it is not in the order of the idle. */
  cost: number;
  previous: KeptChannel | undefined;
  next: KeptChannel | undefined;
}

/** Channels from the longest idle to the latest: a list, since a Set that loses its first again and again walks over the holes every time. */
class IdleOrder {
  #first: KeptChannel | undefined;
  #last: KeptChannel | undefined;
  #turn: KeptChannel | undefined;

  get first(): KeptChannel | undefined {
    return this.#first;
  }

  add(kept: KeptChannel): void {
    kept.previous = this.#last;
    if (this.#last) this.#last.next = kept;
    else this.#first = kept;
    this.#last = kept;
  }

  remove(kept: KeptChannel): void {
    const { previous, next } = kept;
    if (previous) previous.next = next;
    else this.#first = next;
    if (next) next.previous = previous;
    else this.#last = previous;
    if (this.#turn === kept) this.#turn = next;
    kept.previous = kept.next = undefined;
  }

  /** Each in its turn, and from the beginning again. */
  turn(): KeptChannel | undefined {
    const kept = this.#turn ?? this.#first;
    this.#turn = kept?.next;
    return kept;
  }
}

/**
 * The histories of all channels, within a bound on their bytes. A channel costs nothing before its first message, and nothing again once
 * it is forgotten: at the latest a day after its last message or subscriber, whichever was later.
 */
export class Histories {
  readonly #id: string;
  readonly #limitsOf: (channel: string) => HistoryLimits | undefined;
  readonly #most: number;
  readonly #kept = new Map<string, KeptChannel>();
  /** The channels that could give something back. */
  readonly #idle = new IdleOrder();
  #bytes = 0;
  /**
   * How many channels were forgotten, by the hash of their names. One that begins anew must not have the epoch that it had before, and
   * nothing is left of it to tell; so all names with its hash have another epoch when they begin.
   */
  readonly #generations = new Float64Array(GENERATIONS);

  /**
   * @param id what all epochs begin with
   * @param limitsOf what is kept of a channel; undefined for nothing. Asked whenever the channel begins
   * @param most bytes that are kept of all channels together
   */
  constructor(id: string, limitsOf: (channel: string) => HistoryLimits | undefined, most: number) {
    this.#id = id;
    this.#limitsOf = limitsOf;
    this.#most = most;
  }

  /** Channels that are known. */
  get size(): number {
    return this.#kept.size;
  }

  /** Bytes that are kept, with what each channel and message costs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends a message, and forgets the longest idle channels where there is no room for it. Undefined where nothing is kept of the channel. */
  append(channel: string, publication: Publication, now: number): KeptMessage | undefined {
    const kept = this.#kept.get(channel) ?? this.#begun(channel);
    if (!kept) return undefined;
    const message = kept.history.append(publication, now);
    kept.idleSince = now;
    this.#kept.set(channel, kept);
    this.#account(kept, true);
    for (let i = 0; i < SWEEP; i++) this.#expire(this.#idle.turn(), now);
    this.#makeRoom();
    return message;
  }

  /** Where the channel stands, and what came after a position. */
  read(channel: string, since: Position | undefined, now: number): Missed {
    const known = this.#kept.get(channel);
    const history = (known ?? this.#begun(channel))?.history;
    history?.expire(now);
    if (known) this.#account(known);
    return { position: history?.position, missed: since && history?.since(since) };
  }

  /** Somebody is subscribed: the channel keeps its position whatever happens, for its subscribers go on counting from it. */
  hold(channel: string): void {
    const kept = this.#kept.get(channel) ?? this.#begun(channel);
    if (!kept) return;
    kept.isHeld = true;
    this.#kept.set(channel, kept);
    this.#account(kept);
  }

  /** Nobody is subscribed any more. */
  release(channel: string, now: number): void {
    const kept = this.#kept.get(channel);
    if (!kept) return;
    kept.isHeld = false;
    kept.idleSince = now;
    this.#account(kept);
    this.#makeRoom();
  }

  /** A channel as it begins, known to nobody yet. */
  #begun(channel: string): KeptChannel | undefined {
    const limits = this.#limitsOf(channel);
    if (!limits) return undefined;
    const epoch = `${this.#id}.${this.#generations[bucketOf(channel)]}`;
    // What would not fit even alone must not drive out all others first.
    const most = Math.max(0, this.#most - CHANNEL_COST - bytesOf(channel));
    const history = new History(epoch, { ...limits, bytes: Math.min(limits.bytes, most) });
    return { channel, history, isHeld: false, idleSince: -Infinity, cost: 0, previous: undefined, next: undefined };
  }

  /**
   * Does the accounts of a channel that has changed, and lets it go when nothing is left of it. One that is held and has no messages cannot
   * give anything back: it counts for nothing, and is not in the order of the idle.
   */
  #account(kept: KeptChannel, isLatest = false): void {
    const { channel, history, isHeld, cost } = kept;
    const counts = history.size > 0 || (!isHeld && history.position.offset > 0);
    kept.cost = counts ? CHANNEL_COST + bytesOf(channel) + history.bytes : 0;
    this.#bytes += kept.cost - cost;
    if (cost > 0 && (isLatest || !counts)) this.#idle.remove(kept);
    if (counts && (isLatest || cost === 0)) this.#idle.add(kept);
    if (!counts && !isHeld) this.#kept.delete(channel);
  }

  #expire(kept: KeptChannel | undefined, now: number): void {
    if (!kept) return;
    kept.history.expire(now);
    if (kept.history.size === 0 && now - kept.idleSince >= POSITION_TTL) this.#forget(kept);
    else this.#account(kept);
  }

  /** Forgets the longest idle until all is within the bound. */
  #makeRoom(): void {
    for (let kept = this.#idle.first; kept && this.#bytes > this.#most; kept = this.#idle.first) this.#forget(kept);
  }

  /** Forgets the messages of a channel that is held, and anything of another. */
  #forget(kept: KeptChannel): void {
    kept.history.clear();
    if (kept.isHeld) return this.#account(kept);
    this.#idle.remove(kept);
    this.#bytes -= kept.cost;
    this.#kept.delete(kept.channel);
    const bucket = bucketOf(kept.channel);
    this.#generations[bucket] = (this.#generations[bucket] ?? 0) + 1;
  }
}

/** Which counter a channel belongs to: FNV-1a. */
function bucketOf(channel: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < channel.length; i++) hash = Math.imul(hash ^ channel.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % GENERATIONS;
}
