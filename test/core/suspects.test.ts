import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GIVEN_UP, SUSPECT, Suspects } from '../../src/core/suspects.ts';

const message = () => ({});

/** A message that has been lost so many times, on a connection that has shown nothing yet. */
function lostBefore(times = SUSPECT) {
  const [suspects, suspect] = [new Suspects<object>(), message()];
  for (let i = 0; i < times; i++) suspects.lost(suspect);
  suspects.opened();
  return { suspects, suspect };
}

/** One session in which it is written alone, and which is lost. */
function tries(suspects: Suspects<object>, suspect: object): boolean {
  suspects.opened();
  suspects.asks();
  suspects.proved(true);
  if (!suspects.mayWrite(suspect, true)) throw new Error('it may not be written');
  suspects.wrote(suspect);
  const isGivenUp = suspects.lost(suspect);
  suspects.ended();
  return isGivenUp;
}

describe('a message that was lost', () => {
  it.each([0, 1])('%i times is written like any other', (times) => {
    const { suspects, suspect } = lostBefore(times);
    expect([suspects.mayWrite(suspect, false), suspects.wrote(suspect)]).toEqual([true, false]);
  });

  it('twice is written when the connection has shown a sign of life and nothing is on its way', () => {
    const { suspects, suspect } = lostBefore();
    expect(suspects.mayWrite(suspect, true)).toBe(false);
    expect([suspects.asks(), suspects.asks()]).toEqual([true, false]);
    expect(suspects.mayWrite(suspect, true)).toBe(false);
    expect(suspects.proved(true)).toBe(true);
    expect([suspects.mayWrite(suspect, false), suspects.mayWrite(suspect, true)]).toEqual([false, true]);
  });

  it('twice lets others pass until it is written, and nobody then until it is acknowledged', () => {
    const { suspects, suspect } = lostBefore();
    expect(suspects.mayWrite(message(), false)).toBe(true);
    suspects.asks();
    suspects.proved(true);
    expect(suspects.wrote(suspect)).toBe(true);
    expect(suspects.mayWrite(message(), true)).toBe(false);
    suspects.asks();
    expect(suspects.proved(false)).toBe(true); // it lives, and has not got it yet
    expect(suspects.mayWrite(message(), true)).toBe(false);
    expect(suspects.asks()).toBe(true);
    suspects.proved(true);
    expect(suspects.mayWrite(message(), true)).toBe(true);
  });

  it('is given up after five, the last three of which it was alone in', () => {
    const { suspects, suspect } = lostBefore();
    expect([tries(suspects, suspect), tries(suspects, suspect), tries(suspects, suspect)]).toEqual([false, false, true]);
  });

  it('is not given up for any number of losses in which it was not alone', () => {
    fc.assert(
      fc.property(fc.integer({ min: SUSPECT, max: 50 }), (times) => {
        const { suspects, suspect } = lostBefore(times);
        expect(suspects.lost(suspect)).toBe(false);
        expect([tries(suspects, suspect), tries(suspects, suspect), tries(suspects, suspect)]).toEqual([false, false, true]);
      }),
    );
  });

  it('was on trial in its session alone', () => {
    const { suspects, suspect } = lostBefore();
    tries(suspects, suspect);
    for (let i = 0; i < GIVEN_UP; i++) expect(suspects.lost(suspect)).toBe(false);
    expect(suspects.mayWrite(message(), true)).toBe(true);
  });

  it('is on trial still where its session goes on, over a connection that has shown nothing yet', () => {
    const { suspects, suspect } = lostBefore();
    suspects.asks();
    suspects.proved(true);
    suspects.wrote(suspect);
    suspects.opened();
    expect(suspects.mayWrite(message(), true)).toBe(false);
    expect(suspects.asks()).toBe(true);
    suspects.proved(true);
    expect(suspects.mayWrite(message(), true)).toBe(true);
  });
});

it('a sign of life that nobody has asked for proves nothing', () => {
  const { suspects, suspect } = lostBefore();
  expect(suspects.proved(true)).toBe(false);
  expect(suspects.mayWrite(suspect, true)).toBe(false);
});
