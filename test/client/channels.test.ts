/** Channels: wanted by the client, confirmed by the server, and again after every loss. */

import { describe, expect, it, vi } from 'vitest';
import type { Channel } from '../../src/channel.ts';
import { CallError, ClosedError, MessageTooLargeError, QueueFullError, SessionLostError, TimeoutError } from '../../src/errors.ts';
import { type Pair, pair } from '../support/link.ts';

const allowed = (names: string[]) => ({ authorize: ({ channel }: { channel: string }) => names.includes(channel) });

/** Frames about channels that the client sent on the newest socket, in words: "subscribe a". */
const asked = (p: Pair) =>
  p
    .frames()
    .filter(({ type }) => /subscribe|publish/.test(type))
    .map(({ type, channel }) => `${type} ${channel}`);

/** What the client declared in its newest hello. */
const declared = (p: Pair) => p.frames()[0]?.['subscriptions'];

/** Everything that happens on a channel, in words. */
function watch(channel: Channel): string[] {
  const log: string[] = [];
  channel.addEventListener('message', ({ data }) => void log.push(`message ${data}`));
  channel.addEventListener('statechange', ({ state }) => void log.push(state.status));
  channel.addEventListener('gap', ({ reason }) => void log.push(`gap ${reason}`));
  return log;
}

async function lose(p: Pair): Promise<void> {
  p.socket.cut();
  await p.clock.advance(1_000);
  await p.settle();
}

/** A server whose decisions on subscriptions are made by the test, one by one. */
function deciding() {
  const decisions: ((allow: boolean) => void)[] = [];
  const p = pair({}, { authorize: () => new Promise((resolve) => decisions.push(resolve)) });
  return { p, decisions };
}

