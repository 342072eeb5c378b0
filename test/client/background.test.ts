/** An hour in a background tab: throttled timers, long tasks, and a link that is well all the time (research: Chromium's grids of 1 s and 60 s). */

import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/io/clock.ts';
import { ReconnectingWebSocket } from '../../src/socket.ts';
import { Random } from '../simulation/random.ts';
import { FakeLifecycle } from '../support/face.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeSocket } from '../support/fake-socket.ts';
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

/** An hour of it, with a tab that is hidden, throttled after a minute and more after five, and busy half of the time. */
async function hour(seed: number, world: FakeClock, page: Page, meanwhile: (random: Random) => void): Promise<void> {
  const random = new Random(seed);
  let worked = 0;
  while (world.now() < 3_600_000) {
    page.grid = world.now() < 300_000 ? 1_000 : 60_000;
    if (random.chance(0.5)) {
      const ms = random.between(100, 15_000);
      page.works(ms);
      worked++;
      await world.advance(ms);
    }
    meanwhile(random);
    await world.advance(random.between(1, 30_000));
  }
  expect(worked).toBeGreaterThan(50);
}

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed + 1);

describe('an hour in a background tab with long tasks', () => {
  it.each(SEEDS)(
    'drops no link of a drop-in, whose pings are answered in time, and heard when the page has time (seed %i)',
    async (seed) => {
      const world = new FakeClock();
      const page = new Page(world);
      const sockets: FakeSocket[] = [];
      const lifecycle = new FakeLifecycle();
      lifecycle.hidden = true;
      const log: string[] = [];
      let asked = 0;
      const way = new Random(seed + 1_000);
      const ws = new ReconnectingWebSocket('wss://example.test/chat', {
        clock: page,
        lifecycle,
        heartbeat: { ping: 'ping', isPong: (data) => data === 'pong' },
        createSocket: (...args) => {
          const socket = new FakeSocket(...args);
          sockets.push(socket);
          socket.send = () => {
            asked++;
            world.setTimeout(() => page.message(() => socket.says('pong')), way.between(50, 4_000));
          };
          return socket;
        },
      });
      ws.addEventListener('close', ({ code }) => log.push(`close ${code}`));
      await world.advance(0);
      sockets[0]?.accepts();
      await hour(seed, world, page, () => {});
      expect([log, sockets.length]).toEqual([[], 1]);
      expect(asked).toBeGreaterThan(40);
    },
  );

  it.each(SEEDS)('drops no link that is well (seed %i)', async (seed) => {
    const world = new FakeClock();
    const page = new Page(world);
    const p = pair({ clock: page }, { clock: world } as never);
    await p.settle();
    const { socket } = p;
    const { onmessage } = socket;
    socket.onmessage = (event: unknown) => page.message(() => (onmessage as (event: unknown) => void).call(socket, event));
    p.page.hidden = true;
    await hour(seed, world, page, (random) => {
      if (random.chance(0.3)) p.peer.send('news', 1);
      if (random.chance(0.2)) page.message(() => void p.client.send('note', 1));
    });
    expect(p.log.filter((line) => !line.startsWith('unhandled'))).toEqual(['open']);
    expect(p.client.stats.connections).toBe(1);
  });
});
