import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mutations } from './mutations.ts';
import { shrink } from './shrink.ts';
import { boastful, client, forgetful, graceless, hasty, naive } from './subjects.ts';
import { type Outcome, type Subject, simulate } from './world.ts';

/** The first seed that fails in this way before all others. */
async function refuted(subject: Subject, seeds: number, how: RegExp): Promise<Outcome> {
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = await simulate(seed, subject);
    if (how.test(outcome.violations[0] ?? '')) return outcome;
  }
  throw new Error(`${subject.name} kept its word for ${seeds} seeds`);
}

describe('in a simulated world of cuts, holes, restarts, sleep and misbehaving handlers', () => {
  it('the client keeps its promises: once, in order, both ways, or it says so', { timeout: 120_000 }, async () => {
    for (let seed = 1; seed <= 500; seed++) expect(await simulate(seed, client)).toMatchObject({ seed, violations: [] });
  });

  it('without sessions it keeps them, but that of never losing what was written', { timeout: 120_000 }, async () => {
    for (let seed = 1; seed <= 500; seed++) expect(await simulate(seed, forgetful)).toMatchObject({ seed, violations: [] });
  });

  it('whoever says that nothing is lost without a session is refuted', async () => {
    await refuted(boastful, 50, /^event \d+ \(\w+\) was lost without a word$/);
  });

  it('whoever just sends the last messages again is refuted', async () => {
    await refuted(naive, 50, /^event \d+ was handled twice/);
  });

  it('whoever does not wait for who is away for a moment is refuted', async () => {
    await refuted(graceless, 50, /^member \d+ is gone, and was away for [\d.]+ ms only$/);
  });

  it('whoever reads all of what is uploaded before anybody wants it is refuted', async () => {
    await refuted(hasty, 50, /^upload \d+ read item 1 of its source, and its handler took 0$/);
  });
});

describe('a seed', () => {
  it('makes the same world every time', async () => {
    const [one, two] = [await simulate(7, forgetful), await simulate(7, forgetful)];
    expect(one.trace.length).toBeGreaterThan(20);
    expect(two.trace).toEqual(one.trace);
    expect(two.events).toBe(one.events);
  });

  it('that fails is cut down to the steps that matter, and fails in the same way', async () => {
    const outcome = await refuted(boastful, 50, /lost without a word$/);
    const { steps, violations } = await shrink(outcome, boastful);
    expect(steps.length).toBeLessThanOrEqual(4);
    expect(steps.length).toBeLessThan(outcome.steps.length);
    expect(violations[0]).toMatch(/was lost without a word$/);
  });
});

describe('the faults that can be put into the code', () => {
  it.each(mutations)('have their place in it, and only one: $breaks', ({ breaks: _, and = [], ...first }) => {
    for (const { file, find } of [first, ...and])
      expect(readFileSync(new URL(`../../src/${file}`, import.meta.url), 'utf8').split(find)).toHaveLength(2);
  });
});
