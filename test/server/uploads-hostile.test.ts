/** Uploads by clients that do as they like: what ends their connection, what is ignored, and what it may cost. */

import { describe, expect, it } from 'vitest';
import type { HostOptions } from '../../src/server/options.ts';
import { settled } from '../support/fake-clock.ts';
import { hosting } from '../support/hosting.ts';
import { SESSION_HELLO, sessionHost } from '../support/session-host.ts';
import { upTo } from '../support/streams.ts';
import { led, storing } from '../support/uploads.ts';

const HELLO = { features: ['calls', 'binary', 'uploads', 'streams'] };
const KIB_64 = 65_536;
const request = (id: number, more: object = {}) => ({ type: 'request', id, method: 'store', upload: true, ...more });
const chunk = (id: number, data: unknown, more: object = {}) => ({ type: 'chunk', id, data, ...more });
const finish = (id: number, more: object = {}) => ({ type: 'finish', id, ...more });
const binary = (head: object, bytes: number) => {
  const start = new TextEncoder().encode(JSON.stringify(head));
  const message = new Uint8Array(start.length + 1 + bytes);
  message.set([...start, 0xff]);
  return message;
};

async function serving(options: HostOptions = {}) {
  const { handler: hold, calls } = led();
  const { handler: store, seen } = storing();
  const wait = () => new Promise(() => {});
  const h = hosting({ ...options, handlers: { methods: { hold, store, wait } } });
  const peer = await h.welcomed(HELLO);
  const says = async (...frames: unknown[]) => {
    await peer.says(...frames);
    for (let i = 0; i < 10; i++) await settled();
  };
  return { h, calls, seen, ...peer, says };
}

describe('a violation (4400), and the handler is told,', () => {
  it.each<[string, unknown[]]>([
    ['is a chunk for a handler that has not read yet', [request(1, { method: 'hold' }), chunk(1, 'a')]],
    ['is a chunk for a call that is no upload', [{ type: 'request', id: 1, method: 'wait' }, chunk(1, 'a')]],
    ['is the end of a call that is no upload', [{ type: 'request', id: 1, method: 'wait' }, finish(1)]],
    ['is a chunk in the message of its request', [[request(1, { method: 'hold' }), chunk(1, 'a')]]],
    ['is one more than was granted', [request(1, { method: 'hold' }), 'reads', ...upTo(17).map((i) => chunk(1, i))]],
    ['is one more than was granted, in one message', [request(1), upTo(17).map((i) => chunk(1, i))]],
    ['is a chunk of more than 64 KiB, as bytes', [request(1), binary({ type: 'chunk', id: 1 }, KIB_64 + 1_024)]],
    ['is a chunk of more than 64 KiB, as JSON', [request(1), chunk(1, 'x'.repeat(KIB_64 + 1_024))]],
    ['is a chunk of more than 64 KiB behind another frame', [request(1), [{ type: 'ping' }, chunk(1, 'x'.repeat(KIB_64 + 1_024))]]],
    ['is a chunk with a number, where there is no session', [request(1), chunk(1, 'a', { seq: 2 })]],
    ['is a finish with a number, where there is no session', [request(1), finish(1, { seq: 2 })]],
    ['is a chunk without data', [request(1), { type: 'chunk', id: 1 }]],
    ['is a chunk without an id', [request(1), { type: 'chunk', data: 1 }]],
    ['is a chunk with an id of 0', [request(1), chunk(0, 'a')]],
    ['is a finish without an id', [request(1), { type: 'finish' }]],
    ['is a finish with bytes', [request(1), binary({ type: 'finish', id: 1 }, 3)]],
    ['is an upload that is no true and no false', [request(1), request(2, { upload: 1 })]],
    ['is an upload with an id that was used', [request(1), request(1)]],
  ])('%s', async (_what, frames) => {
    const s = await serving();
    for (const frame of frames) {
      if (frame === 'reads') s.calls[0]?.items.next().catch(() => {});
      await s.says(...(frame === 'reads' ? [] : [frame]));
    }
    expect(s.closes).toEqual([4400]);
    for (const { signal } of s.calls) expect(signal.aborted).toBe(true);
    expect([s.seen.ended, s.h.errors, s.h.host.clients]).toEqual([s.seen.begun, [], []]);
    if (s.seen.begun > 0) expect(s.seen.aborts).toEqual(['SESSION_LOST']);
  });

  it.each<[string, object]>([
    ['a chunk', chunk(1, 'a')],
    ['a finish', finish(1)],
    ['an upload', request(1)],
  ])('is %s before hello, and one between hello and welcome', async (_what, frame) => {
    const h = hosting({ authenticate: () => new Promise(() => {}) });
    const early = h.connect();
    await early.says(frame);
    const impatient = h.connect();
    await impatient.says({ type: 'hello', version: 1, ...HELLO, limits: { message: 65_536, window: 256 }, attempt: 0 }, frame);
    expect([early.closes, impatient.closes]).toEqual([[4400], [4400]]);
  });

  it.each<[string, object]>([
    ['a chunk', chunk(1, 'a')],
    ['a chunk with null', chunk(1, 'a', { seq: null })],
    ['a finish', finish(1)],
  ])('is %s without a number in a session', async (_what, frame) => {
    const { handler, seen } = storing();
    const h = sessionHost({ handlers: { methods: { store: handler } } });
    const peer = await h.comes({ features: [...SESSION_HELLO.features, 'uploads'] });
    await peer.says({ ...request(1), seq: 1 }, frame);
    expect(peer.closes).toEqual([4400]);
    expect(seen).toMatchObject({ items: [], thrown: ['CANCELLED'] });
  });

  it('is not the hole that a chunk leaves: that is a gap (4412)', async () => {
    const { handler, seen } = storing();
    const h = sessionHost({ handlers: { methods: { store: handler } } });
    const peer = await h.comes({ features: [...SESSION_HELLO.features, 'uploads'] });
    await peer.says({ ...request(1), seq: 1 }, chunk(1, 'a', { seq: 3 }));
    expect([peer.closes, seen.items]).toEqual([[4412], []]);
  });
});

