/** Sources of uploads that are left before they are done: once, at once, and whatever they do then. */

import { describe, expect, it, vi } from 'vitest';
import { type Items, itemsOf } from '../../src/upload-source.ts';
import { settled } from '../support/fake-clock.ts';
import { numbered, stalled } from '../support/uploads.ts';

describe('a source that is left', () => {
  const begun = async (items: Items, count: number) => {
    for (let i = 0; i < count; i++) await items.payloads.next();
  };

  it.each([0, 1, 5])('after %i items lets a generator clean up, once', async (count) => {
    const { source, seen } = numbered(100);
    const items = itemsOf(source, 4);
    await begun(items, count);
    items.leave();
    items.leave();
    await settled();
    expect(seen).toMatchObject({ read: count, left: count > 0 ? 1 : 0 });
    expect(await source.next()).toEqual({ done: true, value: undefined });
    expect(await items.payloads.next()).toEqual({ done: true, value: undefined });
  });

  it.each([0, 1, 5])('after %i items cancels a stream, once', async (count) => {
    const cancel = vi.fn();
    const source = new ReadableStream({ pull: (controller) => controller.enqueue(1), cancel });
    const items = itemsOf(source, 4);
    await begun(items, count);
    items.leave();
    items.leave();
    await settled();
    expect(cancel).toHaveBeenCalledTimes(1);
  });

  it('calls return() of an iterator once, and not at all where it is done, or has failed', async () => {
    const returns = vi.fn(() => ({ done: true as const, value: undefined }));
    for (const [taken, calls] of [
      [0, 1],
      [1, 1],
      [3, 0],
      [4, 0],
    ] as const) {
      let at = 0;
      const next = () => {
        if (++at === 4) throw new Error('there is no fourth');
        return at === 3 && taken === 3 ? { done: true as const, value: undefined } : { done: false as const, value: at };
      };
      const items = itemsOf({ [Symbol.iterator]: () => ({ next, return: returns }) }, 4);
      await begun(items, taken).catch(() => {});
      items.leave();
      items.leave();
      await settled();
      expect([taken, returns.mock.calls.splice(0).length]).toEqual([taken, calls]);
    }
  });

  it('while it waits cancels a stream at once', async () => {
    const { source, cancelled } = stalled();
    const items = itemsOf(source, 4);
    const waiting = items.payloads.next();
    await settled();
    items.leave();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(cancelled).toHaveLength(1);
  });

  it('in the middle of bytes gives no more of them', async () => {
    const items = itemsOf(new Uint8Array(10), 1);
    await begun(items, 2);
    items.leave();
    await settled();
    expect(await items.payloads.next()).toEqual({ done: true, value: undefined });
  });

  const no = new Error('no');
  it.each<[string, object]>([
    ['has nothing to be left by', {}],
    ['throws', { return: vi.fn().mockThrow(no) }],
    ['rejects', { return: () => Promise.reject(no) }],
  ])('and %s harms nobody', async (_what, more) => {
    const rejected = vi.fn();
    process.once('unhandledRejection', rejected);
    const items = itemsOf({ [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false as const, value: 1 }), ...more }) }, 4);
    await begun(items, 1);
    items.leave();
    await new Promise((resolve) => setImmediate(resolve)); // by then the runtime has told
    expect(rejected).not.toHaveBeenCalled();
    process.off('unhandledRejection', rejected);
  });
});
