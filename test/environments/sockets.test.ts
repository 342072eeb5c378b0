/** What `createSocket` may return: the WebSockets of other libraries, and sockets that lack something. They work, or an error says what is wrong. */

import { Window } from 'happy-dom';
import { Server as MockServer, WebSocket as MockSocket } from 'mock-socket';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket as WS } from 'ws';
import { Client, type ClientOptions, ReconnectingWebSocket, type WebSocketLike } from '../../src/index.ts';
import { Host } from '../../src/server/index.ts';
import { serve, until } from '../support/e2e.ts';
import { startService } from '../support/service.ts';

type CreateSocket = NonNullable<ClientOptions['createSocket']>;

/** A socket of `ws` of which only these attributes are to be seen, and whose events say nothing that is not needed where they are bare. */
function lacking(attributes: readonly string[], isBare = false): CreateSocket {
  return (url, protocols) => {
    const ws = new WS(url, protocols);
    const socket: Record<string, unknown> = {
      send: (data: string) => ws.send(data),
      close: (...args: [number?, string?]) => ws.close(...args),
    };
    for (const name of attributes) {
      const set = (value: unknown) => Reflect.set(ws, name, value);
      Object.defineProperty(socket, name, { get: () => Reflect.get(ws, name), set });
    }
    for (const type of ['open', 'message', 'error', 'close'] as const) {
      const bare = type === 'close' ? {} : undefined;
      ws.addEventListener(type, (event: unknown) => {
        const told = isBare && type !== 'message' ? bare : event;
        (socket[`on${type}`] as ((event: unknown) => void) | undefined)?.(told);
      });
    }
    return socket as unknown as WebSocketLike;
  };
}

const happy: CreateSocket = (() => {
  const window = new Window({ url: 'http://localhost/' });
  return (url, protocols) => new window.WebSocket(url, protocols) as unknown as WebSocketLike;
})();

const ALL = ['readyState', 'bufferedAmount', 'protocol', 'extensions', 'binaryType'];
const SOCKETS: readonly (readonly [string, CreateSocket])[] = [
  ['that is one of ws', (url, protocols) => new WS(url, protocols)],
  ['that is one of happy-dom', happy],
  ...['bufferedAmount', 'protocol', 'extensions', 'binaryType'].map(
    (name) => [`that has no ${name}`, lacking(ALL.filter((each) => each !== name))] as const,
  ),
  ['that has a readyState alone', lacking(['readyState'])],
  ['whose events carry nothing but data', lacking(ALL, true)],
];

describe.each(SOCKETS)('a socket %s', (_, createSocket) => {
  it('carries a client: calls, bytes, a cut, what was written meanwhile, and the end', async () => {
    const notes: unknown[] = [];
    const { server, proxy, url, errors } = await startService({
      handlers: { methods: { echo: (params) => params }, events: { note: (data) => notes.push(data) } },
    });
    const client = new Client(url, { createSocket, backoff: () => 5 });
    onTestFinished(() => client.close());
    expect(await client.call('echo', 'text')).toBe('text');
    expect(await client.call('echo', new Uint8Array([1, 2, 255]))).toEqual(new Uint8Array([1, 2, 255]));
    const lost = new Promise((resolve) => client.addEventListener('close', resolve, { once: true }));
    proxy.cut();
    await lost;
    client.send('note', 'meanwhile');
    await client.drained();
    expect(notes).toEqual(['meanwhile']);
    expect(client.stats).toMatchObject({ connections: 2, resumed: 1, dropped: 0, queuedMessages: 0 });
    await client.close();
    await until(() => expect(server.connections).toBe(0));
    expect(errors).toEqual([]);
  });

  it('carries a drop-in, whose attributes are what native has', async () => {
    const { echo, url } = await serve();
    const socket = new ReconnectingWebSocket(url(), { createSocket, protocols: 'kelp' });
    onTestFinished(() => socket.close());
    const heard = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)));
    socket.send('queued');
    expect(await heard).toBe('queued');
    expect([typeof socket.protocol, typeof socket.extensions, socket.bufferedAmount]).toEqual(['string', 'string', 0]);
    const closed = new Promise<{ willReconnect: boolean }>((resolve) => socket.addEventListener('close', resolve));
    socket.close(3001, 'done');
    expect((await closed).willReconnect).toBe(false);
    await until(() => expect(echo.clients.size).toBe(0));
    expect(echo.ended).toEqual([{ code: 3001, reason: 'done' }]);
  });
});

