/** Sessions on the server: numbers, acknowledgements, and clients that count wrongly. */

import { describe, expect, it } from 'vitest';
import { WINDOW } from '../../src/core/session.ts';
import { settled } from '../support/fake-clock.ts';
import { told } from '../support/hand-server.ts';
import { asking, events, fate, SESSION_HELLO, sessionHost } from '../support/session-host.ts';

function listening(options: Parameters<typeof sessionHost>[0] = {}) {
  const got: unknown[] = [];
  const h = sessionHost({
    ...options,
    handlers: {
      methods: { add: (n) => Number(n) + 1, hang: () => new Promise(() => {}) },
      events: { note: (data) => void got.push(data) },
    },
  });
  return { ...h, got };
}
const request = (seq: number, id: number, method = 'add') => ({ type: 'request', id, method, params: 1, seq });
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('a number', () => {
  it('that is missing ends the session and closes with 4412; what came before it was handled', async () => {
    const gone: string[] = [];
    const { comes, got } = listening({ ondisconnection: ({ id }) => void gone.push(id) });
    const peer = await comes();
    await peer.says([...events(1), ...events(3), ...events(2)], ...events(2));
    expect([got, peer.closes, gone]).toEqual([[1], [4_412], ['1']]);
    expect(peer.news()).toMatchObject([{ type: 'bye', code: 4_412, reconnect: true, resume: false, received: 1 }]);
    expect(fate((await comes(asking(peer.welcome))).welcome)).toBe('unknown');
  });

  it('that is far too high is a gap too', async () => {
    const { comes } = listening();
    const peer = await comes();
    await peer.says(...events(Number.MAX_SAFE_INTEGER));
    expect(peer.closes).toEqual([4_412]);
  });

  it('that was received before is dropped, and acknowledged again; a call is not run twice', async () => {
    const { comes, got } = listening();
    const peer = await comes();
    await peer.says(...events(1), request(2, 1));
    expect(told(peer.news())).toEqual(['response 1 #1']);
    await peer.says(...events(1), request(2, 1), { type: 'publish', id: 9, channel: 'a', data: 1, seq: 2 });
    expect([got, told(peer.news()), peer.closes]).toEqual([[1], ['ack 2'], []]);
  });

  it('of a skip, and of a type that nobody knows, counts', async () => {
    const { comes, got, clock } = listening();
    const peer = await comes();
    await peer.says({ type: 'skip', seq: 1 }, { type: 'from-the-future', seq: 2, id: -1 }, { type: 'later', id: -1 }, ...events(3));
    expect([got, peer.closes]).toEqual([[3], []]);
    await clock.advance(1_000);
    expect(told(peer.news())).toEqual(['ack 3']);
  });

  it.each([
    ['a request without one', { type: 'request', id: 1, method: 'add' }],
    ['a request with null', { type: 'request', id: 1, method: 'add', seq: null }],
    ['a publish with an id and without one', { type: 'publish', id: 1, channel: 'a', data: 1 }],
    ['a cancel without one', { type: 'cancel', id: 1 }],
    ['a response without one', { type: 'response', id: 1, result: 1 }],
    ['an error without one', { type: 'error', id: 1, error: { code: 'NO' } }],
    ['a skip without one', { type: 'skip' }],
    ['a ping with one', { type: 'ping', seq: 1 }],
    ['a pong with one', { type: 'pong', seq: 1 }],
    ['an ack with one', { type: 'ack', received: 0, seq: 1 }],
    ['a bye with one', { type: 'bye', code: 1_000, reconnect: true, resume: true, seq: 1 }],
    ['a subscribe with one', { type: 'subscribe', id: 1, channel: 'a', seq: 1 }],
    ['an unsubscribe with one', { type: 'unsubscribe', id: 1, channel: 'a', seq: 1 }],
    ['a second hello', SESSION_HELLO],
    ['0', { type: 'event', name: 'note', data: 1, seq: 0 }],
    ['-1', { type: 'event', name: 'note', data: 1, seq: -1 }],
    ['a fraction', { type: 'event', name: 'note', data: 1, seq: 1.5 }],
    ['2^53', { type: 'event', name: 'note', data: 1, seq: 2 ** 53 }],
    ['a text', { type: 'event', name: 'note', data: 1, seq: '1' }],
    ['one of a type that nobody knows, which is none', { type: 'later', seq: 1.5 }],
  ])('in the wrong place, or none in the right one, is a violation (4400), and ends the session: %s', async (_what, frame) => {
    const { comes, got } = listening();
    const peer = await comes();
    await peer.says({ type: 'ping' });
    peer.news();
    await peer.says(frame, ...events(1));
    expect([got, peer.closes]).toEqual([[], [4_400]]);
    expect(peer.news()).toMatchObject([{ type: 'bye', code: 4_400, reconnect: false, resume: false }]);
    expect(fate((await comes(asking(peer.welcome))).welcome)).toBe('unknown');
  });

  it('is not needed by events and publishes that are volatile', async () => {
    const { comes, got, host } = listening();
    const peer = await comes({ subscriptions: [{ channel: 'a' }] });
    await peer.says({ type: 'event', name: 'note', data: 'volatile' }, { type: 'publish', channel: 'a', data: 1 }, ...events(1));
    expect([got, peer.closes, told(peer.news())]).toEqual([['volatile', 1], [], ['message a']]);
    expect(host.clients).toHaveLength(1);
  });

  it('has nothing to do with ids: one that was used in a session stays used, over all its connections', async () => {
    const { comes } = listening();
    const first = await comes();
    await first.says(request(1, 1), { type: 'subscribe', id: 2, channel: 'a' });
    first.port.closed();
    const second = await comes(asking(first.welcome));
    await second.says(request(2, 3));
    expect(second.closes).toEqual([]);
    await second.says(request(3, 1));
    expect(second.closes).toEqual([4_400]);
    for (const frame of [
      { type: 'subscribe', id: 2, channel: 'b' },
      { type: 'unsubscribe', id: 1, channel: 'b' },
      { type: 'publish', id: 2, channel: 'a', data: 1, seq: 3 },
    ]) {
      const begun = await comes();
      await begun.says(request(1, 1), { type: 'subscribe', id: 2, channel: 'a' }, { type: 'skip', seq: 2 });
      begun.port.closed();
      const again = await comes(asking(begun.welcome));
      await again.says(frame);
      expect([frame.type, again.closes]).toEqual([frame.type, [4_400]]);
    }
  });
});

