/** socket.io: its defaults, its retries, and its connection state recovery, as its documentation shows them. */

import type { Server } from 'node:http';
import { type Backend, build, describe, type Ear, type Frontend, here, load, type Peer, sleep, WORK } from './peer.ts';

type Listener = (...args: never[]) => unknown;

interface ServerSocket {
  on(event: string, listener: Listener): void;
  join(room: string): void;
}
interface IoServer {
  on(event: 'connection', listener: (socket: ServerSocket) => void): void;
  to(room: string): { emit(event: string, ...args: unknown[]): void };
  close(): void;
}
interface ClientSocket {
  readonly recovered: boolean;
  on(event: string, listener: Listener): void;
  emit(event: string, ...args: unknown[]): void;
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown>;
  timeout(ms: number): ClientSocket;
  connect(): ClientSocket;
  disconnect(): ClientSocket;
}

const CLIENT = '../node_modules/socket.io-client/build/esm-debug/index.js';
const { Server: Io } = await load<{ Server: new (http: Server, options: object) => IoServer }>('../node_modules/socket.io/wrapper.mjs');
const { io } = await load<{ io(url: string, options: object): ClientSocket }>(CLIENT);

const ROOM = 'news';

async function serve(options: object): Promise<Backend> {
  const house = await build();
  const server = new Io(house.http, options);
  const received: number[] = [];
  let executed = 0;
  server.on('connection', (socket) => {
    socket.on('note', (message: number, answer?: (message: number) => void) => {
      received.push(message);
      answer?.(message);
    });
    socket.on('slow', async (answer: (result: string) => void) => {
      executed++;
      await sleep(WORK);
      answer('done');
    });
    socket.on('join', (answer?: () => void) => {
      socket.join(ROOM);
      answer?.(); // with `retries` the client waits for it
    });
    backend.welcomed();
  });
  const backend: Backend = {
    ...house,
    received,
    get executed() {
      return executed;
    },
    welcomed: () => {},
    publish: (message) => server.to(ROOM).emit('news', message),
    stop() {
      server.close();
      house.shut();
    },
  };
  return backend;
}

const EMIT = '`emit`';
const CALLBACK = '`emit` with a callback';
const TIMEOUT = '`timeout(5000)`';
const WITH_ACK = '`emitWithAck`';
const ONCE = 'joined once';
const EVERY_TIME = 'joined on every `connect`';

async function connect(url: string, ear: Ear, options: object): Promise<Frontend> {
  const socket = io(url, { transports: ['websocket'], forceNew: true, ...options });
  let opened = 0;
  socket.on('connect', () => {
    if (opened++ > 0 && !socket.recovered) ear.gap('`recovered: false`');
    ear.opened();
  });
  socket.on('disconnect', () => ear.lost());
  const rejected = (message: number) => (error: unknown) => ear.told(message, `rejected (${describe(error)})`);
  return {
    send(message, way) {
      if (way === EMIT) socket.emit('note', message);
      else if (way === TIMEOUT) socket.timeout(5_000).emitWithAck('note', message).catch(rejected(message));
      else socket.emit('note', message, (error: unknown) => error && rejected(message)(error));
    },
    call(way) {
      if (way === WITH_ACK) return socket.emitWithAck('slow');
      if (way === TIMEOUT) return socket.timeout(5_000).emitWithAck('slow');
      return new Promise((resolve, reject) => {
        // Without a timeout the callback gets the answer alone, with `retries` an error before it.
        socket.emit('slow', (...[error, answer]: unknown[]) =>
          answer === undefined && error !== 'done' ? reject(error) : resolve(answer),
        );
      });
    },
    subscribe(hear, way) {
      socket.on('news', hear);
      socket.emit('join');
      if (way === EVERY_TIME) socket.on('connect', () => socket.emit('join'));
    },
    reconnect: () => void socket.disconnect().connect(),
    close: () => void socket.disconnect(),
  };
}

const make = (options: string, client: object, server: object, ways: Peer['ways']): Peer => ({
  name: 'socket.io-client',
  options,
  kind: 'client',
  manifest: here('../node_modules/socket.io-client/package.json'),
  module: `export { io } from '${here('../node_modules/socket.io-client/build/esm/index.js')}'`,
  ways,
  serve: () => serve(server),
  connect: (url, ear) => connect(url, ear, client),
});

const ways = { send: [EMIT, TIMEOUT], call: [CALLBACK, WITH_ACK, TIMEOUT], subscribe: [ONCE, EVERY_TIME] };

export const socketIo: readonly Peer[] = [
  make('', {}, {}, ways),
  make('`retries: 3, ackTimeout: 10000`', { retries: 3, ackTimeout: 10_000 }, {}, { ...ways, send: [CALLBACK], call: [CALLBACK] }),
  make('server with `connectionStateRecovery`', {}, { connectionStateRecovery: {} }, ways),
];