describe('a channel', () => {
  it('is the same object for the same name, and refuses other parameters', () => {
    const { client } = pair({ startClosed: true });
    expect(client.channel('a')).toBe(client.channel('a'));
    expect(client.channel('a')).not.toBe(client.channel('b'));
    expect(client.channel('c', { params: { x: 1 } })).toBe(client.channel('c', { params: { x: 1 } }));
    expect(() => client.channel('c', { params: { x: 2 } })).toThrow(TypeError);
    expect(() => client.channel(1 as never)).toThrow(TypeError);
  });

  it('subscribes, is ready when the server has confirmed it, and delivers from then on', async () => {
    const p = pair({}, { nameOf: () => 'ann' });
    await p.settle();
    const channel = p.client.channel('a');
    const log = watch(channel);
    expect(channel.state).toEqual({ status: 'idle' });
    const handler = vi.fn();
    const { ready } = channel.subscribe(handler);
    expect(channel.state).toEqual({ status: 'subscribing' });
    await ready;
    expect(p.host.publish('a', 1)).toBe(1);
    expect(p.host.publish('b', 2)).toBe(0);
    await channel.publish('mine').acknowledged;
    await p.settle();
    expect(handler.mock.calls).toEqual([
      [1, { channel: 'a' }],
      ['mine', { channel: 'a', from: 'ann' }],
    ]);
    expect(log).toEqual(['subscribing', 'subscribed', 'message 1', 'message mine']);
  });

  it('causes no traffic by event listeners alone', async () => {
    const p = pair();
    await p.settle();
    watch(p.client.channel('a'));
    await p.clock.advance(1_000);
    expect(p.socket.sent).toHaveLength(1);
    await lose(p);
    expect(declared(p)).toBeUndefined();
  });

  it('is asked for once for all handlers, and left a tick after the last one has gone', async () => {
    const p = pair();
    await p.settle();
    const channel = p.client.channel('a');
    const [first, second] = [channel.subscribe(), channel.subscribe()];
    await Promise.all([first.ready, second.ready]);
    const third = channel.subscribe();
    await third.ready; // at once: it is subscribed
    for (const { unsubscribe } of [first, first, second]) unsubscribe();
    await p.clock.advance(10);
    expect(asked(p)).toEqual(['subscribe a']);
    third.unsubscribe();
    await p.settle();
    expect(asked(p)).toEqual(['subscribe a']);
    await p.clock.advance(10);
    await p.settle();
    expect(asked(p)).toEqual(['subscribe a', 'unsubscribe a']);
    expect(channel.state.status).toBe('idle');
    expect(p.host.publish('a', 1)).toBe(0);
  });

  it('mounted, unmounted and mounted again in one task is subscribed to once', async () => {
    const p = pair();
    await p.settle();
    const channel = p.client.channel('a');
    const first = channel.subscribe();
    first.unsubscribe();
    const second = channel.subscribe();
    await second.ready;
    await expect(first.ready).rejects.toBeInstanceOf(ClosedError);
    await p.clock.advance(10);
    expect(asked(p)).toEqual(['subscribe a']);
  });

  it('given up before it was ever asked for is neither asked for nor left', async () => {
    const p = pair();
    p.reachable = false;
    const { unsubscribe } = p.client.channel('a').subscribe();
    unsubscribe();
    await p.clock.advance(0);
    p.socket.accept(p.host);
    await p.settle();
    expect(declared(p)).toBeUndefined();
    p.client.channel('b').subscribe({} as never, { signal: AbortSignal.abort() });
    await p.settle();
    expect(asked(p)).toEqual([]);
    expect(p.clock.pending).toBe(2); // the heartbeats
  });

  it('ends by a signal, and says why where it never began', async () => {
    const p = pair();
    await p.settle();
    const handler = vi.fn();
    const abort = new AbortController();
    const channel = p.client.channel('a');
    await channel.subscribe(handler, { signal: abort.signal }).ready;
    abort.abort();
    p.host.publish('a', 1);
    await p.clock.advance(1);
    expect(handler).not.toHaveBeenCalled();
    expect(asked(p)).toEqual(['subscribe a', 'unsubscribe a']);
    await expect(channel.subscribe(handler, { signal: AbortSignal.abort('never') }).ready).rejects.toBe('never');
  });

  it('harms no other handler when one throws', async () => {
    const report = vi.spyOn(console, 'error').mockReturnValue();
    const p = pair();
    const handler = vi.fn();
    const channel = p.client.channel('a');
    channel.subscribe(() => {
      throw new Error('mine');
    });
    await channel.subscribe(handler).ready;
    p.host.publish('a', 1);
    await p.settle();
    expect(handler).toHaveBeenCalledTimes(1);
    expect(report).toHaveBeenCalledTimes(1);
    expect(p.client.state.status).toBe('open');
    report.mockRestore();
  });

  it('hands its parameters to the server, in hello and later', async () => {
    const seen: unknown[] = [];
    const p = pair({}, { authorize: ({ params }) => seen.push(params) > 0 });
    p.client.channel('a', { params: { since: 1 } }).subscribe();
    await p.settle();
    p.client.channel('b', { params: [2] }).subscribe();
    await p.settle();
    expect(seen).toEqual([{ since: 1 }, [2]]);
  });
});

describe('a refusal', () => {
  it('lands in ready, in the state and in an error event, and in no other channel', async () => {
    const p = pair({}, allowed(['good']));
    await p.settle();
    const [bad, good] = [p.client.channel('bad'), p.client.channel('good')];
    const refused = bad.subscribe();
    await good.subscribe().ready;
    const error = await refused.ready.catch((error: unknown) => error);
    expect(error).toBeInstanceOf(CallError);
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(bad.state).toEqual({ status: 'failed', error });
    expect(p.log).toEqual(['open', 'error PERMISSION_DENIED']);
  });

  it('in welcome is the same, is not asked for again by the next hello, but is by the next handler', async () => {
    const names = ['good'];
    const p = pair({}, allowed(names));
    const bad = p.client.channel('bad');
    const [refused, confirmed] = [bad.subscribe(), p.client.channel('good').subscribe()];
    await p.settle();
    await confirmed.ready;
    await expect(refused.ready).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await lose(p);
    expect(declared(p)).toEqual([{ channel: 'good' }]);
    names.push('bad');
    await bad.subscribe().ready;
    expect(bad.state.status).toBe('subscribed');
    expect(asked(p)).toEqual(['subscribe bad']);
  });

  it('that may pass is tried again on the next connection', async () => {
    const failing = { once: true };
    const authorize = () => {
      if (failing.once) throw new CallError('UNAVAILABLE', 'Not now');
      return true;
    };
    const p = pair({}, { authorize });
    const channel = p.client.channel('a');
    channel.subscribe();
    await p.settle();
    expect(channel.state).toMatchObject({ status: 'failed', error: { code: 'UNAVAILABLE' } });
    failing.once = false;
    await lose(p);
    expect(channel.state.status).toBe('subscribed');
  });
});

