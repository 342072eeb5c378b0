/** What waits for a connection: bounds, keys, receipts, and what is dropped. */

import { describe, expect, it, vi } from 'vitest';
import { ClosedError, HoldfastError, MessageTooLargeError, QueueFullError, UnsupportedError } from '../../src/errors.ts';
import { BRIEF_SESSIONS, listening, lose, NO_SESSIONS, offline } from './support.ts';

describe('the outbox', () => {
  it('keeps what is sent without a connection, in order, and says how much', async () => {
    const { p, got, accept } = offline();
    const receipts = [1, 22, 333].map((data) => p.client.send('note', data));
    expect(p.client.stats).toMatchObject({ sent: 0, queuedMessages: 3, queuedBytes: 6 + 3 * 64 });
    expect(receipts.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued']);
    await accept();
    expect(got).toEqual([1, 22, 333]);
    expect(receipts.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent']);
    expect(p.client.stats).toMatchObject({ sent: 3, queuedMessages: 0, queuedBytes: 0 });
  });

  it('sends what has the higher priority first', async () => {
    const { p, got, accept } = offline();
    for (const [data, priority] of [
      ['b', 0],
      ['d', -1],
      ['a', 5],
      ['c', 0],
      ['a2', 5],
    ] as const)
      p.client.send('note', data, { priority });
    await accept();
    expect(got).toEqual(['a', 'a2', 'b', 'c', 'd']);
  });

  it('drops what has waited longer than its ttl, when it has', async () => {
    const { p, got, accept } = offline();
    const receipt = p.client.send('note', 'old', { ttl: 1_000 });
    p.client.send('note', 'young', { ttl: 1_001 });
    const lost = receipt.acknowledged.catch((error: unknown) => error);
    await p.clock.advance(1_000);
    expect(p.log).toEqual(['drop event note expired']);
    expect(receipt.status).toBe('dropped');
    expect(await lost).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await accept();
    expect(got).toEqual(['young']);
  });

  it('drops what became too old while the timers slept', async () => {
    const { p, got, accept } = offline();
    await p.settle();
    p.client.send('note', 'old', { ttl: 1_000 });
    p.clock.jump(1_500);
    await accept();
    expect(got).toEqual([]);
    expect(p.log).toEqual(['drop event note expired', 'open']);
  });

  it('keeps only the latest of a key, of the same name', async () => {
    const { p, got, accept } = offline();
    const first = p.client.send('note', 1, { key: 'k' });
    p.client.send('note', 'other', { key: 'l' });
    p.client.send('note', 2, { key: 'k' });
    p.client.send('else', 3, { key: 'k' });
    expect(first.status).toBe('dropped');
    await expect(first.acknowledged).rejects.toMatchObject({ code: 'REPLACED' });
    await accept();
    expect(got).toEqual(['other', 2]);
    expect(p.log).toEqual(['drop event note replaced', 'open']);
  });

  it('throws when it is full, and keeps what it has', async () => {
    const { p, got, accept } = offline({ outbox: { capacity: 2 } });
    for (const data of [1, 2]) p.client.send('note', data);
    expect(() => p.client.send('note', 3)).toThrow(QueueFullError);
    await accept();
    expect(got).toEqual([1, 2]);
    expect(p.client.stats.dropped).toBe(0);
  });

  it.each([
    ['drop-oldest', [2, 3]],
    ['drop-newest', [1, 2]],
  ] as const)('drops by its policy when it is full: %s', async (overflow, kept) => {
    const { p, got, accept } = offline({ outbox: { maxBytes: 2 * 65, overflow } });
    const receipts = [1, 2, 3].map((data) => p.client.send('note', data));
    expect(p.log).toEqual(['drop event note overflow']);
    expect(p.client.stats).toMatchObject({ dropped: 1, queuedMessages: 2, queuedBytes: 130 });
    const dropped = receipts.filter(({ status }) => status === 'dropped');
    expect(dropped).toHaveLength(1);
    await expect(dropped[0]?.acknowledged).rejects.toBeInstanceOf(QueueFullError);
    await accept();
    expect(got).toEqual(kept);
  });

  it('gives the drop event what was sent, with its reason', async () => {
    const { p } = offline({ outbox: { capacity: 0, overflow: 'drop-newest' } });
    const drop = vi.fn();
    p.client.addEventListener('drop', ({ kind, name, data, reason, error }) => drop({ kind, name, data, reason, error }));
    p.client.send('note', { a: 1 });
    p.client.send('note', new Uint8Array([1]));
    const common = { kind: 'event', name: 'note', reason: 'overflow', error: expect.any(QueueFullError) };
    expect(drop.mock.calls).toEqual([[{ ...common, data: { a: 1 } }], [{ ...common, data: new Uint8Array([1]) }]]);
  });

  it('drops what is too large for the server when it says how much it takes, and throws from then on', async () => {
    const { p, got, accept } = offline({}, { limits: { message: 1_024 } });
    const early = p.client.send('note', 'x'.repeat(1_100));
    await accept();
    expect(early.status).toBe('dropped');
    await expect(early.acknowledged).rejects.toBeInstanceOf(MessageTooLargeError);
    expect(() => p.client.send('note', 'x'.repeat(1_100))).toThrow(MessageTooLargeError);
    const barely = p.client.send('note', 'x'.repeat(1_000)); // fits alone, but not in its frame
    p.client.send('note', 'fits');
    await p.settle();
    expect(barely.status).toBe('dropped');
    expect(got).toEqual(['fits']);
    expect(p.log.filter((line) => line !== 'open')).toEqual(['drop event note too-large', 'drop event note too-large']);
  });
});

describe('a volatile event', () => {
  it('is sent on an open connection, and dropped without one', async () => {
    const { p, got, accept } = offline();
    const early = p.client.send('note', 'early', { volatile: true });
    expect(early.status).toBe('dropped');
    await expect(early.acknowledged).rejects.toBeInstanceOf(HoldfastError);
    await accept();
    const now = p.client.send('note', 'now', { volatile: true });
    await p.settle();
    expect(now.status).toBe('sent');
    expect(got).toEqual(['now']);
    expect(p.log).toEqual(['drop event note volatile', 'open']);
  });

  it('is never kept for the next connection when this one breaks in the same task', async () => {
    const { p, got } = listening();
    await p.settle();
    p.client.send('note', 'volatile', { volatile: true });
    p.client.send('note', 'kept');
    p.socket.cut();
    await p.clock.advance(1_000);
    await p.settle();
    expect(got).toEqual(['kept']);
    expect(p.log).toContain('drop event note volatile');
  });

  it('is never kept for the next connection when the server is saying goodbye on this one', async () => {
    const { p, got } = listening();
    await p.settle();
    p.socket.deliver(JSON.stringify({ type: 'bye', code: 4100, reconnect: true, resume: false }));
    await p.settle();
    p.client.send('note', 'volatile', { volatile: true });
    p.client.send('note', 'kept');
    await p.settle();
    p.socket.cut();
    await p.clock.advance(10_000);
    await p.settle();
    expect(got).toEqual(['kept']);
  });
});

describe('a receipt', () => {
  it('that is cancelled takes the event back while it waits, once, without a drop event', async () => {
    const { p, got, accept } = offline();
    const receipt = p.client.send('note', 1, { ttl: 1_000 });
    const kept = p.client.send('note', 2);
    expect(receipt.cancel()).toBe(true);
    expect(receipt.cancel()).toBe(false);
    expect(p.client.stats.queuedMessages).toBe(1);
    await p.clock.advance(1_000);
    await accept();
    expect(got).toEqual([2]);
    expect(kept.cancel()).toBe(false);
    expect(p.log).toEqual(['open']);
  });

  it('that is cancelled is over: it is dropped, and its promise settles', async () => {
    const { p } = offline();
    const receipt = p.client.send('note', 1);
    const settled = vi.fn();
    receipt.acknowledged.catch(settled);
    receipt.cancel();
    expect(receipt.status).toBe('dropped');
    await p.settle();
    expect(settled).toHaveBeenCalledTimes(1);
  });

  it('can be cancelled in the task in which it was sent', async () => {
    const { p } = listening();
    await p.settle();
    expect(p.client.send('note', 1).cancel()).toBe(true);
    await p.settle();
    expect(p.socket.sent).toHaveLength(1);
  });

  it('says when the server has the event, within a second, and always by the same promise', async () => {
    const { p, accept } = offline();
    const receipt = p.client.send('note', 1);
    const { acknowledged } = receipt;
    const confirmed = vi.fn();
    acknowledged.then(confirmed);
    await accept();
    await p.clock.advance(999);
    expect([receipt.status, confirmed.mock.calls]).toEqual(['sent', []]);
    await p.clock.advance(1);
    await p.settle();
    expect([receipt.status, confirmed.mock.calls]).toEqual(['acknowledged', [[undefined]]]);
    expect(receipt.acknowledged).toBe(acknowledged);
    expect(receipt.cancel()).toBe(false);
    expect(p.client.stats).toMatchObject({ sent: 1, acknowledged: 1, unconfirmed: 0, unacknowledgedMessages: 0, unacknowledgedBytes: 0 });
  });

  it('says so over the next connection, where this one breaks: the event was taken once', async () => {
    const { p, got } = listening();
    await p.settle();
    const arrived = p.client.send('note', 'arrived');
    await p.settle();
    p.socket.vanish();
    const missed = p.client.send('note', 'missed');
    await p.settle();
    p.client.reconnect();
    await p.settle();
    expect([arrived.status, missed.status, got]).toEqual(['acknowledged', 'sent', ['arrived', 'missed']]);
    await p.clock.advance(1_000);
    await p.settle();
    expect(missed.status).toBe('acknowledged');
    expect(p.client.stats).toMatchObject({ sent: 2, resent: 1, acknowledged: 2, unconfirmed: 0 });
  });

  it('says that a server without sessions does not acknowledge events, once they are sent, and always by the same promise', async () => {
    const { p, accept } = offline({}, NO_SESSIONS);
    const receipt = p.client.send('note', 1);
    const { acknowledged } = receipt;
    const failed = vi.fn();
    acknowledged.catch(failed);
    await p.settle();
    expect(failed).not.toHaveBeenCalled();
    await accept();
    expect(failed.mock.calls).toEqual([[expect.any(UnsupportedError)]]);
    expect(receipt.acknowledged).toBe(acknowledged);
    expect(receipt.status).toBe('sent');
  });
});

describe('after close()', () => {
  it('what waited is dropped, what is sent is too, and connect() begins anew', async () => {
    const { p, got, accept } = offline();
    const receipt = p.client.send('note', 1);
    const closed = p.client.close();
    const during = p.client.send('note', 2);
    await p.clock.advance(2_000);
    await closed;
    const after = p.client.send('note', 3);
    for (const each of [receipt, during, after]) {
      expect(each.status).toBe('dropped');
      await expect(each.acknowledged).rejects.toBeInstanceOf(ClosedError);
    }
    expect(p.log.filter((line) => line.startsWith('drop'))).toEqual(Array(3).fill('drop event note closed'));
    void p.client.connect();
    p.client.send('note', 4);
    await accept();
    expect(got).toEqual([4]);
  });
});

describe('stats', () => {
  it('count what is written and not acknowledged, and nothing as unconfirmed while the session lasts', async () => {
    const { p, got } = listening();
    await p.settle();
    p.client.send('note', 1);
    await p.clock.advance(1_000); // within which the server says what it has
    await p.settle();
    p.client.send('note', 2);
    p.client.send('note', 3);
    await p.settle();
    const bytes = p
      .frames()
      .slice(2)
      .map((frame) => JSON.stringify(frame).length)
      .reduce((sum, each) => sum + each, 0);
    expect(p.client.stats).toMatchObject({ unacknowledgedMessages: 2, unacknowledgedBytes: bytes, resent: 0 });
    await lose(p);
    expect(p.client.stats).toMatchObject({ connections: 2, resumed: 1, unconfirmed: 0, unacknowledgedMessages: 0, unacknowledgedBytes: 0 });
    expect(got).toEqual([1, 2, 3]);
  });

  it('count nothing as unconfirmed that is sent again when the session is lost; what is not is counted as dropped', async () => {
    const again = listening({}, BRIEF_SESSIONS);
    await again.p.settle();
    again.p.client.send('note', 1);
    await again.p.settle();
    await lose(again.p);
    expect(again.got).toEqual([1, 1]); // it may arrive twice
    expect(again.p.client.stats).toMatchObject({ sent: 1, resumed: 0, unconfirmed: 0, dropped: 0, unacknowledgedMessages: 1 });

    const { p, got } = listening({ unacknowledged: 'drop' }, BRIEF_SESSIONS);
    await p.settle();
    const receipt = p.client.send('note', 1);
    await p.settle();
    await lose(p);
    expect(got).toEqual([1]); // it may have arrived all the same
    await expect(receipt.acknowledged).rejects.toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
    expect(receipt.status).toBe('dropped');
    expect(p.log).toContain('drop event note session-lost');
    expect(p.client.stats).toMatchObject({ sent: 1, resumed: 0, unconfirmed: 0, dropped: 1, unacknowledgedMessages: 0 });
  });

  it('count as unconfirmed what was written and not acknowledged when it is closed', async () => {
    const { p } = listening();
    await p.settle();
    p.client.send('note', 1);
    await p.clock.advance(1_000); // within which the server says what it has
    await p.settle();
    const receipt = p.client.send('note', 2);
    await p.settle();
    await p.client.close();
    await expect(receipt.acknowledged).rejects.toBeInstanceOf(ClosedError);
    expect(receipt.status).toBe('sent');
    expect(p.client.stats).toMatchObject({ sent: 2, acknowledged: 1, unconfirmed: 1, dropped: 0, unacknowledgedMessages: 0 });
  });

  it('count as unconfirmed, without sessions, what was written to a connection that was lost before the server gave a sign', async () => {
    const { p } = listening({}, NO_SESSIONS);
    await p.settle();
    p.client.send('note', 1);
    await p.client.call('nothing', undefined).catch(() => {});
    p.client.send('note', 2);
    p.client.send('note', 3);
    await p.settle();
    expect(p.client.stats.unconfirmed).toBe(0);
    p.socket.cut();
    expect(p.client.stats.unconfirmed).toBe(2);
    await p.clock.advance(1_000);
    await p.settle();
    p.socket.cut();
    expect(p.client.stats.unconfirmed).toBe(2);
  });

  it('count events that came in, handled or not, and messages and bytes that went out', async () => {
    const { p } = listening();
    await p.settle();
    p.client.on('note', () => {});
    p.peer.send('note', 1);
    p.peer.send('other', 1);
    p.client.send('note', 'é');
    await p.settle();
    const bytes = new TextEncoder().encode(JSON.stringify({ type: 'event', name: 'note', data: 'é', seq: 1 })).length;
    expect(p.client.stats).toMatchObject({ connections: 1, sent: 1, received: 2, messagesReceived: 1, messagesSent: 1, bytesSent: bytes });
    expect(p.log).toEqual(['open', 'unhandled event other']);
  });
});
