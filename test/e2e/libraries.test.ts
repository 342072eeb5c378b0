/** Libraries that reconnect by themselves take it as their WebSocket: with `reconnect: false`, and what happens without. */

import { type ClientOptions, createClient } from 'graphql-ws';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebsocketProvider } from 'y-websocket';
import { Doc } from 'yjs';
import { ReconnectingWebSocket } from '../../src/index.ts';
import { createSocket, until } from '../support/e2e.ts';
import { type GraphqlServer, startGraphqlServer } from '../support/graphql-server.ts';
import { startYServer, type YServer } from '../support/y-server.ts';

/** One connection, whose close is final: the library makes the next. */
class OneShot extends ReconnectingWebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols, { reconnect: false, createSocket }); // in a browser there is no need for createSocket
  }
}

/** The default mode: two reconnecters on top of each other. */
class Default extends ReconnectingWebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols, { createSocket, backoff: () => 5 });
    onTestFinished(() => this.close()); // nobody else may do it: that is the trouble with this mode
  }
}

const CUTS = 5;

async function graphqlServer(): Promise<GraphqlServer> {
  const server = await startGraphqlServer();
  onTestFinished(() => server.host.stop());
  return server;
}

/** A client with one subscription, which it keeps up by itself. */
function subscribe(server: GraphqlServer, webSocketImpl: unknown) {
  const retryWait = () => new Promise<void>((resolve) => setTimeout(resolve, 20));
  const options: ClientOptions = { url: server.url, webSocketImpl, retryAttempts: Infinity, shouldRetry: () => true, retryWait };
  const client = createClient(options);
  onTestFinished(() => void Promise.resolve(client.dispose()).catch(() => {}));
  const news: unknown[] = [];
  const ends: unknown[] = [];
  const unsubscribe = client.subscribe<{ news: string }>(
    { query: 'subscription { news }' },
    { next: ({ data }) => news.push(data?.news), error: (error) => ends.push(error), complete: () => ends.push('complete') },
  );
  return { client, news, ends, unsubscribe };
}

async function yServer(): Promise<YServer> {
  const server = await startYServer();
  onTestFinished(() => server.stop());
  return server;
}

/** A document that is kept in step with the server's. */
function share(server: YServer, WebSocketPolyfill: typeof WebSocket) {
  const doc = new Doc();
  const provider = new WebsocketProvider(server.host.origin, 'room', doc, { WebSocketPolyfill, disableBc: true, maxBackoffTime: 10 });
  onTestFinished(() => provider.destroy());
  return { provider, text: doc.getText('shared'), there: server.doc('room').getText('shared') };
}

describe('graphql-ws, given it as webSocketImpl', () => {
  it('with reconnect: false has one live connection after five cuts, and the subscription delivers, each item once', async () => {
    const server = await graphqlServer();
    const { client, news, ends, unsubscribe } = subscribe(server, OneShot);
    const sent: string[] = [];
    for (let cut = 0; cut <= CUTS; cut++) {
      await until(() => expect(server.host.accepted).toBe(cut + 1));
      await until(() => expect(server.subscriptions).toBe(1));
      sent.push(`news ${cut}`);
      server.publish(`news ${cut}`);
      await until(() => expect(news).toEqual(sent));
      expect(server.host.clients.size).toBe(1);
      if (cut < CUTS) server.host.cut();
    }
    expect(ends).toEqual([]);
    unsubscribe();
    await until(() => expect(server.host.clients.size).toBe(0));
    expect(ends).toEqual(['complete']);
    await client.dispose();
  });

  it('in the default mode delivers, but a cut leaves a connection behind that nobody ever closes', async () => {
    const server = await graphqlServer();
    const { client, news, unsubscribe } = subscribe(server, Default);
    await until(() => expect(server.subscriptions).toBe(1));
    server.host.cut();
    // The wrapper comes back, as it promises; the library, which has seen a close event, has made another one meanwhile.
    await until(() => expect(server.host.clients.size).toBe(2));
    await until(() => expect(server.subscriptions).toBe(1));
    server.publish('news');
    await until(() => expect(news).toEqual(['news']));
    unsubscribe();
    await client.dispose();
    await until(() => expect(server.host.clients.size).toBe(1));
    expect(server.subscriptions).toBe(0);
  });
});

describe('y-websocket, given it as WebSocketPolyfill', () => {
  // In the default mode it makes no difference: on a close event this library closes the socket itself, before it makes the next.
  it.each([
    ['with reconnect: false', OneShot],
    ['in the default mode', Default],
  ])('%s has one live connection after five cuts, and the document is in step', async (_, Polyfill) => {
    const server = await yServer();
    const { provider, text, there } = share(server, Polyfill);
    for (let cut = 0; cut <= CUTS; cut++) {
      await until(() => expect(server.host.accepted).toBe(cut + 1));
      await until(() => expect(provider.synced).toBe(true));
      text.insert(0, `here ${cut} `);
      there.insert(0, `there ${cut} `);
      await until(() => expect(text.toString()).toBe(there.toString()));
      expect(server.host.clients.size).toBe(1);
      if (cut === CUTS) break;
      server.host.cut();
      await until(() => expect(provider.synced).toBe(false));
      text.insert(0, `here, cut off ${cut} `);
      there.insert(0, `there, cut off ${cut} `);
    }
    const words = text.toString().split(' ').sort();
    const expected = Array.from(
      { length: CUTS + 1 },
      (__, cut) => `here ${cut} there ${cut} ${cut < CUTS ? `here, cut off ${cut} there, cut off ${cut} ` : ''}`,
    );
    expect(words).toEqual(expected.join('').split(' ').sort());
    provider.destroy();
    await until(() => expect(server.host.clients.size).toBe(0));
    expect(server.host.accepted).toBe(CUTS + 1);
  });
});
