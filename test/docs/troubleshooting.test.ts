/** Whatever docs/troubleshooting.md quotes as seen is really seen: each row of its tables has a story here that makes it happen. */

import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isNativeError } from 'node:util/types';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, it, onTestFinished, test, vi } from 'vitest';
import { CallError, Client, presence, ReconnectingWebSocket, UnauthorizedError, upload } from '../../src/index.ts';
import { MemoryBroker } from '../../src/server/index.ts';
import { everyBlockIsRun } from '../support/code-blocks.ts';
import { links } from '../support/document-checks.ts';
import { connect, final, next, serve, until } from '../support/e2e.ts';
import { FakeLifecycle, odd, type World, world } from '../support/face.ts';
import { readSources } from '../support/laws.ts';
import { LinkSocket, type Pair, pair } from '../support/link.ts';
import { tablesOf } from '../support/markdown-tables.ts';
import { MortalWorld } from '../support/mortal-world.ts';
import { readDocument, root } from '../support/read-document.ts';
import { run } from '../support/run-block.ts';
import { heard, join as joined, startServer } from '../support/service.ts';
import { startSocketHost } from '../support/socket-host.ts';
import { tsc } from '../support/tsc.ts';

const path = 'docs/troubleshooting.md';

interface Row {
  readonly heading: string;
  /** The quotes in its first cell. */
  readonly quotes: readonly string[];
}

const quotesIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, quote = '']) => quote);

/** The rows of all tables, heads left out. */
const rows: readonly Row[] = tablesOf(path).flatMap(({ heading, rows }) =>
  rows.map(([seen = '']) => ({ heading, quotes: quotesIn(seen) })),
);

/** Everything in what was seen, in words: `code: 1006` and `code` and `1006`, `cause: 'user'` and `user`. */
function facts(seen: unknown, known = new WeakSet<object>()): string[] {
  if (typeof seen === 'string') return [seen];
  if (typeof seen !== 'object' || seen === null) return [String(seen)];
  if (known.has(seen)) return [];
  known.add(seen);
  const { name, message, type } = seen as Partial<Error & Event>;
  const hidden =
    seen instanceof Error || isNativeError(seen) ? { name, message, cause: seen.cause } : seen instanceof Event ? { type } : {};
  return Object.entries({ ...hidden, ...seen }).flatMap(([key, value]) => [
    key,
    `${key}: ${typeof value === 'string' ? `'${value}'` : value}`,
    ...facts(value, known),
  ]);
}

/** Every event of a socket or client from now on; and how it is in the end. */
function watch(face: World | Pair): unknown[] {
  const target = 'ws' in face ? face.ws : face.client;
  const seen: unknown[] = [target];
  for (const type of ['open', 'message', 'error', 'close', 'statechange', 'drop'])
    (target as EventTarget).addEventListener(type, (event) => void seen.push(event));
  return seen;
}

/** What is thrown, or what a promise is rejected with. */
async function thrown(deed: () => unknown): Promise<unknown> {
  try {
    await deed();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

/** What happens to a drop-in of which the test does this. */
async function dropIn(deed: (w: World) => unknown, ...options: Parameters<typeof world>): Promise<unknown[]> {
  const w = world(...options);
  const seen = watch(w);
  await w.settle();
  const said = await Promise.all([deed(w)].flat());
  await w.settle();
  return [...seen, said, { state: w.ws.state }];
}

/** What happens to a client, and to its server. */
async function inPair(deed: (p: Pair) => unknown, ...options: Parameters<typeof pair>): Promise<unknown[]> {
  const p = pair(...options);
  const seen = watch(p);
  await p.settle();
  const said = await Promise.all([deed(p)].flat());
  await p.settle();
  return [...seen, said, { state: p.client.state, stats: p.client.stats }];
}

const never = () => new Promise<never>(() => {});
const fails = (w: World) => w.socket.fails();
const blocked = { send: () => {}, readyState: 3, close: () => {} };

/** What is due now happens. */
const atOnce = ({ clock }: World | Pair) => clock.advance(0);
/** Waits out an attempt. */
const patiently = ({ clock }: World | Pair) => clock.advance(10_000);

async function opens(w: World, times: number, code: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await w.open();
    w.socket.closed(code);
    await w.clock.advance(1_000);
  }
}

/** A project that has the package installed, and nothing else; `files` are in it. */
async function installed(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-trouble-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const target = join(folder, 'node_modules', 'holdfast');
  await mkdir(target, { recursive: true });
  await Promise.all(
    ['dist', 'package.json'].map((name) => cp(join(root, name), join(target, name), { recursive: true, dereference: true })),
  );
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
  return folder;
}

/** How a program ends, and what it says: lines, and what errors among them say. */
function node(file: string): Promise<{ readonly ended: boolean; readonly said: string[] }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [file], { cwd: dirname(file) }, (error, out, errors) => {
      const lines = (out + errors).split('\n').map((line) => line.trim());
      const parts = lines.flatMap((line) => /^\w*Error(?: \[(\w+)\])?: (.*)/.exec(line)?.slice(1) ?? []);
      resolve({ ended: error !== null, said: [...lines, ...parts] });
    });
  });
}

