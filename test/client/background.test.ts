/** An hour in a background tab: throttled timers, long tasks, and a link that is well all the time (research: Chromium's grids of 1 s and 60 s). */

import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/io/clock.ts';
import { Random } from '../simulation/random.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { pair } from '../support/link.ts';

/** The thread of a page: its timers fire on a grid, nothing happens during a long task, and then timers come before messages (as in Firefox). */
class Page implements Clock {
  /** Milliseconds of the grid that timers fire on; 0 for none. */
  grid = 0;
  readonly #world: FakeClock;
  #busyUntil = 0;
  readonly #late: { timers: (() => void)[]; messages: (() => void)[] } = { timers: [], messages: [] };

  constructor(world: FakeClock) {
    this.#world = world;
  }

  now(): number {
    return this.#world.now();
  }

  wall(): number {
    return this.#world.wall();
  }

  setTimeout(callback: () => void, delay: number): unknown {
    const now = this.now();
    const at = this.grid > 0 ? Math.ceil((now + delay) / this.grid) * this.grid : now + delay;
    const timer = { callback };
    this.#world.setTimeout(() => this.#run(() => timer.callback(), this.#late.timers), Math.min(at - now, 2 ** 31 - 1));
    return timer;
  }

  clearTimeout(timer: unknown): void {
    if (timer) (timer as { callback: () => void }).callback = () => {};
  }

  /** A message came in. */
  message(handle: () => void): void {
    this.#run(handle, this.#late.messages);
  }

  /** Nothing else happens for so long. */
  works(ms: number): void {
    this.#busyUntil = this.now() + ms;
    this.#world.setTimeout(() => {
      for (const each of [...this.#late.timers.splice(0), ...this.#late.messages.splice(0)]) each();
    }, ms);
  }

  #run(deed: () => void, late: (() => void)[]): void {
    if (this.now() < this.#busyUntil) late.push(deed);
    else deed();
  }
}

describe('an hour in a background tab with long tasks', () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed + 1))('drops no link that is well (seed %i)', async (seed) => {
    const random = new Random(seed);
    const world = new FakeClock();
    const page = new Page(world);
    const p = pair({ clock: page }, { clock: world } as never);
    await p.settle();
    const { socket } = p;
    const { onmessage } = socket;
    socket.onmessage = (event: unknown) => page.message(() => (onmessage as (event: unknown) => void).call(socket, event));
    p.page.hidden = true;
    let worked = 0;
    while (world.now() < 3_600_000) {
      page.grid = world.now() < 300_000 ? 1_000 : 60_000;
      if (random.chance(0.5)) {
        const ms = random.between(100, 15_000);
        page.works(ms);
        worked++;
        await world.advance(ms);
      }
      if (random.chance(0.3)) p.peer.send('news', 1);
      if (random.chance(0.2)) page.message(() => void p.client.send('note', 1));
      await world.advance(random.between(1, 30_000));
    }
    expect(worked).toBeGreaterThan(50);
    expect(p.log.filter((line) => !line.startsWith('unhandled'))).toEqual(['open']);
    expect(p.client.stats.connections).toBe(1);
  });
});
