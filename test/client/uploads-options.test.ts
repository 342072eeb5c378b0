/** Uploads between their options and the outbox: what is taken, what is refused, how far they are, and how to take one back. */

import { describe, expect, it, vi } from 'vitest';
import type { ClientOptions } from '../../src/client-options.ts';
import { QueueFullError } from '../../src/errors.ts';
import { type QueuedMessage, queued } from '../../src/queued.ts';
import { type UploadOptions, type UploadProgress, upload } from '../../src/upload.ts';
import type { UploadSource } from '../../src/upload-source.ts';
import { serving } from '../support/streams.ts';
import { countOf, numbered, said, someBytes, stalled, storing } from '../support/uploads.ts';
import { cycle, NO_SESSIONS } from './support.ts';

async function keeping(options: ClientOptions = {}, server = {}) {
  const { handler, seen } = storing();
  const p = await serving({ store: handler, echo: (params) => params }, options, server);
  const store = (source: UploadSource, more: UploadOptions = {}) => upload(p.client, 'store', { of: 'kelp' }, source, more);
  return { p, seen, store };
}
const outcomeOf = (answer: Promise<unknown>) => answer.catch((error: unknown) => error);

describe('progress', () => {
  it.each<[string, () => UploadSource, number | undefined, number]>([
    ['a Blob', () => new Blob([someBytes(100_000)]), 100_000, 7],
    ['bytes', () => someBytes(100_000), 100_000, 7],
    ['a generator', () => [someBytes(100_000)].values(), undefined, 7],
    ['one item', () => [someBytes(100_000).subarray(0, 3)], undefined, 1],
  ])('of %s grows, says how much there is where that is known, and ends with everything', async (_what, make, total, count) => {
    for (const server of [{}, NO_SESSIONS]) {
      const { store, p } = await keeping({}, server);
      const steps: UploadProgress[] = [];
      const stored = store(make(), { onprogress: (progress) => steps.push(progress) });
      expect(await stored).toBe(count);
      expect(steps.at(-1)).toEqual({ bytes: total ?? (count === 1 ? 3 : 100_000), items: count, total });
      for (const [i, step] of steps.entries()) {
        expect(step.total).toBe(total);
        expect(step.items).toBeGreaterThan(steps[i - 1]?.items ?? 0);
        expect(step.bytes).toBeGreaterThan(steps[i - 1]?.bytes ?? 0);
      }
      const before = steps.length;
      await p.clock.advance(5_000);
      expect(steps).toHaveLength(before);
    }
  });

  it('is told while the upload goes on, as the server acknowledges it', async () => {
    const { p, store } = await keeping();
    const { source, feed } = stalled();
    const items: number[] = [];
    const stored = store(source, { onprogress: (progress) => items.push(progress.items) });
    for (let i = 1; i <= 3; i++) {
      feed.give(i);
      await p.clock.advance(1_000); // that is when it acknowledges what is little
      expect(items.at(-1)).toBe(i);
    }
    feed.end();
    expect(await stored).toBe(3);
    expect(items).toEqual([1, 2, 3]);
  });

  it('of nothing is none, and so is that of a method that reads nothing', async () => {
    const { p, store } = await keeping();
    const onprogress = vi.fn();
    expect(await store([], { onprogress })).toBe(0);
    expect(await upload(p.client, 'echo', 7, [1, 2], { onprogress })).toBe(7);
    expect(onprogress).not.toHaveBeenCalled();
  });

  it('by a callback that throws when it is told of the end rejects all the same', async () => {
    const { p, store } = await keeping();
    const error = new Error('no bar to show it on');
    const onprogress = () => {
      throw error;
    };
    expect(await outcomeOf(store([1], { onprogress }))).toBe(error);
    await p.settle();
    expect([p.client.stats.pendingCalls, p.peer.isBusy, p.log]).toEqual([0, false, ['open']]);
  });
});

