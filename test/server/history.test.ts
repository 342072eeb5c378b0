/** Histories without a broker: what is kept, and what goes when. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Position } from '../../src/server/broker.ts';
import { Histories, History, type HistoryLimits } from '../../src/server/history.ts';

const DAY = 86_400_000;
/** What a message and a channel cost beside their text. */
const [MESSAGE, CHANNEL] = [256, 512];
const unlimited: HistoryLimits = { size: Infinity, bytes: Infinity, ttl: Infinity };

function kept(limits: Partial<HistoryLimits> = {}) {
  const history = new History('e', { ...unlimited, ...limits });
  return {
    history,
    add: (payload: string, now = 0) => history.append({ payload }, now),
    since(offset: number, now = 0) {
      history.expire(now);
      return history.since({ epoch: 'e', offset })?.map(({ payload }) => payload);
    },
  };
}

describe('a history', () => {
  it('counts its messages from 1, and gives back what came after each', () => {
    const { history, add, since } = kept();
    expect(history.position).toEqual({ epoch: 'e', offset: 0 });
    expect(history.append({ payload: 'a', from: 'ida' }, 0)).toEqual({ payload: 'a', from: 'ida', epoch: 'e', offset: 1 });
    add('b');
    expect(history.position).toEqual({ epoch: 'e', offset: 2 });
    expect([since(0), since(1), since(2), since(3)]).toEqual([['a', 'b'], ['b'], [], undefined]);
  });

  it('forgets the oldest when there are too many', () => {
    const { history, add, since } = kept({ size: 2 });
    for (const payload of ['a', 'b', 'c']) add(payload);
    expect(history.size).toBe(2);
    expect([since(0), since(1), since(3)]).toEqual([undefined, ['b', 'c'], []]);
  });

  it('counts payloads and names as UTF-8, and 256 bytes for each message', () => {
    const { history, add } = kept();
    history.append({ payload: '"é"', from: 'ída' }, 0);
    expect(history.bytes).toBe(MESSAGE + 4 + 4);
    history.append({ payload: new Uint8Array(9) }, 0);
    expect(history.bytes).toBe(2 * MESSAGE + 17);
    add('');
    expect(history.bytes).toBe(3 * MESSAGE + 17);
    history.clear();
    expect([history.bytes, history.size]).toEqual([0, 0]);
  });

  it('forgets the oldest when they are too many bytes, not one too early', () => {
    const { add, since } = kept({ bytes: 2 * MESSAGE + 10 });
    for (const payload of ['aaaaa', 'bbbbb', 'cccccc']) add(payload);
    expect([since(1), since(2)]).toEqual([undefined, ['cccccc']]);
    add('dddd');
    expect(since(2)).toEqual(['cccccc', 'dddd']);
  });

  it('keeps nothing of a message that is too large, nor what came before it: that would be a hole', () => {
    const { history, add, since } = kept({ bytes: MESSAGE + 3 });
    add('a');
    expect(add('long').offset).toBe(2);
    expect([history.size, history.bytes]).toEqual([0, 0]);
    expect([since(0), since(1), since(2)]).toEqual([undefined, undefined, []]);
    add('b');
    expect([since(1), since(2)]).toEqual([undefined, ['b']]);
  });

  it('forgets a message when its time is over, to the millisecond, and the position never', () => {
    const { history, add, since } = kept({ ttl: 10 });
    add('a', 0);
    add('b', 4);
    expect([since(0, 9.9), since(1, 9.9)]).toEqual([['a', 'b'], ['b']]);
    expect([since(0, 10), since(1, 10)]).toEqual([undefined, ['b']]);
    expect([since(1, 14), since(2, 14)]).toEqual([undefined, []]);
    expect([history.size, history.bytes, history.position.offset]).toEqual([0, 0, 2]);
    expect(add('c', 99).offset).toBe(3);
    expect([since(1, 99), since(2, 99)]).toEqual([undefined, ['c']]);
  });

  it('forgets what is too old when something new comes', () => {
    const { history, add } = kept({ ttl: 10 });
    add('a', 0);
    add('b', 10);
    expect(history.size).toBe(1);
  });

  it('keeps its position when it is cleared', () => {
    const { history, add, since } = kept();
    add('a');
    history.clear();
    expect([since(0), since(1)]).toEqual([undefined, []]);
    expect(add('b').offset).toBe(2);
    expect(since(1)).toEqual(['b']);
  });

  it('is what a list of everything says it is', () => {
    const step = fc.record({
      wait: fc.nat(6),
      payload: fc.string({ maxLength: 12 }),
      asks: fc.boolean(),
      clears: fc.integer({ min: 0, max: 19 }),
    });
    const limits = fc.record({
      size: fc.constantFrom(1, 2, 5, Infinity),
      bytes: fc.constantFrom(0, MESSAGE + 6, 3 * MESSAGE + 10, Infinity),
      ttl: fc.constantFrom(1, 10, Infinity),
    });
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 60 }), (limits, steps) => {
        const { history, add, since } = kept(limits);
        const all: { payload: string; at: number }[] = [];
        let now = 0;
        let cleared = 0;
        for (const { wait, payload, asks, clears } of steps) {
          now += wait;
          if (clears === 0) {
            history.clear();
            cleared = all.length;
          } else if (!asks) {
            all.push({ payload, at: now });
            expect(add(payload, now).offset).toBe(all.length);
          }
          // What there is room for, from the end; nothing before the first that there is none for.
          let [first, bytes] = [all.length, 0];
          const fits = ({ payload, at }: { payload: string; at: number }) => {
            bytes += MESSAGE + new TextEncoder().encode(payload).length;
            return all.length - first < limits.size && bytes <= limits.bytes && at + limits.ttl > now;
          };
          while (first > cleared && fits(all[first - 1] as (typeof all)[number])) first--;
          cleared = first; // what is forgotten is not remembered when there is room again
          for (let offset = 0; offset <= all.length + 1; offset++) {
            const expected = offset >= first && offset <= all.length ? all.slice(offset).map(({ payload }) => payload) : undefined;
            expect(since(offset, now)).toEqual(expected);
          }
          expect(history.size).toBe(all.length - first);
          expect(history.bytes <= limits.bytes && history.bytes >= MESSAGE * history.size).toBe(true);
        }
      }),
    );
  });
});

