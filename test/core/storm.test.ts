/** Ten thousand clients lose one server at the same moment: the real backoff and the real machine, no sockets (docs/reconnection.md). */

import { describe, expect, it } from 'vitest';
import { backoff } from '../../src/core/backoff.ts';
import { type Event, type Model, type Rules, transition } from '../../src/core/machine.ts';
import { Random } from '../simulation/random.ts';
import { at, closedBy, events, moment, rules } from '../support/machine.ts';

const CLIENTS = 10_000;
/** Connections that the server takes in a tenth of a second: 500 a second. */
const TAKES = 50;
const real: Rules = { ...rules, delay: backoff };

interface Storm {
  /** Most that come in a tenth of a second, once the server is there. */
  readonly peak: number;
  /** Seconds until 99 in 100 are back. */
  readonly back: number;
}

/** @param away tenths of a second without a server */
function storm(seed: number, away: number, first: Event = events.lost): Storm {
  const random = new Random(seed);
  const arrivals = new Map<number, Model[]>();
  const comes = (tenth: number, model: Model, event: Event) => {
    const [next, effects] = transition(model, event, { ...moment, random: random.next() }, real);
    const delay = effects.flatMap((effect) => (effect.type === 'startTimer' ? [effect.delay] : []))[0] as number;
    const when = tenth + Math.floor(delay / 100);
    arrivals.set(when, [...(arrivals.get(when) ?? []), next]);
  };
  for (let i = 0; i < CLIENTS; i++) comes(0, at.open, first);
  let [taken, peak, back] = [0, 0, 0];
  for (let tenth = 0; taken < CLIENTS; tenth++) {
    const here = arrivals.get(tenth) ?? [];
    arrivals.delete(tenth);
    const room = tenth < away ? 0 : TAKES;
    if (tenth >= away) peak = Math.max(peak, here.length);
    if (taken < 0.99 * CLIENTS) back = (tenth + 1) / 10;
    taken += Math.min(here.length, room);
    for (const model of here.slice(room)) {
      const [opening] = transition(model, events.timer, moment, real);
      comes(tenth + 1, opening, { type: 'lost', loss: closedBy(1006, { kind: 'failed' }), verdict: 'retry' });
    }
  }
  return { peak, back };
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const seeds = Array.from({ length: 20 }, (_, seed) => seed + 1);

const half = (storms: readonly Storm[]): Storm => ({
  peak: median(storms.map(({ peak }) => peak)),
  back: median(storms.map(({ back }) => back)),
});

describe('a storm of 10,000 clients, of whom 500 a second are taken (medians of 20 seeds)', { timeout: 120_000 }, () => {
  it.each([
    ['that is back at once', 0, 560, 27],
    ['that is away for 5 s', 50, 350, 34],
  ])('on a server %s never sends too many at once, and is soon over', (_what, away, peak, back) => {
    const found = half(seeds.map((seed) => storm(seed, away)));
    expect(found.peak).toBeLessThanOrEqual(peak);
    expect(found.back).toBeLessThanOrEqual(back);
  });

  it.each([22, 25, 30])('that the server has announced with %i s comes evenly, within a tenth of an ideal spread', (seconds) => {
    const bye: Event = { type: 'lost', loss: closedBy(4100), verdict: 'retry', retryAfter: { ms: seconds * 1_000, spread: true } };
    const { back } = half(seeds.map((seed) => storm(seed, 0, bye)));
    expect(Math.abs(back / (0.99 * seconds) - 1)).toBeLessThan(0.1);
  });
});
