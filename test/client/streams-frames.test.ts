/** Streams, frame by frame: what either end makes of what the other should never say. */

import { describe, expect, it } from 'vitest';
import { stream } from '../../src/stream.ts';
import { StreamItem } from '../../src/streaming.ts';
import { FEATURES } from '../../src/wire/holdfast.ts';
import { settled } from '../support/fake-clock.ts';
import { handServer } from '../support/hand-server.ts';
import { hosting } from '../support/hosting.ts';
import { collected, counting, ENDLESS, upTo } from '../support/streams.ts';

const WITH_STREAMS = { features: FEATURES };

describe('a client, of a server by hand,', () => {
  const request = (id: number) => ({ id, type: 'request', method: 'numbers', stream: true });
  const item = (id: number, data: unknown, seq: number, more: object = {}) => ({ type: 'item', id, data, seq, ...more });

  it('grants so much, and again when half of that is read', async () => {
    const s = handServer();
    await s.welcomes(WITH_STREAMS);
    const items = stream(s.client, 'numbers', undefined, { buffer: 4 });
    await s.clock.advance(0);
    expect(s.news()).toEqual([{ ...request(1), credit: 4, seq: 1 }]);
    await s.says(...upTo(4).map((i) => item(1, i, i)));
    await items.next();
    await s.clock.advance(0);
    expect(s.news()).toEqual([]);
    await items.next();
    await s.clock.advance(0);
    expect(s.news()).toEqual([{ type: 'credit', id: 1, count: 2, seq: 2 }]);
    await s.says({ type: 'end', id: 1, seq: 5 });
    expect(await collected(items)).toEqual([3, 4]);
    expect(s.news()).toEqual([]); // of what is over nobody wants more
  });

  it('writes credit before answers, where both wait for the window', async () => {
    const s = handServer();
    s.client.handle('echo', (params) => params);
    await s.welcomes({ ...WITH_STREAMS, limits: { message: 65_536, window: 1 } });
    const items = stream(s.client, 'numbers', undefined, { buffer: 1 });
    await s.clock.advance(0);
    await s.says({ type: 'request', id: 1, method: 'echo', params: 7, seq: 1 }, item(1, 'a', 2));
    await items.next();
    await s.clock.advance(0);
    expect(s.news()).toMatchObject([{ type: 'request' }]);
    await s.says({ type: 'ack', received: 1 });
    expect(s.news()).toMatchObject([{ type: 'credit', count: 1, seq: 2 }]);
    await s.says({ type: 'ack', received: 2 });
    expect(s.news()).toMatchObject([{ type: 'response', result: 7, seq: 3 }]);
  });

  it.each([
    ['more than was granted', [item(1, 1, 1), item(1, 2, 2), item(1, 3, 3)]],
    ['for a call', [item(2, 1, 1)]],
  ])('closes with 4003 at an item %s', async (_what, frames) => {
    const s = handServer();
    await s.welcomes(WITH_STREAMS);
    const items = collected(stream(s.client, 'numbers', undefined, { buffer: 2 }));
    // Nothing of the loop runs between frames of one batch.
    const call = s.client.call('echo').catch(({ code }) => code);
    await s.clock.advance(0);
    s.socket.says(JSON.stringify(frames));
    expect(s.socket.closes).toEqual([[4003, 'An item came without credit']]);
    await s.clock.advance(0);
    expect(await call).toBe('SESSION_LOST');
    expect((await items).at(-1)).toMatchObject({ code: 'SESSION_LOST' });
  });

  it('ignores what comes after the end, for a stream that was left, and for what it never asked', async () => {
    const s = handServer();
    await s.welcomes(WITH_STREAMS);
    const ended = collected(stream(s.client, 'numbers'));
    const leaving = stream(s.client, 'numbers');
    await s.clock.advance(0);
    await s.says(item(1, 'a', 1), { type: 'end', id: 1, seq: 2 }, item(1, 'b', 3), { type: 'end', id: 1, seq: 4 });
    expect(await ended).toEqual(['a']);
    await leaving.return?.();
    await s.says(item(2, 'c', 5), { type: 'error', id: 2, error: { code: 'CANCELLED' }, seq: 6 }, item(9, 'd', 7), {
      type: 'end',
      id: 9,
      seq: 8,
    });
    s.client.send('alive');
    await s.clock.advance(0);
    expect(s.news().map(({ type }) => type)).toEqual(['request', 'request', 'cancel', 'event']);
    expect(s.client.state.status).toBe('open');
  });

  it('takes a response and an error as the end, with what came before them', async () => {
    const s = handServer();
    await s.welcomes(WITH_STREAMS);
    const streams = [1, 2, 3].map(() => collected(stream(s.client, 'numbers')));
    await s.clock.advance(0);
    await s.says(
      ...[item(1, 'a', 1), { type: 'response', id: 1, result: 'b', seq: 2 }],
      ...[item(2, 'c', 3), { type: 'error', id: 2, error: { code: 'x' }, seq: 4 }],
      { type: 'response', id: 3, seq: 5 },
    );
    expect(await Promise.all(streams)).toMatchObject([['a', 'b'], ['c', { code: 'x' }], []]);
  });

  it('takes null for a cursor that is not there', async () => {
    const s = handServer();
    await s.welcomes(WITH_STREAMS);
    const items = stream(s.client, 'numbers');
    await s.clock.advance(0);
    await s.says(item(1, 'a', 1, { cursor: null }));
    await items.next();
    expect(items.cursor ?? undefined).toBeUndefined();
    await s.cuts();
    await s.welcomes({ ...WITH_STREAMS, session: 'second' });
    expect(await collected(items)).toMatchObject([{ code: 'SESSION_LOST' }]);
  });
});

