/** What survives: messages kept while there is no connection, and connections that die in every way a network knows. */

import { describe, expect, it } from 'vitest';
import { WebSocket as WS } from 'ws';
import { connect, next, seeded, serve, serveBehindProxy, until } from '../support/e2e.ts';

/** Every 100 ms, with 300 ms to answer: patient enough for a busy machine. */
const heartbeat = { ping: 'ping', isPong: (data: unknown) => data === 'pong', interval: 100, timeout: 300, probeTimeout: 300 };

describe('messages sent while there is no connection', () => {
  it('arrive in order and once, before those that `open` listeners send', async () => {
    const { proxy, echo } = await serveBehindProxy();
    await proxy.refuse();
    const { ws, closes } = connect(proxy.url());
    ws.addEventListener('open', () => ws.send('from open'), { once: true });
    ws.send('first');
    ws.addEventListener('close', ({ unsent }) => ws.send(`after failure ${closes.length}, behind ${unsent.queuedMessages}`));
    while (closes.length < 3) await next(ws, 'close');
    expect(ws.readyState).toBe(ws.CONNECTING);
    await proxy.accept();
    await next(ws, 'open');
    ws.send('last');
    await until(() => expect(echo.texts.at(-1)).toBe('last'));
    const expected = ['first', ...closes.map((_, i) => `after failure ${i + 1}, behind ${i + 1}`), 'from open', 'last'];
    expect(echo.texts).toEqual(expected);
    expect(ws.bufferedAmount).toBe(0);
  });

  it.each([1, 2, 3])('are neither lost, doubled nor reordered over 100 cuts of an idle connection (seed %i)', async (seed) => {
    const random = seeded(seed);
    const { proxy, echo } = await serveBehindProxy();
    const { ws, messages } = connect(proxy.url(), { backoff: () => random() * 3 });
    const sent: string[] = [];
    const send = (most: number) => {
      for (let count = Math.floor(random() * (most + 1)); count > 0; count--) {
        sent.push(`message ${sent.length}`);
        ws.send(`message ${sent.length - 1}`);
      }
    };
    send(3);
    for (let cut = 0; cut < 100; cut++) {
      await next(ws, 'open');
      send(3);
      await until(() => expect(messages).toEqual(sent)); // the echo proves that it arrived
      const refused = random() < 0.2;
      if (refused) await proxy.refuse();
      proxy.cut(random() < 0.5 ? 'rst' : 'fin');
      await next(ws, 'close');
      send(10);
      if (!refused) continue;
      await next(ws, 'close');
      send(10);
      await proxy.accept();
    }
    await until(() => expect(messages).toHaveLength(sent.length));
    expect(echo.texts).toEqual(sent);
    expect(messages).toEqual(sent);
    await until(() => expect(echo.clients.size).toBe(1));
  });

  it.each([4, 5])('are never doubled or reordered when the cut comes while they are on their way (seed %i)', async (seed) => {
    const random = seeded(seed);
    const { proxy, echo } = await serveBehindProxy();
    const { ws, closes } = connect(proxy.url(), { backoff: () => random() * 3 });
    let sent = 0;
    for (let cut = 0; cut < 100; cut++) {
      if (ws.readyState !== WS.OPEN) await next(ws, 'open');
      for (let count = random() * 20; count > 0; count--) ws.send(`${sent++}`);
      if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
      proxy.cut(random() < 0.5 ? 'rst' : 'fin');
      while (closes.length <= cut) await next(ws, 'close');
      for (let count = random() * 5; count > 0; count--) ws.send(`${sent++}`);
    }
    ws.send('end');
    await until(() => expect(echo.texts.at(-1)).toBe('end'));
    const numbers = echo.texts.slice(0, -1).map(Number);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  });
});

describe('a link that leads into a black hole', () => {
  it.each([
    ['both ways', ['up', 'down']],
    ['upwards', ['up']],
    ['downwards', ['down']],
  ] as const)('%s is noticed by the heartbeat and replaced, not waited for', async (_, ways) => {
    const { proxy, echo } = await serveBehindProxy();
    const { ws, sockets, log, closes } = connect(proxy.url(), { heartbeat });
    await next(ws, 'open');
    proxy.hole(...ways);
    await next(ws, 'close');
    ws.send('kept meanwhile');
    await next(ws, 'open');
    // Its closing handshake cannot have come to an end: nobody waited for it.
    expect(sockets.map(({ readyState }) => readyState)).toEqual([WS.CLOSING, WS.OPEN]);
    await next(ws, 'message');
    expect(log).toEqual(['open', 'error HEARTBEAT_LOST', 'close 4000 again', 'open', 'message kept meanwhile']);
    expect(closes[0]).toMatchObject({ code: 4000, wasClean: false, willReconnect: true });
    expect(echo.texts).toEqual(['kept meanwhile']);
  });

  it('downwards only: the server is told why, and has one open connection left', async () => {
    const { proxy, echo } = await serveBehindProxy();
    const { ws } = connect(proxy.url(), { heartbeat });
    await next(ws, 'open');
    proxy.hole('down');
    await next(ws, 'open');
    await until(() => expect([...echo.clients].filter(({ readyState }) => readyState === WS.OPEN)).toHaveLength(1));
    proxy.cut(); // the rest is TCP's business: its last packets go into the hole, too
    await until(() => expect(echo.ended).toContainEqual({ code: 4000, reason: 'heartbeat lost' }));
  });

  it('ends at a server that stopped reading: noticed all the same', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url(), { heartbeat });
    await next(ws, 'open');
    echo.mute();
    await next(ws, 'close');
    await next(ws, 'open');
    expect(log).toEqual(['open', 'error HEARTBEAT_LOST', 'close 4000 again', 'open']);
  });

  it('is not suspected while anything at all comes in', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url('/silent'), { heartbeat: { ping: 'ping', interval: 100, timeout: 300 } });
    await next(ws, 'open');
    // Never an answer, but life of another kind, for several times as long as silence would have been borne.
    for (let count = 0; count < 6; count++) {
      const pings = echo.received.length;
      await until(() => expect(echo.received.length).toBeGreaterThan(pings));
      echo.broadcast('news');
      await next(ws, 'message');
    }
    expect(new Set(log)).toEqual(new Set(['open', 'message news']));
    expect(echo.upgrades).toBe(1);
  });

  it('is left at once by reconnect(), which says so in a close event with 4001', async () => {
    const { proxy } = await serveBehindProxy();
    const { ws, sockets, log, closes } = connect(proxy.url());
    await next(ws, 'open');
    proxy.hole();
    ws.reconnect('I know better');
    await next(ws, 'open');
    expect(log).toEqual(['open', 'close 4001 again', 'open']);
    expect(closes[0]).toMatchObject({ reason: 'I know better', wasClean: false });
    expect(sockets.map(({ readyState }) => readyState)).toEqual([WS.CLOSING, WS.OPEN]);
  });
});

