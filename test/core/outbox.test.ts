import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EntryOptions, Outbox, type OutboxLimits } from '../../src/core/outbox.ts';

const unlimited: OutboxLimits = { maxBytes: Infinity, capacity: Infinity, overflow: 'throw' };
const plain: EntryOptions = { bytes: 0, priority: 0, key: undefined, expiresAt: Infinity };

function box(limits: Partial<OutboxLimits> = {}) {
  const outbox = new Outbox<string>({ ...unlimited, ...limits });
  return {
    outbox,
    add: (value: string, options: Partial<EntryOptions> = {}) => outbox.enqueue(value, { ...plain, ...options }),
    drain: (now = 0) => {
      const values: string[] = [];
      for (let { entry } = outbox.take(now); entry; { entry } = outbox.take(now)) values.push(entry.value);
      return values;
    },
  };
}

describe('an outbox', () => {
  it('gives first what came first', () => {
    const { add, drain } = box();
    for (const value of ['a', 'b', 'c']) add(value);
    expect(drain()).toEqual(['a', 'b', 'c']);
  });

  it('gives the higher priority first, and in order within each', () => {
    const { add, drain } = box();
    for (const [value, priority] of [
      ['a', 0],
      ['b', 5],
      ['c', -1],
      ['d', 5],
      ['e', 0],
      ['f', 0.5],
    ] as const)
      add(value, { priority });
    expect(drain()).toEqual(['b', 'd', 'f', 'a', 'e', 'c']);
  });

  it('lets a higher priority pass that comes while it is being emptied', () => {
    const { outbox, add, drain } = box();
    for (const value of ['a', 'b']) add(value);
    expect(outbox.take(0).entry?.value).toBe('a');
    add('urgent', { priority: 1 });
    add('c');
    expect(drain()).toEqual(['urgent', 'b', 'c']);
  });

  it('hands back the entry as it was put in', () => {
    const { outbox, add } = box();
    const { entry } = add('a', { bytes: 3, priority: 2, key: 'k', expiresAt: 9 });
    expect(entry).toEqual({ value: 'a', bytes: 3, priority: 2, key: 'k', expiresAt: 9 });
    expect(outbox.take(0).entry).toBe(entry);
  });

  it('counts 64 bytes for each entry beside its payload', () => {
    const { outbox, add } = box();
    add('a', { bytes: 10 });
    add('b');
    expect([outbox.size, outbox.bytes]).toEqual([2, 138]);
    outbox.take(0);
    expect([outbox.size, outbox.bytes]).toEqual([1, 64]);
    outbox.take(0);
    expect([outbox.size, outbox.bytes]).toEqual([0, 0]);
  });

  it('is empty at first, and can be asked in vain', () => {
    const { outbox } = box();
    expect(outbox.take(0)).toEqual({ entry: undefined, drops: [] });
    expect(outbox.clear()).toEqual([]);
    expect([outbox.size, outbox.bytes]).toEqual([0, 0]);
  });

  it('takes what fills it exactly, and not a byte more', () => {
    const { add } = box({ maxBytes: 2 * 64 + 10 });
    expect(add('a', { bytes: 4 }).entry).toBeDefined();
    expect(add('b', { bytes: 7 }).entry).toBeUndefined();
    expect(add('b', { bytes: 6 }).entry).toBeDefined();
  });
});

