import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoff, clampDelay, MAX_DELAY } from '../../src/core/backoff.ts';

describe('backoff', () => {
  it.each([
    // attempt, random, patient, delay
    [1, 0, false, 0],
    [1, 0.5, false, 1_000],
    [1, 1, false, 2_000],
    [2, 0, false, 2_000],
    [2, 1, false, 4_000],
    [3, 0, false, 3_000],
    [3, 1, false, 6_000],
    [4, 1, false, 9_000],
    [5, 0, false, 5_000],
    [5, 1, false, 10_000],
    [6, 1, false, 10_000],
    [5, 1, true, 13_500],
    [7, 1, true, 30_000],
    [8, 0, true, 15_000],
    [8, 1, true, 30_000],
    [1, 1, true, 2_000],
  ])('attempt %i with random %d (patient: %s) waits %i ms', (attempt, random, patient, delay) => {
    expect(backoff(attempt, random, patient)).toBeCloseTo(delay, 6);
  });

  it('is not patient unless it is told to be', () => {
    expect(backoff(10, 0.5)).toBe(backoff(10, 0.5, false));
  });

  it('is a delay that a timer can hold, whatever it is given', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer(), fc.double()), fc.double(), fc.boolean(), (attempt, random, patient) => {
        const delay = backoff(attempt, random, patient);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(30_000);
      }),
    );
  });

  it.each([Number.NaN, -1, 7])('treats a random number of %d as one of the two ends', (random) => {
    expect([2_000, 4_000]).toContain(backoff(2, random));
  });

  it('spreads the retries of many clients evenly: no tenth of the time is empty or crowded', () => {
    const tenths = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const tenth = Math.floor(backoff(1, i / 10_000) / 200);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    expect(tenths.every((count) => count === 1_000)).toBe(true);
  });
});

describe('clampDelay', () => {
  it.each([
    [0, 0],
    [-0.5, 0],
    [-Infinity, 0],
    [1.5, 1.5],
    [MAX_DELAY, 2_147_483_647],
    [MAX_DELAY + 1, MAX_DELAY],
    [Infinity, MAX_DELAY],
    [Number.NaN, MAX_DELAY],
  ])('makes %d into %d', (delay, clamped) => {
    expect(clampDelay(delay)).toBe(clamped);
  });

  it('never gives what a timer would take for "at once" by overflow', () => {
    fc.assert(fc.property(fc.double(), (delay) => clampDelay(delay) >= 0 && clampDelay(delay) <= 2 ** 31 - 1));
  });
});