describe('an acknowledgement by the client', () => {
  it.each([
    ['ack', { type: 'ack', received: 2 }],
    ['ping', { type: 'ping', received: 2 }],
    ['pong', { type: 'pong', received: 2 }],
    ['bye', { type: 'bye', code: 1_000, reconnect: true, resume: true, received: 2 }],
    ['ack of everything', { type: 'ack', received: Number.MAX_SAFE_INTEGER }],
    ['ack of a fraction', { type: 'ack', received: 0.5 }],
    ['ack of less than nothing', { type: 'ack', received: -1 }],
    ['ack of nothing', { type: 'ack' }],
  ])('of what was never sent is a violation (4400), and ends the session: %s', async (_type, frame) => {
    const { host, comes } = listening();
    const peer = await comes();
    host.clients[0]?.send('a');
    await settled();
    await peer.says(frame);
    expect([peer.closes, host.clients]).toEqual([[4_400], []]);
  });

  it('makes room, in whatever frame it comes, and of the past it is nothing', async () => {
    const { host, comes } = listening();
    const peer = await comes({ limits: { message: 65_536, window: 2 } });
    for (const i of range(1, 9)) host.clients[0]?.send('a', i);
    await settled();
    expect(told(peer.news())).toEqual(['event a #1', 'event a #2']);
    await peer.says({ type: 'ack', received: 1 });
    expect(told(peer.news())).toEqual(['event a #3']);
    await peer.says({ type: 'pong', received: 3 });
    expect(told(peer.news())).toEqual(['event a #4', 'event a #5']);
    await peer.says({ type: 'ack', received: 2 }, { type: 'ack', received: 0 });
    expect(told(peer.news())).toEqual([]);
    await peer.says({ type: 'ping', received: 4 });
    expect(told(peer.news())).toEqual(['pong', 'event a #6']);
  });

  it('that never comes closes with 4422 when more is kept than `limits.buffered`, ends the session, and is nobody else’s business', async () => {
    const { host, comes } = listening({ limits: { buffered: 20_000 } });
    const [deaf, good] = [await comes(), await comes()];
    await deaf.says({ type: 'ping' });
    deaf.news();
    for (let i = 1; i <= 100; i++) {
      host.broadcast('a', 'x'.repeat(1_000));
      await good.says({ type: 'ack', received: i });
    }
    expect([deaf.closes, good.closes, host.clients.length]).toEqual([[4_422], [], 1]);
    expect(told(deaf.received)).not.toContain('bye');
    expect(good.news().filter(({ type }) => type === 'event')).toHaveLength(100);
    expect(fate((await comes(asking(deaf.welcome))).welcome)).toBe('overflow');
  });

  it('that never comes costs no more than that with many small frames, and with answers', async () => {
    const { host, comes } = listening({ limits: { buffered: 20_000 } });
    const [small, asks] = [await comes(), await comes()];
    for (let i = 0; i < 1_000; i++) host.clients[0]?.send('a');
    await settled();
    for (const i of range(1, 1_000)) asks.port.receive(JSON.stringify(request(i, i)));
    await settled();
    expect([small.closes, asks.closes, host.clients]).toEqual([[4_422], [4_422], []]);
  });
});

