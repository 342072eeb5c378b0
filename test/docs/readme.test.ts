/** The code of README.md, run against real servers, does what README.md says of it. */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join as joinPaths } from 'node:path';
import { createClient } from 'graphql-ws';
import { expect, onTestFinished, vi } from 'vitest';
import type { WebSocket as WS } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import { Doc } from 'yjs';
import {
  type Client,
  type LifecycleSignal,
  type Presence,
  presence,
  type ReconnectingWebSocket,
  type State,
  stream,
  upload,
} from '../../src/index.ts';
import type { Server } from '../../src/server/index.ts';
import { everyBlockIsRun } from '../support/code-blocks.ts';
import { connect, final, next, serve, until } from '../support/e2e.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { startGraphqlServer } from '../support/graphql-server.ts';
import { launch } from '../support/pages.ts';
import { root } from '../support/read-document.ts';
import { run } from '../support/run-block.ts';
import { join, startServer, startService } from '../support/service.ts';
import { startSocketHost } from '../support/socket-host.ts';
import { startYServer } from '../support/y-server.ts';

const CHAT = 'wss://example.com/chat';
const LIVE = 'wss://example.com/live';
/** What `next attempt` would otherwise take seconds for. */
const SOON = 'backoff: () => 5';

interface Socket {
  readonly socket: ReconnectingWebSocket;
}

/** What the block logs. */
function logged(): unknown[] {
  const lines: unknown[] = [];
  const spy = vi.spyOn(console, 'log').mockImplementation((line) => lines.push(line));
  onTestFinished(() => spy.mockRestore());
  return lines;
}

/** The data of every message from now on. */
function messages(socket: ReconnectingWebSocket): unknown[] {
  const all: unknown[] = [];
  socket.addEventListener('message', ({ data }) => all.push(data));
  return all;
}

/** Serves a page for this test, in a folder that has the package installed. */
async function publish(html: string): Promise<string> {
  const http = createServer(async ({ url = '/' }, response) => {
    const file = /^\/node_modules\/holdfast\/([^?]+)/.exec(url)?.[1];
    response.setHeader('content-type', file ? 'text/javascript' : 'text/html');
    response.end(file ? await readFile(joinPaths(root, file)) : html);
  });
  onTestFinished(() => void http.close().closeAllConnections());
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
}