describe('after a reconnect', () => {
  it('everything wanted is subscribed in one round trip, by hello and welcome alone, with a gap each', async () => {
    const p = pair();
    await p.settle();
    const channels = ['a', 'b', 'c'].map((name) => p.client.channel(name));
    await Promise.all(channels.map((channel) => channel.subscribe().ready));
    const logs = channels.map(watch);
    const open = vi.fn();
    p.client.addEventListener('open', ({ resumed, recovered }) => open({ resumed, recovered }));
    await lose(p);
    expect(p.socket.sent).toHaveLength(1);
    expect(p.socket.received).toHaveLength(1);
    expect(declared(p)).toEqual([{ channel: 'a' }, { channel: 'b' }, { channel: 'c' }]);
    for (const log of logs) expect(log).toEqual(['subscribing', 'subscribed', 'gap reconnected']);
    expect(open.mock.calls).toEqual([[{ resumed: false, recovered: false }]]);
    expect(p.host.publish('b', 1)).toBe(1);
  });

  it('there is no gap in a channel that was never confirmed before', async () => {
    const p = pair();
    p.reachable = false;
    const channel = p.client.channel('a');
    const log = watch(channel);
    channel.subscribe();
    await p.clock.advance(10_000); // a failed attempt
    p.reachable = true;
    await p.clock.advance(1_000);
    await p.settle();
    expect(log).toEqual(['subscribing', 'subscribed']);
  });

  it('changes made between hello and welcome are made up for', async () => {
    const { p, decisions } = deciding();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => p.client.channel(name));
    const kept = a?.subscribe();
    const left = b?.subscribe();
    await p.settle();
    left?.unsubscribe();
    c?.subscribe();
    await p.clock.advance(1); // "b" is let go
    expect(p.socket.sent).toHaveLength(1);
    for (const decide of decisions) decide(true);
    await p.settle();
    await kept?.ready;
    expect(asked(p)).toEqual(['unsubscribe b', 'subscribe c']);
    decisions.at(-1)?.(true);
    await p.settle();
    expect([a, b, c].map((channel) => channel?.state.status)).toEqual(['subscribed', 'idle', 'subscribed']);
    expect(['a', 'b', 'c'].map((name) => p.host.publish(name, 1))).toEqual([1, 0, 1]);
  });

  it('a declaration that welcome leaves out is asked for by frame', async () => {
    const p = pair();
    p.reachable = false;
    const channel = p.client.channel('a');
    channel.subscribe();
    await p.settle();
    p.socket.accept({ accept: () => ({ receive: () => {}, closed: () => {} }) }); // a server by hand
    await p.settle();
    const limits = { message: 65_536, window: 256 };
    const welcome = {
      type: 'welcome',
      version: 1,
      features: ['channels'],
      resumed: false,
      heartbeat: { interval: 15_000, timeout: 5_000 },
    };
    p.socket.deliver(JSON.stringify({ ...welcome, limits }));
    await p.settle();
    expect(asked(p)).toEqual(['subscribe a']);
    p.socket.deliver(JSON.stringify({ type: 'response', id: 1, result: { channel: 'a', recovered: false } }));
    await p.settle();
    expect(channel.state.status).toBe('subscribed');
  });

  it.each([
    ['hello', {}, 'x'.repeat(60)],
    ['welcome', { messageLimit: 1_024 }, ''],
  ])('so many channels that %s would be too large are subscribed all the same', async (_frame, options, pad) => {
    const p = pair(options, { limits: { subscriptions: Infinity } });
    const channels = Array.from({ length: 1_500 }, (_, i) => p.client.channel(`${pad}${i}`));
    for (const channel of channels) channel.subscribe();
    await p.clock.advance(100);
    await p.settle();
    expect(p.log).toEqual(['open']);
    expect(channels.filter(({ state }) => state.status === 'subscribed')).toHaveLength(1_500);
    expect(p.host.publish(`${pad}1499`, 1)).toBe(1);
  });

  it('a subscription that was asked for and not answered is asked for again, and ready resolves then', async () => {
    const { p, decisions } = deciding();
    await p.settle();
    const ready = vi.fn();
    p.client.channel('a').subscribe().ready.then(ready);
    await p.settle();
    await lose(p);
    expect(ready).not.toHaveBeenCalled();
    decisions.at(-1)?.(true);
    await p.settle();
    expect(ready).toHaveBeenCalledTimes(1);
    expect(p.log).toEqual(['open', 'close 1006 again', 'open']);
  });
});

