/** The server on real sockets: where it listens, whom it lets in, what it says over HTTP, and how it goes away. */

import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, connect as dial } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket as WS } from 'ws';
import { CallError, UnauthorizedError } from '../../src/errors.ts';
import { createServer, type ServerOptions } from '../../src/server/index.ts';
import { once, until } from '../support/e2e.ts';
import { HELLO, heard, join, raw, startServer } from '../support/service.ts';

/** The HTTP status an upgrade is refused with. */
async function refusal(url: string, headers: Record<string, string> = {}): Promise<number> {
  const ws = new WS(url, { headers });
  ws.on('error', () => {});
  const [, response] = (await once(ws, 'unexpected-response')) as [unknown, { statusCode: number }];
  ws.terminate();
  return response.statusCode;
}

/** An HTTP server of the user's own. */
async function ownServer(): Promise<HttpServer> {
  const http = createHttpServer((request, response) => response.end(`mine: ${request.url}`));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    http.closeAllConnections();
    http.close();
  });
  return http;
}

describe('listening', () => {
  it('on any free port says which one it is, and none before and after', async () => {
    const server = createServer({ port: 0, hostname: '127.0.0.1' });
    expect(server.port).toBe(0);
    await server.listening;
    expect(server.port).toBeGreaterThan(0);
    expect(server.http.address()).toMatchObject({ address: '127.0.0.1', port: server.port });
    await server.close();
    expect(server.port).toBe(0);
  });

  it('where somebody else listens rejects, harms nobody, and can still be closed', async () => {
    const { server, url } = await startServer();
    const second = createServer({ port: server.port, hostname: '127.0.0.1' });
    await expect(second.listening).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await second.close();
    await join(url()).client.connect();
    expect(server.connections).toBe(1);
  });

  it('that fails and that nobody waits for is no unhandled rejection', async () => {
    const { server } = await startServer();
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const second = createServer({ port: server.port, hostname: '127.0.0.1' });
    await second.listening.catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
    await second.close();
  });
});

describe('on an HTTP server of the user', () => {
  it('takes its path, and leaves pages, other upgrades and the closing to the others', async () => {
    const http = await ownServer();
    const { port } = http.address() as AddressInfo;
    const others = vi.fn();
    http.on('upgrade', ({ url }, socket) => {
      if (url === '/live') return;
      others(url);
      socket.end("HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n");
    });
    const { server } = await startServer({ server: http, path: '/live' });
    expect([server.port, server.http]).toEqual([port, http]);
    const { client } = join(`ws://127.0.0.1:${port}/live`);
    await client.connect();
    expect(await refusal(`ws://127.0.0.1:${port}/other`)).toBe(418);
    expect(others.mock.calls).toEqual([['/other']]);
    for (const path of ['/', '/live', '/health'])
      expect(await (await fetch(`http://127.0.0.1:${port}${path}`)).text()).toBe(`mine: ${path}`);
    const closed = heard(client, 'close');
    await server.close({ drain: 0 });
    expect(await closed).toMatchObject({ code: 4100, willReconnect: true });
    await client.close();
    expect(http.listening).toBe(true);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('mine: /');
    expect(http.listenerCount('upgrade')).toBe(1);
  });

  it('shares it with another one on another path, each with clients of its own', async () => {
    const http = await ownServer();
    const { port } = http.address() as AddressInfo;
    const [a, b] = [await startServer({ server: http, path: '/a' }), await startServer({ server: http, path: '/b' })];
    await Promise.all(['a', 'b', 'b'].map((path) => join(`ws://127.0.0.1:${port}/${path}`).client.connect()));
    expect([a.server.connections, b.server.connections]).toEqual([1, 2]);
    await a.server.close({ drain: 0, retryAfter: 60_000 });
    expect([a.server.connections, b.server.connections]).toEqual([0, 2]);
  });
});

describe('the path', () => {
  it('may carry a query, which the server sees; any other path is 404', async () => {
    const urls: string[] = [];
    const { server, url } = await startServer({ path: '/live', authenticate: (_, request) => void urls.push(request.url) });
    await join(url('/live?room=kelp&token=x%20y')).client.connect();
    expect(urls).toEqual(['/live?room=kelp&token=x%20y']);
    for (const path of ['/', '/live/', '/livestock', '/liv', '/LIVE', '/health', '//live', '/other?/live'])
      expect([path, await refusal(url(path))]).toEqual([path, 404]);
    expect(server.connections).toBe(1);
  });
});

