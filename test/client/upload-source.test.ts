/** What can be uploaded, as items: what each kind of source gives, how it is cut, and how it is left. */

import { Readable } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { MessageTooLargeError } from '../../src/errors.ts';
import { itemsOf, MAX_ITEM, sizeOf, type UploadSource } from '../../src/upload-source.ts';
import type { Payload } from '../../src/wire/codec.ts';
import { settled } from '../support/fake-clock.ts';
import { numbered, someBytes, stalled } from '../support/uploads.ts';
import { cycle } from './support.ts';

const bytes = (...values: number[]) => new Uint8Array(values);
const TEN = bytes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);

/** Everything that a source gives: JSON as text, bytes as lists; and what it throws, as the last. */
async function given(source: UploadSource, size = 4): Promise<unknown[]> {
  const { payloads } = itemsOf(source, size);
  const all: unknown[] = [];
  try {
    for (let item = await payloads.next(); !item.done; item = await payloads.next()) all.push(shown(item.value));
  } catch (error) {
    all.push(error);
  }
  return all;
}
const shown = (payload: Payload) => (typeof payload === 'string' ? payload : [...payload]);

/** A Blob of another window: known by what it can do. */
const foreign = (of: Blob) => ({
  size: of.size,
  slice: (from: number, to: number) => of.slice(from, to),
  arrayBuffer: () => of.arrayBuffer(),
});

async function* generated(...items: unknown[]) {
  yield* items;
}
const streamOf = (...items: unknown[]) =>
  new ReadableStream<unknown>({
    start: (controller) => {
      for (const item of items) controller.enqueue(item);
      controller.close();
    },
  });

