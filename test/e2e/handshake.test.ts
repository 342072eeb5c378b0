/** The handshake hook over real sockets: logging in before anything else is sent. */

import { describe, expect, it } from 'vitest';
import type { HandshakeSocket } from '../../src/index.ts';
import { connect, final, next, serve, serveBehindProxy, until } from '../support/e2e.ts';

async function logIn(socket: HandshakeSocket): Promise<void> {
  socket.send('login');
  if ((await socket.receive()) !== 'login') throw new Error('refused');
}

describe('the handshake', () => {
  it('comes before the queue, and its messages are not delivered', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url(), { handshake: logIn });
    ws.send('queued before');
    ws.addEventListener('open', () => ws.send('from open'));
    ws.addEventListener('statechange', ({ state }) => {
      if (state.status === 'connecting' && state.phase === 'handshaking') ws.send('queued meanwhile');
    });
    await next(ws, 'message', ({ data }) => data === 'from open');
    expect(echo.texts).toEqual(['login', 'queued before', 'queued meanwhile', 'from open']);
    expect(log).toEqual(['open', 'message queued before', 'message queued meanwhile', 'message from open']);
  });

  it('hands on what it did not take, in order, after `open` and before what comes later', async () => {
    const { url } = await serve();
    let seen = 0;
    const { ws, sockets, log } = connect(url(), {
      handshake: async (socket) => {
        sockets[0]?.on('message', () => seen++);
        for (const text of ['login', 'extra 1', 'extra 2']) socket.send(text);
        await socket.receive();
        await until(() => expect(seen).toBe(3));
      },
    });
    ws.send('queued');
    await next(ws, 'message', ({ data }) => data === 'queued');
    expect(log).toEqual(['open', 'message extra 1', 'message extra 2', 'message queued']);
  });

  it('knows the subprotocol, and runs on every connection', async () => {
    const { url, echo } = await serve();
    const protocols: string[] = [];
    const { ws } = connect(url(), {
      protocols: 'chat',
      handshake: async (socket) => {
        protocols.push(socket.protocol);
        await logIn(socket);
      },
    });
    await next(ws, 'open');
    echo.drop();
    await next(ws, 'open');
    ws.send('after');
    await next(ws, 'message');
    expect(protocols).toEqual(['chat', 'chat']);
    expect(echo.texts).toEqual(['login', 'login', 'after']);
  });

  it('that rejects is a failed attempt: nothing of the queue goes out, the socket is gone, another attempt follows', async () => {
    const { url, echo } = await serve();
    let runs = 0;
    const { ws, log, closes } = connect(url(), {
      handshake: async (socket) => {
        await logIn(socket);
        if (++runs < 3) throw new Error('not yet');
      },
    });
    ws.send('secret');
    await next(ws, 'message');
    const failed = ['error HANDSHAKE_FAILED', 'close 1006 again'];
    expect(log).toEqual([...failed, ...failed, 'open', 'message secret']);
    expect(closes[0]?.wasClean).toBe(false);
    expect(echo.texts).toEqual(['login', 'login', 'login', 'secret']);
    await until(() => expect(echo.clients.size).toBe(1));
  });

  it('that never ends is ended by the connect timeout, and told so', async () => {
    const { url, echo } = await serve();
    const signals: AbortSignal[] = [];
    const { ws, log } = connect(url(), {
      connectTimeout: 150,
      handshake: (socket, { signal }) => {
        signals.push(signal);
        return signals.length < 3 ? new Promise(() => {}) : logIn(socket);
      },
    });
    ws.send('secret');
    await next(ws, 'message');
    const failed = ['error CONNECT_TIMEOUT', 'close 1006 again'];
    expect(log).toEqual([...failed, ...failed, 'open', 'message secret']);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
    await until(() => expect(echo.clients.size).toBe(1));
  });

  it('that waits for a message is told when the connection breaks', async () => {
    const { url, echo } = await serve();
    const outcomes: unknown[] = [];
    const { ws, log } = connect(url('/silent'), {
      maxRetries: 0,
      handshake: async (socket) => {
        setImmediate(() => echo.drop());
        await socket.receive().catch((error: unknown) => {
          outcomes.push(error);
          throw error;
        });
      },
    });
    await final(ws);
    await until(() => expect(outcomes).toMatchObject([{ code: 'HANDSHAKE_FAILED' }]));
    expect(log).toEqual(['close 1006 final']);
  });

  it('is not waited for by close()', async () => {
    const { proxy, echo } = await serveBehindProxy();
    const aborted: boolean[] = [];
    const { ws, log } = connect(proxy.url('/silent'), {
      handshake: (socket, { signal }) => {
        signal.addEventListener('abort', () => aborted.push(signal.aborted));
        return socket.receive();
      },
    });
    ws.send('never');
    await next(ws, 'statechange', ({ state }) => state.status === 'connecting' && state.phase === 'handshaking');
    ws.close(4000, 'no patience');
    await final(ws);
    expect(log).toEqual(['drop never closed', 'close 4000 final']);
    expect(aborted).toEqual([true]);
    await until(() => expect(echo.ended).toEqual([{ code: 4000, reason: 'no patience' }]));
    expect(echo.texts).toEqual([]);
  });
});