everyBlockIsRun('README.md', {
  'Holdfast #1': async (block) => {
    const { echo, url } = await serve();
    const lines = logged();
    const { socket } = await run<Socket>(block, { replace: { [`'${CHAT}')`]: `'${url()}', { ${SOON} })` } });
    await until(() => expect(lines).toEqual(['kept until it can be sent']));
    const lost = next(socket, 'close');
    echo.drop();
    expect(await lost).toMatchObject({ willReconnect: true });
    expect(socket.readyState).toBe(socket.CONNECTING);
    const sent = Array.from({ length: 100 }, (_, i) => `written while the line is down ${i}`);
    for (const text of sent) socket.send(text);
    await until(() => expect(lines).toEqual(['kept until it can be sent', ...sent]));
  },

  'Holdfast #2': async (block) => {
    const { echo, url } = await serve();
    let wake: ((signal: LifecycleSignal) => void) | undefined;
    const { socket } = await run<Socket>(block, {
      replace: {
        [CHAT]: url(),
        'heartbeat: {': `${SOON}, lifecycle, heartbeat: { interval: 20, timeout: 60_000, probeTimeout: 1_000,`,
      },
      globals: {
        lifecycle: {
          hidden: false,
          onLine: true,
          watch(listener: typeof wake) {
            wake = listener;
            return () => {};
          },
        },
      },
    });
    const data = messages(socket);
    await until(() => expect(echo.received.length).toBeGreaterThan(1));
    expect(echo.texts).toEqual([]); // nothing but pings
    socket.send('hello');
    await until(() => expect(data).toEqual(['hello'])); // and no pong before it
    echo.mute();
    const lost = next(socket, 'close');
    wake?.('online');
    expect(await lost).toMatchObject({ code: 4000, willReconnect: true });
    await next(socket, 'open');
  },

  'Use it #1': async (block) => {
    const { url } = await serve();
    const module = await run<{ ReconnectingWebSocket: typeof ReconnectingWebSocket }>(block);
    const socket = new module.ReconnectingWebSocket(url(), { reconnect: false });
    await next(socket, 'open');
  },

  'Use it #2': async (block) => {
    const { echo, url } = await serve();
    const browser = await launch();
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(await publish(block.code.replace(CHAT, url())));
    const answer = page.evaluate(
      "new Promise((resolve) => { socket.onmessage = (event) => resolve(event.data); socket.send('from a page'); })",
    );
    expect(await answer).toBe('from a page');
    expect([errors, echo.texts]).toEqual([[], ['from a page']]);
  },

  'Use it #3': async (block) => {
    const { echo, url } = await serve();
    const { socket } = await run<Socket>(block, { replace: { [CHAT]: url() } });
    socket.send('from Node');
    await until(() => expect(echo.texts).toEqual(['from Node']));
  },

  'A fresh token on every attempt #1': async (block) => {
    const { echo, url } = await serve();
    let tickets = 0;
    const fetch = vi.fn(async () => new Response(`ticket-${++tickets}`, { status: tickets > 2 ? 401 : 200 }));
    const { socket } = await run<Socket>(block, {
      replace: { [CHAT]: url('/drop/after/1'), 'shouldReconnect:': `${SOON}, shouldReconnect:` },
      globals: { fetch },
    });
    const errors: unknown[] = [];
    socket.addEventListener('error', ({ error }) => errors.push(error.cause));
    socket.send('first'); // the server cuts the line after every message
    await next(socket, 'close');
    socket.send('second');
    await final(socket);
    expect(echo.received.map(({ data, path }) => `${data} ${path}`)).toEqual([
      'first /drop/after/1?ticket=ticket-1',
      'second /drop/after/1?ticket=ticket-2',
    ]);
    expect(fetch).toHaveBeenCalledTimes(3);
    expect(fetch).toHaveBeenLastCalledWith('/ticket', { signal: expect.any(AbortSignal) });
    expect(errors).toContainEqual(new Error('logged out'));
  },

  'Log in before the queue goes out #1': async (block) => {
    const received: string[] = [];
    let accepts = false;
    const host = await startSocketHost((wss) => {
      wss.on('connection', (ws: WS) => {
        ws.on('message', (message) => {
          const text = String(message);
          received.push(text);
          if (!text.includes('token')) return;
          ws.send(accepts ? 'welcome' : 'who are you?');
          ws.send('news');
          accepts = true;
        });
      });
    });
    onTestFinished(() => host.stop());
    const { socket } = await run<Socket>(block, {
      replace: { [CHAT]: host.origin, 'handshake:': `${SOON}, handshake:` },
      globals: { token: 'secret' },
    });
    const data = messages(socket);
    socket.send('queued');
    const { error } = await next(socket, 'error');
    expect(error).toMatchObject({ code: 'HANDSHAKE_FAILED', cause: new Error('refused: who are you?') });
    await until(() => expect(received).toHaveLength(3));
    expect(received).toEqual(['{"token":"secret"}', '{"token":"secret"}', 'queued']);
    await until(() => expect(data).toEqual(['news'])); // what the handshake did not receive
  },

  'A status line #1': async (block) => {
    const { echo, url } = await serve();
    const { ws: socket } = connect(url(), { startClosed: true });
    const shown: string[] = [];
    await run(block, { globals: { socket, show: (text: string) => shown.push(text) } });
    socket.reconnect();
    await next(socket, 'open');
    echo.drop();
    await next(socket, 'open');
    socket.close();
    await final(socket);
    const lost = expect.stringMatching(/^lost \(1006\), next attempt at \d{1,2}:\d\d:\d\d/);
    const changes = shown.filter((text, i) => text !== shown[i - 1]); // connecting has phases
    expect(changes).toEqual(['connecting', 'open', lost, 'connecting', 'open', 'closing', 'closed']);
    const states: Record<State['status'], 0> = { idle: 0, connecting: 0, open: 0, waiting: 0, offline: 0, closing: 0, closed: 0 };
    expect(block.code).toContain(`// ${Object.keys(states).join(' ')}`);
  },

  'In libraries that reconnect themselves #1': async (block) => {
    const made: WebSocket[] = [];
    const { OneShot } = await run<{ OneShot: typeof WebSocket }>(block);
    class Seen extends OneShot {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args);
        made.push(this);
      }
    }

    const graphql = await startGraphqlServer();
    onTestFinished(() => graphql.host.stop());
    const retryWait = () => Promise.resolve();
    const options = { url: graphql.url, webSocketImpl: Seen, shouldRetry: () => true, retryAttempts: 100, retryWait };
    const client = createClient(options);
    onTestFinished(() => client.dispose());
    const news: unknown[] = [];
    client.subscribe<{ news: string }>(
      { query: 'subscription { news }' },
      { next: ({ data }) => news.push(data?.news), error: (error) => news.push(error), complete: () => news.push('complete') },
    );
    const yjs = await startYServer();
    onTestFinished(() => yjs.host.stop());
    const doc = new Doc();
    const provider = new WebsocketProvider(yjs.host.origin, 'room', doc, {
      WebSocketPolyfill: Seen,
      disableBc: true,
      maxBackoffTime: 10,
    });
    onTestFinished(() => provider.destroy());
    const [here, there] = [doc.getText('shared'), yjs.doc('room').getText('shared')];

    const sent: string[] = [];
    for (let cut = 0; cut <= 5; cut++) {
      await until(() => expect([graphql.host.accepted, graphql.subscriptions]).toEqual([cut + 1, 1]));
      sent.push(`news ${cut}`);
      graphql.publish(`news ${cut}`);
      await until(() => expect(news).toEqual(sent));
      await until(() => expect([yjs.host.accepted, provider.synced]).toEqual([cut + 1, true]));
      here.insert(0, `here ${cut} `);
      there.insert(0, `there ${cut} `);
      await until(() => expect(here.toString()).toBe(there.toString()));
      expect([graphql.host.clients.size, yjs.host.clients.size]).toEqual([1, 1]);
      expect(made.filter(({ readyState }) => readyState !== WebSocket.CLOSED)).toHaveLength(2); // nothing comes back by itself
      if (cut === 5) break;
      for (const { host } of [graphql, yjs]) host.cut();
      await until(() => expect(provider.synced).toBe(false));
    }
  },

  'The Client #1': async (block) => {
    const typing: unknown[] = [];
    const lines = logged();
    let proxy: FaultProxy | undefined;
    const pay = vi.fn(async () => {
      await until(() => expect(lines).toContainEqual({ text: 'hello' }));
      proxy?.cut(); // before the answer
    });
    const stored: unknown[] = [];
    const service = await startService({
      authenticate: (token) => ({ token }),
      handlers: {
        methods: {
          add: (params) => Object.values(Object(params)).reduce((a, b) => Number(a) + Number(b), 0),
          pay,
          async *lines() {
            yield* ['line 1', 'line 2'];
            proxy?.cut();
            yield 'line 3';
          },
          store: async (params, { upload }) => {
            proxy?.cut(); // nothing is lost by it
            for await (const part of upload) stored.push([params, new TextDecoder().decode(part as Uint8Array)]);
          },
        },
        events: { typing: (data, { client }) => typing.push([data, client.principal]) },
      },
    });
    const { server, errors } = service;
    proxy = service.proxy;
    const url = `ws://127.0.0.1:${server.port}/`;
    const other: unknown[] = [];
    await join(url)
      .client.channel('room:kelp')
      .subscribe((message) => other.push(message)).ready;
    const confirm = vi.fn(() => true);
    interface Made {
      readonly client: Client;
      readonly sum: number;
      readonly room: ReturnType<Client['channel']>;
      readonly people: Presence<{ name: string }>;
    }
    const { client, sum, room, people } = await run<Made>(block, {
      replace: { [LIVE]: service.url, 'auth:': `${SOON}, auth:` },
      globals: { fetchToken: () => Promise.resolve('secret'), window: { confirm } },
    });
    expect(sum).toBe(3);
    expect(pay.mock.calls).toEqual([[{ amount: 5 }, expect.anything()]]);
    expect(lines.filter((line) => /^line/.test(String(line)))).toEqual(['line 1', 'line 2', 'line 3']);
    expect(stored).toEqual([[{ name: 'kelp.txt' }, 'brown, and long']]);
    expect(client.stats).toMatchObject({ connections: 4, resumed: 3 });
    expect(typing).toEqual([[{ room: 'kelp' }, { token: 'secret' }]]);
    expect(other).toEqual([{ text: 'hello' }]);
    await until(() => expect(people.isCurrent).toBe(true));
    const [ida, ...others] = people.members.values();
    expect([ida, others]).toEqual([{ id: people.me, data: { name: 'Ida' } }, []]);
    expect(lines).toContainEqual([ida]);
    expect(await server.members('room:kelp')).toEqual([ida]);
    server.broadcast('notice', 'welcome');
    await until(() => expect(lines).toContain('welcome'));
    server.publish('room:kelp', 'to everybody');
    await until(() => expect(lines).toContain('to everybody'));
    expect(await server.clients.at(-1)?.call('confirm', 'sure?')).toBe(true);
    expect(confirm).toHaveBeenCalledExactlyOnceWith('sure?');
    expect(client.channel('room:kelp')).toBe(room);
    expect(errors).toEqual([]);
  },

  'The Client #2': async (block) => {
    const { server, url } = await startServer({ handlers: { methods: { add: () => 3 } } });
    const { client } = await run<{ client: Client }>(block, { replace: { [LIVE]: url() } });
    expect(await client.call('add', { a: 1, b: 2 })).toBe(3);
    expect(server.clients).toHaveLength(1);
  },

  'A server #1': async (block) => {
    const before = process.listeners('SIGTERM');
    const { server } = await run<{ server: Server }>(block, { replace: { 'port: 8080': "port: 0, hostname: '127.0.0.1'" } });
    const stop = process.listeners('SIGTERM').find((listener) => !before.includes(listener));
    const url = `ws://127.0.0.1:${server.port}`;
    const stranger = join(url, { auth: () => 'guess', startClosed: true }).client;
    await expect(stranger.connect()).rejects.toThrow();
    expect(stranger.state).toMatchObject({ status: 'closed', code: 4401 });

    const { client } = join(url, { auth: () => 'secret' });
    const heardOf: unknown[] = [];
    client.on('notice', (text) => heardOf.push(text));
    client.handle('confirm', (question) => `${question} yes`);
    expect(await client.call('add', { a: 1, b: 2 })).toBe(3);
    expect(heardOf).toEqual(['welcome, Ada']);
    expect(await client.call('ask', 'still there?')).toBe('still there? yes');
    await expect(client.call('no')).rejects.toMatchObject({ name: 'CallError', code: 'PERMISSION_DENIED', message: 'not you' });
    expect(await client.call('pay', { amount: 5 }, { idempotent: true })).toEqual({ by: 'Ada', amount: 5 });
    const items: unknown[] = [];
    for await (const line of stream(client, 'lines')) items.push(line);
    expect(items).toEqual(['line 1', 'line 2', 'line 3']);
    const name = 'kelp.txt';
    expect(await upload(client, 'store', { name }, new Uint8Array(100_000))).toEqual({ name, bytes: 100_000 });
    await expect(client.call('store', { name })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });

    const room: unknown[] = [];
    await client.channel('room:kelp').subscribe((message, { from }) => room.push([from, message])).ready;
    client.send('typing', { room: 'kelp' });
    await client.channel('room:kelp').publish('mine').acknowledged;
    expect(room).toEqual([
      [undefined, { typing: 'Ada' }],
      ['Ada', 'mine'],
    ]);
    await expect(client.channel('news').publish('mine').acknowledged).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const here = presence(client.channel('room:kelp'), { data: { typing: true } });
    await here.ready;
    expect([...here.members.values()]).toEqual([{ id: here.me, from: 'Ada', data: { typing: true } }]);
    await expect(presence(client.channel('news')).ready).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });

    const closed = new Promise((resolve) => client.addEventListener('close', ({ code }) => resolve(code), { once: true }));
    stop?.('SIGTERM');
    expect(await closed).toBe(4100);
    await until(() => expect(server.clients).toEqual([]));
  },
});
