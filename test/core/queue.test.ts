import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Queue, type QueueLimits, utf8Length } from '../../src/core/queue.ts';

const limits: QueueLimits = { maxBytes: 100, capacity: 10, ttl: 1_000, overflow: 'drop-newest' };
const queueOf = (over: Partial<QueueLimits> = {}) => new Queue<string>({ ...limits, ...over });
const drain = (queue: Queue<string>) => {
  const values: string[] = [];
  for (let next = queue.shift(); next; next = queue.shift()) values.push(next.value);
  return values;
};

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

describe('a queue', () => {
  it('gives back what it took, in order, with its size', () => {
    const queue = queueOf();
    expect(queue.enqueue('a', 3, 0)).toEqual([]);
    expect(queue.enqueue('b', 4, 0)).toEqual([]);
    expect([queue.size, queue.bytes]).toEqual([2, 7]);
    expect(queue.shift()).toMatchObject({ value: 'a', bytes: 3 });
    expect([queue.size, queue.bytes]).toEqual([1, 4]);
    expect(queue.shift()).toMatchObject({ value: 'b', bytes: 4 });
    expect(queue.shift()).toBeUndefined();
    expect([queue.size, queue.bytes]).toEqual([0, 0]);
  });

  it('drops the newest that has no room, by bytes', () => {
    const queue = queueOf();
    queue.enqueue('a', 60, 0);
    expect(queue.enqueue('b', 41, 0)).toEqual([{ value: 'b', bytes: 41, reason: 'overflow' }]);
    expect(queue.enqueue('c', 40, 0)).toEqual([]);
    expect(drain(queue)).toEqual(['a', 'c']);
  });

  it('drops the newest that has no room, by count', () => {
    const queue = queueOf({ capacity: 2 });
    for (const value of ['a', 'b']) queue.enqueue(value, 1, 0);
    expect(queue.enqueue('c', 1, 0)).toEqual([{ value: 'c', bytes: 1, reason: 'overflow' }]);
    expect(drain(queue)).toEqual(['a', 'b']);
  });

  it('drops as many of the oldest as it takes', () => {
    const queue = queueOf({ overflow: 'drop-oldest' });
    for (const value of ['a', 'b', 'c']) queue.enqueue(value, 30, 0);
    expect(queue.enqueue('d', 60, 0)).toEqual([
      { value: 'a', bytes: 30, reason: 'overflow' },
      { value: 'b', bytes: 30, reason: 'overflow' },
    ]);
    expect(drain(queue)).toEqual(['c', 'd']);
  });

  it('drops the oldest by count', () => {
    const queue = queueOf({ overflow: 'drop-oldest', capacity: 1 });
    queue.enqueue('a', 1, 0);
    expect(queue.enqueue('b', 1, 0)).toEqual([{ value: 'a', bytes: 1, reason: 'overflow' }]);
    expect(drain(queue)).toEqual(['b']);
  });

  it('drops no other message for one that could never fit', () => {
    const queue = queueOf({ overflow: 'drop-oldest' });
    queue.enqueue('a', 1, 0);
    expect(queue.enqueue('huge', 101, 0)).toEqual([{ value: 'huge', bytes: 101, reason: 'overflow' }]);
    expect(drain(queue)).toEqual(['a']);
  });

  it.each(['drop-newest', 'drop-oldest'] as const)('with a capacity of 0 keeps nothing (%s)', (overflow) => {
    const queue = queueOf({ overflow, capacity: 0 });
    expect(queue.enqueue('a', 0, 0)).toEqual([{ value: 'a', bytes: 0, reason: 'overflow' }]);
    expect(queue.size).toBe(0);
  });

  it('takes a message that fills it exactly', () => {
    const queue = queueOf();
    expect(queue.enqueue('a', 100, 0)).toEqual([]);
    expect(queue.enqueue('b', 0, 0)).toEqual([]);
  });

  it('drops what has waited for its ttl', () => {
    const queue = queueOf();
    queue.enqueue('a', 1, 0);
    queue.enqueue('b', 2, 500);
    expect(queue.expire(999)).toEqual([]);
    expect(queue.expire(1_000)).toEqual([{ value: 'a', bytes: 1, reason: 'expired' }]);
    expect(queue.enqueue('c', 1, 1_500)).toEqual([{ value: 'b', bytes: 2, reason: 'expired' }]);
    expect(drain(queue)).toEqual(['c']);
  });

  it('makes room by expiry before it drops by overflow', () => {
    const queue = queueOf({ capacity: 1 });
    queue.enqueue('old', 1, 0);
    expect(queue.enqueue('new', 1, 1_000)).toEqual([{ value: 'old', bytes: 1, reason: 'expired' }]);
    expect(drain(queue)).toEqual(['new']);
  });

  it('never drops by age with an infinite ttl', () => {
    const queue = queueOf({ ttl: Infinity });
    queue.enqueue('a', 1, 0);
    expect(queue.expire(Number.MAX_VALUE)).toEqual([]);
  });

  it('reports everything it is cleared of', () => {
    const queue = queueOf();
    queue.enqueue('a', 1, 0);
    queue.enqueue('b', 2, 0);
    expect(queue.clear()).toEqual([
      { value: 'a', bytes: 1, reason: 'closed' },
      { value: 'b', bytes: 2, reason: 'closed' },
    ]);
    expect([queue.size, queue.bytes]).toEqual([0, 0]);
    expect(queue.clear()).toEqual([]);
  });

  it('lets go of what was taken', async () => {
    const queue = new Queue<object>({ ...limits, maxBytes: Infinity, capacity: Infinity });
    queue.enqueue({ taken: true }, 1, 0);
    queue.enqueue({ taken: false }, 1, 0);
    const reference = new WeakRef(queue.shift()?.value ?? {});
    await new Promise((resolve) => setImmediate(resolve)); // a WeakRef is held until the end of the job that made it
    collectGarbage();
    expect(reference.deref()).toBeUndefined();
    expect(queue.size).toBe(1);
  });

  it('stays in order through many more messages than it holds at a time', () => {
    const queue = new Queue<number>({ ...limits, maxBytes: Infinity, capacity: Infinity, ttl: Infinity });
    let taken = 0;
    for (let i = 0; i < 20_000; i++) {
      queue.enqueue(i, 1, 0);
      if (i % 3 !== 0) expect(queue.shift()?.value).toBe(taken++);
    }
    while (queue.size > 0) expect(queue.shift()?.value).toBe(taken++);
    expect(taken).toBe(20_000);
    expect(queue.bytes).toBe(0);
  });
});

