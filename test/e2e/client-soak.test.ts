/** 100,000 calls and 1,000 reconnects over real sockets: nothing is left of them, on either side. */

import type { Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket as WS } from 'ws';
import { Client, SessionLostError } from '../../src/index.ts';
import { createServer, type ServerOptions } from '../../src/server/index.ts';
import { CountingClock, CountingLifecycle, countingSignal, heap, tcpSockets } from '../support/counting.ts';
import { until } from '../support/e2e.ts';

/** Why a call that hangs is stopped. */
const ENOUGH = new Error('enough');

/** A server and a client, every ambient thing of which is counted. */
async function world(options: Partial<ServerOptions> = {}) {
  const serverClock = new CountingClock();
  const reported = { count: 0 };
  const running = new Set<unknown>();
  const connections = new Set<Socket>();
  const server = createServer({
    ...options,
    port: 0,
    hostname: '127.0.0.1',
    clock: serverClock,
    onerror: () => void reported.count++,
    handlers: {
      methods: {
        echo: (params) => params,
        ask: (params, { client }) => client.call('echo', params),
        later: (params) => new Promise((resolve) => setImmediate(() => resolve(params))),
        fail: () => {
          throw new Error('as always');
        },
        hang: (_, { signal }) =>
          new Promise((_resolve, reject) => {
            running.add(signal);
            signal.addEventListener('abort', () => {
              running.delete(signal);
              reject(signal.reason);
            });
          }),
      },
    },
  });
  server.http.on('connection', (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
  });
  await server.listening;
  onTestFinished(() => server.close({ drain: 0 }));

  const clock = new CountingClock();
  const lifecycle = new CountingLifecycle();
  const life = countingSignal();
  const sockets = new Set<WS>();
  const client = new Client(`ws://127.0.0.1:${server.port}/`, {
    clock,
    lifecycle,
    signal: life.signal,
    backoff: () => 0,
    createSocket: (url, protocols) => {
      const socket = new WS(url, protocols, { perMessageDeflate: false });
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      return socket;
    },
  });
  onTestFinished(() => client.close());
  client.handle('echo', (params) => params);
  await client.connect();

  const tcpBefore = tcpSockets();
  const held = () => ({
    calls: client.stats.pendingCalls,
    queued: client.stats.queuedMessages + client.stats.queuedBytes,
    unacknowledged: client.stats.unacknowledgedMessages + client.stats.unacknowledgedBytes,
    timers: clock.pending,
    serverTimers: serverClock.pending,
    watchers: lifecycle.watchers,
    listeners: life.listeners(),
    sockets: sockets.size,
    connections: connections.size,
    clients: server.connections,
    known: server.clients.length,
    handlers: running.size,
    tcp: tcpSockets() - tcpBefore,
  });
  return { server, client, held, life, connections, reported };
}

/** One timer each for the heartbeat, one watcher of the page, one listener on the signal of the client, one connection. */
const AT_REST = {
  calls: 0,
  queued: 0,
  unacknowledged: 0,
  timers: 1,
  serverTimers: 1,
  watchers: 1,
  listeners: 1,
  sockets: 1,
  connections: 1,
  clients: 1,
  known: 1,
  handlers: 0,
  tcp: 0,
};
const NOTHING = {
  ...AT_REST,
  timers: 0,
  serverTimers: 0,
  watchers: 0,
  listeners: 0,
  sockets: 0,
  connections: 0,
  clients: 0,
  known: 0,
  tcp: -2,
};

