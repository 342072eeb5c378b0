/** What was published while a client was away: it comes, once and in order, or there is a gap. */

import { describe, expect, it } from 'vitest';
import type { ClientOptions } from '../../src/client-options.ts';
import { Host } from '../../src/server/host.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { another, type HandServer, handServer, told } from '../support/hand-server.ts';
import { framesIn, type Pair, pair } from '../support/link.ts';
import { asked, deciding, declared, lose, NO_SESSIONS, watch } from './support.ts';

/** A client that is subscribed, what it hears of each channel, and how each connection opened. */
async function subscribed(names: string[], options: ClientOptions = {}, server: HostOptions = {}) {
  const p = pair(options, server);
  const recovered: boolean[] = [];
  p.client.addEventListener('open', (event) => void recovered.push(event.recovered));
  const channels = names.map((name) => p.client.channel(name));
  await Promise.all(channels.map((channel) => channel.subscribe().ready));
  return { p, recovered, logs: channels.map(watch) };
}

/** A server that keeps so much. */
const keeping = (history: ConstructorParameters<typeof MemoryBroker>[0] & object) => ({ broker: new MemoryBroker(history) });
const messages = (...data: number[]) => data.map((each) => `message ${each}`);
const publish = (p: Pair, channel: string, ...data: unknown[]) => {
  for (const each of data) p.host.publish(channel, each);
};

describe('after a cut', () => {
  it.each([
    ['that the session survives', {}],
    ['that leaves no session', NO_SESSIONS],
  ])('%s the missed messages come, once, in order and before live ones, without a gap, in one round trip', async (_how, server) => {
    const { p, recovered, logs } = await subscribed(['a', 'b'], {}, server);
    publish(p, 'a', 1, 2);
    await p.settle();
    p.socket.cut();
    publish(p, 'a', 3, 4, 5);
    publish(p, 'b', 6);
    await lose(p);
    publish(p, 'a', 7);
    await p.settle();
    expect(logs).toEqual([
      [...messages(1, 2), 'subscribing', 'subscribed', ...messages(3, 4, 5, 7)],
      ['subscribing', 'subscribed', ...messages(6)],
    ]);
    expect(recovered).toEqual([true, true]);
    expect(p.frames().map(({ type }) => type)).toEqual(['hello']);
    const frames = p.socket.received.flatMap(framesIn).map(({ type, offset }) => [type, offset]);
    expect(frames).toEqual([['welcome', undefined], ...[3, 4, 5, 1, 6].map((offset) => ['message', offset])]);
    const epoch = expect.stringMatching(/./);
    expect(declared(p)).toEqual([
      { channel: 'a', epoch, offset: 2 },
      { channel: 'b', epoch, offset: 0 },
    ]);
  });

  it('in which nothing was published there is nothing to come, and nothing was missed', async () => {
    const { p, recovered, logs } = await subscribed(['a']);
    for (let i = 0; i < 3; i++) await lose(p);
    publish(p, 'a', 1);
    await p.settle();
    expect(logs[0]).toEqual([...Array(3).fill(['subscribing', 'subscribed']).flat(), 'message 1']);
    expect(recovered).toEqual([true, true, true, true]);
  });

  it.each(Array.from({ length: 30 }, (_, i) => i))(
    'at any moment, and with messages at any moment: %i microtasks after one',
    async (moment) => {
      const { p, logs } = await subscribed(['a']);
      let count = 0;
      const goesOn = async (microtasks: number) => {
        for (let i = 0; i < microtasks; i++) {
          if (i % 3 === 0) p.host.publish('a', ++count);
          await Promise.resolve();
        }
      };
      await goesOn(moment);
      p.socket.cut();
      await goesOn(9);
      const returns = p.clock.advance(1_000);
      await goesOn(60);
      await returns;
      await p.settle();
      expect(logs[0]?.filter((line) => /message|gap/.test(line))).toEqual(messages(...Array.from({ length: count }, (_, i) => i + 1)));
    },
  );

  it('that neither end is told of, what was written into the dead link comes again', async () => {
    const { p, logs } = await subscribed(['a']);
    publish(p, 'a', 1);
    await p.settle();
    p.socket.vanish();
    publish(p, 'a', 2, 3);
    await p.settle();
    p.client.reconnect();
    await p.settle();
    publish(p, 'a', 4);
    await p.settle();
    expect(logs[0]).toEqual(['message 1', 'subscribing', 'subscribed', ...messages(2, 3, 4)]);
  });

  it('in the middle of the missed messages, the rest comes with the next connection', async () => {
    const { p, logs } = await subscribed(['a']);
    p.client.channel('a').addEventListener('message', ({ data }) => {
      if (data === 2) p.client.reconnect();
    });
    p.socket.cut();
    publish(p, 'a', 1, 2, 3);
    await lose(p);
    await p.settle();
    expect(logs[0]?.filter((line) => line.startsWith('message'))).toEqual(messages(1, 2, 3));
    expect(declared(p)).toMatchObject([{ channel: 'a', offset: 2 }]);
  });

  it('messages that are published while the server still decides come with those that were missed', async () => {
    const { p, decisions } = deciding();
    const log = watch(p.client.channel('a'));
    p.client.channel('a').subscribe();
    await p.settle();
    decisions[0]?.(true);
    await p.settle();
    p.socket.cut();
    publish(p, 'a', 1);
    await p.clock.advance(1_000); // the hello is there, and is not answered yet
    publish(p, 'a', 2, 3);
    decisions[1]?.(true);
    publish(p, 'a', 4);
    await p.settle();
    expect(log.slice(-4)).toEqual(messages(1, 2, 3, 4));
    expect(log).not.toContain('gap reconnected');
  });
});

