/** What a client lives through over real sockets: cuts, refusals, black holes, and a server that goes away and comes back. */

import { describe, expect, it } from 'vitest';
import { WebSocket as WS } from 'ws';
import { SessionLostError } from '../../src/index.ts';
import { createServer, MemoryBroker } from '../../src/server/index.ts';
import { seeded, until } from '../support/e2e.ts';
import { heard, join, startServer, startService } from '../support/service.ts';

/** Every 100 ms, with 400 ms to answer: patient enough for a busy machine. */
const heartbeat = { interval: 100, timeout: 400 };
/** The server comes back at once. */
const atOnce = { drain: 0, retryAfter: 0 };

/** Nothing outlives its connection. */
const NO_SESSIONS = { sessions: false } as const;
/** Nothing is kept of channels. */
const noHistory = () => ({ broker: new MemoryBroker({ history: false }) });

describe('a cut in the middle of calls', () => {
  it('answers those that were written, which go on meanwhile, and those that were not: each is executed once', async () => {
    const aborted: unknown[] = [];
    const ends: (() => void)[] = [];
    const { server, proxy, url } = await startService({
      handlers: {
        methods: {
          wait: (n, { signal }) => {
            signal.addEventListener('abort', () => aborted.push(signal.reason.code));
            return new Promise((resolve) => ends.push(() => resolve(n)));
          },
          echo: (params) => params,
        },
      },
    });
    const { client, log } = join(url);
    await client.connect();
    const written = [1, 2, 3].map((n) => client.call('wait', n));
    await until(() => expect(ends).toHaveLength(3));
    await proxy.refuse();
    proxy.cut();
    await heard(client, 'close');
    await until(() => expect(server.clients.map(({ isConnected }) => isConnected)).toEqual([false]));
    for (const end of ends) end(); // while nobody is there
    const unsent = [1, 2, 3].map((n) => client.call('echo', n));
    expect([client.stats.pendingCalls, client.stats.queuedMessages]).toEqual([3, 3]);
    await proxy.accept();
    expect(await Promise.all([...written, ...unsent])).toEqual([1, 2, 3, 1, 2, 3]);
    expect([ends.length, aborted]).toEqual([3, []]);
    expect(log.filter((line) => line === 'open')).toHaveLength(2);
    expect(client.stats).toMatchObject({ pendingCalls: 0, queuedMessages: 0, resumed: 1 });
  });

  it('answers in the same way what the server had asked the client', async () => {
    const { server, proxy, url } = await startService();
    const { client } = join(url);
    const aborted: unknown[] = [];
    const ends: ((value: unknown) => void)[] = [];
    client.handle('wait', (_, { signal }) => {
      signal.addEventListener('abort', () => aborted.push(signal.reason.code));
      return new Promise((resolve) => ends.push(resolve));
    });
    await client.call('nothing').catch(() => {}); // who never said a word would not be waited for
    const [peer] = server.clients;
    const asked = peer?.call('wait');
    await until(() => expect(ends).toHaveLength(1));
    const closed = heard(client, 'close');
    proxy.cut();
    await closed;
    ends[0]?.('done');
    expect(await asked).toBe('done');
    expect([ends.length, aborted, server.clients]).toEqual([1, [], [peer]]);
  });

  it('rejects those that were written, where there are no sessions, and answers those that were not after the reconnect', async () => {
    const aborted: unknown[] = [];
    let started = 0;
    const { proxy, url } = await startService({
      ...NO_SESSIONS,
      handlers: {
        methods: {
          hang: (_, { signal }) => {
            started++;
            return new Promise(() => signal.addEventListener('abort', () => aborted.push(signal.reason.code)));
          },
          echo: (params) => params,
        },
      },
    });
    const { client, log } = join(url);
    await client.connect();
    const written = [1, 2, 3].map((n) => client.call('hang', n).catch((error: unknown) => error));
    await until(() => expect(started).toBe(3));
    await proxy.refuse();
    proxy.cut();
    await heard(client, 'close');
    const unsent = [1, 2, 3].map((n) => client.call('echo', n));
    for (const error of await Promise.all(written)) {
      expect(error).toBeInstanceOf(SessionLostError);
      expect(error).toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
    }
    expect([client.stats.pendingCalls, client.stats.queuedMessages]).toEqual([0, 3]);
    await proxy.accept();
    expect(await Promise.all(unsent)).toEqual([1, 2, 3]);
    await until(() => expect(aborted).toEqual(['SESSION_LOST', 'SESSION_LOST', 'SESSION_LOST']));
    expect(started).toBe(3);
    expect(log.filter((line) => line === 'open')).toHaveLength(2);
  });

  it('rejects, where there are no sessions, what the server had asked the client', async () => {
    const { server, proxy, url } = await startService(NO_SESSIONS);
    const { client } = join(url);
    const aborted: unknown[] = [];
    client.handle('hang', (_, { signal }) => new Promise(() => signal.addEventListener('abort', () => aborted.push(signal.reason.code))));
    await client.connect();
    const asked = server.clients[0]?.call('hang').catch((error: unknown) => error);
    await until(() => expect(client.stats.received).toBe(1));
    proxy.cut();
    expect(await asked).toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
    await until(() => expect(aborted).toEqual(['SESSION_LOST']));
  });

  it.each([
    ['answers every call, and executes it once', 1, {}],
    ['answers every call, and executes it once', 2, {}],
    ['answers every call, and executes it once', 3, {}],
    ['never executes a call twice, and settles all, where there are no sessions', 1, NO_SESSIONS],
    ['never executes a call twice, and settles all, where there are no sessions', 2, NO_SESSIONS],
    ['never executes a call twice, and settles all, where there are no sessions', 3, NO_SESSIONS],
  ])('%s, over 60 cuts at any moment (seed %i)', async (_what, seed, options) => {
    const random = seeded(seed);
    const executed = new Map<unknown, number>();
    const { proxy, url } = await startService({
      ...options,
      handlers: {
        methods: {
          run: (n) => {
            executed.set(n, (executed.get(n) ?? 0) + 1);
            return n;
          },
        },
      },
    });
    const { client } = join(url, { backoff: () => random() * 3 });
    const outcomes: Promise<'answered' | 'lost' | 'wrong'>[] = [];
    const call = (most: number) => {
      for (let count = random() * most; count > 0; count--) {
        const n = outcomes.length;
        outcomes.push(
          client.call('run', n).then(
            (result) => (result === n ? 'answered' : 'wrong'),
            (error: unknown) => (error instanceof SessionLostError && error.maybeExecuted ? 'lost' : 'wrong'),
          ),
        );
      }
    };
    await client.call('run', 'a first word');
    for (let cut = 0; cut < 60; cut++) {
      if (client.state.status !== 'open') await client.connect();
      call(20);
      const closed = heard(client, 'close');
      // Before it is written, while it is on its way, when the answers are, or after.
      for (let turns = Math.floor(random() * 30); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      proxy.cut(random() < 0.5 ? 'rst' : 'fin');
      call(5);
      await closed;
      call(5);
    }
    const settled = await Promise.all(outcomes);
    expect(settled).not.toContain('wrong');
    const { connections, resumed, resent } = client.stats;
    if (options === NO_SESSIONS) expect([resumed, resent]).toEqual([0, 0]);
    else {
      expect(settled).not.toContain('lost');
      expect(resumed).toBe(connections - 1);
    }
    expect(settled.filter((outcome) => outcome === 'answered').length).toBeGreaterThan(60);
    for (const [n, outcome] of settled.entries()) if (outcome === 'answered') expect(executed.get(n)).toBe(1);
    expect(Math.max(...executed.values())).toBe(1);
    expect(client.stats).toMatchObject({ pendingCalls: 0, queuedMessages: 0 });
  });
});

describe('messages sent while the server cannot be reached', () => {
  it('arrive once and in order after it can, events, calls and publishes alike, before what is sent on open', async () => {
    const arrived: unknown[] = [];
    const { proxy, url } = await startService({
      handlers: { events: { x: (data) => arrived.push(data) }, methods: { y: (params) => arrived.push(params) } },
      authorize: ({ action, data }) => action === 'subscribe' || Boolean(arrived.push(data)),
    });
    await proxy.refuse();
    const { client, log } = join(url);
    client.addEventListener('open', () => void client.send('x', 'on open'), { once: true });
    const sent: number[] = [];
    const publishes: Promise<unknown>[] = [];
    const send = () => {
      client.send('x', sent.push(sent.length));
      void client.call('y', sent.push(sent.length));
      publishes.push(client.channel('c').publish(sent.push(sent.length)).acknowledged);
    };
    for (let failures = 0; failures < 5; failures++) {
      send();
      await heard(client, 'close');
      send();
    }
    expect([client.stats.queuedMessages, arrived]).toEqual([30, []]);
    await proxy.accept();
    await client.connect();
    client.send('x', 'last');
    await until(() => expect(arrived.at(-1)).toBe('last'));
    expect(arrived).toEqual([...Array.from({ length: 30 }, (_, i) => i + 1), 'on open', 'last']);
    await Promise.all(publishes);
    expect(log.filter((line) => line.startsWith('drop'))).toEqual([]);
    expect(client.stats).toMatchObject({ sent: 32, unconfirmed: 0, queuedMessages: 0 });
  });

  it.each([
    ['arrive once and in order', 4, {}],
    ['arrive once and in order', 5, {}],
    ['are never doubled or reordered, where there are no sessions, and what is lost is counted', 4, NO_SESSIONS],
    ['are never doubled or reordered, where there are no sessions, and what is lost is counted', 5, NO_SESSIONS],
  ])('%s, over 60 cuts at any moment (seed %i)', async (_what, seed, options) => {
    const random = seeded(seed);
    const arrived: number[] = [];
    const { proxy, url } = await startService({ ...options, handlers: { events: { x: (data) => arrived.push(Number(data)) } } });
    const { client } = join(url, { backoff: () => random() * 3 });
    let sent = 0;
    client.send('x', sent++);
    await until(() => expect(arrived).toEqual([0])); // a first word
    for (let cut = 0; cut < 60; cut++) {
      if (client.state.status !== 'open') await client.connect();
      for (let count = random() * 20; count > 0; count--) client.send('x', sent++);
      const closed = heard(client, 'close');
      for (let turns = Math.floor(random() * 20); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      proxy.cut(random() < 0.5 ? 'rst' : 'fin');
      await closed;
      for (let count = random() * 5; count > 0; count--) client.send('x', sent++);
    }
    client.send('x', sent++);
    await until(() => expect(arrived.at(-1)).toBe(sent - 1));
    if (options === NO_SESSIONS) {
      expect(arrived).toEqual([...new Set(arrived)].sort((a, b) => a - b));
      expect(sent - arrived.length).toBeLessThanOrEqual(client.stats.unconfirmed);
    } else {
      expect(arrived).toEqual(Array.from({ length: sent }, (_, i) => i));
      await until(() => expect(client.stats).toMatchObject({ acknowledged: sent, unconfirmed: 0, unacknowledgedMessages: 0 }));
    }
    expect(client.stats).toMatchObject({ sent, dropped: 0 });
  });
});

describe('a link that leads into a black hole', () => {
  describe.each([
    ['in a session', {}],
    ['without sessions', NO_SESSIONS],
  ])('%s', (_how, options) => {
    it.each([
      ['both ways', ['up', 'down'], /^close 4000 again$/],
      ['downwards', ['down'], /^close 4000 again$/],
      ['upwards', ['up'], /^close (4408|4000) again$/], // the server says goodbye; whether its close or the silence after it comes first
    ] as const)('%s is noticed and replaced; nothing sent after it is lost', async (_, ways, close) => {
      const arrived: unknown[] = [];
      const echoed: unknown[] = [];
      const echo = (params: unknown) => echoed.push(params) && params;
      const handlers = { events: { x: (data: unknown) => arrived.push(data) }, methods: { echo } };
      const { server, proxy, url } = await startService({ ...options, heartbeat, handlers });
      const { client, log } = join(url);
      await client.connect();
      expect(await client.call('echo', 'before')).toBe('before');
      proxy.hole(...ways);
      const swallowed = client.call('echo', 'into the hole').catch((error: unknown) => error);
      await heard(client, 'close');
      client.send('x', 'kept');
      if (options === NO_SESSIONS) expect(await swallowed).toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
      else expect(await swallowed).toBe('into the hole');
      expect(await client.call('echo', 'after')).toBe('after');
      expect(arrived).toEqual(['kept']);
      expect(echoed.filter((params) => params === 'into the hole').length).toBeLessThanOrEqual(1);
      expect(log.filter((line) => !line.startsWith('error'))).toEqual(['open', expect.stringMatching(close), 'open']);
      await until(() => expect(server.clients).toHaveLength(1));
    });
  });

  it('is not suspected while both ends only listen', async () => {
    const { server, proxy, url } = await startService({ heartbeat });
    const { client, log } = join(url);
    await client.connect();
    const before = client.stats.messagesReceived;
    await until(() => expect(client.stats.messagesReceived).toBeGreaterThan(before + 8)); // pings, and time enough to lose heart
    expect([log, proxy.accepted, server.connections]).toEqual([['open'], 1, 1]);
  });
});

describe('channels after a cut', () => {
  it.each([
    ['nothing is missing', () => ({}), { resumed: true, recovered: true }],
    ['nothing is missing without sessions', () => NO_SESSIONS, { resumed: false, recovered: true }],
    ['a gap where something may be missing, without history', noHistory, { resumed: true, recovered: false }],
    ['a gap without either', () => ({ ...NO_SESSIONS, ...noHistory() }), { resumed: false, recovered: false }],
  ])('are in hello, all of them and nothing else: one round trip, %s', async (_what, options, how) => {
    const { server, proxy, url } = await startService(options());
    const { client, log, written } = join(url);
    const names = Array.from({ length: 20 }, (_, i) => `room ${i}`);
    const received: unknown[] = [];
    const gaps: string[] = [];
    const subscriptions = names.map((name) => {
      const channel = client.channel(name);
      channel.addEventListener('gap', ({ reason }) => void gaps.push(`${name} ${reason}`));
      return channel.subscribe((data, { channel: from }) => received.push(`${from}: ${data}`));
    });
    await Promise.all(subscriptions.map(({ ready }) => ready));
    for (const subscription of subscriptions.slice(10)) subscription.unsubscribe();
    await until(() => expect(server.publish('room 19', 'nobody')).toBe(0));

    const opened = heard(client, 'open');
    proxy.cut();
    expect(await opened).toMatchObject(how);
    expect(names.map((name) => server.publish(name, 'back'))).toEqual(names.map((_, i) => (i < 10 ? 1 : 0)));
    const call = client.call('anything').catch(() => {});
    await call;
    expect(written[1]?.map(({ type }) => type)).toEqual(['hello', 'request']);
    const declared = written[1]?.[0]?.['subscriptions'];
    const position = how.recovered ? { epoch: expect.stringMatching(/./), offset: 0 } : {};
    expect(declared).toEqual(names.slice(0, 10).map((channel) => ({ channel, ...position })));
    expect(received).toEqual(names.slice(0, 10).map((name) => `${name}: back`));
    expect(gaps).toEqual(how.recovered ? [] : names.slice(0, 10).map((name) => `${name} reconnected`));
    expect(log.filter((line) => line.startsWith('unhandled') || line.startsWith('drop'))).toEqual([]);
  });

  it('that are refused this time say so alone', async () => {
    let closed = false;
    const { proxy, url } = await startService({ authorize: ({ channel }) => !closed || channel !== 'club' });
    const { client, log } = join(url);
    const club = client.channel('club');
    const park = client.channel('park');
    await Promise.all([club.subscribe().ready, park.subscribe().ready]);
    closed = true;
    const opened = heard(client, 'open');
    proxy.cut();
    await opened;
    expect([club.state, park.state]).toMatchObject([{ status: 'failed', error: { code: 'PERMISSION_DENIED' } }, { status: 'subscribed' }]);
    expect(log).toContain('error PERMISSION_DENIED');
    expect(client.state.status).toBe('open');
  });
});

describe('a server that restarts', () => {
  it('in good order finds its clients again on the same port: told 4100, calls finished, what was written meanwhile delivered', async () => {
    const running: ((result: string) => void)[] = [];
    const { server } = await startServer({ handlers: { methods: { slow: () => new Promise((resolve) => running.push(resolve)) } } });
    const { port } = server;
    const url = `ws://127.0.0.1:${port}/`;
    const clients = Array.from({ length: 5 }, () => join(url));
    await Promise.all(clients.map(({ client }) => client.connect()));
    const calls = clients.map(({ client }) => client.call('slow'));
    await until(() => expect(running).toHaveLength(5));
    const closed = server.close({ retryAfter: 0 });
    for (const finish of running) finish('finished');
    await closed;
    expect(await Promise.all(calls)).toEqual(calls.map(() => 'finished'));
    for (const [i, { client }] of clients.entries()) client.send('x', i);
    const arrived: unknown[] = [];
    const again = await startServer({ port, handlers: { events: { x: (data) => arrived.push(data) } } });
    await Promise.all(clients.map(({ client }) => client.connect()));
    await until(() => expect([...arrived].sort()).toEqual([0, 1, 2, 3, 4]));
    for (const { log } of clients) {
      expect(log.slice(0, 2)).toEqual(['open', 'close 4100 again']);
      expect(log.filter((line) => line === 'open')).toHaveLength(2);
    }
    expect(again.server.connections).toBe(5);
  });

  it('by dying finds them, too', async () => {
    const { server, url } = await startServer();
    const { port } = server;
    const { client, sockets, log } = join(url());
    await client.connect();
    const closed = heard(client, 'close');
    const dead = server.close({ drain: 0, retryAfter: 0 });
    sockets[0]?.terminate(); // as the system does for a process that dies
    await closed;
    await dead;
    client.send('x', 'kept');
    const arrived: unknown[] = [];
    await startServer({ port, handlers: { events: { x: (data) => arrived.push(data) } } });
    await until(() => expect(arrived).toEqual(['kept']));
    expect(log.at(-1)).toBe('open');
  });

  it('into something that is no Holdfast server is not taken for one', async () => {
    const { server, url } = await startServer();
    const { port } = server;
    const { client, log } = join(url(), { connectTimeout: 100 });
    await client.connect();
    await server.close(atOnce);
    const { WebSocketServer } = await import('ws');
    const plain = new WebSocketServer({ port, host: '127.0.0.1' });
    const heardByPlain: string[] = [];
    plain.on('connection', (ws) => ws.on('message', (data) => heardByPlain.push(String(JSON.parse(String(data)).type))));
    client.send('x', 'a secret for the real one');
    await heard(client, 'close', ({ code }) => code !== 4100 && code !== 1006);
    await heard(client, 'close');
    for (const ws of plain.clients) ws.terminate();
    await new Promise((resolve) => plain.close(resolve));
    expect(new Set(heardByPlain)).toEqual(new Set(['hello']));
    const arrived: unknown[] = [];
    const real = createServer({ port, hostname: '127.0.0.1', handlers: { events: { x: (data) => arrived.push(data) } } });
    await real.listening;
    await until(() => expect(arrived).toEqual(['a secret for the real one']));
    expect(log.filter((line) => line.startsWith('drop'))).toEqual([]);
    await client.close();
    await real.close(atOnce);
  });
});

describe('reconnect()', () => {
  it('leaves the old connection at once and goes on with a new one; the server has one client', async () => {
    const { server, url } = await startServer({ handlers: { methods: { echo: (params) => params } } });
    const { client, log, sockets } = join(url());
    await client.connect();
    client.reconnect('a new token');
    expect(await client.call('echo', 1)).toBe(1);
    expect(log).toEqual(['open', 'close 4001 again', 'open']);
    await until(() => expect([server.connections, sockets[0]?.readyState]).toEqual([1, WS.CLOSED]));
  });
});
