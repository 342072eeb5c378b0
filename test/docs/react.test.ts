/** The React recipes under StrictMode, in a page of happy-dom, with a real server: what is opened, what is subscribed to, what is left. */

import { getEventListeners } from 'node:events';
import { Window } from 'happy-dom';
import type { FunctionComponent, ReactNode } from 'react';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket as WS } from 'ws';
import { type Client, presence, type State } from '../../src/index.ts';
import { until } from '../support/e2e.ts';
import { FakeLifecycle } from '../support/face.ts';
import { codeBlock } from '../support/read-document.ts';
import { run } from '../support/run-block.ts';
import { join, startServer, startService } from '../support/service.ts';

interface Recipe {
  readonly LiveProvider: FunctionComponent<{ readonly url: string; readonly children?: ReactNode }>;
  useLive(): Client;
  useConnectionState(): State;
  useMessages(name: string, limit?: number): readonly unknown[];
}

const window = new Window({ url: 'http://localhost/' });
const { document, navigator } = window;
// For the whole file: React may have something to tidy up after a test.
for (const [name, value] of Object.entries({ window, document, navigator })) vi.stubGlobal(name, value);

/** Who listens to the visibility of the page: each client that is alive does so once. */
const watching = { now: new Set<unknown>(), ever: 0 };
const { addEventListener, removeEventListener } = document;
document.addEventListener = (...args: Parameters<typeof addEventListener>) => {
  addEventListener.apply(document, args);
  if (args[0] !== 'visibilitychange') return;
  watching.now.add(args[1]);
  watching.ever++;
};
document.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
  removeEventListener.apply(document, args);
  if (args[0] === 'visibilitychange') watching.now.delete(args[1]);
};

/** The recipe on a page: what is shown, and every socket that was made. */
async function openPage() {
  vi.spyOn(Math, 'random').mockReturnValue(0); // the first retry comes at once
  onTestFinished(() => void vi.restoreAllMocks());
  watching.ever = 0;
  const sockets: WS[] = [];
  class WebSocket extends WS {
    constructor(...args: ConstructorParameters<typeof WS>) {
      super(...args);
      sockets.push(this);
    }
  }
  const recipe = await run<Recipe>(codeBlock('docs/recipes.md', 'React #1'), { globals: { WebSocket } });
  const { createElement, StrictMode, useEffect } = await import('react');
  const { createRoot } = await import('react-dom/client');
  const container = document.createElement('main');
  const root = createRoot(container as never);
  onTestFinished(async () => {
    root.unmount();
    await until(() => expect(watching.now.size).toBe(0));
    for (const socket of sockets) socket.terminate();
  });
  return {
    ...recipe,
    useEffect,
    sockets,
    get text() {
      return container.textContent;
    },
    /** What the pictures are said to show. */
    get pictures() {
      return [...container.querySelectorAll('img')].map(({ alt }) => alt);
    },
    /** Types into the first input, as a user does. */
    type(text: string) {
      const [input] = container.querySelectorAll('input');
      Object.getOwnPropertyDescriptor(window.HTMLInputElement.prototype, 'value')?.set?.call(input, text); // unseen by React
      input?.dispatchEvent(new window.Event('input', { bubbles: true }));
    },
    /** Shows a component inside the provider, under StrictMode. */
    show(url: string, component: FunctionComponent) {
      root.render(createElement(StrictMode, null, createElement(recipe.LiveProvider, { url }, createElement(component))));
    },
    unmount: () => root.unmount(),
  };
}

