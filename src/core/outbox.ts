/**
 * What a client wants to send and has not written yet. Deterministic: the caller tells the time and the sizes.
 * Higher priority first, then first in, first out; a new entry with the key of a waiting one takes its place in the world, not in line.
 * Nothing leaves it unseen: whatever is not taken to be written is returned as a {@link Dropped}.
 */

/** Bounds of the outbox of a {@link Client}: of events, calls and published messages that are not written yet. */
export interface OutboxLimits {
  /** Most bytes it holds: payloads, text as UTF-8, and 64 for each entry. @default 8 MiB */
  readonly maxBytes: number;
  /** Most entries it holds. @default Infinity */
  readonly capacity: number;
  /**
   * What happens when there is no room. `throw`: whoever sends, calls or publishes gets a {@link QueueFullError}. `drop-oldest`: the
   * oldest of the lowest priority go, unless the new one has a lower one still. `drop-newest`: the new one goes. @default 'throw'
   */
  readonly overflow: 'throw' | 'drop-oldest' | 'drop-newest';
}

/** How an entry waits. */
export interface EntryOptions {
  readonly bytes: number;
  readonly priority: number;
  /** The latest entry of a key is the only one. */
  readonly key: string | undefined;
  /** Monotonic milliseconds after which it is not to be sent. */
  readonly expiresAt: number;
}

export interface Entry<T> extends EntryOptions {
  readonly value: T;
}

/** An entry that will not be sent, and why. */
export interface Dropped<T> {
  readonly value: T;
  readonly reason: 'overflow' | 'expired' | 'replaced';
}

/** What became of an attempt to enqueue: the entry, or undefined where there was no room for it; and what had to go. */
export interface Enqueued<T> {
  readonly entry: Entry<T> | undefined;
  readonly drops: readonly Dropped<T>[];
}

/** What an entry costs beside its payload. */
const ENTRY_COST = 64;

/**
 * Entries of one priority, in order. The iterator walks along as they are taken (a new one would pass all the holes again), and since
 * an empty lane is thrown away, it never comes to its end.
 */
interface Lane<T> {
  readonly priority: number;
  readonly entries: Set<Entry<T>>;
  iterator: IterableIterator<Entry<T>>;
  /** What the iterator has passed and nobody has taken. */
  first: Entry<T> | undefined;
  /** Entries removed since the iterator was made: it keeps what they leave behind. */
  removed: number;
}

/** An iterator that has so many holes before it, and more than entries, makes place for another one. */
const HOLES = 1_024;

/** The queue of a client. */
export class Outbox<T> {
  readonly #limits: OutboxLimits;
  /** Highest priority first; only lanes with entries. */
  #lanes: Lane<T>[] = [];
  readonly #keys = new Map<string, Entry<T>>();
  #size = 0;
  #bytes = 0;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  /** Entries waiting. */
  get size(): number {
    return this.#size;
  }

  /** Bytes waiting, with what each entry costs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What waits, in the order in which it would be taken. */
  get entries(): Entry<T>[] {
    return this.#lanes.flatMap(({ entries }) => [...entries]);
  }