describe('a socket of mock-socket', () => {
  it('carries a client to a Host behind its server, and over a cut', async () => {
    const url = 'ws://mock.test/';
    const host = new Host({ handlers: { methods: { add: (params) => (params as number[]).reduce((a, b) => a + b) } } });
    const mock = new MockServer(url, { mock: false });
    onTestFinished(() => mock.stop());
    mock.on('connection', (socket) => {
      const port = host.accept(
        {
          bufferedAmount: 0,
          send: (data) => socket.send(data as string),
          close: (code, reason) => socket.close({ code: code ?? 1005, reason: reason ?? '', wasClean: true }),
          terminate: () => socket.close({ code: 1006, reason: '', wasClean: false }),
        },
        { url: '/', headers: {}, address: 'mock' },
      );
      socket.on('message', (data) => port.receive(data as string));
      socket.on('close', () => port.closed());
    });
    const client = new Client(url, {
      backoff: () => 5,
      createSocket: (address, protocols) => new MockSocket(address, protocols) as unknown as WebSocketLike,
    });
    onTestFinished(() => client.close());
    expect(await client.call('add', [1, 2])).toBe(3);
    const lost = new Promise((resolve) => client.addEventListener('close', resolve, { once: true }));
    for (const socket of mock.clients()) socket.close({ code: 1012, reason: '', wasClean: false });
    await lost;
    expect(await client.call('add', [3, 4])).toBe(7);
    expect(client.stats).toMatchObject({ connections: 2, resumed: 1 });
  });
});

describe('what is no socket', () => {
  it.each<[string, () => unknown, string]>([
    ['nothing', () => undefined, 'No WebSocket could be made: Option "createSocket" returned undefined; it returns a WebSocket'],
    ['null', () => null, 'No WebSocket could be made: Option "createSocket" returned null; it returns a WebSocket'],
    ['a text', () => 'ws', 'No WebSocket could be made: Option "createSocket" returned \'ws\'; it returns a WebSocket'],
    ['a promise', () => Promise.resolve(), 'No WebSocket could be made: Option "createSocket" returned a Promise; it returns a WebSocket'],
    ['an object', () => ({}), 'No WebSocket could be made: Option "createSocket" returned an object; it returns a WebSocket'],
    [
      'a socket without send()',
      () => ({ readyState: 0, close: () => {} }),
      'No WebSocket could be made: Option "createSocket" returned an object; it returns a WebSocket',
    ],
    [
      'a socket without readyState',
      () => ({ send: () => {}, close: () => {} }),
      'No WebSocket could be made: Option "createSocket" returned an object; it returns a WebSocket',
    ],
    [
      'an object that cannot be set up',
      () => Object.seal({ readyState: 0, send: () => {}, close: () => {}, onopen: null, onmessage: null, onerror: null, onclose: null }),
      'No WebSocket could be made: Cannot add property binaryType, object is not extensible',
    ],
    [
      'an object that is frozen',
      () => Object.freeze({ readyState: 0, send: () => {}, close: () => {} }),
      'No WebSocket could be made: Cannot add property binaryType, object is not extensible',
    ],
  ])('is told as an error: %s', async (_, createSocket, message) => {
    for (const Face of [Client, ReconnectingWebSocket]) {
      const made = new Face('ws://127.0.0.1:9/', { createSocket: createSocket as CreateSocket, maxRetries: 0 }) as EventTarget & Client;
      const { error } = await new Promise<{ error: Error }>((resolve) => made.addEventListener('error', resolve));
      expect(error).toMatchObject({ code: 'CONNECTION_FAILED', message });
      expect(made.state.status).toBe('closed');
    }
  });
});