describe('a gap', () => {
  it('is told once where more was missed than is kept, and of that channel alone', async () => {
    const { p, recovered, logs } = await subscribed(['a', 'b'], {}, keeping({ history: { size: 2 } }));
    p.socket.cut();
    publish(p, 'a', 1, 2, 3);
    publish(p, 'b', 4, 5);
    await lose(p);
    publish(p, 'a', 6);
    await p.settle();
    expect(logs).toEqual([
      ['subscribing', 'subscribed', 'gap reconnected', 'message 6'],
      ['subscribing', 'subscribed', ...messages(4, 5)],
    ]);
    expect(recovered).toEqual([true, false]);
    p.socket.cut();
    publish(p, 'a', 7);
    await lose(p);
    expect([logs[0]?.slice(4), recovered[2]]).toEqual([['subscribing', 'subscribed', 'message 7'], true]);
  });

  it('is told once where the server was restarted: it has another epoch, however many messages', async () => {
    const { p, recovered, logs } = await subscribed(['a']);
    publish(p, 'a', 1, 2);
    await p.settle();
    p.reachable = false;
    p.socket.cut();
    const restarted = new Host({ clock: p.clock });
    for (const data of [3, 4, 5]) restarted.publish('a', data);
    await p.clock.advance(1_000);
    p.socket.accept(restarted);
    await p.settle();
    restarted.publish('a', 6);
    await p.settle();
    expect(logs[0]).toEqual([...messages(1, 2), 'subscribing', 'subscribed', 'gap reconnected', 'message 6']);
    expect(recovered).toEqual([true, false]);
    p.socket.cut();
    restarted.publish('a', 7);
    await p.clock.advance(1_000);
    p.socket.accept(restarted);
    await p.settle();
    expect(logs[0]?.slice(-3)).toEqual(['subscribing', 'subscribed', 'message 7']);
  });

  it('is told at every reconnect where the channel keeps no history', async () => {
    const { p, recovered, logs } = await subscribed(['a'], {}, keeping({ history: false }));
    for (let i = 0; i < 3; i++) await lose(p);
    publish(p, 'a', 1);
    await p.settle();
    expect(logs[0]).toEqual([...Array(3).fill(['subscribing', 'subscribed', 'gap reconnected']).flat(), 'message 1']);
    expect(recovered).toEqual([true, false, false, false]);
    expect(declared(p)).toEqual([{ channel: 'a' }]);
  });

  it('is not told where a channel was left and is wanted anew: it begins where the channel stands', async () => {
    const { p, logs } = await subscribed(['b']);
    const first = p.client.channel('a').subscribe();
    await first.ready;
    const log = watch(p.client.channel('a'));
    first.unsubscribe();
    await p.clock.advance(1);
    publish(p, 'a', 1, 2);
    await p.client.channel('a').subscribe().ready;
    publish(p, 'a', 3);
    await p.settle();
    expect(log).toEqual(['idle', 'subscribing', 'subscribed', 'message 3']);
    expect(logs[0]).toEqual([]);
  });
});

