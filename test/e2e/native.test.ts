/**
 * Side by side with a plain WebSocket: with `reconnect: false` the same things happen, in the same order, with the same values.
 * Node 20 has no WebSocket of its own (22 has); the plain one is that of the `ws` package, which ours stands on here, too.
 */

import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket as WS } from 'ws';
import { ReconnectingWebSocket } from '../../src/index.ts';
import { createSocket, once, serve, until } from '../support/e2e.ts';
import type { Running } from '../support/echo-server.ts';

/** What both have, and all that a scenario may use: the handler attributes are written in the words of the platform. */
interface Plain {
  readonly readyState: number;
  readonly protocol: string;
  readonly bufferedAmount: number;
  readonly url: string;
  binaryType: string;
  onopen: unknown;
  onmessage: unknown;
  onerror: unknown;
  onclose: unknown;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

type Scenario = (socket: Plain, server: Running) => unknown;

const makers = {
  plain: (url: string, protocols?: string[]): Plain => new WS(url, protocols),
  ours: (url: string, protocols: string[] = []): Plain => new ReconnectingWebSocket(url, protocols, { reconnect: false, createSocket }),
};

/** Everything that happens to the socket until its close event and a moment longer, in words. */
async function story(
  make: keyof typeof makers,
  path: string,
  scenario: Scenario,
  protocols?: string[],
  target?: string,
): Promise<string[]> {
  const server = await serve();
  const log: string[] = [];
  const socket = makers[make](target ?? server.url(path), protocols);
  onTestFinished(() => socket.close());
  const tell = (what: string) => log.push(`${what} [${socket.readyState}]`);
  tell('made');
  socket.binaryType = 'arraybuffer';
  const ended = new Promise<void>((resolve) => {
    socket.onopen = () => {
      tell(`open protocol=${socket.protocol}`);
      scenario(socket, server);
    };
    socket.onmessage = ({ data }: MessageEvent) => {
      tell(data instanceof ArrayBuffer ? `message bytes ${new Uint8Array(data).join()}` : `message ${data}`);
      if (data === 'close now') socket.close(1000);
    };
    socket.onerror = ({ type }: Event) => tell(type);
    socket.onclose = ({ code, reason, wasClean }: CloseEvent) => {
      tell(`close ${code} '${reason}' ${wasClean ? 'clean' : 'not clean'}`);
      resolve();
    };
  });
  if (path === '/stall') {
    await until(() => expect(server.echo.stalled).toBe(1));
    scenario(socket, server);
  }
  await ended;
  // Had there been another event on its way, a round trip of somebody else's would have let it by.
  const witness = new WS(server.url());
  await once(witness, 'open');
  witness.terminate();
  tell('afterwards');
  if (make === 'ours') expect(server.echo.upgrades).toBeLessThanOrEqual(2); // its own and the witness's
  return log;
}

async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || !address) throw new Error('a TCP server has an address');
  return address.port;
}

const nothing = () => {};

/**
 * The one point where `ws` does not do what browsers do: it is still CLOSING when it says `error`. WHATWG WebSockets, section 4: "Change
 * the ready state to CLOSED (3). If the user agent was required to fail the WebSocket connection … fire an event named error".
 */
const closedAtError = (line: string) => (line.startsWith('error') ? 'error [3]' : line);