describe('what is ignored', () => {
  it('is a chunk and a finish for what nobody asked, and for what is over', async () => {
    const s = await serving();
    await s.says(chunk(77, 'a'), finish(77));
    await s.says(request(2), chunk(2, 'a'), finish(2));
    await s.says(request(3), { type: 'cancel', id: 3 }, ...upTo(20).map((i) => chunk(3, i)), finish(3));
    await s.says(...upTo(20).map((i) => chunk(2, i)), finish(2));
    expect([s.seen.items, s.closes, s.h.errors]).toEqual([['a'], [], []]);
    expect(s.news().map(({ type, id }) => `${type} ${id}`)).toEqual(['grant 2', 'response 2', 'grant 3', 'error 3']);
  });

  it('is a second finish, and a chunk after it that was granted', async () => {
    const s = await serving();
    await s.says(request(1, { method: 'hold' }));
    const [call] = s.calls;
    const first = call?.read(1);
    await s.says(chunk(1, 'a'), finish(1), finish(1), chunk(1, 'late'), finish(1));
    expect(await first).toEqual(['a']);
    expect([await call?.items.next(), s.closes]).toEqual([{ value: undefined, done: true }, []]);
  });

  it('is a grant by a client, which is a type that nobody knows there', async () => {
    const s = await serving();
    await s.says(request(1), { type: 'grant', id: 1, count: 1e9 }, chunk(1, 'a'), finish(1));
    expect([s.seen.items, s.closes]).toEqual([['a'], []]);
  });
});

describe('an upload that nobody takes', () => {
  it('of methods that nobody has is UNIMPLEMENTED, however many, and costs nothing', async () => {
    const s = await serving();
    const names = ['nothing', 'toString', 'constructor', '__proto__', ''];
    for (let id = 1; id <= 100; id++) await s.says(request(id, { method: names[id % names.length] }), finish(id), chunk(id, 'a'));
    expect(new Set(s.news().map(({ error }) => (error as { code: string }).code))).toEqual(new Set(['UNIMPLEMENTED']));
    expect([s.closes, s.h.host.clients[0]?.isBusy]).toEqual([[], false]);
  });

  it('is one more than there may be: what comes for it is ignored', async () => {
    const s = await serving();
    for (let id = 1; id <= 17; id++) await s.says(request(id, { method: 'hold' }));
    await s.says(...upTo(20).map((i) => chunk(17, i)), finish(17));
    expect(s.news()).toMatchObject([{ type: 'error', id: 17, error: { code: 'RESOURCE_EXHAUSTED' } }]);
    expect([s.calls.length, s.closes]).toEqual([16, []]);
  });

  it('is one more call than there may be', async () => {
    const s = await serving({ limits: { calls: 2 } });
    for (let id = 1; id <= 3; id++) await s.says(request(id, { method: 'hold' }), { type: 'cancel', id });
    expect(s.news().map(({ error }) => (error as { code: string }).code)).toEqual(['CANCELLED', 'CANCELLED', 'RESOURCE_EXHAUSTED']);
  });
});

describe('what a client can make a server keep', () => {
  it('is 16 items of 64 KiB for each of 16 uploads, whose handlers are slow', async () => {
    const s = await serving();
    const granted = new Map<unknown, number>();
    const grants = () => {
      for (const { type, id, count } of s.news()) if (type === 'grant') granted.set(id, (granted.get(id) ?? 0) + Number(count));
    };
    for (let id = 1; id <= 20; id++) await s.says(request(id, { method: 'hold' }));
    for (const call of s.calls) void call.items.next();
    await s.says();
    grants();
    expect([granted.size, new Set(granted.values())]).toEqual([16, new Set([16])]);
    // Everything that it may: one item is read of each, and 15 wait.
    for (const id of granted.keys()) await s.says(...upTo(16).map(() => binary({ type: 'chunk', id }, KIB_64)));
    grants();
    expect([s.closes, new Set(granted.values())]).toEqual([[], new Set([16])]);
    await s.says(binary({ type: 'chunk', id: 1 }, 1));
    expect(s.closes).toEqual([4400]);
  });

  it('is a chunk of 64 KiB, with what stands around it, as bytes and as JSON', async () => {
    const s = await serving();
    await s.says(request(1), binary({ type: 'chunk', id: 1 }, KIB_64), chunk(1, 'x'.repeat(KIB_64 - 2)), finish(1));
    expect([s.seen.items.map((item) => (item as string).length), s.closes]).toEqual([[KIB_64, KIB_64 - 2], []]);
  });

  it('is nothing of an upload that is cancelled, whatever its handler does', async () => {
    const s = await serving();
    for (let id = 1; id <= 100; id++) {
      await s.says(request(id, { method: 'hold' }));
      const call = s.calls.at(-1);
      const first = call?.read(1);
      await s.says(...upTo(9).map((i) => chunk(id, i)), { type: 'cancel', id }, ...upTo(7).map((i) => chunk(id, i)));
      expect(await first).toEqual([1]); // and it is busy with that
      expect(await call?.items.next().catch(({ code }) => code)).toBe('CANCELLED');
      expect(await call?.items.next()).toEqual({ value: undefined, done: true });
    }
    expect([s.closes, s.h.host.clients[0]?.isBusy]).toEqual([[], false]);
  });
});
