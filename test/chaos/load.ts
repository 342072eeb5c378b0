/** How much is sent and what it looks like, the same on both ends, in a page as well as in Node. */

/** How a run is loaded. */
export interface Load {
  /** Tracked, numbered events each way. */
  readonly messages: number;
  /** Events a second each way, on average; Infinity for as fast as it goes. */
  readonly rate: number;
  /** Most events each way at once: that many are made up for when a tick comes late, or sent on every tick where there is no rate. */
  readonly burst: number;
  /** Most events of one way that are sent and not known to be handled. */
  readonly inFlight: number;
  /** Calls of one side that are not answered, at most. */
  readonly calls: number;
}

/** A numbered event. `seen` is how far the sender has handled those of the other way. */
export interface Note {
  readonly id: number;
  readonly session: string;
  readonly seen: number;
  readonly pad: string;
}

/** How many bytes an event carries along: mostly few, sometimes many. Known from its number, so that the other side can tell a change. */
function sizeOf(id: number): number {
  if (id % 997 === 0) return 40_000;
  if (id % 101 === 0) return 3_000;
  return (id * 7_919) % 200;
}

function padOf(id: number): string {
  return String.fromCharCode(97 + (id % 26)).repeat(sizeOf(id));
}

/** The data of an event; now and then as bytes. */
export function encodeNote(id: number, session: string, seen: number): unknown {
  const note: Note = { id, session, seen, pad: padOf(id) };
  return id % 53 === 0 ? new TextEncoder().encode(JSON.stringify(note)) : note;
}

/** What came in; undefined where it is not what was sent. */
export function decodeNote(data: unknown): Note | undefined {
  const note = (data instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(data)) : data) as Note;
  return note.pad === padOf(note.id) && data instanceof Uint8Array === (note.id % 53 === 0) ? note : undefined;
}

/**
 * Decides how many events to send now. Deterministic: the caller tells the time.
 */
export class Pace {
  readonly #load: Load;
  #last: number | undefined;
  #due = 0;

  constructor(load: Load) {
    this.#load = load;
  }

  /**
   * How many are to be sent now.
   *
   * @param now milliseconds
   * @param inFlight how many are under way
   */
  take(now: number, inFlight: number): number {
    const { rate, burst, inFlight: most } = this.#load;
    const passed = now - (this.#last ?? now);
    this.#last = now;
    // What could not be sent for want of room is not made up for at once.
    this.#due = rate === Infinity ? burst : Math.min(this.#due + (passed * rate) / 1_000, burst);
    const count = Math.max(0, Math.min(Math.floor(this.#due), most - inFlight));
    this.#due -= count;
    return count;
  }
}
