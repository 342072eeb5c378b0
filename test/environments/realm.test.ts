/** A realm that has nothing but the language and what it is given: what the package needs of its world, name by name. */

import { readFile } from 'node:fs/promises';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { WebSocket as WS } from 'ws';
import { until } from '../support/e2e.ts';
import { startServer } from '../support/service.ts';

/** What has to be there: to load it, to make a client, to have a connection, to call. There is no page and no WebSocket among it. */
const WORLD: Record<string, unknown> = {
  Event,
  EventTarget,
  DOMException,
  URL,
  AbortController,
  performance,
  setTimeout,
  clearTimeout,
  queueMicrotask,
  console,
};
const bundle = await readFile('dist/holdfast.iife.js', 'utf8');

/** A realm with these globals, and the bundle in it. */
function realmWith(globals: Readonly<Record<string, unknown>>): (code: string) => unknown {
  const realm = createContext({ ...globals });
  runInContext(bundle, realm);
  return (code) => runInContext(code, realm);
}

function without(name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(WORLD).filter(([each]) => each !== name));
}

describe('a realm without a page', () => {
  it('has everything that a client needs: it connects, calls, is cut, resumes and closes', async () => {
    const { server, url } = await startServer({
      handlers: {
        methods: { add: (params) => (params as number[]).reduce((a, b) => a + b), leave: (_, { client }) => client.close(4600) },
      },
    });
    const evaluate = realmWith({
      ...WORLD,
      url: url(),
      createSocket: (address: string, protocols: string[]) => new WS(address, protocols),
    });
    evaluate('client = new Holdfast.Client(url, { createSocket, backoff: () => 5 }); log = []');
    evaluate("for (const type of ['open', 'close']) client.addEventListener(type, ({ code }) => log.push(code ?? 'open'))");
    expect(await evaluate("client.call('add', [1, 2])")).toBe(3);
    await evaluate("client.call('leave').catch(() => {})");
    expect(await evaluate("client.call('add', [3, 4])")).toBe(7);
    await evaluate('client.close()');
    expect([...(evaluate('log') as unknown[])]).toEqual(['open', 4600, 'open', 1000]);
    await until(() => expect(server.connections).toBe(0));
  });

  it('has everything that a drop-in needs, with MessageEvent', async () => {
    const { server, url } = await startServer();
    const evaluate = realmWith({
      ...WORLD,
      MessageEvent,
      url: url(),
      createSocket: (address: string, protocols: string[]) => new WS(address, protocols),
    });
    const hello = { type: 'hello', version: 1, features: [], limits: { message: 1_000, window: 1 }, attempt: 0 };
    const heard = evaluate(`new Promise((resolve) => {
      socket = new Holdfast.ReconnectingWebSocket(url, { createSocket });
      socket.send('${JSON.stringify(hello)}');
      socket.onmessage = ({ data }) => resolve(JSON.parse(data).type);
    })`);
    expect(await heard).toBe('welcome');
    evaluate('socket.close()');
    await until(() => expect(server.connections).toBe(0));
  });

  it('has no WebSocket: it is closed for good, and says what to do', async () => {
    const evaluate = realmWith(WORLD);
    const said = await evaluate(`new Promise((resolve) => {
      client = new Holdfast.Client('ws://127.0.0.1:9/');
      client.addEventListener('error', ({ error }) => resolve(error.message));
    })`);
    expect(said).toContain('This runtime has no WebSocket: pass createSocket');
    expect(evaluate('client.state.cause')).toBe('refused');
  });

  it('is left as it was but for the name of the bundle', () => {
    const realm = createContext({ ...WORLD });
    runInContext(bundle, realm);
    expect(Object.keys(realm).sort()).toEqual([...Object.keys(WORLD), 'Holdfast'].sort());
    runInContext("new Holdfast.Client('ws://127.0.0.1:9/', { startClosed: true })", realm);
    expect(Object.keys(realm).sort()).toEqual([...Object.keys(WORLD), 'Holdfast'].sort());
  });
});

describe('a realm that lacks', () => {
  it.each(['Event', 'EventTarget'])('%s cannot load it, and says which', (name) => {
    expect(() => realmWith(without(name))).toThrow(`${name} is not defined`);
  });

  it.each(['AbortController', 'performance', 'setTimeout'])('%s loads it, and cannot connect', async (name) => {
    const evaluate = realmWith({ ...without(name), failed: undefined });
    const outcome = evaluate(`
      try { new Holdfast.Client('ws://127.0.0.1:9/').close(); 'made' } catch (error) { error.message }
    `);
    expect(outcome).toBe(`${name} is not defined`);
  });
});
