/** The client of this library as the vectors ask for one (docs/protocol-vectors.md), over sockets that a test holds in its hand. */

import type { Subscription } from '../../src/channel.ts';
import { Client } from '../../src/client.ts';
import { type Presence, presence } from '../../src/presence.ts';
import { stream } from '../../src/stream.ts';
import { upload } from '../../src/upload.ts';
import { FakeLifecycle } from './face.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeSocket } from './fake-socket.ts';
import type { Subject, Wire } from './replay.ts';
import { bytesOr, dataOf, methodsOf, settles, signalOf, speak } from './vector-deeds.ts';
import { Inbox, settle } from './vector-inbox.ts';
import type { Fields, Json } from './vectors.ts';

/** One of its own, with a clock of its own. */
export function clientSubject(): Subject {
  const clock = new FakeClock();
  const sockets: FakeSocket[] = [];
  const client = clientOver(clock, (socket) => void sockets.push(socket));
  const deeds = deedsOf(client);
  let met = 0;
  return {
    time: {
      pass: (ms) => clock.advance(ms),
      get isBack() {
        return sockets.length > met;
      },
    },
    async connect(): Promise<Wire | undefined> {
      for (let waits = 0; sockets.length === met; waits++) {
        await settle(clock);
        if (client.state.status === 'closed' || waits > 3_600) return undefined;
        if (sockets.length === met) await clock.advance(1_000);
      }
      return wireOf(sockets[met++] as FakeSocket, clock);
    },
    does(action) {
      const [verb = ''] = Object.keys(action);
      const deed = deeds[verb];
      if (deed) deed(String(action[verb]), action);
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
  for (const [name, method] of Object.entries(methodsOf(clock))) client.handle(name, method);
  client.addEventListener('open', ({ resumed }) => void client.send('opened', { resumed }));
  return client;
}

/** What only a client does: with the name in the place of its verb, and the rest of it. */
function deedsOf(client: Client): Readonly<Record<string, (name: string, action: Fields) => void>> {
  const subscriptions = new Map<string, Subscription>();
  const watched = new Map<string, Presence>();
  return {
    close: () => void client.close(),
    publish: (name, action) => {
      const { idempotent } = action;
      const options = idempotent === undefined ? {} : { idempotent: idempotent as boolean | string };
      settles(client, client.channel(name).publish(dataOf(action), options).acknowledged);
    },
    subscribe: (name, action) => void subscriptions.set(name, subscription(client, name, action)),
    unsubscribe: (name) => subscriptions.get(name)?.unsubscribe(),
    stream: (name, action) => settles(client, read(client, name, action)),
    upload: (name, action) => settles(client, send(client, name, action)),
    presence: (name, action) => void watched.set(name, present(client, name, action)),
    shows: (name, action) => watched.get(name)?.update(dataOf(action)),
    hides: (name) => watched.get(name)?.leave(),
    unwatch: (name) => watched.get(name)?.close(),
  };
}

function subscription(client: Client, name: string, action: Fields): Subscription {
  const channel = client.channel(name, 'params' in action ? { params: action['params'] } : {});
  channel.addEventListener('gap', () => void client.send('gap', { channel: name }));
  const subscribed = channel.subscribe((data, { from, offset }) => {
    client.send('got', data instanceof Uint8Array ? data : { channel: name, data, from, offset });
  });
  settles(client, subscribed.ready);
  return subscribed;
}

/** Each change of who is there is told by an event. */
function present(client: Client, name: string, action: Fields): Presence {
  const one = presence(client.channel(name), 'data' in action ? { data: action['data'] } : {});
  for (const type of ['join', 'update', 'leave'] as const)
    one.addEventListener(type, ({ member }) => void client.send('member', { channel: name, [type]: member }));
  settles(client, one.ready);
  return one;
}

/** Reads a stream to its end; each item is told by an event. */
async function read(client: Client, method: string, { params, buffer }: Fields): Promise<void> {
  const options = { signal: signalOf(client), ...(typeof buffer === 'number' && { buffer }) };
  for await (const data of stream(client, method, params, options)) client.send('item', data instanceof Uint8Array ? data : { data });
}

/** Uploads some items; where it is open, more could follow and never do. */
function send(client: Client, method: string, { params, items, chunkSize, open }: Fields): Promise<unknown> {
  const source = async function* () {
    for (const item of (items ?? []) as readonly Json[]) yield bytesOr(item);
    if (open) await new Promise<never>(() => {});
  };
  const options = { signal: signalOf(client), ...(typeof chunkSize === 'number' && { chunkSize }) };
  return upload(client, method, params, source(), options);
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
