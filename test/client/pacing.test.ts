/** Between the outbox and the socket: what waits while the socket has enough to do, when all of it is there, and how to weed it. */

import { describe, expect, it } from 'vitest';
import { ClosedError, HoldfastError } from '../../src/errors.ts';
import { queued } from '../../src/queued.ts';
import { stream } from '../../src/stream.ts';
import { FEATURES } from '../../src/wire/holdfast.ts';
import { type HandServer, handServer } from '../support/hand-server.ts';
import { framesIn, type Pair, pair } from '../support/link.ts';
import { collected } from '../support/streams.ts';
import { hang, listening, NO_SESSIONS, offline } from './support.ts';

const HIGH_WATER = 65_536;
const kinds = [
  ['with a session', { features: FEATURES }],
  ['without a session', { features: ['calls', 'channels', 'binary'], session: undefined, key: undefined }],
] as const;

/** The names of the events that the client has written since the last time it was asked. */
const written = (s: HandServer) => s.news().flatMap(({ type, name }) => (type === 'event' ? [name] : []));

describe.each(kinds)('a socket that does not get rid of what it has, %s', (_what, welcome) => {
  /** A client whose socket is full. */
  const full = async (more: object = {}) => {
    const s = handServer();
    await s.welcomes({ ...welcome, ...more });
    s.socket.bufferedAmount = HIGH_WATER;
    return s;
  };

  it('holds back what waits, however long, and lets it go in order when it has', async () => {
    const s = await full();
    const receipts = ['a', 'b', 'c'].map((name) => s.client.send(name));
    await s.clock.advance(5_000);
    expect(written(s)).toEqual([]);
    expect(s.client.stats).toMatchObject({ queuedMessages: 3, sent: 0, unacknowledgedMessages: 0 });
    expect(receipts.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued']);
    s.socket.bufferedAmount = HIGH_WATER - 1;
    s.client.send('d');
    await s.clock.advance(100);
    expect(written(s)).toEqual(['a', 'b', 'c', 'd']);
    expect(s.client.stats).toMatchObject({ queuedMessages: 0, sent: 4 });
  });

  it('is looked at after 4 ms, ever later, and every 100 ms in the end; from the beginning when it has been swift', async () => {
    const s = await full();
    s.client.send('a');
    const looks: number[] = [];
    for (let i = 0; i < 8; i++) {
      await s.clock.advance(0);
      looks.push(s.clock.next);
      await s.clock.advance(s.clock.next);
    }
    expect(looks).toEqual([4, 8, 16, 32, 64, 100, 100, 100]);
    s.socket.bufferedAmount = 0;
    await s.clock.advance(100);
    expect(written(s)).toEqual(['a']);
    s.socket.bufferedAmount = HIGH_WATER;
    s.client.send('b');
    await s.clock.advance(0);
    expect(s.clock.next).toBe(4);
  });

  it('lets flush() write all the same', async () => {
    const s = await full();
    for (const name of ['a', 'b', 'c']) s.client.send(name);
    s.client.flush();
    expect(written(s)).toEqual(['a', 'b', 'c']);
    expect(s.client.stats.queuedMessages).toBe(0);
  });

  it('lets close() write all the same, and then the goodbye', async () => {
    const s = await full();
    for (const name of ['a', 'b', 'c']) s.client.send(name);
    await s.clock.advance(50);
    void s.client.close();
    expect(s.news().map(({ type, name }) => name ?? type)).toEqual(['a', 'b', 'c', 'bye']);
    expect(s.log).toEqual([]);
  });

  it('does not hold back answers and signs of life', async () => {
    const s = await full();
    s.client.handle('echo', (params) => params);
    s.client.send('a');
    const numbered = 'session' in welcome ? {} : { seq: 1 };
    await s.says({ type: 'request', id: 1, method: 'echo', params: 7, ...numbered }, { type: 'ping', nonce: 9 });
    expect(s.news().map(({ type, result, nonce }) => [type, result ?? nonce])).toEqual(
      expect.arrayContaining([
        ['response', 7],
        ['pong', 9],
      ]),
    );
    expect(s.client.stats.queuedMessages).toBe(1);
  });

  it('leaves to what is held back its priority, its ttl, its key, and cancel()', async () => {
    const s = await full();
    s.client.send('last');
    s.client.send('old', null, { ttl: 50 });
    s.client.send('replaced', 1, { key: 'k' });
    s.client.send('replaced', 2, { key: 'k' });
    const cancelled = s.client.send('cancelled');
    await s.clock.advance(40);
    s.client.send('first', null, { priority: 1 });
    expect(cancelled.cancel()).toBe(true);
    await s.clock.advance(40);
    s.socket.bufferedAmount = 0;
    await s.clock.advance(100);
    expect(s.news().map(({ name, data }) => [name, data])).toEqual([
      ['first', null],
      ['last', null],
      ['replaced', 2],
    ]);
    expect(s.log).toEqual(['drop event replaced replaced', 'drop event old expired']);
  });

  it('that is lost loses nothing of what was held back', async () => {
    const s = await full();
    for (const name of ['a', 'b']) s.client.send(name);
    await s.clock.advance(10);
    await s.cuts();
    await s.welcomes({ ...welcome, ...('session' in welcome ? {} : { session: 'second' }) });
    expect(written(s)).toEqual(['a', 'b']);
    expect(s.log).toEqual(['close 1006 again']);
  });

  it('leaves no timer behind when the client is closed', async () => {
    const s = await full();
    s.client.send('a');
    await s.clock.advance(1_000);
    const closed = s.client.close();
    s.socket.closed(1000);
    await closed;
    expect(s.clock.pending).toBe(0);
  });

  it('is given everything at once where it gets rid of it at once, in order', async () => {
    const s = handServer();
    await s.welcomes({ ...welcome, limits: { message: 1_000_000, window: 256 } });
    for (const name of ['a', 'b', 'c']) s.client.send(name, 'x'.repeat(40_000));
    s.client.send('large', 'x'.repeat(200_000));
    s.client.send('small');
    await s.clock.advance(0);
    expect(written(s)).toEqual(['a', 'b', 'c', 'large', 'small']);
  });
});

describe('a slow link', () => {
  /** From now on the socket sends so many bytes each 10 ms, and not more. Returns the most that ever waited in it. */
  function throttled(p: Pair, bytes: number) {
    const { socket } = p;
    const most = { bytes: 0 };
    const { send } = socket;
    socket.send = (message) => {
      socket.bufferedAmount += typeof message === 'string' ? message.length : message.byteLength;
      most.bytes = Math.max(most.bytes, socket.bufferedAmount);
      send.call(socket, message);
    };
    const leave = () => {
      socket.bufferedAmount = Math.max(0, socket.bufferedAmount - bytes);
      if (socket.readyState === 1) p.clock.setTimeout(leave, 10);
    };
    leave();
    return most;
  }

  it.each([
    ['with sessions', {}],
    ['without', NO_SESSIONS],
  ])('gets everything once, in order, and never has much more than 64 KiB to do (%s)', async (_what, server) => {
    const { p, got } = listening({}, server);
    await p.settle();
    const most = throttled(p, 20_000);
    const text = 'x'.repeat(1_000);
    for (let i = 0; i < 1_000; i++) p.client.send('note', [i, text]);
    expect(p.client.stats.queuedMessages).toBe(1_000);
    await p.clock.advance(100);
    expect(p.client.stats.queuedMessages).toBeGreaterThan(600);
    const drained = p.client.drained();
    await p.clock.advance(3_000);
    await drained;
    expect(got.map((data) => (data as [number])[0])).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
    expect(most.bytes).toBeGreaterThanOrEqual(HIGH_WATER);
    expect(most.bytes).toBeLessThan(2 * HIGH_WATER + 2_000);
    expect(p.client.stats).toMatchObject({ queuedMessages: 0, dropped: 0, sent: 1_000, resent: 0 });
  });
});

describe('drained()', () => {
  const session = async () => {
    const s = handServer();
    await s.welcomes({ features: FEATURES });
    return s;
  };
  /** What has become of it so far. */
  const outcome = (promise: Promise<void>) => {
    const seen = { is: 'pending' as unknown };
    promise.then(
      () => {
        seen.is = 'resolved';
      },
      (error: unknown) => {
        seen.is = error;
      },
    );
    return seen;
  };

  it('resolves at once where there is nothing, connected or not', async () => {
    const s = handServer();
    await s.client.drained();
    await s.welcomes({ features: FEATURES });
    const { pending } = s.clock;
    await s.client.drained();
    expect([s.news(), s.clock.pending]).toEqual([[], pending]);
  });

  it('asks at once how far the server is, once, and resolves when that has everything', async () => {
    const s = await session();
    s.client.send('a');
    s.client.send('b');
    const drained = outcome(s.client.drained());
    await s.clock.advance(25);
    const news = s.news();
    expect(news.map(({ type, name }) => name ?? type)).toEqual(['a', 'b', 'ping']);
    await s.clock.advance(900);
    expect([drained.is, s.news()]).toEqual(['pending', []]);
    await s.says({ type: 'pong', nonce: news[2]?.['nonce'], received: 1 });
    await s.clock.advance(25);
    expect(drained.is).toBe('pending');
    await s.says({ type: 'ack', received: 2 });
    await s.clock.advance(25);
    expect(drained.is).toBe('resolved');
  });

  it('takes less than the second that a server may take to acknowledge', async () => {
    const { p, got } = listening();
    await p.settle();
    p.client.send('note', 1);
    const receipt = p.client.channel('a').publish(2);
    const drained = outcome(p.client.drained());
    await p.clock.advance(100);
    expect([drained.is, got, receipt.status]).toEqual(['resolved', [1], 'acknowledged']);
  });

  it('does not wait for answers', async () => {
    const p = pair({}, hang);
    await p.settle();
    p.client.call('hang').catch(() => {});
    const drained = outcome(p.client.drained());
    await p.clock.advance(100);
    expect([drained.is, p.client.stats.pendingCalls]).toEqual(['resolved', 1]);
  });

  it('waits for a connection, and for what waits then', async () => {
    const { p, got, accept } = offline();
    p.client.send('note', 1);
    const drained = outcome(p.client.drained());
    await p.clock.advance(3_000);
    expect(drained.is).toBe('pending');
    await accept();
    await p.clock.advance(100);
    expect([drained.is, got]).toEqual(['resolved', [1]]);
  });

  it('without sessions resolves when everything has left the socket', async () => {
    const { p } = listening({}, NO_SESSIONS);
    await p.settle();
    p.socket.bufferedAmount = 10;
    p.client.send('note', 1);
    const drained = outcome(p.client.drained());
    await p.clock.advance(2_000);
    expect([drained.is, p.client.stats.queuedMessages]).toEqual(['pending', 0]);
    p.socket.bufferedAmount = 0;
    await p.clock.advance(25);
    expect(drained.is).toBe('resolved');
    expect(p.frames().map(({ type }) => type)).toEqual(['hello', 'event']);
  });

  it('does not wait for what is sent after it', async () => {
    const s = await session();
    s.client.send('a');
    const drained = outcome(s.client.drained());
    await s.clock.advance(0);
    s.client.send('b');
    await s.clock.advance(0);
    await s.says({ type: 'ack', received: 1 });
    await s.clock.advance(25);
    expect(drained.is).toBe('resolved');
  });

  it('resolves when what it waited for was taken back or expired', async () => {
    const { p } = offline();
    const receipt = p.client.send('note', 1);
    p.client.send('note', 2, { ttl: 500 });
    const drained = outcome(p.client.drained());
    receipt.cancel();
    await p.clock.advance(525);
    expect(drained.is).toBe('resolved');
  });

  it('goes on over a cut, and a resume', async () => {
    const s = await session();
    s.client.send('a');
    const drained = outcome(s.client.drained());
    await s.clock.advance(25);
    await s.cuts();
    await s.welcomes({ features: FEATURES, resumed: true, received: 0 });
    await s.clock.advance(50);
    expect(drained.is).toBe('pending');
    await s.says({ type: 'ack', received: 1 });
    await s.clock.advance(25);
    expect(drained.is).toBe('resolved');
  });

  it('rejects with ClosedError when the client is closed, by whomever, and on a closed client', async () => {
    for (const closes of [
      async (s: HandServer) => void s.client.close(),
      async (s: HandServer) => {
        await s.says({ type: 'bye', code: 4_800, reconnect: false, resume: false });
        s.socket.closed(4_800);
      },
    ]) {
      const s = await session();
      s.client.send('a');
      const drained = outcome(s.client.drained());
      await s.clock.advance(10);
      await closes(s);
      await s.clock.advance(25);
      expect(drained.is).toBeInstanceOf(ClosedError);
      s.socket.closed(1000);
      await s.clock.advance(0);
      await expect(s.client.drained()).rejects.toBeInstanceOf(ClosedError);
    }
  });

  it('rejects also when the client is opened again right after its close', async () => {
    const { p } = offline();
    p.client.send('note', 1);
    const drained = outcome(p.client.drained());
    await p.clock.advance(10);
    await p.client.close();
    expect(p.log[0]).toBe('drop event note closed');
    p.reachable = true;
    void p.client.connect();
    await p.clock.advance(1_000);
    expect(drained.is).toBeInstanceOf(ClosedError);
  });
});

describe('queued()', () => {
  /** A client that waits for its connection, and what it has for the server. */
  const waiting = () => {
    const { p, got, accept } = offline();
    const event = p.client.send('note', { a: [1, null] });
    const call = p.client.call('add', [1, 2]).catch((error: unknown) => error);
    const publish = p.client.channel('room').publish('hello');
    const bytes = p.client.send('note', new Uint8Array([1, 0xff]), { priority: -1 });
    const items = collected(stream(p.client, 'numbers', undefined, { signal: new AbortController().signal }));
    const first = p.client.send('note', undefined, { priority: 2.5 });
    return { p, got, accept, event, call, publish, bytes, items, first };
  };

  it('lists what waits, in the order in which it would be written, as the other side will get it', () => {
    const { p } = waiting();
    const list = queued(p.client).map(({ kind, name, data, bytes, priority }) => ({ kind, name, data, bytes, priority }));
    expect(list).toEqual([
      { kind: 'event', name: 'note', data: null, bytes: 4, priority: 2.5 },
      { kind: 'event', name: 'note', data: { a: [1, null] }, bytes: 14, priority: 0 },
      { kind: 'call', name: 'add', data: [1, 2], bytes: 5, priority: 0 },
      { kind: 'publish', name: 'room', data: 'hello', bytes: 7, priority: 0 },
      { kind: 'call', name: 'numbers', data: undefined, bytes: 0, priority: 0 },
      { kind: 'event', name: 'note', data: new Uint8Array([1, 0xff]), bytes: 2, priority: -1 },
    ]);
    expect(p.client.stats.queuedMessages).toBe(6);
  });

  it('is what is written then, in that order', async () => {
    const { p, accept } = waiting();
    const names = queued(p.client).map(({ name }) => name);
    await accept();
    const frames = p.frames().filter(({ type }) => type !== 'hello');
    expect(frames.map(({ name, method, channel }) => name ?? method ?? channel)).toEqual(names);
    expect(queued(p.client)).toEqual([]);
  });

  it('is a list as of now', async () => {
    const { p, accept } = waiting();
    const list = queued(p.client);
    Object.assign(Object(list[1]?.data), { a: 'changed' });
    p.client.send('note', 'later');
    await accept();
    expect(list).toHaveLength(6);
    expect(p.frames().find(({ data }) => typeof data === 'object' && data !== null)).toMatchObject({ data: { a: [1, null] } });
  });

  it('is empty where nothing waits: what is written and not acknowledged does not', async () => {
    const { p } = listening();
    expect(queued(p.client)).toEqual([]);
    await p.settle();
    p.client.send('note', 1);
    expect(queued(p.client)).toHaveLength(1);
    await p.settle();
    expect([queued(p.client), p.client.stats.unacknowledgedMessages]).toEqual([[], 1]);
  });

  it('takes everything back by cancel(): receipts and promises say so, nothing is written, and there is no drop event', async () => {
    const { p, got, accept, event, call, publish, bytes, items, first } = waiting();
    const list = queued(p.client);
    expect(list.map((each) => each.cancel())).toEqual(list.map(() => true));
    expect(list.map((each) => each.cancel())).toEqual(list.map(() => false));
    expect([queued(p.client), p.client.stats.queuedMessages, p.client.stats.queuedBytes]).toEqual([[], 0, 0]);
    const receipts = [event, publish, bytes, first];
    expect(receipts.map(({ status }) => status)).toEqual(receipts.map(() => 'dropped'));
    const errors = [
      await call,
      ...(await items),
      ...(await Promise.all(receipts.map(({ acknowledged }) => acknowledged.catch((e: unknown) => e)))),
    ];
    expect(errors.map((error) => error instanceof HoldfastError && error.code)).toEqual(errors.map(() => 'CANCELLED'));
    expect(errors).toHaveLength(6);
    await accept();
    await p.clock.advance(60_000); // no timeout is left of it
    expect([
      got,
      p.log,
      p
        .frames()
        .map(({ type }) => type)
        .filter((type) => !/^(hello|ping|pong)$/.test(type)),
    ]).toEqual([[], ['open'], []]);
    expect(p.client.stats).toMatchObject({ sent: 0, dropped: 0, pendingCalls: 0 });
  });

  it('takes back one, and leaves the others', async () => {
    const { p, accept } = waiting();
    queued(p.client)
      .find(({ name }) => name === 'room')
      ?.cancel();
    expect(queued(p.client).map(({ name }) => name)).toEqual(['note', 'note', 'add', 'numbers', 'note']);
    await accept();
    expect(p.frames().some(({ type }) => type === 'publish')).toBe(false);
  });

  it('says false at cancel() when it was written, replaced, or taken back otherwise, and changes nothing', async () => {
    const { p, got, accept, event, call } = waiting();
    p.client.send('note', 'old', { key: 'k' });
    const old = queued(p.client).find(({ data }) => data === 'old');
    p.client.send('note', 'new', { key: 'k' });
    const list = queued(p.client);
    expect([old?.cancel(), p.log]).toEqual([false, ['drop event note replaced']]);
    await accept();
    expect(list.map((each) => each.cancel())).toEqual(list.map(() => false));
    await p.settle();
    expect(got).toEqual([null, { a: [1, null] }, 'new', new Uint8Array([1, 0xff])]);
    expect([event.status, await call]).toMatchObject(['sent', { code: 'UNIMPLEMENTED' }]);
  });

  it('lists what the socket holds back, and takes it back', async () => {
    const s = handServer();
    await s.welcomes({ features: FEATURES });
    s.socket.bufferedAmount = HIGH_WATER;
    s.client.send('a');
    s.client.send('b');
    await s.clock.advance(0);
    const [a] = queued(s.client);
    expect([a?.name, a?.cancel()]).toEqual(['a', true]);
    s.socket.bufferedAmount = 0;
    await s.clock.advance(100);
    expect(written(s)).toEqual(['b']);
  });

  it('lists first what waits again, since its session was lost', async () => {
    const s = handServer();
    await s.welcomes({ features: FEATURES });
    s.client.send('a', 1);
    s.client.send('b', 2);
    await s.clock.advance(0);
    s.socket.closed(4412);
    s.client.send('c', 3, { priority: 9 });
    expect(queued(s.client).map(({ name, data, priority }) => [name, data, priority])).toEqual([
      ['a', 1, Infinity],
      ['b', 2, Infinity],
      ['c', 3, 9],
    ]);
  });

  it('throws a TypeError at what is no client', () => {
    for (const odd of [{}, undefined, null, 7, 'client'])
      expect(() => queued(odd as never)).toThrow(new TypeError('queued() takes a Client first'));
  });
});

describe('what is held back', () => {
  it('shares a message with what comes later', async () => {
    const s = handServer();
    await s.welcomes({ features: FEATURES });
    s.socket.bufferedAmount = HIGH_WATER;
    s.client.send('a');
    await s.clock.advance(30);
    s.client.send('b');
    s.socket.bufferedAmount = 0;
    await s.clock.advance(100);
    const [batch] = s.socket.sent.slice(-1);
    expect(framesIn(String(batch)).map(({ name }) => name)).toEqual(['a', 'b']);
  });
});
