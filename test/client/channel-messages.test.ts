/** What comes over a channel and what is published on it: nothing of earlier subscriptions, bounded loops, receipts. */

import { describe, expect, it, vi } from 'vitest';
import { ClosedError, MessageTooLargeError, QueueFullError, SessionLostError, TimeoutError } from '../../src/errors.ts';
import { framesIn, type Pair, pair } from '../support/link.ts';
import { saidBy } from '../support/numbers.ts';
import { allowed, asked, BRIEF_SESSIONS, deciding, lose, NO_SESSIONS, noHistory, watch } from './support.ts';

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

  it('takes one of the new one with it: a message right behind the confirmation is delivered', async () => {
    const p = pair();
    await p.settle();
    const channel = p.client.channel('a');
    const log = watch(channel);
    channel.subscribe();
    channel.publish('first words');
    await p.settle();
    const batches = p.socket.received.map((message) => framesIn(message).map(({ type }) => type));
    expect(batches).toContainEqual(['response', 'message']);
    expect(log).toEqual(['subscribing', 'subscribed', 'message first words']);
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

  it.each([
    ['from where it was', () => ({}), []],
    ['with a gap where there is no history', noHistory, ['gap reconnected']],
  ])('and wants it back: it is asked for at once, %s, but not twice in five seconds', async (_how, server, gap) => {
    const p = pair({}, server());
    const channel = p.client.channel('a');
    const log = watch(channel);
    await channel.subscribe().ready;
    await end(p, { resubscribe: true });
    expect(asked(p)).toEqual(['subscribe a']);
    expect(log).toEqual(['subscribing', 'subscribed', 'subscribing', 'subscribed', ...gap]);
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

  it('and wants it back: what another channel asks for does not hasten it, and leaving it forgets it', async () => {
    const p = pair();
    const demand = (channel: string) => {
      p.socket.deliver(JSON.stringify({ type: 'unsubscribe', channel, resubscribe: true }));
      return p.settle();
    };
    const { unsubscribe } = p.client.channel('a').subscribe();
    await p.client.channel('b').subscribe().ready;
    for (const channel of ['a', 'a', 'b']) await demand(channel);
    expect(asked(p)).toEqual(['subscribe a', 'subscribe b']);
    unsubscribe();
    await p.clock.advance(0);
    p.client.channel('a').subscribe();
    await p.settle();
    expect(asked(p).at(-1)).toBe('subscribe a');
    await p.clock.advance(60_000);
    expect(asked(p).filter((line) => line === 'subscribe a')).toHaveLength(2);
  });
});

describe('publish', () => {
  it.each([
    ['with its place in the history', () => ({}), 1],
    ['without one where there is no history', noHistory, undefined],
  ])('waits for a connection, and is acknowledged by the server, %s', async (_how, server, offset) => {
    const p = pair({}, server());
    const receipt = p.client.channel('a').publish({ n: 1 });
    expect(receipt.status).toBe('queued');
    await p.settle();
    expect(await receipt.acknowledged).toEqual({ offset });
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

  it('written when the connection breaks is acknowledged over the next one, and published once', async () => {
    const { p, decisions } = deciding();
    await p.settle();
    const receipt = p.client.channel('a').publish(1);
    await p.settle();
    p.socket.cut();
    decisions[0]?.(true); // while it is away
    await p.settle();
    expect(receipt.status).toBe('sent');
    await p.clock.advance(1_000);
    await p.settle();
    expect(await receipt.acknowledged).toEqual({ offset: 1 });
    expect([receipt.status, decisions.length, asked(p)]).toEqual(['acknowledged', 1, []]);
    expect(p.client.stats).toMatchObject({ sent: 1, acknowledged: 1, unconfirmed: 0, resent: 0 });
  });

  it('lost with its session is published again, ahead of what waited, where the server had not said that it has it', async () => {
    const { p, decisions } = deciding(BRIEF_SESSIONS);
    await p.settle();
    const channel = p.client.channel('a');
    const receipts = ['first', 'second'].map((data) => channel.publish(data));
    await p.settle();
    p.socket.cut();
    receipts.push(channel.publish('third'));
    await p.clock.advance(1_000);
    await p.settle();
    expect(saidBy('client', p.socket).slice(1)).toMatchObject([{ data: 'first' }, { data: 'second' }, { data: 'third' }]);
    expect(decisions).toHaveLength(5); // the first two may have been published twice
    for (const decide of decisions.slice(2)) decide(true);
    await Promise.all(receipts.map(({ acknowledged }) => acknowledged));
    expect(p.client.stats).toMatchObject({ sent: 3, acknowledged: 3, unconfirmed: 0 });
  });

  it('lost with its session is not published again where the server had said that it has it: it is unconfirmed', async () => {
    const { p } = deciding(BRIEF_SESSIONS);
    await p.settle();
    const receipt = p.client.channel('a').publish(1);
    await p.clock.advance(1_000); // within which the server says what it has
    await lose(p);
    await expect(receipt.acknowledged).rejects.toBeInstanceOf(SessionLostError);
    expect([receipt.status, asked(p)]).toEqual(['sent', []]);
    expect(p.client.stats).toMatchObject({ unconfirmed: 1, dropped: 0 });
    expect(p.log).toEqual(['open', 'close 1006 again', 'open']);
  });

  it('written and then lost, where there are no sessions, may have arrived or not: it is sent, and counted as unconfirmed', async () => {
    const { p } = deciding(NO_SESSIONS);
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
