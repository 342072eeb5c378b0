/** Uploads: items of the caller, in order, as fast as the handler reads them. */

import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import type { ClientOptions } from '../../src/client-options.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { stream } from '../../src/stream.ts';
import { type UploadOptions, upload } from '../../src/upload.ts';
import type { UploadSource } from '../../src/upload-source.ts';
import { collected, serving, upTo } from '../support/streams.ts';
import { countOf, creditIn, heard, led, numbered, overheard, said, someBytes, storing } from '../support/uploads.ts';
import { cycle, NO_SESSIONS } from './support.ts';

/** A pair whose server has `store`, which reads everything and says how much that was. */
async function keeping(options: ClientOptions = {}, server: HostOptions = {}) {
  const { handler, seen } = storing();
  const p = await serving({ store: handler, echo: (params) => params }, options, server);
  const store = (source: UploadSource, more: UploadOptions = {}) => upload(p.client, 'store', undefined, source, more);
  return { p, seen, store };
}
/** The same with `hold`, which does what the test says. */
async function leading(options: ClientOptions = {}, server: HostOptions = {}) {
  const { handler, calls } = led();
  const p = await serving({ hold: handler, echo: (params) => params }, options, server);
  const hold = async (source: UploadSource, more: UploadOptions = {}) => {
    const answer = upload(p.client, 'hold', undefined, source, more);
    await p.settle();
    const call = calls.at(-1);
    if (!call) throw new Error('it was not asked for');
    return { answer, call };
  };
  return { p, hold };
}

const hashOf = (parts: Iterable<Uint8Array>) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

describe('an upload', () => {
  it('is asked for, granted, sent in order, and answered', async () => {
    const { p, seen, store } = await keeping();
    const log = overheard(p.socket);
    expect(await store([1, 'b', { c: null }])).toBe(3);
    expect(seen).toEqual({ begun: 1, ended: 1, items: [1, 'b', { c: null }], thrown: [], aborts: [] });
    expect(log).toEqual(['upload store', 'grant 16', 'chunk 1', 'chunk "b"', 'chunk {"c":null}', 'finish', 'response']);
    expect([p.client.stats.pendingCalls, p.client.stats.queuedMessages, p.peer.isBusy]).toEqual([0, 0, false]);
  });

  it.each([0, 1, 15, 16, 17, 32, 33, 5_000])('of %i items loses none, with sessions and without', async (count) => {
    for (const server of [{}, NO_SESSIONS]) {
      const { p, seen, store } = await keeping({}, server);
      const { source, seen: read } = numbered(count);
      expect(await store(source)).toBe(count);
      expect(seen.items).toEqual(upTo(count));
      expect(read).toEqual({ read: count, left: 0, ended: 1 });
      expect(countOf(said(p), 'finish')).toBe(1);
    }
  });

  it.each<[string, (bytes: Uint8Array<ArrayBuffer>) => UploadSource]>([
    ['a Blob', (bytes) => new Blob([bytes])],
    ['a File', (bytes) => new File([bytes], 'kelp.bin')],
    ['an ArrayBuffer', (bytes) => bytes.buffer],
    ['a view with an offset', (bytes) => new Uint8Array([9, 9, ...bytes, 9]).subarray(2, -1)],
    ['a stream', (bytes) => new Blob([bytes]).stream()],
    ['a list of pieces', (bytes) => upTo(10).map((i) => bytes.subarray((i - 1) * 30_000, i * 30_000))],
  ])('of bytes arrives as they are: %s', async (_what, make) => {
    const bytes = someBytes(300_000);
    for (const chunkSize of [999, 16_384, 65_536]) {
      const { seen, store } = await keeping();
      expect(await store(make(bytes), { chunkSize })).toBe(seen.items.length);
      expect(seen.items.every((item) => item instanceof Uint8Array && item.length <= chunkSize)).toBe(true);
      expect(hashOf(seen.items as Uint8Array[])).toBe(hashOf([bytes]));
    }
  });

  it('has bytes and values side by side', async () => {
    const { p, seen, store } = await keeping();
    await store([{ name: 'a' }, new Uint8Array([1, 0xff, 3]), new Blob(['xy']), null], { chunkSize: 2 });
    expect(seen.items).toEqual([{ name: 'a' }, new Uint8Array([1, 0xff]), new Uint8Array([3]), new Uint8Array([0x78, 0x79]), null]);
    expect(said(p).slice(1)).toEqual(['chunk {"name":"a"}', 'chunk 2 B', 'chunk 1 B', 'chunk 2 B', 'chunk null', 'finish']);
  });

  it('is cut into 16 KiB where nothing else is said', async () => {
    const { p, store } = await keeping();
    await store(someBytes(40_000));
    expect(said(p)).toEqual(['upload store', 'chunk 16384 B', 'chunk 16384 B', 'chunk 7232 B', 'finish']);
  });

  it('takes its parameters as they were when it was asked for, and gives the answer', async () => {
    const { handler, calls } = led();
    const p = await serving({ hold: handler });
    const params = { list: [1] };
    const answers = [upload(p.client, 'hold', params, []), upload(p.client, 'hold', undefined, [])];
    params.list.push(2);
    await p.settle();
    expect(calls.map((call) => call.params)).toEqual([{ list: [1] }, undefined]);
    for (const call of calls) call.answer({ id: 'f1' });
    expect(await Promise.all(answers)).toEqual([{ id: 'f1' }, { id: 'f1' }]);
  });

  it('beside others has its own items', async () => {
    const { handler } = storing();
    const got: unknown[][] = [];
    const p = await serving({
      store: handler,
      async which(params, { upload: items }) {
        const all: unknown[] = [];
        got[Number(params)] = all;
        for await (const item of items) all.push(item);
        return params;
      },
    });
    const all = [0, 1, 2].map((n) => upload(p.client, 'which', n, Array(100).fill(n)));
    expect(await Promise.all(all)).toEqual([0, 1, 2]);
    expect(got.map((items) => [items.length, new Set(items)])).toEqual([0, 1, 2].map((n) => [100, new Set([n])]));
  });

  it('leaves no timer and no listener behind', async () => {
    const { p, store } = await keeping();
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    await store([1], { signal, timeout: 50_000 });
    const [options] = added.mock.calls.map(([, , given]) => given as AddEventListenerOptions);
    expect([added.mock.calls.length, options?.signal?.aborted]).toEqual([1, true]);
    await p.client.close();
    expect(p.clock.pending).toBe(0);
  });
});