describe('queued()', () => {
  /** An upload whose next item waits, since the socket is full. */
  async function waiting(options: UploadOptions = {}, client: ClientOptions = {}) {
    const { p, seen, store } = await keeping(client);
    const { source, feed, cancelled } = stalled();
    const outcome = outcomeOf(store(source, options));
    await p.settle();
    p.socket.bufferedAmount = 65_536;
    const flow = async () => {
      p.socket.bufferedAmount = 0;
      await p.clock.advance(100);
    };
    return { p, seen, feed, cancelled, outcome, flow };
  }
  const first = ([message]: QueuedMessage[]) => message;

  it('shows the request, and cancels it: nothing is asked, and the source is left', async () => {
    const { p, seen, store } = await keeping();
    p.socket.bufferedAmount = 65_536;
    const { source, cancelled } = stalled();
    const outcome = outcomeOf(store(source));
    expect(queued(p.client)).toMatchObject([{ kind: 'call', name: 'store', data: { of: 'kelp' }, priority: 0 }]);
    const message = first(queued(p.client));
    expect([message?.cancel(), message?.cancel()]).toEqual([true, false]);
    expect(await outcome).toMatchObject({ name: 'HoldfastError', code: 'CANCELLED' });
    p.socket.bufferedAmount = 0;
    await p.clock.advance(100);
    expect([said(p), seen.begun, cancelled.length]).toEqual([[], 0, 1]);
  });

  it('shows the item that waits, one at a time, behind what else there is', async () => {
    const { p, feed, outcome, flow } = await waiting({ priority: -5 });
    feed.give({ a: 1 });
    feed.give(new Uint8Array(3));
    await p.settle();
    p.client.send('note', 1);
    expect(queued(p.client)).toMatchObject([
      { kind: 'event', name: 'note' },
      { kind: 'upload', name: 'store', data: { a: 1 }, bytes: 7, priority: -5 },
    ]);
    feed.end();
    await flow();
    expect(await outcome).toBe(2);
    expect(queued(p.client)).toEqual([]);
  });

  it('shows items of -1 where nothing else is said, bytes as bytes', async () => {
    const { p, feed } = await waiting();
    feed.give(new Uint8Array([1, 2]));
    await p.settle();
    expect(queued(p.client)).toMatchObject([{ data: new Uint8Array([1, 2]), bytes: 2, priority: -1 }]);
  });

  it('cancels an item, and with it the upload: the handler is told, and the source is left', async () => {
    const { p, seen, feed, cancelled, outcome, flow } = await waiting();
    feed.give(1);
    await p.settle();
    const message = first(queued(p.client));
    expect(message?.cancel()).toBe(true);
    expect(message?.cancel()).toBe(false);
    expect(await outcome).toMatchObject({ name: 'HoldfastError', code: 'CANCELLED' });
    await flow();
    expect([seen.items, seen.thrown, cancelled.length]).toEqual([[], ['CANCELLED'], 1]);
    expect([said(p), queued(p.client)]).toEqual([['upload store', 'cancel'], []]);
  });

  it('cannot cancel what is written', async () => {
    const { p, feed, outcome, flow } = await waiting();
    feed.give(1);
    await p.settle();
    const message = first(queued(p.client));
    await flow();
    expect(message?.cancel()).toBe(false);
    p.socket.bufferedAmount = 65_536;
    feed.give(2);
    await p.settle();
    expect([message?.cancel(), queued(p.client).length]).toEqual([false, 1]); // nor the next one in its place
    feed.end();
    await flow();
    expect(await outcome).toBe(2);
  });

  it('has nothing left of an upload that was aborted', async () => {
    const abort = new AbortController();
    const { p, feed, outcome } = await waiting({ signal: abort.signal });
    feed.give(1);
    await p.settle();
    expect(queued(p.client)).toHaveLength(1);
    abort.abort('enough');
    expect([await outcome, queued(p.client)]).toEqual(['enough', []]);
  });
});

describe('an outbox', () => {
  it('that takes nothing: QueueFullError, and the source is left', async () => {
    const { p, store } = await keeping({ outbox: { capacity: 0 } });
    const { source, cancelled } = stalled();
    expect(await outcomeOf(store(source))).toBeInstanceOf(QueueFullError);
    await p.settle();
    expect([cancelled.length, said(p), p.log]).toEqual([1, [], ['open']]);
  });

  it.each([
    ['throws', { capacity: 1 }],
    ['drops the newest', { capacity: 1, overflow: 'drop-newest' as const }],
    ['drops the oldest, which is not for what has a lower priority', { capacity: 1, overflow: 'drop-oldest' as const }],
  ])('that is full when an item comes, and %s: the upload rejects, and the handler is told', async (_what, outbox) => {
    const { p, seen, store } = await keeping({ outbox });
    const { source, feed, cancelled } = stalled();
    const outcome = outcomeOf(store(source));
    await p.settle();
    p.socket.bufferedAmount = 65_536;
    p.client.send('note');
    feed.give(1);
    expect(await outcome).toBeInstanceOf(QueueFullError);
    p.socket.bufferedAmount = 0;
    await p.clock.advance(100);
    expect([cancelled.length, seen.thrown, said(p)]).toEqual([1, ['CANCELLED'], ['upload store', 'cancel', 'event note']]);
  });

  it('that is full when the end comes: the upload rejects, and nobody is left with a promise', async () => {
    const rejected = vi.fn();
    process.once('unhandledRejection', rejected);
    const { p, seen, store } = await keeping({ outbox: { capacity: 1 } });
    const { source, feed } = stalled();
    const outcome = outcomeOf(store(source));
    await p.settle();
    p.socket.bufferedAmount = 65_536;
    p.client.send('note');
    feed.end();
    expect(await outcome).toBeInstanceOf(QueueFullError);
    p.socket.bufferedAmount = 0;
    await p.clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve)); // by then the runtime has told
    expect([rejected.mock.calls, seen.thrown]).toEqual([[], ['CANCELLED']]);
    process.off('unhandledRejection', rejected);
  });

  it('that drops the oldest for something more urgent drops the item, and with it the upload', async () => {
    const { p, seen, store } = await keeping({ outbox: { capacity: 1, overflow: 'drop-oldest' } });
    const { source, feed } = stalled();
    const outcome = outcomeOf(store(source));
    await p.settle();
    p.socket.bufferedAmount = 65_536;
    feed.give(1);
    await p.settle();
    p.client.send('note');
    expect(await outcome).toBeInstanceOf(QueueFullError);
    p.socket.bufferedAmount = 0;
    await p.clock.advance(100);
    expect([seen.items, seen.thrown, p.log]).toEqual([[], ['CANCELLED'], ['open']]);
  });

  it('that drains has seen all of it off', async () => {
    const { p, seen, store } = await keeping();
    const stored = store([1, 2, 3]);
    await p.settle();
    const drained = p.client.drained();
    await p.clock.advance(1_000);
    await drained;
    expect([seen.items, p.client.stats.unacknowledgedMessages, await stored]).toEqual([[1, 2, 3], 0, 3]);
  });
});