/** The stories of the rows that quote something, in the order of the page. */
const stories: Readonly<Record<string, readonly (() => unknown)[]>> = {
  'It never opens': [
    () => dropIn(fails),
    async () => {
      const { url } = await serve();
      return next(connect(url('/status/404')).ws, 'error');
    },
    async () => {
      const { url } = await startServer();
      return (await fetch(url().replace('ws:', 'http:'))).status;
    },
    () => dropIn(patiently, {}, never),
    () => dropIn(patiently),
    () => inPair(patiently, {}, { authenticate: never, helloTimeout: 60_000 }),
    async () => {
      const host = await startSocketHost(() => {});
      onTestFinished(() => host.stop());
      host.wss.options.handleProtocols = () => false;
      const { client } = joined(host.origin);
      return heard(client, 'error');
    },
    () => dropIn(atOnce, { createSocket: () => odd(blocked) }),
    () => dropIn(atOnce, { createSocket: throwing(new DOMException('An insecure connection', 'SecurityError')) }),
    () => thrown(() => world({}, '/chat')),
    () => dropIn(atOnce, {}, throwing(new Error('no ticket'))),
    () => inPair(atOnce, { auth: throwing(new Error('no token')) }),
  ],
  'It opens and closes at once, again and again': [
    () => dropIn((w) => opens(w, 3, 4_401)),
    () => dropIn((w) => w.open(), { handshake: () => Promise.reject(new Error('wrong password')) }),
    () => dropIn((w) => opens(w, 3, 1_009)),
    () => inPair((p) => p.socket.deliver('hello!')),
  ],
  'It is closed for good': [
    () => dropIn(({ ws, clock }) => [ws.close(), clock.advance(2_000)]),
    async () => {
      const abort = new AbortController();
      return dropIn(
        async ({ ws, clock }) => {
          abort.abort();
          await clock.advance(0);
          return thrown(() => ws.reconnect());
        },
        { signal: abort.signal },
      );
    },
    () => dropIn(fails, { reconnect: false }),
    () => dropIn(fails, { shouldReconnect: () => false }),
    () => inPair(patiently, { auth: () => Promise.reject(new UnauthorizedError()) }),
    () => inPair(({ peer }) => peer.close(4_409)),
  ],
  '`close` has code 1006': [
    () => dropIn(fails),
    () => dropIn(async (w) => [await w.open(), w.socket.closed()]),
    () => dropIn(patiently),
    () => dropIn(async (w) => [await w.open(), w.page.says('thawed')]),
  ],
  '`close` has a code from 4000': [
    () => dropIn(async (w) => [await w.open(), await w.clock.advance(20_000)], { heartbeat: { ping: 'ping' } }),
    () => dropIn(async (w) => [await w.open(), w.ws.reconnect()]),
    () => inPair(({ host }) => void host.close()),
    () => inPair(({ socket }) => socket.send(String(socket.sent[0]))),
    () => inPair(atOnce, {}, { authenticate: throwing(new CallError('PERMISSION_DENIED', 'not you')) }),
    () => inPair(({ peer }) => peer.close(4_404)),
    () =>
      inPair(async ({ socket, clock }) => {
        socket.send = () => {};
        await clock.advance(35_000);
      }),
    () => inPair(patiently, { connectTimeout: 60_000 }, { authenticate: never }),
    () => inPair(patiently, { auth: () => 'x'.repeat(65_536) }),
    () => inPair(({ socket }) => socket.deliver('{"type":"event","name":"note","data":1,"seq":5}')),
    async () => {
      const { server, url } = await startServer({ limits: { buffered: 1_000 } });
      const { client } = joined(url(), { messageLimit: 2 ** 25 });
      await heard(client, 'open');
      server.broadcast('note', 'x'.repeat(2 ** 24));
      return heard(client, 'close');
    },
    () => inPair(atOnce, {}, { limits: { connections: 0 } }),
    () => inPair(atOnce, {}, { authenticate: throwing(new Error('no database')) }),
  ],
  'Messages are missing after a reconnect': [
    async () => {
      const broker = new MemoryBroker({ history: { size: 1 } });
      return inPair(
        async (p) => {
          const seen: unknown[] = [];
          p.client.channel('room').addEventListener('gap', (event) => void seen.push(event));
          await p.client.channel('room').subscribe().ready;
          for (const missed of [1, 2]) {
            p.socket.cut();
            expect(seen).toEqual([]);
            for (let i = 0; i < missed; i++) p.host.publish('room', i);
            await p.clock.advance(1_000);
            await p.settle();
          }
          return seen;
        },
        {},
        { broker },
      );
    },
    async () => {
      const opens: unknown[] = [];
      await inPair(async (p) => {
        p.client.addEventListener('open', (event) => void opens.push(event));
        p.client.send('note');
        await p.settle();
        p.reachable = false;
        p.socket.cut();
        await p.clock.advance(120_000);
        p.reachable = true;
        await p.clock.advance(20_000);
        await p.settle();
      });
      expect(opens).toHaveLength(1); // the first one was before
      return opens;
    },
    () =>
      dropIn(async (w) => {
        await w.open();
        w.ws.send('written');
        w.socket.bufferedAmount = 7;
        w.socket.closed();
      }),
    async () => {
      const written = async (p: Pair) => {
        p.client.send('note', 1);
        p.client.flush();
        p.socket.vanish();
        await p.clock.advance(20_000);
        return { stats: p.client.stats };
      };
      expect(facts(await inPair(written))).not.toContain('unconfirmed: 1');
      return inPair(written, {}, { sessions: false });
    },
    () => dropIn(({ ws }) => ws.send('x'), { queue: { capacity: 0 } }),
  ],
  'Messages come twice': [
    () =>
      dropIn(async (w) => {
        let heard = 0;
        w.ws.addEventListener('open', () => w.ws.addEventListener('message', () => heard++));
        const counts: number[] = [];
        for (let lives = 1; lives <= 3; lives++) {
          await w.open();
          w.socket.says('hello');
          counts.push(heard);
          w.socket.closed();
          await w.clock.advance(1_000);
        }
        expect(counts).toEqual([1, 1 + 2, 1 + 2 + 3]);
      }),
    async () => {
      const handled: unknown[] = [];
      const seen = await inPair(
        (p) => arrivesAndIsLost(p),
        {},
        { handlers: { events: { note: (data: unknown) => void handled.push(data) } } },
      );
      expect(handled).toEqual(['once', 'once']);
      return seen;
    },
  ],
  '`drop` events, or "Holdfast dropped a message"': [
    () => dropIn(({ ws }) => ws.send('x'), { queue: { capacity: 0 } }),
    () => dropIn(({ ws, clock }) => [ws.send('x'), clock.advance(1_000)], { queue: { ttl: 1_000 } }),
    () => dropIn(({ ws, clock }) => [ws.send('x'), ws.close(), clock.advance(2_000)]),
    () => inPair(({ client }) => [client.send('note'), client.setAuth(() => 'bob')], { startClosed: true }),
    () =>
      dropIn(async (w) => {
        silence('error');
        w.ws.send('x');
        w.socket.send = throwing(new Error('out of memory'));
        await w.open();
      }),
    () => inPair(({ client }) => [client.send('cursor', 1, { key: 'me' }), client.send('cursor', 2, { key: 'me' })]),
    () => inPair(({ client }) => client.send('cursor', 1, { volatile: true }), { startClosed: true }),
    () => inPair((p) => welcomed(p, (client) => client.send('note', 'x'.repeat(300_000))), { startClosed: true }),
    () => inPair((p) => welcomed(p, (client) => client.channel('room').publish('hi'), { features: [] }), { startClosed: true }),
    () => inPair(({ client }) => client.channel('room').publish('hi'), {}, { authorize: () => false }),
    () => inPair((p) => arrivesAndIsLost(p), { unacknowledged: 'drop' }),
    () => poisoned((client) => client.send('poison').status),
  ],
  '`send()` or `call()` fails': [
    () =>
      thrown(() => {
        const { client } = pair({ outbox: { maxBytes: 1_000 } });
        for (;;) client.send('note', 'x'.repeat(300));
      }),
    () =>
      inPair(
        (p) =>
          thrown(async () => {
            const sum = p.client.call('add');
            await p.settle();
            p.socket.cut();
            await p.clock.advance(1_000);
            expect([p.client.stats.resumed, p.client.stats.pendingCalls]).toEqual([1, 1]);
            p.peer.close(4_422);
            await sum;
          }),
        {},
        { handlers: { methods: { add: never } } },
      ),
    () => poisoned((client) => thrown(() => client.call('poison', undefined, { idempotent: true, timeout: Infinity }))),
    () => inPair((p) => late(p), { startClosed: true }),
    () => inPair((p) => late(p), {}, { handlers: { methods: { slow: never } } }),
    () => inPair(({ client }) => thrown(() => client.call('slow'))),
    () => inPair(({ client }) => thrown(() => client.call('items')), {}, { handlers: { methods: { async *items() {} } } }),
    () =>
      inPair(
        ({ client }) => {
          const pay = (amount: number) => client.call('pay', amount, { idempotent: 'key' });
          return thrown(() => pay(1).then(() => pay(2)));
        },
        {},
        { handlers: { methods: { pay: () => 'paid' } } },
      ),
    () => inPair(({ client }) => thrown(() => client.call('slow')), {}, { handlers: { methods: { slow: throwing(new Error('bug')) } } }),
    () => inPair(({ client }) => [client.close(), thrown(() => client.call('slow'))][1]),
    () => inPair(({ client }) => thrown(() => client.send('note', 'x'.repeat(300_000)))),
  ],
  'An upload fails': [
    () => inPair(({ client }) => thrown(() => client.call('store')), {}, { handlers: { methods: { store } } }),
    () => inPair(({ client }) => thrown(() => upload(client, 'store', null, ['x'])), {}, { limits: { uploads: 0 }, ...storing }),
    () =>
      inPair(
        (p) =>
          thrown(async () => {
            const stored = upload(p.client, 'store', null, endless());
            await p.settle();
            p.socket.cut();
            await p.clock.advance(1_000);
            expect([p.client.stats.resumed, p.client.stats.pendingCalls]).toEqual([1, 1]);
            p.peer.close(4_422);
            await stored;
          }),
        {},
        storing,
      ),
    () => inPair(({ client }) => thrown(() => upload(client, 'store', null, ['x'.repeat(70_000)])), {}, storing),
    () => inPair(({ client }) => thrown(() => upload(client, 'store', null, odd('long text'))), {}, storing),
    () =>
      inPair((p) => welcomed(p, (client) => client).then(() => thrown(() => upload(p.client, 'store', null, ['x']))), {
        startClosed: true,
      }),
  ],
  'Who is there is wrong': [
    () =>
      inPair(
        ({ client }) => thrown(() => presence(client.channel('room:kelp')).ready),
        {},
        { authorize: ({ action }) => action === 'subscribe' || action === 'publish' },
      ),
    () => inPair(({ client }) => thrown(() => presence(client.channel('room:kelp'), { data: 'x'.repeat(5_000) }).ready)),
    () =>
      inPair(({ client }) => thrown(() => presence(client.channel('room:kelp'), { data: 'me' }).ready), {}, { presence: { members: 0 } }),
    () => inPair(({ client }) => thrown(() => presence(client.channel('room:kelp')).ready), {}, { presence: false }),
    () =>
      inPair(async (p) => {
        await presence(p.client.channel('room:kelp'), { data: 'me' }).ready;
        const seen: unknown[] = [];
        const others = presence(another(p).channel('room:kelp'));
        for (const type of ['join', 'leave'] as const) others.addEventListener(type, (event) => void seen.push(event));
        await others.ready;
        p.reachable = false;
        p.socket.cut();
        await p.clock.advance(9_999);
        expect(seen).toMatchObject([{ type: 'join' }]);
        await p.clock.advance(1);
        return seen;
      }),
    () =>
      inPair(async (p) => {
        const people = presence(p.client.channel('room:kelp'), { data: 'me' });
        await people.ready;
        expect(people.isCurrent).toBe(true);
        p.socket.cut();
        expect([...people.members.values()]).toMatchObject([{ data: 'me' }]);
        return { isCurrent: people.isCurrent };
      }),
  ],
  'The server never notices that I left': [
    () =>
      inPair(async (p) => {
        const { socket } = p;
        p.reachable = false;
        socket.vanish();
        socket.close = () => {}; // nothing of it arrives
        await p.clock.advance(34_999);
        expect(p.host.connections).toBe(1);
        await p.clock.advance(1);
        return socket.serverClose;
      }),
  ],
  'A dead link is not noticed': [
    () =>
      dropIn(async (w) => {
        await w.open();
        await w.clock.advance(5 * 3_600_000);
      }),
  ],
  'It reconnects too slowly, or too often': [
    () =>
      dropIn((w) => {
        w.page.onLine = false;
        w.socket.fails();
        const { since, retryAt } = w.ws.state as { since: number; retryAt: number };
        expect(retryAt - since).toBe(30_000);
      }),
    () => dropIn((w) => w.settle()),
    () =>
      dropIn(
        async (w) => {
          for (let i = 1; i <= 3; i++) {
            await w.open();
            await w.clock.advance(20_000);
            expect(w.log.filter((line) => line === 'close 4000 again')).toHaveLength(i);
            await w.clock.advance(1_000);
          }
        },
        { heartbeat: { ping: 'ping' } },
      ),
    () =>
      dropIn(async (w) => {
        w.ws.addEventListener('open', () => w.ws.reconnect());
        for (let i = 0; i < 3; i++) await w.open();
        expect(w.log.filter((line) => line === 'close 4001 again')).toHaveLength(3);
      }),
  ],
  'The laptop wakes up, or the tab comes back, and it is not there': [
    () =>
      dropIn(
        async (w) => {
          await w.open();
          w.page.says('visible');
          await w.clock.advance(2_999);
          expect(w.log).toEqual(['open']);
          await w.clock.advance(1);
        },
        { heartbeat: { ping: 'ping' } },
      ),
    () => dropIn(async (w) => [await w.open(), w.page.says('thawed')]),
  ],
  'In Node': [
    async () => node(join(await installed({ 'server.mjs': "import 'holdfast/server';" }), 'server.mjs')),
    () => withoutWebSocket(() => next(connect('ws://127.0.0.1:9', { createSocket: odd(undefined) }).ws, 'error')),
    () => withoutWebSocket(() => next(connect('ws://127.0.0.1:9', { createSocket: (url) => new WebSocket(url) }).ws, 'error')),
    async () => {
      const program = [
        "import { Client, ReconnectingWebSocket } from 'holdfast';",
        "const socket = new ReconnectingWebSocket(() => 'https://[');",
        "socket.addEventListener('close', () => { throw new Error('mine'); });",
        "setTimeout(() => console.log('lives on'), 5_000);",
      ];
      const outcome = await node(join(await installed({ 'listener.mjs': program.join('\n') }), 'listener.mjs'));
      expect(outcome).toMatchObject({ ended: true });
      expect(outcome.said).toContain('Error: mine');
      expect(outcome.said).not.toContain('lives on');
      await handlersThatThrow();
      return outcome;
    },
  ],
  'TypeScript complains': [
    () => compiled("import 'holdfast';", { lib: ['es2023'], skipLibCheck: false }),
    () =>
      compiled("import { createServer } from 'holdfast/server'; createServer({ port: 0 });", {
        moduleResolution: 'node10',
        ignoreDeprecations: '6.0',
      }),
    ...[mistakes, mistakes, mistakes],
  ],
  'With a script tag': [
    () => thrown(() => runInContext('new Holdfast.Client("ws://x")', createContext({}))),
    async () => {
      const module = await readFile(join(root, 'dist/index.js'), 'utf8');
      return thrown(() => runInContext(module, createContext({})));
    },
  ],
  '4429 after an outage': [
    async () => {
      const handled: unknown[] = [];
      const { server, url } = await startServer({
        limits: { rate: 1, burst: 10 },
        handlers: { events: { note: (data) => void handled.push(data) } },
      });
      const { client } = joined(url());
      for (let i = 0; i < 20; i++) client.send('note', i);
      const close = await heard(client, 'close');
      expect(handled).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(server.clients).toHaveLength(1);
      await client.drained();
      expect(handled).toEqual(Array.from({ length: 20 }, (_, i) => i));
      return close;
    },
  ],
  'The token has expired': [
    () =>
      inPair(
        patiently,
        { auth: () => 'old' },
        { authenticate: (token) => (token === 'new' ? 'me' : Promise.reject(new UnauthorizedError())) },
      ),
    () => {
      const answers = ['me'];
      const auth = () => answers.pop() ?? never(); // and then it hangs
      const server = { authenticate: (token: unknown) => token, expiresAt: () => 1_700_000_060_000 };
      return inPair((p) => p.clock.advance(70_000), { auth }, server);
    },
    () => {
      let user = 'ida';
      const auth = () => user;
      const becomes = async (p: Pair) => {
        await p.settle();
        user = 'bob';
        await p.clock.advance(40_000);
      };
      return inPair(becomes, { auth }, { authenticate: (token) => token, expiresAt: () => 1_700_000_060_000 });
    },
    () =>
      dropIn(async (w) => {
        await opens(w, 5, 4_401);
        expect(w.log.filter((line) => line === 'close 4401 again')).toHaveLength(5);
      }),
  ],
  'Two tabs throw each other out': [
    async () => {
      const { origin } = await onePerUser();
      const [first, second] = [connect(origin), connect(origin)];
      await until(() => expect(Math.min(first.closes.length, second.closes.length)).toBeGreaterThan(2));
      return [...first.closes, ...second.closes];
    },
    () => inPair(({ peer }) => peer.close(4_409)),
  ],
  'Memory grows': [
    () =>
      inPair(
        (p) => {
          p.client.send('note', 'x'.repeat(1_000));
          expect(p.client.stats.queuedBytes).toBeGreaterThan(1_000);
        },
        { startClosed: true },
      ),
    () =>
      dropIn(async (w) => {
        await w.open();
        w.socket.bufferedAmount = 1_000_000;
        w.ws.send('x');
        expect(w.socket.sent).toEqual(['x']);
        return { bufferedAmount: w.ws.bufferedAmount };
      }),
  ],
};