describe('credit', () => {
  it('is none before the handler reads: nothing is sent, and nothing read from the source', async () => {
    const { p, hold } = await leading();
    const { source, seen } = numbered(100);
    const { call } = await hold(source);
    await p.clock.advance(10_000);
    expect([said(p), heard(p), seen.read]).toEqual([['upload hold'], [], 0]);
    void call.read(1);
    await p.settle();
    expect([heard(p), countOf(said(p), 'chunk'), seen.read]).toEqual([['grant 16'], 16, 17]); // the next one waits for its turn
  });

  it('is never overdrawn, and topped up when half of the room is free', async () => {
    const { p, hold } = await leading();
    const log = overheard(p.socket);
    const { source, seen } = numbered(150);
    const { answer, call } = await hold(source);
    let most = 0;
    for (let i = 1; i <= 150; i++) {
      expect(await call.read(1)).toEqual([i]);
      if (i % 3 === 0) await p.settle();
      const { granted, sent, overdrawn } = creditIn(log);
      expect([overdrawn, seen.read - sent <= 1]).toEqual([0, true]);
      most = Math.max(most, granted - i);
    }
    expect(await call.items.next()).toEqual({ value: undefined, done: true });
    call.answer('done');
    expect(await answer).toBe('done');
    expect(creditIn(log)).toMatchObject({ sent: 150, overdrawn: 0 });
    expect([most, new Set(log.filter((line) => line.startsWith('grant')))]).toEqual([16, new Set(['grant 16', 'grant 8'])]);
  });

  it('stops the source where the handler reads no more, and nothing waits in between', async () => {
    const { p, hold } = await leading();
    const { source, seen } = numbered(5_000);
    const { call } = await hold(source);
    await call.read(20);
    await p.clock.advance(10_000);
    expect([seen.read, countOf(said(p), 'chunk'), p.client.stats.queuedMessages]).toEqual([33, 32, 0]); // 16, 8 for each 8 that were read, and the next one
    await p.clock.advance(60_000);
    expect(seen.read).toBe(33);
  });
});