test('two clients, one connection, one subscription; a loss leaves the components as they are, and nothing is left after them', async () => {
  const asked: string[] = [];
  const { server, proxy, url } = await startService({ authorize: ({ action, channel }) => asked.push(`${action} ${channel}`) > 0 });
  const page = await openPage();
  let mounted = 0;
  const states: string[] = [];
  let client: Client | undefined;
  function Room() {
    client = page.useLive();
    const { status } = page.useConnectionState();
    if (states.at(-1) !== status) states.push(status);
    page.useEffect(() => void mounted++, []);
    return `${status}: ${page.useMessages('room:kelp', 2).join(', ')}`;
  }

  page.show(url, Room);
  await until(() => expect(page.text).toBe('open: '));
  expect(page.sockets).toHaveLength(1);
  expect(server.connections).toBe(1);
  expect([watching.ever, watching.now.size]).toEqual([2, 1]);
  expect(mounted).toBe(2);
  expect(asked).toEqual(['subscribe room:kelp']);
  for (const message of ['one', 'two', 'three']) expect(server.publish('room:kelp', message)).toBe(1);
  await until(() => expect(page.text).toBe('open: two, three'));

  states.length = 0;
  proxy.cut();
  await until(() => expect(server.clients.map(({ isConnected }) => isConnected)).toEqual([false]));
  expect(server.publish('room:kelp', 'missed')).toBe(0);
  await until(() => expect(page.text).toBe('open: three, missed')); // it comes after the outage
  expect(server.publish('room:kelp', 'four')).toBe(1);
  await until(() => expect(page.text).toBe('open: missed, four'));
  expect(states).toEqual(expect.arrayContaining(['waiting', 'connecting', 'open']));
  expect(mounted).toBe(2);
  expect(page.sockets).toHaveLength(2);
  expect(asked).toEqual(['subscribe room:kelp', 'subscribe room:kelp']);

  page.unmount();
  expect(page.text).toBe('');
  await until(() => expect(server.connections).toBe(0));
  await until(() => expect(page.sockets.map(({ readyState }) => readyState)).toEqual([WS.CLOSED, WS.CLOSED]));
  expect(watching.now.size).toBe(0);
  expect(client?.state.status).toBe('closed');
  expect(getEventListeners(client as never, 'statechange')).toEqual([]);
});

test('a component that comes later, under StrictMode, subscribes once and unsubscribes once', async () => {
  const asked: string[] = [];
  const { server, url } = await startServer({ authorize: ({ action, channel }) => asked.push(`${action} ${channel}`) > 0 });
  const page = await openPage();
  let client: Client | undefined;
  const Empty = () => {
    client = page.useLive();
    return page.useConnectionState().status;
  };
  const Room = () => `later: ${page.useMessages('room:kelp').join()}`;
  page.show(url(), Empty);
  await until(() => expect(page.text).toBe('open'));
  page.show(url(), Room);
  await until(() => expect(client?.channel('room:kelp').state.status).toBe('subscribed'));
  expect(server.publish('room:kelp', 'hello')).toBe(1);
  await until(() => expect(page.text).toBe('later: hello'));
  page.show(url(), Empty);
  await until(() => expect(server.publish('room:kelp', 'nobody')).toBe(0));
  expect(asked).toEqual(['subscribe room:kelp']);
  expect(page.sockets).toHaveLength(1);
});

test('what a component calls when it is mounted is answered, both times', async () => {
  const { url } = await startServer({ handlers: { methods: { add: () => 3 } } });
  const page = await openPage();
  const answers: unknown[] = [];
  function Sum() {
    const client = page.useLive();
    page.useEffect(() => {
      client.call('add').then(
        (sum) => answers.push(sum),
        (error) => answers.push(error),
      );
    }, [client]);
    return 'sum';
  }
  page.show(url(), Sum);
  await until(() => expect(answers).toEqual([3, 3]));
});

test('another url is another client, and the one before is closed', async () => {
  const [first, second] = [await startServer(), await startServer()];
  const page = await openPage();
  const seen = new Set<Client>();
  function Room() {
    seen.add(page.useLive());
    return `${page.useConnectionState().status}: ${page.useMessages('room:kelp').join()}`;
  }
  page.show(first.url(), Room);
  await until(() => expect(first.server.publish('room:kelp', 'first')).toBe(1));
  await until(() => expect(page.text).toBe('open: first'));
  page.show(second.url(), Room);
  await until(() => expect(second.server.publish('room:kelp', 'second')).toBe(1));
  await until(() => expect(page.text).toBe('open: second'));
  await until(() => expect(first.server.connections).toBe(0));
  expect([...seen].map(({ state }) => state.status)).toEqual(['closed', 'open']);
  expect(watching.now.size).toBe(1);
});

