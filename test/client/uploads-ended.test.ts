/** Uploads that end before their items do, by whomever: the caller is told why, the handler is told, and the source is left. */

import { describe, expect, it, vi } from 'vitest';
import { CallError, ClosedError, MessageTooLargeError, TimeoutError } from '../../src/errors.ts';
import type { HandlerContext } from '../../src/server/options.ts';
import { type UploadOptions, upload } from '../../src/upload.ts';
import type { UploadSource } from '../../src/upload-source.ts';
import { serving, upTo } from '../support/streams.ts';
import { countOf, heard, led, numbered, said, stalled, storing } from '../support/uploads.ts';
import { cycle, NO_SESSIONS } from './support.ts';

type Handler = (params: unknown, context: HandlerContext) => unknown;

/** An upload to this handler, and what became of it, as a value. */
async function uploading(store: Handler, source: UploadSource, options: UploadOptions = {}, server = {}) {
  const p = await serving({ store, echo: (params) => params }, {}, server);
  const answer = upload(p.client, 'store', undefined, source, options);
  const outcome = answer.catch((error: unknown) => error);
  await p.settle();
  /** Nothing of it is left, at either end, and the connection is as good as before. */
  const isOver = async () => {
    await p.settle();
    expect([p.client.stats.pendingCalls, p.client.stats.queuedMessages, p.peer.isBusy]).toEqual([0, 0, false]);
    expect(await p.client.call('echo', 1)).toBe(1);
    expect(p.log).toEqual(['open']);
  };
  return { p, answer, outcome, isOver };
}
/** The same to a handler that does what the test says. */
async function leading(source: UploadSource, options: UploadOptions = {}, server = {}) {
  const { handler, calls } = led();
  const more = await uploading(handler, source, options, server);
  const [call] = calls;
  if (!call) throw new Error('it was not asked for');
  return { ...more, call };
}

describe('a handler', () => {
  it('that answers early ends the upload: the source is left, and nothing more is sent', async () => {
    const { source, seen } = numbered(5_000);
    const { p, call, answer, isOver } = await leading(source);
    expect(await call.read(3)).toEqual([1, 2, 3]);
    call.answer('enough');
    expect(await answer).toBe('enough');
    await isOver();
    const sent = countOf(said(p), 'chunk');
    expect(seen).toEqual({ read: sent, left: 1, ended: 0 });
    expect([sent <= 19, countOf(said(p), 'finish'), countOf(said(p), 'cancel')]).toEqual([true, 0, 0]);
  });

  it('that answers without having read anything: the source is left', async () => {
    const { source, cancelled } = stalled();
    const { answer, isOver } = await uploading(() => 'no need', source);
    expect(await answer).toBe('no need');
    await isOver();
    expect(cancelled).toHaveLength(1);
  });

  it.each<[string, () => unknown, object]>([
    ['a CallError', () => new CallError('sold_out', 'Nothing left'), { name: 'CallError', code: 'sold_out', message: 'Nothing left' }],
    ['anything else', () => new Error('the password is kelp'), { name: 'CallError', code: 'INTERNAL' }],
  ])('that throws %s in its loop: the caller is told, and the source left', async (_what, make, expected) => {
    const { source, seen } = numbered(5_000);
    const { p, outcome, isOver } = await uploading(async (_, { upload: items }) => {
      for await (const item of items) if (item === 3) throw make();
    }, source);
    expect(await outcome).toMatchObject(expected);
    expect(JSON.stringify(p.socket.received)).not.toContain('kelp');
    await isOver();
    expect([seen.left, p.errors.length]).toEqual([1, Object.hasOwn(expected, 'message') ? 0 : 1]);
  });

  it('that breaks out of its loop and goes on: what comes is dropped, and no more is granted', async () => {
    const { source, seen } = numbered(5_000);
    let finish: (result: unknown) => void = () => {};
    const { p, answer, isOver } = await uploading(async (_, { upload: items }) => {
      for await (const item of items) if (item === 3) break;
      const rest: unknown[] = [];
      for await (const item of items) rest.push(item); // the loop was left: there is nothing more
      return new Promise((resolve) => (finish = () => resolve(rest)));
    }, source);
    await p.clock.advance(10_000);
    expect([heard(p), seen]).toEqual([['grant 16'], { read: 17, left: 0, ended: 0 }]);
    finish(undefined);
    expect(await answer).toEqual([]);
    await isOver();
    expect(seen.left).toBe(1);
  });

  it('that reads on after its answer is told that it is over, and what had come is dropped', async () => {
    const { source } = numbered(5_000);
    const { p, call, answer, isOver } = await leading(source);
    await call.read(1);
    await p.settle();
    call.answer('early');
    await answer;
    await isOver();
    await expect(call.items.next()).rejects.toMatchObject({ name: 'CallError', code: 'CANCELLED' });
    expect(await call.items.next()).toEqual({ value: undefined, done: true });
  });

  it('that reads after the end gets the end, as often as it asks', async () => {
    const { call, answer } = await leading([1]);
    expect(await call.read(1)).toEqual([1]);
    for (let i = 0; i < 3; i++) expect(await call.items.next()).toEqual({ value: undefined, done: true });
    call.answer('done');
    expect(await answer).toBe('done');
  });

  it('may read in two loops, each of which gets items of its own, and an end', async () => {
    const all: unknown[][] = [[], []];
    const { answer } = await uploading(async (_, { upload: items }) => {
      const loop = async (got: unknown[]) => {
        for await (const item of items) got.push(item);
      };
      await Promise.all(all.map(loop));
      return all.flat().length;
    }, upTo(101));
    expect(await answer).toBe(101);
    expect(all.flat().sort((a, b) => Number(a) - Number(b))).toEqual(upTo(101));
  });
});

