/** Goodbyes, heartbeats, and what a client tells about its life. */

import { describe, expect, it, vi } from 'vitest';
import { Client } from '../../src/client.ts';
import { odd } from '../support/face.ts';
import { pair } from '../support/link.ts';
import { bye, NO_SESSIONS, says } from './support.ts';

describe('the goodbye of a server', () => {
  it('holds back what is new, lets what runs finish, and the rest goes over the next connection', async () => {
    const got: unknown[] = [];
    const p = pair({}, { handlers: { events: { note: (data) => void got.push(data) } } });
    await p.settle();
    const first = p.socket;
    await says(p, bye({}));
    p.client.send('note', 1);
    await p.settle();
    expect(first.sent).toHaveLength(1);
    p.socket.cut();
    await p.clock.advance(5_000);
    await p.settle();
    expect(got).toEqual([1]);
  });

  it('without a close is followed by one after 5 s', async () => {
    const p = pair();
    await p.settle();
    await says(p, bye({ reason: 'moving' }));
    await p.clock.advance(4_999);
    expect(p.client.state.status).toBe('open');
    await p.clock.advance(1);
    expect(p.log).toEqual(['open', 'close 4100 again']);
  });

  it.each([
    [4_800, true, 'waiting'],
    [4_600, false, 'closed'],
    [1_000, false, 'closed'],
    [4_409, false, 'closed'],
  ])('with %i wins over the code of the close: reconnect %s is %s', async (code, reconnect, status) => {
    const p = pair();
    await p.settle();
    await says(p, bye({ code, reconnect }));
    p.socket.cut();
    expect(p.client.state.status).toBe(status);
  });

  it('does not speak for attempts that come after it', async () => {
    const p = pair();
    await p.settle();
    p.peer.close(4_800, 'you are banned');
    await p.settle();
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'refused' });
    p.reachable = false;
    void p.client.connect();
    await p.settle();
    p.socket.cut();
    expect(p.client.state.status).toBe('waiting');
  });

  it('is obeyed in its retryAfter: overload not before it, draining spread over it', async () => {
    const overload = pair();
    await overload.settle();
    overload.peer.close(4_429, 'too many', 30_000);
    await overload.clock.advance(29_000);
    expect(overload.sockets).toHaveLength(1);
    const draining = pair({ random: () => 0.5 });
    await draining.settle();
    await says(draining, bye({ retryAfter: 8_000 }));
    draining.socket.cut();
    await draining.clock.advance(3_900);
    expect(draining.sockets).toHaveLength(1);
    await draining.clock.advance(200);
    expect(draining.sockets).toHaveLength(2);
  });
});

describe('liveness', () => {
  it('hears from the server often enough, for hours of silence, and knows the way takes no time', async () => {
    const p = pair();
    await p.clock.advance(3_600_000);
    expect(p.log).toEqual(['open']);
    expect(p.frames().filter(({ type }) => type === 'pong').length).toBeGreaterThan(200);
    expect(p.client.stats.connections).toBe(1);
  });

  it.each([
    [{ interval: 15_000, timeout: 5_000 }, 20_000],
    [{ interval: 2_000, timeout: 1_000 }, 3_000],
  ])('drops a dead link with 4000 when it heard nothing for interval + timeout: %j', async (heartbeat, limit) => {
    const p = pair({}, { heartbeat });
    await p.settle();
    p.socket.vanish();
    await p.clock.advance(limit - 1);
    expect(p.client.state.status).toBe('open');
    await p.clock.advance(1);
    await p.settle();
    expect(p.log).toEqual(['open', 'error HEARTBEAT_LOST', 'close 4000 again']);
  });

  it('of a silent client is asked for by the server, which closes with 4408 then', async () => {
    const p = pair();
    await p.settle();
    const { socket } = p;
    socket.send = () => {}; // what it hears does not keep it alive
    await p.clock.advance(15_000);
    expect(p.host.connections).toBe(1);
    await p.clock.advance(4 * 5_000 - 1); // a page may have a long task
    expect(socket.serverClose).toBe(undefined);
    await p.clock.advance(1);
    expect(socket.serverClose).toMatchObject({ code: 4_408 });
  });

  it('is doubted on waking up: a probe, and three seconds for it', async () => {
    const p = pair();
    await p.settle();
    p.socket.vanish();
    p.page.says('visible');
    expect(p.frames().at(-1)).toMatchObject({ type: 'ping' });
    await p.clock.advance(2_999);
    expect(p.client.state.status).toBe('open');
    await p.clock.advance(1);
    expect(p.log.at(-1)).toBe('close 4000 again');
    await p.clock.advance(250);
    expect(p.sockets).toHaveLength(2);
  });

  it.each([
    ['and what it has received', {}, { received: 1 }],
    ['and nothing else where there are no sessions', NO_SESSIONS, {}],
  ])('measures the round trip by pings, and answers those of the server with their nonce, %s', async (_what, server, more) => {
    const p = pair({}, server);
    await p.settle();
    p.peer.send('note', 1);
    await p.settle();
    expect(p.client.stats.roundTrip).toBe(0);
    await says(p, { type: 'ping', nonce: 7 });
    expect(p.frames().at(-1)).toEqual({ type: 'pong', nonce: 7, ...more });
    const { socket } = p;
    const { onmessage } = socket;
    const late: unknown[] = [];
    socket.onmessage = (event: unknown) => late.push(event);
    p.page.says('visible');
    await p.clock.advance(120);
    for (const event of late) if (typeof onmessage === 'function') onmessage.call(socket, event);
    expect(p.client.stats.roundTrip).toBe(120);
  });
});

