import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Calls, UsedIds } from '../../src/core/calls.ts';

const sizeOf = (calls: Calls<string>) => calls.count(() => true);

describe('a table of calls', () => {
  it('gives ids from 1, one after the other', () => {
    const calls = new Calls<string>();
    expect([calls.ask('a'), calls.ask('b'), calls.ask('c')]).toEqual([1, 2, 3]);
    expect(sizeOf(calls)).toBe(3);
  });

  it('gives each question back once, in whatever order the answers come', () => {
    const calls = new Calls<string>();
    for (const question of ['a', 'b', 'c']) calls.ask(question);
    expect([calls.take(3), calls.take(1), calls.take(3), calls.take(2)]).toEqual(['c', 'a', undefined, 'b']);
    expect(sizeOf(calls)).toBe(0);
  });

  it.each([0, -1, 2, 1.5, Number.NaN, Infinity, Number.MAX_SAFE_INTEGER])('knows nothing of an id that was never given: %d', (id) => {
    const calls = new Calls<string>();
    calls.ask('a');
    expect(calls.take(id)).toBeUndefined();
    expect(sizeOf(calls)).toBe(1);
  });

  it('is cleared in the order in which was asked, and what comes late finds nobody', () => {
    const calls = new Calls<string>();
    for (const question of ['a', 'b', 'c']) calls.ask(question);
    calls.take(2);
    expect(calls.clear()).toEqual(['a', 'c']);
    expect(sizeOf(calls)).toBe(0);
    expect([calls.take(1), calls.take(3), calls.clear()]).toEqual([undefined, undefined, []]);
  });

  it('never gives an id again, not after an answer and not after it was cleared', () => {
    const calls = new Calls<string>();
    calls.take(calls.ask('a'));
    expect(calls.ask('b')).toBe(2);
    calls.clear();
    expect(calls.ask('c')).toBe(3);
  });

  it('behaves like a list that is searched, however it is used', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.constant('ask' as const) },
      { weight: 5, arbitrary: fc.integer({ min: -1, max: 30 }) },
      { weight: 1, arbitrary: fc.constant('clear' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const calls = new Calls<string>();
        let model: { id: number; question: string }[] = [];
        let asked = 0;
        for (const [i, step] of steps.entries()) {
          if (step === 'ask') {
            model.push({ id: ++asked, question: `q${i}` });
            expect(calls.ask(`q${i}`)).toBe(asked);
          } else if (step === 'clear') {
            expect(calls.clear()).toEqual(model.map(({ question }) => question));
            model = [];
          } else {
            expect(calls.take(step)).toBe(model.find(({ id }) => id === step)?.question);
            model = model.filter(({ id }) => id !== step);
          }
          expect(sizeOf(calls)).toBe(model.length);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the ids that a peer has used', () => {
  const used = (ids: readonly number[]) => {
    const table = new UsedIds();
    return ids.map((id) => table.add(id));
  };

  it.each([
    ['in order', [1, 2, 3], [true, true, true]],
    ['repeated at once', [1, 1], [true, false]],
    ['repeated later', [1, 2, 3, 2, 1, 3], [true, true, true, false, false, false]],
    ['with a gap', [1, 3, 4], [true, true, true]],
    ['with a gap, filled later', [1, 3, 2, 3, 2], [true, true, true, false, false]],
    ['backwards', [3, 2, 1, 3, 2, 1, 4], [true, true, true, false, false, false, true]],
    ['not beginning at 1', [7, 7, 8, 1], [true, false, true, true]],
    ['as large as can be', [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 1], [true, false, true]],
    ['0, which is none', [0], [false]],
  ])('%s', (_, ids, fresh) => {
    expect(used(ids)).toEqual(fresh);
  });

  it('are forgotten into the floor when too many gaps are open: what was left out below is not taken any more', () => {
    const even = Array.from({ length: 2_049 }, (_, i) => 2 * (i + 1));
    expect(used([...even.slice(0, 2_048), 1])).toEqual(Array(2_049).fill(true)); // so many are remembered, and 1 is free
    const results = used([...even, 1, 2, 2_049, 2_051, 2_052, 4_098, 4_100]);
    expect(results.slice(0, 2_049)).toEqual(Array(2_049).fill(true));
    // The floor rose to 2,050, so that 1,024 are left: below it everything is refused, used or not.
    expect(results.slice(2_049)).toEqual([false, false, false, true, false, false, true]);
  });

  it('stay few and quick to look up when a peer skips every second id', () => {
    const table = new UsedIds();
    const refused: number[] = [];
    for (let id = 2; id <= 40_000; id += 2) if (!table.add(id)) refused.push(id);
    expect(refused).toEqual([]);
    expect([table.add(40_000), table.add(2), table.add(3), table.add(39_999)]).toEqual([false, false, false, true]);
  });

  it('are a set, for as long as no more than 1,024 gaps are open', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 80 }), (ids) => {
        const model = new Set<number>();
        const table = new UsedIds();
        for (const id of ids) {
          expect(table.add(id)).toBe(!model.has(id));
          model.add(id);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('are never taken twice, whatever the gaps; and what is above all others is always taken', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 6_000 }), { minLength: 1_500, maxLength: 3_000 }), (ids) => {
        const taken = new Set<number>();
        const table = new UsedIds();
        let highest = 0;
        for (const id of ids) {
          const fresh = table.add(id);
          if (fresh && taken.has(id)) throw new Error(`${id} was taken twice`);
          if (id > highest && !fresh) throw new Error(`${id} was refused`);
          if (fresh) taken.add(id);
          highest = Math.max(highest, id);
        }
      }),
      { numRuns: 60 },
    );
  });
});