describe('origins', () => {
  const page = (origin: string) => ({ origin });

  it('in a list are let in, others are 403, and programs, which send none, too', async () => {
    const { server, url } = await startServer({ origins: ['https://example.com', 'http://localhost:3000'] });
    for (const origin of ['https://example.com', 'http://localhost:3000']) await raw(url(), { headers: page(origin) });
    await raw(url());
    for (const origin of [
      'https://example.com.evil.test',
      'http://example.com',
      'https://EXAMPLE.com',
      'https://example.com:8443',
      'null',
      '',
    ])
      expect([origin, await refusal(url(), page(origin))]).toEqual([origin, 403]);
    expect(server.connections).toBe(3);
  });

  it('are judged by a function, which lets nobody in when it throws', async () => {
    const asked: string[] = [];
    const { errors, url } = await startServer({
      origins: (origin) => {
        asked.push(origin);
        if (origin === 'https://broken.test') throw new Error('the list is gone');
        return origin.endsWith('.example.com');
      },
    });
    await raw(url(), { headers: page('https://app.example.com') });
    await raw(url());
    expect(await refusal(url(), page('https://evil.test'))).toBe(403);
    expect(await refusal(url(), page('https://broken.test'))).toBe(403);
    expect(asked).toEqual(['https://app.example.com', 'https://evil.test', 'https://broken.test']);
    expect(errors).toEqual(['origins: the list is gone']);
  });

  it('of another host, with cookies, are 403 where nobody says which may, and reported once; cookies know no ports', async () => {
    const { server, errors, url } = await startServer();
    const cookie = 'session=ida';
    const { port } = server;
    for (const origin of ['http://localhost:1', 'https://localhost', `http://localhost:${port}`])
      await raw(url().replace('127.0.0.1', 'localhost'), { headers: { origin, cookie } });
    await raw(url(), { headers: { origin: 'https://app.test', cookie, 'x-forwarded-host': 'app.test, cdn.test' } });
    await raw(url(), { headers: { cookie } });
    await raw(url(), { headers: page('https://evil.test') });
    expect(errors).toEqual([]);
    for (const origin of ['https://evil.test', 'null', '', 'http://127.0.0.1.evil.test'])
      expect([origin, await refusal(url(), { origin, cookie })]).toEqual([origin, 403]);
    expect(errors).toEqual(['origins: A page of https://evil.test was refused, since it brings cookies: say in "origins" which pages may']);
    expect(server.connections).toBe(6);
  });

  it.each([['https://example.com/'], ['*'], ['example.com'], [''], ['https://example.com/live?x']])(
    'that are no origins are told so: %j',
    (origin) => {
      expect(() => createServer({ port: 0, origins: [origin] })).toThrow(/"origins" got an object; it takes a list of origins/);
    },
  );

  it('that are all let in by name may bring cookies', async () => {
    const { errors, url } = await startServer({ origins: () => true });
    await raw(url(), { headers: { origin: 'https://example.com', cookie: 'session=ida' } });
    expect(errors).toEqual([]);
  });

  it('that are none keep everybody out that sends one', async () => {
    const { url } = await startServer({ origins: [] });
    expect(await refusal(url(), page('https://example.com'))).toBe(403);
    await raw(url());
  });
});