describe('a signal', () => {
  it('that is aborted already asks for nothing, rejects with its reason, and leaves the source', async () => {
    const { source, cancelled } = stalled();
    const { p, outcome, isOver } = await uploading(storing().handler, source, { signal: AbortSignal.abort('enough') });
    expect(await outcome).toBe('enough');
    expect([said(p), cancelled.length]).toEqual([[], 1]);
    await isOver();
  });

  it('that is aborted before the request is written asks for nothing', async () => {
    const { source, seen } = numbered(5);
    const { handler, seen: store } = storing();
    const p = await serving({ store: handler });
    const abort = new AbortController();
    const answer = upload(p.client, 'store', undefined, source, { signal: abort.signal });
    abort.abort('enough');
    await expect(answer).rejects.toBe('enough');
    await p.settle();
    expect([said(p), store.begun, seen.read, p.client.stats.queuedMessages]).toEqual([[], 0, 0, 0]);
  });

  it('that is aborted while the handler waits in its loop: the loop throws, and the source is left', async () => {
    const { handler, seen } = storing();
    const { source, feed, cancelled } = stalled();
    const abort = new AbortController();
    const reason = new Error('enough');
    const { p, outcome, isOver } = await uploading(handler, source, { signal: abort.signal });
    for (const value of [1, 2]) feed.give(value);
    await p.settle();
    abort.abort(reason);
    expect(await outcome).toBe(reason);
    await isOver();
    expect(seen).toEqual({ begun: 1, ended: 1, items: [1, 2], thrown: ['CANCELLED'], aborts: ['CANCELLED'] });
    expect(said(p).slice(0, 4)).toEqual(['upload store', 'chunk 1', 'chunk 2', 'cancel']);
    expect([heard(p)[1], cancelled.length, p.errors]).toEqual(['error CANCELLED', 1, []]);
  });

  it('that is aborted before anything was granted, or while nothing is read, cancels', async () => {
    for (const count of [0, 1]) {
      const { source, seen } = numbered(5_000);
      const abort = new AbortController();
      const { p, call, outcome, isOver } = await leading(source, { signal: abort.signal });
      await call.read(count);
      await p.settle();
      abort.abort('enough');
      expect(await outcome).toBe('enough');
      call.answer('too late');
      await isOver();
      expect([said(p).at(-2), call.signal.aborted, seen]).toEqual(['cancel', true, { read: 17 * count, left: count, ended: 0 }]);
    }
  });

  it('that is aborted after the end changes nothing', async () => {
    const abort = new AbortController();
    const { p, answer, isOver } = await uploading(storing().handler, [1], { signal: abort.signal });
    expect(await answer).toBe(1);
    abort.abort('too late');
    await isOver();
    expect(said(p)).toEqual(['upload store', 'chunk 1', 'finish', 'call echo']);
  });
});

