/** What docs/recipes.md says of its code, seen to happen. The React recipes under StrictMode are in react.test.ts. */

import { spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join as path } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import type { FunctionComponent } from 'react';
import { expect, onTestFinished, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { Client, presence, type ReconnectingWebSocket, type State, stream, upload, type WebSocketLike } from '../../src/index.ts';
import { CallError, Host, MemoryBroker, type Peer, type Server, type ServerClient, UnauthorizedError } from '../../src/server/index.ts';
import { everyBlockIsRun } from '../support/code-blocks.ts';
import { final, next, once, until } from '../support/e2e.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { launch } from '../support/pages.ts';
import { type CodeBlock, codeBlock, root } from '../support/read-document.ts';
import { run } from '../support/run-block.ts';
import { heard, join, raw, startServer, startService } from '../support/service.ts';

const recipe = (name: string) => codeBlock('docs/recipes.md', name);
/** Retries come at once. */
const soon = (option: string) => ({ [option]: `backoff: () => 5, ${option}` });
const onFreePort = { 'port: 8080': "port: 0, hostname: '127.0.0.1'" };
const urlOf = ({ port }: { readonly port: number }, where = '/') => `ws://127.0.0.1:${port}${where}`;

/** Closed, and why. */
const closedBy = (client: Client, cause: string) =>
  heard(client, 'statechange', ({ state }) => state.status === 'closed' && state.cause === cause);

everyBlockIsRun('docs/recipes.md', {
  'Log in #1': async (block) => {
    const tokens: (string | number)[] = [500, 'good', 'better', 'old', 'older', 401, 'best'];
    const seen: unknown[] = [];
    const fetch = vi.fn(async (_path: string, _options: { readonly signal: AbortSignal }) => {
      const next = tokens.shift();
      return typeof next === 'string' ? new Response(next) : new Response('', { status: next ?? 500 });
    });
    const showLogin = vi.fn((_login: { onsuccess(): Promise<void> }) => {});
    const logsIn = () => showLogin.mock.lastCall?.[0].onsuccess();
    const { server, url } = await startServer({
      authenticate: (token) => {
        seen.push(token);
        if (/old/.test(String(token))) throw new UnauthorizedError('too old');
      },
    });
    const { client } = await run<{ client: Client }>(block, {
      // It lasts at once: else the second 4401 would be the last.
      replace: { 'wss://example.com/live': url(), 'auth:': 'backoff: () => 5, stableAfter: 0, auth:' },
      globals: { fetch, showLogin },
    });
    client.channel('room').subscribe();

    // Any other error is a failed attempt.
    await client.connect();
    expect(fetch.mock.calls).toEqual(Array(2).fill(['/token', { signal: expect.any(AbortSignal) }]));
    expect(seen).toEqual(['good']);
    // A token runs out: the server sends it away, and it is there again with a fresh one.
    server.clients[0]?.close(4401);
    await heard(client, 'open');
    expect(seen).toEqual(['good', 'better']);
    // Two in a row are refused.
    const refused = closedBy(client, 'unauthorized');
    server.clients[0]?.close(4401);
    expect((await refused).state).toMatchObject({ code: 4401, reason: 'too old' });
    expect(seen).toEqual(['good', 'better', 'old']);
    expect(showLogin).toHaveBeenCalledTimes(1);
    // After the login it begins anew, with what was subscribed to.
    tokens.splice(0, 1);
    const dropped = vi.fn();
    client.addEventListener('drop', ({ name, reason }) => dropped(name, reason));
    const again = logsIn();
    client.send('typing');
    const call = client.call('add');
    await expect(again).rejects.toMatchObject({ name: 'ClosedError' });
    await expect(call).rejects.toMatchObject({ name: 'ClosedError' });
    expect(dropped.mock.calls).toEqual([['typing', 'closed']]);
    expect(client.state).toMatchObject({ status: 'closed', cause: 'unauthorized', error: { message: 'please log in' } });
    expect(showLogin).toHaveBeenCalledTimes(2);
    await logsIn();
    expect(seen.at(-1)).toBe('best');
    expect(server.publish('room', 'back')).toBe(1);
  },

  'Log in #2': async (block) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    onTestFinished(() => log.mockRestore());
    const userOf = vi.fn(async (token: unknown) => {
      if (token === 'trouble') throw new Error('no database');
      // What else is known of a user may be another time.
      return token === 'old' ? undefined : { name: `${token}`, rooms: ['room:kelp', `room:${userOf.mock.calls.length}`] };
    });
    const { server } = await run<{ server: Server }>(block, { replace: onFreePort, globals: { userOf } });
    await server.listening;

    let token = 'ada';
    const { client } = join(urlOf(server), { auth: () => token });
    const messages: unknown[] = [];
    await client.channel('room:kelp').subscribe((data, { from }) => messages.push([from, data])).ready;
    await client.channel('room:kelp').publish('hi').acknowledged;
    expect(messages).toEqual([['ada', 'hi']]);
    await expect(client.channel('room:other').subscribe().ready).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(client.channel('room:other').publish('hi').acknowledged).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(server.clients[0]?.principal).toEqual({ name: 'ada', rooms: ['room:kelp', 'room:1'] });
    server.clients[0]?.close(4401);
    expect(await heard(client, 'open')).toMatchObject({ resumed: true });
    expect(server.clients.map(({ principal }) => principal)).toEqual([{ name: 'ada', rooms: ['room:kelp', 'room:2'] }]);

    // The database fails: reported, and the client keeps trying.
    token = 'trouble';
    client.reconnect();
    await heard(client, 'close', ({ code }) => code === 1011);
    token = 'grace';
    await client.connect();
    expect(log).toHaveBeenCalledWith(expect.stringContaining('authenticate'), expect.objectContaining({ message: 'no database' }));
    const here = server.clients.filter(({ isConnected }) => isConnected);
    expect(here.map(({ principal }) => principal)).toMatchObject([{ name: 'grace' }]); // ada is waited for

    // Refused twice.
    const auth = vi.fn(() => 'old');
    const other = join(urlOf(server), { auth });
    const { state } = await closedBy(other.client, 'unauthorized');
    expect(state).toMatchObject({ code: 4401, reason: 'the token is not valid any more' });
    expect(auth).toHaveBeenCalledTimes(2);
    expect(other.sockets).toHaveLength(2);
  },

  'Log in #3': async (block) => {
    const userOf = vi.fn(async (token: unknown) => ({ name: 'ida', exp: Number(token) }));
    const { server } = await run<{ server: Server }>(block, { replace: onFreePort, globals: { userOf } });
    await server.listening;
    const tokens: number[] = [];
    let isAway = false;
    const auth = () => {
      if (isAway) throw new Error('offline');
      return tokens[tokens.push(Date.now() / 1_000 + 3) - 1];
    };
    const { client, sockets } = join(urlOf(server), { auth });
    await until(() => expect([tokens.length, server.clients[0]?.principal]).toEqual([2, { name: 'ida', exp: tokens[1] }]));
    expect(sockets).toHaveLength(1);

    // No fresh one comes, however often it is asked for.
    isAway = true;
    client.addEventListener('close', () => {
      isAway = false;
    });
    const lost = await heard(client, 'close');
    expect([lost.code, lost.reason]).toEqual([4401, 'the credentials have expired']);
    expect(await heard(client, 'open')).toMatchObject({ resumed: true });
  },

  'Log in #4': async (block) => {
    const { server, url } = await startServer({
      authenticate: (token) => token,
      handlers: { methods: { never: () => new Promise(() => {}) } },
    });
    const { client, sockets } = join(url(), { auth: () => 'ida' });
    await client.connect();
    client.channel('of ida').subscribe();
    const waits = client.call('never').catch((error: Error) => error.name);
    const tokens = { of: async (user: string) => user };
    const seen: unknown[] = [];
    client.addEventListener('open', () => void seen.push(server.clients.map(({ principal }) => principal)));
    const ran = run(block, { globals: { client, tokens } });
    expect(await waits).toBe('ClosedError');
    await ran;
    expect(client.state).toMatchObject({ status: 'closed', cause: 'user' });
    expect(client.channel('of ida').state).toEqual({ status: 'idle' });
    await until(() => expect(server.clients).toEqual([]));
    // And as bob, who is not signed out at once.
    client.setAuth(() => tokens.of('bob'));
    await client.connect();
    expect(seen).toEqual([['bob']]);
    expect(sockets.length).toBeGreaterThan(1);
  },

  'Log in #5': async (block) => {
    let tickets = 0;
    const fetch = vi.fn(async (_path: string, _options: { readonly signal: AbortSignal }) => new Response(`t ${++tickets}`));
    const seen: unknown[] = [];
    const { server, url } = await startServer({ path: '/live', authenticate: (token, request) => seen.push([token, request.url]) });
    const { client } = await run<{ client: Client }>(block, {
      replace: { 'wss://example.com/live': url('/live'), ...soon('auth:') },
      globals: { fetch },
    });
    await client.connect();
    server.clients[0]?.close();
    await heard(client, 'open');
    expect(seen).toEqual([
      [undefined, '/live?ticket=t+1'],
      [undefined, '/live?ticket=t+2'],
    ]);
    expect(fetch.mock.calls[0]).toEqual(['/ticket', { signal: expect.any(AbortSignal) }]);
  },

  'Log in #6': async (block) => {
    const answers = ['cut', 'welcome', 'no', 'welcome'];
    const received: string[] = [];
    const freshToken = vi.fn(async () => `token ${freshToken.mock.calls.length}`);
    const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    onTestFinished(() => {
      for (const socket of wss.clients) socket.terminate();
      wss.close();
    });
    wss.on('connection', (socket) =>
      socket.on('message', (data) => {
        received.push(String(data));
        if (!/login/.test(String(data))) return;
        const answer = answers.shift() ?? 'no';
        if (answer === 'cut') socket.terminate();
        else socket.send(answer);
      }),
    );
    await once(wss, 'listening');
    const { socket } = await run<{ socket: ReconnectingWebSocket }>(block, {
      replace: { 'wss://example.com/chat': urlOf(wss.address() as AddressInfo), ...soon('handshake:') },
      globals: { freshToken },
    });
    socket.send('kept');
    expect((await next(socket, 'close')).willReconnect).toBe(true);
    await next(socket, 'open');
    await until(() => expect(received).toEqual(['{"login":"token 1"}', '{"login":"token 2"}', 'kept']));

    const refused = final(socket);
    for (const client of wss.clients) client.terminate();
    await refused;
    expect(socket.state).toMatchObject({ status: 'closed', cause: 'refused' });
    socket.reconnect();
    await next(socket, 'open');
    expect(freshToken).toHaveBeenCalledTimes(4);
  },

  'React #1': async (block) => {
    const WebSocket = vi.fn();
    const { LiveProvider, useConnectionState } = await run<{
      LiveProvider: FunctionComponent<{ url: string }>;
      useConnectionState(): State;
    }>(block, { globals: { WebSocket } });
    const { createElement } = await import('react');
    const { renderToString } = await import('react-dom/server');
    const Inside = () => useConnectionState().status;
    expect(renderToString(createElement(LiveProvider, { url: 'wss://example.com/live' }, createElement(Inside)))).toBe('');
    await new Promise((resolve) => setImmediate(resolve));
    expect(WebSocket).not.toHaveBeenCalled();
  },

  'Node #1': async (block) => {
    let asked = (): void => {};
    let release = (): void => {};
    let held: Promise<void> | undefined;
    const reading = async (value: unknown) => {
      asked();
      await held;
      return value;
    };
    const { server, url } = await startServer({ handlers: { methods: { reading } } });
    /** A program that waits for an answer. */
    const waiting = async () => {
      held = new Promise((resolve) => {
        release = resolve;
      });
      const called = new Promise<void>((resolve) => {
        asked = resolve;
      });
      const program = await startProgram(block.code.replace('wss://example.com/live', url()));
      await called;
      return program;
    };

    // What is not answered yet gets its time.
    const polite = await waiting();
    polite.kill('SIGTERM');
    await polite.says('stopping');
    expect(server.connections).toBe(1);
    release();
    expect(await polite.ended).toEqual([0, null]);
    expect(polite.lines).toEqual(['stopping']);

    // No longer than it has.
    const late = await waiting();
    late.kill('SIGTERM');
    expect(await late.ended).toEqual([0, null]);
    expect(new Set(late.lines)).toEqual(new Set(['stopping', 'failed ClosedError']));

    // A second Ctrl+C does not wait.
    const hurried = await waiting();
    hurried.kill('SIGINT');
    await hurried.says('stopping');
    hurried.kill('SIGINT');
    expect(await hurried.ended).toEqual([null, 'SIGINT']);
    expect(hurried.lines).toEqual(['stopping']);
    await until(() => expect(server.connections).toBe(0));
  },

  'Workers #1': async (block) => {
    const { server, url } = await startServer({ handlers: { methods: { add: () => 3 } } });
    const { open } = await serveWorkers(block, recipe('Workers #2'), url(), { 'new SharedWorker(': 'new Worker(', '.port;': ';' });
    const [a, b] = [await open(), await open()];
    for (const page of [a, b]) await shown(page, { status: 'open' });
    expect(server.clients).toHaveLength(2);
    expect(await call(a, 'add')).toEqual({ result: 3 });
    expect(await call(b, 'subtract')).toEqual({ error: { code: 'UNIMPLEMENTED', message: expect.any(String) } });
    await until(() => expect(server.publish('room:kelp', 'hello')).toBe(2));
    for (const page of [a, b]) await shown(page, { message: 'hello' });
    await a.close();
    await b.close();
    await until(() => expect(server.connections).toBe(0));
  },

  'Workers #2': async (block) => {
    const { server, url } = await startServer({ handlers: { methods: { add: () => 3, leave: (_, { client }) => client.close(4422) } } });
    const { open } = await serveWorkers(recipe('Workers #1'), block, url());
    const a = await open();
    await shown(a, { status: 'open' });
    const b = await open();
    await shown(b, { status: 'open' }); // it came later, and was told
    expect(server.clients).toHaveLength(1);
    await until(() => expect(server.publish('room:kelp', 'hello')).toBe(1));
    for (const page of [a, b]) await shown(page, { message: 'hello' });
    expect(await call(a, 'add')).toEqual({ result: 3 });
    expect(await call(b, 'subtract')).toEqual({ error: { code: 'UNIMPLEMENTED', message: expect.any(String) } });
    expect(await call(b, 'leave')).toEqual({ error: { code: 'SESSION_LOST', message: expect.any(String), maybeExecuted: true } });
    for (const page of [a, b]) await shown(page, { status: 'waiting' });
    await until(() => expect(server.clients).toHaveLength(1));
    // One tab goes, the other still has its connection.
    await a.close();
    expect(await call(b, 'add')).toEqual({ result: 3 });
    expect(server.connections).toBe(1);
    await b.close();
    await until(() => expect(server.connections).toBe(0));
  },

  'Tests #1': async (block) => {
    const { client, server } = await run<{ client: Client; server: Server }>(block);
    expect(client.stats).toMatchObject({ connections: 2, acknowledged: 1 });
    expect(client.state.status).toBe('closed');
    expect([server.connections, server.port]).toEqual([0, 0]);
  },

  'Tests #2': async (block) => {
    const { memorySocket, manualClock } = await run<InMemory>(block);
    const log: string[] = [];

    // A line is never quicker than its sender, keeps the order, and ends once.
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const line = (name: string) => {
      const peers: Peer[] = [];
      const socket = memorySocket({
        accept: (peer: Peer) => {
          peers.push(peer);
          return { receive: (data: unknown) => log.push(`${name} up ${data}`), closed: () => log.push(`${name} closed`) };
        },
      });
      socket.onmessage = ({ data }: MessageEvent) => log.push(`${name} down ${data}`);
      socket.onclose = ({ code, reason, wasClean }: CloseEvent) => log.push(`${name} ${code} ${reason} ${wasClean}`);
      return { socket, peer: () => peers[0] as Peer };
    };
    const [a, b] = [line('a'), line('b')];
    await turn();
    a.socket.send('1');
    a.peer().send('2');
    a.socket.close(3000, 'done');
    a.peer().close(3001, 'me too');
    b.peer().terminate();
    expect(log).toEqual([]);
    await turn();
    expect(log.splice(0)).toEqual(['a up 1', 'a down 2', 'a closed', 'a 3000 done true', 'b closed', 'b 1006  false']);

    // A clock stands still until it is told to go on, and calls in order.
    const clock = manualClock();
    const note = (text: string) => () => log.push(`${text} at ${clock.now()}`);
    clock.setTimeout(note('second'), 20);
    clock.setTimeout(() => {
      note('first')();
      clock.setTimeout(note('between'), 5);
    }, 10);
    clock.clearTimeout(clock.setTimeout(note('never'), 1));
    clock.setTimeout(note('last'), 30);
    clock.setTimeout(note('later'), 31);
    await clock.pass(30);
    expect(log).toEqual(['first at 10', 'between at 15', 'second at 20', 'last at 30']);
    expect(clock.now()).toBe(30);

    // Fake timers of a test runner do as well.
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const heard: unknown[] = [];
    const host = new Host({ handlers: { events: { said: (text) => heard.push(text) } } });
    const sockets: WebSocketLike[] = [];
    let reachable = true;
    const client = new Client('ws://in.memory', {
      createSocket: () => {
        if (!reachable) throw new Error('nobody there');
        const socket = memorySocket(host);
        sockets.push(socket);
        return socket;
      },
    });
    await vi.advanceTimersByTimeAsync(0);
    expect(client.state.status).toBe('open');
    reachable = false;
    sockets[0]?.close(1006);
    client.send('said', 'kept');
    await vi.advanceTimersByTimeAsync(30_000);
    expect([client.state.status, heard]).toEqual(['waiting', []]);
    reachable = true;
    await vi.advanceTimersByTimeAsync(10_000);
    expect([client.state.status, heard]).toEqual(['open', ['kept']]);

    // Both sides close politely.
    const left = client.close({ code: 3000, reason: 'done' });
    await vi.advanceTimersByTimeAsync(0);
    await left;
    expect(client.state).toMatchObject({ cause: 'user', code: 3000, reason: 'done' });
    expect(host.connections).toBe(0);
    void client.connect();
    await vi.advanceTimersByTimeAsync(0);
    const [gone] = [heardClose(client)];
    void host.close({ drain: 0 });
    await vi.advanceTimersByTimeAsync(0);
    expect(await gone).toEqual([4100, 'the server is going away', true]);
  },

  'Tests #3': async (block) => {
    const { memorySocket, manualClock } = await run<InMemory>(recipe('Tests #2'));
    const { client, host } = await run<{ client: Client; host: Host }>(block, { globals: { memorySocket, manualClock } });
    expect(client.stats).toMatchObject({ connections: 2, sent: 1 });
    expect(host.connections).toBe(1);
  },

  'Log lines #1': async (block) => {
    const { proxy, url } = await startService();
    const { client } = join(url);
    const lines: Record<string, unknown>[] = [];
    await run(block, { globals: { client, log: (line: string) => lines.push(JSON.parse(line)) } });
    await client.connect();
    await proxy.refuse();
    proxy.cut();
    await heard(client, 'close');
    await heard(client, 'close'); // a failed attempt
    client.send('said', 'secret', { key: 'one' });
    client.send('said', 'secret', { key: 'one' });
    await proxy.accept();
    await client.connect();
    const of = (type: string) => lines.filter((line) => line['type'] === type);
    expect(of('state').map(({ status }) => status)).toEqual(
      expect.arrayContaining(['connecting', 'open', 'waiting', 'connecting', 'waiting']),
    );
    expect(of('close').slice(0, 2)).toEqual(
      Array(2).fill(expect.objectContaining({ code: 1006, willReconnect: true, connections: 1, queuedMessages: 0 })),
    );
    expect(of('error').length).toBeGreaterThan(0);
    expect(of('error')[0]).toMatchObject({ error: expect.stringContaining('Could not connect') });
    expect(of('drop')).toMatchObject([{ kind: 'event', name: 'said', reason: 'replaced' }]);
    expect(JSON.stringify(lines)).not.toContain('secret');
    await client.close();
  },

  'A status line #1': async (block) => {
    const said: unknown[] = [];
    const { proxy, url } = await startService({ handlers: { events: { say: (text) => said.push(text) } } });
    const { client } = join(url);
    await client.connect();
    const line = { textContent: '' };
    const warn = vi.fn();
    const page = new EventTarget();
    const { say } = await run<{ say(text: string): void }>(block, {
      globals: { client, line, warn, addEventListener: page.addEventListener.bind(page) },
    });
    const mayLeave = () => page.dispatchEvent(new Event('beforeunload', { cancelable: true }));
    expect(line.textContent).toBe('open');
    say('a');
    expect(line.textContent).toBe('open');
    await until(() => expect(said).toEqual(['a']));
    expect(mayLeave()).toBe(true);

    await proxy.refuse();
    proxy.cut();
    await heard(client, 'close');
    expect(line.textContent).toBe('waiting');
    say('b');
    say('c');
    expect(line.textContent).toMatch(/^(waiting|connecting), 2 not sent yet$/);
    expect(mayLeave()).toBe(false);
    await proxy.accept();
    await heard(client, 'open');
    expect(line.textContent).toBe('open');
    await until(() => expect(said).toEqual(['a', 'b', 'c']));
    expect(mayLeave()).toBe(true);
    expect(warn).not.toHaveBeenCalled();

    await proxy.refuse();
    proxy.cut();
    await heard(client, 'close');
    say('d');
    await client.close();
    expect(line.textContent).toBe('closed');
    expect(warn.mock.calls).toEqual([['not sent (closed): d']]);
    expect(mayLeave()).toBe(true);
  },

  'A chat that loses nothing #1': async (block) => {
    const service = await startService({ authorize: ({ data }) => !/rude/.test(JSON.stringify(data ?? '')) });
    const { server, proxy } = service;
    const published: unknown[] = [];
    const other = join(urlOf(server)).client;
    await other.channel('room:kelp').subscribe((message) => published.push((message as { text: string }).text)).ready;
    const storage = memoryStorage();
    const report = vi.fn();
    /** What a page shows, and how one talks there. */
    const open = async () => {
      const texts: string[] = [];
      const { client } = join(service.url);
      const show = ({ text }: { text: string }) => texts.push(text);
      const { say } = await run<{ say(text: string): void }>(block, { globals: { client, storage, show, report } });
      return { client, texts, say };
    };
    const shows = (page: { texts: string[] }, texts: string[]) => until(() => expect(page.texts).toEqual(texts));

    const page = await open();
    await until(() => expect(page.client.channel('room:kelp').state.status).toBe('subscribed'));
    page.say('one');
    await shows(page, ['one']);
    await proxy.refuse();
    proxy.cut();
    await heard(page.client, 'close');
    page.say('two');
    server.publish('room:kelp', { id: 'x', text: 'missed' });
    await proxy.accept();
    await shows(page, ['one', 'missed', 'two']);
    expect(page.client.stats).toMatchObject({ unconfirmed: 0, dropped: 0 });
    await until(() => expect(storage.getItem('unsaid')).toBe('[]'));

    // Refused: another time would not help.
    page.say('rude');
    await until(() => expect(report).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'PERMISSION_DENIED' })));
    expect(storage.getItem('unsaid')).toBe('[]');

    // The page is left, and the next one publishes what it kept: once, whether it had arrived or not.
    await proxy.refuse();
    proxy.cut();
    await heard(page.client, 'close');
    page.say('three');
    const kept = storage.getItem('unsaid') ?? '';
    expect(kept).toContain('three');
    await page.client.close();
    await proxy.accept();
    await open();
    await until(() => expect(published).toEqual(['one', 'missed', 'two', 'three']));
    await until(() => expect(storage.getItem('unsaid')).toBe('[]'));
    storage.setItem('unsaid', kept);
    await open();
    await until(() => expect(storage.getItem('unsaid')).toBe('[]'));
    expect(published).toEqual(['one', 'missed', 'two', 'three']);
  },

  'A snapshot, and what came after it #1': async (block) => {
    const { server } = await run<{ server: Server }>(recipe('A snapshot, and what came after it #2'), { replace: onFreePort });
    await server.listening;
    const proxy = await FaultProxy.start(server.port);
    onTestFinished(() => proxy.stop());
    const other = join(urlOf(server)).client;
    await other.call('post', 'before');
    const { client } = join(proxy.url('/'));
    const render = vi.fn();
    await run(block, { globals: { client, render } });
    const texts = ['before'];
    const shows = () => until(() => expect(render.mock.lastCall?.[0].map(({ text }: { text: string }) => text)).toEqual(texts));
    const post = async (text: string) => {
      texts.push(text);
      await other.call('post', text);
    };
    await shows();
    // Whether the snapshot has it, or it comes live: it is there once.
    await Promise.all(['a', 'b', 'c'].map(post));
    await shows();
    const loads = () => render.mock.calls.length;

    // An outage that the history bridges, and one that it does not.
    for (const [missed, again] of [
      [20, 20],
      [150, 1],
    ] as const) {
      await proxy.refuse();
      proxy.cut();
      await heard(client, 'close');
      const before = loads();
      for (let i = 0; i < missed; i++) await post(`${missed}: ${i}`);
      await proxy.accept();
      await shows();
      expect(loads() - before).toBe(again);
    }
  },

  'A snapshot, and what came after it #2': async (block) => {
    const { server } = await run<{ server: Server }>(block, { replace: onFreePort });
    await server.listening;
    const { client } = join(urlOf(server));
    const offsets: unknown[] = [];
    await client.channel('room:kelp').subscribe((_, { offset }) => offsets.push(offset)).ready;
    expect(await client.call('history', { room: 'room:kelp' })).toEqual({ messages: [], offset: 0 });
    for (const text of ['a', 'b']) await client.call('post', text);
    const messages = ['a', 'b'].map((text, i) => ({ id: i + 1, text }));
    expect(await client.call('history', { room: 'room:kelp' })).toEqual({ messages, offset: 2 });
    await until(() => expect(offsets).toEqual([1, 2]));
  },

  'Who is here #1': async (block) => {
    const useLive = vi.fn(() => ({ channel: () => expect.unreachable('nobody is asked on a server') }));
    const { Talk } = await run<{ Talk: FunctionComponent<{ room: string }> }>(block, { globals: { useLive } });
    const { createElement } = await import('react');
    const { renderToString } = await import('react-dom/server');
    expect(renderToString(createElement(Talk, { room: 'room:kelp' }))).toBe('<input value=""/>');
    expect(useLive).toHaveBeenCalled();
  },

  'Who is here #2': async (block) => {
    const userOf = async (token: unknown) => ({ name: `${token}` });
    const { server } = await run<{ server: Server }>(block, { replace: onFreePort, globals: { userOf } });
    await server.listening;
    const watched = presence(join(urlOf(server), { auth: () => 'ida' }).client.channel('room:kelp'));
    await watched.ready;
    const bo = join(urlOf(server), { auth: () => 'bo' }).client;
    const shown = presence<unknown>(bo.channel('room:kelp'), { data: { typing: true } });
    await until(() => expect([...watched.members.values()]).toEqual([{ id: shown.me, from: 'bo', data: { typing: true } }]));
    const refused = heard(bo, 'error');
    shown.update({ typing: 'x'.repeat(1_000) });
    expect((await refused).error).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(watched.members.get(shown.me ?? '')?.data).toEqual({ typing: true });
    await bo.channel('room:kelp').publish('anything').acknowledged;
  },

  'Pay once #1': async (block) => {
    const storage = memoryStorage();
    const orders: unknown[] = [];
    let before = (_client: ServerClient): unknown => undefined;
    const service = await startService({
      handlers: {
        methods: {
          order: async (params, { client }) => {
            orders.push(params);
            await before(client);
            return { number: orders.length };
          },
        },
      },
    });
    const open = async () => {
      const { client } = join(service.url);
      return { client, ...(await run<{ order(items: unknown): Promise<unknown> }>(block, { globals: { client, storage } })) };
    };
    const { client, order } = await open();

    // A cut.
    before = () => service.proxy.cut();
    expect(await order(['kelp'])).toEqual({ number: 1 });
    expect(orders).toEqual([{ id: expect.stringMatching(/^[\da-f-]{36}$/), items: ['kelp'] }]);
    expect(storage.getItem('order')).toBeNull();
    // The session is lost.
    before = (peer) => peer.close(4422);
    expect(await order(['rock'])).toEqual({ number: 2 });
    expect(client.stats).toMatchObject({ connections: 3, resumed: 1 });
    // The page is left, and the next one orders again: it is the same order.
    let left: Promise<void> | undefined;
    before = () => {
      left = client.close();
    };
    await expect(order(['shell'])).rejects.toMatchObject({ name: 'ClosedError' });
    await left;
    expect(storage.getItem('order')).toMatch(/^[\da-f-]{36}$/);
    const next = await open();
    expect(await next.order(['shell'])).toEqual({ number: 3 });
    expect(storage.getItem('order')).toBeNull();
    // A no is an answer.
    before = () => Promise.reject(new CallError('sold-out'));
    await expect(next.order(['shell'])).rejects.toMatchObject({ name: 'CallError', code: 'sold-out' });
    expect(storage.getItem('order')).toBeNull();
    expect(orders).toHaveLength(4);
  },

  'Pay once #2': async (block) => {
    const place = vi.fn(async () => ({ number: place.mock.calls.length }));
    const { server } = await run<{ server: Server }>(block, { replace: onFreePort, globals: { place } });
    await server.listening;
    const { client } = join(urlOf(server));
    const call = (items: unknown) => client.call('order', { id: 'x', items }, { idempotent: 'x' });
    expect(await Promise.all([call('kelp'), call('kelp')])).toEqual([{ number: 1 }, { number: 1 }]);
    expect(await call('kelp')).toEqual({ number: 1 });
    expect(place.mock.calls).toEqual([['x', 'kelp']]);
    await expect(call('rock')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  },

  'Progress #1': async (block) => {
    const { server, proxy, stored, deeds } = await startImport();
    const seen: number[] = [];
    const stop = new AbortController();
    const bar = Object.defineProperty({}, 'value', { set: (value: number) => seen.push(value) });
    const options = { replace: { "'wss://example.com/live'": `'${proxy.url('/')}', { backoff: () => 5 }` }, globals: { bar, stop } };
    const streamed = () => run<{ client: Client }>(block, options);

    // A cut changes nothing.
    deeds.set('c', () => proxy.cut());
    const { client } = await streamed();
    expect(seen.splice(0)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    expect(stored.splice(0)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(client.stats).toMatchObject({ connections: 2, resumed: 1 });
    // Where the session is lost it goes on from the last item that arrived.
    deeds.set('c', async () => {
      await until(() => expect(seen).toEqual([0.2, 0.4]));
      for (const each of server.clients) each.close(4422);
    });
    await streamed();
    expect(seen.splice(0)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    expect(stored.splice(0).filter((row) => row !== 'c')).toEqual(['a', 'b', 'd', 'e']);
    // It is stopped, and so is the method.
    let stopped: Promise<unknown> | undefined;
    deeds.set('b', () => {
      stop.abort(new Error('enough'));
      stopped = until(() => expect(server.clients.every(({ isBusy }) => !isBusy)).toBe(true));
      return stopped;
    });
    await expect(streamed()).rejects.toThrow('enough');
    await stopped;
    expect(stored).toEqual(['a', 'b']);
  },

  'Progress #2': async (block) => {
    const { server, stored } = await startImport(block);
    const { client } = join(urlOf(server));
    await client.connect();
    const items: unknown[] = [];
    const from = stream(client, 'load', 'kelp.csv', { cursor: 3 });
    for await (const item of from) items.push([item, from.cursor]);
    expect(items).toEqual([
      [{ done: 4, of: 5 }, 4],
      [{ done: 5, of: 5 }, 5],
    ]);
    expect(stored).toEqual(['d', 'e']);
    await expect(client.call('load', 'kelp.csv')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  },

  'Upload a file with progress #1': async (block) => {
    const { server, proxy, folder, calls } = await startStore();
    const input = Object.assign(new EventTarget(), { files: [] as File[] });
    const button: { onclick?(): void } = {};
    const report = vi.fn();
    const deeds: [number, () => unknown][] = [];
    const bar = { max: 0, shown: 0 };
    Object.defineProperty(bar, 'value', {
      set(bytes: number) {
        bar.shown = bytes;
        if (bytes >= (deeds[0]?.[0] ?? Infinity)) deeds.shift()?.[1]();
      },
    });
    const { client } = await run<{ client: Client }>(block, {
      replace: { "'wss://example.com/live'": `'${proxy.url('/')}', { backoff: () => 5 }` },
      globals: { input, bar, button, report },
    });
    const bytes = Uint8Array.from({ length: 1_000_000 }, (_, i) => i % 251);
    const choose = () => {
      input.files = [new File([bytes], 'kelp.png')];
      input.dispatchEvent(new Event('change'));
    };

    // A cut, and the loss of a session: it is all there, and nothing was sent twice but what had not been written.
    deeds.push([100_000, () => proxy.cut()]);
    deeds.push([500_000, () => server.clients.map((each) => each.close(4422))]);
    choose();
    await until(() => expect(calls.filter(({ isDone }) => isDone)).toHaveLength(1));
    await until(() => expect([bar.shown, bar.max]).toEqual([1_000_000, 1_000_000]));
    const [first, second, ...others] = calls.splice(0);
    expect([first, second?.id, others]).toEqual([{ id: expect.any(String), from: 0, isDone: false }, first?.id, []]);
    expect(second?.from).toBeGreaterThan(100_000);
    expect(await readFile(path(folder, `${first?.id}`))).toEqual(Buffer.from(bytes));
    expect(client.stats).toMatchObject({ connections: 3, resumed: 1 });

    // The button.
    deeds.push([300_000, () => button.onclick?.()]);
    choose();
    await until(() => expect(report).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ name: 'AbortError' })));
    await until(() => expect(server.clients.map(({ isBusy }) => isBusy)).toEqual([false]));
    const [stopped] = calls;
    expect(calls).toEqual([{ id: expect.any(String), from: 0, isDone: false }]);
    const kept = await client.call('stored', stopped?.id);
    expect(kept).toBeGreaterThan(100_000);
    expect(kept).toBeLessThan(1_000_000);
  },

  'Upload a file with progress #2': async (block) => {
    const { server, folder } = await startStore(block);
    const { client } = join(urlOf(server));
    const source = path(folder, 'source');
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
    await writeFile(source, bytes);
    const id = crypto.randomUUID();
    expect(await client.call('stored', id)).toBe(0);
    const part = createReadStream(source, { end: 99_999 });
    expect(await upload(client, 'store', { id, from: 0 }, part)).toEqual({ id, size: 100_000 });
    expect(await client.call('stored', id)).toBe(100_000);
    // What had been under way twice is written twice in the same place.
    expect(await upload(client, 'store', { id, from: 50_000 }, createReadStream(source, { start: 50_000 }))).toEqual({ id, size: 300_000 });
    expect(await readFile(path(folder, id))).toEqual(bytes);
    for (const bad of ['../source', 'source', undefined, 5]) {
      await expect(client.call('stored', bad)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(upload(client, 'store', { id: bad, from: 0 }, part)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect((await readdir(folder)).sort()).toEqual([id, 'source'].sort());
  },

  'Send much #1': async (block) => {
    const got: unknown[] = [];
    const { url } = await startServer({ handlers: { events: { row: (row) => got.push(String(row).slice(0, 3)) } } });
    const { client } = join(url());
    let most = 0;
    async function* rows() {
      for (let i = 100; i < 150; i++) {
        most = Math.max(most, client.stats.queuedBytes);
        yield `${i}${'x'.repeat(100_000)}`;
      }
    }
    await run(block, { globals: { client, rows: rows() } });
    expect(got).toEqual(Array.from({ length: 50 }, (_, i) => `${i + 100}`));
    expect(client.stats).toMatchObject({ queuedMessages: 0, unacknowledgedMessages: 0 });
    expect(most).toBeLessThan(1_000_000);
  },

  'Several processes #1': async (block) => {
    const shared = new MemoryBroker();
    const pay = vi.fn(() => 'paid');
    const start = async () => {
      const options = {
        replace: { 'broker: shared': 'broker: shared, handlers' },
        globals: { env: { PORT: '0' }, shared, handlers: { methods: { pay } } },
      };
      const { server } = await run<{ server: Server }>(block, options);
      await server.listening;
      return server;
    };
    const [first, second] = [await start(), await start()];
    let near = first;
    const { client, log } = join(() => `ws://localhost:${near.port}/`);
    const messages: unknown[] = [];
    await client.channel('room').subscribe((message) => messages.push(message)).ready;
    second.publish('room', 'from the other process');
    await until(() => expect(messages).toEqual(['from the other process']));
    expect(await client.call('pay', 5, { idempotent: 'key' })).toBe('paid');

    near = second;
    const opened = heard(client, 'open');
    client.reconnect();
    first.publish('room', 'missed');
    expect(await opened).toMatchObject({ resumed: false, recovered: true });
    await until(() => expect(messages).toEqual(['from the other process', 'missed']));
    expect(await client.call('pay', 5, { idempotent: 'key' })).toBe('paid');
    expect(pay).toHaveBeenCalledTimes(1);
    expect(log).toEqual(['open', 'close 4001 again', 'open']);
  },

  'One HTTP server, and nginx #1': async (block) => {
    const signals = new EventEmitter();
    const app = vi.fn((_request, response) => response.end('a page'));
    const { http, live } = await run<{ http: HttpServer; live: Server }>(block, {
      replace: { 'http.listen(8080)': "http.listen(0, '127.0.0.1')", 'process.once': 'signals.once' },
      globals: { app, signals },
    });
    await once(http, 'listening');
    const { port } = live;
    expect(await (await fetch(`http://127.0.0.1:${port}/live`)).text()).toBe('a page');
    const { client } = join(urlOf(live, '/live'));
    await client.connect();
    expect(live.clients).toHaveLength(1);
    await raw(urlOf(live, '/live'), { headers: { origin: 'https://example.com' } });
    await expect(raw(urlOf(live, '/live'), { headers: { origin: 'https://elsewhere.com' } })).rejects.toThrow('403');
    await expect(raw(urlOf(live, '/other'))).rejects.toThrow('404');
    const others = new WebSocketServer({ noServer: true });
    http.on('upgrade', (request, socket, head) => {
      if (request.url === '/other') others.handleUpgrade(request, socket, head, () => {});
    });
    await raw(urlOf(live, '/other'));

    for (const socket of others.clients) socket.terminate();
    const gone = heard(client, 'close');
    const ended = once(http, 'close');
    signals.emit('SIGTERM');
    expect(await gone).toMatchObject({ code: 4100, willReconnect: true });
    expect(client.state).toMatchObject({ status: 'waiting' });
    http.closeIdleConnections(); // that of fetch
    await ended;
  },
});

/** What a page keeps. */
function memoryStorage() {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

/** The server of the recipe, with five rows; what is to happen when one of them is stored, once. */
async function startImport(block = recipe('Progress #2')) {
  const stored: string[] = [];
  const deeds = new Map<string, () => unknown>();
  const globals = {
    rowsOf: async () => ['a', 'b', 'c', 'd', 'e'],
    store: async (row: string) => {
      stored.push(row);
      const deed = deeds.get(row);
      deeds.delete(row);
      await deed?.();
    },
  };
  const { server } = await run<{ server: Server }>(block, { replace: onFreePort, globals });
  await server.listening;
  const proxy = await FaultProxy.start(server.port);
  onTestFinished(() => proxy.stop());
  return { server, proxy, stored, deeds };
}

/** The server that stores files, in a folder of this test; what it was asked to store, and whether it has. */
async function startStore(block = recipe('Upload a file with progress #2')) {
  const folder = await mkdtemp(path(tmpdir(), 'holdfast-store-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const calls: { readonly id: string; readonly from: number; isDone: boolean }[] = [];
  const begin = (id: string, from: number) => {
    const call = { id, from, isDone: false };
    calls.push(call);
    return call;
  };
  const { server } = await run<{ server: Server }>(block, {
    replace: {
      ...onFreePort,
      '        await pipeline': 'const call = begin(id, from); await pipeline',
      'return { id,': 'call.isDone = true; return { id,',
    },
    globals: { folder, begin },
  });
  await server.listening;
  const proxy = await FaultProxy.start(server.port);
  onTestFinished(() => proxy.stop());
  return { server, proxy, folder, calls };
}

interface ManualClock {
  now(): number;
  setTimeout(callback: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
  pass(ms: number): Promise<void>;
}

interface InMemory {
  memorySocket(host: unknown): WebSocketLike;
  manualClock(): ManualClock;
}

const heardClose = (client: Client) =>
  new Promise((resolve) => {
    client.addEventListener('close', ({ code, reason, willReconnect }) => resolve([code, reason, willReconnect]));
  });

/** A block as a program of its own, which says when it is told to stop and what fails. */
async function startProgram(code: string) {
  const folder = await mkdtemp(path(tmpdir(), 'holdfast-recipe-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(path(root, 'node_modules'), path(folder, 'node_modules'), 'junction');
  const built = JSON.stringify(pathToFileURL(path(root, 'dist/index.js')).href);
  await writeFile(path(folder, 'program.mjs'), code.replace("'holdfast'", built));
  await writeFile(
    path(folder, 'given.mjs'),
    `globalThis.read = () => 5;
     globalThis.report = ({ name }) => console.log('failed', name);
     // Not at once: only when all have heard of it is the next one the system's.
     for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => setImmediate(() => console.log('stopping')));`,
  );
  const child = spawn(process.execPath, ['--import', './given.mjs', 'program.mjs'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.on('close', (...how) => resolve(how)));
  const lines: string[] = [];
  child.stdout.on('data', (data) => lines.push(...String(data).trim().split('\n')));
  return {
    lines,
    /** Exit code and signal. */
    ended,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    says: (line: string) => until(() => expect(lines).toContain(line)),
  };
}

type Worded = Window & { news: unknown[]; call(method: string): Promise<unknown> };

/** A site with the worker of a block and the page of the other, and tabs on it. */
async function serveWorkers(worker: CodeBlock, page: CodeBlock, url: string, changes: Readonly<Record<string, string>> = {}) {
  const change = (code: string, pairs: Readonly<Record<string, string>>) =>
    Object.entries(pairs).reduce((text, [from, to]) => {
      expect(text).toContain(from);
      return text.replace(from, to);
    }, code);
  const files: Record<string, string> = {
    '/': `<!doctype html><link rel="icon" href="data:,"><script>window.news = []; show = (each) => news.push(each);</script>
          <script type="module">import { call } from './page.js'; window.call = call;</script>`,
    '/page.js': change(page.code, changes),
    '/live-worker.js': change(worker.code, { "'holdfast'": "'/dist/index.js'", 'wss://example.com/live': url }),
  };
  const http = createHttpServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const file = files[pathname] ?? (await readFile(path(root, pathname)).catch(() => undefined));
    response.setHeader('content-type', pathname === '/' ? 'text/html' : 'text/javascript');
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const browser = await launch();
  onTestFinished(async () => {
    await browser.close();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  const context: BrowserContext = await browser.newContext();
  return {
    open: async () => {
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`);
      await page.waitForFunction(() => 'call' in window);
      return page;
    },
  };
}

/** Until a tab has shown it. */
const shown = (page: Page, news: object) =>
  page.waitForFunction((wanted) => (window as never as Worded).news.some((each) => JSON.stringify(each) === wanted), JSON.stringify(news));

/** What a call of a tab comes to. */
const call = (page: Page, method: string) =>
  page.evaluate(
    (method) =>
      (window as never as Worded).call(method).then(
        (result) => ({ result }),
        ({ code, message, maybeExecuted }) => ({ error: { code, message, maybeExecuted } }),
      ),
    method,
  );
