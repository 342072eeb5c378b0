/**
 * One end of a session (docs/protocol.md, section Sessions): what it has numbered and the other end has not acknowledged, and how far it has
 * received. The same code on both ends. A deterministic object: it knows neither time nor sockets.
 *
 * ```
 * number() ──► log ──next()──► written ──acknowledge()──► out of the log
 *                ▲                │
 *                └── resumed() ───┘  another connection: what the other end has goes, the rest is written again, in order
 * ```
 */

/** Frames that each end of ours lets the other leave unacknowledged. */
export const WINDOW = 1_024;
/** Bytes that may be unacknowledged, whatever the window says in frames. */
export const WINDOW_BYTES = 1_048_576;

/** A numbered frame. `value` is undefined where a skip stands in its place. */
export interface Tracked<T> {
  readonly seq: number;
  readonly value: T | undefined;
  readonly bytes: number;
}

/** What to do with a frame that came in: handle it; drop it, it was handled before; or give up, some are missing. */
export type Arrival = 'next' | 'again' | 'gap';

export class Session<T> {
  /** Unacknowledged frames, oldest first; their numbers have no holes. */
  #log: Tracked<T>[] = [];
  #bytes = 0;
  /** The number of the last frame of ours. */
  #last = 0;
  /** The number of the next frame to be written on this connection. */
  #cursor = 1;
  /** The last frame that was written on a connection before this one. */
  #written = 0;
  /** How far the other end has acknowledged. */
  #acknowledged = 0;
  /** Frames that the other end lets us leave unacknowledged. */
  #window: number;
  #received = 0;
  /** The last acknowledgement that was written, and the bytes received since. */
  #told = 0;
  #untoldBytes = 0;
  /** Our own window, as the other end was told. */
  readonly #ownWindow: number;

  /**
   * @param window frames that the other end lets us leave unacknowledged
   * @param ownWindow frames that the other end may leave unacknowledged
   */
  constructor(window: number, ownWindow: number) {
    this.#window = window;
    this.#ownWindow = ownWindow;
  }

  /** The number of the last frame that was received: every one up to it was handed on, once. */
  get received(): number {
    return this.#received;
  }

  /** The number that the next frame will have. */
  get upcoming(): number {
    return this.#last + 1;
  }

  /** How many frames are not acknowledged. */
  get frames(): number {
    return this.#log.length;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The frames that are not acknowledged, oldest first. */
  get log(): readonly Tracked<T>[] {
    return this.#log;
  }

  /** Whether a frame of that size may be numbered now. One may always go when nothing is unacknowledged: else a large one would wait for ever. */
  mayNumber(bytes: number): boolean {
    if (this.#log.length === 0) return true;
    return this.#log.length < this.#window && this.#bytes + bytes <= WINDOW_BYTES;
  }

  /** Gives a frame its number. It is to be written when {@link next} says so, and kept until it is acknowledged. */
  number(value: T, bytes: number): Tracked<T> {
    const tracked = { seq: ++this.#last, value, bytes };
    this.#log.push(tracked);
    this.#bytes += bytes;
    return tracked;
  }

  /** The next frame to be written on this connection: those that are written again come first. */
  next(): Tracked<T> | undefined {
    const first = this.#log[0];
    if (!first) return undefined;
    // What was acknowledged meanwhile is not written again.
    this.#cursor = Math.max(this.#cursor, first.seq);
    const tracked = this.#log[this.#cursor - first.seq];
    if (tracked) this.#cursor++;
    return tracked;
  }

  /** Whether a frame was written before, on another connection. */
  isAgain({ seq }: Tracked<T>): boolean {
    return seq <= this.#written;
  }

  /** A frame must not be sent after all, and its number is given: something else, or a skip, takes its place wherever it is written again. */
  replace(seq: number, value: T | undefined, bytes: number): void {
    const index = this.#indexOf(seq);
    const tracked = this.#log[index];
    if (!tracked) return;
    this.#bytes += bytes - tracked.bytes;
    this.#log[index] = { seq, value, bytes };
  }

  /**
   * The other end has everything up to there. Returns what that is news about; undefined when nothing with that number was ever sent, which is a
   * violation. It never moves the cursor: an acknowledgement may lie before it, or after it.
   */
  acknowledge(received: number): readonly Tracked<T>[] | undefined {
    if (received > this.#last) return undefined;
    const count = Math.max(0, this.#indexOf(received) + 1);
    const done = this.#log.splice(0, count);
    for (const { bytes } of done) this.#bytes -= bytes;
    this.#acknowledged = Math.max(this.#acknowledged, received);
    return done;
  }

  /** Whether the other end can have received everything up to there, and nothing after it. */
  mayResume(received: number): boolean {
    return received >= this.#acknowledged && received <= this.#last;
  }

  /**
   * Another connection goes on with the session, and the other end has received everything up to there. What it does not have is written again.
   * Undefined when that cannot be: it is less than what was acknowledged, or more than was sent.
   *
   * @param window frames that the other end lets us leave unacknowledged from now on
   */
  resumed(received: number, window: number): readonly Tracked<T>[] | undefined {
    const done = this.mayResume(received) ? this.acknowledge(received) : undefined;
    if (!done) return undefined;
    this.#written = Math.max(this.#written, this.#cursor - 1);
    this.#cursor = received + 1;
    this.#window = window;
    this.#told = this.#received; // the other end has read it in our hello or welcome
    this.#untoldBytes = 0;
    return done;
  }

  /** A numbered frame came in. `next`: it counts as received from now on, whatever its handler does, and is to be handed on. */
  receive(seq: number, bytes: number): Arrival {
    if (seq <= this.#received) return 'again';
    if (seq !== this.#received + 1) return 'gap';
    this.#received = seq;
    this.#untoldBytes += bytes;
    return 'next';
  }

  /** Whether the other end should be told soon how far we are. */
  get isAckOwed(): boolean {
    return this.#told < this.#received;
  }

  /** Whether it should be told now: a quarter of the window is full. */
  get isAckDue(): boolean {
    const frames = Math.max(1, Math.floor(this.#ownWindow / 4));
    return this.#received - this.#told >= frames || this.#untoldBytes >= WINDOW_BYTES / 4;
  }

  /** The acknowledgement to be written now. */
  tell(): number {
    this.#told = this.#received;
    this.#untoldBytes = 0;
    return this.#received;
  }

  /** Everything that is not acknowledged, in order: what becomes of it when the session is lost is not decided here. */
  drain(): Tracked<T>[] {
    const rest = this.#log;
    this.#log = [];
    this.#bytes = 0;
    return rest;
  }

  #indexOf(seq: number): number {
    const first = this.#log[0];
    return first ? seq - first.seq : -1;
  }
}