describe('nothing of an earlier subscription', () => {
  it('is delivered: not between asking and the answer, and not after leaving', async () => {
    const { p, decisions } = deciding();
    await p.settle();
    const message = (data: unknown) => p.socket.deliver(JSON.stringify({ type: 'message', channel: 'a', data }));
    const channel = p.client.channel('a');
    const log = watch(channel);
    const first = channel.subscribe();
    await p.settle();
    message('before the answer');
    decisions[0]?.(true);
    await p.settle();
    message('in time');
    await p.settle();
    first.unsubscribe();
    await p.clock.advance(1);
    message('after leaving');
    await p.settle();
    channel.subscribe();
    await p.settle();
    message('of the first');
    await p.settle();
    decisions[1]?.(true);
    await p.settle();
    message('of the second');
    await p.settle();
    expect(log.filter((line) => line.startsWith('message'))).toEqual(['message in time', 'message of the second']);
  });

  it('answers for a later one: leaving and coming back while the first is undecided', async () => {
    const { p, decisions } = deciding();
    await p.settle();
    const channel = p.client.channel('a');
    channel.subscribe().unsubscribe();
    const first = channel.subscribe();
    await p.settle();
    first.unsubscribe();
    await p.clock.advance(1);
    const second = channel.subscribe();
    await p.settle();
    expect(asked(p)).toEqual(['subscribe a', 'unsubscribe a', 'subscribe a']);
    decisions[0]?.(true);
    await p.settle();
    expect(channel.state.status).toBe('subscribing');
    decisions[1]?.(true);
    await second.ready;
    expect(p.host.publish('a', 1)).toBe(1);
  });

  it('is ended by a late goodbye of the server, nor is anything by one for a channel that nobody wants', async () => {
    const { p, decisions } = deciding();
    await p.settle();
    const channel = p.client.channel('a');
    channel.subscribe();
    await p.settle();
    for (const name of ['a', 'nobody', '__proto__']) {
      p.socket.deliver(JSON.stringify({ type: 'unsubscribe', channel: name, error: { code: 'ABORTED' } }));
      p.socket.deliver(JSON.stringify({ type: 'message', channel: name, data: 1 }));
    }
    await p.settle();
    decisions[0]?.(true);
    await p.settle();
    expect(channel.state.status).toBe('subscribed');
    expect(p.log).toEqual(['open']);
  });
});