function all(most = Infinity, limits: Partial<HistoryLimits> = {}, id = 'e') {
  const histories = new Histories(id, (channel) => (channel.startsWith('plain') ? undefined : { ...unlimited, ...limits }), most);
  const add = (channel: string, payload = '', now = 0) => histories.append(channel, { payload }, now);
  const position = (channel: string, now = 0) => histories.read(channel, undefined, now).position as Position;
  const missed = (channel: string, since: Position, now = 0) => histories.read(channel, since, now).missed?.map(({ payload }) => payload);
  /** Publishes until every channel has had its turn. */
  const sweep = (now: number, channel = 'sweeper') => {
    for (let i = 0; i <= histories.size; i++) add(channel, '', now);
  };
  return { histories, add, position, missed, sweep };
}

describe('histories', () => {
  it('cost nothing before the first message, however often they are asked about', () => {
    const { histories, position } = all();
    for (let i = 0; i < 100; i++) expect(position(`c${i}`).offset).toBe(0);
    expect([histories.size, histories.bytes]).toEqual([0, 0]);
  });

  it('cost nothing for a channel that keeps none, held or not', () => {
    const { histories, add } = all();
    histories.hold('plain');
    expect(add('plain')).toBeUndefined();
    expect(histories.read('plain', undefined, 0)).toEqual({ position: undefined, missed: undefined });
    histories.release('plain', 0);
    expect([histories.size, histories.bytes]).toEqual([0, 0]);
  });

  it('count 512 bytes and the name for each channel, as UTF-8', () => {
    const { histories, add } = all();
    add('é', 'xyz');
    expect([histories.size, histories.bytes]).toEqual([1, CHANNEL + 2 + MESSAGE + 3]);
    add('é', 'x');
    add('b');
    expect([histories.size, histories.bytes]).toEqual([2, 2 * CHANNEL + 3 + 3 * MESSAGE + 4]);
  });

  it('forget the longest idle first, and no more than they have to', () => {
    const cost = CHANNEL + 1 + MESSAGE;
    const { histories, add, position, missed } = all(3 * cost + MESSAGE);
    const before = ['a', 'b', 'c', 'd'].map((channel) => [channel, position(channel)] as const);
    const counts = () => before.map(([channel, since]) => missed(channel, since)?.length);
    for (const channel of ['a', 'b', 'c', 'a']) add(channel);
    expect([counts(), histories.bytes]).toEqual([[2, 1, 1, 0], 3 * cost + MESSAGE]); // exactly full
    add('d');
    expect([counts(), histories.bytes]).toEqual([[2, undefined, 1, 1], 3 * cost + MESSAGE]);
    add('c', 'x');
    expect([counts(), histories.bytes]).toEqual([[undefined, undefined, 2, 1], 2 * cost + MESSAGE + 1]);
    expect(histories.size).toBe(2);
  });

  it('give a channel that begins anew another epoch, and others their own', () => {
    const { add, position, missed } = all(CHANNEL + 1 + MESSAGE);
    const old = [position('a'), add('a', '') as Position];
    add('b');
    const now = position('a');
    expect(now.offset).toBe(0);
    expect(now.epoch).not.toBe(old[0]?.epoch);
    for (const since of old) expect(missed('a', since)).toBeUndefined();
    const first = add('a');
    expect(first).toMatchObject({ epoch: now.epoch, offset: 1 });
    for (const since of old) expect(missed('a', since)).toBeUndefined();
    expect(missed('a', now)).toEqual(['']);
  });

  it('hold on to the epochs of channels that were never published on, when others are forgotten', () => {
    const { add, position } = all(CHANNEL + 8 + MESSAGE);
    const names = Array.from({ length: 100 }, (_, i) => `quiet${i}`);
    const before = names.map((name) => position(name).epoch);
    for (let i = 0; i < 20; i++) add(`busy${i}`); // each drives out the one before
    const changed = names.filter((name, i) => position(name).epoch !== before[i]);
    expect(changed.length).toBeLessThan(5); // those that share a counter with one of the twenty
  });

  it('do not drive out others for a message that would not fit even alone', () => {
    const { histories, add, position, missed } = all(2 * (CHANNEL + 1 + MESSAGE));
    const [a, b] = [position('a'), position('b')];
    add('a');
    expect(add('b', 'x'.repeat(2_000))).toMatchObject({ offset: 1 });
    expect([missed('a', a), missed('b', b)]).toEqual([[''], undefined]);
    expect(missed('b', { ...b, offset: 1 })).toEqual([]); // it counts
    expect(histories.bytes).toBe(2 * (CHANNEL + 1) + MESSAGE);
  });

  it('keep a message that just fits alone, and the position at least of one that just does not', () => {
    const { add, position, missed } = all(CHANNEL + 1 + MESSAGE + 100);
    const start = position('a');
    const first = add('a', 'x'.repeat(100)) as Position;
    expect(missed('a', start)?.length).toBe(1);
    const second = add('a', 'x'.repeat(101)) as Position;
    expect([missed('a', first), missed('a', second)]).toEqual([undefined, []]);
  });

  it('may be given no room at all', () => {
    const { histories, add, position } = all(0);
    const epochs = new Set<string>();
    for (let i = 0; i < 3; i++) {
      epochs.add(position('a').epoch);
      expect(add('a', 'x')).toMatchObject({ ...position('a'), epoch: expect.any(String), offset: 1 });
    }
    expect(epochs.size).toBe(3);
    expect([histories.size, histories.bytes]).toEqual([0, 0]);
  });
});

