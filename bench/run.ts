/**
 * Holdfast beside its peers, in one run on one machine: read the ratios. Over real sockets in Node, `ws` as everybody's WebSocket;
 * receiving in a real browser.
 * Writes bench/RESULTS.md. Run it by `npm run bench`, which installs the peers here.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';
import { WebSocket as WS } from 'ws';
import { startEchoServer } from '../test/support/echo-server.ts';
import { FaultProxy } from '../test/support/fault-proxy.ts';
import { receiveInBrowser } from './browser.ts';

type Peer = 'native' | 'holdfast' | 'partysocket' | 'reconnecting-websocket';
type Make = (url: string) => WebSocket;

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const load = async (path: string): Promise<Record<string, new (...args: unknown[]) => WebSocket>> => import(here(path));
const { ReconnectingWebSocket } = await load('../dist/index.js');
const { default: Party } = await load('node_modules/partysocket/dist/ws.js');
const { default: Classic } = await load('node_modules/reconnecting-websocket/dist/reconnecting-websocket-mjs.js');
if (!ReconnectingWebSocket || !Party || !Classic) throw new Error('a peer has changed its exports');

const createSocket = (url: string, protocols: string[]) => new WS(url, protocols);
const heartbeat = { ping: 'ping', isPong: (data: unknown) => data === 'pong' };
const peers: Record<Peer, Make> = {
  native: (url) => new WS(url) as unknown as WebSocket,
  holdfast: (url) => new ReconnectingWebSocket(url, { createSocket, heartbeat }),
  partysocket: (url) => new Party(url, [], { WebSocket: WS }),
  'reconnecting-websocket': (url) => new Classic(url, [], { WebSocket: WS }),
};
const imports: Record<Exclude<Peer, 'native'>, string> = {
  holdfast: `export { ReconnectingWebSocket } from '${here('../dist/index.js')}'`,
  partysocket: `export { default } from '${here('node_modules/partysocket/dist/ws.js')}'`,
  'reconnecting-websocket': `export { default } from '${here('node_modules/reconnecting-websocket/dist/reconnecting-websocket-mjs.js')}'`,
};

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const opened = (ws: WebSocket) => new Promise((resolve) => ws.addEventListener('open', resolve, { once: true }));
const quietly = (ws: WebSocket) => {
  ws.onerror = () => {};
  return ws;
};

async function size(peer: Exclude<Peer, 'native'>): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: imports[peer], resolveDir: here('.') },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  return brotliCompressSync(outputFiles[0]?.contents ?? '', { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
}

/** The server is gone for two seconds, in which 100 messages are written: how many of them ever arrive, and in order? */
async function outage(make: Make): Promise<string> {
  const server = await startEchoServer();
  const proxy = await FaultProxy.start(server.port);
  const ws = quietly(make(proxy.url()));
  await opened(ws);
  await proxy.refuse();
  proxy.cut();
  await new Promise((resolve) => ws.addEventListener('close', resolve, { once: true }));
  let threw = 0;
  for (let i = 0; i < 100; i++) {
    try {
      ws.send(`${i}`);
    } catch {
      threw++;
    }
    await sleep(20);
  }
  await proxy.accept();
  await sleep(15_000);
  const { texts } = server.echo;
  ws.close();
  await proxy.stop();
  await server.stop();
  const ordered = texts.every((text, i) => i === 0 || Number(text) > Number(texts[i - 1]));
  return `${texts.length} of 100${texts.length > 1 ? (ordered ? ', in order' : ', out of order') : ''}${threw ? ` (${threw} threw)` : ''}`;
}

/** The link goes dead without a word: seconds until there is another one. Watched for 40 s. */
async function deadLink(make: Make): Promise<string> {
  const server = await startEchoServer();
  const proxy = await FaultProxy.start(server.port);
  const ws = quietly(make(proxy.url()));
  await opened(ws);
  server.echo.mute();
  const since = performance.now();
  const again = await Promise.race([opened(ws).then(() => true), sleep(40_000)]);
  const seconds = ((performance.now() - since) / 1_000).toFixed(1);
  ws.close();
  await proxy.stop();
  await server.stop();
  return again ? `${seconds} s` : 'not within 40 s';
}

/** A script that defines `connect(url)` with this peer. */
async function script(peer: Peer): Promise<string> {
  if (peer === 'native') return 'globalThis.connect = (url) => new WebSocket(url)';
  const contents = imports[peer].replace(/export \{ (\S+) \} from/, 'import { $1 as Socket } from');
  const stdin = { contents: `${contents}; globalThis.connect = (url) => new Socket(url)`, resolveDir: here('.') };
  const { outputFiles } = await build({ stdin, bundle: true, minify: true, format: 'iife', target: 'es2022', write: false });
  return outputFiles[0]?.text ?? '';
}

const names = Object.keys(peers) as Peer[];
const [outages, deadLinks] = await Promise.all([
  Promise.all(names.map((name) => outage(peers[name]))),
  Promise.all(names.map((name) => deadLink(peers[name]))),
]);
const busy = await receiveInBrowser(await Promise.all(names.map(script)));
const rows = await Promise.all(
  names.map(async (name, i) => {
    const bytes = name === 'native' ? '-' : `${await size(name)}`;
    const manifest = name === 'native' ? 'node_modules/ws' : name === 'holdfast' ? '.' : `bench/node_modules/${name}`;
    const { version } = JSON.parse(await readFile(here(`../${manifest}/package.json`), 'utf8'));
    const label = name === 'native' ? `native (\`ws\` ${version} in Node)` : `${name} ${version}`;
    return `| ${label} | ${bytes} | ${outages[i]} | ${deadLinks[i]} | ${((busy[i] ?? 0) / (busy[0] ?? 1)).toFixed(2)}× |`;
  }),
);
const table = `# Beside the peers

Made by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)} (Node ${process.version}, ${cpus().length} cores, loopback, \`ws\` as everybody's
WebSocket). Defaults everywhere, but that Holdfast was told how to ping; the peers have no heartbeat. Read the ratios: machines differ.

| | bytes, min + brotli | 100 messages written while the server was gone for 2 s: arrived | dead link replaced after | main thread in Chromium per message received |
|---|---|---|---|---|
${rows.join('\n')}
`;
await writeFile(here('RESULTS.md'), table);
console.log(table);
