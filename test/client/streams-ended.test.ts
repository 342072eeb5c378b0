/** Streams that end before their items do, by whomever: the loop is told why, and nothing is left running. */

import { describe, expect, it, vi } from 'vitest';
import { CallError, ClosedError, TimeoutError } from '../../src/errors.ts';
import { type Stream, stream } from '../../src/stream.ts';
import { StreamItem } from '../../src/streaming.ts';
import { collected, countingUp, ENDLESS, heard, numbers, said, serving, upTo } from '../support/streams.ts';
import { cycle, NO_SESSIONS } from './support.ts';

describe('a loop that is left', () => {
  const left = async (leave: (items: Stream<unknown>) => Promise<unknown>) => {
    const { p, seen } = await countingUp(ENDLESS);
    await leave(stream(p.client, 'numbers'));
    await p.settle();
    expect(said(p).filter((line) => line === 'cancel')).toHaveLength(1);
    expect(heard(p).filter((line) => line.startsWith('error'))).toEqual(['error CANCELLED']);
    expect(heard(p).at(-1)).toBe('error CANCELLED');
    expect(seen).toMatchObject({ ended: 1, aborts: ['CANCELLED'] });
    expect([p.client.stats.pendingCalls, p.peer.isBusy]).toEqual([0, false]);
    expect(await p.client.call('echo', 1)).toBe(1);
    expect([p.errors, p.log]).toEqual([[], ['open']]);
    return seen;
  };

  it('by break stops the handler', async () => {
    const seen = await left(async (items) => {
      for await (const item of items) if (item === 3) break;
    });
    expect(seen.yielded).toBeLessThanOrEqual(3 + 32);
  });

  it('by return stops the handler', async () => {
    const first = async (items: Stream<unknown>) => {
      for await (const item of items) return item;
      return undefined;
    };
    await left(async (items) => expect(await first(items)).toBe(1));
  });

  it('by an exception stops the handler, and the exception is the one', async () => {
    const fails = async (items: Stream<unknown>) => {
      for await (const item of items) throw new Error(`at ${item}`);
    };
    await left((items) => expect(fails(items)).rejects.toThrow('at 1'));
  });

  it('without having been begun stops the handler', async () => {
    await left(async (items) => {
      await items.next();
      expect(await items.return?.()).toEqual({ value: undefined, done: true });
      expect(await items.next()).toEqual({ value: undefined, done: true });
    });
  });

  it('before the request is written asks for nothing', async () => {
    const { p, seen } = await countingUp(ENDLESS);
    await stream(p.client, 'numbers').return?.();
    await p.settle();
    expect([said(p), seen.begun, p.client.stats.pendingCalls]).toEqual([[], [], 0]);
  });

  it('gives the other loop its end', async () => {
    const { p } = await countingUp(0);
    const hangs = stream(p.client, 'numbers', undefined, { buffer: 1 });
    const other = hangs.next();
    await hangs.return?.();
    expect(await other).toEqual({ value: undefined, done: true });
  });

  it('when it is over already says nothing more', async () => {
    const { p } = await countingUp(2);
    const items = stream(p.client, 'numbers');
    await collected(items);
    await items.return?.();
    await p.settle();
    expect(said(p)).toEqual(['request 32']);
  });
});

