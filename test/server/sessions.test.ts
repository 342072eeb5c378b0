/** Sessions on the server: what outlives a connection, for how long, and what ends it. */

import { describe, expect, it, vi } from 'vitest';
import type { ServerClient } from '../../src/server/client.ts';
import { settled } from '../support/fake-clock.ts';
import { told } from '../support/hand-server.ts';
import { types } from '../support/hosting.ts';
import { asking, events, fate, sessionHost } from '../support/session-host.ts';

/** A host that notes who comes and goes, and what it is told. */
function noting(options: Parameters<typeof sessionHost>[0] = {}) {
  const log: string[] = [];
  const got: unknown[] = [];
  const h = sessionHost({
    onconnection: (client) => void log.push(`+${client.id}`),
    ondisconnection: (client) => void log.push(`-${client.id}`),
    ...options,
    handlers: { events: { note: (data) => void got.push(data) }, ...options.handlers },
  });
  const client = () => {
    const client = h.host.clients.at(-1);
    if (!client) throw new Error('nobody is there');
    return client;
  };
  return { ...h, log, got, client };
}

describe('a welcome', () => {
  it('names a session of its own with a secret of its own, 128 random bits each, and says how long it is kept', async () => {
    const { comes } = noting({ sessions: { ttl: 5_000 } });
    const ids = new Set<unknown>();
    for (let i = 0; i < 50; i++) {
      const { welcome } = await comes();
      expect(welcome).toMatchObject({ resumed: false, ttl: 5_000, received: 0 });
      for (const id of [welcome['session'], welcome['key']]) expect(id).toMatch(/^[0-9a-f]{32}$/);
      ids.add(welcome['session']).add(welcome['key']);
    }
    expect(ids.size).toBe(100);
  });

  it('has none where either side does not want any', async () => {
    const without = await noting().comes({ features: ['calls'] });
    const { comes } = noting({ sessions: false });
    const asked = await comes(asking({ type: 'welcome', session: 'a', key: 'b' }));
    for (const { welcome } of [without, asked]) {
      expect(welcome).toMatchObject({ resumed: false });
      for (const field of ['session', 'key', 'received', 'ttl', 'error']) expect(welcome).not.toHaveProperty(field);
      expect(welcome['features']).not.toContain('resume');
    }
  });

  it('that goes on with a session has its name and key still, and says what was received', async () => {
    const { comes, log, client } = noting();
    const first = await comes();
    await first.says(...events(1, 2, 3));
    const before = client();
    before.data.set('since', 1);
    first.port.closed();
    const { session, key } = first.welcome;
    const second = await comes(asking(first.welcome), '10.9.9.9');
    expect(second.welcome).toMatchObject({ resumed: true, session, key, received: 3 });
    expect(second.welcome).not.toHaveProperty('error');
    expect(client()).toBe(before);
    expect([before.data.get('since'), before.request.address, log]).toEqual([1, '10.9.9.9', ['+1']]);
  });
});

