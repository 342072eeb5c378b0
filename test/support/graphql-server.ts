/** A real graphql-ws server with one subscription, `news`, that never ends by itself. */

import { createServer } from 'node:http';
// By its file, or Vite takes the ES module of it, Node takes the other for graphql-ws, and the two do not know each other's schemas.
import { buildSchema } from 'graphql/index.js';
import { useServer } from 'graphql-ws/use/ws';
import { type WebSocket, WebSocketServer } from 'ws';

export interface GraphqlServer {
  readonly url: string;
  /** Connections that are open now. */
  readonly clients: Set<WebSocket>;
  /** Connections so far. */
  readonly accepted: number;
  /** Subscriptions that are live now. */
  readonly subscriptions: number;
  /** To every live subscription. */
  publish(news: string): void;
  /** Cuts every connection without a word. */
  cut(): void;
  stop(): Promise<void>;
}

/** Runs it on a port of its own. */
export async function startGraphqlServer(): Promise<GraphqlServer> {
  const http = createServer();
  const wss = new WebSocketServer({ server: http });
  const feeds = new Set<Feed>();
  let accepted = 0;
  useServer(
    {
      schema: buildSchema('type Query { nothing: Boolean } type Subscription { news: String! }'),
      roots: { subscription: { news: () => new Feed(feeds) } },
    },
    wss,
  );
  wss.on('connection', () => accepted++);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const address = http.address();
  if (typeof address !== 'object' || !address) throw new Error('an HTTP server has an address');
  const cut = () => {
    for (const client of wss.clients) client.terminate();
  };
  return {
    url: `ws://127.0.0.1:${address.port}/graphql`,
    clients: wss.clients,
    get accepted() {
      return accepted;
    },
    get subscriptions() {
      return feeds.size;
    },
    publish(news) {
      for (const feed of feeds) feed.add(news);
    },
    cut,
    stop: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        cut();
        http.closeAllConnections();
      }),
  };
}

/** The source of one subscription. Not a generator: `return()` has to end it also while it waits. */
class Feed implements AsyncIterableIterator<{ news: string }> {
  readonly #feeds: Set<Feed>;
  readonly #items: string[] = [];
  #wake: (() => void) | undefined;

  constructor(feeds: Set<Feed>) {
    this.#feeds = feeds;
    feeds.add(this);
  }

  add(news: string): void {
    this.#items.push(news);
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<{ news: string }>> {
    while (this.#feeds.has(this)) {
      const news = this.#items.shift();
      if (news !== undefined) return { value: { news }, done: false };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return { value: undefined, done: true };
  }

  async return(): Promise<IteratorResult<{ news: string }>> {
    this.#feeds.delete(this);
    this.#wake?.();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
