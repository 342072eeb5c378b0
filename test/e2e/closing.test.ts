/** How connections end: by the server with a code, by `close()`, on links that are healthy, slow or dead. */

import { describe, expect, it } from 'vitest';
import { WebSocket as WS } from 'ws';
import type { Clock } from '../../src/index.ts';
import { systemClock } from '../../src/io/clock.ts';
import { connect, final, next, serve, serveBehindProxy, until } from '../support/e2e.ts';

/** Each start of a timer with that delay is counted. */
function counting(delay: number): Clock & { readonly count: number } {
  let count = 0;
  return {
    ...systemClock,
    setTimeout: (callback, ms) => {
      if (ms === delay) count++;
      return systemClock.setTimeout(callback, ms);
    },
    get count() {
      return count;
    },
  };
}

describe('a close by the server', () => {
  it.each([1000, 1001, 1005, 1008, 1011, 1012, 1013, 1014, 3000, 4000, 4001, 4400, 4999])(
    'with %i is told as it is, and followed by another connection',
    async (code) => {
      const { url, echo } = await serve();
      const { ws, log, closes } = connect(() => url(echo.upgrades === 0 ? `/close/${code}?reason=why` : '/echo'));
      await next(ws, 'open');
      await next(ws, 'open');
      expect(log).toEqual(['open', `close ${code} again`, 'open']);
      expect(closes[0]).toMatchObject({ reason: code === 1005 ? '' : 'why', wasClean: true });
      expect(echo.upgrades).toBe(2);
    },
  );

  it.each([1002, 1003, 1007, 1009, 1010])('with %i is final when it is the third in a row', async (code) => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url(`/close/${code}`));
    await final(ws);
    expect(log).toEqual(['open', `close ${code} again`, 'open', `close ${code} again`, 'open', `close ${code} final`]);
    expect(ws.state).toMatchObject({ status: 'closed', cause: 'refused', code });
    expect(echo.upgrades).toBe(3);
  });

  it('with 1009 is not final when another close comes between', async () => {
    const { url, echo } = await serve();
    const codes = [1009, 1009, 1012, 1009, 1009];
    const { ws, closes } = connect(() => url(echo.upgrades < codes.length ? `/close/${codes[echo.upgrades]}` : '/echo'));
    ws.send('still there');
    while (closes.length < codes.length) await next(ws, 'close');
    await next(ws, 'open');
    expect(closes.map(({ code, willReconnect }) => [code, willReconnect])).toEqual(codes.map((code) => [code, true]));
  });

  it('is final where shouldReconnect says so', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url('/close/4401?reason=who'), {
      shouldReconnect: ({ code, reason }) => !(code === 4401 && reason === 'who'),
    });
    await final(ws);
    expect(log).toEqual(['open', 'close 4401 final']);
    expect(echo.upgrades).toBe(1);
  });
});