describe('over plain HTTP', () => {
  const get = async (url: string) => {
    const response = await fetch(url.replace('ws:', 'http:'));
    return [response.status, await response.text()] as const;
  };

  it('the health endpoint counts connections; the path of the WebSocket wants an upgrade, and there is nothing else', async () => {
    const { url } = await startServer();
    expect(await get(url('/health'))).toEqual([200, '{"status":"ok","connections":0}']);
    await join(url()).client.connect();
    await raw(url());
    expect(await get(url('/health?verbose'))).toEqual([200, '{"status":"ok","connections":2}']);
    expect((await get(url('/')))[0]).toBe(426);
    expect((await get(url('/healthy')))[0]).toBe(404);
    const { headers } = await fetch(url('/health').replace('ws:', 'http:'));
    expect([headers.get('content-type'), headers.get('cache-control')]).toEqual(['application/json', 'no-store']);
  });

  it('the health endpoint is elsewhere, or nowhere, as wished', async () => {
    const there = await startServer({ health: '/up' });
    expect([(await get(there.url('/up')))[0], (await get(there.url('/health')))[0]]).toEqual([200, 404]);
    const nowhere = await startServer({ health: false });
    expect((await get(nowhere.url('/health')))[0]).toBe(404);
  });

  it('the health endpoint says 503 while the server drains, to whoever asks, so that a load balancer looks elsewhere', async () => {
    let finish: (() => void) | undefined;
    const wait = () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      });
    const { server, url } = await startServer({ handlers: { methods: { wait } } });
    const { client } = join(url(), { shouldReconnect: () => false });
    const call = client.call('wait');
    await until(() => expect(finish).toBeDefined());
    const closed = server.close();
    const answer = await get(url('/health')).catch((error: Error) => `refused: ${error.cause}`);
    finish?.();
    await Promise.all([call, closed]);
    expect(answer).toEqual([503, '{"status":"draining","connections":1}']);
  });
});

describe('limits', () => {
  it('on a message are held by the WebSocket itself, before it is read: 1009, and everybody else stays', async () => {
    const { server, url } = await startServer({ limits: { message: 1_024 } });
    const { client } = join(url());
    await client.connect();
    for (const message of ['x'.repeat(65_537), new Uint8Array(5_000_000)]) {
      const { ws, ended } = await raw(url());
      ws.send(message);
      expect((await ended)[0]).toBe(1009);
    }
    const late = await raw(url(), { hello: true });
    late.ws.send(JSON.stringify({ type: 'ping', pad: 'x'.repeat(1_025) }));
    expect((await late.ended)[0]).toBe(4413); // a hello may be larger, so that the WebSocket lets it through
    await until(() => expect(server.connections).toBe(1));
    expect(client.state.status).toBe('open');
    const { ws, frames } = await raw(url(), { hello: true });
    await until(() => expect(frames).toHaveLength(1));
    ws.send(JSON.stringify({ type: 'ping', pad: 'x'.repeat(1_000) }));
    await until(() => expect(frames.map(({ type }) => type)).toEqual(['welcome', 'pong']));
    expect(frames[0]).toMatchObject({ limits: { message: 1_024 } });
  });

  it('on connections send away who is too many, and let in who comes when there is room', async () => {
    const { url } = await startServer({ limits: { connections: 2 } });
    const [first] = [await raw(url(), { hello: true }), await raw(url(), { hello: true })];
    const third = await raw(url(), { hello: true });
    expect((await third.ended)[0]).toBe(4429);
    expect(third.frames).toEqual([expect.objectContaining({ type: 'bye', code: 4429, reconnect: true, retryAfter: 5_000 })]);
    first?.ws.close();
    await first?.ended;
    const fourth = await raw(url(), { hello: true });
    await until(() => expect(fourth.frames[0]?.type).toBe('welcome'));
  });
});

describe('who is refused by authenticate', () => {
  const long = 'キ'.repeat(100); // 300 bytes: more than a close frame holds
  it.each([
    ['with an UnauthorizedError', new UnauthorizedError('no token'), 4401, 'no token'],
    ['with a CallError', new CallError('PERMISSION_DENIED', 'banned'), 4403, 'banned'],
    ['with an UnauthorizedError of many words', new UnauthorizedError(long), 4401, expect.stringMatching(/^キ+$/)],
    ['with a CallError of many words', new CallError('PERMISSION_DENIED', long), 4403, expect.stringMatching(/^キ+$/)],
  ])('%s is told so, and the server lives on', async (_, error, code, reason) => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const { server, url } = await startServer({ authenticate: () => Promise.reject(error) });
    const { ended, frames } = await raw(url(), { hello: true });
    await until(() => expect(unhandled.mock.calls.length + frames.length).toBeGreaterThan(0));
    expect(unhandled).not.toHaveBeenCalled();
    expect(await ended).toEqual([code, reason]);
    await until(() => expect(server.connections).toBe(0));
  });
});