describe('the server ends a subscription', () => {
  const end = (p: Pair, more: object) => {
    p.socket.deliver(JSON.stringify({ type: 'unsubscribe', channel: 'a', ...more }));
    return p.settle();
  };

  it('with an error: the channel fails, and a loop over it throws', async () => {
    const p = pair();
    const channel = p.client.channel('a');
    await channel.subscribe().ready;
    const next = channel[Symbol.asyncIterator]().next();
    await end(p, { error: { code: 'NOT_FOUND', message: 'deleted' } });
    await expect(next).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'deleted' });
    expect(channel.state).toMatchObject({ status: 'failed', error: { code: 'NOT_FOUND' } });
    expect(p.log).toEqual(['open', 'error NOT_FOUND']);
  });

  it('and wants it back: it is asked for at once, but not twice in five seconds', async () => {
    const p = pair();
    const channel = p.client.channel('a');
    const log = watch(channel);
    await channel.subscribe().ready;
    await end(p, { resubscribe: true });
    expect(asked(p)).toEqual(['subscribe a']);
    expect(log).toEqual(['subscribing', 'subscribed', 'subscribing', 'subscribed', 'gap reconnected']);
    await end(p, { resubscribe: true });
    await p.clock.advance(4_999);
    expect(asked(p)).toHaveLength(1);
    await p.clock.advance(1);
    expect(asked(p)).toHaveLength(2);
    await end(p, { resubscribe: true });
    await p.client.close();
    await p.settle();
    expect(p.clock.pending).toBe(0);
  });
});

describe('publish', () => {
  it('waits for a connection, and is acknowledged by the server', async () => {
    const p = pair();
    const receipt = p.client.channel('a').publish({ n: 1 });
    expect(receipt.status).toBe('queued');
    await p.settle();
    expect(await receipt.acknowledged).toEqual({ offset: undefined });
    expect([receipt.status, receipt.cancel()]).toEqual(['acknowledged', false]);
    expect(p.client.stats).toMatchObject({ sent: 1, acknowledged: 1, unconfirmed: 0, pendingCalls: 0 });
  });

  it('refused is dropped, with the error of the server', async () => {
    const p = pair({}, allowed([]));
    await p.settle();
    const receipt = p.client.channel('a').publish(1);
    await expect(receipt.acknowledged).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(receipt.status).toBe('dropped');
    expect(p.log).toEqual(['open', 'drop publish a refused']);
  });

  it('written and then lost may have arrived or not: it is sent, and counted as unconfirmed', async () => {
    const { p } = deciding();
    await p.settle();
    const receipt = p.client.channel('a').publish(1);
    await p.settle();
    p.socket.cut();
    await expect(receipt.acknowledged).rejects.toBeInstanceOf(SessionLostError);
    expect(receipt.status).toBe('sent');
    expect(p.client.stats.unconfirmed).toBe(1);
    expect(p.log).toEqual(['open', 'close 1006 again']);
  });

  it('too old is dropped; too late for its answer it is not known', async () => {
    const { p } = deciding();
    p.reachable = false;
    const old = p.client.channel('a').publish(1, { ttl: 500 });
    await p.clock.advance(500);
    await expect(old.acknowledged).rejects.toBeInstanceOf(TimeoutError);
    expect(p.log).toEqual(['drop publish a expired']);
    p.socket.accept(p.host);
    await p.settle();
    const late = p.client.channel('a').publish(1, { ttl: 500 });
    await p.clock.advance(500);
    await expect(late.acknowledged).rejects.toMatchObject({ name: 'TimeoutError', maybeExecuted: true });
    expect(late.status).toBe('sent');
  });

  it('cancelled is taken back, and only the latest of a key is sent', async () => {
    const p = pair();
    const channel = p.client.channel('a');
    const receipts = [1, 2, 3].map((data) => channel.publish(data, data < 3 ? { key: 'k' } : {}));
    expect(receipts[2]?.cancel()).toBe(true);
    expect(receipts[2]?.cancel()).toBe(false);
    await p.settle();
    expect(receipts.map(({ status }) => status)).toEqual(['dropped', 'acknowledged', 'dropped']);
    expect(p.log).toEqual(['drop publish a replaced', 'open']);
    expect(asked(p)).toEqual(['publish a']);
  });

  it('throws at what cannot be sent, has no room, or is too large, as send() does', async () => {
    const p = pair({ outbox: { capacity: 1 } }, { limits: { message: 1_024 } });
    const channel = p.client.channel('a');
    expect(() => channel.publish(1n)).toThrow(TypeError);
    channel.publish(1);
    expect(() => channel.publish(2)).toThrow(QueueFullError);
    await p.settle();
    expect(() => channel.publish('x'.repeat(2_000))).toThrow(MessageTooLargeError);
    expect(p.client.stats.dropped).toBe(0);
  });

  it('after close() is dropped, as an event is, and not kept for another life', async () => {
    const p = pair();
    await p.settle();
    await p.client.close();
    const receipt = p.client.channel('a').publish(1);
    await expect(Promise.race([receipt.acknowledged, p.settle()])).rejects.toBeInstanceOf(ClosedError);
    expect(p.log).toContain('drop publish a closed');
    expect(p.client.stats.queuedMessages).toBe(0);
  });
});