/** A handler that reads what is uploaded. */
async function store(_: unknown, { upload }: { readonly upload: AsyncIterable<unknown> }): Promise<number> {
  let items = 0;
  for await (const _item of upload) items++;
  return items;
}
const storing = { handlers: { methods: { store } } };

/** A source that has something, and then takes its time. */
async function* endless(): AsyncGenerator<string> {
  yield 'x';
  await never();
}

/** One more client of the same host. */
function another({ host, clock }: Pair): Client {
  return new Client('wss://example.test/live', {
    clock,
    lifecycle: new FakeLifecycle(),
    createSocket: (url, protocols) => {
      const socket = new LinkSocket(url, protocols);
      queueMicrotask(() => socket.accept(host));
      return odd(socket);
    },
  });
}

/** What the library says to the console, which is not to be seen in the log of the tests. */
function silence(method: 'error' | 'warn') {
  const spy = vi.spyOn(console, method).mockImplementation(() => {});
  onTestFinished(() => spy.mockRestore());
  return spy;
}

function throwing(error: unknown): () => never {
  return () => {
    throw error;
  };
}

/** A client writes, and then its server comes and says what it takes. */
async function welcomed(p: Pair, write: (client: Client) => unknown, more: object = {}): Promise<void> {
  p.reachable = false;
  void p.client.connect();
  write(p.client);
  await p.settle();
  p.socket.accept({ accept: () => ({ receive: () => {}, alive: () => {}, closed: () => {} }) });
  await p.settle();
  const limits = { message: 262_144, window: 256 };
  const heartbeat = { interval: 15_000, timeout: 5_000 };
  p.socket.deliver(JSON.stringify({ type: 'welcome', version: 1, features: ['channels'], resumed: false, heartbeat, limits, ...more }));
}

