/** What users did to a client until it was stopped. */

import { describe, expect, it, vi } from 'vitest';
import { ClosedError } from '../../src/errors.ts';
import { pair } from '../support/link.ts';

describe('parameters of a channel', () => {
  it('that cannot be sent are an error there and then, and harm no connection', async () => {
    const p = pair();
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    for (const params of [cycle, 1n, () => {}, new Uint8Array(3)]) expect(() => p.client.channel('a', { params })).toThrow(TypeError);
    await p.settle();
    expect(p.log).toEqual(['open']);
  });

  it('are what they were when they were given', async () => {
    const p = pair();
    const params = { since: 1 };
    p.client.channel('a', { params }).subscribe();
    params.since = 2;
    await p.settle();
    p.client.reconnect();
    await p.settle();
    expect(p.frames()[0]?.['subscriptions']).toEqual([{ channel: 'a', params: { since: 1 } }]);
  });
});

describe('credentials', () => {
  it.each([
    ['a BigInt', 1n],
    ['a function', () => 1],
    ['bytes', new Uint8Array(1)],
  ])('that are %s are a failed attempt that says so', async (_, value) => {
    const p = pair({ auth: () => value, maxRetries: 0 });
    await p.settle();
    await p.clock.advance(0);
    expect(p.log).toEqual(['error AUTH_FAILED', 'close 1006 final']);
  });
});

describe('what was written and then closed', () => {
  it('is not called dropped: nobody knows', async () => {
    const p = pair({}, { authorize: () => new Promise(() => {}) });
    await p.settle();
    const receipt = p.client.channel('a').publish(1);
    await p.settle();
    expect(receipt.status).toBe('sent');
    void p.client.close();
    await expect(receipt.acknowledged).rejects.toBeInstanceOf(ClosedError);
    expect([receipt.status, p.client.stats.unconfirmed, p.client.stats.dropped]).toEqual(['sent', 1, 0]);
  });

  it('is no error of a channel that was being subscribed', async () => {
    const p = pair({}, { authorize: () => new Promise(() => {}) });
    await p.settle();
    p.client.channel('a').subscribe();
    await p.settle();
    await p.client.close();
    await p.settle();
    expect(p.log).toEqual(['open', 'close 1000 final']);
  });
});

describe('a closed client', () => {
  it('lets no subscription wait, and no loop', async () => {
    const p = pair();
    await p.settle();
    await p.client.close();
    await expect(p.client.channel('a').subscribe().ready).rejects.toBeInstanceOf(ClosedError);
    const got: unknown[] = [];
    for await (const message of p.client.channel('b')) got.push(message);
    expect(got).toEqual([]);
  });
});

describe('keys', () => {
  it('of different names are different keys', async () => {
    const p = pair();
    p.client.send('a b', 1, { key: 'c' });
    p.client.send('a', 2, { key: 'b c' });
    p.client.channel('a').publish(3, { key: 'b c' });
    expect(p.client.stats.queuedMessages).toBe(3);
  });
});

describe('a handler that is async', () => {
  it('and rejects is reported like one that throws', async () => {
    const reported = vi.spyOn(console, 'error').mockImplementation(() => {});
    const p = pair();
    await p.settle();
    p.client.on('note', async () => {
      throw new Error('late');
    });
    p.client.channel('a').subscribe(async () => {
      throw new Error('later');
    });
    await p.settle();
    p.peer.send('note', 1);
    p.host.publish('a', 1);
    await p.settle();
    expect(reported.mock.calls.map(([error]) => (error as Error).message)).toEqual(['late', 'later']);
    reported.mockRestore();
  });
});