describe('a loop over a channel', () => {
  it('gets every message in order, and unsubscribes when it is left', async () => {
    const p = pair();
    const channel = p.client.channel('a');
    const got: unknown[] = [];
    const loop = (async () => {
      for await (const message of channel) if (got.push(message) === 3) break;
    })();
    await p.settle();
    for (const data of [1, 2, 3, 4]) p.host.publish('a', data);
    await loop;
    await p.clock.advance(1);
    expect(got).toEqual([1, 2, 3]);
    expect(asked(p)).toEqual(['unsubscribe a']);
  });

  it('unsubscribes when its body throws', async () => {
    const p = pair();
    const loop = (async () => {
      for await (const message of p.client.channel('a')) throw new Error(`at ${message}`);
    })();
    await p.settle();
    p.host.publish('a', 1);
    await expect(loop).rejects.toThrow('at 1');
    await p.clock.advance(1);
    expect(p.client.channel('a').state.status).toBe('idle');
  });

  it('that is too slow loses the oldest, and is told', async () => {
    const p = pair({ iteratorBuffer: 2 });
    const channel = p.client.channel('a');
    const log = watch(channel);
    const loop = channel[Symbol.asyncIterator]();
    await p.settle();
    for (const data of [1, 2, 3, 4]) p.host.publish('a', data);
    await p.settle();
    expect(log.filter((line) => line.startsWith('gap'))).toEqual(['gap overflow', 'gap overflow']);
    expect(p.log).toEqual(['open', 'drop message a overflow', 'drop message a overflow']);
    expect([await loop.next(), await loop.next()].map(({ value }) => value)).toEqual([3, 4]);
  });

  it('survives a reconnect, gets what came before close(), and ends then', async () => {
    const p = pair();
    const loop = p.client.channel('a')[Symbol.asyncIterator]();
    await p.settle();
    await lose(p);
    p.host.publish('a', 1);
    await p.settle();
    await p.client.close();
    expect([await loop.next(), await loop.next(), await loop.next()].map(({ done }) => done)).toEqual([false, true, true]);
  });

  it('throws when the channel is refused, and when the client is closed by something else', async () => {
    const abort = new AbortController();
    const p = pair({ signal: abort.signal }, allowed(['good']));
    const refused = p.client.channel('bad')[Symbol.asyncIterator]().next();
    const ended = p.client.channel('good')[Symbol.asyncIterator]().next();
    await expect(refused).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await p.settle();
    abort.abort();
    await expect(ended).rejects.toBeInstanceOf(ClosedError);
  });
});

describe('close()', () => {
  it('ends what is being subscribed without a word of failure, and connect() subscribes again', async () => {
    const { p, decisions } = deciding();
    await p.settle();
    const handler = vi.fn();
    const channel = p.client.channel('a');
    const { ready } = channel.subscribe(handler);
    await p.settle();
    await p.client.close();
    await expect(ready).rejects.toBeInstanceOf(ClosedError);
    expect(p.log).toEqual(['open', 'close 1000 final']);
    expect(channel.state.status).not.toBe('failed');
    void p.client.connect();
    await p.settle();
    decisions.at(-1)?.(true);
    await p.settle();
    p.host.publish('a', 1);
    await p.settle();
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it('counts no subscription as something that was sent', async () => {
    const p = pair();
    await p.settle();
    await p.client.channel('a').subscribe().ready;
    expect(p.client.stats).toMatchObject({ sent: 0, acknowledged: 0 });
  });
});