describe('a refusal that passes', () => {
  it('keeps the position: what was missed comes when the server says yes again', async () => {
    const mood = { isBad: false };
    const authorize = () => {
      if (mood.isBad) throw new TypeError('the database is away');
      return true;
    };
    const { p, logs } = await subscribed(['a'], {}, { authorize });
    mood.isBad = true;
    p.socket.cut();
    publish(p, 'a', 1);
    await lose(p);
    mood.isBad = false;
    publish(p, 'a', 2);
    await lose(p);
    expect(logs[0]).toEqual(['subscribing', 'failed', 'subscribing', 'subscribed', ...messages(1, 2)]);
  });
});

describe('a message that is more than the subscriber takes', () => {
  const limits = { messageLimit: 1_024 };

  it('ends the subscription with an error; the next connection begins with a gap', async () => {
    const { p, logs } = await subscribed(['a', 'b'], limits);
    publish(p, 'a', 1, 'x'.repeat(2_000), 2);
    publish(p, 'b', 3);
    await p.settle();
    expect(logs).toEqual([['message 1', 'failed'], ['message 3']]);
    expect(p.client.channel('a').state).toMatchObject({ error: { code: 'RESOURCE_EXHAUSTED' } });
    expect(p.log).toEqual(['open', 'error RESOURCE_EXHAUSTED']);
    await lose(p);
    publish(p, 'a', 4);
    await p.settle();
    expect(logs[0]?.slice(2)).toEqual(['subscribing', 'subscribed', 'gap reconnected', 'message 4']);
  });

  it('among those that were missed does the same, after the ones before it', async () => {
    const { p, logs } = await subscribed(['a'], limits);
    p.socket.cut();
    publish(p, 'a', 1, 'x'.repeat(2_000), 2);
    await lose(p);
    publish(p, 'a', 3);
    await p.settle();
    expect(logs[0]).toEqual(['subscribing', 'subscribed', 'message 1', 'failed']);
  });
});

describe('a demand by the server to come back', () => {
  const demand = async (p: Pair) => {
    p.socket.deliver(JSON.stringify({ type: 'unsubscribe', channel: 'a', resubscribe: true }));
    await p.settle();
  };

  it('is met from where the client stands: nothing is missed, and nothing comes twice', async () => {
    const { p, logs } = await subscribed(['a']);
    publish(p, 'a', 1);
    await p.settle();
    await demand(p);
    publish(p, 'a', 2);
    await p.settle();
    expect(logs[0]).toEqual(['message 1', 'subscribing', 'subscribed', 'message 2']);
    expect(p.frames().filter(({ type }) => type === 'subscribe')).toMatchObject([{ channel: 'a', offset: 1 }]);
  });

  it('is met once in five seconds; what comes meanwhile comes then', async () => {
    const { p, logs } = await subscribed(['a']);
    await demand(p);
    await demand(p);
    publish(p, 'a', 1, 2);
    await p.clock.advance(4_999);
    expect(asked(p)).toHaveLength(1);
    await p.clock.advance(1);
    await p.settle();
    expect(logs[0]?.slice(-3)).toEqual(['subscribed', ...messages(1, 2)]);
    expect(logs[0]).not.toContain('gap reconnected');
  });
});