describe('a key', () => {
  it('has one entry, which waits where a new one would', () => {
    const { outbox, add, drain } = box();
    add('old', { key: 'k', bytes: 5 });
    add('other');
    expect(add('new', { key: 'k', bytes: 1 }).drops).toEqual([{ value: 'old', reason: 'replaced' }]);
    expect([outbox.size, outbox.bytes]).toEqual([2, 129]);
    expect(drain()).toEqual(['other', 'new']);
  });

  it('is replaced across priorities', () => {
    const { add, drain } = box();
    add('high', { key: 'k', priority: 9 });
    add('x');
    expect(add('low', { key: 'k', priority: -9 }).drops).toEqual([{ value: 'high', reason: 'replaced' }]);
    expect(drain()).toEqual(['x', 'low']);
  });

  it('is free again once its entry was taken, removed or cleared', () => {
    const { outbox, add } = box();
    add('a', { key: 'k' });
    outbox.take(0);
    expect(add('b', { key: 'k' }).drops).toEqual([]);
    outbox.clear();
    const { entry, drops } = add('c', { key: 'k' });
    expect(drops).toEqual([]);
    expect(entry && outbox.remove(entry)).toBe(true);
    expect(add('d', { key: 'k' }).drops).toEqual([]);
  });

  it('may be the empty one, and is no other than itself', () => {
    const { add, drain } = box();
    add('a', { key: '' });
    add('b', { key: '__proto__' });
    add('c', { key: 'constructor' });
    expect(add('d', { key: '' }).drops).toEqual([{ value: 'a', reason: 'replaced' }]);
    expect(drain()).toEqual(['b', 'c', 'd']);
  });

  it.each(['throw', 'drop-newest'] as const)(
    'makes room for its successor (%s), and keeps its entry where that is not enough',
    (overflow) => {
      const { add, drain } = box({ capacity: 2, maxBytes: 128 + 10, overflow });
      add('a', { key: 'k', bytes: 5 });
      add('b');
      expect(add('too much', { key: 'k', bytes: 11 })).toEqual({ entry: undefined, drops: [] });
      expect(add('c', { key: 'k', bytes: 10 }).drops).toEqual([{ value: 'a', reason: 'replaced' }]);
      expect(drain()).toEqual(['b', 'c']);
    },
  );

  it('is replaced first where the oldest are dropped, so that no other goes without need', () => {
    const { add, drain } = box({ capacity: 2, overflow: 'drop-oldest' });
    add('a');
    add('b', { key: 'k' });
    expect(add('c', { key: 'k' }).drops).toEqual([{ value: 'b', reason: 'replaced' }]);
    expect(drain()).toEqual(['a', 'c']);
  });
});

describe('an outbox without room', () => {
  it.each(['throw', 'drop-newest'] as const)('takes nothing and changes nothing (%s)', (overflow) => {
    const { outbox, add, drain } = box({ capacity: 2, overflow });
    for (const value of ['a', 'b']) add(value);
    expect(add('c', { priority: 99 })).toEqual({ entry: undefined, drops: [] });
    expect([outbox.size, outbox.bytes]).toEqual([2, 128]);
    expect(drain()).toEqual(['a', 'b']);
  });

  it('drops as many of the oldest of the lowest priority as it takes', () => {
    const { add, drain } = box({ maxBytes: 3 * 64 + 100, overflow: 'drop-oldest' });
    add('a', { priority: 1, bytes: 40 });
    add('b', { bytes: 30 });
    add('c', { bytes: 30 });
    expect(add('d', { bytes: 60 }).drops).toEqual([
      { value: 'b', reason: 'overflow' },
      { value: 'c', reason: 'overflow' },
    ]);
    expect(drain()).toEqual(['a', 'd']);
  });

  it('goes on with the next priority where the lowest is used up', () => {
    const { add, drain } = box({ capacity: 3, maxBytes: 3 * 64, overflow: 'drop-oldest' });
    add('a', { priority: 2 });
    add('b', { priority: 1 });
    add('c', { priority: 2 });
    expect(add('big', { priority: 2, bytes: 128 }).drops.map(({ value }) => value)).toEqual(['b', 'a', 'c']);
    expect(drain()).toEqual(['big']);
  });

  it('drops nothing that is worth more than what comes', () => {
    const { outbox, add } = box({ capacity: 1, overflow: 'drop-oldest' });
    add('high', { priority: 1 });
    expect(add('low', { priority: 0 })).toMatchObject({ entry: undefined, drops: [] });
    expect(outbox.size).toBe(1);
  });

  it.each(['throw', 'drop-newest', 'drop-oldest'] as const)('drops nothing for what could never fit (%s)', (overflow) => {
    const { add, drain } = box({ maxBytes: 200, overflow });
    add('a', { key: 'k' });
    expect(add('huge', { bytes: 137, key: 'k' })).toEqual({ entry: undefined, drops: [] });
    expect(drain()).toEqual(['a']);
  });

  it.each(['throw', 'drop-newest', 'drop-oldest'] as const)('of capacity 0 never has any (%s)', (overflow) => {
    const { outbox, add } = box({ capacity: 0, overflow });
    expect(add('a')).toEqual({ entry: undefined, drops: [] });
    expect(outbox.size).toBe(0);
  });
});

