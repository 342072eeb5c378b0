/** Channels: wanted by the client, confirmed by the server, and again after every loss. */

import { describe, expect, it, vi } from 'vitest';
import { CallError, ClosedError } from '../../src/errors.ts';
import { handServer } from '../support/hand-server.ts';
import { pair } from '../support/link.ts';
import { allowed, asked, deciding, declared, EPOCH, lose, NO_SESSIONS, noHistory, watch } from './support.ts';

describe('a channel', () => {
  it('is the same object for the same name, and refuses other parameters', () => {
    const { client } = pair({ startClosed: true });
    expect(client.channel('a')).toBe(client.channel('a'));
    expect(client.channel('a')).not.toBe(client.channel('b'));
    const c = client.channel('c', { params: { x: 1 } });
    expect(client.channel('c', { params: { x: 2 } })).toBe(c); // nobody is subscribed yet
    c.subscribe();
    expect(client.channel('c', { params: { x: 2 } })).toBe(c);
    expect(() => client.channel('c', { params: { x: 1 } })).toThrow(TypeError);
    expect(() => client.channel(1 as never)).toThrow(TypeError);
  });

  it.each([
    ['each with its place in the history', () => ({}), [{ offset: 1 }, { offset: 2 }]],
    ['without one where there is no history', noHistory, [{}, {}]],
  ])('subscribes, is ready when the server has confirmed it, and delivers from then on, %s', async (_how, server, [first, second]) => {
    const p = pair({}, { ...server(), nameOf: () => 'ann' });
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
      [1, { channel: 'a', ...first }],
      ['mine', { channel: 'a', from: 'ann', ...second }],
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
    p.client.channel('b').subscribe(() => {}, { signal: AbortSignal.abort() });
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
    expect(declared(p)).toEqual([{ channel: 'good', epoch: EPOCH, offset: 0 }]);
    names.push('bad');
    await bad.subscribe().ready;
    expect(bad.state.status).toBe('subscribed');
    expect(asked(p)).toEqual(['subscribe bad']);
  });

  it('that may pass is tried again on the same connection, with a backoff, and not before the server says', async () => {
    let refusals = 0;
    const authorize = () => {
      refusals++;
      if (refusals < 4) throw new CallError('UNAVAILABLE', 'Not now', { retryAfter: refusals === 3 ? 60_000 : undefined });
      return true;
    };
    const p = pair({ random: () => 0.5 }, { authorize });
    const channel = p.client.channel('a');
    const states: string[] = [];
    channel.addEventListener('statechange', ({ state }) => states.push(`${p.clock.now()} ${state.status}`));
    channel.subscribe();
    await p.clock.advance(100_000);
    const [second, third] = [1_000, 1_000 + 3_000].map((ms) => [`${ms} subscribing`, `${ms} failed`]);
    expect(states).toEqual(['0 subscribing', '0 failed', ...(second ?? []), ...(third ?? []), '64000 subscribing', '64000 subscribed']);
    expect(p.log.filter((line) => line !== 'open')).toEqual(Array(3).fill('error UNAVAILABLE'));
    expect(p.client.stats.connections).toBe(1);
  });

  it('that may pass is asked for at once by the next handler, and by nobody when none is left', async () => {
    let refusals = 0;
    const authorize = () => {
      refusals++;
      throw new CallError('UNAVAILABLE', 'Not now');
    };
    const p = pair({}, { authorize });
    const channel = p.client.channel('a');
    const first = channel.subscribe();
    await p.settle();
    const second = channel.subscribe();
    await p.settle();
    expect(refusals).toBe(2);
    first.unsubscribe();
    second.unsubscribe();
    await p.clock.advance(300_000);
    expect(refusals).toBe(2);
    expect(channel.state).toEqual({ status: 'idle' });
  });

  it('right after each confirmation is no success: it is asked for with a backoff', async () => {
    const s = handServer();
    await s.welcomes();
    s.client.channel('a').subscribe();
    await s.clock.advance(0);
    let asked = 0;
    for (let at = 0; at < 300_000; at += 500) {
      for (const { type, id } of s.news()) {
        if (type !== 'subscribe') continue;
        asked++;
        await s.says({ type: 'response', id }, { type: 'unsubscribe', channel: 'a', error: { code: 'UNAVAILABLE' } });
      }
      if (at % 10_000 === 0) await s.says({ type: 'ping' });
      await s.clock.advance(500);
    }
    expect(asked).toBeGreaterThan(10);
    expect(asked).toBeLessThan(25);
  });

  it('for good is not tried again', async () => {
    const p = pair({}, allowed([]));
    await p.settle();
    p.client.channel('bad').subscribe();
    await p.clock.advance(300_000);
    expect(asked(p)).toEqual(['subscribe bad']);
    expect(p.log).toEqual(['open', 'error PERMISSION_DENIED']);
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
  it.each([
    ['that goes on with the session', () => ({}), { resumed: true, recovered: true }, { epoch: EPOCH, offset: 0 }, []],
    ['where there are no sessions', () => NO_SESSIONS, { resumed: false, recovered: true }, { epoch: EPOCH, offset: 0 }, []],
    ['where there is no history', noHistory, { resumed: true, recovered: false }, {}, ['gap reconnected']],
    ['where there is neither', () => ({ ...NO_SESSIONS, ...noHistory() }), { resumed: false, recovered: false }, {}, ['gap reconnected']],
  ])('%s everything wanted is subscribed in one round trip, by hello and welcome alone', async (_how, server, how, position, gap) => {
    const p = pair({}, server());
    await p.settle();
    const channels = ['a', 'b', 'c'].map((name) => p.client.channel(name));
    await Promise.all(channels.map((channel) => channel.subscribe().ready));
    const logs = channels.map(watch);
    const open = vi.fn();
    p.client.addEventListener('open', ({ resumed, recovered }) => open({ resumed, recovered }));
    await lose(p);
    expect(p.socket.sent).toHaveLength(1);
    expect(p.socket.received).toHaveLength(1);
    expect(declared(p)).toEqual(['a', 'b', 'c'].map((channel) => ({ channel, ...position })));
    for (const log of logs) expect(log).toEqual(['subscribing', 'subscribed', ...gap]);
    expect(open.mock.calls).toEqual([[how]]);
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
    p.socket.accept({ accept: () => ({ receive: () => {}, alive: () => {}, closed: () => {} }) }); // a server by hand
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
