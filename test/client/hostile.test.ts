/** What users did to a client until it was stopped. */

import { describe, expect, it, vi } from 'vitest';
import { Client } from '../../src/client.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import { ClosedError } from '../../src/errors.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { type Pair, pair } from '../support/link.ts';
import { EPOCH, NO_SESSIONS } from './support.ts';

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
    expect(p.frames()[0]?.['subscriptions']).toEqual([{ channel: 'a', params: { since: 1 }, epoch: EPOCH, offset: 0 }]);
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

describe('a subscription that was never answered', () => {
  it('and given up takes nothing from the next one when its time is over', async () => {
    const decisions: ((allow: boolean) => void)[] = [];
    const p = pair({ callTimeout: 5_000 }, { authorize: () => new Promise((resolve) => decisions.push(resolve)) });
    await p.settle();
    p.client.channel('a').subscribe().unsubscribe();
    const first = p.client.channel('a').subscribe();
    await p.settle();
    first.unsubscribe();
    await p.clock.advance(1);
    const { ready } = p.client.channel('a').subscribe();
    await p.settle();
    decisions.at(-1)?.(true);
    await ready;
    await p.clock.advance(6_000);
    expect([p.client.channel('a').state.status, p.host.publish('a', 1)]).toEqual(['subscribed', 1]);
  });

  it('fails when its time is over, and is taken back', async () => {
    const p = pair({ callTimeout: 5_000 }, { authorize: () => new Promise(() => {}) });
    await p.settle();
    const { ready } = p.client.channel('a').subscribe();
    await p.settle();
    await p.clock.advance(5_000);
    await expect(ready).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(p.frames().map(({ type }) => type)).toEqual(['hello', 'subscribe', 'cancel', 'unsubscribe']);
  });
});

describe('a call that was written', () => {
  it.each<[string, ClientOptions, (p: Pair) => void]>([
    ['the server closes for good', {}, (p) => p.peer.close(4900)],
    ['the last retry is used up', { maxRetries: 0 }, (p) => p.socket.cut()],
  ])('may have been executed when %s', async (_, options, end) => {
    const p = pair(options, { handlers: { methods: { hang: () => new Promise(() => {}) } } });
    await p.settle();
    const call = p.client.call('hang');
    await p.settle();
    end(p);
    await p.settle();
    expect(p.client.state.status).toBe('closed');
    await expect(call).rejects.toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
  });
});

describe('a drop listener that reconnects in the middle of a flush', () => {
  const flushed = async (server: HostOptions) => {
    const got: unknown[] = [];
    const p = pair({}, { ...server, handlers: { events: { note: (data) => got.push(data) } } });
    await p.settle();
    p.client.addEventListener('drop', () => p.client.reconnect(), { once: true });
    p.client.send('note', 'old', { ttl: 1 });
    const receipt = p.client.channel('a').publish('y');
    receipt.acknowledged.catch(() => {});
    p.client.send('note', 'new');
    p.clock.jump(20); // the timer of the old one is late
    await p.settle();
    await p.clock.advance(5_000);
    await p.settle();
    expect(got).toEqual(['new']);
    expect([p.client.state.status, p.client.stats.pendingCalls, p.client.stats.queuedMessages]).toEqual(['open', 0, 0]);
    return receipt;
  };

  it('takes nothing away: what goes out goes out first, and what waits goes on waiting', async () => {
    const receipt = await flushed({});
    expect(receipt.status).toBe('acknowledged');
  });

  it('takes away the answer, where there are no sessions, and nothing else', async () => {
    // Written before anybody was told: arrived, or known to be unknown, and nothing hangs.
    const receipt = await flushed(NO_SESSIONS);
    expect(receipt.status).toBe('sent');
    await expect(receipt.acknowledged).rejects.toMatchObject({ code: 'SESSION_LOST' });
  });
});

