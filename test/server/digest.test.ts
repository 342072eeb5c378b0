import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digest } from '../../src/server/digest.ts';

describe('a digest', () => {
  it('is the same for the same text, and 16 hexadecimal digits whatever that is', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void expect(digest(text)).toMatch(/^[0-9a-f]{16}$/)));
    expect(digest('id "ida"')).toBe(digest(['id ', '"ida"'].join('')));
  });

  it('tells a million names apart, in each half', () => {
    const names = Array.from({ length: 1_000_000 }, (_, i) => `id ${i}`);
    const all = names.map(digest);
    expect(new Set(all).size).toBe(names.length);
    // As many as chance would leave of a million in 2^32: 116 meet another one.
    for (const half of [0, 8]) expect(new Set(all.map((each) => each.slice(half, half + 8))).size).toBeGreaterThan(names.length - 1_000);
  });
});