describe('the acknowledgements of the server', () => {
  it('come at a quarter of the window, at a quarter of a mebibyte, and within a second', async () => {
    const { comes, clock } = listening();
    const peer = await comes();
    expect(peer.welcome).toMatchObject({ limits: { window: WINDOW } });
    const quarter = WINDOW / 4;
    for (let i = 1; i < quarter; i++) await peer.says(...events(i));
    expect(peer.news()).toEqual([]);
    await peer.says(events(quarter));
    expect(told(peer.news())).toEqual([`ack ${quarter}`]);
    await peer.says({ type: 'event', name: 'note', data: 'x'.repeat(200_000), seq: quarter + 1 });
    expect(peer.news()).toEqual([]);
    await peer.says({ type: 'event', name: 'note', data: 'x'.repeat(70_000), seq: quarter + 2 });
    expect(told(peer.news())).toEqual([`ack ${quarter + 2}`]);
    await peer.says(...events(quarter + 3));
    await clock.advance(999);
    expect(peer.news()).toEqual([]);
    await clock.advance(1);
    expect(told(peer.news())).toEqual([`ack ${quarter + 3}`]);
    await clock.advance(5_000);
    expect(peer.news()).toEqual([]);
  });

  it('ride on pongs, pings and byes', async () => {
    const { comes, clock, host } = listening();
    const peer = await comes();
    await peer.says(...events(1), { type: 'ping', nonce: 3 });
    expect(peer.news()).toEqual([{ type: 'pong', nonce: 3, received: 1 }]);
    await clock.advance(14_500);
    await peer.says(...events(2));
    await clock.advance(500);
    expect(peer.news()).toEqual([{ type: 'ping', received: 2 }]);
    await peer.says(...events(3));
    host.clients[0]?.close();
    expect(peer.received.at(-1)).toMatchObject({ type: 'bye', received: 3 });
  });
});

