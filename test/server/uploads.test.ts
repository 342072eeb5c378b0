/** Uploads on the server, of clients by hand: what is granted when, what handlers read, and what becomes of what nobody reads. */

import { describe, expect, it } from 'vitest';
import { CallError } from '../../src/errors.ts';
import type { HandlerContext, HostOptions } from '../../src/server/options.ts';
import { settled } from '../support/fake-clock.ts';
import { hosting } from '../support/hosting.ts';
import type { Frame } from '../support/link.ts';
import { upTo } from '../support/streams.ts';
import { led, storing } from '../support/uploads.ts';

const HELLO = { features: ['calls', 'binary', 'uploads', 'streams'] };
const request = (id: number, more: object = {}) => ({ type: 'request', id, method: 'hold', upload: true, ...more });
const chunk = (id: number, data: unknown) => ({ type: 'chunk', id, data });
const finish = (id: number) => ({ type: 'finish', id });
const settle = async () => {
  for (let i = 0; i < 10; i++) await settled();
};

/** A client without a session, of a server with `hold`, which does what the test says, and `store`, which reads everything. */
async function serving(options: HostOptions = {}) {
  const { handler, calls } = led();
  const { handler: store, seen } = storing();
  const wait = () => new Promise(() => {});
  const methods = { hold: handler, store, wait, echo: (params: unknown) => params, ...options.handlers?.methods };
  const h = hosting({ ...options, handlers: { methods } });
  const peer = await h.welcomed(HELLO);
  const says = async (...frames: unknown[]) => {
    await peer.says(...frames);
    await settle();
  };
  /** Asks for an upload, and its handler has it. */
  const begins = async (id: number, more: object = {}) => {
    await says(request(id, more));
    const call = calls.at(-1);
    if (!call) throw new Error('nobody was asked');
    return call;
  };
  return { h, calls, seen, ...peer, says, begins };
}
/** Frames in words: "grant 16 for 1", "response 1", "error 1 CANCELLED". */
const told = (frames: Frame[]) =>
  frames.map(({ type, id, count, error }) =>
    type === 'grant' ? `grant ${count} for ${id}` : [type, id, (error as { code: string } | undefined)?.code].filter(Boolean).join(' '),
  );