  /** Adds an entry. Where there is no room and the policy is `throw` or `drop-newest`, nothing changes and there is no entry. */
  enqueue(value: T, options: EntryOptions): Enqueued<T> {
    const cost = options.bytes + ENTRY_COST;
    const { maxBytes, capacity, overflow } = this.#limits;
    const previous = options.key === undefined ? undefined : this.#keys.get(options.key);
    const freed = previous ? previous.bytes + ENTRY_COST : 0;
    const possible = capacity > 0 && cost <= maxBytes;
    const fits = () => this.#size - (previous ? 1 : 0) < capacity && this.#bytes - freed + cost <= maxBytes;
    if (!possible || (overflow !== 'drop-oldest' && !fits())) return { entry: undefined, drops: [] };
    const drops: Dropped<T>[] = [];
    if (previous && this.remove(previous)) drops.push({ value: previous.value, reason: 'replaced' });
    while (this.#size >= capacity || this.#bytes + cost > maxBytes) {
      const lowest = this.#lanes.at(-1) as Lane<T>;
      if (lowest.priority > options.priority) return { entry: undefined, drops }; // it is not worth what would have to go for it
      drops.push({ value: this.#dropFrom(lowest), reason: 'overflow' });
    }
    const entry: Entry<T> = { value, ...options };
    this.#admit(entry);
    return { entry, drops };
  }

  /** Puts something back that was taken before: ahead of everything, in the order in which it comes back, whatever the limits. */
  readmit(value: T, bytes: number, expiresAt: number = Infinity): Entry<T> {
    const entry: Entry<T> = { value, bytes, priority: Infinity, key: undefined, expiresAt };
    this.#admit(entry);
    return entry;
  }

  /**
   * Takes the next entry to be written; those that are too old come out as drops.
   *
   * @param fits whether it can be written now: if not, it goes on waiting, and all others behind it
   */
  take(
    now: number,
    fits: (entry: Entry<T>) => boolean = () => true,
  ): { readonly entry: Entry<T> | undefined; readonly drops: readonly Dropped<T>[] } {
    const drops: Dropped<T>[] = [];
    for (let entry = this.#next(); entry; entry = this.#next()) {
      const isExpired = entry.expiresAt <= now;
      if (!isExpired && !fits(entry)) break;
      this.remove(entry);
      if (!isExpired) return { entry, drops };
      drops.push({ value: entry.value, reason: 'expired' });
    }
    return { entry: undefined, drops };
  }

  /** Takes an entry out, whether it is next or not; false when it is not waiting any more. */
  remove(entry: Entry<T>): boolean {
    const lane = this.#lanes.find(({ priority }) => priority === entry.priority);
    if (!lane?.entries.delete(entry)) return false;
    if (++lane.removed > Math.max(HOLES, lane.entries.size)) renew(lane);
    if (lane.entries.size === 0) this.#lanes = this.#lanes.filter((each) => each !== lane);
    if (entry.key !== undefined) this.#keys.delete(entry.key);
    this.#size--;
    this.#bytes -= entry.bytes + ENTRY_COST;
    return true;
  }

  /** Empties it, and returns what was in it, in the order in which it would have been sent. */
  clear(): T[] {
    const values = this.entries.map(({ value }) => value);
    this.#lanes = [];
    this.#keys.clear();
    this.#size = this.#bytes = 0;
    return values;
  }

  #admit(entry: Entry<T>): void {
    this.#laneOf(entry.priority).entries.add(entry);
    if (entry.key !== undefined) this.#keys.set(entry.key, entry);
    this.#size++;
    this.#bytes += entry.bytes + ENTRY_COST;
  }

  /** The first of the highest priority. */
  #next(): Entry<T> | undefined {
    const [lane] = this.#lanes;
    return lane && firstOf(lane);
  }

  #dropFrom(lane: Lane<T>): T {
    const entry = firstOf(lane);
    this.remove(entry);
    return entry.value;
  }

  #laneOf(priority: number): Lane<T> {
    const found = this.#lanes.find((lane) => lane.priority === priority);
    if (found) return found;
    const entries = new Set<Entry<T>>();
    const lane: Lane<T> = { priority, entries, iterator: entries.values(), first: undefined, removed: 0 };
    this.#lanes = [...this.#lanes, lane].sort((a, b) => b.priority - a.priority);
    return lane;
  }
}

/** The entry that waits longest in a lane: there always is one. */
function firstOf<T>(lane: Lane<T>): Entry<T> {
  if (!lane.first || !lane.entries.has(lane.first)) lane.first = lane.iterator.next().value as Entry<T>;
  return lane.first;
}

function renew<T>(lane: Lane<T>): void {
  lane.iterator = lane.entries.values();
  lane.first = undefined;
  lane.removed = 0;
}