it('after 100,000 calls that were answered, refused, aborted or too late nothing waits for them any more', async () => {
  const { server, client, held, life, reported } = await world();
  const patience = countingSignal();
  const { signal } = patience;
  const counts: Record<string, number> = {};
  const count = (outcome: string) => {
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  };

  /** Ninety at a time, of all kinds. */
  const batch = async (first: number) => {
    const impatience = new AbortController();
    const calls = Array.from({ length: 90 }, (_, i) => {
      const n = first + i;
      const kind = i % 30;
      if (kind === 0) return client.call('fail', n);
      if (kind === 1) return client.call('nothing', n);
      if (kind === 2) return client.call('hang', n, { signal: impatience.signal });
      if (kind === 3) return client.call('hang', n, { timeout: 1 });
      if (kind < 8) return client.call('ask', n, { signal });
      return client.call(kind < 14 ? 'later' : 'echo', n, { signal });
    });
    const settled = Promise.allSettled(calls);
    await client.call('echo', 'written and read'); // so that the abort is one of running calls
    impatience.abort(new Error('aborted'));
    for (const [i, outcome] of (await settled).entries()) {
      if (outcome.status === 'rejected') count(outcome.reason.code ?? outcome.reason.message);
      else count(outcome.value === first + i ? 'answered' : 'wrong');
    }
  };

  for (let first = 0; first < 9_000; first += 90) await batch(first);
  await until(() => expect(held()).toEqual(AT_REST));
  const heapBefore = await heap();
  for (let first = 9_000; first < 109_000; first += 90) await batch(first);
  await until(() => expect(held()).toEqual(AT_REST));
  const heapAfter = await heap();

  const batches = Math.ceil(109_000 / 90);
  expect(counts).toEqual({
    answered: batches * 78,
    INTERNAL: batches * 3,
    UNIMPLEMENTED: batches * 3,
    aborted: batches * 3,
    DEADLINE_EXCEEDED: batches * 3,
  });
  expect(reported.count).toBe(batches * 3); // "as always"
  expect(patience.listeners()).toBe(0);
  expect(heapAfter).toBeLessThan(heapBefore * 1.1);
  console.log(`heap after 9,000 calls ${kilobytes(heapBefore)}, after 100,000 more ${kilobytes(heapAfter)}`);

  life.controller.abort();
  await until(() => expect(held()).toEqual(NOTHING));
  expect(server.clients).toEqual([]);
});

it.each([
  ['in one session', {}],
  ['without sessions', { sessions: false }],
] as const)(
  'after 1,000 reconnects %s with calls, channels and events under way nothing is left of the connections before',
  async (_how, options) => {
    const { server, client, held, connections } = await world(options);
    const isSession = !('sessions' in options);
    const news: unknown[] = [];
    client.channel('news').subscribe((data) => news.push(data));
    const outcomes = { answered: 0, lost: 0, stopped: 0, wrong: 0 };
    const settled: Promise<void>[] = [];
    const call = (method: string, n: number, signal?: AbortSignal) =>
      void settled.push(
        client.call(method, n, { ...(signal && { signal }) }).then(
          () => void outcomes.answered++,
          (error: unknown) => {
            if (error === ENOUGH) outcomes.stopped++;
            else if (error instanceof SessionLostError && error.maybeExecuted) outcomes.lost++;
            else outcomes.wrong++;
          },
        ),
      );

    /** In one of three ways, with a call that hangs until there is another connection, and some that may make it. */
    const reconnect = async (n: number) => {
      const patience = new AbortController();
      call('hang', n, patience.signal);
      call('echo', n);
      client.send('nobody handles this', n);
      client.channel('news').publish(n);
      const iterator = client.channel(`room ${n % 10}`)[Symbol.asyncIterator]();
      await client.call('echo', n); // the one that hangs has been written
      call('later', n);
      const closed = new Promise((resolve) => client.addEventListener('close', resolve, { once: true }));
      if (n % 3 === 0) client.reconnect(`for the ${n}th time`);
      else if (n % 3 === 1) for (const socket of connections) socket.resetAndDestroy();
      else server.clients[0]?.close(4600, 'come again');
      call('echo', n);
      await closed;
      void iterator.return?.();
      await client.connect();
      patience.abort(ENOUGH);
    };
    const calm = async () => {
      await Promise.all(settled);
      settled.length = news.length = 0;
      await until(() => expect(held()).toEqual(AT_REST));
      return heap();
    };

    for (let n = 0; n < 300; n++) await reconnect(n);
    const heapBefore = await calm();
    for (let n = 300; n < 1_300; n++) await reconnect(n);
    const heapAfter = await calm();

    expect(client.stats).toMatchObject({ connections: 1_301, resumed: isSession ? 1_300 : 0 });
    // Those that hang are lost with their connection, or stopped after it.
    if (isSession) expect(outcomes).toEqual({ answered: 1_300 * 3, stopped: 1_300, lost: 0, wrong: 0 });
    else {
      expect(outcomes).toMatchObject({ stopped: 0, wrong: 0 });
      expect(outcomes.lost).toBeGreaterThanOrEqual(1_300);
      expect(outcomes.answered + outcomes.lost).toBe(1_300 * 4);
    }
    expect(server.publish('news', 'still')).toBe(1);
    await until(() => expect(news).toEqual(['still']));
    expect(Array.from({ length: 10 }, (_, i) => server.publish(`room ${i}`, 'anybody?'))).toEqual(Array(10).fill(0));
    expect(heapAfter).toBeLessThan(heapBefore * 1.1);
    console.log(`heap after 300 reconnects ${kilobytes(heapBefore)}, after 1,000 more ${kilobytes(heapAfter)}`);

    await client.close();
    await until(() => expect(held()).toEqual(NOTHING));
  },
);

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1_000)} kB`;
}
