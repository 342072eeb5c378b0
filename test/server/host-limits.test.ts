/** The server without sockets: limits, frames, life and death. */

import { describe, expect, it, vi } from 'vitest';
import { WINDOW } from '../../src/core/session.ts';
import { UnsupportedError } from '../../src/errors.ts';
import { Host } from '../../src/server/host.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import { odd } from '../support/face.ts';
import { settled } from '../support/fake-clock.ts';
import { HELLO, hosting, types } from '../support/hosting.ts';
import { pair } from '../support/link.ts';

describe('limits', () => {
  it('close with 4413 at a message that is too large', async () => {
    const { welcomed } = hosting({ limits: { message: 1_024 } });
    const [peer, other] = [await welcomed(), await welcomed()];
    await peer.says({ type: 'event', name: 'a', data: 'é'.repeat(600) });
    expect(peer.closes).toEqual([4_413]);
    expect(other.closes).toEqual([]);
  });

  it('close with 4429 above the rate, which time makes up for; pings and subscribes do not count', async () => {
    const { welcomed, clock } = hosting({ limits: { rate: 1, burst: 2 } });
    const peer = await welcomed();
    const event = { type: 'event', name: 'a', data: 1 };
    await peer.says(event, event);
    await clock.advance(1_000);
    await peer.says(event, ...Array(10).fill({ type: 'ping' }), { type: 'subscribe', id: 1, channel: 'a' });
    expect(peer.closes).toEqual([]);
    await peer.says(event);
    expect(peer.closes).toEqual([4_429]);
    expect(peer.received.at(-1)).toMatchObject({ type: 'bye', reconnect: true, retryAfter: 1_000 });
  });

  it('are no wider for who comes back again and again: what is sent again has its rate, too', async () => {
    const p = pair({ backoff: () => 0 }, { limits: { rate: 10, burst: 20 }, handlers: { events: { note: () => {} } } });
    await p.settle();
    let handled = 0;
    const { clock } = p;
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 300; j++) p.client.send('note', j);
      await clock.advance(10);
      p.client.reconnect();
      await clock.advance(10);
    }
    handled = p.client.stats.acknowledged;
    expect(handled).toBeGreaterThan(0);
    expect(handled).toBeLessThan(WINDOW + 20 + 100); // what may have been sent before, the burst, and what a second or two allow
  });

  it('send away the connection too many, in all and from one address, and take another when one has gone', async () => {
    const { connect, welcomed } = hosting({ limits: { connections: 3, connectionsPerAddress: 2 } });
    const first = await welcomed({}, 'a');
    await welcomed({}, 'a');
    const third = connect('a');
    await settled();
    expect(third.closes).toEqual([4_429]);
    await welcomed({}, 'b');
    const fifth = connect('c');
    await settled();
    expect(fifth.closes).toEqual([4_429]);
    expect(types(fifth.received)).toEqual(['bye']);
    first.port.closed();
    await welcomed({}, 'a');
  });

  it('refuse channels and calls above their number with RESOURCE_EXHAUSTED, in hello too', async () => {
    const { connect } = hosting({ limits: { subscriptions: 1, calls: 1 }, handlers: { methods: { hang: () => new Promise(() => {}) } } });
    const peer = connect();
    await peer.says({ ...HELLO, subscriptions: [{ channel: 'a' }, { channel: 'b' }] });
    expect(peer.news()[0]?.['subscriptions']).toMatchObject([{ recovered: false }, { error: { code: 'RESOURCE_EXHAUSTED' } }]);
    const request = { type: 'request', method: 'hang' };
    await peer.says({ type: 'subscribe', id: 1, channel: 'c' }, { ...request, id: 2 }, { ...request, id: 3 });
    await peer.says({ type: 'subscribe', id: 4, channel: 'a' }); // has its place already
    expect(peer.news()).toMatchObject([
      { type: 'error', id: 1, error: { code: 'RESOURCE_EXHAUSTED' } },
      { type: 'error', id: 3, error: { code: 'RESOURCE_EXHAUSTED' } },
      { type: 'response', id: 4 },
    ]);
    expect(peer.closes).toEqual([]);
  });

  it('close a slow consumer with 4422, without a goodbye in its way', async () => {
    const { host, welcomed } = hosting({ limits: { buffered: 1_000 } });
    const [slow, quick] = [await welcomed(), await welcomed()];
    slow.reach.bufferedAmount = 1_001;
    quick.reach.bufferedAmount = 1_000;
    host.broadcast('note', 1);
    await settled();
    expect([slow.closes, quick.closes]).toEqual([[4_422], []]);
    expect(types(slow.received)).not.toContain('bye');
    expect(host.clients).toHaveLength(1);
  });

  it('bound what is written again of histories: what is more than half of `buffered` is not recovered', async () => {
    const { host, connect } = hosting({ limits: { buffered: 10_000 } });
    const since = async (channel: string) => ({ channel, epoch: (await host.position(channel))?.epoch, offset: 0 });
    for (const channel of ['a', 'b', 'c']) host.publish(channel, channel === 'c' ? 'small' : 'x'.repeat(3_000));
    const peer = connect();
    await peer.says({
      ...HELLO,
      features: ['channels', 'recovery'],
      subscriptions: [await since('a'), await since('b'), await since('c')],
    });
    const recovered = [
      ['a', true],
      ['b', false],
      ['c', true],
    ].map(([channel, recovered]) => ({ channel, recovered }));
    expect(peer.received.find(({ type }) => type === 'welcome')).toMatchObject({ subscriptions: recovered });
    await settled();
    expect(peer.received.filter(({ type }) => type === 'message').map(({ channel }) => channel)).toEqual(['a', 'c']);
    // What is written takes no room any more.
    await peer.says({ type: 'unsubscribe', id: 1, channel: 'b' }, { type: 'subscribe', id: 2, ...(await since('b')) });
    await settled();
    expect([peer.received.filter(({ type, channel }) => type === 'message' && channel === 'b').length, peer.closes]).toEqual([1, []]);
  });

  it('close after a goodbye of the client that no close follows within 5 s', async () => {
    const { welcomed, clock } = hosting();
    const peer = await welcomed();
    await peer.says({ type: 'bye', code: 1_000, reconnect: false, resume: false });
    await clock.advance(4_999);
    expect(peer.closes).toEqual([]);
    await clock.advance(1);
    expect(peer.closes).toEqual([1_000]);
  });

  it('hold for ten thousand subscribes', async () => {
    const { welcomed, host, clock } = hosting();
    const peer = await welcomed();
    for (let id = 1; id <= 10_000; id += 50)
      peer.port.receive(JSON.stringify(Array.from({ length: 50 }, (_, i) => ({ type: 'subscribe', id: id + i, channel: `c${id + i}` }))));
    await settled();
    const answers = types(peer.news());
    expect(answers.filter((type) => type === 'response')).toHaveLength(1_000);
    expect(answers.filter((type) => type === 'error')).toHaveLength(9_000);
    expect([host.publish('c1000', 1), host.publish('c1001', 1)]).toEqual([1, 0]);
    peer.port.closed();
    expect([host.publish('c1000', 1), clock.pending]).toEqual([0, 0]);
  });

  it('of the client are kept: a message above them ends the subscription, with an error', async () => {
    const { host, welcomed } = hosting();
    const [small, large] = [await welcomed({ limits: { message: 1_024, window: 1 } }), await welcomed()];
    for (const peer of [small, large]) await peer.says({ type: 'subscribe', id: 1, channel: 'a' });
    expect(host.publish('a', 'x'.repeat(2_000))).toBe(1);
    expect(host.publish('a', 'short')).toBe(1);
    await settled();
    expect(small.news().slice(1)).toMatchObject([{ type: 'unsubscribe', channel: 'a', error: { code: 'RESOURCE_EXHAUSTED' } }]);
    expect(types(large.news())).toEqual(['response', 'message', 'message']);
  });
});

