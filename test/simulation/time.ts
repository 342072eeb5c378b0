/** Time in a simulated world: one line of events for everybody, and for each party a clock that can be stopped. */

import type { Clock } from '../../src/io/clock.ts';

interface Event {
  readonly at: number;
  /** When it was to happen, had it not been held back. */
  readonly due: number;
  readonly order: number;
  readonly act: () => void;
  readonly owner: SimClock | undefined;
  cancelled: boolean;
}

/** Everything that will happen, in order of time, then of planning. */
export class Timeline {
  readonly #heap: Event[] = [];
  #order = 0;
  now = 0;

  /** Plans something. What belongs to a party that is frozen by then is held back until it thaws. */
  at(time: number, act: () => void, owner?: SimClock): Event {
    const at = Math.max(time, this.now);
    const event: Event = { at, due: at, order: this.#order++, act, owner, cancelled: false };
    this.#push(event);
    return event;
  }

  /** Plans what was held back: now, and ahead of everything that becomes due only now. */
  late(event: Event): void {
    this.#push({ ...event, at: this.now });
  }

  /** Makes the next thing happen; false when there is none until then. */
  step(until: number): boolean {
    for (let event = this.#heap[0]; event && event.at <= until; event = this.#heap[0]) {
      this.#pop();
      if (event.cancelled) continue;
      this.now = event.at;
      if (event.owner?.isFrozen) event.owner.hold(event);
      else event.act();
      return true;
    }
    this.now = until;
    return false;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    for (let parent = (index - 1) >> 1; index > 0 && before(event, heap[parent] as Event); parent = (index - 1) >> 1) {
      heap[index] = heap[parent] as Event;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let index = 0;
    for (let child = 1; child < heap.length; child = 2 * index + 1) {
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && (a.due < b.due || (a.due === b.due && a.order < b.order)));
}

/** The clock of one party. Frozen, nothing of it happens; thawed, what was due happens at once, late. */
export class SimClock implements Clock {
  readonly #timeline: Timeline;
  #held: Event[] | undefined;
  #skew = 0;
  /** Timers that wait. */
  pending = 0;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  get isFrozen(): boolean {
    return this.#held !== undefined;
  }

  now(): number {
    return this.#timeline.now;
  }

  wall(): number {
    return 1_700_000_000_000 + this.#timeline.now + this.#skew;
  }

  /** Somebody sets the system's time. */
  jump(ms: number): void {
    this.#skew += ms;
  }

  freeze(): void {
    this.#held ??= [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#timeline.late(event);
  }

  hold(event: Event): void {
    this.#held?.push(event);
  }

  setTimeout(callback: () => void, delay: number): unknown {
    if (!(delay >= 0 && delay <= 2 ** 31 - 1)) throw new RangeError(`a timer of ${delay} ms would fire at once`);
    this.pending++;
    const timer = { over: false, event: undefined as Event | undefined };
    const fire = () => {
      if (timer.over) return;
      timer.over = true;
      this.pending--;
      callback();
    };
    timer.event = this.#timeline.at(this.#timeline.now + delay, fire, this);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    const known = timer as { over: boolean; event: Event } | undefined;
    if (!known || known.over) return;
    known.over = true;
    known.event.cancelled = true;
    this.pending--;
  }
}
