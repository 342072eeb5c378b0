/** A small dose of chaos; `npx tsx test/chaos/run.ts` gives a large one. */

import { describe, expect, it } from 'vitest';
import { chaosInNode } from './node-end.ts';
import { framesOf, type Meddle } from './numbers.ts';

const DOSE = { messages: 2_000, cuts: 25, holes: 0, stalls: 0, rate: 2_000, burst: 5, inFlight: 500, calls: 100, resent: 1 };
const SMALL = { ...DOSE, messages: 400, cuts: 8 };

describe('while the connection is cut at byte after byte', () => {
  it.each([1, 2, 3])('nothing is lost, doubled, out of order or unanswered (seed %i)', async (seed) => {
    const { violations, cuts, met, up, down } = await chaosInNode({ ...DOSE, seed });
    expect(violations).toEqual([]);
    expect(cuts).toBe(25);
    expect(met.cut.frame + met.cut.opening).toBeGreaterThanOrEqual(15);
    expect(Math.min(up.handled, down.handled)).toBeGreaterThanOrEqual(2_000);
    // Something was under way at one cut at least, or they hit nothing.
    expect(up.again + down.again).toBeGreaterThan(0);
  });

  it('nor when it goes as fast as it can, and links stall and die without a word', async () => {
    const { violations, met } = await chaosInNode({ ...DOSE, cuts: 10, holes: 1, stalls: 8, rate: Infinity, seed: 4 });
    expect(violations).toEqual([]);
    const count = (places: Record<string, number>) => Object.values(places).reduce((sum, each) => sum + each, 0);
    expect([count(met.hole), count(met.stall)]).toEqual([1, 8]);
  });
});

/** What a client would write that is not as good as ours. */
const meddlers: readonly [what: string, meddle: () => Meddle, how: RegExp][] = [
  ['has no session', () => (message) => [isHello(message) ? withoutSession(message) : message], /^up: \d+ of \d+ events were handled$/],
  ['loses a message', () => every(30, () => []), /^a session was lost$/],
  ['writes a message twice', () => every(20, (message) => [message, message]), /number \d+ instead of \d+$/],
];

/** Does so with one of so many messages that have a number. */
function every(count: number, meddle: Meddle): Meddle {
  let seen = 0;
  const isNumbered = (message: unknown) => framesOf(message).some(({ seq }) => seq !== undefined);
  return (message) => (isNumbered(message) && ++seen % count === 0 ? meddle(message) : [message]);
}

function isHello(message: unknown): message is string {
  return typeof message === 'string' && message.startsWith('{"type":"hello"');
}

function withoutSession(message: string): string {
  const { resume: _, ...hello } = JSON.parse(message) as { features: string[]; resume?: object };
  return JSON.stringify({ ...hello, features: hello.features.filter((feature) => feature !== 'resume') });
}

describe('a client that', () => {
  it.each(meddlers)('%s is refuted', async (_, meddle, how) => {
    const { violations } = await chaosInNode({ ...SMALL, seed: 5, meddle: meddle() });
    expect(violations.filter((violation) => how.test(violation))).not.toEqual([]);
  });

  it('writes all of them twice is seen to', async () => {
    const { up, down } = await chaosInNode({ ...SMALL, cuts: 0, seed: 5, meddle: every(1, (message) => [message, message]) });
    expect(up.again).toBe(up.frames / 2);
    expect([up.twice, down.again, down.twice]).toEqual([up.again, 0, 0]);
  });
});

it('more written again than is allowed is a violation', async () => {
  const { violations } = await chaosInNode({ ...SMALL, seed: 6, resent: 0 });
  expect(violations).toEqual([expect.stringMatching(/^\d+\.\d\d % of the numbered frames were written again$/)]);
});