describe('close()', () => {
  it('tells everybody, lets a running call finish and nobody new in, and resolves when all are gone', async () => {
    let finish = (_: string) => {};
    const { server, url } = await startServer({ handlers: { methods: { wait: () => new Promise((resolve) => (finish = resolve)) } } });
    const busy = await raw(url(), { hello: true });
    const idle = await raw(url(), { hello: true });
    const silent = await raw(url());
    await until(() => expect(server.clients).toHaveLength(2));
    busy.ws.send('{"type":"request","id":1,"method":"wait"}');
    busy.ws.send('{"type":"ping","nonce":1}');
    await until(() => expect(busy.frames.at(-1)?.type).toBe('pong'));
    let isClosed = false;
    const closed = server.close({ retryAfter: 7_000 }).then(() => {
      isClosed = true;
    });
    expect(await idle.ended).toEqual([4100, 'the server is going away']);
    expect((await silent.ended)[0]).toBe(4100);
    await until(() => expect(busy.frames.at(-1)).toMatchObject({ type: 'bye', code: 4100, reconnect: true, retryAfter: 7_000 }));
    await until(() => expect(server.connections).toBe(1));
    expect(isClosed).toBe(false);
    finish('finished');
    expect((await busy.ended)[0]).toBe(4100);
    await closed;
    expect(busy.frames.map(({ type }) => type)).toEqual(['welcome', 'pong', 'bye', 'response']);
    expect([server.connections, server.clients, server.http.listening]).toEqual([0, [], false]);
  });

  it('does not wait longer than it was told for a call that hangs, nor for a client that does not close', async () => {
    let aborted = 0;
    const hang = (_: unknown, { signal }: { signal: AbortSignal }) => new Promise(() => signal.addEventListener('abort', () => aborted++));
    const { server, url } = await startServer({ handlers: { methods: { hang } } });
    const { ws, frames } = await raw(url(), { hello: true });
    await until(() => expect(frames).toHaveLength(1));
    ws.send('{"type":"request","id":1,"method":"hang"}');
    ws.send('{"type":"ping"}');
    await until(() => expect(frames).toHaveLength(2));
    ws.pause(); // it will not see the close
    await server.close({ drain: 20 });
    expect([aborted, server.connections]).toEqual([1, 0]);
  });

  it('twice at the same time is closing once: both resolve, and everybody is told once', async () => {
    const { server, url } = await startServer();
    const { ended, frames } = await raw(url(), { hello: true });
    await until(() => expect(frames).toHaveLength(1));
    const both = [server.close(), server.close()].map((closed) => Promise.race([closed.then(() => 'closed'), overdue()]));
    expect(await Promise.all(both)).toEqual(['closed', 'closed']);
    await ended;
    expect(frames.map(({ type }) => type)).toEqual(['welcome', 'bye']);
    expect(await Promise.race([server.close().then(() => 'closed'), overdue()])).toBe('closed');
  });
});