describe('frames', () => {
  it.each([
    ['request', { type: 'request', id: 1, method: 'one' }],
    ['subscribe', { type: 'subscribe', id: 1, channel: 'a' }],
    ['unsubscribe', { type: 'unsubscribe', id: 1, channel: 'a' }],
    ['publish', { type: 'publish', id: 1, channel: 'a', data: 1 }],
  ])('with an id that was used before are a violation: %s', async (_type, frame) => {
    const { welcomed } = hosting({ handlers: { methods: { one: () => 1 } } });
    const peer = await welcomed();
    await peer.says({ type: 'request', id: 1, method: 'one' });
    expect(peer.closes).toEqual([]);
    await peer.says(frame);
    expect(peer.closes).toEqual([4_400]);
  });

  it('of unknown types, and pongs, are ignored; frames before a broken one are handled', async () => {
    const got: unknown[] = [];
    const { welcomed } = hosting({ handlers: { events: { note: (data) => void got.push(data) } } });
    const peer = await welcomed();
    await peer.says({ type: 'later', id: -1 }, { type: 'welcome' }, { type: 'pong' }, { type: 'ping', nonce: 3 });
    expect(peer.news()).toEqual([{ type: 'pong', nonce: 3 }]);
    await peer.says([{ type: 'event', name: 'note', data: 1 }, { type: 'event' }, { type: 'event', name: 'note', data: 2 }]);
    expect([got, peer.closes]).toEqual([[1], [4_400]]);
  });

  it('after one whose handler closed the client are not handled any more, in the same message or in later ones', async () => {
    const got: unknown[] = [];
    const note = (data: unknown, { client }: { client: { close(code: number): void } }) => {
      got.push(data);
      client.close(4_800);
    };
    const { welcomed } = hosting({ handlers: { events: { note } } });
    const peer = await welcomed();
    await peer.says(...[1, 3].map((data) => [data, data + 1].map((data) => ({ type: 'event', name: 'note', data }))));
    expect([got, peer.closes]).toEqual([[1], [4_800]]);
    expect(peer.received).toMatchObject([{ type: 'bye', code: 4_800, reconnect: false }]);
  });

  it('for what every object has find no handler', async () => {
    const { welcomed, errors } = hosting({ handlers: { methods: {}, events: {} } });
    const peer = await welcomed();
    await peer.says({ type: 'event', name: 'toString', data: 1 }, { type: 'request', id: 1, method: 'constructor' });
    expect(peer.news()).toMatchObject([{ type: 'error', id: 1, error: { code: 'UNIMPLEMENTED' } }]);
    expect(errors).toEqual([]);
  });
});