describe('state events', () => {
  it('tell every step, in order, with the one before', async () => {
    const p = pair({ startClosed: true });
    const steps: string[] = [];
    p.client.addEventListener('statechange', ({ state, previous }) => void steps.push(`${previous.status} ${state.status}`));
    await p.client.connect();
    p.socket.cut();
    await p.clock.advance(1_000);
    await p.settle();
    await p.client.close();
    expect(steps).toEqual([
      ...['idle connecting', 'connecting connecting', 'connecting connecting', 'connecting open', 'open waiting'],
      ...['waiting connecting', 'connecting connecting', 'connecting connecting', 'connecting open', 'open closing', 'closing closed'],
    ]);
  });

  it('say what waits when a connection is lost', async () => {
    const p = pair();
    await p.settle();
    const unsent = vi.fn();
    p.client.addEventListener('close', (event) => unsent(event.unsent));
    p.client.send('note', 1);
    p.socket.cut();
    expect(unsent.mock.calls).toEqual([[{ lostBytes: 0, queuedMessages: 1, queuedBytes: 65 }]]);
  });

  it('let a listener close or reconnect at once', async () => {
    const p = pair();
    p.client.addEventListener('open', () => void p.client.close(), { once: true });
    p.client.addEventListener('close', () => p.client.reconnect(), { once: true });
    await p.settle();
    expect(p.log).toEqual(['open', 'close 1000 final', 'open']);
    expect(p.client.state.status).toBe('open');
  });

  it('do not come in the way of what follows when a hook throws', async () => {
    const report = vi.spyOn(console, 'error').mockReturnValue();
    const p = pair({
      shouldReconnect: () => {
        throw new Error('mine');
      },
    });
    await p.settle();
    p.socket.cut();
    await p.clock.advance(1_000);
    await p.settle();
    expect(p.log).toEqual(['open', 'close 1006 again', 'open']);
    expect(report).toHaveBeenCalledTimes(1);
    report.mockRestore();
  });

  it('end where shouldReconnect says no', async () => {
    const p = pair({ shouldReconnect: ({ code }) => code !== 1_006 });
    await p.settle();
    p.socket.cut();
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'refused' });
  });
});

describe('options', () => {
  it.each([
    ['protocol', {}],
    ['subprotocol', 'mine'],
    ['auth', 'token'],
    ['outbox', false],
    ['outbox.maxBytes', { maxBytes: -1 }],
    ['outbox.capacity', { capacity: 1.5 }],
    ['outbox.overflow', { overflow: 'explode' }],
    ['callTimeout', 0],
    ['messageLimit', 100],
    ['maxConcurrentCalls', -1],
    ['iteratorBuffer', 0],
    ['probeTimeout', Number.NaN],
    ['closeTimeout', '2s'],
    ['signal', {}],
    ['clock', { now: () => 0 }],
  ])('name the one that is bad: %s', (name, value) => {
    expect(() => new Client('wss://example.test', odd({ startClosed: true, [name.split('.')[0] ?? name]: value }))).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(`"${name}"`) }),
    );
  });

  it.each([
    ['ttl', { ttl: -1 }],
    ['key', { key: 1 }],
    ['priority', { priority: Number.NaN }],
    ['volatile', { volatile: 'yes' }],
  ])('of send are checked too: %s', (name, options) => {
    const { client } = pair({ startClosed: true });
    expect(() => client.send('note', 1, odd(options))).toThrow(`"${name}"`);
    expect(client.stats.queuedMessages).toBe(0);
  });

  it('of call reject the call, and a bad URL throws', async () => {
    const { client } = pair({ startClosed: true });
    await expect(client.call('m', 1, { timeout: 0 })).rejects.toThrow('"timeout"');
    await expect(client.call('m', 1, odd({ signal: 'no' }))).rejects.toThrow('"signal"');
    expect(() => new Client('not a url')).toThrow(DOMException);
  });

  it('offer the subprotocol, or none', async () => {
    const [some, none] = [pair(), pair({ subprotocol: false })];
    await some.settle();
    expect([some.socket.protocols, none.socket.protocols]).toEqual([['holdfast.v1.json'], []]);
    expect(none.client.state.status).toBe('open');
  });
});