describe('a signal', () => {
  it('that is aborted already asks for nothing, and the loop throws its reason', async () => {
    const { p } = await countingUp(3);
    expect(await numbers(p.client, { signal: AbortSignal.abort('enough') })).toEqual(['enough']);
    await p.settle();
    expect(said(p)).toEqual([]);
  });

  it('that is aborted before the request is written asks for nothing', async () => {
    const { p, seen } = await countingUp(3);
    const abort = new AbortController();
    const items = numbers(p.client, { signal: abort.signal });
    abort.abort('enough');
    expect(await items).toEqual(['enough']);
    await p.settle();
    expect([said(p), seen.begun, p.client.stats.queuedMessages]).toEqual([[], [], 0]);
  });

  it('that is aborted while the first item is waited for cancels', async () => {
    const ended: unknown[] = [];
    const p = await serving({
      async *never(_, { signal }) {
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        yield 1;
      },
      async *stuck(_, { signal }) {
        try {
          yield await new Promise((resolve) => signal.addEventListener('abort', () => resolve('late')));
        } finally {
          ended.push('stuck');
        }
      },
    });
    for (const method of ['never', 'stuck']) {
      const abort = new AbortController();
      const items = collected(stream(p.client, method, undefined, { signal: abort.signal }));
      await p.settle();
      abort.abort('enough');
      expect(await items).toEqual(['enough']);
      await p.settle();
    }
    expect(said(p)).toEqual(['request 32', 'cancel', 'request 32', 'cancel']);
    expect(heard(p)).toEqual(['error CANCELLED', 'error CANCELLED']);
    expect([ended, p.errors, p.peer.isBusy]).toEqual([['stuck'], [], false]);
  });

  it('that is aborted in mid-stream cancels, and the loop throws its reason', async () => {
    const { p, seen } = await countingUp(ENDLESS);
    const abort = new AbortController();
    const reason = new Error('enough');
    const got: unknown[] = [];
    const loop = (async () => {
      for await (const item of stream(p.client, 'numbers', undefined, { signal: abort.signal, buffer: 4 })) {
        got.push(item);
        if (item === 10) abort.abort(reason);
      }
    })();
    await expect(loop).rejects.toBe(reason);
    await p.settle();
    expect(got).toEqual(upTo(got.length));
    expect(got.length).toBeLessThanOrEqual(14);
    expect(said(p).at(-1)).toBe('cancel');
    expect(seen).toMatchObject({ ended: 1, aborts: ['CANCELLED'] });
  });

  it('is let go of when the stream is over', async () => {
    const { p } = await countingUp(3);
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    await numbers(p.client, { signal });
    expect(added).toHaveBeenCalledTimes(1);
    const [options] = added.mock.calls.map(([, , given]) => given as AddEventListenerOptions);
    expect(options?.signal?.aborted).toBe(true);
  });
});

describe('a handler that fails', () => {
  it('by a CallError in mid-stream: the loop gets what came before, then throws it', async () => {
    const p = await serving({
      async *numbers() {
        yield 1;
        yield 2;
        throw new CallError('sold_out', 'Nothing left', { data: { next: 'may' } });
      },
    });
    const items = await numbers(p.client);
    expect(items.slice(0, 2)).toEqual([1, 2]);
    expect(items[2]).toBeInstanceOf(CallError);
    expect(items[2]).toMatchObject({ code: 'sold_out', message: 'Nothing left', data: { next: 'may' } });
    expect(p.errors).toEqual([]);
  });

  it('by anything else is INTERNAL, tells nothing, and is reported once', async () => {
    const p = await serving({
      async *numbers() {
        yield 1;
        throw new Error('the password is kelp');
      },
    });
    expect(await numbers(p.client)).toMatchObject([1, { name: 'CallError', code: 'INTERNAL' }]);
    expect(JSON.stringify(p.socket.received)).not.toContain('kelp');
    expect(p.errors).toEqual(['the handler of numbers: the password is kelp']);
  });

  it('before it makes a stream fails like any call', async () => {
    const p = await serving({
      numbers: () => Promise.reject(new CallError('NOT_FOUND', 'no such numbers')),
    });
    expect(await numbers(p.client)).toMatchObject([{ code: 'NOT_FOUND' }]);
  });

  it.each([
    ['a cycle', () => cycle()],
    ['a BigInt', () => 1n],
    ['a function', () => () => {}],
    ['a cursor that is a cycle', () => new StreamItem(1, cycle())],
  ])('to yield what can be sent, at %s, is INTERNAL, and its finally runs', async (_what, odd) => {
    let ended = 0;
    const p = await serving({
      async *numbers() {
        try {
          yield 1;
          yield odd();
          yield 3;
        } finally {
          ended++;
        }
      },
      echo: (params) => params,
    });
    expect(await numbers(p.client)).toMatchObject([1, { code: 'INTERNAL' }]);
    await p.settle();
    expect([ended, p.errors.length, p.peer.isBusy]).toEqual([1, 1, false]);
    expect(await p.client.call('echo', 1)).toBe(1);
  });

  it.each([
    ['with sessions', {}],
    ['without', NO_SESSIONS],
  ])(
    'to yield what the client takes is RESOURCE_EXHAUSTED, its finally runs, and other calls notice nothing (%s)',
    async (_what, server) => {
      let ended = 0;
      const p = await serving(
        {
          async *numbers() {
            try {
              yield 'small';
              yield 'x'.repeat(3_000);
              yield 'small';
            } finally {
              ended++;
            }
          },
          async *others() {
            for (let i = 1; i <= 100; i++) yield i;
          },
          wait: () => new Promise((resolve) => p.clock.setTimeout(() => resolve('done'), 50)),
        },
        { messageLimit: 2_048 },
        server,
      );
      const others = [collected(stream(p.client, 'others')), p.client.call('wait')];
      expect(await numbers(p.client)).toMatchObject(['small', { name: 'CallError', code: 'RESOURCE_EXHAUSTED' }]);
      await p.settle();
      expect([ended, p.peer.isBusy]).toEqual([1, true]);
      await p.clock.advance(50);
      expect(await Promise.all(others)).toEqual([upTo(100), 'done']);
      expect([p.errors, p.log]).toEqual([[], ['open']]);
    },
  );

  it('in its finally harms nobody', async () => {
    const p = await serving({
      async *numbers() {
        try {
          for (;;) yield 1;
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: that is what is tested
          throw new Error('while it was stopped');
        }
      },
      echo: (params) => params,
    });
    for await (const _ of stream(p.client, 'numbers')) break;
    await p.settle();
    expect(await p.client.call('echo', 1)).toBe(1);
    expect(p.peer.isBusy).toBe(false);
  });
});