describe('a timeout', () => {
  it('ends both ends, with one final frame, and leaves the source', async () => {
    const { handler, seen } = storing();
    const { source, feed, cancelled } = stalled();
    const { p, outcome, isOver } = await uploading(handler, source, { timeout: 700 });
    feed.give(1);
    await p.clock.advance(699);
    expect([p.client.stats.pendingCalls, seen.aborts]).toEqual([1, []]);
    await p.clock.advance(1);
    const error = await outcome;
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', maybeExecuted: true });
    await isOver();
    expect([countOf(heard(p), 'error'), seen.thrown, cancelled.length]).toEqual([1, ['CANCELLED'], 1]);
  });

  it('is none unless it is given', async () => {
    const { source, feed } = stalled();
    const { p, answer } = await uploading(storing().handler, source);
    expect(p.frames().at(-1)).not.toHaveProperty('timeout');
    await p.clock.advance(3_600_000);
    feed.end();
    expect(await answer).toBe(0);
  });
});

describe('a source that fails', () => {
  it.each<[string, (error: Error) => unknown]>([
    ['by throwing', (error) => Promise.reject(error)],
    ['by what cannot be sent', cycle],
    ['by what is too large', () => 'x'.repeat(65_536)],
  ])('%s: the upload rejects with that, and the handler is told that it is cancelled', async (what, make) => {
    const error = new Error('the disk is gone');
    const { handler, seen } = storing();
    let left = 0;
    async function* source() {
      try {
        yield 1;
        yield make(error);
        yield 3;
      } finally {
        left++;
      }
    }
    const { p, outcome, isOver } = await uploading(handler, source());
    if (what === 'by throwing') expect(await outcome).toBe(error);
    else expect(await outcome).toBeInstanceOf(what.includes('large') ? MessageTooLargeError : TypeError);
    await isOver();
    expect(seen).toMatchObject({ items: [1], thrown: ['CANCELLED'], aborts: ['CANCELLED'] });
    expect([said(p).slice(0, 3), left, p.errors]).toEqual([['upload store', 'chunk 1', 'cancel'], 1, []]);
  });

  it('after the answer harms nobody', async () => {
    const rejected = vi.fn();
    process.once('unhandledRejection', rejected);
    let fail: (error: unknown) => void = () => {};
    async function* source() {
      await new Promise((_, reject) => (fail = reject));
    }
    const { p, call, answer, isOver } = await leading(source());
    const read = call.items.next().catch(() => {}); // so that the source is asked
    await p.settle();
    call.answer('early');
    await read;
    expect(await answer).toBe('early');
    fail(new Error('the disk is gone'));
    await isOver();
    await new Promise((resolve) => setImmediate(resolve)); // by then the runtime has told
    expect(rejected).not.toHaveBeenCalled();
    process.off('unhandledRejection', rejected);
  });
});

describe('a client that is closed', () => {
  it.each([
    ['with sessions', {}],
    ['without', NO_SESSIONS],
  ])('rejects with ClosedError, tells the handler, and leaves the source (%s)', async (_what, server) => {
    const { handler, seen } = storing();
    const { source, feed, cancelled } = stalled();
    const { p, outcome } = await uploading(handler, source, {}, server);
    feed.give(1);
    await p.settle();
    await p.client.close();
    expect(await outcome).toBeInstanceOf(ClosedError);
    await p.settle();
    expect(seen).toMatchObject({ items: [1], thrown: ['CANCELLED'], aborts: ['SESSION_LOST'] });
    expect([cancelled.length, p.host.clients, p.clock.pending]).toEqual([1, [], 0]);
  });

  it('asks for nothing, and touches no source', async () => {
    const p = await serving({ store: storing().handler });
    await p.client.close();
    const { source } = stalled();
    await expect(upload(p.client, 'store', undefined, source)).rejects.toBeInstanceOf(ClosedError);
    expect([said(p), source.locked]).toEqual([[], false]);
  });

  it('by the server rejects with SessionLostError, and leaves the source', async () => {
    const { source, cancelled } = stalled();
    const { handler, seen } = storing();
    const { p, outcome } = await uploading(handler, source);
    p.peer.close(4_800, 'not you');
    expect(await outcome).toMatchObject({ name: 'SessionLostError', maybeExecuted: true });
    await p.settle();
    expect([cancelled.length, seen.ended]).toEqual([1, 1]);
  });
});

describe('the loop of a handler that was told that there is no more, or has left it,', () => {
  it.each([false, true])('throws nothing when the call is answered (left: %s)', async (leaves) => {
    const { handler, calls } = led();
    const p = await serving({ hold: handler });
    const answer = upload(p.client, 'hold', undefined, [1]);
    await p.settle();
    const [call] = calls;
    await call?.read(1);
    if (leaves) await call?.items.return?.();
    expect(await call?.items.next()).toEqual({ value: undefined, done: true });
    call?.answer('done');
    await answer;
    expect(await call?.items.next()).toEqual({ value: undefined, done: true });
  });
});