describe('bad luck on the way in', () => {
  it.each([
    ['for another path', '/nowhere', ''],
    ['from another origin', '/', 'Origin: https://evil.test\r\n'],
    ['without a key', '/', ''],
  ])('an upgrade %s by somebody who hangs up at once ends nothing but itself', async (_, path, header) => {
    const uncaught = vi.fn();
    process.on('uncaughtException', uncaught);
    onTestFinished(() => void process.off('uncaughtException', uncaught));
    const { server, url } = await startServer({ origins: ['https://example.com'] });
    const ends: Promise<unknown>[] = [];
    server.http.on('upgrade', (_request, socket) => ends.push(new Promise((resolve) => socket.once('close', resolve))));
    const upgrade = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${header}\r\n`;
    const socket = dial(server.port, '127.0.0.1', () => socket.write(upgrade, () => socket.resetAndDestroy()));
    await until(() => expect(ends).toHaveLength(1));
    await ends[0];
    expect(uncaught.mock.calls).toEqual([]);
    await join(url()).client.connect();
  });

  it('a refused one who does not hang up does not keep the server from closing', async () => {
    const { server } = await startServer();
    const socket = dial({ port: server.port, host: '127.0.0.1', allowHalfOpen: true }, () =>
      socket.write('GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    );
    onTestFinished(() => void socket.destroy());
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect(await Promise.race([server.close().then(() => 'closed'), overdue()])).toBe('closed');
  });
});

describe('messages of one client', () => {
  it('are handled in their order, events, calls and publishes alike, whatever batches they came in', async () => {
    const handled: string[] = [];
    const { server, url } = await startServer({
      handlers: {
        events: { e: (data) => handled.push(`event ${data}`) },
        methods: { m: (params) => handled.push(`call ${params}`) },
      },
      authorize: ({ action, data }) => action === 'subscribe' || Boolean(handled.push(`publish ${data}`)),
    });
    const { client } = join(url());
    await client.connect();
    const expected: string[] = [];
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 90; i++) {
      const kind = ['event', 'call', 'publish'][i % 3];
      expected.push(`${kind} ${i}`);
      if (kind === 'event') client.send('e', i);
      else if (kind === 'call') calls.push(client.call('m', i));
      else client.channel('c').publish(i);
      if (i % 7 === 0) client.flush();
    }
    await Promise.all(calls);
    await until(() => expect(handled).toHaveLength(90));
    expect(handled).toEqual(expected);
    expect(server.connections).toBe(1);
  });

  it('before a broken one in the same batch are handled, those after it are not', async () => {
    const handled: unknown[] = [];
    const { url } = await startServer({ handlers: { events: { e: (data) => handled.push(data) } } });
    const { ws, ended, frames } = await raw(url());
    ws.send(HELLO);
    await until(() => expect(frames).toHaveLength(1));
    const event = (n: number) => `{"type":"event","name":"e","data":${n}}`;
    ws.send(`[${event(1)},${event(2)},{"type":"event"},${event(3)}]`);
    ws.send(event(4));
    expect((await ended)[0]).toBe(4400);
    expect(handled).toEqual([1, 2]);
  });
});

describe('options', () => {
  const wrong: [string, Record<string, unknown>, RegExp][] = [
    ['neither port nor server', {}, /either "port" or "server"/],
    ['both port and server', { port: 0, server: createHttpServer() }, /either "port" or "server"/],
    ['a port that is none', { port: 65_536 }, /"port"/],
    ['a port as text', { port: '8080' }, /"port"/],
    ['a fractional port', { port: 80.5 }, /"port"/],
    ['a server that is none', { server: {} }, /"server"/],
    ['a path without a slash', { port: 0, path: 'live' }, /"path"/],
    ['a health path without a slash', { port: 0, health: 'up' }, /"health"/],
    ['a health path on a server of the user', { server: createHttpServer(), health: '/up' }, /"health"/],
    ['one origin as text', { port: 0, origins: 'https://example.com' }, /"origins"/],
    ['origins that are not text', { port: 0, origins: [1] }, /"origins"/],
    ['a handler that is no function', { port: 0, handlers: { methods: { add: 5 } } }, /"handlers\.methods\.add"/],
    ['an event handler that is no function', { port: 0, handlers: { events: { e: {} } } }, /"handlers\.events\.e"/],
    ['a limit that is too small', { port: 0, limits: { message: 10 } }, /"limits\.message"/],
    ['a limit that is no number', { port: 0, limits: { calls: '5' } }, /"limits\.calls"/],
    ['a heartbeat that is no number', { port: 0, heartbeat: { interval: '1s' } }, /"heartbeat\.interval"/],
    ['an authenticate that is no function', { port: 0, authenticate: true }, /"authenticate"/],
    ['a clock without hands', { port: 0, clock: {} }, /"clock"/],
  ];

  it.each(wrong)('with %s throw at once, and name what is wrong', (_, options, message) => {
    expect(() => createServer(options as ServerOptions)).toThrow(TypeError);
    expect(() => createServer(options as ServerOptions)).toThrow(message);
  });

  it('that are unknown are named in a warning, once', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    onTestFinished(() => warn.mockRestore());
    await startServer({ prot: 8080, limits: { mesage: 5 } } as never);
    expect(warn.mock.calls.map(([text]) => String(text))).toEqual([expect.stringMatching(/prot.*limits\.mesage/s)]);
  });
});

/** Later than anything that works. */
function overdue(): Promise<string> {
  return new Promise((resolve) => setTimeout(() => resolve('overdue'), 3_000));
}
