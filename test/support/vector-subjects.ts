/** Those who are under test by the vectors: the server and the client of this library, set up as docs/protocol-vectors.md asks, in memory. */

import type { Subscription } from '../../src/channel.ts';
import { Client } from '../../src/client.ts';
import { CallError, UnauthorizedError } from '../../src/errors.ts';
import type { ServerClient } from '../../src/server/client.ts';
import { Host } from '../../src/server/host.ts';
import { stream } from '../../src/stream.ts';
import { FakeLifecycle } from './face.ts';
import { FakeClock, settled } from './fake-clock.ts';
import { FakeSocket } from './fake-socket.ts';
import type { Heard, Subject, Wire } from './replay.ts';
import type { Fields, Json, Side } from './vectors.ts';

/** One of them, fresh. */
export function subject(side: Side): Subject {
  return side === 'server' ? serverSubject() : clientSubject();
}

const methods = {
  echo: (params: unknown) => params,
  fail: (params: unknown) => {
    const { code = 'ABORTED', message = 'as you wish', data } = Object(params) as { code?: string; message?: string; data?: unknown };
    throw new CallError(code, message, { data });
  },
  wait: () => new Promise<never>(() => {}),
};
/** Of a server: a stream of what is in its parameters. */
async function* items(params: unknown) {
  for (const each of params as unknown[]) {
    const { fail } = Object(each) as { fail?: string };
    if (fail) throw new CallError(fail, 'as you wish');
    yield each;
  }
}

/** Everything that follows without waiting, and what is due within a millisecond. */
async function settle(clock: FakeClock): Promise<void> {
  await clock.advance(1);
  for (let i = 0; i < 5; i++) await settled();
}

function serverSubject(): Subject {
  const clock = new FakeClock();
  const host = new Host({
    clock,
    onerror: () => {}, // an answer that is too large is reported
    authenticate: (token) => {
      if (token === 'nobody') throw new UnauthorizedError('nobody is that');
      if (token === 'forbidden') throw new CallError('PERMISSION_DENIED', 'not you');
      return token;
    },
    authorize: ({ channel }) => channel !== 'forbidden',
    handlers: { methods: { ...methods, items }, events: { echo: (data, { client }) => client.send('echo', data) } },
  });
  return {
    async connect(): Promise<Wire> {
      const inbox = new Inbox(clock);
      const port = host.accept(
        {
          bufferedAmount: 0,
          send: (message) => inbox.message(message),
          close: (code) => {
            inbox.closed(code);
            queueMicrotask(() => port.closed());
          },
          terminate: () => port.closed(),
        },
        { url: '/', headers: {}, address: '10.0.0.1' },
      );
      return { send: (message) => port.receive(message), next: () => inbox.next(), end: () => port.closed() };
    },
    does(action) {
      const client = host.clients.at(-1);
      if (action['shutdown']) void host.close();
      else if (typeof action['publish'] === 'string') host.publish(action['publish'], dataOf(action));
      else if (typeof action['close'] === 'number') client?.close(action['close']);
      else if (client) speak(client, action);
    },
  };
}

function clientSubject(): Subject {
  const clock = new FakeClock();
  const sockets: FakeSocket[] = [];
  const client = clientOver(clock, (socket) => void sockets.push(socket));
  const subscriptions = new Map<string, Subscription>();
  let met = 0;
  return {
    async connect(): Promise<Wire | undefined> {
      for (let waits = 0; sockets.length === met; waits++) {
        await settle(clock);
        if (client.state.status === 'closed' || waits > 3_600) return undefined;
        if (sockets.length === met) await clock.advance(1_000);
      }
      return wireOf(sockets[met++] as FakeSocket, clock);
    },
    does(action) {
      const { publish, subscribe, unsubscribe, close } = action;
      if (close) void client.close();
      else if (typeof publish === 'string') settles(client, client.channel(publish).publish(dataOf(action)).acknowledged);
      else if (typeof unsubscribe === 'string') subscriptions.get(unsubscribe)?.unsubscribe();
      else if (typeof action['stream'] === 'string') settles(client, read(client, action['stream'], action));
      else if (typeof subscribe === 'string') subscriptions.set(subscribe, subscription(client, subscribe, action));
      else speak(client, action);
    },
  };
}