describe('histories that are held', () => {
  it('keep their position when there is no room, and count on', () => {
    const { histories, add, position, missed } = all(CHANNEL + 1 + MESSAGE);
    histories.hold('a');
    const start = position('a');
    const first = add('a') as Position;
    add('b');
    expect(missed('a', start)).toBeUndefined();
    expect(missed('a', first)).toEqual([]);
    expect(add('a', '')).toMatchObject({ epoch: start.epoch, offset: 2 });
    expect(missed('a', first)).toEqual(['']);
  });

  it('keep the position that they had before the first message', () => {
    const { histories, add, position, missed } = all(CHANNEL + 1 + MESSAGE);
    histories.hold('a');
    const start = position('a');
    for (let i = 0; i < 5_000; i++) add(`c${i}`); // every counter of forgotten channels has moved, but a few
    expect(position('a')).toEqual(start);
    expect(add('a')).toMatchObject({ epoch: start.epoch, offset: 1 });
    expect(missed('a', start)).toEqual(['']);
  });

  it('count for nothing without messages, and for their name once they are let go', () => {
    const { histories, add } = all(Infinity, { ttl: 10 });
    histories.hold('a');
    expect([histories.size, histories.bytes]).toEqual([1, 0]);
    add('a', '', 0);
    expect(histories.bytes).toBe(CHANNEL + 1 + MESSAGE);
    histories.read('a', undefined, 10);
    expect([histories.size, histories.bytes]).toEqual([1, 0]);
    histories.release('a', 10);
    expect([histories.size, histories.bytes]).toEqual([1, CHANNEL + 1]);
    histories.hold('a');
    expect([histories.size, histories.bytes]).toEqual([1, 0]);
  });

  it('leave nothing behind where nothing was published', () => {
    const { histories, position } = all();
    const before = position('a');
    histories.hold('a');
    histories.release('a', 0);
    expect([histories.size, histories.bytes]).toEqual([0, 0]);
    expect(position('a')).toEqual(before);
  });

  it('make room when they are let go', () => {
    const { histories, add } = all(CHANNEL + 1 + MESSAGE);
    histories.hold('a');
    add('a');
    add('b');
    expect(histories.bytes).toBe(CHANNEL + 1 + MESSAGE);
    histories.release('a', 0);
    expect(histories.bytes).toBe(CHANNEL + 1); // b was idle longer
    expect(histories.size).toBe(1);
  });
});