describe('the last word', () => {
  it('is connect(), while a close still drains', async () => {
    const p = pair({}, { handlers: { methods: { hang: () => new Promise(() => {}) } } });
    await p.settle();
    p.client.call('hang').catch(() => {});
    await p.settle();
    const closed = p.client.close({ drain: 200 });
    await p.client.connect();
    await p.clock.advance(5_000);
    await closed;
    expect(p.client.state.status).toBe('open');
  });

  it('is the later of two closes that drain: both are over when it is closed', async () => {
    const p = pair({}, { handlers: { methods: { hang: () => new Promise(() => {}) } } });
    await p.settle();
    p.client.call('hang').catch(() => {});
    await p.settle();
    const seen: string[] = [];
    for (const drain of [300, 300]) void p.client.close({ drain }).then(() => seen.push(p.client.state.status));
    await p.clock.advance(5_000);
    await p.settle();
    expect(seen).toEqual(['closed', 'closed']);
  });

  it('is reconnect(): close() is over then', async () => {
    const p = pair();
    await p.settle();
    const closed = p.client.close();
    p.client.reconnect();
    await closed;
    await p.settle();
    expect(p.client.state.status).toBe('open');
  });

  it('is close(), though connect() came in between', async () => {
    const p = pair();
    await p.settle();
    const [first, connected, second] = [p.client.close(), p.client.connect(), p.client.close()];
    await Promise.all([first, second]);
    await expect(connected).rejects.toBeInstanceOf(ClosedError);
    await p.settle();
    expect(p.client.state.status).toBe('closed');
  });

  it('is the signal', async () => {
    const stop = new AbortController();
    const p = pair({ signal: stop.signal });
    await p.settle();
    const closed = p.client.close();
    const connected = p.client.connect();
    stop.abort();
    await closed;
    await expect(connected).rejects.toBeInstanceOf(ClosedError);
    await p.settle();
    expect(p.client.state.status).toBe('closed');
  });

  it('of a drain that another close() has overtaken does not close the next connection', async () => {
    const p = pair({}, { handlers: { methods: { hang: () => new Promise(() => {}) } } });
    await p.settle();
    p.client.call('hang').catch(() => {});
    await p.settle();
    void p.client.close({ drain: 5_000 });
    await p.client.close();
    await p.client.connect();
    await p.clock.advance(6_000);
    expect(p.client.state.status).toBe('open');
  });
});

describe('a goodbye', () => {
  it('that was followed by another connection ends nothing there', async () => {
    const p = pair();
    await p.settle();
    p.socket.deliver(JSON.stringify({ type: 'bye', code: 4100, reconnect: true, resume: false }));
    await p.settle();
    p.client.reconnect();
    await p.settle();
    await p.clock.advance(6_000);
    expect([p.client.state.status, p.sockets.length]).toEqual(['open', 2]);
  });
});

describe('a field that means something elsewhere', () => {
  it('means nothing in a frame that does not have it: an event acknowledges nothing', async () => {
    const p = pair();
    await p.settle();
    const heard = vi.fn();
    p.client.on('note', heard);
    p.socket.deliver(JSON.stringify({ type: 'event', name: 'note', data: 1, received: 99 }));
    await p.settle();
    expect([heard.mock.calls, p.log]).toEqual([[[1]], ['open']]);
  });
});

describe('a socket on its way out', () => {
  it('is given nothing: what waits goes on waiting', async () => {
    const got: unknown[] = [];
    const p = pair({}, { handlers: { events: { note: (data) => got.push(data) } } });
    await p.settle();
    p.socket.readyState = 2; // its close event has not come yet
    p.client.send('note', 1);
    await p.settle();
    expect(p.client.stats).toMatchObject({ sent: 0, queuedMessages: 1 });
    p.socket.cut();
    await p.clock.advance(1_000);
    await p.settle();
    expect(got).toEqual([1]);
  });
});

describe('options that the wire cannot carry', () => {
  it.each([Infinity, 2_000.5, 10])('are refused: messageLimit %d', (messageLimit) => {
    expect(() => new Client('wss://example.test', { messageLimit, startClosed: true })).toThrow(/"messageLimit"/);
  });
});