/** An event arrives, and the session is lost before the client hears of that. */
async function arrivesAndIsLost(p: Pair): Promise<void> {
  p.client.send('note', 'once');
  await p.settle();
  p.socket.vanish();
  p.peer.close(4_422);
  await p.clock.advance(21_000);
  await p.settle();
}

/** What is asked of this client, or sent by it, ends the server that reads it, each time. */
async function poisoned(ask: (client: Client) => unknown): Promise<unknown> {
  const poison = () => {
    world.die();
    return never();
  };
  const world: MortalWorld = new MortalWorld(() => ({ handlers: { events: { poison: () => void poison() }, methods: { poison } } }));
  await world.opens();
  const drops: unknown[] = [];
  world.client.addEventListener('drop', ({ reason }) => drops.push({ reason }));
  const answer = ask(world.client);
  await world.run(120_000);
  return [await answer, drops];
}

/** A call that is not answered in time. */
async function late({ client, clock }: Pair): Promise<unknown> {
  const error = thrown(() => client.call('slow'));
  await clock.advance(30_000);
  return error;
}

/** As in Node before version 22. */
async function withoutWebSocket<T>(story: () => Promise<T>): Promise<T> {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  Reflect.deleteProperty(globalThis, 'WebSocket');
  try {
    return await story();
  } finally {
    if (before) Object.defineProperty(globalThis, 'WebSocket', before);
  }
}

