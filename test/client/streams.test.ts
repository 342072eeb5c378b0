/** Streams: items in order, as fast as they are read. */

import { describe, expect, it, vi } from 'vitest';
import { UnsupportedError } from '../../src/errors.ts';
import { stream } from '../../src/stream.ts';
import { handServer } from '../support/hand-server.ts';
import { collected, counting, countingUp, ENDLESS, heard, numbers, overheard, said, serving, upTo } from '../support/streams.ts';
import { cycle, NO_SESSIONS } from './support.ts';

describe('a stream', () => {
  it('gives the items in order, then ends, and the handler with it', async () => {
    const { p, seen } = await countingUp(5);
    expect(await numbers(p.client)).toEqual([1, 2, 3, 4, 5]);
    expect(seen).toEqual({ begun: [undefined], yielded: 5, ended: 1, aborts: [] });
    expect(said(p)).toEqual(['request 32']);
    expect(heard(p)).toEqual(['item 1', 'item 2', 'item 3', 'item 4', 'item 5', 'end']);
    expect([p.client.stats.pendingCalls, p.peer.isBusy]).toEqual([0, false]);
  });

  it.each([0, 1, 31, 32, 33, 10_000])('of %i items loses none, with sessions and without', async (count) => {
    for (const server of [{}, NO_SESSIONS]) {
      const { p, seen } = await countingUp(count, {}, server);
      expect(await numbers(p.client)).toEqual(upTo(count));
      expect(seen.ended).toBe(1);
    }
  });

  it.each([0, '', false, null, 'text', [1, [2]], { a: { b: null } }])('carries %j', async (value) => {
    const p = await serving({
      async *three() {
        for (let i = 0; i < 3; i++) yield value;
      },
    });
    expect(await collected(stream(p.client, 'three'))).toEqual([value, value, value]);
  });

  it('carries bytes, and null where nothing is yielded', async () => {
    const p = await serving({
      async *odd() {
        yield new Uint8Array([1, 0xff, 3]);
        yield undefined;
        yield new Uint8Array();
      },
    });
    expect(await collected(stream(p.client, 'odd'))).toEqual([new Uint8Array([1, 0xff, 3]), null, new Uint8Array()]);
  });

  it('gives the parameters to the handler, as they were when it was asked for, and the cursor', async () => {
    const p = await serving({
      async *told(params, { cursor }) {
        yield [params, cursor];
      },
    });
    const params = { list: [1] };
    const items = stream(p.client, 'told', params, { cursor: { row: 7 } });
    params.list.push(2);
    expect(await collected(items)).toEqual([[{ list: [1] }, { row: 7 }]]);
    expect(await collected(stream(p.client, 'told'))).toEqual([[null, null]]);
  });

  it('takes what is iterated over without being a generator', async () => {
    const list = async () => ({
      async *[Symbol.asyncIterator]() {
        yield* ['a', 'b'];
      },
    });
    const p = await serving({ list });
    expect(await collected(stream(p.client, 'list'))).toEqual(['a', 'b']);
  });

  it('says which cursor the loop has got, not which one has come', async () => {
    const p = await serving({ numbers: counting(5, { cursors: true }).handler });
    const items = stream(p.client, 'numbers');
    expect(items.cursor).toBeUndefined();
    await p.settle();
    const cursors: unknown[] = [];
    for await (const item of items) cursors.push([item, items.cursor]);
    expect(cursors).toEqual(upTo(5).map((i) => [i, i]));
    const plain = await serving({ numbers: counting(1).handler });
    const others = stream(plain.client, 'numbers');
    expect([await collected(others), others.cursor]).toEqual([[1], undefined]);
  });

  it('waits in the outbox for a connection, and begins then', async () => {
    const { p, seen } = await countingUp(3);
    p.socket.cut();
    const items = numbers(p.client);
    expect(p.client.stats.queuedMessages).toBe(1);
    expect(seen.begun).toEqual([]);
    await p.clock.advance(1_000);
    expect(await items).toEqual([1, 2, 3]);
  });

  it('beside others gets its own items', async () => {
    const p = await serving({
      async *from(start) {
        for (let i = 0; i < 100; i++) yield Number(start) + i;
      },
    });
    const all = await Promise.all([0, 1_000, 2_000].map((start) => collected(stream(p.client, 'from', start))));
    expect(all.map((items) => [items.length, items[0], items[99]])).toEqual([
      [100, 0, 99],
      [100, 1_000, 1_099],
      [100, 2_000, 2_099],
    ]);
  });

  it('that two loops read gives each item to one of them, and ends both', async () => {
    const { p } = await countingUp(101);
    const items = stream(p.client, 'numbers');
    const [one, other] = await Promise.all([collected(items), collected(items)]);
    expect([...one, ...other].sort((a, b) => Number(a) - Number(b))).toEqual(upTo(101));
    expect([one.length > 0, other.length > 0]).toEqual([true, true]);
    expect(await collected(items)).toEqual([]);
  });
});