describe('the pulse', () => {
  it('pings a client that talks all the time and hears nothing', async () => {
    const { welcomed, clock } = hosting();
    const peer = await welcomed();
    for (let i = 0; i < 15; i++) {
      await clock.advance(1_000);
      await peer.says({ type: 'event', name: 'a', data: 1 });
    }
    expect(types(peer.news())).toEqual(['ping']);
    expect(peer.closes).toEqual([]);
  });

  it('pings a client that hears all the time and says nothing, and gives it up', async () => {
    const { host, welcomed, clock } = hosting();
    const peer = await welcomed();
    for (let i = 0; i < 35; i++) {
      expect(peer.closes).toEqual([]);
      host.broadcast('note', i);
      await clock.advance(1_000);
    }
    expect(types(peer.received).filter((type) => type === 'ping')).toHaveLength(1);
    expect(peer.closes).toEqual([4_408]);
  });

  it('pings as often as its interval says, also where the time to answer is longer', async () => {
    const { welcomed, clock } = hosting({ heartbeat: { interval: 1_000, timeout: 5_000 } });
    const peer = await welcomed();
    for (let i = 0; i < 10; i++) {
      await clock.advance(1_000);
      expect(types(peer.news())).toEqual(['ping']);
      await peer.says({ type: 'pong' });
    }
    await clock.advance(1_000 + 4 * 5_000 - 1);
    expect(types(peer.news())).toEqual(Array(20).fill('ping'));
    expect(peer.closes).toEqual([]);
    await clock.advance(1);
    expect(peer.closes).toEqual([4_408]);
  });

  it('waits longer for a message that is announced, and no longer than two minutes', async () => {
    for (const [next, until] of [
      [48_192, 50_000],
      [Number.MAX_SAFE_INTEGER, 15_000 + 120_000 + 20_000],
    ] as const) {
      const { welcomed, clock } = hosting();
      const peer = await welcomed();
      await peer.says({ type: 'ping', nonce: 0, next });
      await clock.advance(until + (next === 48_192 ? 5_000 : 0) - 1);
      expect(peer.closes).toEqual([]);
      await clock.advance(1);
      expect(peer.closes).toEqual([4_408]);
    }
  });

  it('announces what is large, so that the client waits for it', async () => {
    const { host, welcomed } = hosting({ limits: { message: 200_000 } });
    const peer = await welcomed({ limits: { message: 200_000, window: 256 } });
    host.clients[0]?.send('note', 'x'.repeat(65_400));
    host.clients[0]?.send('note', 'x'.repeat(65_500 + 30));
    await settled();
    const [small, ping, large] = peer.news();
    expect(small).toMatchObject({ type: 'event' });
    expect(ping).toEqual({ type: 'ping', nonce: 0, next: JSON.stringify(large).length });
  });
});