describe('what waits in an outbox', () => {
  it('is not taken from the moment at which it expires, and is told of when its turn comes', () => {
    const { outbox, add } = box();
    add('a', { expiresAt: 10, bytes: 7 });
    add('b', { expiresAt: 11, key: 'k' });
    add('c', { expiresAt: 10 });
    const { entry, drops } = outbox.take(10);
    expect(entry?.value).toBe('b');
    expect(drops).toEqual([{ value: 'a', reason: 'expired' }]);
    expect([outbox.size, outbox.bytes]).toEqual([1, 64]);
    expect(outbox.take(10)).toEqual({ entry: undefined, drops: [{ value: 'c', reason: 'expired' }] });
    expect([outbox.size, outbox.bytes]).toEqual([0, 0]);
  });

  it('can be removed from anywhere, once', () => {
    const { outbox, add, drain } = box();
    const [first, , third] = ['a', 'b', 'c'].map((value) => add(value, { bytes: 1 }).entry);
    if (!first || !third) throw new Error('it took nothing');
    expect([outbox.remove(third), outbox.remove(third), outbox.remove(first)]).toEqual([true, false, true]);
    expect([outbox.size, outbox.bytes]).toEqual([1, 65]);
    add('d');
    expect(drain()).toEqual(['b', 'd']);
  });

  it('cannot be removed any more once it was taken, dropped, replaced or cleared', () => {
    const { outbox, add } = box({ capacity: 1, overflow: 'drop-oldest' });
    const entries = [add('dropped').entry, add('replaced', { key: 'k' }).entry, add('taken', { key: 'k' }).entry];
    outbox.take(0);
    entries.push(add('cleared').entry);
    outbox.clear();
    add('waiting', { key: 'k' });
    expect(entries.map((entry) => entry && outbox.remove(entry))).toEqual([false, false, false, false]);
    expect(outbox.size).toBe(1);
    // A removed entry of the same key has not taken the key along.
    expect(add('next', { key: 'k' }).drops).toEqual([{ value: 'waiting', reason: 'replaced' }]);
  });

  it('is cleared in the order in which it would have been sent', () => {
    const { outbox, add, drain } = box();
    add('a');
    add('b', { priority: 1, key: 'k' });
    add('c', { expiresAt: 1 });
    expect(outbox.clear()).toEqual(['b', 'a', 'c']);
    expect([outbox.size, outbox.bytes]).toEqual([0, 0]);
    add('d');
    expect(drain()).toEqual(['d']);
  });
});