describe('upload()', () => {
  const sizes = 'a whole number of bytes, 1 to 65536';
  it.each([
    ['chunkSize', 0, `0; it takes ${sizes}`],
    ['chunkSize', 65_537, `65537; it takes ${sizes}`],
    ['chunkSize', 1.5, `1.5; it takes ${sizes}`],
    ['chunkSize', Infinity, `Infinity; it takes ${sizes}`],
    ['chunkSize', '1', `'1'; it takes ${sizes}`],
    ['priority', Infinity, 'Infinity; it takes a finite number'],
    ['priority', Number.NaN, 'NaN; it takes a finite number'],
    ['priority', '1', "'1'; it takes a finite number"],
    ['timeout', 0, '0; it takes milliseconds, 1 or more'],
    ['timeout', Number.NaN, 'NaN; it takes milliseconds, 1 or more'],
    ['signal', {}, 'an object; it takes an object with addEventListener, removeEventListener'],
    ['onprogress', {}, 'an object; it takes a function'],
  ])('rejects with a TypeError at the option %s of %s, which says so, and touches no source', async (name, value, told) => {
    const { p, store } = await keeping();
    const { source } = stalled();
    await expect(store(source, { [name]: value })).rejects.toThrow(new TypeError(`Option "${name}" got ${told}`));
    expect([source.locked, p.client.stats.queuedMessages]).toEqual([false, 0]);
  });

  it('takes the options at their bounds', async () => {
    const { store } = await keeping();
    for (const options of [{ chunkSize: 1 }, { chunkSize: 65_536 }, { priority: -1e300 }, { timeout: 1 }, { timeout: Infinity }])
      expect(await store(new Uint8Array(3), options)).toBe(options.chunkSize === 1 ? 3 : 1);
  });

  it('warns of an option that it does not know', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const { store } = await keeping();
    await store([], { idempotent: true } as object);
    expect(warned.mock.calls).toEqual([['Holdfast does not know the option "idempotent"; it is ignored']]);
    warned.mockRestore();
  });

  it('rejects with a TypeError at what is no client, no name, no parameters and no source', async () => {
    const { p, store } = await keeping();
    const { source, seen } = numbered(3);
    await expect(upload({} as typeof p.client, 'store', null, source)).rejects.toThrow(new TypeError('upload() takes a Client first'));
    const told = 'upload() takes the name of a method, but got 7';
    await expect(upload(p.client, 7 as unknown as string, null, source)).rejects.toThrow(new TypeError(told));
    await expect(upload(p.client, 'store', cycle(), source)).rejects.toThrow(TypeError);
    for (const odd of ['text', 7, null, undefined, {}]) await expect(store(odd as unknown as UploadSource)).rejects.toThrow(TypeError);
    await p.settle();
    expect([said(p), seen.read, p.client.stats.queuedMessages, p.log]).toEqual([[], 0, 0, ['open']]);
  });

  it('rejects with a MessageTooLargeError at parameters that the server does not take', async () => {
    const { p } = await keeping();
    const answer = upload(p.client, 'store', 'x'.repeat(300_000), [1]);
    await expect(answer).rejects.toMatchObject({ name: 'MessageTooLargeError' });
    expect(countOf(said(p), 'upload')).toBe(0);
  });
});