describe('ten thousand channels', () => {
  it('come back, those that a hello has room for with it, the others by frame, and miss nothing', async () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `channel ${i}`);
    const p = pair({}, { limits: { subscriptions: Infinity } });
    const got = names.map((name) => {
      const heard: unknown[] = [];
      p.client.channel(name).subscribe((data) => heard.push(data));
      p.client.channel(name).addEventListener('gap', () => heard.push('gap'));
      return heard;
    });
    await p.clock.advance(100);
    await p.settle();
    for (const name of names) p.host.publish(name, 1);
    await p.settle();
    p.socket.cut();
    for (const name of names) p.host.publish(name, 2);
    await lose(p);
    for (const name of names) p.host.publish(name, 3);
    await p.settle();
    expect(got.filter((heard) => heard.join() !== '1,2,3')).toEqual([]);
    const inHello = (declared(p) as unknown[]).length;
    expect(inHello).toBeGreaterThan(500);
    const byFrame = p.frames().filter(({ type }) => type === 'subscribe');
    expect(new Set(byFrame.map(({ channel }) => channel)).size).toBe(byFrame.length);
    expect(inHello + byFrame.length).toBeGreaterThanOrEqual(names.length);
    expect(byFrame.length).toBeLessThan(names.length);
    expect(p.log).toEqual(['open', 'close 1006 again', 'open']);
  }, 60_000);
});

/** A client by the hand of the test: subscribed to `a`, which stands at 5. */
async function standing(): Promise<{ s: HandServer; log: string[]; says: (...offsets: (number | undefined)[]) => Promise<void> }> {
  const s = handServer();
  const log = watch(s.client.channel('a'));
  s.client.channel('a').subscribe();
  await s.welcomes({ subscriptions: [{ channel: 'a', recovered: false, epoch: 'e', offset: 5 }] });
  log.length = 0;
  const says = (...offsets: (number | undefined)[]) =>
    s.says(...offsets.map((offset) => ({ type: 'message', channel: 'a', data: offset ?? 'x', offset })));
  return { s, log, says };
}

/** What the client asks about in its newest frame; its id is needed for the answer. */
function question(s: HandServer) {
  const [frame, ...others] = s.news();
  if (frame?.type !== 'subscribe' || others.length > 0) throw new Error(`one subscribe was expected, not ${told([...others])}`);
  const { id, epoch, offset } = frame;
  return { id, position: epoch === undefined && offset === undefined ? undefined : { epoch, offset } };
}

const response = (id: unknown, result: object) => ({ type: 'response', id, result: { channel: 'a', ...result } });
const claim = { recovered: true, epoch: 'e', offset: 8 };

