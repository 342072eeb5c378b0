/** 10,000 connections made and killed over real sockets: nothing is left of them. */

import { expect, it, onTestFinished } from 'vitest';
import { WebSocketServer, WebSocket as WS } from 'ws';
import { ReconnectingWebSocket } from '../../src/socket.ts';
import { CountingClock, CountingLifecycle, heap, tcpSockets } from '../support/counting.ts';
import { connect, final, next, once, serveBehindProxy, until } from '../support/e2e.ts';

const WARM_UP = 2_000;
const CYCLES = 10_000;

/** Kills each connection once it has heard "ready", until it has done so often enough; those that come then live. */
async function startKiller() {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('a server has an address');
  const killer = { url: `ws://127.0.0.1:${address.port}`, toKill: 0, killed: 0, clients: server.clients };
  server.on('connection', (ws) => {
    ws.on('message', () => {
      if (killer.killed >= killer.toKill || ws.readyState !== WS.OPEN) return;
      killer.killed++;
      ws.terminate();
    });
  });
  return killer;
}

it('after 10,000 kills sockets, timers, listeners and the heap are where they were at the start', async () => {
  const killer = await startKiller();
  const clock = new CountingClock();
  const lifecycle = new CountingLifecycle();
  const living = new Set<WS>();
  const tcpBefore = tcpSockets();
  let opened = 0;
  const counts = { opens: 0, losses: 0 };

  const ws = new ReconnectingWebSocket(killer.url, {
    clock,
    lifecycle,
    backoff: () => 0,
    heartbeat: { ping: 'ping' },
    createSocket: (url, protocols) => {
      const socket = new WS(url, protocols, { perMessageDeflate: false });
      living.add(socket);
      socket.on('close', () => living.delete(socket));
      opened++;
      return socket;
    },
  });
  onTestFinished(() => ws.close());
  ws.addEventListener('open', () => {
    counts.opens++;
    ws.send('ready');
  });
  ws.addEventListener('close', ({ willReconnect }) => {
    if (!willReconnect) return;
    counts.losses++;
    ws.send(`queued over loss ${counts.losses}`); // so that the queue is used every time, too
  });

  /** Until it has been killed that often, and is open again. */
  const survive = async (kills: number) => {
    killer.toKill = kills;
    if (ws.readyState === WS.OPEN) ws.send('ready');
    await new Promise<void>((resolve) => {
      const check = () => {
        if (killer.killed < kills) return;
        ws.removeEventListener('open', check);
        resolve();
      };
      ws.addEventListener('open', check);
    });
    await until(() => expect([killer.clients.size, living.size, ws.readyState]).toEqual([1, 1, WS.OPEN]));
  };
  const held = () => ({
    client: living.size,
    server: killer.clients.size,
    tcp: tcpSockets() - tcpBefore,
    timers: clock.pending,
    watchers: lifecycle.watchers,
    queued: ws.bufferedAmount,
  });

  await next(ws, 'open');
  await survive(WARM_UP);
  const heldBefore = held();
  const heapBefore = await heap();

  await survive(WARM_UP + CYCLES);
  const heapAfter = await heap();

  // One socket on either side, the timer of the heartbeat, one watcher of the page.
  expect(heldBefore).toEqual({ client: 1, server: 1, tcp: 2, timers: 1, watchers: 1, queued: 0 });
  expect(held()).toEqual(heldBefore);
  expect(counts.losses).toBe(WARM_UP + CYCLES);
  expect(opened).toBe(WARM_UP + CYCLES + 1);
  expect(counts.opens).toBe(opened);
  expect(heapAfter).toBeLessThan(heapBefore * 1.05);
  console.log(`heap after ${WARM_UP} kills ${kilobytes(heapBefore)}, after ${CYCLES} more ${kilobytes(heapAfter)}`);

  ws.close();
  await final(ws);
  await until(() => expect([killer.clients.size, living.size, tcpSockets() - tcpBefore]).toEqual([0, 0, 0]));
  expect([clock.pending, lifecycle.watchers]).toEqual([0, 0]);
});

it('after 1,000 refused attempts, too', async () => {
  const { proxy } = await serveBehindProxy();
  await proxy.refuse();
  const clock = new CountingClock();
  const lifecycle = new CountingLifecycle();
  const tcpBefore = tcpSockets();
  const { ws, closes, sockets } = connect(proxy.url(), { clock, lifecycle, backoff: () => 0 });
  while (closes.length < 1_000) await next(ws, 'close');
  // Either the timer of the wait or that of the attempt; nothing of those before.
  expect([clock.pending, lifecycle.watchers]).toEqual([1, 1]);
  expect(sockets.filter(({ readyState }) => readyState !== WS.CLOSED).length).toBeLessThanOrEqual(1);
  ws.close();
  await final(ws);
  expect([clock.pending, lifecycle.watchers]).toEqual([0, 0]);
  await until(() => expect(tcpSockets()).toBe(tcpBefore));
});

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1_000)} kB`;
}