describe('any use of a queue', () => {
  type Step = { type: 'enqueue'; bytes: number } | { type: 'shift' | 'expire' | 'clear' | 'wait' };
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 5, arbitrary: fc.record({ type: fc.constant('enqueue' as const), bytes: fc.nat(60) }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constantFrom('shift' as const, 'expire' as const, 'wait' as const) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('clear' as const) }) },
  );
  const anyLimits = fc.record({
    maxBytes: fc.nat(200),
    capacity: fc.nat(8),
    ttl: fc.constantFrom(0, 5, 1_000, Infinity),
    overflow: fc.constantFrom('drop-newest' as const, 'drop-oldest' as const),
  });

  it('loses, doubles and reorders nothing, and stays within its bounds', () => {
    fc.assert(
      fc.property(anyLimits, fc.array(step, { maxLength: 60 }), (limits, steps) => {
        const queue = new Queue<number>(limits);
        const sizes = new Map<number, number>();
        const out: number[] = [];
        const dropped: number[] = [];
        let now = 0;
        for (const [i, step] of steps.entries()) {
          if (step.type === 'enqueue') sizes.set(i, step.bytes);
          const drops =
            step.type === 'enqueue'
              ? queue.enqueue(i, step.bytes, now)
              : step.type === 'expire'
                ? queue.expire(now)
                : step.type === 'clear'
                  ? queue.clear()
                  : [];
          dropped.push(...drops.map(({ value }) => value));
          if (step.type === 'wait') now += 3;
          const taken = step.type === 'shift' ? queue.shift() : undefined;
          if (taken) out.push(taken.value);
          expect(queue.size).toBeLessThanOrEqual(limits.capacity);
          expect(queue.bytes).toBeLessThanOrEqual(limits.maxBytes);
        }
        for (let next = queue.shift(); next; next = queue.shift()) out.push(next.value);
        expect([...out, ...dropped].sort((a, b) => a - b)).toEqual([...sizes.keys()]);
        expect(out).toEqual([...out].sort((a, b) => a - b));
        expect(queue.bytes).toBe(0);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('utf8Length', () => {
  it.each([
    ['', 0],
    ['a', 1],
    ['\u007f', 1],
    ['\u0080', 2],
    ['ä', 2],
    ['\u07ff', 2],
    ['\u0800', 3],
    ['€', 3],
    ['\uffff', 3],
    ['😀', 4],
    ['a😀b', 6],
    ['\ud800', 3],
    ['\udfff', 3],
    ['\ud800a', 4],
    ['\ud83d\ud83d\ude00', 7],
    ['\udbff\udfff', 4],
    ['\udc00\ud800', 6],
    ['\ud800\udc00', 4],
    ['\udc00\udc00', 6],
  ])('of %j is %i', (text, bytes) => {
    expect(utf8Length(text)).toBe(bytes);
  });

  it('is what the platform encodes', () => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
    fc.assert(
      fc.property(fc.array(unit), (units) => utf8Length(units.join('')) === Buffer.byteLength(units.join(''))),
      { numRuns: 2_000 },
    );
  });
});