describe('any use of an outbox', () => {
  type Step = { type: 'enqueue'; options: EntryOptions } | { type: 'take' | 'clear' | 'wait' } | { type: 'remove'; which: number };
  const options: fc.Arbitrary<EntryOptions> = fc.record({
    bytes: fc.nat(60),
    priority: fc.constantFrom(0, 0, 0, 1, -1, 7.5),
    key: fc.constantFrom(undefined, undefined, 'k', 'l'),
    expiresAt: fc.constantFrom(Infinity, Infinity, 3, 10),
  });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: options.map((options) => ({ type: 'enqueue' as const, options })) },
    { weight: 4, arbitrary: fc.constant({ type: 'take' as const }) },
    { weight: 2, arbitrary: fc.nat(40).map((which) => ({ type: 'remove' as const, which })) },
    { weight: 1, arbitrary: fc.constantFrom({ type: 'wait' as const }, { type: 'wait' as const }, { type: 'clear' as const }) },
  );
  const limits: fc.Arbitrary<OutboxLimits> = fc.record({
    maxBytes: fc.oneof(fc.nat(600), fc.constant(Infinity)),
    capacity: fc.oneof(fc.nat(8), fc.constant(Infinity)),
    overflow: fc.constantFrom('throw' as const, 'drop-newest' as const, 'drop-oldest' as const),
  });

  /** What an outbox is, with arrays and without cleverness. */
  class Model {
    waiting: { value: number; options: EntryOptions }[] = [];
    readonly limits: OutboxLimits;

    constructor(limits: OutboxLimits) {
      this.limits = limits;
    }

    get bytes() {
      return this.waiting.reduce((sum, { options }) => sum + options.bytes + 64, 0);
    }

    get line() {
      return [...this.waiting].sort((a, b) => b.options.priority - a.options.priority || a.value - b.value);
    }

    without(value: number) {
      this.waiting = this.waiting.filter((each) => each.value !== value);
    }

    enqueue(value: number, options: EntryOptions): { accepted: boolean; drops: string[] } {
      const { overflow, capacity, maxBytes } = this.limits;
      const before = this.waiting;
      const drops: string[] = [];
      const replaced = options.key === undefined ? undefined : this.waiting.find((each) => each.options.key === options.key);
      if (replaced) {
        this.without(replaced.value);
        drops.push(`${replaced.value} replaced`);
      }
      while (this.waiting.length + 1 > capacity || this.bytes + options.bytes + 64 > maxBytes) {
        const lowest = Math.min(...this.waiting.map((each) => each.options.priority));
        const oldest = this.waiting.find((each) => each.options.priority === lowest);
        if (overflow !== 'drop-oldest' || !oldest) {
          this.waiting = before;
          return { accepted: false, drops: [] };
        }
        if (lowest > options.priority) return { accepted: false, drops };
        this.without(oldest.value);
        drops.push(`${oldest.value} overflow`);
      }
      this.waiting.push({ value, options });
      return { accepted: true, drops };
    }

    take(now: number): { taken: number | undefined; drops: string[] } {
      const drops: string[] = [];
      for (const { value, options } of this.line) {
        this.without(value);
        if (options.expiresAt > now) return { taken: value, drops };
        drops.push(`${value} expired`);
      }
      return { taken: undefined, drops };
    }
  }

  const told = (drops: readonly { value: number; reason: string }[]) => drops.map(({ value, reason }) => `${value} ${reason}`);

  it('is that of a sorted list: nothing is lost unseen, sizes are right, bounds are kept', () => {
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 80 }), (limits, steps) => {
        const outbox = new Outbox<number>(limits);
        const model = new Model(limits);
        const entries: NonNullable<ReturnType<typeof outbox.enqueue>['entry']>[] = [];
        let now = 0;
        for (const [i, step] of steps.entries()) {
          if (step.type === 'enqueue') {
            const { entry, drops } = outbox.enqueue(i, step.options);
            expect({ accepted: entry !== undefined, drops: told(drops) }).toEqual(model.enqueue(i, step.options));
            if (entry) entries.push(entry);
          } else if (step.type === 'take') {
            const { entry, drops } = outbox.take(now);
            expect({ taken: entry?.value, drops: told(drops) }).toEqual(model.take(now));
          } else if (step.type === 'remove') {
            const entry = entries[step.which % (entries.length || 1)];
            if (!entry) continue;
            expect(outbox.remove(entry)).toBe(model.waiting.some(({ value }) => value === entry.value));
            model.without(entry.value);
          } else if (step.type === 'clear') {
            expect(outbox.clear()).toEqual(model.line.map(({ value }) => value));
            model.waiting = [];
          } else now += 2;
          expect([outbox.size, outbox.bytes]).toEqual([model.waiting.length, model.bytes]);
          expect(outbox.size).toBeLessThanOrEqual(limits.capacity);
          expect(outbox.bytes).toBeLessThanOrEqual(limits.maxBytes);
        }
        expect(outbox.clear()).toEqual(model.line.map(({ value }) => value));
      }),
      { numRuns: 3_000 },
    );
  });

  it('takes time in proportion: 100,000 entries in and out, with holes', () => {
    const { outbox, add } = box();
    const entries = Array.from({ length: 100_000 }, (_, i) => add(String(i), { priority: i % 3 }).entry);
    for (const [i, entry] of entries.entries()) if (entry && i % 2 === 0) outbox.remove(entry);
    let taken = 0;
    while (outbox.take(0).entry) taken++;
    expect(taken).toBe(50_000);
    expect([outbox.size, outbox.bytes]).toEqual([0, 0]);
  });
});
