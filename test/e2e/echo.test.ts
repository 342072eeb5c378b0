/** The echo server's own scenarios, each seen through a plain socket and through ours: the other tests stand on them. */

import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket as WS } from 'ws';
import { connect, final, next, once, serve, until } from '../support/e2e.ts';

/** A plain socket and what happened to it. */
function plain(url: string, protocols?: string[]) {
  const socket = new WS(url, protocols);
  const log: string[] = [];
  socket.on('open', () => log.push('open'));
  socket.on('message', (data, isBinary) => log.push(isBinary ? `bytes ${String(data)}` : `text ${String(data)}`));
  socket.on('error', ({ message }) => log.push(`error ${message}`));
  socket.on('close', (code, reason) => log.push(`close ${code} ${String(reason)}`.trim()));
  onTestFinished(() => socket.terminate());
  return { socket, log, closed: once(socket, 'close') };
}

describe('/echo', () => {
  it('echoes text as text, bytes as bytes, and answers "ping" by "pong"', async () => {
    const { url, echo } = await serve();
    const { socket, log } = plain(url());
    await once(socket, 'open');
    for (const data of ['a', Buffer.from('b'), 'ping', '']) socket.send(data);
    await until(() => expect(log).toEqual(['open', 'text a', 'bytes b', 'text pong', 'text ']));
    expect(echo.received.map(({ data }) => data)).toEqual(['a', Buffer.from('b'), 'ping', '']);
    expect(echo.texts).toEqual(['a', '']);
  });

  it('is heard by us', async () => {
    const { url } = await serve();
    const { ws, log } = connect(url());
    ws.send('a');
    await next(ws, 'message');
    expect(log).toEqual(['open', 'message a']);
  });
});

describe('/status/503', () => {
  it('refuses the upgrade with that status', async () => {
    const { url, echo } = await serve();
    const { log, closed } = plain(url('/status/503'));
    await closed;
    expect(log).toEqual(['error Unexpected server response: 503', 'close 1006']);
    expect(echo.upgrades).toBe(1);
  });

  it('is a failed attempt to us, which we repeat', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url('/status/401'), { maxRetries: 1 });
    const { code, wasClean } = await final(ws);
    expect({ code, wasClean }).toEqual({ code: 1006, wasClean: false });
    expect(log).toEqual(['error CONNECTION_FAILED', 'close 1006 again', 'error CONNECTION_FAILED', 'close 1006 final']);
    expect(echo.upgrades).toBe(2);
  });
});

describe('/stall', () => {
  it('takes the upgrade and never answers, until everything is dropped', async () => {
    const { url, echo } = await serve();
    const { log, closed } = plain(url('/stall'));
    await until(() => expect(echo.stalled).toBe(1));
    expect(log).toEqual([]);
    echo.drop();
    await closed;
    expect(log).toEqual(['error socket hang up', 'close 1006']);
  });

  it('notices that a client gives up', async () => {
    const { url, echo } = await serve();
    const { socket } = plain(url('/stall'));
    await until(() => expect(echo.stalled).toBe(1));
    socket.terminate();
    await until(() => expect(echo.stalled).toBe(0));
  });

  it('is left after the connect timeout by us', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url('/stall'), { connectTimeout: 50, maxRetries: 0 });
    await final(ws);
    expect(log).toEqual(['error CONNECT_TIMEOUT', 'close 1006 final']);
    await until(() => expect(echo.stalled).toBe(0));
  });
});

describe('/silent', () => {
  it('accepts, listens and says nothing, not even "pong"', async () => {
    const { url, echo } = await serve();
    const { socket, log, closed } = plain(url('/silent'));
    await once(socket, 'open');
    socket.send('ping');
    socket.send('a');
    await until(() => expect(echo.received).toHaveLength(2));
    socket.close(1000);
    await closed;
    expect(log).toEqual(['open', 'close 1000']);
  });

  it('is open to us, and silent', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url('/silent'));
    ws.send('a');
    await until(() => expect(echo.texts).toEqual(['a']));
    ws.close(1000);
    await final(ws);
    expect(log).toEqual(['open', 'close 1000 final']);
  });
});

describe('/close/CODE', () => {
  it.each([
    ['/close/1000', 'close 1000'],
    ['/close/1005', 'close 1005'],
    ['/close/1013?reason=later', 'close 1013 later'],
    ['/close/4001?reason=so%20what', 'close 4001 so what'],
  ])('%s accepts and closes: %s', async (path, expected) => {
    const { url } = await serve();
    const { log, closed } = plain(url(path));
    await closed;
    expect(log).toEqual(['open', expected]);
  });

  it.each([
    ['/close/1000', 1000, ''],
    ['/close/1005', 1005, ''],
    ['/close/1013?reason=later', 1013, 'later'],
    ['/close/4001?reason=so%20what', 4001, 'so what'],
  ])('%s reaches us as it is', async (path, code, reason) => {
    const { url } = await serve();
    const { ws, log } = connect(url(path), { reconnect: false });
    expect(await final(ws)).toMatchObject({ code, reason, wasClean: true });
    expect(log).toEqual(['open', `close ${code} final`]);
  });
});