describe('a server that is wrong about it', () => {
  it('and leaves messages out is asked again at once, and again after five seconds, without a position: then it is a gap', async () => {
    const { s, log, says } = await standing();
    await s.cuts();
    expect(s.hello?.['subscriptions']).toEqual([{ channel: 'a', epoch: 'e', offset: 5 }]);
    await s.welcomes(another({ subscriptions: [{ channel: 'a', ...claim }] }));
    s.news();
    await says(6, 8, 9);
    const first = question(s);
    expect(first.position).toEqual({ epoch: 'e', offset: 6 });
    await s.says(response(first.id, claim));
    await says(8);
    await s.clock.advance(4_999);
    expect(s.news()).toEqual([]);
    await s.clock.advance(1);
    const second = question(s);
    expect(second.position).toBeUndefined();
    await s.says(response(second.id, { recovered: false, epoch: 'e', offset: 9 }));
    await says(10);
    const lines = ['subscribing', 'subscribed', 'message 6', 'subscribing', 'subscribed', 'subscribing', 'subscribed'];
    expect(log).toEqual([...lines, 'gap reconnected', 'message 10']);
  });

  it('and left a message out once gives it when it is asked again: no gap', async () => {
    const { s, log, says } = await standing();
    await says(6, 8);
    const { id, position } = question(s);
    expect(position).toEqual({ epoch: 'e', offset: 6 });
    await s.says(response(id, claim));
    await says(7, 8, 9);
    expect(log).toEqual(['message 6', 'subscribing', 'subscribed', ...messages(7, 8, 9)]);
  });

  it.each([
    ['goes back', [6, 7, 3, 8], messages(6, 7, 8)],
    ['repeats itself', [6, 6, 7, 7, 6, 8], messages(6, 7, 8)],
    ['begins at 0', [0, 6], messages(6)],
  ])('and %s delivers nothing twice', async (_how, offsets, expected) => {
    const { s, log, says } = await standing();
    await says(...offsets);
    expect([log, s.news()]).toEqual([expected, []]);
  });

  it('and jumps to the end of all numbers is asked again, and heard again once it is right', async () => {
    const { s, log, says } = await standing();
    await says(2 ** 53 - 1);
    const { id, position } = question(s);
    expect(position).toEqual({ epoch: 'e', offset: 5 });
    await says(6); // of the subscription before
    await s.says(response(id, claim));
    await says(6, 7);
    expect(log).toEqual(['subscribing', 'subscribed', ...messages(6, 7)]);
  });

  it.each([2 ** 53, -1, 1.5, '6', {}])('and says that the offset is %j is not spoken to any more', async (offset) => {
    const { s, log } = await standing();
    await s.says({ type: 'message', channel: 'a', data: 'x', offset });
    expect([log.filter((line) => line.startsWith('message')), s.socket.closes[0]?.[0]]).toEqual([[], 4_003]);
  });

  it('and claims a recovery in another epoch, or before what the client has, has left something out: it is a gap', async () => {
    for (const stand of [
      { epoch: 'f', offset: 2 },
      { epoch: 'e', offset: 2 },
    ]) {
      const { s, log, says } = await standing();
      await s.cuts();
      await s.welcomes(another({ subscriptions: [{ channel: 'a', recovered: true, ...stand }] }));
      await says(3);
      expect(log).toEqual(['subscribing', 'subscribed', 'gap reconnected', 'message 3']);
    }
  });

  it('and does not say where the channel stands is one without a history: everything is delivered, every loss is a gap', async () => {
    const { s, log, says } = await standing();
    await s.cuts();
    await s.welcomes(another({ subscriptions: [{ channel: 'a', recovered: false, epoch: 'e' }] }));
    await says(3, undefined, 9);
    await s.cuts();
    expect(s.hello?.['subscriptions']).toEqual([{ channel: 'a' }]);
    await s.welcomes({ session: 'third', subscriptions: [{ channel: 'a', recovered: true }] });
    const again = ['subscribing', 'subscribed', 'gap reconnected'];
    expect(log).toEqual([...again, 'message 3', 'message x', 'message 9', ...again]);
  });
});

describe('from asking to the answer', () => {
  it('messages belong to the subscription before: they are dropped, and come again', async () => {
    const { s, log, says } = await standing();
    await s.says({ type: 'unsubscribe', channel: 'a', resubscribe: true });
    const { id } = question(s);
    await says(6, 7);
    expect(log).toEqual(['subscribing']);
    await s.says([response(id, claim), ...[6, 7, 8].map((offset) => ({ type: 'message', channel: 'a', data: offset, offset }))]);
    expect(log).toEqual(['subscribing', 'subscribed', ...messages(6, 7, 8)]);
  });

  it('a second question takes the place of the first, whose answer says nothing any more', async () => {
    const s = handServer();
    await s.welcomes();
    const channel = s.client.channel('a');
    const log = watch(channel);
    const first = channel.subscribe();
    await s.clock.advance(0);
    first.unsubscribe();
    await s.clock.advance(1);
    channel.subscribe();
    await s.clock.advance(0);
    const [one, , two] = s.news();
    expect(told([one, two] as never)).toEqual(['subscribe a', 'subscribe a']);
    await s.says(response(one?.['id'], { recovered: false, epoch: 'e', offset: 2 }), { type: 'message', channel: 'a', data: 3, offset: 3 });
    expect(channel.state.status).toBe('subscribing');
    await s.says(response(two?.['id'], { recovered: false, epoch: 'e', offset: 6 }));
    await s.says(...[3, 7].map((offset) => ({ type: 'message', channel: 'a', data: offset, offset })));
    expect(log.filter((line) => /message|gap/.test(line))).toEqual(['message 7']);
  });
});