describe('credit', () => {
  it.each([1, 2, 3, 7, 32, 100])('with room for %i is never more than what is free, and enough to go on', async (buffer) => {
    const { p } = await countingUp(150);
    const log = overheard(p.socket);
    const items = stream(p.client, 'numbers', undefined, { buffer });
    const counts = { granted: 0, came: 0, most: 0 };
    for (let asked = 1; asked <= 150; asked++) {
      expect(await items.next()).toEqual({ value: asked, done: false });
      if (asked % 10 === 0) await p.settle();
      for (const line of log.splice(0)) {
        const [type, count] = line.split(' ');
        if (type === 'request' || type === 'credit') counts.granted += Number(count);
        if (type === 'item') expect(++counts.came).toBeLessThanOrEqual(counts.granted);
      }
      counts.most = Math.max(counts.most, counts.granted - asked);
    }
    expect(counts).toMatchObject({ came: 150, most: buffer });
    expect(await items.next()).toEqual({ value: undefined, done: true });
  });

  it('is topped up when half of the room is free', async () => {
    const { p } = await countingUp(ENDLESS);
    const items = stream(p.client, 'numbers', undefined, { buffer: 8 });
    await p.settle();
    const credits: string[][] = [];
    for (let i = 1; i <= 9; i++) {
      await items.next();
      await p.settle();
      credits.push(said(p).slice(1));
    }
    expect(credits.map(({ length }) => length)).toEqual([0, 0, 0, 1, 1, 1, 1, 2, 2]);
    expect(credits.at(-1)).toEqual(['credit 4', 'credit 4']);
  });

  it('stops a handler whose items nobody reads, after 32', async () => {
    const { p, seen } = await countingUp(ENDLESS);
    stream(p.client, 'numbers');
    await p.settle();
    await p.clock.advance(10_000);
    expect([seen.yielded, seen.ended]).toEqual([32, 0]);
    expect([said(p), heard(p).length, p.client.stats.pendingCalls]).toEqual([['request 32'], 32, 1]);
    expect(p.peer.weight).toBe(0); // nothing is kept for it
  });

  it('of one has the handler go on when the item was read', async () => {
    const { p, seen } = await countingUp(ENDLESS);
    const items = stream(p.client, 'numbers', undefined, { buffer: 1 });
    for (let i = 1; i <= 3; i++) {
      await p.settle();
      expect(seen.yielded).toBe(i);
      await items.next();
    }
  });
});