describe('histories as time goes on', () => {
  it('give back the messages that are too old, as others come in', () => {
    const { histories, add, sweep } = all(Infinity, { ttl: 10 });
    for (let i = 0; i < 1_000; i++) add(`c${i}`, 'x'.repeat(100), 0);
    sweep(10);
    expect(histories.size).toBe(1_001);
    expect(histories.bytes).toBeLessThan(1_001 * (CHANNEL + 4) + 1_002 * MESSAGE);
    sweep(20); // those of the sweeper itself too
    expect(histories.bytes).toBeLessThan(1_001 * (CHANNEL + 8) + 1_002 * MESSAGE);
  });

  it('know for a day after the last message that nothing was missed since', () => {
    const { histories, add, missed, sweep } = all(Infinity, { ttl: 10 });
    const last = add('a', '', 0) as Position;
    sweep(DAY - 1);
    expect(missed('a', last, DAY - 1)).toEqual([]);
    sweep(DAY);
    expect(missed('a', last, DAY)).toBeUndefined();
    expect(histories.size).toBe(1);
  });

  it('know it for a day after the last subscriber', () => {
    const { histories, add, missed, sweep } = all(Infinity, { ttl: 10 });
    histories.hold('a');
    const last = add('a', '', 0) as Position;
    sweep(3 * DAY);
    histories.release('a', 3 * DAY);
    sweep(4 * DAY - 1);
    expect(missed('a', last, 4 * DAY - 1)).toEqual([]);
    sweep(4 * DAY);
    expect(missed('a', last, 4 * DAY)).toBeUndefined();
  });

  it('keep messages that may be older than a day', () => {
    const { add, position, missed, sweep } = all(Infinity, { ttl: 3 * DAY });
    const start = position('a');
    add('a', 'old', 0);
    sweep(2 * DAY);
    expect(missed('a', start, 2 * DAY)).toEqual(['old']);
  });
});

type Step =
  | { readonly type: 'publish'; readonly channel: string; readonly length: number }
  | { readonly type: 'hold' | 'release' | 'look'; readonly channel: string }
  | { readonly type: 'ask'; readonly which: number }
  | { readonly type: 'wait'; readonly ms: number };

describe('whatever happens', () => {
  const channel = fc.constantFrom('a', 'b', 'c', 'd');
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('publish' as const), channel, length: fc.nat(600) }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('hold' as const, 'release' as const, 'look' as const), channel }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('ask' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.constantFrom(1, 9, 10, DAY) }) },
  );
  const most = fc.constantFrom(0, CHANNEL + MESSAGE + 1, 2_000, 3_000, Infinity);

  it('an old position is never taken for another, what is missed is all that is missed, and the accounts are right', () => {
    let recovered = 0;
    let refused = 0;
    fc.assert(
      fc.property(most, fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (most, steps) => {
        const { histories, add, sweep } = all(most, { size: 3, ttl: 10 });
        const published = new Map<string, string[]>();
        const held = new Set<string>();
        /** Every position that was ever given, and how many messages the channel had had by then. */
        const given = new Map<string, { channel: string; position: Position; count: number }>();
        let now = 0;
        const note = (channel: string, { epoch, offset }: Position) => {
          const count = published.get(channel)?.length ?? 0;
          const key = JSON.stringify([channel, epoch, offset]);
          expect(given.get(key)?.count ?? count).toBe(count);
          given.set(key, { channel, position: { epoch, offset }, count });
        };
        for (const [i, step] of steps.entries()) {
          if (step.type === 'wait') now += step.ms;
          else if (step.type === 'ask') {
            const asked = [...given.values()][step.which % given.size];
            if (!asked) continue;
            const { missed } = histories.read(asked.channel, asked.position, now);
            const after = (published.get(asked.channel) ?? []).slice(asked.count);
            if (missed) recovered++;
            else refused++;
            expect(missed?.map(({ payload }) => payload) ?? after).toEqual(after);
          } else if (step.type === 'publish') {
            const payload = `${i}`.padEnd(step.length);
            published.set(step.channel, [...(published.get(step.channel) ?? []), payload]);
            note(step.channel, add(step.channel, payload, now) as Position);
          } else if (step.type === 'hold' && !held.has(step.channel)) {
            held.add(step.channel);
            histories.hold(step.channel);
          } else if (step.type === 'release' && held.delete(step.channel)) histories.release(step.channel, now);
          else if (step.type === 'look') note(step.channel, histories.read(step.channel, undefined, now).position as Position);
          expect(histories.bytes).toBeLessThanOrEqual(most);
        }
        for (const channel of held) histories.release(channel, now);
        for (const ms of [DAY, 2 * DAY]) sweep(now + ms, 'z');
        expect(histories.size).toBeLessThanOrEqual(1); // z itself
        expect([0, 1, 2, 3]).toContain((histories.bytes - histories.size * (CHANNEL + 1)) / MESSAGE);
      }),
      { numRuns: 300 },
    );
    expect(recovered).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  }, 30_000);
});