describe('a server, of a client by hand,', () => {
  const request = (more: object = {}) => ({ type: 'request', id: 1, method: 'numbers', stream: true, ...more });
  const server = async (count = ENDLESS, features: readonly string[] = ['calls', 'streams']) => {
    const { handler, seen } = counting(count);
    const h = hosting({ handlers: { methods: { numbers: handler, wait: () => new Promise(() => {}) } } });
    const peer = await h.welcomed({ features });
    const says = async (...frames: unknown[]) => {
      await peer.says(...frames);
      for (let i = 0; i < 10; i++) await settled();
    };
    return { h, seen, ...peer, says };
  };
  const items = (frames: { type: string; data?: unknown }[]) => frames.map(({ type, data }) => (type === 'item' ? data : type));

  it('sends as many items as it has credit for, and 32 where the request does not say', async () => {
    const s = await server();
    await s.says(request({ credit: 2 }));
    expect(items(s.news())).toEqual([1, 2]);
    await s.says({ type: 'credit', id: 1, count: 3 });
    expect(items(s.news())).toEqual([3, 4, 5]);
    await s.says(request({ id: 2 }));
    expect(s.news()).toHaveLength(32);
    await s.says(request({ id: 3, credit: null }));
    expect(s.news()).toHaveLength(32);
  });

  it('starts paused where the credit is 0: the handler has not begun', async () => {
    const s = await server(2);
    await s.says(request({ credit: 0 }));
    expect([s.news(), s.seen.begun]).toEqual([[], []]);
    await s.says({ type: 'credit', id: 1, count: 1 });
    expect([items(s.news()), s.seen.yielded]).toEqual([[1], 1]);
    await s.says({ type: 'credit', id: 1, count: 9 });
    expect(items(s.news())).toEqual([2, 'end']);
  });

  it('adds up what is granted in one message', async () => {
    const s = await server();
    await s.says([request({ credit: 1 }), { type: 'credit', id: 1, count: 1 }, { type: 'credit', id: 1, count: 1 }]);
    expect(items(s.news())).toEqual([1, 2, 3]);
  });

  it.each([
    ['in the request', [request({ credit: 65_537 })]],
    ['at once', [request({ credit: 0 }), { type: 'credit', id: 1, count: 65_537 }]],
    ['added up', [request({ credit: 1 }), { type: 'credit', id: 1, count: 65_536 }]],
    ['as large as it gets', [request({ credit: 0 }), { type: 'credit', id: 1, count: Number.MAX_SAFE_INTEGER }]],
  ])('closes with 4400 at more than 65536 outstanding, %s, and stops the handler', async (_what, frames) => {
    const s = await server(100);
    await s.says(frames);
    expect(s.closes).toEqual([4400]);
    await s.says();
    expect(s.seen.ended).toBe(s.seen.begun.length);
    expect(s.h.errors).toEqual([]);
  });

  it('takes 65536 outstanding', async () => {
    const s = await server(1);
    await s.says([request({ credit: 0 }), { type: 'credit', id: 1, count: 65_535 }, { type: 'credit', id: 1, count: 1 }]);
    expect([items(s.news()), s.closes]).toEqual([[1, 'end'], []]);
  });

  it('ignores credit for what nobody asked, for a call, and for what is over', async () => {
    const s = await server(1);
    await s.says({ type: 'credit', id: 7, count: 65_536 });
    await s.says({ type: 'request', id: 2, method: 'wait' }, { type: 'credit', id: 2, count: 65_536 });
    await s.says(request({ credit: 9 }));
    await s.says({ type: 'credit', id: 1, count: 65_536 });
    expect([items(s.news()), s.closes]).toEqual([[1, 'end'], []]);
  });

  it('answers a cancel once, however often it comes, and sends nothing after', async () => {
    const s = await server();
    await s.says(request({ credit: 1 }));
    s.news();
    await s.says({ type: 'cancel', id: 1 }, { type: 'cancel', id: 1 }, { type: 'credit', id: 1, count: 5 });
    expect(s.news()).toMatchObject([{ type: 'error', id: 1, error: { code: 'CANCELLED' } }]);
    expect([s.seen.ended, s.seen.yielded, s.closes]).toEqual([1, 1, []]);
  });

  it('that is cancelled before the handler has made its stream leaves none behind', async () => {
    const ends: string[] = [];
    let make: (items: unknown) => void = () => {};
    const h = hosting({ handlers: { methods: { numbers: () => new Promise((resolve) => (make = resolve)) } } });
    const s = await h.welcomed({ features: ['calls', 'streams'] });
    await s.says(request(), { type: 'cancel', id: 1 });
    make({
      [Symbol.asyncIterator]: () => {
        ends.push('begun');
        return { next: () => new Promise(() => {}), return: async () => ends.push('ended') };
      },
    });
    await s.says();
    expect(s.news()).toMatchObject([{ type: 'error', id: 1 }]);
    expect(ends.filter((each) => each === 'begun')).toHaveLength(ends.filter((each) => each === 'ended').length);
    expect(h.host.clients[0]?.isBusy).toBe(false);
  });

  it('sends bytes as a message of their own, and the cursor with them', async () => {
    const h = hosting({
      handlers: {
        methods: {
          async *numbers() {
            yield new StreamItem(new Uint8Array([1, 2]), 'at');
          },
        },
      },
    });
    const sent: unknown[] = [];
    const port = h.host.accept(
      { bufferedAmount: 0, send: (message) => sent.push(message), close: () => {}, terminate: () => {} },
      { url: '/', headers: {}, address: '' },
    );
    port.receive(
      JSON.stringify({
        type: 'hello',
        version: 1,
        features: ['calls', 'streams', 'binary'],
        limits: { message: 65_536, window: 256 },
        attempt: 0,
      }),
    );
    await h.clock.advance(0);
    port.receive(JSON.stringify(request()));
    await h.clock.advance(0);
    const head = new TextEncoder().encode('{"type":"item","id":1,"cursor":"at"}');
    expect(sent.slice(1)).toEqual([new Uint8Array([...head, 0xff, 1, 2]), '{"type":"end","id":1}']);
  });

  it('refuses bytes to a client that takes none', async () => {
    const h = hosting({
      handlers: {
        methods: {
          async *numbers() {
            yield new Uint8Array(1);
          },
        },
      },
    });
    const s = await h.welcomed({ features: ['calls', 'streams'] });
    await s.says(request());
    expect(s.news()).toMatchObject([{ type: 'error', id: 1, error: { code: 'RESOURCE_EXHAUSTED' } }]);
  });
});
