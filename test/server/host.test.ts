/** The server without sockets: who is let in, and to what. */

import { describe, expect, it, vi } from 'vitest';
import { CallError, UnauthorizedError } from '../../src/errors.ts';
import { odd } from '../support/face.ts';
import { settled } from '../support/fake-clock.ts';
import { HELLO, hosting, types } from '../support/hosting.ts';

/** 128 random bits, at least. */
const SECRET = expect.stringMatching(/^[0-9a-f]{32,}$/);
const SESSION = { session: SECRET, key: SECRET, received: 0, ttl: 120_000 };

describe('opening', () => {
  it.each([
    ['a session, where both have them', ['channels', 'resume', 'telepathy'], {}, { features: ['channels', 'resume'], ...SESSION }],
    ['none where the client has none', ['channels', 'telepathy'], {}, { features: ['channels'] }],
    ['none where the server has none', ['channels', 'resume'], { sessions: false }, { features: ['channels'] }],
  ] as const)(
    'answers hello with welcome: version, the features of both, heartbeat, limits, and %s',
    async (_what, features, options, agreed) => {
      const { connect, host, clock } = hosting(options);
      const peer = connect();
      expect([host.connections, host.clients.length]).toEqual([1, 0]);
      await peer.says({ ...HELLO, version: 7, features, extra: true });
      expect(peer.news()).toEqual([
        {
          type: 'welcome',
          version: 1,
          resumed: false,
          heartbeat: { interval: 15_000, timeout: 5_000 },
          limits: { message: 262_144, window: 1_024 },
          idempotency: 300_000,
          ...agreed,
        },
      ]);
      expect(host.clients).toHaveLength(1);
      peer.port.closed();
      peer.port.closed();
      // It may not have heard of its session, which is not waited for for long.
      await clock.advance(10_000);
      expect([host.connections, host.clients.length, clock.pending]).toEqual([0, 0, 0]);
    },
  );

  it.each([
    ['a frame before hello', [{ type: 'ping' }]],
    ['a frame between hello and welcome', [[HELLO, { type: 'event', name: 'a', data: 1 }]]],
    ['two hellos', [HELLO, HELLO]],
    ['two hellos at once', [[HELLO, HELLO]]],
    ['a hello without limits', [{ ...HELLO, limits: undefined }]],
    ['version 0', [{ ...HELLO, version: 0 }]],
    ['version 1.5', [{ ...HELLO, version: 1.5 }]],
    ['no JSON', ['{']],
    ['an empty batch', [[]]],
    ['a hello that is binary', [new Uint8Array([0x7b, 0x7d, 0xff])]],
    ['nothing at all', [null]],
  ])('closes with 4400 at %s', async (_what, messages) => {
    const { connect, host } = hosting();
    const peer = connect();
    await peer.says(...messages);
    expect(peer.closes).toEqual([4_400]);
    expect(peer.news().at(-1)).toMatchObject({ type: 'bye', code: 4_400, reconnect: false });
    expect(host.connections).toBe(0);
  });

  it('closes with 4413 at a hello of more than 64 KiB, and takes one of just so much', async () => {
    const { connect } = hosting();
    const padded = (bytes: number) => JSON.stringify({ ...HELLO, pad: '' }).replace('""', `"${'x'.repeat(bytes)}"`);
    const fill = 65_536 - padded(0).length;
    const [large, fitting] = [connect(), connect()];
    await large.says(padded(fill + 1));
    await fitting.says(padded(fill));
    expect(large.closes).toEqual([4_413]);
    expect(types(fitting.news())).toEqual(['welcome']);
  });

  it('closes with 4408 when no hello comes in time, or authentication takes too long', async () => {
    const { connect, clock } = hosting({ helloTimeout: 3_000, authenticate: () => new Promise(() => {}) });
    const [silent, hanging] = [connect(), connect()];
    await hanging.says(HELLO);
    await clock.advance(2_999);
    expect([silent.closes, hanging.closes]).toEqual([[], []]);
    await clock.advance(1);
    expect([silent.closes, hanging.closes]).toEqual([[4_408], [4_408]]);
    expect(clock.pending).toBe(0);
  });

  it('answers also a client that takes less than the whole welcome: the results that have no room are left out', async () => {
    const { connect } = hosting();
    const peer = connect();
    const subscriptions = Array.from({ length: 100 }, (_, i) => ({ channel: `channel-${i}` }));
    await peer.says({ ...HELLO, limits: { message: 1_024, window: 1 }, subscriptions });
    const [welcome] = peer.news();
    expect(welcome).toMatchObject({ type: 'welcome' });
    expect(JSON.stringify(welcome).length).toBeLessThanOrEqual(1_024);
  });

  it('gives up a peer that does not answer the close', async () => {
    const { connect, clock, host } = hosting();
    const peer = connect();
    peer.reach.answersClose = false;
    await peer.says('{');
    await peer.says(HELLO); // heard no more
    expect(types(peer.news())).toEqual(['bye']);
    await clock.advance(2_000);
    expect([peer.reach.terminated, host.connections, clock.pending]).toEqual([true, 0, 0]);
  });
});