describe('a link that was replaced', () => {
  it('is gone from the server, which was told why', async () => {
    const { url, echo } = await serve();
    const { ws } = connect(url());
    await next(ws, 'open');
    ws.reconnect('a better one');
    await next(ws, 'open');
    await until(() => expect(echo.ended).toEqual([{ code: 4001, reason: 'a better one' }]));
    expect(echo.clients.size).toBe(1);
  });

  it('says nothing any more, though the server, which was not told, still speaks to it', async () => {
    const { proxy, echo } = await serveBehindProxy();
    const { ws, sockets, log } = connect(proxy.url());
    await next(ws, 'open');
    proxy.hole('up');
    ws.reconnect();
    await next(ws, 'open');
    const heard: string[] = [];
    sockets[0]?.on('message', (data) => heard.push(String(data)));
    echo.broadcast('to both');
    await until(() => expect(heard).toEqual(['to both']));
    ws.send('the end');
    await next(ws, 'message', ({ data }) => data === 'the end');
    expect(log).toEqual(['open', 'close 4001 again', 'open', 'message to both', 'message the end']);
    expect(echo.clients.size).toBe(2);
  });
});

describe('pongs', () => {
  it('are not delivered, other messages are', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url(), { heartbeat });
    await next(ws, 'open');
    await until(() => expect(echo.received.length).toBeGreaterThan(3));
    ws.send('ping me not');
    await next(ws, 'message');
    expect(log).toEqual(['open', 'message ping me not']);
  });
});

describe('a server that does not let us in', () => {
  it('by never answering the upgrade: each attempt ends by its timeout, and there is never more than one', async () => {
    const { url, echo } = await serve();
    const { ws, log, closes } = connect(url('/stall'), { connectTimeout: 40, backoff: () => 20 });
    while (closes.length < 5) await next(ws, 'close');
    expect(log).toEqual(Array.from({ length: 5 }, () => ['error CONNECT_TIMEOUT', 'close 1006 again']).flat());
    expect(echo.upgrades).toBeLessThanOrEqual(5);
    expect(echo.peak).toBe(1);
    ws.close();
    await until(() => expect(echo.stalled).toBe(0));
  });

  it('by never answering the upgrade: close() ends it without waiting for the timeout', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url('/stall'));
    await until(() => expect(echo.stalled).toBe(1));
    ws.close(1000, 'changed my mind');
    await next(ws, 'close');
    expect(log).toEqual(['error CONNECTION_FAILED', 'close 1006 final']);
    await until(() => expect(echo.stalled).toBe(0));
  });

  it('by accepting and closing at once: the backoff goes on growing', async () => {
    const { url, echo } = await serve();
    const asked: number[] = [];
    const { ws, closes } = connect(url('/close/1000'), {
      backoff: (attempt) => {
        asked.push(attempt);
        return 1;
      },
    });
    while (closes.length < 8) await next(ws, 'close');
    expect(asked).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(echo.peak).toBe(1);
  });

  it('by refusing with an HTTP status, again and again, until it does', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(() => url(echo.upgrades < 3 ? '/status/503' : '/echo'));
    ws.send('patience');
    await next(ws, 'message');
    const refusals = Array.from({ length: 3 }, () => ['error CONNECTION_FAILED', 'close 1006 again']).flat();
    expect(log).toEqual([...refusals, 'open', 'message patience']);
  });

  it('for a while: a connection that lasted starts the count again', async () => {
    const { url, echo } = await serve();
    const asked: number[] = [];
    const { ws } = connect(() => url(echo.upgrades < 2 ? '/close/1012' : '/drop/ms/150'), {
      stableAfter: 20,
      backoff: (attempt) => {
        asked.push(attempt);
        return 1;
      },
    });
    await until(() => expect(asked.length).toBeGreaterThanOrEqual(5));
    ws.close();
    expect(asked.slice(0, 5)).toEqual([1, 2, 1, 1, 1]);
  });
});