describe('the server', () => {
  it('sends, broadcasts, publishes and calls, each to whom it concerns', async () => {
    const { host, welcomed, connect } = hosting();
    const [ann, bob] = [await welcomed(), await welcomed()];
    const unwelcomed = connect();
    await ann.says({ type: 'subscribe', id: 1, channel: 'a' });
    ann.news();
    const [annAtHost, bobAtHost] = host.clients;
    annAtHost?.send('note', 1);
    host.broadcast('note', 2);
    expect(host.publish('a', 3)).toBe(1);
    const call = bobAtHost?.call('ask', { q: 1 });
    await settled();
    expect(ann.news()).toEqual([
      { type: 'event', name: 'note', data: 1 },
      { type: 'event', name: 'note', data: 2 },
      { type: 'message', channel: 'a', data: 3, offset: 1 },
    ]);
    expect(bob.news()).toEqual([
      { type: 'event', name: 'note', data: 2 },
      { type: 'request', id: 1, method: 'ask', params: { q: 1 }, timeout: 30_000 },
    ]);
    await bob.says({ type: 'response', id: 1, result: 'answer' });
    expect(await call).toBe('answer');
    bob.port.closed();
    expect(bobAtHost?.send('note')).toBe(false);
    await expect(bobAtHost?.call('ask')).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
    expect(unwelcomed.received).toEqual([]);
  });

  it('lets no hook, handler or client harm another', async () => {
    const throwing = () => raise(new Error('mine'));
    const { host, welcomed, errors } = hosting({
      onconnection: throwing,
      nameOf: throwing,
      handlers: { events: { bad: throwing, worse: () => Promise.reject(new Error('later')) } },
    });
    const [tiny, peer] = [await welcomed({ limits: { message: 1_024, window: 1 } }), await welcomed()];
    await peer.says({ type: 'event', name: 'bad', data: 1 }, { type: 'event', name: 'worse', data: 1 });
    await peer.says({ type: 'subscribe', id: 1, channel: 'a' });
    await peer.says({ type: 'publish', id: 2, channel: 'a', data: 'still' });
    host.broadcast('note', 'x'.repeat(2_000));
    await settled();
    expect(types(peer.news())).toEqual(['response', 'message', 'response', 'event']);
    expect([tiny.news(), tiny.closes, peer.closes]).toEqual([[], [], []]);
    expect(errors.map((error) => error.split(':')[0])).toEqual([
      ...['onconnection', 'onconnection', 'the handler of bad', 'the handler of worse', 'nameOf', 'sending note'],
    ]);
  });

  it.each([
    ['with a history', true, { offset: 1 }],
    ['without one', false, {}],
  ])('%s publishes without an id in silence, and forgets who has gone', async (_how, isKept, place) => {
    const { host, welcomed } = hosting(isKept ? {} : { broker: new MemoryBroker({ history: false }) });
    const [ann, bob] = [await welcomed(), await welcomed()];
    for (const peer of [ann, bob]) await peer.says({ type: 'subscribe', id: 1, channel: 'a' });
    ann.port.closed();
    bob.news();
    await bob.says({ type: 'publish', channel: 'a', data: 1 });
    expect(bob.news()).toEqual([{ type: 'message', channel: 'a', data: 1, ...place }]);
    expect(host.publish('a', 2)).toBe(1);
  });
});

