import { describe, expect, it } from 'vitest';
import { rawVerdict, SUSPECT_LIMIT } from '../../src/core/retry-policy.ts';

describe('the retry policy for a server about which nothing is known', () => {
  it.each([1002, 1003, 1007, 1009, 1010, 1015])('suspects %i, which repeats as long as the same is sent', (code) => {
    expect(rawVerdict(code)).toBe('suspect');
  });

  it.each([0, 999, 1000, 1001, 1004, 1005, 1006, 1008, 1011, 1012, 1013, 1014, 1016, 2999, 3000, 4000, 4001, 4401, 4999, 65_535])(
    'retries %i',
    (code) => {
      expect(rawVerdict(code)).toBe('retry');
    },
  );

  it('takes three suspect closes for an answer', () => {
    expect(SUSPECT_LIMIT).toBe(3);
  });
});