describe('close()', () => {
  it('reaches the server with code and reason, after everything sent before', async () => {
    const { url, echo } = await serve();
    const { ws, log, closes } = connect(url('/silent'));
    await next(ws, 'open');
    ws.send('last words');
    ws.close(3210, 'grüß dich');
    expect(ws.readyState).toBe(ws.CLOSING);
    await final(ws);
    expect(ws.readyState).toBe(ws.CLOSED);
    expect(log).toEqual(['open', 'close 3210 final']);
    expect(closes[0]).toMatchObject({ reason: 'grüß dich', wasClean: true });
    await until(() => expect(echo.ended).toEqual([{ code: 3210, reason: 'grüß dich' }]));
    expect(echo.texts).toEqual(['last words']);
  });

  it('without a code is 1005 on both sides', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url());
    await next(ws, 'open');
    ws.close();
    await final(ws);
    expect(log).toEqual(['open', 'close 1005 final']);
    await until(() => expect(echo.ended).toEqual([{ code: 1005, reason: '' }]));
  });

  it('in the tick of the construction opens nothing', async () => {
    const { proxy } = await serveBehindProxy();
    const { ws, log, sockets } = connect(proxy.url());
    ws.close();
    await final(ws);
    expect(log).toEqual(['close 1005 final']);
    expect(sockets).toEqual([]);
    expect(proxy.accepted).toBe(0);
  });

  it('while waiting ends the waiting, and tells what was never sent', async () => {
    const { proxy } = await serveBehindProxy();
    await proxy.refuse();
    const { ws, log } = connect(proxy.url(), { backoff: () => 60_000 });
    ws.send('a');
    await next(ws, 'close');
    ws.close(4000);
    await final(ws);
    expect(log).toEqual(['error CONNECTION_FAILED', 'close 1006 again', 'drop a closed', 'close 4000 final']);
  });

  it.each([
    ['both ways', ['up', 'down']],
    ['upwards', ['up']],
    ['downwards', ['down']],
  ] as const)('on a link that leads into a black hole %s ends with one close event, 1006, within its timeout', async (_, ways) => {
    const { proxy } = await serveBehindProxy();
    const { ws, sockets, log, closes } = connect(proxy.url(), { closeTimeout: 100 });
    await next(ws, 'open');
    proxy.hole(...ways);
    ws.close(1000);
    expect(ws.readyState).toBe(ws.CLOSING);
    await final(ws);
    expect(log).toEqual(['open', 'close 1006 final']);
    expect(closes[0]?.wasClean).toBe(false);
    expect(sockets[0]?.readyState).toBe(WS.CLOSING); // it will be for half a minute, and nobody cares
  });

  it('has one close event, also when the black hole opens up again', async () => {
    const { proxy, echo } = await serveBehindProxy();
    const { ws, sockets, log } = connect(proxy.url(), { closeTimeout: 50 });
    await next(ws, 'open');
    proxy.down = 'stall';
    ws.close(1000);
    await final(ws);
    proxy.down = 'pass';
    await until(() => expect(sockets[0]?.readyState).toBe(WS.CLOSED));
    await until(() => expect(echo.clients.size).toBe(0));
    expect(log).toEqual(['open', 'close 1006 final']);
  });

  it('is heard by nobody afterwards: messages sent are dropped and counted', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url());
    await next(ws, 'open');
    ws.close();
    ws.send('late');
    await final(ws);
    ws.send('later');
    expect(log).toEqual(['open', 'drop late closed', 'close 1005 final', 'drop later closed']);
    expect(ws.bufferedAmount).toBe('latelater'.length);
    await until(() => expect(echo.ended).toHaveLength(1));
    expect(echo.texts).toEqual([]);
  });

  it('can be followed by reconnect()', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url());
    await next(ws, 'open');
    ws.close(1000);
    await final(ws);
    ws.reconnect();
    ws.send('back');
    await next(ws, 'message');
    expect(log).toEqual(['open', 'close 1000 final', 'open', 'message back']);
    await until(() => expect(echo.clients.size).toBe(1));
  });
});

describe('close() with much still to send', () => {
  /** More than the system's own buffers take. Two, because Node tells of a message's leaving only when the last byte of it has left. */
  const messages = [new Uint8Array(16 * 1_024 * 1_024), new Uint8Array(16 * 1_024 * 1_024)];

  it('waits longer than its timeout on a slow link, as long as data is leaving: all of it arrives', async () => {
    const { proxy, echo } = await serveBehindProxy();
    const clock = counting(900);
    const { ws, log } = connect(proxy.url('/silent'), { closeTimeout: 900, clock });
    await next(ws, 'open');
    proxy.rate = 32 * 1_024 * 1_024; // a second for both
    for (const message of messages) ws.send(message);
    expect(ws.bufferedAmount).toBeGreaterThan(16 * 1_024 * 1_024);
    ws.close(1000, 'all said');
    await final(ws);
    expect(log).toEqual(['open', 'close 1000 final']);
    expect(clock.count).toBeGreaterThan(1);
    expect(echo.received.map(({ data }) => data.length)).toEqual(messages.map(({ length }) => length));
  });

  it('waits no longer than its timeout on a link that takes nothing, and tells how much is lost', async () => {
    const { proxy } = await serveBehindProxy();
    const clock = counting(150);
    const { ws, log, closes } = connect(proxy.url('/silent'), { closeTimeout: 150, clock });
    await next(ws, 'open');
    proxy.up = 'stall';
    for (const message of messages) ws.send(message);
    ws.close(1000);
    await final(ws);
    expect(log).toEqual(['open', 'close 1006 final']);
    expect(clock.count).toBe(1);
    expect(closes[0]?.unsent).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
    expect(closes[0]?.unsent.lostBytes).toBeGreaterThanOrEqual(16 * 1_024 * 1_024);
  });
});
