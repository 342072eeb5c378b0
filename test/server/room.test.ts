/** A channel over a broker that takes its time, leaves things out and fails: between history and life nothing is lost, doubled or overtaken. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Broker } from '../../src/server/broker.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { HELLO, hosting } from '../support/hosting.ts';
import { type Frame, pair } from '../support/link.ts';
import { SlowBroker, type SlowBrokerOptions } from '../support/slow-broker.ts';

type Told = Omit<SlowBrokerOptions, 'clock'>;

/** A host over a broker that takes its time. */
function slowly(told: Told = {}, options: HostOptions = {}) {
  const clock = new FakeClock();
  const broker = new SlowBroker({ clock, ...told });
  return { broker, ...hosting({ clock, broker, ...options }), clock };
}

/** The same with a client of ours. */
async function slowPair(told: Told = {}, options: HostOptions = {}) {
  const clock = new FakeClock();
  const broker = new SlowBroker({ clock, ...told });
  const p = pair({ clock }, { clock, broker, ...options });
  const log: string[] = [];
  const channel = p.client.channel('a');
  channel.addEventListener('gap', () => log.push('gap'));
  await p.settle();
  return { p, broker, clock, channel, log, listens: () => channel.subscribe((data) => log.push(`${data}`)).ready };
}

const subscribe = (id: number, channel = 'a', more: object = {}) => ({ type: 'subscribe', id, channel, ...more });
const unsubscribe = (id: number, channel = 'a') => ({ type: 'unsubscribe', id, channel });
const messages = (frames: readonly Frame[]) => frames.filter(({ type }) => type === 'message').map(({ data }) => data);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe('who comes', () => {
  const schedule = fc.record({
    subscribe: fc.nat(3),
    history: fc.nat(5),
    live: fc.nat(5),
    early: fc.boolean(),
    before: fc.nat(5),
    known: fc.nat(6),
    /** Milliseconds between the messages. */
    pauses: fc.array(fc.nat(2), { maxLength: 20 }),
    /** Where in between it comes. */
    comes: fc.nat(10),
    inHello: fc.boolean(),
  });

  it('gets what it has missed and then all that follows, however long each answer of the broker takes', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ({ before, known, pauses, comes, inHello, ...rest }) => {
        const { subscribe: subscribing, history, live, early } = rest;
        // What is told as history has been handed on by then.
        const h = slowly({ early, live: early ? Math.min(live, history) : 0, delays: { subscribe: subscribing, history } });
        const publish = (data: number) => void h.host.publish('a', data);
        const peer = inHello ? h.connect() : await h.welcomed();
        for (const data of upTo(before)) publish(data);
        await h.clock.advance(10);
        const { epoch } = (await Promise.all([h.host.position('a'), h.clock.advance(5)]))[0] ?? {};
        let count = before;
        for (const [i, pause] of pauses.entries()) {
          const since = { epoch, offset: Math.min(known, before) };
          const hello = { ...HELLO, subscriptions: [{ channel: 'a', ...since }] };
          if (i === comes) await peer.says(inHello ? hello : subscribe(1, 'a', since));
          publish(++count);
          await h.clock.advance(pause);
        }
        await h.clock.advance(20);
        const came = comes < pauses.length;
        const all = upTo(count).slice(Math.min(known, before));
        expect(messages(peer.news())).toEqual(came ? all : []);
        expect(h.errors).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('and knows nothing gets everything from the position that it is told', async () => {
    const { host, clock, welcomed } = slowly({ delays: { history: 5 } });
    const peer = await welcomed();
    for (const data of [1, 2]) host.publish('a', data);
    await clock.advance(1);
    await peer.says(subscribe(1));
    for (const data of [3, 4]) host.publish('a', data);
    await clock.advance(5);
    for (const data of [5, 6]) host.publish('a', data);
    await clock.advance(5);
    const [answer, ...rest] = peer.news();
    expect(answer).toMatchObject({ result: { recovered: false, offset: 4 } });
    expect(messages(rest)).toEqual([5, 6]);
  });

  it('to a channel without a history gets what comes from then on, once', async () => {
    const { host, clock, welcomed } = slowly({ delays: { subscribe: 5, history: 5 }, memory: { history: false } });
    const peer = await welcomed();
    await peer.says(subscribe(1, 'a', { epoch: 'e', offset: 1 }));
    host.publish('a', 1);
    await clock.advance(6);
    for (const data of [2, 3]) host.publish('a', data);
    await clock.advance(6);
    host.publish('a', 4);
    await clock.advance(1);
    const [answer, ...rest] = peer.news();
    expect([answer, messages(rest)]).toEqual([{ type: 'response', id: 1, result: { channel: 'a', recovered: false } }, [2, 3, 4]]);
  });

  it('first and second to a channel get the same, each from where it stands', async () => {
    const { host, clock, welcomed, broker } = slowly({ delays: { subscribe: 5, history: 5 } });
    const [first, second] = [await welcomed(), await welcomed()];
    await first.says(subscribe(1));
    await clock.advance(3);
    await second.says(subscribe(1));
    for (const data of upTo(12)) {
      host.publish('a', data);
      await clock.advance(1);
    }
    const [one, two] = [messages(first.news()), messages(second.news())];
    expect([one.at(-1), two.at(-1)]).toEqual([12, 12]);
    for (const got of [one, two]) expect(got).toEqual(upTo(12).slice(-got.length));
    expect(broker.listeners).toBe(1);
  });

  it('and goes while its history is read gets an answer and no message, and the broker is left', async () => {
    const { host, clock, welcomed, broker } = slowly({ delays: { history: 5 } });
    const peer = await welcomed();
    await peer.says(subscribe(1));
    expect(broker.listeners).toBe(1);
    await peer.says(unsubscribe(2));
    host.publish('a', 1);
    await clock.advance(10);
    expect(peer.news()).toMatchObject([
      { type: 'response', id: 2 },
      { type: 'error', id: 1, error: { code: 'CANCELLED' } },
    ]);
    expect(broker.listeners).toBe(0);
  });

  it('and goes before the broker has answered leaves nothing behind, and another one can come', async () => {
    const { host, clock, welcomed, broker } = slowly({ delays: { subscribe: 5 } });
    const peer = await welcomed();
    await peer.says(subscribe(1), unsubscribe(2), subscribe(3));
    peer.port.closed();
    const other = await welcomed();
    await other.says(subscribe(1));
    await clock.advance(10);
    expect(broker.listeners).toBe(1);
    host.publish('a', 1);
    await clock.advance(1);
    expect([messages(peer.news()), messages(other.news())]).toEqual([[], [1]]);
  });

  it('twice has the second subscription: the first one is answered with CANCELLED, and nothing comes twice', async () => {
    const { host, clock, welcomed } = slowly({ delays: { history: 5 } });
    const peer = await welcomed();
    const other = await welcomed();
    await other.says(subscribe(1)); // so that the room stays
    await peer.says(subscribe(1));
    await clock.advance(3);
    await peer.says(subscribe(2));
    host.publish('a', 1);
    await clock.advance(10);
    host.publish('a', 2);
    await clock.advance(1);
    const frames = peer.news();
    expect(frames.filter(({ type }) => type !== 'message')).toMatchObject([
      { type: 'error', id: 1, error: { code: 'CANCELLED' } },
      { type: 'response', id: 2, result: { offset: 1 } },
    ]);
    expect(messages(frames)).toEqual([2]);
  });

  it('is told nothing twice where a message takes longer to be handed on than the history', async () => {
    const { host, clock, welcomed } = slowly({ live: 5, delays: { history: 1 } });
    const [peer, other] = [await welcomed(), await welcomed()];
    await other.says(subscribe(1)); // so that somebody listens all the time
    await clock.advance(5);
    const [position] = await Promise.all([host.position('a'), clock.advance(2)]);
    for (const data of [1, 2]) host.publish('a', data);
    await peer.says(subscribe(1, 'a', position));
    await clock.advance(1);
    host.publish('a', 3);
    await clock.advance(10);
    expect([messages(peer.news()), messages(other.news())]).toEqual([upTo(3), upTo(3)]);
  });

  it('takes no bytes, and gets some: it loses the channel with an error, and not a message in silence', async () => {
    const { host, welcomed, clock } = slowly();
    const peer = await welcomed({ features: ['calls', 'channels'] });
    await peer.says(subscribe(1));
    for (const data of [1, new Uint8Array([1]), 2]) host.publish('a', data);
    await clock.advance(1);
    expect(peer.news().slice(1)).toMatchObject([
      { type: 'message', data: 1 },
      { type: 'unsubscribe', channel: 'a', error: { code: 'RESOURCE_EXHAUSTED' } },
    ]);
  });
});

describe('a broker that fails', () => {
  const deeds = [
    ['subscribe', 'throws'],
    ['subscribe', 'rejects'],
    ['history', 'throws'],
    ['history', 'rejects'],
  ] as const;

  it.each(deeds)('%s %s: UNAVAILABLE, reported, no harm to other channels, and it is asked again next time', async (deed, how) => {
    const { host, clock, welcomed, connect, broker, errors } = slowly();
    broker.fails = (what, name) => (what === deed && name === 'bad' ? how : undefined);
    const peer = await welcomed();
    await peer.says(subscribe(1, 'good'), subscribe(2, 'bad'));
    await clock.advance(1);
    const late = connect();
    await late.says({ ...HELLO, subscriptions: [{ channel: 'bad' }, { channel: 'good' }] });
    await clock.advance(1);
    expect(peer.news().filter(({ id }) => id === 2)).toMatchObject([{ type: 'error', error: { code: 'UNAVAILABLE' } }]);
    expect(late.news()[0]).toMatchObject({
      type: 'welcome',
      subscriptions: [
        { channel: 'bad', error: { code: 'UNAVAILABLE' } },
        { channel: 'good', recovered: false },
      ],
    });
    expect(new Set(errors)).toEqual(new Set([`the broker: Error: ${deed} bad`]));
    broker.fails = () => undefined;
    await peer.says(subscribe(3, 'bad'));
    await clock.advance(1);
    for (const channel of ['good', 'bad']) host.publish(channel, channel);
    await clock.advance(1);
    expect([messages(peer.news()), messages(late.news())]).toEqual([['good', 'bad'], ['good']]);
  });

  it('is reported once for each subscription that failed', async () => {
    const { clock, welcomed, broker, errors } = slowly();
    broker.fails = (what) => (what === 'subscribe' ? 'rejects' : undefined);
    const peer = await welcomed();
    await peer.says(subscribe(1));
    await clock.advance(1);
    expect(errors).toEqual(['the broker: Error: subscribe a']);
  });

  it.each(['throws', 'rejects'] as const)(
    'publish %s: UNAVAILABLE for a client, 0 for the host, reported, and others get theirs',
    async (how) => {
      const { host, clock, welcomed, broker, errors } = slowly();
      broker.fails = (what, name) => (what === 'publish' && name === 'bad' ? how : undefined);
      const peer = await welcomed();
      await peer.says(
        subscribe(1, 'good'),
        { type: 'publish', id: 2, channel: 'bad', data: 1 },
        { type: 'publish', channel: 'bad', data: 1 },
      );
      expect(host.publish('bad', 1)).toBe(0);
      await peer.says({ type: 'publish', id: 3, channel: 'good', data: 1 });
      await clock.advance(1);
      const news = peer.news();
      expect(news.filter(({ type }) => type === 'error')).toMatchObject([{ id: 2, error: { code: 'UNAVAILABLE' } }]);
      expect(messages(news)).toEqual([1]);
      expect(errors).toEqual(Array(3).fill('the broker: Error: publish bad'));
      expect(peer.closes).toEqual([]);
    },
  );

  it.each(['at once', 'later'])('to stop, %s, is reported, and ends neither the client nor the server', async (when) => {
    const memory = new MemoryBroker();
    const stop = () => {
      throw new Error('no stop');
    };
    const broker: Broker = {
      idempotency: 0,
      subscribe: () => (when === 'at once' ? stop : Promise.resolve(stop)),
      publish: (channel, publication) => memory.publish(channel, publication),
      history: (channel, since) => memory.history(channel, since),
      begin: (key, fingerprint) => memory.begin(key, fingerprint),
      finish: (key, outcome) => memory.finish(key, outcome),
      forget: (key) => memory.forget(key),
    };
    const { welcomed, errors } = hosting({ broker });
    const peer = await welcomed();
    for (const frame of [subscribe(1, 'a'), unsubscribe(2, 'a'), subscribe(3, 'b')]) await peer.says(frame);
    expect(peer.news()).toMatchObject([{ id: 1 }, { type: 'response', id: 2 }, { type: 'response', id: 3 }]);
    expect(() => peer.port.closed()).not.toThrow();
    await settled();
    expect([errors, peer.closes]).toEqual([Array(2).fill('the broker: Error: no stop'), []]);
  });

  it('to answer keeps a hello no longer than two seconds: the client asks by frame', async () => {
    const { clock, connect } = slowly({ delays: { history: 60_000 } });
    const peer = connect();
    await peer.says({ ...HELLO, subscriptions: [{ channel: 'a' }] });
    await clock.advance(1_999);
    expect(peer.news()).toEqual([]);
    await clock.advance(1);
    const [welcome] = peer.news();
    expect([welcome?.type, welcome?.['subscriptions']]).toEqual(['welcome', undefined]);
  });
});

describe('a broker that may have left something out', () => {
  it('makes everybody come back, and get what was left out, without a gap', async () => {
    const { p, broker, clock, log, listens } = await slowPair();
    await listens();
    p.host.publish('a', 1);
    await clock.advance(1);
    broker.isDeaf = true;
    for (const data of [2, 3]) p.host.publish('a', data);
    await clock.advance(1);
    broker.isDeaf = false;
    broker.interrupt('a');
    p.host.publish('a', 4);
    await clock.advance(1);
    p.host.publish('a', 5);
    await clock.advance(1);
    expect(log).toEqual(['1', '2', '3', '4', '5']);
    expect(p.log).toEqual(['open']);
  });

  it('has left out what comes of no callback: the next message tells the client of the hole', async () => {
    const { p, broker, clock, log, listens } = await slowPair();
    await listens();
    broker.isDeaf = true;
    for (const data of [1, 2]) p.host.publish('a', data);
    await clock.advance(1);
    broker.isDeaf = false;
    p.host.publish('a', 3);
    await clock.advance(1);
    expect(log).toEqual(['1', '2', '3']);
  });

  it('tells all who listen, on that channel alone', async () => {
    const { broker, welcomed } = slowly();
    const peers = [await welcomed(), await welcomed(), await welcomed()];
    for (const [i, peer] of peers.entries()) await peer.says(subscribe(1, i < 2 ? 'a' : 'b'));
    for (const peer of peers) peer.news();
    broker.interrupt('a');
    await settled();
    const demand = [{ type: 'unsubscribe', channel: 'a', resubscribe: true }];
    expect(peers.map((peer) => peer.news())).toEqual([demand, demand, []]);
    expect(broker.listeners).toBe(1);
  });

  it('while a client waits for its history: it is subscribed in the end, and has missed nothing', async () => {
    const { p, broker, clock, channel, log, listens } = await slowPair({ delays: { history: 5 } });
    const ready = listens();
    ready.catch(() => {}); // the state says the same
    await clock.advance(2);
    broker.interrupt('a');
    await clock.advance(20_000);
    expect(channel.state.status).toBe('subscribed');
    p.host.publish('a', 1);
    await clock.advance(1);
    expect([log.at(-1), p.log]).toEqual(['1', ['open']]);
  });

  it('while a hello waits for it: nothing comes before the welcome', async () => {
    const { broker, clock, connect } = slowly({ delays: { history: 5 } });
    const peer = connect();
    await peer.says({ ...HELLO, subscriptions: [{ channel: 'a' }] });
    broker.interrupt('a');
    await clock.advance(10);
    expect(peer.news()[0]).toMatchObject({ type: 'welcome' });
  });
});

describe('more than may wait for a subscriber', () => {
  it('makes it come back for it: nothing is lost', async () => {
    const { p, clock, log, listens } = await slowPair({ delays: { history: 5 } }, { limits: { buffered: 4_096 } });
    const ready = listens();
    await clock.advance(3);
    // All of it comes after the history that is being read, and before the client is told.
    for (const data of upTo(100)) p.host.publish('a', `${data} ${'x'.repeat(50)}`);
    await clock.advance(2);
    await ready;
    await clock.advance(20_000);
    const numbers = log.map((line) => Number.parseInt(line, 10));
    expect(numbers).toEqual(upTo(100).slice(100 - numbers.length));
    expect([log.filter((line) => line === 'gap'), p.log]).toEqual([[], ['open']]);
  });

  it('is not sent: the subscriber is told where it stands, and to ask again', async () => {
    const { host, clock, welcomed } = slowly({ early: true, delays: { history: 5 } }, { limits: { buffered: 4_096 } });
    const peer = await welcomed();
    await peer.says(subscribe(1));
    for (const data of upTo(100)) host.publish('a', `${data} ${'x'.repeat(50)}`);
    await clock.advance(10);
    expect(peer.news()).toMatchObject([
      { type: 'response', id: 1, result: { recovered: false, offset: 0 } },
      { type: 'unsubscribe', channel: 'a', resubscribe: true },
    ]);
    host.publish('a', 'more');
    await clock.advance(10);
    expect(peer.news()).toEqual([]);
  });

  it('of one channel is no reason to lose another, nor of one subscriber', async () => {
    const { host, clock, welcomed } = slowly({ early: true, delays: { history: 5 } }, { limits: { buffered: 4_096 } });
    const [slow, quick] = [await welcomed(), await welcomed()];
    await quick.says(subscribe(1), subscribe(2, 'b'));
    await clock.advance(10);
    await slow.says(subscribe(1), subscribe(2, 'b'));
    for (const data of upTo(50)) host.publish('a', `${data} ${'x'.repeat(50)}`);
    host.publish('b', 'b');
    await clock.advance(10);
    expect(messages(slow.news())).toEqual(['b']);
    expect(messages(quick.news())).toHaveLength(51);
  });
});

describe('two servers on one broker', () => {
  it('are one: what is published on either comes to all, and a client that goes over has missed nothing', async () => {
    const broker = new MemoryBroker();
    const p = pair({}, { broker });
    const { host: other } = hosting({ broker });
    const log: unknown[] = [];
    p.client.channel('a').addEventListener('gap', () => log.push('gap'));
    await p.client.channel('a').subscribe((data) => log.push(data)).ready;
    p.host.publish('a', 1);
    other.publish('a', 2);
    await p.settle();
    p.reachable = false;
    p.socket.cut();
    for (const host of [p.host, other]) host.publish('a', 3);
    await p.clock.advance(1_000);
    p.socket.accept(other);
    await p.settle();
    p.host.publish('a', 4);
    await p.settle();
    expect(log).toEqual([1, 2, 3, 3, 4]);
  });
});

describe('host.publish', () => {
  it('says how many it has gone to, and 0 where the broker takes its time', async () => {
    const quick = hosting();
    const slow = slowly();
    for (const { host, welcomed } of [quick, slow]) {
      for (const peer of [await welcomed(), await welcomed()]) await peer.says(subscribe(1));
      await settled();
      expect(host.publish('nobody', 1)).toBe(0);
    }
    expect([quick.host.publish('a', 1), slowly({ live: 5 }).host.publish('a', 1)]).toEqual([2, 0]);
  });
});

describe('host.position', () => {
  it('is where the channel stands; undefined without a history', async () => {
    for (const { host, clock } of [{ ...hosting() }, slowly({ delays: { history: 5 } })]) {
      const ask = async () => (await Promise.all([host.position('a'), clock.advance(10)]))[0];
      const before = await ask();
      expect(before).toEqual({ epoch: expect.stringMatching(/./), offset: 0 });
      for (const data of [1, 2]) host.publish('a', data);
      await clock.advance(1);
      expect(await ask()).toEqual({ epoch: before?.epoch, offset: 2 });
    }
    const { host } = hosting({ broker: new MemoryBroker({ history: false }) });
    host.publish('a', 1);
    expect(await host.position('a')).toBeUndefined();
  });

  it.each(['throws', 'rejects'] as const)('rejects where the broker %s', async (how) => {
    const { host, broker } = slowly();
    broker.fails = () => how;
    await expect(host.position('a')).rejects.toThrow('history a');
  });
});