/** Those of a `Client` are reported, and it goes on. */
async function handlersThatThrow(): Promise<void> {
  const error = silence('error');
  await inPair(async (p) => {
    const mine = throwing(new Error('mine'));
    p.client.on('note', mine);
    p.client.handle('ask', mine);
    await p.client.channel('room').subscribe(mine).ready;
    p.peer.send('note');
    p.host.publish('room', 1);
    await thrown(() => p.peer.call('ask'));
    expect(p.client.state.status).toBe('open');
  });
  expect(error).toHaveBeenCalledTimes(3);
}

/** What the compiler says to a module of somebody who has the package installed. */
async function compiled(module: string, options: object = {}): Promise<string[]> {
  const compilerOptions = {
    ...{ noEmit: true, strict: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler' },
    ...{ lib: ['es2023', 'dom'], types: [], skipLibCheck: true },
    ...options,
  };
  const folder = await installed({ 'tsconfig.json': JSON.stringify({ compilerOptions, files: ['user.ts'] }), 'user.ts': module });
  const { code, output } = await tsc(join(folder, 'tsconfig.json'));
  expect(code).not.toBe(0);
  return output.split('\n').map((line) => line.replace(/^.*?error TS\d+: /, ''));
}

let complaints: Promise<string[]> | undefined;

/** What the compiler says to one who makes all the usual mistakes; it is asked once. */
function mistakes(): Promise<string[]> {
  complaints ??= compiled(`
    import { Client, ReconnectingWebSocket } from 'holdfast';
    export const sum: number = await new Client('ws://x').call('add');
    new Client<{ server: { events: { note: string } } }>('ws://x').send('nota', 'x');
    new ReconnectingWebSocket('ws://x').state.retryAt;
  `);
  return complaints;
}

/** A server that closes the connection before with 4409 when there is a new one. */
async function onePerUser() {
  const host = await startSocketHost((wss) => {
    wss.on('connection', (ws) => {
      for (const other of wss.clients) if (other !== ws) other.close(4_409, 'another tab');
    });
  });
  onTestFinished(() => host.stop());
  return host;
}

describe(path, () => {
  it('has a story for every row that quotes something', () => {
    const quoting = rows.filter(({ quotes }) => quotes.length > 0);
    const counts = Object.fromEntries(Object.entries(stories).map(([heading, all]) => [heading, all.length]));
    const wanted: Record<string, number> = {};
    for (const { heading } of quoting) wanted[heading] = (wanted[heading] ?? 0) + 1;
    expect(counts).toEqual(wanted);
  });

  const told = Object.entries(stories).flatMap(([heading, all]) => {
    const quoting = rows.filter((row) => row.heading === heading && row.quotes.length > 0);
    return all.map((story, i) => ({ heading, quotes: quoting[i]?.quotes ?? [], story }));
  });

  test.each(told)('$heading: $quotes', async ({ quotes, story }) => {
    const seen = facts(await story());
    const unseen = quotes.filter((quote) => {
      const [start, rest] = quote.split('…');
      return rest === undefined ? !seen.includes(quote) : !seen.some((fact) => fact.startsWith(start ?? '') && fact !== start);
    });
    expect(unseen, seen.filter((fact) => fact.length < 200).join('\n')).toEqual([]);
  });

  it('has a heading with the very words of the warning', () => {
    const warn = silence('warn');
    new ReconnectingWebSocket('ws://127.0.0.1:9', { queue: { capacity: 0 }, startClosed: true }).send('x');
    expect(warn.mock.calls).toEqual([['Holdfast dropped a message (overflow): listen to "drop" to know which']]);
    expect(rows.some(({ heading }) => heading.includes('"Holdfast dropped a message"'))).toBe(true);
  });

  it('names nothing that does not exist', () => {
    const sources = [...readSources().values()].join('\n');
    const known = new Set([...sources.matchAll(/[\w$]+/g)].map(([word]) => word));
    const elsewhere = ['npm', 'install', 'ws', 'fetch', 'skipLibCheck', 'lib', 'es2023', 'dom', 'bundler', 'node16', 'nodenext', 'node10',
      'moduleResolution', 'Chat', 'iife', 'js', 'wss', 'https', 'connect', 'src', 'dist', 'index']; // biome-ignore format: a list
    const quoted = readDocument(path).prose.flatMap((line) => quotesIn(line.startsWith('|') ? line.replace(/^\|[^|]*/, '') : line));
    const words = quoted.flatMap((quote) => quote.match(/[A-Za-z_$][\w$]*/g) ?? []);
    expect(words.length).toBeGreaterThan(100);
    expect(words.filter((word) => !known.has(word) && !elsewhere.includes(word))).toEqual([]);
  });

  it.each([path, 'docs/reconnection.md'])('%s has links that lead somewhere', (from) => {
    expect(links([readDocument(from)])).toEqual([]);
  });
});

type Sums = { server: { methods: { add(params: { a: number; b: number }): number } } };

everyBlockIsRun(path, {
  'Troubleshooting by symptom #1': async (block) => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    onTestFinished(() => log.mockRestore());

    const { url } = await serve();
    const { ws } = connect(url('/close/4000?reason=why'), { queue: { capacity: 0 }, maxRetries: 1, startClosed: true });
    await run(block, { globals: { socket: ws } });
    ws.send('x');
    expect(log).toHaveBeenLastCalledWith('dropped', 'overflow', 'x');
    ws.reconnect();
    await final(ws);
    expect(log).toHaveBeenCalledWith(expect.objectContaining({ status: 'open' }));
    expect(log).toHaveBeenCalledWith(4_000, 'why', true, { lostBytes: 0, queuedMessages: 0, queuedBytes: 0 });

    const { url: service } = await startServer();
    const { client } = joined(service());
    await run(block, { globals: { socket: client } });
    await client.connect();
    client.close();
    client.send('note', 1);
    expect(log).toHaveBeenLastCalledWith('dropped', 'closed', 1);
    await heard(client, 'close');
    expect(log).toHaveBeenLastCalledWith(1_000, '', false, expect.anything());
  },
  'A dead link is not noticed #1': async (block) => {
    const { url, echo } = await serve();
    const replace = { 'wss://example.com/chat': url(), "ping: 'ping'": "interval: 5, ping: 'ping'" };
    const { socket } = await run<{ socket: ReconnectingWebSocket }>(block, { replace });
    const heard = vi.fn();
    socket.addEventListener('message', heard);
    await until(() => expect(echo.received.filter(({ data }) => data === 'ping').length).toBeGreaterThan(2));
    expect([heard.mock.calls.length, echo.upgrades]).toEqual([0, 1]);
  },
  'In Node #1': async (block) => {
    const { url } = await startServer<Sums>({ handlers: { methods: { add: ({ a, b }) => a + b } } });
    const replace = { 'wss://example.com/live': url() };
    const { client } = await run<{ client: Client<Sums> }>(block, { replace, globals: { WebSocket: undefined } });
    expect(await client.call('add', { a: 1, b: 2 })).toBe(3);
  },
});