describe('the window of the client', () => {
  it('of 0 lets one frame go at a time; cancels go first, and order is kept', async () => {
    const { host, comes } = listening();
    const peer = await comes({ limits: { message: 65_536, window: 0 } });
    const client = host.clients[0];
    const abort = new AbortController();
    client?.call('hang', null, { signal: abort.signal }).catch(() => {});
    for (const i of [1, 2]) client?.send('a', i);
    abort.abort();
    await settled();
    const seen = told(peer.news());
    for (const received of range(1, 4)) {
      await peer.says({ type: 'ack', received });
      seen.push(...told(peer.news()));
    }
    expect(seen).toEqual(['request hang #1', 'cancel 1 #2', 'event a #3', 'event a #4']);
  });

  it('of everything there is lets no more go than 1 MiB', async () => {
    const { host, comes } = listening({ limits: { message: 2_000_000 } });
    const peer = await comes({ limits: { message: 2_000_000, window: Number.MAX_SAFE_INTEGER } });
    for (let i = 0; i < 5; i++) host.clients[0]?.send('a', 'x'.repeat(400_000));
    await settled();
    expect(told(peer.news())).toEqual(['ping', 'event a #1', 'ping', 'event a #2']);
    await peer.says({ type: 'ack', received: 2 });
    expect(told(peer.news())).toEqual(['ping', 'event a #3', 'ping', 'event a #4']);
  });

  it('a call that is given up while it waits for its number is never sent', async () => {
    const { host, comes, clock } = listening();
    const peer = await comes({ limits: { message: 65_536, window: 1 } });
    const client = host.clients[0];
    client?.send('a');
    const call = client?.call('late', null, { timeout: 500 }).catch(({ name }: Error) => name);
    client?.send('b');
    await clock.advance(500);
    expect(await call).toBe('TimeoutError');
    await peer.says({ type: 'ack', received: 1 }, { type: 'ack', received: 1 });
    expect(told(peer.news())).toEqual(['event a #1', 'event b #2']);
  });

  it('a smaller limit on the next connection leaves a skip where an event is too large, and an error where an answer is', async () => {
    const h = sessionHost({ handlers: { methods: { large: () => 'x'.repeat(5_000) } } });
    const first = await h.stays();
    await first.says({ type: 'request', id: 1, method: 'large', seq: 1 });
    h.host.clients[0]?.send('large', 'x'.repeat(5_000));
    const call = h.host.clients[0]?.call('large', 'x'.repeat(5_000)).catch(({ code }: { code: string }) => code);
    h.host.clients[0]?.send('small');
    first.port.closed();
    const second = await h.comes({ ...asking(first.welcome), limits: { message: 1_024, window: 256 } });
    expect(told(second.rest)).toEqual(['error 1 RESOURCE_EXHAUSTED #1', 'skip #2', 'skip #3', 'event small #4']);
    expect(await call).toBe('MESSAGE_TOO_LARGE');
  });
});

describe('the rate limit', () => {
  const rated = { limits: { rate: 1, burst: 3 } };

  it('does not count what is written again after a cut', async () => {
    const { comes, got } = listening(rated);
    const first = await comes();
    await first.says(...events(1, 2, 3));
    first.port.closed();
    const second = await comes(asking(first.welcome));
    await second.says(events(...range(4, 20)));
    expect([got.length, second.closes]).toEqual([20, []]);
  });

  it('does not count it either where the client takes few frames itself: the window is that of the other way', async () => {
    const { comes, got } = listening(rated);
    const limits = { message: 65_536, window: 1 };
    const first = await comes({ limits });
    await first.says(...events(1, 2, 3));
    first.port.closed();
    const second = await comes({ ...asking(first.welcome), limits });
    await second.says(events(...range(4, 20)));
    expect([got.length, second.closes]).toEqual([20, []]);
  });

  it('counts everything beyond the window that the server gave, whatever the client says of its own', async () => {
    const { comes, got } = listening(rated);
    const first = await comes();
    await first.says(...events(1));
    first.port.closed();
    const second = await comes({ ...asking(first.welcome), limits: { message: 65_536, window: Number.MAX_SAFE_INTEGER } });
    for (let from = 2; from < 2_000; from += 50) await second.says(events(...range(from, from + 49)));
    expect(second.closes).toEqual([4_429]);
    expect(got.length).toBeLessThanOrEqual(1 + WINDOW + 3);
  });

  it('holds on a first connection as ever, and leaves the session for later', async () => {
    const { comes, got } = listening(rated);
    const peer = await comes();
    await peer.says(events(1, 2, 3, 4, 5));
    expect([got, peer.closes]).toEqual([[1, 2, 3], [4_429]]);
    const second = await comes(asking(peer.welcome));
    expect(fate(second.welcome)).toBe('resumed');
  });
});