/** A client that does what docs/protocol-vectors.md asks of one. */
function clientOver(clock: FakeClock, made: (socket: FakeSocket) => void): Client {
  const client = new Client('wss://example.test', {
    clock,
    lifecycle: new FakeLifecycle(),
    random: () => 0.5,
    createSocket: (...args) => {
      const socket = new FakeSocket(...args);
      made(socket);
      return socket;
    },
  });
  client.on('echo', (data) => {
    try {
      client.send('echo', data);
    } catch {} // more than the server takes
  });
  for (const [name, method] of Object.entries(methods)) client.handle(name, method);
  client.addEventListener('open', ({ resumed }) => void client.send('opened', { resumed }));
  return client;
}

function subscription(client: Client, name: string, action: Fields): Subscription {
  const channel = client.channel(name, 'params' in action ? { params: action['params'] } : {});
  const subscribed = channel.subscribe((data, { from, offset }) => {
    client.send('got', data instanceof Uint8Array ? data : { channel: name, data, from, offset });
  });
  settles(client, subscribed.ready);
  return subscribed;
}

/** Reads a stream to its end; each item is told by an event. */
async function read(client: Client, method: string, { params, buffer }: Fields): Promise<void> {
  const abort = new AbortController();
  aborts.set(client, abort);
  const options = { signal: abort.signal, ...(typeof buffer === 'number' && { buffer }) };
  for await (const data of stream(client, method, params, options)) client.send('item', data instanceof Uint8Array ? data : { data });
}

/** The newest socket of a client, which the server takes. */
async function wireOf(socket: FakeSocket, clock: FakeClock): Promise<Wire> {
  const inbox = new Inbox(clock);
  socket.send = (data) => inbox.message(data as string | Uint8Array);
  const close = socket.close.bind(socket);
  socket.close = (code, ...rest) => {
    close(code, ...rest);
    inbox.closed(code ?? 1005);
    queueMicrotask(() => socket.closed(code ?? 1005));
  };
  socket.accepts('holdfast.v1.json');
  await settle(clock);
  return {
    send: (message) => socket.says(typeof message === 'string' ? message : message.slice().buffer),
    next: () => inbox.next(),
    end: (code) => socket.closed(code),
  };
}

/** Both ends of a connection can send events and call. */
interface Speaker {
  send(name: string, data?: unknown): unknown;
  call(method: string, params?: unknown, options?: { signal?: AbortSignal; timeout?: number }): Promise<unknown>;
}
const aborts = new WeakMap<object, AbortController>();

function speak(speaker: Speaker | ServerClient, action: Fields): void {
  const { send, call, params, timeout, cancel } = action;
  if (cancel) return aborts.get(speaker)?.abort(new CallError('CANCELLED', 'by the test'));
  if (typeof send === 'string') return void speaker.send(send, dataOf(action));
  const abort = new AbortController();
  aborts.set(speaker, abort);
  const options = { signal: abort.signal, ...(typeof timeout === 'number' && { timeout }) };
  settles(speaker, speaker.call(String(call), bytesOr(params), options));
}

/** Tells, by an event, what became of a promise. */
function settles(speaker: Pick<Speaker, 'send'> | ServerClient, promise: Promise<unknown>): void {
  promise.then(
    (result) => void speaker.send('settled', result instanceof Uint8Array ? result : { result: result ?? null }),
    (error: { code?: string }) => void speaker.send('settled', { error: error.code ?? 'unknown' }),
  );
}

function dataOf({ data }: Fields): unknown {
  return bytesOr(data);
}

function bytesOr(value: Json | undefined): unknown {
  const { $base64 } = Object(value) as { $base64?: string };
  return typeof $base64 === 'string' ? new Uint8Array(Buffer.from($base64, 'base64')) : value;
}

/** What one end of a connection said. */
class Inbox {
  readonly #heard: Heard[] = [];
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  message(message: string | Uint8Array): void {
    this.#heard.push(...heardIn(message));
  }

  closed(code: number): void {
    this.#heard.push({ close: code });
  }

  async next(): Promise<Heard | undefined> {
    await settle(this.#clock);
    return this.#heard.shift();
  }
}

/** The frames of a message, each with its payload where that came in bytes. */
export function heardIn(message: string | Uint8Array): Heard[] {
  if (typeof message === 'string') return [JSON.parse(message) as Json].flat().map((frame) => ({ frame: frame as Fields }));
  const end = message.indexOf(0xff);
  return [{ frame: JSON.parse(Buffer.from(message.subarray(0, end)).toString()) as Fields, payload: message.slice(end + 1) }];
}