describe('the same story as a plain WebSocket', () => {
  it.each<[name: string, path: string, scenario: Scenario, expected: string[], protocols?: string[]]>([
    [
      'open, echo, close(1000)',
      '/echo',
      (socket) => {
        socket.send('text');
        socket.send(new Uint8Array([1, 2, 3]));
        socket.send('close now');
      },
      ['message text [1]', 'message bytes 1,2,3 [1]', 'message close now [1]', "close 1000 '' clean [3]"],
    ],
    ["close(3001, 'x') from open", '/echo', (socket) => socket.close(3001, 'x'), ["close 3001 'x' clean [3]"]],
    ['close() from open', '/echo', (socket) => socket.close(), ["close 1005 '' clean [3]"]],
    [
      'close() twice, the second one ignored',
      '/echo',
      (socket) => {
        socket.close(3001, 'first');
        socket.close(3002, 'second');
      },
      ["close 3001 'first' clean [3]"],
    ],
    ['a close by the server with code and reason', '/close/4001?reason=so%20what', nothing, ["close 4001 'so what' clean [3]"]],
    ['a close by the server without a code', '/close/1005', nothing, ["close 1005 '' clean [3]"]],
    ['a close by the server with 1003', '/close/1003', nothing, ["close 1003 '' clean [3]"]],
    ['a cut by the server', '/drop/ms/10', nothing, ["close 1006 '' not clean [3]"]],
    [
      'a cut by the server while closing',
      '/echo',
      (socket, { echo }) => {
        echo.drop();
        socket.close(1000);
      },
      ["close 1006 '' not clean [3]"],
    ],
    ['a subprotocol', '/echo', (socket) => socket.close(1000), ["close 1000 '' clean [3]"], ['chat', 'other']],
  ])('%s', async (_, path, scenario, expected, protocols) => {
    const plain = await story('plain', path, scenario, protocols);
    const ours = await story('ours', path, scenario, protocols);
    expect(ours).toEqual(plain);
    expect(ours.slice(0, 2)).toEqual(['made [0]', `open protocol=${protocols?.[0] ?? ''} [1]`]);
    expect(ours.slice(2, -1)).toEqual(expected);
  });

  it.each<[name: string, path: string, scenario: Scenario]>([
    ['a status of 503 instead of an upgrade', '/status/503', nothing],
    ['a status of 401 instead of an upgrade', '/status/401', nothing],
    ['a subprotocol that nobody asked for', '/echo?subprotocol=other', nothing],
    ['close() while connecting', '/stall', (socket) => socket.close()],
    ['close() with a code while connecting', '/stall', (socket) => socket.close(3001, 'never mind')],
    ['a cut while connecting', '/stall', (_socket, { echo }) => echo.drop()],
  ])('%s: error, then close 1006', async (_, path, scenario) => {
    const plain = await story('plain', path, scenario, ['chat']);
    const ours = await story('ours', path, scenario, ['chat']);
    expect(ours).toEqual(plain.map(closedAtError));
    expect(ours.slice(1, -1)).toEqual(['error [3]', "close 1006 '' not clean [3]"]);
  });

  it('a refused port: error, then close 1006', async () => {
    const target = `ws://127.0.0.1:${await unusedPort()}/`;
    const plain = await story('plain', '', nothing, [], target);
    const ours = await story('ours', '', nothing, [], target);
    expect(ours).toEqual(plain.map(closedAtError));
    expect(ours.slice(1, -1)).toEqual(['error [3]', "close 1006 '' not clean [3]"]);
  });
});

describe('attributes', () => {
  it('url is the resolved one, at once; bufferedAmount is that of the socket', async () => {
    const { url } = await serve();
    const plain = makers.plain(url('/a/../echo'));
    const ours = makers.ours(url('/a/../echo'));
    onTestFinished(() => {
      plain.close();
      ours.close();
    });
    expect(ours.url).toBe(url('/echo'));
    await until(() => expect([plain.readyState, ours.readyState]).toEqual([1, 1]));
    expect([ours.protocol, ours.bufferedAmount]).toEqual([plain.protocol, plain.bufferedAmount]);
  });

  it('protocol is what the server chose, also in the close event and afterwards', async () => {
    const { url } = await serve();
    const seen = async (socket: Plain) => {
      await new Promise((resolve) => {
        socket.onopen = resolve;
      });
      const protocols = [socket.protocol];
      socket.close(1000);
      protocols.push(socket.protocol);
      await new Promise<void>((resolve) => {
        socket.onclose = () => {
          protocols.push(socket.protocol);
          resolve();
        };
      });
      return [...protocols, socket.protocol];
    };
    expect(await seen(makers.plain(url(), ['chat']))).toEqual(['chat', 'chat', 'chat', 'chat']);
    expect(await seen(makers.ours(url(), ['chat']))).toEqual(['chat', 'chat', 'chat', 'chat']);
  });

  it('a close with a code that is out of range, or a reason that is too long, throws and changes nothing', async () => {
    const { url } = await serve();
    const ours = makers.ours(url());
    onTestFinished(() => ours.close());
    await until(() => expect(ours.readyState).toBe(1));
    expect(() => ours.close(1001)).toThrow(expect.objectContaining({ name: 'InvalidAccessError' }));
    expect(() => ours.close(1000, 'é'.repeat(62))).toThrow(expect.objectContaining({ name: 'SyntaxError' }));
    expect(ours.readyState).toBe(1);
  });
});