describe('what is no stream', () => {
  it('is a stream of one value, or of none where it answers nothing', async () => {
    const p = await serving({ one: async () => ({ a: 1 }), none: () => undefined, null: () => null, bytes: () => new Uint8Array([7]) });
    expect(await collected(stream(p.client, 'one'))).toEqual([{ a: 1 }]);
    expect(await collected(stream(p.client, 'none'))).toEqual([]);
    expect(await collected(stream(p.client, 'null'))).toEqual([null]);
    expect(await collected(stream(p.client, 'bytes'))).toEqual([new Uint8Array([7])]);
    expect(heard(p)).toEqual(['response', 'response', 'response', 'response']);
  });

  it('is UNIMPLEMENTED where nobody has it', async () => {
    const p = await serving({});
    expect(await collected(stream(p.client, 'nothing'))).toMatchObject([{ code: 'UNIMPLEMENTED' }]);
    expect(await collected(stream(p.client, 'toString'))).toMatchObject([{ code: 'UNIMPLEMENTED' }]);
  });

  it('by call(), of a method that is one, is FAILED_PRECONDITION, and nothing is left running', async () => {
    const { p, seen } = await countingUp(ENDLESS);
    await expect(p.client.call('numbers')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await p.settle();
    expect([seen.begun, seen.yielded, p.peer.isBusy, p.errors]).toEqual([[], 0, false, []]);
    expect(heard(p)).toEqual(['error FAILED_PRECONDITION']);
  });

  it('asked for by the server is none either: a client answers with values', async () => {
    const p = await serving({});
    const { handler, seen } = counting(3);
    p.client.handle('numbers', (params, { signal }) => handler(params, { signal }));
    await expect(p.peer.call('numbers')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(seen.begun).toEqual([]);
  });
});

describe('limits.calls', () => {
  it('counts each stream: of a thousand and one at once the last is RESOURCE_EXHAUSTED, and another one has its place later', async () => {
    const { p } = await countingUp(ENDLESS);
    const streams = Array.from({ length: 1_000 }, () => stream(p.client, 'numbers', undefined, { buffer: 1 }));
    for (const each of streams) expect(await each.next()).toEqual({ value: 1, done: false });
    expect(await numbers(p.client)).toMatchObject([{ code: 'RESOURCE_EXHAUSTED' }]);
    await streams[7]?.return?.();
    await p.settle();
    const another = stream(p.client, 'numbers');
    expect(await another.next()).toEqual({ value: 1, done: false });
    expect(await numbers(p.client)).toMatchObject([{ code: 'RESOURCE_EXHAUSTED' }]);
    for (const each of streams) expect(await each.next()).toMatchObject(each === streams[7] ? { done: true } : { value: 2 });
    expect(p.log).toEqual(['open']);
  });
});

describe('stream()', () => {
  it('on a server without streams throws UnsupportedError, or the loop does where that was not known', async () => {
    const s = handServer();
    const early = collected(stream(s.client, 'numbers'));
    await s.welcomes();
    const [error] = await early;
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(() => stream(s.client, 'numbers')).toThrow(UnsupportedError);
    expect(s.news()).toEqual([]);
  });

  it('needs calls too', async () => {
    const s = handServer();
    await s.welcomes({ features: ['streams', 'resume'] });
    expect(s.client.capabilities.streams).toBe(false);
    expect(() => stream(s.client, 'numbers')).toThrow(UnsupportedError);
  });

  it.each([
    ['buffer', 0, '0; it takes a whole number, 1 to 65536'],
    ['buffer', 1.5, '1.5; it takes a whole number, 1 to 65536'],
    ['buffer', 65_537, '65537; it takes a whole number, 1 to 65536'],
    ['buffer', Infinity, 'Infinity; it takes a whole number, 1 to 65536'],
    ['buffer', '32', "'32'; it takes a whole number, 1 to 65536"],
    ['timeout', 0, '0; it takes milliseconds, 1 or more'],
    ['timeout', Number.NaN, 'NaN; it takes milliseconds, 1 or more'],
    ['signal', {}, 'an object; it takes an object with addEventListener, removeEventListener'],
  ])('throws a TypeError at the option %s of %s, which says so', async (name, value, told) => {
    const { p } = await countingUp(3);
    expect(() => stream(p.client, 'numbers', undefined, { [name]: value })).toThrow(new TypeError(`Option "${name}" got ${told}`));
    expect(p.client.stats.pendingCalls + p.client.stats.queuedMessages).toBe(0);
  });

  it('takes the options at their bounds', async () => {
    const { p } = await countingUp(3);
    for (const options of [{ buffer: 1 }, { buffer: 65_536 }, { timeout: 1 }, { timeout: Infinity }, { cursor: null }])
      expect(await numbers(p.client, options)).toEqual([1, 2, 3]);
  });

  it('warns of an option that it does not know', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const { p } = await countingUp(3);
    stream(p.client, 'numbers', undefined, { bufer: 1 } as object);
    expect(warned.mock.calls).toEqual([['Holdfast does not know the option "bufer"; it is ignored']]);
    warned.mockRestore();
  });

  it('throws a TypeError at what is no client, no name, and no parameters', async () => {
    const { p } = await countingUp(3);
    expect(() => stream({} as typeof p.client, 'numbers')).toThrow(new TypeError('stream() takes a Client first'));
    expect(() => stream(p.client, 7 as unknown as string)).toThrow(new TypeError('stream() takes the name of a method, but got 7'));
    expect(() => stream(p.client, 'numbers', cycle())).toThrow(TypeError);
    expect(() => stream(p.client, 'numbers', undefined, { cursor: 1n })).toThrow(TypeError);
    await p.settle();
    expect([said(p), p.client.stats.queuedMessages, p.log]).toEqual([[], 0, ['open']]);
  });

  it('gives to the loop what the outbox does not take', async () => {
    const { p } = await countingUp(3, { outbox: { capacity: 0 } });
    expect(await numbers(p.client)).toMatchObject([{ name: 'QueueFullError' }]);
    expect(await collected(stream(p.client, 'numbers', 'x'.repeat(300_000)))).toMatchObject([{ name: 'MessageTooLargeError' }]);
  });
});

describe('a stream that a handler has begun, and that call() does not read,', () => {
  it('is left', async () => {
    const left = vi.fn(() => Promise.resolve({ done: true as const, value: undefined }));
    const begun = { next: () => Promise.resolve({ done: false as const, value: 1 }), return: left };
    const p = await serving({ rows: () => ({ [Symbol.asyncIterator]: () => begun }) });
    await expect(p.client.call('rows')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(left).toHaveBeenCalledTimes(1);
  });
});

describe('a stream whose items nobody acknowledges', () => {
  it('waits until there is room on the way, whatever it was granted', async () => {
    const { handler, seen } = counting(ENDLESS);
    const p = await serving({ numbers: handler });
    const items = stream(p.client, 'numbers', undefined, { buffer: 65_536 });
    await p.settle();
    p.socket.vanish(); // it does not notice
    for (let i = 0; i < 100; i++) await p.settle();
    const { yielded } = seen;
    await p.settle();
    expect([seen.yielded, p.peer.isOpen]).toEqual([yielded, true]);
    expect(yielded).toBeLessThanOrEqual(2_048);
    await p.clock.advance(30_000);
    await p.settle();
    const all: unknown[] = [];
    for await (const item of items) all.push(item);
    expect(all).toEqual(upTo(ENDLESS));
  });
});
