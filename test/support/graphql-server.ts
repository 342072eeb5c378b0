/** A real graphql-ws server with one subscription, `news`, that never ends by itself. */

// By its file, or Vite takes the ES module of it, Node takes the other for graphql-ws, and the two do not know each other's schemas.
import { buildSchema } from 'graphql/index.js';
import { useServer } from 'graphql-ws/use/ws';
import { type SocketHost, startSocketHost } from './socket-host.ts';

export interface GraphqlServer {
  readonly host: SocketHost;
  readonly url: string;
  /** Subscriptions that are live now. */
  readonly subscriptions: number;
  /** To every live subscription. */
  publish(news: string): void;
}

/** Runs it on a port of its own. */
export async function startGraphqlServer(): Promise<GraphqlServer> {
  const feeds = new Set<Feed>();
  const schema = buildSchema('type Query { nothing: Boolean } type Subscription { news: String! }');
  const roots = { subscription: { news: () => new Feed(feeds) } };
  const host = await startSocketHost((wss) => useServer({ schema, roots }, wss));
  return {
    host,
    url: `${host.origin}/graphql`,
    get subscriptions() {
      return feeds.size;
    },
    publish(news) {
      for (const feed of feeds) feed.add(news);
    },
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
