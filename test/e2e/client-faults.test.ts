/** What a client lives through over real sockets: cuts, refusals, black holes, and a server that goes away and comes back. */

import { describe, expect, it } from 'vitest';
import { WebSocket as WS } from 'ws';
import { SessionLostError } from '../../src/index.ts';
import { createServer } from '../../src/server/index.ts';
import { seeded, until } from '../support/e2e.ts';
import { heard, join, startServer, startService } from '../support/service.ts';

/** Every 100 ms, with 400 ms to answer: patient enough for a busy machine. */
const heartbeat = { interval: 100, timeout: 400 };
/** The server comes back at once. */
const atOnce = { drain: 0, retryAfter: 0 };

describe('a cut in the middle of calls', () => {
  it('rejects those that were written, which may have been executed, and answers those that were not after the reconnect', async () => {
    const aborted: unknown[] = [];
    let started = 0;
    const { proxy, url } = await startService({
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

  it('rejects in the same way what the server had asked the client', async () => {
    const { server, proxy, url } = await startService();
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

  it.each([1, 2, 3])('never executes a call twice, loses none and settles all, over 60 cuts at any moment (seed %i)', async (seed) => {
    const random = seeded(seed);
    const executed = new Map<unknown, number>();
    const { proxy, url } = await startService({
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

  it.each([4, 5])('are never doubled or reordered over 60 cuts at any moment, and what is lost is counted (seed %i)', async (seed) => {
    const random = seeded(seed);
    const arrived: number[] = [];
    const { proxy, url } = await startService({ handlers: { events: { x: (data) => arrived.push(Number(data)) } } });
    const { client } = join(url, { backoff: () => random() * 3 });
    let sent = 0;
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
    expect(arrived).toEqual([...new Set(arrived)].sort((a, b) => a - b));
    expect(sent - arrived.length).toBeLessThanOrEqual(client.stats.unconfirmed);
    expect(client.stats).toMatchObject({ sent, dropped: 0 });
  });
});

describe('a link that leads into a black hole', () => {
  it.each([
    ['both ways', ['up', 'down'], /^close 4000 again$/],
    ['downwards', ['down'], /^close 4000 again$/],
    ['upwards', ['up'], /^close (4408|4000) again$/], // the server says goodbye; whether its close or the silence after it comes first
  ] as const)('%s is noticed and replaced; nothing sent after it is lost', async (_, ways, close) => {
    const arrived: unknown[] = [];
    const { server, proxy, url } = await startService({
      heartbeat,
      handlers: { events: { x: (data) => arrived.push(data) }, methods: { echo: (params) => params } },
    });
    const { client, log } = join(url);
    await client.connect();
    expect(await client.call('echo', 'before')).toBe('before');
    proxy.hole(...ways);
    const lost = client.call('echo', 'into the hole').catch((error: unknown) => error);
    await heard(client, 'close');
    client.send('x', 'kept');
    expect(await lost).toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
    expect(await client.call('echo', 'after')).toBe('after');
    expect(arrived).toEqual(['kept']);
    expect(log.filter((line) => !line.startsWith('error'))).toEqual(['open', expect.stringMatching(close), 'open']);
    await until(() => expect(server.clients).toHaveLength(1));
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
  it('are in hello, all of them and nothing else: one round trip, a gap where something may be missing', async () => {
    const { server, proxy, url } = await startService();
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
    expect(await opened).toMatchObject({ resumed: false, recovered: false });
    expect(names.map((name) => server.publish(name, 'back'))).toEqual(names.map((_, i) => (i < 10 ? 1 : 0)));
    const call = client.call('anything').catch(() => {});
    await call;
    expect(written[1]?.map(({ type }) => type)).toEqual(['hello', 'request']);
    const declared = written[1]?.[0]?.['subscriptions'];
    expect(declared).toEqual(names.slice(0, 10).map((channel) => ({ channel })));
    expect(received).toEqual(names.slice(0, 10).map((name) => `${name}: back`));
    expect(gaps).toEqual(names.slice(0, 10).map((name) => `${name} reconnected`));
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
