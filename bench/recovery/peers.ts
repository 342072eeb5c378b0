/** Who takes part: how each is made in a page, and the server it talks to. */

import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';
import { here as from } from '../compare/peer.ts';
import { centrifugeServer } from './centrifuge-server.ts';
import { holdfastServer, ioServer, plain } from './servers.ts';
import type { Serve } from './stage.ts';

export interface Peer {
  /** Its name in the address of its page. */
  readonly id: string;
  readonly name: string;
  /** The options it runs with, where they are not the defaults. */
  readonly options: string;
  /** A socket for any server, or a client with a server of its own. */
  readonly kind: 'socket' | 'client';
  readonly isOurs: boolean;
  /** Where its version is written. */
  readonly manifest: string;
  /** The import of the library, and how a page makes one. */
  readonly module: readonly [string, string];
  readonly serve: Serve;
}

const PACKAGES = from('../node_modules');
const ours = { isOurs: true, manifest: from('../../package.json') };
const theirs = (name: string) => ({ name, isOurs: false, manifest: `${PACKAGES}/${name}/package.json` });
const dist = from('../../dist/index.js');

const party = `import Lib from '${PACKAGES}/partysocket/dist/ws.js'`;
const classic = `import Lib from '${PACKAGES}/reconnecting-websocket/dist/reconnecting-websocket-mjs.js'`;
const io = `import { io } from '${PACKAGES}/socket.io-client/build/esm/index.js'`;
const centrifuge = `import { Centrifuge } from '${PACKAGES}/centrifuge/build/index.mjs'`;
const dropIn = `import { ReconnectingWebSocket } from '${dist}'`;
const client = `import { Client } from '${dist}'`;

export const peers: readonly Peer[] = [
  {
    ...theirs('partysocket'),
    id: 'partysocket',
    kind: 'socket',
    options: '',
    module: [party, 'links.socket((url) => new Lib(url))'],
    serve: plain,
  },
  {
    ...theirs('reconnecting-websocket'),
    id: 'reconnecting-websocket',
    kind: 'socket',
    options: '',
    module: [classic, 'links.socket((url) => new Lib(url))'],
    serve: plain,
  },
  {
    ...ours,
    id: 'drop-in',
    name: 'Holdfast `ReconnectingWebSocket`',
    kind: 'socket',
    options: '',
    module: [dropIn, 'links.dropIn((url) => new ReconnectingWebSocket(url))'],
    serve: plain,
  },
  {
    ...ours,
    id: 'drop-in-heartbeat',
    name: 'Holdfast `ReconnectingWebSocket`',
    kind: 'socket',
    options: '`heartbeat: { ping, isPong }`',
    module: [
      dropIn,
      "links.dropIn((url) => new ReconnectingWebSocket(url, { heartbeat: { ping: 'ping', isPong: (data) => data === 'pong' } }))",
    ],
    serve: plain,
  },
  {
    ...theirs('socket.io-client'),
    id: 'socket.io',
    kind: 'client',
    options: '',
    module: [io, 'links.socketIo((url) => io(url), false)'],
    serve: ioServer({}),
  },
  {
    ...theirs('socket.io-client'),
    id: 'socket.io-tuned',
    kind: 'client',
    options: "`transports: ['websocket'], retries: 10, ackTimeout: 5000`, server `pingInterval: 15000, pingTimeout: 5000`",
    module: [io, "links.socketIo((url) => io(url, { transports: ['websocket'], retries: 10, ackTimeout: 5_000 }), true)"],
    serve: ioServer({ pingInterval: 15_000, pingTimeout: 5_000 }),
  },
  {
    ...theirs('centrifuge'),
    id: 'centrifuge',
    kind: 'client',
    options: '',
    module: [centrifuge, 'links.centrifuge((url) => new Centrifuge(url))'],
    serve: centrifugeServer(25_000),
  },
  {
    ...theirs('centrifuge'),
    id: 'centrifuge-tuned',
    kind: 'client',
    options: '`maxServerPingDelay: 5000`, server pings every 15 s',
    module: [centrifuge, 'links.centrifuge((url) => new Centrifuge(url, { maxServerPingDelay: 5_000 }))'],
    serve: centrifugeServer(15_000),
  },
  {
    ...ours,
    id: 'client',
    name: 'Holdfast `Client`',
    kind: 'client',
    options: '',
    module: [client, 'links.client((url) => new Client(url))'],
    serve: holdfastServer,
  },
];

export async function versionOf({ manifest }: Peer): Promise<string> {
  return JSON.parse(await readFile(manifest, 'utf8')).version;
}

/** The script of the peer's page. */
export async function bundle({ module: [imported, made] }: Peer): Promise<string> {
  const contents = `
    import { install } from '${from('../recovery/page.ts')}';
    import * as links from '${from('../recovery/links.ts')}';
    ${imported};
    install(${made});
  `;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: from('..') },
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}
