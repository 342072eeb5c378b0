/** graphql-ws: messages and calls are mutations, the channel is a subscription that is open all the time, as in most applications. */

import { EventEmitter, on } from 'node:events';
import { buildSchema } from 'graphql/index.js';
import { type ClientOptions, createClient } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { type Backend, build, describe, type Ear, type Frontend, here, type Peer, QuietSocket, sleep, WORK } from './peer.ts';

const SCHEMA = `
  type Query { nothing: Boolean }
  type Mutation { note(message: Int!): Boolean  slow: Boolean }
  type Subscription { news: Int! }
`;

/** What is published from now on. Not a generator: `return()` has to end it also while it waits. */
function feed(emitter: EventEmitter): AsyncIterableIterator<{ news: number }> {
  const events = on(emitter, 'news');
  const feed = {
    async next() {
      const { value, done } = await events.next();
      return done ? { value: undefined, done: true as const } : { value: { news: value[0] as number } };
    },
    async return() {
      await events.return?.();
      return { value: undefined, done: true as const };
    },
    [Symbol.asyncIterator]: () => feed,
  };
  return feed;
}

async function serve(): Promise<Backend> {
  const house = await build();
  const received: number[] = [];
  const news = new EventEmitter().setMaxListeners(0);
  let executed = 0;
  const roots = {
    mutation: {
      note: ({ message }: { message: number }) => void received.push(message),
      slow: async () => {
        executed++;
        await sleep(WORK);
        return true;
      },
    },
    subscription: { news: () => feed(news) },
  };
  const wss = new WebSocketServer({ server: house.http });
  useServer({ schema: buildSchema(SCHEMA), roots, onConnect: () => void setImmediate(() => backend.welcomed()) }, wss);
  const backend: Backend = {
    ...house,
    received,
    get executed() {
      return executed;
    },
    welcomed: () => {},
    publish: (message) => news.emit('news', message),
    stop() {
      for (const client of wss.clients) client.terminate();
      house.shut();
    },
  };
  return backend;
}

async function connect(url: string, ear: Ear, more: Partial<ClientOptions>): Promise<Frontend> {
  const client = createClient({ url, webSocketImpl: QuietSocket, ...more });
  let hear: (message: number) => void = () => {};
  client.on('connected', (_socket, _payload, wasRetry) => {
    if (wasRetry) ear.gap('`wasRetry: true`');
    ear.opened();
  });
  client.on('closed', () => ear.lost());
  // `terminate()` in the recipe is for a pong that does not come.
  let overdue: NodeJS.Timeout | undefined;
  client.on('ping', (isReceived) => {
    if (!isReceived) overdue = setTimeout(() => client.terminate(), 5_000);
  });
  client.on('pong', (isReceived) => isReceived && clearTimeout(overdue));
  client.subscribe<{ news: number }>(
    { query: 'subscription { news }' },
    {
      next: ({ data }) => data && hear(data.news),
      error: (failure) => ear.gap(`the subscription ends (${describe(failure)})`),
      complete: () => {},
    },
  );
  const mutate = (query: string, variables: Record<string, unknown>) =>
    new Promise((resolve, reject) => {
      let result: unknown;
      client.subscribe(
        { query, variables },
        {
          next: (value) => {
            result = value;
          },
          error: reject,
          complete: () => resolve(result),
        },
      );
    });
  return {
    send(message) {
      mutate('mutation ($message: Int!) { note(message: $message) }', { message }).catch((failure) =>
        ear.told(message, `rejected (${describe(failure)})`),
      );
    },
    call: () => mutate('mutation { slow }', {}),
    subscribe(listener) {
      hear = listener;
    },
    reconnect: () => client.terminate(),
    close: () => void Promise.resolve(client.dispose()).catch(() => {}),
  };
}

const make = (options: string, client: Partial<ClientOptions>): Peer => ({
  name: 'graphql-ws',
  options,
  kind: 'client',
  manifest: here('../../node_modules/graphql-ws/package.json'),
  module: `export { createClient } from '${here('../../node_modules/graphql-ws/dist/client.js')}'`,
  ways: { send: [''], call: [''], subscribe: [''] },
  serve,
  connect: (url, ear) => connect(url, ear, client),
});

export const graphql: readonly Peer[] = [
  make('', {}),
  make('`shouldRetry: () => true, keepAlive: 10000`, `terminate()`', { shouldRetry: () => true, keepAlive: 10_000 }),
];