describe('a server', () => {
  it('grants nothing before the handler reads, then 16, then 8 for each 8 that it has read', async () => {
    const s = await serving();
    const call = await s.begins(1);
    await s.h.clock.advance(5_000);
    expect(s.news()).toEqual([]);
    const first = call.read(1);
    await settle();
    expect(told(s.news())).toEqual(['grant 16 for 1']);
    await s.says(...upTo(16).map((i) => chunk(1, i)));
    expect(await first).toEqual([1]);
    const grants: string[][] = [];
    for (let i = 2; i <= 16; i++) {
      await call.read(1);
      await settle();
      grants.push(told(s.news()));
    }
    expect(grants.map(({ length }) => length)).toEqual([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    expect(new Set(grants.flat())).toEqual(new Set(['grant 8 for 1']));
  });

  it('gives the items as they came, then the end, and answers with what the handler returns', async () => {
    const s = await serving();
    await s.says(request(1, { method: 'store' }), [chunk(1, 'a'), chunk(1, null)], chunk(1, { b: 2 }), finish(1));
    expect([s.seen.items, told(s.news())]).toEqual([
      ['a', null, { b: 2 }],
      ['grant 16 for 1', 'response 1'],
    ]);
  });

  it('takes bytes as they come, and hands them on as a Uint8Array', async () => {
    const s = await serving();
    const head = new TextEncoder().encode(JSON.stringify({ type: 'chunk', id: 1 }));
    await s.says(request(1, { method: 'store' }), new Uint8Array([...head, 0xff, 0, 0xff, 7]), new Uint8Array([...head, 0xff]), finish(1));
    expect(s.seen.items).toEqual([new Uint8Array([0, 0xff, 7]), new Uint8Array()]);
    expect(s.seen.items[0]).toBeInstanceOf(Uint8Array);
  });

  it('keeps what comes for a handler that is slow, and grants no more than it has room for', async () => {
    const s = await serving();
    const call = await s.begins(1);
    let [granted, sent] = [0, 0];
    /** Sends whatever it may. */
    const fill = async () => {
      await settle();
      for (const { type, count } of s.news()) if (type === 'grant') granted += Number(count);
      while (sent < granted) await s.says(chunk(1, ++sent));
    };
    for (let read = 1; read <= 60; read++) {
      const [[item]] = await Promise.all([call.read(1), fill()]);
      await fill();
      expect([item, granted - read]).toEqual([read, 16 - (read % 8)]);
    }
    expect(s.closes).toEqual([]);
  });

  it('grants no more when the handler has left its loop, and drops what comes', async () => {
    const s = await serving();
    const call = await s.begins(1);
    void call.read(1);
    await settle();
    await s.says(chunk(1, 1));
    await call.items.return?.();
    await s.says(...upTo(15).map((i) => chunk(1, i)));
    expect(await call.items.next()).toEqual({ value: undefined, done: true });
    expect(told(s.news())).toEqual(['grant 16 for 1']);
    call.answer('done');
    await settle();
    expect([told(s.news()), s.closes]).toEqual([['response 1'], []]);
  });

  it('grants nothing to a handler that leaves its loop before it has begun', async () => {
    const s = await serving();
    const call = await s.begins(1);
    await call.items.return?.();
    expect([await call.items.next(), s.news()]).toEqual([{ value: undefined, done: true }, []]);
  });

  it('grants no more when there are no more', async () => {
    const s = await serving();
    const call = await s.begins(1);
    const all = call.read(10);
    await settle();
    await s.says(...upTo(10).map((i) => chunk(1, i)), finish(1));
    expect([await all, await call.items.next()]).toEqual([upTo(10), { value: undefined, done: true }]);
    expect(told(s.news())).toEqual(['grant 16 for 1']);
  });

  it('ends an upload that is finished before its handler reads, and grants nothing for it', async () => {
    const s = await serving();
    const call = await s.begins(1);
    await s.says(finish(1));
    expect(await call.items.next()).toEqual({ value: undefined, done: true });
    expect(s.news()).toEqual([]);
  });

  it('tells the handler that is cancelled while it waits: its loop throws, and its signal says why', async () => {
    const s = await serving();
    await s.says(request(1, { method: 'store' }), chunk(1, 'a'), { type: 'cancel', id: 1 });
    expect(s.seen).toEqual({ begun: 1, ended: 1, items: ['a'], thrown: ['CANCELLED'], aborts: ['CANCELLED'] });
    expect([told(s.news()), s.h.errors]).toEqual([['grant 16 for 1', 'error 1 CANCELLED'], []]);
  });

  it('tells the handler whose time is over', async () => {
    const s = await serving();
    await s.says(request(1, { method: 'store', timeout: 300 }));
    await s.h.clock.advance(300);
    await settle();
    expect(s.seen).toMatchObject({ thrown: ['CANCELLED'], aborts: ['DEADLINE_EXCEEDED'] });
    expect(told(s.news())).toEqual(['grant 16 for 1', 'error 1 DEADLINE_EXCEEDED']);
  });

  it('grants nothing to a handler that begins to read when its call is over', async () => {
    const s = await serving();
    const call = await s.begins(1);
    await s.says({ type: 'cancel', id: 1 });
    s.news();
    await expect(call.items.next()).rejects.toMatchObject({ code: 'CANCELLED' });
    expect([await call.items.next(), s.news()]).toEqual([{ value: undefined, done: true }, []]);
  });

  it('answers early, with a result or an error, and ignores what still comes', async () => {
    const s = await serving();
    for (const id of [1, 2]) {
      const call = await s.begins(id);
      void call.read(1);
      await settle();
      await s.says(chunk(id, 'a'));
      if (id === 1) call.answer('enough');
      else call.fail(new CallError('sold_out'));
      await s.says(...upTo(15).map((i) => chunk(id, i)), finish(id));
    }
    expect(told(s.news())).toEqual(['grant 16 for 1', 'response 1', 'grant 16 for 2', 'error 2 sold_out']);
    expect([s.closes, s.h.host.clients[0]?.isBusy]).toEqual([[], false]);
  });

  it('answers a method that streams and reads an upload at the same time', async () => {
    const s = await serving({
      handlers: {
        methods: {
          async *double(_: unknown, { upload }: HandlerContext) {
            for await (const item of upload) yield Number(item) * 2;
          },
        },
      },
    });
    await s.says(request(1, { method: 'double', stream: true, credit: 9 }));
    await s.says(chunk(1, 4), chunk(1, 5), finish(1));
    expect(s.news()).toEqual([
      { type: 'grant', id: 1, count: 16 },
      { type: 'item', id: 1, data: 8 },
      { type: 'item', id: 1, data: 10 },
      { type: 'end', id: 1 },
    ]);
  });
});

describe('what is no upload', () => {
  it.each([{}, { upload: false }, { upload: null }])(
    'is a request with %j: FAILED_PRECONDITION where the handler wants one',
    async (more) => {
      const s = await serving();
      await s.says({ type: 'request', id: 1, method: 'store', ...more });
      expect([told(s.news()), s.h.errors]).toEqual([['error 1 FAILED_PRECONDITION'], []]);
    },
  );

  it('is a method that reads none: it is answered, and nothing is granted', async () => {
    const s = await serving();
    await s.says(request(1, { method: 'echo', params: 7 }), finish(1));
    expect(s.news()).toEqual([{ type: 'response', id: 1, result: 7 }]);
  });

  it('has nothing to do with keys: an upload that has one is executed each time', async () => {
    const s = await serving();
    for (const id of [1, 2]) await s.says(request(id, { method: 'store', idempotencyKey: 'k' }), chunk(id, id), finish(id));
    expect([s.seen.begun, s.seen.items]).toEqual([2, [1, 2]]);
    expect(s.news().flatMap(({ type, result }) => (type === 'response' ? [result] : []))).toEqual([1, 1]);
  });
});

describe('limits.uploads', () => {
  it('are 16 of one client at once, where nothing else is said; another one has its place later, and others theirs', async () => {
    const s = await serving();
    for (let id = 1; id <= 17; id++) await s.says(request(id));
    expect([s.calls.length, told(s.news())]).toEqual([16, ['error 17 RESOURCE_EXHAUSTED']]);
    await s.says({ type: 'request', id: 18, method: 'echo' });
    const other = await s.h.welcomed(HELLO);
    await other.says(request(1));
    expect([s.calls.length, told(s.news()), other.news()]).toEqual([17, ['response 18'], []]);
    s.calls[3]?.answer('done');
    await settle();
    await s.says(request(19), request(20));
    expect([s.calls.length, told(s.news())]).toEqual([18, ['response 4', 'error 20 RESOURCE_EXHAUSTED']]);
    await s.says({ type: 'cancel', id: 5 }, request(21));
    expect(told(s.news())).toEqual(['error 5 CANCELLED']);
  });

  it.each([0, 1])('are %i where that is said, beside whatever calls there are', async (uploads) => {
    const s = await serving({ limits: { uploads } });
    for (const id of [1, 2]) await s.says({ type: 'request', id, method: 'wait' });
    await s.says(request(3), request(4));
    expect(told(s.news())).toEqual([3, 4].slice(uploads).map((id) => `error ${id} RESOURCE_EXHAUSTED`));
  });

  it.each([-1, 1.5, '1'])('throws a TypeError at %j', (uploads) => {
    expect(() => hosting({ limits: { uploads: uploads as number } })).toThrow(/limits\.uploads/);
  });
});