describe('a client that is away', () => {
  it('is open and not connected, and gets in order what it had not got and what was sent meanwhile', async () => {
    const { host, comes, stays, client } = noting();
    const first = await stays();
    for (const data of [1, 2, 3]) client().send('a', data);
    await settled();
    expect(told(first.news())).toEqual(['event a #1', 'event a #2', 'event a #3']);
    first.port.closed();
    expect([client().isOpen, client().isConnected, host.connections]).toEqual([true, false, 0]);
    expect(client().send('b')).toBe(true);
    expect(client().send('now', 1, { volatile: true })).toBe(false);
    host.broadcast('c', 1);
    const second = await comes(asking(first.welcome, 1, 2));
    expect([client().isOpen, client().isConnected]).toEqual([true, true]);
    expect([fate(second.welcome), told(second.rest)]).toEqual(['resumed', ['event a #3', 'event b #4', 'event c #5']]);
    expect(client().send('now', 1, { volatile: true })).toBe(true);
  });

  it('is called, and answers when it is back; a call that took too long is a skip by then, and a cancel', async () => {
    const { clock, comes, stays, client } = noting();
    const first = await stays();
    const before = client().call('before');
    await settled();
    first.port.closed();
    const meanwhile = client().call('meanwhile');
    const late = client().call('late', null, { timeout: 1_000 });
    const abort = new AbortController();
    const gone = client().call('gone', null, { signal: abort.signal });
    const failures = [late, gone].map((call) => call.catch(({ name }: Error) => name));
    await clock.advance(1_000);
    abort.abort();
    const second = await comes(asking(first.welcome));
    expect(told(second.rest)).toEqual(['request before #1', 'request meanwhile #2', 'skip #3', 'skip #4', 'cancel 3 #5', 'cancel 4 #6']);
    await second.says({ type: 'response', id: 1, result: 'a', seq: 1 }, { type: 'response', id: 2, result: 'b', seq: 2 });
    expect(await Promise.all([before, meanwhile, ...failures])).toEqual(['a', 'b', 'TimeoutError', 'AbortError']);
  });

  it('has its calls run on, and gets the answers when it is back, those to its publishes too', async () => {
    const ends: ((value: unknown) => void)[] = [];
    const signals: AbortSignal[] = [];
    const slow = (_params: unknown, { signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise((resolve) => ends.push(resolve));
    };
    let allow: (yes: boolean) => void = () => {};
    const authorize = () => new Promise<boolean>((resolve) => (allow = resolve));
    const { comes } = noting({ authorize, handlers: { methods: { slow } } });
    const first = await comes();
    await first.says({ type: 'request', id: 1, method: 'slow', seq: 1 }, { type: 'publish', id: 2, channel: 'a', data: 1, seq: 2 });
    first.port.closed();
    ends[0]?.('done');
    allow(true);
    await settled();
    const second = await comes(asking(first.welcome));
    expect(second.rest.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(second.rest.map(({ type, id }) => `${type} ${id}`).sort()).toEqual(['response 1', 'response 2']);
    expect(signals[0]?.aborted).toBe(false);
  });

  it('has no subscriptions: they belong to the connection', async () => {
    const { host, comes } = noting();
    const first = await comes();
    await first.says({ type: 'subscribe', id: 1, channel: 'a' });
    expect(host.publish('a', 1)).toBe(1);
    first.port.closed();
    expect(host.publish('a', 2)).toBe(0);
    const second = await comes({ ...asking(first.welcome), subscriptions: [{ channel: 'a' }] });
    expect(second.rest).toEqual([]);
    expect(host.publish('a', 3)).toBe(1);
  });

  it('has the principal of its last hello', async () => {
    const authenticate = (token: unknown) => ({ id: 'ida', token });
    const { comes, stays, client } = noting({ authenticate });
    const first = await stays({ auth: 1 });
    first.port.closed();
    await comes({ ...asking(first.welcome), auth: 2 });
    expect(client().principal).toEqual({ id: 'ida', token: 2 });
  });

  it('is waited for as long as its session lasts, from the loss on, each time anew', async () => {
    const { clock, comes, stays, log } = noting({ sessions: { ttl: 1_000 } });
    const first = await stays();
    await clock.advance(5_000);
    first.port.closed();
    await clock.advance(999);
    const second = await comes(asking(first.welcome));
    expect(fate(second.welcome)).toBe('resumed');
    await clock.advance(5_000);
    second.port.closed();
    await clock.advance(999);
    expect(log).toEqual(['+1']);
    await clock.advance(1);
    expect(log).toEqual(['+1', '-1']);
    const third = await comes(asking(first.welcome, 2));
    expect([fate(third.welcome), log]).toEqual(['expired', ['+1', '-1', '+2']]);
  });

  it('and does not come back is gone with all that belongs to it', async () => {
    const reasons: unknown[] = [];
    const hang = (_params: unknown, { signal }: { signal: AbortSignal }) => {
      signal.addEventListener('abort', () => reasons.push((signal.reason as { code: string }).code));
      return new Promise(() => {});
    };
    const { host, clock, comes, client } = noting({ sessions: { ttl: 1_000 }, handlers: { methods: { hang } } });
    const visitor = await comes();
    await visitor.says({ type: 'request', id: 1, method: 'hang', seq: 1 });
    const gone = client();
    const call = gone.call('confirm', null, { timeout: Infinity }).catch((error: unknown) => error);
    visitor.port.closed();
    await clock.advance(1_000);
    expect(await call).toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
    expect([reasons, host.clients, gone.isOpen, gone.send('a')]).toEqual([['SESSION_LOST'], [], false, false]);
    await expect(gone.call('confirm')).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
    expect(clock.pending).toBe(0);
  });
});

describe('a session', () => {
  it('that never said a word is not waited for for long, whatever was sent to it', async () => {
    const { host, comes, log, client, clock } = noting();
    const silent = await comes();
    client().send('a', 1);
    await settled();
    silent.port.closed();
    await clock.advance(9_999);
    expect(log).toEqual(['+1']);
    await clock.advance(1);
    expect([log, host.clients, clock.pending]).toEqual([['+1', '-1'], [], 0]);
    expect(fate((await comes(asking(silent.welcome, 1, 1))).welcome)).toBe('expired');
  });

  it.each([
    ['ping', { type: 'ping' }],
    ['pong', { type: 'pong' }],
    ['ack', { type: 'ack', received: 0 }],
    ['subscribe', { type: 'subscribe', id: 1, channel: 'a' }],
    ['event', { type: 'event', name: 'a', data: 1, seq: 1 }],
    ['volatile event', { type: 'event', name: 'a', data: 1 }],
  ])('that said anything outlives it: %s', async (_type, frame) => {
    const { comes } = noting();
    const visitor = await comes();
    await visitor.says(frame);
    visitor.port.closed();
    expect(fate((await comes(asking(visitor.welcome))).welcome)).toBe('resumed');
  });

  it('is over at once when its client says so, and not when it only leaves', async () => {
    const { comes, stays, log, client } = noting();
    const goodbye = { type: 'bye', code: 1_000, reconnect: false };
    const leaving = await stays();
    await leaving.says({ ...goodbye, resume: true });
    leaving.port.closed();
    expect(log).toEqual(['+1']);
    const ending = await comes(asking(leaving.welcome));
    const ended = client();
    await ending.says({ ...goodbye, resume: false, received: 0 }, ...events(1));
    expect([log, ended.isOpen, ended.send('a')]).toEqual([['+1', '-1'], false, false]);
    ending.port.closed();
    expect(log).toEqual(['+1', '-1']);
    expect(fate((await comes(asking(leaving.welcome, 2))).welcome)).toBe('unknown');
  });

  it.each([
    [4_600, 'resumed'],
    [4_799, 'resumed'],
    [1_000, 'unknown'],
    [3_000, 'unknown'],
    [4_800, 'unknown'],
    [4_999, 'unknown'],
  ])('closed by the server with %i is %s after, whether its client is there or away', async (code, expected) => {
    const { comes, stays, client } = noting();
    const there = await stays();
    client().close(code, 'enough');
    await settled();
    expect(there.closes).toEqual([code]);
    expect(there.news()).toMatchObject([{ type: 'bye', code, resume: expected === 'resumed', reconnect: expected === 'resumed' }]);
    expect(fate((await comes(asking(there.welcome))).welcome)).toBe(expected);
    const away = await stays();
    away.port.closed();
    client().close(code);
    expect(fate((await comes(asking(away.welcome))).welcome)).toBe(expected);
  });

  it('ends with its host, whether its client is there, away, or busy', async () => {
    const { host, clock, stays, log } = noting({ handlers: { methods: { hang: () => new Promise(() => {}) } } });
    const [away, , busy] = [await stays(), await stays(), await stays()];
    await busy.says({ type: 'request', id: 1, method: 'hang', seq: 1 });
    away.port.closed();
    const closed = vi.fn();
    host.close({ drain: 3_000 }).then(closed);
    await clock.advance(2_999);
    expect(closed).not.toHaveBeenCalled();
    await clock.advance(1);
    expect(closed).toHaveBeenCalledTimes(1);
    expect([host.clients, clock.pending, log.filter((line) => line.startsWith('-')).length]).toEqual([[], 0, 3]);
  });

  it('is none at a host without: who comes back is somebody new, and what was sent is gone', async () => {
    const { host, comes, log } = noting({ sessions: false });
    const first = await comes();
    await first.says({ type: 'event', name: 'note', data: 1 });
    host.broadcast('a', 1);
    first.port.closed();
    const second = await comes();
    expect([log, host.clients.length, second.rest]).toEqual([['+1', '-1', '+2'], 1, []]);
    await second.says(...events(1));
    expect(second.closes).toEqual([4_400]); // a number where there is no session
  });
});

describe('a newer connection', () => {
  it('takes the session over: the older one gets 4409, and nothing more is taken from it', async () => {
    const { host, comes, got, client, log } = noting();
    const first = await comes();
    await first.says(...events(1));
    client().send('a', 1);
    const second = await comes(asking(first.welcome));
    expect(first.closes).toEqual([4_409]);
    expect(first.received.at(-1)).toMatchObject({ type: 'bye', code: 4_409, reconnect: false, resume: false });
    expect(told(second.rest)).toEqual(['event a #1']);
    await first.says(...events(2), { type: 'bye', code: 1_000, reconnect: false, resume: false }, { type: 'ack', received: 99 }, 'rubbish');
    expect([got, client().isConnected, log]).toEqual([[1], true, ['+1']]);
    await second.says(...events(2));
    expect(got).toEqual([1, 2]);
    expect(host.clients).toHaveLength(1);
  });

  it('is not harmed when the end of the older one is noticed late, or twice', async () => {
    const { comes, stays, log, client } = noting({ sessions: { ttl: 1_000 } });
    const first = await stays();
    first.reach.answersClose = false;
    const second = await comes(asking(first.welcome));
    first.port.closed();
    first.port.closed();
    expect([client().isConnected, log, second.closes]).toEqual([true, ['+1'], []]);
    client().send('a');
    await settled();
    expect(told(second.news())).toEqual(['event a #1']);
  });

  it('gets everything, in the middle of a talk: nothing is lost and nothing comes twice', async () => {
    const { comes, got, client } = noting();
    let peer = await comes();
    const { welcome } = peer;
    const heard: unknown[] = [];
    for (let round = 1; round <= 20; round++) {
      const { length } = got;
      await peer.says(...events(length + 1, length + 2, length + 3).slice(0, (round % 3) + 1));
      for (let i = 0; i < round % 4; i++) client().send('a', `${round}.${i}`);
      await settled();
      // Half of what came did not reach the application.
      const came = peer.news().filter(({ type }) => type === 'event');
      heard.push(...came.slice(0, round % 2 ? came.length : came.length >> 1).map(({ data }) => data));
      peer = await comes(asking(welcome, round, heard.length));
      expect(peer.welcome).toMatchObject({ resumed: true, received: got.length });
      heard.push(...peer.rest.map(({ data }) => data));
      await peer.says({ type: 'ack', received: heard.length });
    }
    expect(got).toEqual(got.map((_, i) => i + 1));
    expect(heard).toEqual(Array.from({ length: 20 }, (_, r) => Array.from({ length: (r + 1) % 4 }, (_, i) => `${r + 1}.${i}`)).flat());
  });

  it('of a client whose handler has just closed it: the rest of the batch is not taken, and comes again', async () => {
    const got: unknown[] = [];
    const note = (data: unknown, { client }: { client: ServerClient }) => {
      got.push(data);
      if (data === 2 && got.length === 2) client.close(4_600);
    };
    const { comes } = noting({ handlers: { events: { note } } });
    const first = await comes();
    await first.says(events(1, 2, 3, 4), ...events(5));
    expect([got, first.closes]).toEqual([[1, 2], [4_600]]);
    expect(first.received.at(-1)).toMatchObject({ type: 'bye', received: 2, resume: true });
    const second = await comes(asking(first.welcome));
    expect(second.welcome).toMatchObject({ resumed: true, received: 2 });
    await second.says(events(3, 4, 5));
    expect(got).toEqual([1, 2, 3, 4, 5]);
    expect(types(second.received)).toEqual([]);
  });
});

it('a channel message that was missed while away is not in the session: no order against events, and no second copy', async () => {
  const { host, comes } = noting();
  const first = await comes({ subscriptions: [{ channel: 'a' }] });
  await first.says(...events(1));
  host.publish('a', 1);
  host.broadcast('b', 2);
  await settled();
  first.port.closed();
  const second = await comes({ ...asking(first.welcome), subscriptions: [{ channel: 'a' }] });
  expect(told(second.rest)).toEqual(['event b #1']);
});
