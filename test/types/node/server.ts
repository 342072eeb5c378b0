// A server with a contract, and without one. All of it must compile.

import { createReadStream } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { Client, upload } from 'holdfast';
import {
  type Authorization,
  CallError,
  type Contract,
  createServer,
  type HandlerContext,
  type Handlers,
  Host,
  type Member,
  type Server,
  type ServerClient,
  type ServerOptions,
  StreamItem,
  UnauthorizedError,
} from 'holdfast/server';
import { WebSocket as WS } from 'ws';

/** Whether two types are the same one, `any` and `unknown` told apart. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

interface Message {
  readonly id: number;
  readonly text: string;
}
interface Chat {
  server: {
    events: { typing: { room: string }; leave: undefined };
    methods: {
      history(params: { before: number }): Message[];
      add: (params: { a: number; b: number }) => Promise<number>;
      time(): Date;
      delete(params: { id: number }): void;
      search(params?: { text: string }): Message[];
      store(params: { name: string }): { stored: number };
    };
  };
  client: { events: { notice: string; tick: undefined }; methods: { confirm(question: string): boolean; where(): string } };
  channels: { [room: `room:${string}`]: Message; lobby: string };
}

const server = createServer<Chat>({
  port: 8080,
  hostname: '127.0.0.1',
  path: '/live',
  health: false,
  origins: ['https://example.com'],
  handlers: {
    methods: {
      history: ({ before }, { client, signal }) => {
        same<typeof before, number>(true);
        same<typeof client, ServerClient<Chat>>(true);
        same<typeof signal, AbortSignal>(true);
        return [{ id: before, text: client.id }];
      },
      add: ({ a, b }) => a + b, // at once, though the contract says later
      time: async () => new Date(), // later, though it says at once
      delete: () => {},
      search: (params) => [{ id: 1, text: params?.text ?? '' }],
      store: async ({ name }, { upload }) => {
        let stored = 0;
        for await (const item of upload) {
          same<typeof item, unknown>(true);
          if (item instanceof Uint8Array) stored += name.length + item.byteLength;
        }
        return { stored };
      },
    },
    events: {
      typing: ({ room }, { client }) => client.send('notice', room),
      leave: async (data) => same<typeof data, undefined>(true),
    },
  },
  authenticate: async (token, { url, headers, address }) => {
    if (typeof token !== 'string') throw new UnauthorizedError('No token');
    if (token === 'banned') throw new CallError('PERMISSION_DENIED', 'Banned', { data: { until: 5 } });
    return { url, address, agent: headers['user-agent'] };
  },
  authorize: ({ action, channel, client, params, data }) => {
    same<typeof action, 'subscribe' | 'publish' | 'presence'>(true);
    same<typeof params, unknown>(true);
    same<typeof data, unknown>(true);
    return channel.startsWith('room:') || client.principal !== undefined;
  },
  nameOf: (client) => client.id,
  limits: {
    message: 5_000,
    rate: 50,
    burst: 500,
    connections: 5,
    connectionsPerAddress: 5,
    subscriptions: 5,
    calls: 5,
    uploads: 5,
    buffered: 5,
  },
  presence: { grace: 5_000, members: 5, bytes: 5 },
  heartbeat: { interval: 5_000 },
  helloTimeout: 5_000,
  onconnection: (client) => void client.send('tick'),
  onerror: (error, where) => console.error(where, error),
});

const listening: Promise<void> = server.listening;
listening.then(() => console.log(server.port, server.connections, server.http.listening));
const reached: number = server.publish('room:kelp', { id: 1, text: 'hi' });
server.publish('lobby', `${reached}`);
server.broadcast('notice', 'hi');
server.broadcast('tick');
server.members('room:kelp').then((members) => same<typeof members, readonly Member[]>(true));
for (const client of server.clients) {
  client.send('notice', 'x');
  client.call('confirm', 'sure?', { timeout: 5, signal: AbortSignal.timeout(5) }).then((sure) => same<typeof sure, boolean>(true));
  client.call('where').then((where) => same<typeof where, string>(true));
  client.data.set('room', 'kelp');
  client.close(4800, 'gone', 5);
}
server.close({ drain: 5, retryAfter: 5 }).then(() => {});

// In parts, as a larger program has it.
export const handlers: Handlers<Chat> = { methods: { time: () => new Date() } };
export const history = ({ before }: { before: number }, { client }: HandlerContext<Chat>): Message[] => [{ id: before, text: client.id }];
export const authorize = ({ channel }: Authorization<Chat>): boolean => channel === 'lobby';
export const options: ServerOptions<Chat> = { server: createHttpServer(), handlers: { methods: { history } }, authorize };
export const typed: Server<Chat> = createServer(options);
export function start<C extends Contract>(more: ServerOptions<C>): Server<C> {
  return createServer<C>(more);
}
export const one: ServerClient<Chat> | undefined = server.clients[0];

// Without a contract nothing is known, and everything goes.
const free = createServer({
  port: 0,
  handlers: {
    methods: {
      echo: (params) => params,
      add: (params: unknown) => Number(params) + 1,
      ask: (_, { client }) => client.call('anything', 5),
    },
    events: { note: (data, { client }) => client.send('noted', data) },
  },
  origins: (origin) => origin.endsWith('.example.com'),
  presence: false,
});
free.members('anything').then(([first]) => first?.from);
free.publish('anything', { any: 'thing' });
free.broadcast('anything');
free.clients[0]?.call('anything').then((result) => same<typeof result, unknown>(true));

// Without sockets.
const host = new Host<Chat>({ handlers });
const port = host.accept(
  { bufferedAmount: 0, send: () => {}, close: () => {}, terminate: () => {} },
  { url: '/', headers: {}, address: '127.0.0.1' },
);
port.receive('{}');
port.closed();

// Both ends of one contract, over the sockets of ws.
const client = new Client<Chat>('ws://localhost', { createSocket: (url, protocols) => new WS(url, protocols) });
client.call('history', { before: 5 }).then((messages) => same<typeof messages, Message[]>(true));
upload(client, 'store', { name: 'x' }, createReadStream('x')).then(({ stored }) => same<typeof stored, number>(true));
upload(client, 'store', { name: 'x' }, Buffer.from('x')).then(({ stored }) => stored);

// Streams: items as the contract says, with cursors or without.
type Growing = { server: { methods: { grow(to: number): AsyncIterable<number> } } };
createServer<Growing>({
  port: 0,
  handlers: {
    methods: {
      async *grow(to, { cursor }) {
        for (let i = Number(cursor ?? 0) + 1; i <= to; i++) yield i % 2 === 0 ? i : new StreamItem(i, i);
      },
    },
  },
});