test('who is here: asked once under StrictMode, told once, and gone with the component', async () => {
  const asked: string[] = [];
  const { server, proxy, url } = await startService({
    authorize: ({ action, channel, data }) => asked.push(`${action} ${channel} ${JSON.stringify(data)}`) > 0,
    nameOf: ({ id }) => `number ${id}`,
  });
  const elsewhere = join(`ws://127.0.0.1:${server.port}/`, { lifecycle: new FakeLifecycle() });
  const room = elsewhere.client.channel('room:kelp');
  const people = presence<{ typing: boolean }>(room, { data: { typing: false } });
  const seen: string[] = [];
  for (const type of ['join', 'update', 'leave'] as const)
    people.addEventListener(type, ({ member: { from, data } }) => seen.push(`${type} ${from} ${data.typing}`));
  /** What the others were told, all of it and nothing else, since the last time. */
  const told = async (...lines: string[]) => {
    await until(() => expect(seen).toEqual(lines));
    seen.length = 0;
  };
  await told('join number 1 false');
  asked.length = 0;

  const page = await openPage();
  const pauses = new Set<() => void>();
  const { Talk } = await run<{ Talk: FunctionComponent<{ room: string }> }>(codeBlock('docs/recipes.md', 'Who is here #1'), {
    replace: { setTimeout: 'pause', clearTimeout: 'end' },
    globals: {
      WebSocket: globalThis.WebSocket, // that of the page
      useLive: page.useLive,
      pause: (then: () => void) => pauses.add(then) && then,
      end: (then: () => void) => pauses.delete(then),
    },
  });
  const { createElement, Fragment } = await import('react');
  let times = 1;
  const Room = () => createElement(Fragment, null, ...Array.from({ length: times }, () => createElement(Talk, { room: 'room:kelp' })));
  page.show(url, Room);
  const both = ['number 1', 'number 2'];
  await until(() => expect(page.pictures).toEqual(both));
  times = 2; // one comes later
  page.show(url, Room);
  await until(() => expect(page.pictures).toEqual([...both, ...both]));
  await told('join number 2 false');
  expect(asked.splice(0)).toEqual(['subscribe room:kelp undefined', 'presence room:kelp {"typing":false}']);

  // Typing, and then not any more. The other component is rendered anew as well, and goes on saying nothing of itself.
  page.type('h');
  await until(() => expect(page.text).toBe('typing: number 2typing: number 2'));
  people.update({ typing: true });
  await until(() => expect(page.text).toBe('typing: number 1, number 2typing: number 1, number 2'));
  for (const then of pauses) then();
  await until(() => expect(page.text).toBe('typing: number 1typing: number 1'));
  await told('update number 2 true', 'update number 1 true', 'update number 2 false');
  expect(asked).toEqual([true, true, false].map((typing) => `presence room:kelp ${JSON.stringify({ typing })}`));

  // A cut is nobody's business.
  proxy.cut();
  await until(() => expect(page.sockets).toHaveLength(2));
  people.update({ typing: false });
  await until(() => expect(page.text).toBe(''));
  expect(page.pictures).toEqual([...both, ...both]);
  await told('update number 1 false');

  // A page that goes says so, and when it comes back; so does a component.
  window.dispatchEvent(new window.Event('pagehide'));
  await until(() => expect(page.pictures).toEqual(['number 1', 'number 1']));
  await told('leave number 2 false');
  window.dispatchEvent(new window.Event('pageshow'));
  await until(() => expect(page.pictures).toEqual([...both, ...both]));
  await told('join number 2 false');
  page.show(url, () => 'nobody');
  await told('leave number 2 false');
  await until(() => expect(server.publish('room:kelp', 'nobody')).toBe(1));
});

test('a hook without a provider says so', async () => {
  const page = await openPage();
  const { createElement } = await import('react');
  const { renderToString } = await import('react-dom/server');
  const Alone = () => page.useConnectionState().status;
  expect(() => renderToString(createElement(Alone))).toThrow('useLive() needs a <LiveProvider> around it');
});