describe('draining', () => {
  const slow = () => {
    const ends: ((value: unknown) => void)[] = [];
    return { ends, handlers: { methods: { slow: () => new Promise((resolve) => ends.push(resolve)) } } };
  };

  it.each([
    ['that has no session', {}, {}],
    ['that may go on with its session', { features: ['calls', 'resume'] }, { received: 1 }],
  ])('says goodbye to a client %s, lets what runs finish, closes with 4100 then, and sends newcomers away', async (_who, hello, more) => {
    const { ends, handlers } = slow();
    const { host, welcomed, connect, clock } = hosting({ handlers });
    const [busy, idle] = [await welcomed(hello), await welcomed(hello)];
    const opening = connect();
    const isSession = 'received' in more;
    const numbered = (frame: object) => ({ ...frame, ...(isSession && { seq: 1 }) });
    await busy.says(numbered({ type: 'request', id: 1, method: 'slow' }));
    const closed = vi.fn();
    host.close({ drain: 3_000, retryAfter: 9_000 }).then(closed);
    await settled();
    const goodbye = { type: 'bye', code: 4_100, reason: expect.any(String), reconnect: true, resume: isSession, retryAfter: 9_000 };
    expect(busy.news()).toEqual([{ ...goodbye, ...more }]);
    expect(idle.news()).toEqual(
      isSession
        ? [
            { ...goodbye, received: 0 },
            { type: 'ack', received: 0 },
          ]
        : [goodbye],
    );
    expect(opening.news()).toEqual([{ ...goodbye, resume: true }]); // who it is is not known: its session, if it has one, goes on
    expect([busy.closes, idle.closes, opening.closes]).toEqual([[], [4_100], [4_100]]);
    const late = connect();
    await late.says(HELLO);
    expect([types(late.received), late.closes, host.isDraining]).toEqual([['bye'], [4_100], true]);
    expect(closed).not.toHaveBeenCalled();
    ends[0]?.('done');
    await settled();
    const rest = busy.news();
    expect(rest.slice(0, 1)).toEqual([numbered({ type: 'response', id: 1, result: 'done' })]);
    expect(rest.slice(1)).toEqual(isSession ? [{ type: 'ack', received: 1 }] : []);
    expect(busy.closes).toEqual([4_100]);
    expect(closed).toHaveBeenCalledTimes(1);
    expect([clock.pending, host.clients]).toEqual([0, []]);
  });

  it('ends when its time is over, whatever still runs', async () => {
    const { handlers } = slow();
    const { host, welcomed, clock } = hosting({ handlers });
    const peer = await welcomed();
    await peer.says({ type: 'request', id: 1, method: 'slow' });
    const closed = vi.fn();
    host.close({ drain: 3_000 }).then(closed);
    await clock.advance(2_999);
    expect(peer.closes).toEqual([]);
    await clock.advance(1);
    expect(peer.closes).toEqual([4_100]);
    expect(closed).toHaveBeenCalledTimes(1);
    expect(clock.pending).toBe(0);
  });

  it('of nobody is over at once; twice it is over for both', async () => {
    await hosting().host.close();
    const { host, welcomed, clock } = hosting({ handlers: slow().handlers });
    const peer = await welcomed();
    await peer.says({ type: 'request', id: 1, method: 'slow' });
    const [first, second] = [vi.fn(), vi.fn()];
    host.close().then(first);
    host.close().then(second);
    await clock.advance(10_000);
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 1]);
    expect(clock.pending).toBe(0);
  });
});

describe('options', () => {
  it.each([
    ['limits.message', { limits: { message: 10 } }],
    ['limits.rate', { limits: { rate: 0 } }],
    ['limits.connections', { limits: { connections: -1 } }],
    ['heartbeat.interval', { heartbeat: { interval: 0 } }],
    ['helloTimeout', { helloTimeout: '1s' }],
    ['authenticate', { authenticate: 'yes' }],
    ['handlers.methods.add', { handlers: { methods: { add: 1 } } }],
  ])('name the one that is bad: %s', (name, options) => {
    expect(() => new Host(odd(options))).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(`"${name}"`) }),
    );
  });
});

describe('bad luck', () => {
  it('a connection that cannot be sent to is given up, and harms nobody', async () => {
    const { host, welcomed, errors } = hosting();
    const broken = await welcomed();
    const other = await welcomed();
    broken.reach.failsToSend = true;
    host.broadcast('note', 1);
    await settled();
    expect([broken.reach.terminated, host.clients.length, errors]).toEqual([true, 1, ['sending: Error: the socket is broken']]);
    expect(types(other.news())).toEqual(['event']);
    await host.close();
    expect(types(other.news())).toEqual(['bye']);
  });

  it('a decision that never comes keeps one channel out of the welcome, not the client', async () => {
    const authorize = ({ channel }: { channel: string }) => channel === 'good' || new Promise<boolean>(() => {});
    const { connect, clock, host } = hosting({ authorize });
    const peer = connect();
    await peer.says({ ...HELLO, subscriptions: [{ channel: 'hangs' }, { channel: 'good' }] });
    await clock.advance(2_000);
    expect(peer.news()).toMatchObject([{ type: 'welcome', subscriptions: [{ channel: 'good', recovered: false }] }]);
    host.publish('good', 1);
    host.publish('hangs', 1);
    await settled();
    expect(peer.news()).toMatchObject([{ type: 'message', channel: 'good' }]);
  });

  it('a client is sent nothing that it did not announce', async () => {
    const { host, welcomed } = hosting();
    const peer = await welcomed({ features: ['channels'] });
    const [client] = host.clients;
    await expect(client?.call('confirm')).rejects.toBeInstanceOf(UnsupportedError);
    expect(() => client?.send('bytes', new Uint8Array(3))).toThrow(UnsupportedError);
    await peer.says({ type: 'subscribe', id: 1, channel: 'a' });
    host.publish('a', new Uint8Array(3));
    await settled();
    expect(types(peer.news())).toEqual(['response', 'unsubscribe']);
  });
});

function raise(error: Error): never {
  throw error;
}
