/** Sockets for any server: the platform's, two that reconnect, and Holdfast's. */

import type * as Holdfast from '../../src/index.ts';
import { EchoServer } from '../../test/support/echo-server.ts';
import { type Backend, build, type Ear, type Frontend, here, load, type Peer, QuietSocket } from './peer.ts';

/** What they have in common. */
interface SocketLike {
  addEventListener(type: 'open' | 'close', listener: () => void): void;
  send(data: string): unknown;
  close(): void;
  reconnect?(): void;
}
type Reconnecting = new (url: string, protocols: string[], options: object) => SocketLike & { reconnect(): void };

const PARTY = '../node_modules/partysocket/dist/ws.js';
const CLASSIC = '../node_modules/reconnecting-websocket/dist/reconnecting-websocket-mjs.js';
const HOLDFAST = '../../dist/index.js';

const { default: Party } = await load<{ default: Reconnecting }>(PARTY);
const { ReconnectingWebSocket } = await load<typeof Holdfast>(HOLDFAST);

async function serve(): Promise<Backend> {
  const house = await build();
  const echo = new EchoServer();
  house.http.on('upgrade', (request, socket, head) => {
    echo.handleUpgrade(request, socket, head);
    backend.welcomed();
  });
  const backend: Backend = {
    ...house,
    executed: 0,
    get received() {
      return echo.texts.map(Number);
    },
    welcomed: () => {},
    publish: (message) => echo.broadcast(`${message}`),
    stop() {
      echo.drop();
      house.shut();
    },
  };
  return backend;
}

function frontend(socket: SocketLike, ear: Ear): Frontend {
  socket.addEventListener('open', () => ear.opened());
  socket.addEventListener('close', () => ear.lost());
  return {
    send(message) {
      try {
        socket.send(`${message}`);
      } catch {
        ear.told(message, 'refused by an exception');
      }
    },
    ...(socket.reconnect && { reconnect: () => socket.reconnect?.() }),
    close: () => socket.close(),
  };
}

/** Each as on a page of its own: it draws its delay once, when it is loaded. */
let pages = 0;
async function classic(url: string): Promise<SocketLike> {
  const { default: Classic } = await load<{ default: Reconnecting }>(`${CLASSIC}?page=${++pages}`);
  return new Classic(url, [], { WebSocket: QuietSocket });
}

function holdfast(heartbeat?: Holdfast.HeartbeatOptions) {
  return async (url: string, ear: Ear): Promise<Frontend> => {
    const socket = new ReconnectingWebSocket(url, {
      createSocket: (address, protocols) => new QuietSocket(address, protocols),
      ...(heartbeat && { heartbeat }),
    });
    let lostBytes = 0;
    socket.addEventListener('drop', ({ data, reason }) => ear.told(Number(data), `reported by a \`drop\` event (${reason})`));
    socket.addEventListener('close', ({ unsent }) => {
      lostBytes += unsent.lostBytes;
    });
    return { ...frontend(socket, ear), remarks: () => [`\`unsent.lostBytes\` ${lostBytes}`] };
  };
}

const common = { kind: 'socket', ways: { send: [''], call: [], subscribe: [] }, serve } as const;
const ours = { ...common, name: 'Holdfast `ReconnectingWebSocket`', manifest: here('../../package.json') };
const oursModule = `export { ReconnectingWebSocket } from '${here(HOLDFAST)}'`;

export const sockets: readonly Peer[] = [
  {
    ...common,
    name: '`WebSocket` of `ws`',
    options: '',
    manifest: here('../../node_modules/ws/package.json'),
    module: undefined,
    connect: async (url, ear) => frontend(new QuietSocket(url), ear),
  },
  {
    ...common,
    name: 'partysocket',
    options: '',
    manifest: here('../node_modules/partysocket/package.json'),
    module: `export { default } from '${here(PARTY)}'`,
    connect: async (url, ear) => frontend(new Party(url, [], { WebSocket: QuietSocket }), ear),
  },
  {
    ...common,
    name: 'reconnecting-websocket',
    options: '',
    manifest: here('../node_modules/reconnecting-websocket/package.json'),
    module: `export { default } from '${here(CLASSIC)}'`,
    connect: async (url, ear) => frontend(await classic(url), ear),
  },
  { ...ours, options: '', module: oursModule, connect: holdfast() },
  {
    ...ours,
    options: '`heartbeat: { ping, isPong }`',
    module: oursModule,
    connect: holdfast({ ping: 'ping', isPong: (data) => data === 'pong' }),
  },
];