describe('the end of a stream', () => {
  it('by its timeout is at both ends, with one final frame', async () => {
    const p = await serving({
      async *slow(_, { signal }) {
        yield 1;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    const items = collected(stream(p.client, 'slow', undefined, { timeout: 700 }));
    await p.settle();
    expect(p.frames().at(-1)).toMatchObject({ type: 'request', timeout: 700, stream: true, credit: 32 });
    await p.clock.advance(699);
    expect(p.client.stats.pendingCalls).toBe(1);
    await p.clock.advance(1);
    const all = await items;
    expect(all).toMatchObject([1, { code: 'DEADLINE_EXCEEDED', maybeExecuted: true }]);
    expect(all[1]).toBeInstanceOf(TimeoutError);
    await p.settle();
    expect([heard(p).length, p.peer.isBusy]).toEqual([2, false]);
  });

  it('by its timeout while it waits in the outbox: it is never asked for', async () => {
    const { p } = await countingUp(3);
    p.socket.cut();
    p.reachable = false;
    const items = numbers(p.client, { timeout: 500 });
    await p.clock.advance(500);
    expect(await items).toMatchObject([{ code: 'DEADLINE_EXCEEDED', maybeExecuted: false }]);
  });

  it('has no timeout unless it is given one', async () => {
    const { p } = await countingUp(ENDLESS);
    const items = stream(p.client, 'numbers');
    await p.settle();
    expect(p.frames().at(-1)).not.toHaveProperty('timeout');
    await p.clock.advance(3_600_000);
    expect(await items.next()).toEqual({ value: 1, done: false });
  });

  it('by the close of the client: the loop throws ClosedError, and the handler is stopped', async () => {
    for (const server of [{}, NO_SESSIONS]) {
      const { p, seen } = await countingUp(ENDLESS, {}, server);
      const items = stream(p.client, 'numbers', undefined, { buffer: 2 });
      expect(await items.next()).toEqual({ value: 1, done: false });
      await p.client.close();
      const rest = await collected(items);
      expect(rest.at(-1)).toBeInstanceOf(ClosedError);
      expect(rest.slice(0, -1)).toEqual(upTo(rest.length).slice(1));
      await p.settle();
      expect([seen.ended, p.host.clients, p.clock.pending]).toEqual([1, [], 0]);
    }
  });

  it('is at once on a closed client', async () => {
    const { p } = await countingUp(3);
    await p.client.close();
    const items = await numbers(p.client);
    expect([items.length, items[0] instanceof ClosedError]).toEqual([1, true]);
    expect(said(p)).toEqual([]);
  });

  it('by the server, which closes the client: the loop throws, and the handler is stopped', async () => {
    const { p, seen } = await countingUp(ENDLESS);
    const items = numbers(p.client, { buffer: 1 });
    await p.settle();
    p.peer.close(4_800, 'not you');
    const [error] = (await items).slice(-1);
    expect(error).toMatchObject({ name: 'SessionLostError', maybeExecuted: true });
    expect(seen.ended).toBe(1);
  });
});