describe('authenticate', () => {
  it('gets token and request, and says who the client is', async () => {
    const authenticate = vi.fn(async (token: unknown) => ({ user: token }));
    const { host, welcomed } = hosting({ authenticate });
    await welcomed({ auth: 'secret' });
    expect(authenticate.mock.calls).toEqual([['secret', { url: '/', headers: {}, address: '10.0.0.1' }]]);
    expect(host.clients[0]?.principal).toEqual({ user: 'secret' });
  });

  it.each([
    ['UnauthorizedError', new UnauthorizedError('expired'), 4_401, true, 0],
    ['PERMISSION_DENIED', new CallError('PERMISSION_DENIED', 'not you'), 4_403, false, 0],
    ['anything else', new Error('the password is kelp'), 1_011, true, 1],
  ])('that throws %s closes with its code', async (_what, error, code, reconnect, reported) => {
    for (const authenticate of [() => Promise.reject(error), () => odd(raise(error))]) {
      const { connect, errors } = hosting({ authenticate });
      const peer = connect();
      await peer.says(HELLO);
      expect(peer.closes).toEqual([code]);
      expect(peer.received).toMatchObject([{ type: 'bye', code, reconnect }]);
      expect(JSON.stringify(peer.received)).not.toContain('kelp');
      expect(errors).toHaveLength(reported);
    }
  });

  it('that ends after the connection has gone changes nothing', async () => {
    const entries: (() => void)[] = [];
    const onconnection = vi.fn();
    const { connect, host, clock } = hosting({ authenticate: () => new Promise<void>((resolve) => entries.push(resolve)), onconnection });
    const peer = connect();
    await peer.says({ ...HELLO, subscriptions: [{ channel: 'a' }] });
    peer.port.closed();
    entries[0]?.();
    await settled();
    expect([peer.received, host.clients, onconnection.mock.calls]).toEqual([[], [], []]);
    expect([host.publish('a', 1), clock.pending]).toEqual([0, 0]);
  });
});

describe('authorize', () => {
  it('decides on subscribing, in hello and later, and on publishing, with what was given', async () => {
    const authorize = vi.fn(({ channel }: { channel: string }) => channel === 'good');
    const { connect, host } = hosting({ authorize });
    const peer = connect();
    await peer.says({ ...HELLO, subscriptions: [{ channel: 'good', params: 1 }, { channel: 'bad' }] });
    const denied = { code: 'PERMISSION_DENIED', message: expect.any(String) };
    expect(peer.news()[0]?.['subscriptions']).toEqual([
      { channel: 'good', recovered: false, epoch: expect.stringMatching(/./), offset: 0 },
      { channel: 'bad', error: denied },
    ]);
    await peer.says({ type: 'subscribe', id: 1, channel: 'bad' }, { type: 'publish', id: 2, channel: 'bad', data: 'x' });
    expect(peer.news()).toEqual([
      { type: 'error', id: 1, error: denied },
      { type: 'error', id: 2, error: denied },
    ]);
    expect(authorize.mock.calls.map(([{ channel, ...what }]) => [channel, odd({ ...what, client: 0 })])).toEqual([
      ['good', { action: 'subscribe', params: 1, client: 0 }],
      ['bad', { action: 'subscribe', params: undefined, client: 0 }],
      ['bad', { action: 'subscribe', params: undefined, client: 0 }],
      ['bad', { action: 'publish', data: 'x', client: 0 }],
    ]);
    expect([host.publish('good', 1), host.publish('bad', 1)]).toEqual([1, 0]);
  });

  it('may say no in its own words; what else it throws is INTERNAL and reported', async () => {
    const authorize = ({ channel }: { channel: string }) =>
      Promise.reject(channel === 'own' ? new CallError('paywall', 'Pay first', { data: 5 }) : new Error('kelp'));
    const { welcomed, errors } = hosting({ authorize });
    const peer = await welcomed();
    await peer.says({ type: 'subscribe', id: 1, channel: 'own' }, { type: 'subscribe', id: 2, channel: 'broken' });
    expect(peer.news()).toMatchObject([
      { id: 1, error: { code: 'paywall', message: 'Pay first', data: 5 } },
      { id: 2, error: { code: 'INTERNAL' } },
    ]);
    expect(errors).toEqual(['authorize: Error: kelp']);
  });

  it('that is slow for one channel of a hello lets no message through before the welcome, and loses none after it', async () => {
    const decisions: ((allow: boolean) => void)[] = [];
    const authorize = ({ channel }: { channel: string }) =>
      channel === 'quick' || new Promise<boolean>((resolve) => decisions.push(resolve));
    const { connect, host } = hosting({ authorize });
    const peer = connect();
    await peer.says({ ...HELLO, subscriptions: [{ channel: 'quick' }, { channel: 'slow' }] });
    host.publish('quick', 'early');
    await settled();
    expect(peer.received).toEqual([]);
    decisions[0]?.(true);
    await settled();
    host.publish('quick', 'later');
    await settled();
    expect(peer.received[0]).toMatchObject({ type: 'welcome' });
    expect(peer.received.at(-1)).toMatchObject({ type: 'message', data: 'later' });
  });

  it('that ends after the channel was left does not subscribe to it', async () => {
    const decisions: ((allow: boolean) => void)[] = [];
    const { welcomed, host } = hosting({ authorize: () => new Promise((resolve) => decisions.push(resolve)) });
    const peer = await welcomed();
    await peer.says({ type: 'subscribe', id: 1, channel: 'a' }, { type: 'unsubscribe', id: 2, channel: 'a' });
    decisions[0]?.(true);
    await settled();
    expect(host.publish('a', 1)).toBe(0);
    await peer.says({ type: 'subscribe', id: 3, channel: 'a' });
    decisions[1]?.(true);
    await settled();
    expect(host.publish('a', 1)).toBe(1);
    expect(peer.news().map(({ type, id }) => `${type} ${id}`)).toEqual(['response 2', 'error 1', 'response 3']);
  });
});

function raise(error: Error): never {
  throw error;
}
