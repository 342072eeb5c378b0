/**
 * Bounded FIFO of messages that wait for a connection. Deterministic: the caller tells the time and the sizes.
 * Nothing leaves it unseen: whatever is not shifted out is returned as a {@link Drop}.
 */

/** Bounds of the queue of a {@link ReconnectingWebSocket}. What goes for them is reported by a `drop` event each. */
export interface QueueLimits {
  /** Most bytes it holds, text as UTF-8, of the messages alone: a flood of tiny ones is bounded by `capacity`. @default 8 MiB */
  readonly maxBytes: number;
  /** Most messages it holds. @default Infinity */
  readonly capacity: number;
  /** Milliseconds after which a waiting message is dropped. @default Infinity */
  readonly ttl: number;
  /** Which message goes when there is no room: the one being added, or those that wait longest. @default 'drop-newest' */
  readonly overflow: 'drop-newest' | 'drop-oldest';
}

/**
 * Why a message was dropped: the `reason` of a {@link DropEvent}.
 *
 * - `overflow`: there was no room in the queue
 * - `expired`: it waited longer than the `ttl` of the queue
 * - `closed`: there is no connection to come
 * - `failed`: the socket threw at it
 */
export type DropReason = 'overflow' | 'expired' | 'closed' | 'failed';

/** A message that will not be sent, and why. */
export interface Drop<T> {
  readonly value: T;
  readonly bytes: number;
  readonly reason: DropReason;
}

interface Entry<T> {
  readonly value: T;
  readonly bytes: number;
  readonly expiresAt: number;
}

/** Taken entries are cut off the front once there are this many and they are half of all: shifting stays O(1). */
const SLICE = 1_024;

/** A first-in, first-out queue with bounds on bytes, count and age. */
export class Queue<T> {
  readonly #limits: QueueLimits;
  #entries: (Entry<T> | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Messages waiting. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** Bytes waiting. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the message that waits longest becomes too old; Infinity where none will. */
  get expiresAt(): number {
    return this.#entries[this.#head]?.expiresAt ?? Infinity;
  }

  /** Adds a message at the end and returns what had to go for it: expired ones first, then by the overflow policy. */
  enqueue(value: T, bytes: number, now: number): Drop<T>[] {
    const { maxBytes, capacity, ttl, overflow } = this.#limits;
    const drops = this.expire(now);
    const fits = () => this.size < capacity && this.#bytes + bytes <= maxBytes;
    const possible = capacity > 0 && bytes <= maxBytes;
    if (possible && overflow === 'drop-oldest') while (!fits()) drops.push(this.#drop('overflow'));
    if (possible && fits()) {
      this.#entries.push({ value, bytes, expiresAt: now + ttl });
      this.#bytes += bytes;
    } else drops.push({ value, bytes, reason: 'overflow' });
    return drops;
  }

  /** Takes the message that waits longest. */
  shift(): { readonly value: T; readonly bytes: number } | undefined {
    return this.size > 0 ? this.#take() : undefined;
  }

  /** Removes what has waited longer than the ttl. */
  expire(now: number): Drop<T>[] {
    const drops: Drop<T>[] = [];
    for (let entry = this.#entries[this.#head]; entry && entry.expiresAt <= now; entry = this.#entries[this.#head])
      drops.push(this.#drop('expired'));
    return drops;
  }

  /** Empties the queue: there will be no connection to send on. */
  clear(): Drop<T>[] {
    const drops: Drop<T>[] = [];
    while (this.size > 0) drops.push(this.#drop('closed'));
    return drops;
  }

  #drop(reason: DropReason): Drop<T> {
    const { value, bytes } = this.#take();
    return { value, bytes, reason };
  }

  #take(): Entry<T> {
    const entry = this.#entries[this.#head] as Entry<T>;
    this.#entries[this.#head++] = undefined; // a sent message must not be kept alive
    this.#bytes -= entry.bytes;
    if (this.#head >= SLICE && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }
}

const UNUSUAL = /[^ -~]/;

/** Bytes of a string as UTF-8; a lone surrogate counts as the three bytes of U+FFFD, which is what goes out for it. */
export function utf8Length(text: string): number {
  if (!UNUSUAL.test(text)) return text.length; // mostly so, and looked for three times faster than counted
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      i++; // a pair: two units, four bytes
    }
  }
  return bytes;
}
