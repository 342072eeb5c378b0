import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../src/core/rate.ts';

const takeMany = (bucket: TokenBucket, times: number, now: number) =>
  Array.from({ length: times }, () => bucket.take(now)).filter(Boolean).length;

describe('a token bucket', () => {
  it('begins full, and gives its burst at once', () => {
    expect(takeMany(new TokenBucket(10, 5, 0), 8, 0)).toBe(5);
  });

  it('begins full at whatever time it is made', () => {
    expect(takeMany(new TokenBucket(10, 5, 1_000_000), 8, 1_000_000)).toBe(5);
  });

  it('fills at its rate', () => {
    const bucket = new TokenBucket(10, 5, 0);
    takeMany(bucket, 5, 0);
    expect(bucket.take(99)).toBe(false);
    expect(bucket.take(100)).toBe(true);
    expect(bucket.take(100)).toBe(false);
    expect(takeMany(bucket, 9, 400)).toBe(3);
  });

  it('adds up parts of a token, even when it is asked in vain meanwhile', () => {
    const bucket = new TokenBucket(1, 1, 0);
    bucket.take(0);
    expect([250, 500, 750, 1_000, 1_000].map((now) => bucket.take(now))).toEqual([false, false, false, true, false]);
  });

  it('holds no more than its burst, however long nothing is taken', () => {
    const bucket = new TokenBucket(1_000, 3, 0);
    takeMany(bucket, 3, 0);
    expect(takeMany(bucket, 10, 1e9)).toBe(3);
  });

  it('gives a token that is there exactly', () => {
    const bucket = new TokenBucket(1, 1, 0);
    expect([bucket.take(0), bucket.take(1_000), bucket.take(2_000)]).toEqual([true, true, true]);
  });

  it.each([1, 100, Infinity])('without a burst is bottomless (rate %d)', (rate) => {
    expect(takeMany(new TokenBucket(rate, Infinity, 0), 10_000, 0)).toBe(10_000);
  });

  it('with a rate without bound never runs dry once time passes', () => {
    const bucket = new TokenBucket(Infinity, 2, 0);
    expect([bucket.take(1), bucket.take(2), bucket.take(3), bucket.take(4)]).toEqual([true, true, true, true]);
  });

  it('gives in any span no more than its burst and what that span is worth, and all of it to whoever keeps asking', () => {
    const gaps = fc.array(fc.nat(400), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), gaps, (rate, burst, gaps) => {
        const bucket = new TokenBucket(rate, burst, 0);
        let now = 0;
        const given: { at: number; count: number }[] = [];
        for (const gap of gaps) {
          now += gap;
          given.push({ at: now, count: takeMany(bucket, burst + 2, now) });
        }
        for (const [i, { at: from }] of given.entries()) {
          let sum = 0;
          for (const { at, count } of given.slice(i)) {
            sum += count;
            expect(sum).toBeLessThanOrEqual(burst + ((at - from) * rate) / 1_000 + 1e-6);
          }
        }
        // Emptied every time, so that what is given is limited by time alone, unless it overflowed in a gap.
        const overflowed = gaps.slice(1).some((gap) => (gap * rate) / 1_000 > burst - 1);
        const total = given.reduce((sum, { count }) => sum + count, 0);
        const span = now - (given[0]?.at ?? 0);
        if (!overflowed) expect(total).toBeGreaterThan(burst + (span * rate) / 1_000 - 1 - 1e-6);
      }),
      { numRuns: 500 },
    );
  });
});