describe('what else is sent', () => {
  /** What is on the wire when a socket that was full for a while has room for one chunk after the other. */
  async function slowly(more: UploadOptions, others: (p: Awaited<ReturnType<typeof keeping>>['p']) => void): Promise<string[]> {
    const { p, store } = await keeping();
    const log = overheard(p.socket);
    const { send } = p.socket;
    p.socket.send = (message) => {
      if (typeof message !== 'string') p.socket.bufferedAmount = 65_536; // a chunk is as much as the socket can take
      send.call(p.socket, message);
    };
    const stored = store(someBytes(40), { chunkSize: 10, ...more });
    await p.settle();
    others(p);
    for (let i = 0; i < 6; i++) {
      await p.settle();
      p.socket.bufferedAmount = 0;
      await p.clock.advance(100);
    }
    expect(await stored).toBe(4);
    return log.filter((line) => !/^(grant|response)/.test(line));
  }
  const others = (p: Awaited<ReturnType<typeof keeping>>['p']) => {
    p.client.send('note');
    void p.client.call('echo');
    p.client.send('low', null, { priority: -2 });
  };

  it('overtakes the item that waits, unless it has a lower priority still', async () => {
    expect(await slowly({}, others)).toEqual([
      ...['upload store', 'chunk 10 B', 'event note', 'call echo', 'chunk 10 B', 'event low'],
      ...['chunk 10 B', 'chunk 10 B', 'finish'],
    ]);
  });

  it('waits for an item of a higher priority, but not for those that are not read yet', async () => {
    expect(await slowly({ priority: 1 }, others)).toEqual([
      ...['upload store', 'chunk 10 B', 'chunk 10 B', 'event note', 'call echo', 'event low'],
      ...['chunk 10 B', 'chunk 10 B', 'finish'],
    ]);
  });

  it('is answered while an upload stands still', async () => {
    const { p, hold } = await leading();
    const { answer, call } = await hold(numbered(100).source);
    expect(await p.client.call('echo', 7)).toBe(7);
    void call.read(1);
    await p.settle();
    expect(await p.client.call('echo', 8)).toBe(8);
    call.answer('early');
    expect(await answer).toBe('early');
  });

  it('shares the way with two uploads, which take turns', async () => {
    const { p, store } = await keeping();
    await Promise.all([store(Array(8).fill('a')), store(Array(8).fill('b'))]);
    const items = said(p).filter((line) => line.startsWith('chunk'));
    expect(items.slice(0, 8).sort()).toEqual([...Array(4).fill('chunk "a"'), ...Array(4).fill('chunk "b"')]);
  });
});

describe('upload() and what is no upload', () => {
  it('of a method that reads none is answered, and the source is not read', async () => {
    const { p } = await keeping();
    const { source, seen } = numbered(10);
    expect(await upload(p.client, 'echo', 7, source)).toBe(7);
    await p.settle();
    expect([seen.read, said(p), heard(p)]).toEqual([0, ['upload echo'], ['response']]);
    expect(await source.next()).toEqual({ value: undefined, done: true });
  });

  it('of nobody’s method is UNIMPLEMENTED, and the source is left', async () => {
    const { p } = await keeping();
    for (const method of ['nothing', 'toString']) {
      const { source } = numbered(10);
      await expect(upload(p.client, method, undefined, source)).rejects.toMatchObject({ name: 'CallError', code: 'UNIMPLEMENTED' });
      await p.settle();
      expect(await source.next()).toEqual({ value: undefined, done: true });
    }
    expect(countOf(said(p), 'chunk')).toBe(0);
  });

  it('of a method that answers with a stream is FAILED_PRECONDITION', async () => {
    const p = await serving({
      async *numbers() {
        yield 1;
      },
    });
    await expect(upload(p.client, 'numbers', undefined, [1])).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await collected(stream(p.client, 'numbers'))).toEqual([1]);
  });

  it('by call() and stream(), of a method that takes one, is FAILED_PRECONDITION, which is no failure of the server', async () => {
    const { p, seen } = await keeping();
    await expect(p.client.call('store')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('upload()'),
    });
    await expect(p.client.call('store', 1, { idempotent: true })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await collected(stream(p.client, 'store'))).toMatchObject([{ code: 'FAILED_PRECONDITION' }]);
    expect([seen.begun, p.errors, p.peer.isBusy]).toEqual([0, [], false]);
  });

  it('has nothing to do with idempotent calls: the parameters may be the same, it is executed each time', async () => {
    const { p, seen, store } = await keeping();
    expect([await store([1]), await store([2, 3])]).toEqual([1, 2]);
    expect(seen.items).toEqual([1, 2, 3]);
    expect(p.frames().filter((frame) => 'idempotencyKey' in frame)).toEqual([]);
    await expect(store(cycle() as unknown as UploadSource)).rejects.toThrow(TypeError);
  });
});