describe('/drop', () => {
  it('/drop/after/2 cuts after two messages', async () => {
    const { url, echo } = await serve();
    const { socket, log, closed } = plain(url('/drop/after/2'));
    await once(socket, 'open');
    socket.send('a');
    await once(socket, 'message');
    socket.send('b');
    await closed;
    expect(echo.texts).toEqual(['a', 'b']);
    expect(log.slice(0, 2)).toEqual(['open', 'text a']);
    expect(log.at(-1)).toBe('close 1006');
    await until(() => expect(echo.ended).toEqual([{ code: 1006, reason: '' }]));
  });

  it('/drop/ms/20 cuts after a while, unasked', async () => {
    const { url, echo } = await serve();
    const { log, closed } = plain(url('/drop/ms/20'));
    await closed;
    expect(log).toEqual(['open', 'close 1006']);
    expect(echo.received).toEqual([]);
  });

  it('is a lost connection to us, and we come back', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url('/drop/after/1'));
    await next(ws, 'open');
    ws.send('a');
    await next(ws, 'close');
    await next(ws, 'open');
    expect(log.filter((event) => !event.startsWith('message'))).toEqual(['open', 'close 1006 again', 'open']);
    expect(echo.upgrades).toBe(2);
  });
});

describe('subprotocol', () => {
  it('is the first that was offered', async () => {
    const { url } = await serve();
    const { socket } = plain(url(), ['chat.v2', 'chat.v1']);
    await once(socket, 'open');
    expect(socket.protocol).toBe('chat.v2');
    const { ws } = connect(url(), { protocols: ['chat.v2', 'chat.v1'] });
    await next(ws, 'open');
    expect(ws.protocol).toBe('chat.v2');
  });

  it('is the one that the URL names', async () => {
    const { url } = await serve();
    const { ws } = connect(url('/echo?subprotocol=chat.v1'), { protocols: ['chat.v2', 'chat.v1'] });
    expect(ws.protocol).toBe('');
    await next(ws, 'open');
    expect(ws.protocol).toBe('chat.v1');
  });

  it('that nobody offered fails the connection', async () => {
    const { url } = await serve();
    const { ws, log } = connect(url('/echo?subprotocol=other'), { protocols: 'chat', reconnect: false });
    await final(ws);
    expect(log).toEqual(['error CONNECTION_FAILED', 'close 1006 final']);
  });

  it('is none where none was offered', async () => {
    const { url } = await serve();
    const { ws } = connect(url());
    await next(ws, 'open');
    expect(ws.protocol).toBe('');
  });
});

describe('the server in the hand of a test', () => {
  it('drop() cuts everybody', async () => {
    const { url, echo } = await serve();
    const both = [plain(url()), plain(url())];
    await Promise.all(both.map(({ socket }) => once(socket, 'open')));
    echo.drop();
    await Promise.all(both.map(({ closed }) => closed));
    expect(both.map(({ log }) => log)).toEqual([
      ['open', 'close 1006'],
      ['open', 'close 1006'],
    ]);
    await until(() => expect(echo.clients.size).toBe(0));
    expect(echo.peak).toBe(2);
  });

  it('mute() lets those of now hear nothing any more, and serves new ones', async () => {
    const { url, echo } = await serve();
    const old = plain(url());
    await once(old.socket, 'open');
    echo.mute();
    old.socket.send('into the void');
    const fresh = plain(url());
    await once(fresh.socket, 'open');
    fresh.socket.send('a');
    await once(fresh.socket, 'message');
    expect(old.log).toEqual(['open']);
    expect(echo.texts).toEqual(['a']);
    expect(echo.clients.size).toBe(2);
  });

  it('broadcast() reaches everybody, and `ended` says how a client left', async () => {
    const { url, echo } = await serve();
    const { ws, log } = connect(url());
    await next(ws, 'open');
    echo.broadcast('hello');
    await next(ws, 'message');
    ws.close(4321, 'bye');
    await final(ws);
    expect(log).toEqual(['open', 'message hello', 'close 4321 final']);
    await until(() => expect(echo.ended).toEqual([{ code: 4321, reason: 'bye' }]));
  });
});