describe('bytes as a whole', () => {
  const inner = new Uint8Array([255, 255, ...TEN, 255]);
  it.each<[string, () => UploadSource]>([
    ['a Uint8Array', () => TEN.slice()],
    ['a view of a part', () => inner.subarray(2, 12)],
    ['a DataView of a part', () => new DataView(inner.buffer, 2, 10)],
    ['a view of larger numbers', () => new Uint16Array(TEN.slice().buffer)],
    ['a Buffer out of a pool', () => Buffer.from(TEN)],
    ['an ArrayBuffer', () => TEN.slice().buffer],
    ['a view of shared memory', () => shared(TEN)],
    ['a Blob', () => new Blob([TEN])],
    ['a part of a Blob', () => new Blob([inner]).slice(2, 12)],
    ['a File', () => new File([TEN], 'ten')],
    ['a Blob of another window', () => foreign(new Blob([TEN])) as unknown as Blob],
  ])('%s is cut, and its size is known', async (_what, make) => {
    expect(sizeOf(make())).toBe(10);
    expect(await given(make(), 4)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect(await given(make(), 5)).toEqual([
      [0, 1, 2, 3, 4],
      [5, 6, 7, 8, 9],
    ]);
    expect(await given(make(), 1)).toEqual([...TEN].map((byte) => [byte]));
    for (const size of [10, 11, MAX_ITEM]) expect(await given(make(), size)).toEqual([[...TEN]]);
  });

  it.each<[string, UploadSource]>([
    ['a Uint8Array', bytes()],
    ['an ArrayBuffer', new ArrayBuffer(0)],
    ['a Blob', new Blob([])],
    ['a File', new File([], 'none')],
  ])('%s of nothing is no item', async (_what, source) => {
    expect([sizeOf(source), await given(source)]).toEqual([0, []]);
  });

  it('are what they were when they were handed over', async () => {
    for (const source of [TEN.slice(), TEN.slice().buffer]) {
      const { payloads } = itemsOf(source, 6);
      new Uint8Array(ArrayBuffer.isView(source) ? source.buffer : source).fill(255);
      expect(await payloads.next()).toEqual({ done: false, value: bytes(0, 1, 2, 3, 4, 5) });
      expect(await payloads.next()).toEqual({ done: false, value: bytes(6, 7, 8, 9) });
    }
  });

  it('of a Blob are read piece by piece, as they are asked for', async () => {
    const blob = new Blob([someBytes(100_000)]);
    const slice = vi.spyOn(blob, 'slice');
    const whole = vi.spyOn(blob, 'arrayBuffer');
    const { payloads } = itemsOf(blob, 1_000);
    for (let i = 0; i < 3; i++) await payloads.next();
    expect(slice.mock.calls).toEqual([
      [0, 1_000],
      [1_000, 2_000],
      [2_000, 3_000],
    ]);
    expect(whole).not.toHaveBeenCalled();
  });

  it('of a File that cannot be read any more fail with what it throws', async () => {
    const gone = new DOMException('it has changed', 'NotReadableError');
    const file = { ...foreign(new Blob([TEN])), slice: () => ({ arrayBuffer: () => Promise.reject(gone) }) };
    expect(await given(file as unknown as Blob)).toEqual([gone]);
  });
});

describe('values one after the other', () => {
  const map = new Map([['a', 1]]);
  it.each<[string, () => UploadSource, unknown[]]>([
    ['an array', () => [1, 'a', null, { b: [true] }], ['1', '"a"', 'null', '{"b":[true]}']],
    ['nothing at all', () => [], []],
    ['a Set', () => new Set([1, 2]), ['1', '2']],
    ['a Map', () => map, ['["a",1]']],
    ['a generator', () => [1, 2].values(), ['1', '2']],
    ['a generator of promises', () => [Promise.resolve(1), 2, Promise.resolve('c')], ['1', '2', '"c"']],
    ['an async generator', () => generated(1, 'b'), ['1', '"b"']],
    ['what is iterated both ways', () => Object.assign([0], { [Symbol.asyncIterator]: () => generated(1) }), ['1']],
    ['an async generator of nothing', () => generated(), []],
    ['a ReadableStream', () => streamOf('a', { b: 2 }), ['"a"', '{"b":2}']],
    ['a ReadableStream of nothing', () => streamOf(), []],
    ['a stream of Node', () => Readable.from(['a', Buffer.from([1, 2])], { objectMode: true }), ['"a"', [1, 2]]],
    ['undefined, which is null', () => [undefined], ['null']],
    ['bytes among them, which are cut', () => [1, TEN, 'z'], ['1', [0, 1, 2, 3], [4, 5, 6, 7], [8, 9], '"z"']],
    ['a Blob among them', () => generated(new Blob([TEN.subarray(0, 5)]), 7), [[0, 1, 2, 3], [4], '7']],
    ['an ArrayBuffer among them', () => streamOf(bytes(1, 2).buffer), [[1, 2]]],
    ['bytes in pieces, which are not put together', () => streamOf(bytes(1), bytes(2), bytes(3)), [[1], [2], [3]]],
    ['bytes of nothing, which are no item', () => [bytes(), 1, new Blob([])], ['1']],
  ])('from %s', async (_what, make, expected) => {
    expect(await given(make())).toEqual(expected);
    expect(sizeOf(make())).toBeUndefined();
  });

  it('are read when they are asked for, and not before', async () => {
    const { source, seen } = numbered(100);
    const { payloads } = itemsOf(source, 4);
    await settled();
    expect(seen.read).toBe(0);
    for (let i = 1; i <= 3; i++) {
      await payloads.next();
      await settled();
      expect(seen.read).toBe(i);
    }
  });

  it('are as they are when their turn comes', async () => {
    const value = { at: 0 };
    function* twice() {
      yield value;
      value.at = 1;
      yield value;
    }
    expect(await given(twice())).toEqual(['{"at":0}', '{"at":1}']);
  });

  it('have up to 64 KiB each, as UTF-8', async () => {
    const most = 'x'.repeat(MAX_ITEM - 2);
    expect(await given([most])).toEqual([`"${most}"`]);
    for (const value of [`${most}x`, 'é'.repeat(MAX_ITEM / 2)]) {
      const [error] = await given([value]);
      expect(error).toBeInstanceOf(MessageTooLargeError);
      expect(error).toMatchObject({ bytes: MAX_ITEM + (value.startsWith('x') ? 1 : 2), limit: MAX_ITEM });
    }
  });

  it.each<[string, () => unknown]>([
    ['a cycle', cycle],
    ['a BigInt', () => 1n],
    ['a function', () => () => {}],
    ['a symbol', () => Symbol('s')],
    ['shared memory', () => new SharedArrayBuffer(1)],
  ])('are refused by a TypeError where one is %s, and the source is left', async (_what, odd) => {
    let left = 0;
    async function* source() {
      try {
        yield 1;
        yield odd();
        yield 3;
      } finally {
        left++;
      }
    }
    expect(await given(source())).toEqual(['1', expect.any(TypeError)]);
    expect(left).toBe(1);
  });

  it('end with the error of a generator, a promise or a stream', async () => {
    const error = new Error('the disk is gone');
    async function* throws() {
      yield 1;
      throw error;
    }
    const { source: breaks, feed } = stalled();
    feed.give(1);
    const broken = given(breaks);
    await settled();
    feed.fail(error);
    expect(await broken).toEqual(['1', error]);
    for (const source of [throws(), [1, Promise.reject(error)]]) expect(await given(source)).toEqual(['1', error]);
  });
});

describe('what is no source', () => {
  it.each([
    ['a text', 'text', "'text'"],
    ['a number', 7, '7'],
    ['a BigInt', 7n, '7'],
    ['true', true, 'true'],
    ['null', null, 'null'],
    ['nothing', undefined, 'undefined'],
    ['an object', {}, 'an object'],
    ['a promise', Promise.resolve([1]), 'a Promise'],
    ['shared memory', new SharedArrayBuffer(1), 'an object'],
  ])('is a TypeError: %s', (_what, source, told) => {
    const what = `upload() takes a Blob, bytes, a stream, or what can be iterated, but got ${told}`;
    expect(() => itemsOf(source as UploadSource, 4)).toThrow(new TypeError(what));
  });

  it('is a stream that somebody else reads', () => {
    const stream = streamOf(1);
    stream.getReader();
    expect(() => itemsOf(stream, 4)).toThrow(TypeError);
  });
});

function shared(of: Uint8Array): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(of.length));
  view.set(of);
  return view;
}
