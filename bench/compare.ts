/**
 * Holdfast and its peers in the same situations: what arrives, what is lost, and who is told. Real sockets in Node, `ws` as everybody's
 * WebSocket, a proxy that misbehaves in between. Writes bench/COMPARISON.md, every cell of it measured in this run:
 * `npm run bench:compare`, about two minutes.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';
import { range, told } from './compare/fate.ts';
import { graphql } from './compare/graphql.ts';
import { holdfast } from './compare/holdfast.ts';
import { here, type Peer, sleep } from './compare/peer.ts';
import { call, channel, deadLink, deadWhileWriting, hammering, herd, outage } from './compare/situations.ts';
import { socketIo } from './compare/socket-io.ts';
import { sockets } from './compare/sockets.ts';

const peers: readonly Peer[] = [...sockets, ...socketIo, ...graphql, ...holdfast];
/** Chance decides when the next attempt is made: where that matters, a situation is played that often, a second apart. */
const RUNS = 10;
/** Herds come when most of the rest is over, and one after the other, or they would tread on each other's toes. */
const HERDS = { after: 20_000, every: 7_000 };

async function size({ module }: Peer): Promise<string> {
  if (!module) return '-';
  const { outputFiles } = await build({
    stdin: { contents: module, resolveDir: here('..') },
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  const bytes = brotliCompressSync(outputFiles[0]?.contents ?? '', { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
  return `${(bytes / 1_000).toFixed(1)} kB`;
}

/** Each way of doing it in a line of its own. */
async function inEveryWay(ways: readonly string[], none: string, play: (way: string) => Promise<string>): Promise<string> {
  if (ways.length === 0) return none;
  const lines = await Promise.all(ways.map(async (way) => `${way && `${way}: `}${await play(way)}`));
  return lines.join('<br>');
}

/** The same several times. */
function often<T>(play: () => Promise<T>): Promise<T[]> {
  const runs = Array.from({ length: RUNS }, async (_, run) => {
    await sleep(run * 1_000);
    return play();
  });
  return Promise.all(runs);
}

/** What happened each time, or what how often. */
function tally(results: readonly string[]): string {
  const counted = [...new Set(results)].map((result) => [result, results.filter((each) => each === result).length] as const);
  if (counted.length === 1) return results[0] ?? '';
  const lines = counted.sort(([, a], [, b]) => b - a).map(([result, count]) => `${result} (${count} of ${RUNS} times)`);
  return lines.join('; ');
}

const situations: readonly [string, (peer: Peer, index: number) => Promise<string>][] = [
  [
    '100 messages written while the server is gone for 2 s',
    (peer) => inEveryWay(peer.ways.send, 'no messages', async (way) => told(await often(() => outage(peer, way)))),
  ],
  [
    '100 messages written into a connection that is dead already, then replaced',
    (peer) => inEveryWay(peer.ways.send, 'no messages', (way) => deadWhileWriting(peer, way)),
  ],
  [
    'the same, but they arrive, and only answers are lost',
    (peer) => inEveryWay(peer.ways.send, 'no messages', (way) => deadWhileWriting(peer, way, 'down')),
  ],
  ['a call is being executed when the connection is cut', (peer) => inEveryWay(peer.ways.call, 'no calls', (way) => call(peer, way))],
  ['a link goes dead without a word: noticed', deadLink],
  [
    'a channel, after the server was gone for 2 s',
    (peer) => inEveryWay(peer.ways.subscribe, 'no channels', async (way) => tally(await often(() => channel(peer, way)))),
  ],
  ['a server that cuts every connection at once: further connections in 20 s', async (peer) => range(await often(() => hammering(peer)))],
  [
    '200 clients of a server that was gone for 2 s: most that come back within 100 ms',
    async (peer, index) => {
      await sleep(HERDS.after + index * HERDS.every);
      return herd(peer);
    },
  ],
  ['size, min + brotli', size],
];

async function title({ name, options, manifest }: Peer): Promise<string> {
  const { version } = JSON.parse(await readFile(manifest, 'utf8'));
  return `${name} ${version}${options && `<br>${options}`}`;
}

async function table(kind: Peer['kind'], cells: ReadonlyMap<Peer, readonly string[]>): Promise<string> {
  const columns = peers.filter((peer) => peer.kind === kind);
  const row = (first: string, rest: readonly string[]) => `| ${[first, ...rest].join(' | ')} |`;
  const head = row('', await Promise.all(columns.map(title)));
  const rows = situations.map(([what], i) =>
    row(
      what,
      columns.map((peer) => cells.get(peer)?.[i] ?? ''),
    ),
  );
  return [head, row('---', Array(columns.length).fill('---')), ...rows].join('\n');
}

const lateness = monitorEventLoopDelay();
lateness.enable();
const measure = async (peer: Peer, index: number) => [peer, await Promise.all(situations.map(([, play]) => play(peer, index)))] as const;
const cells = new Map(await Promise.all(peers.map(measure)));
const { version: otherWs } = JSON.parse(await readFile(here('../node_modules/ws/package.json'), 'utf8'));
const page = `# Beside the peers, in the same trouble

Made by \`npm run bench:compare\` on ${new Date().toISOString().slice(0, 10)} (Node ${process.version}, ${cpus().length} cores, loopback). Every cell was measured in that run.

Client and server run in one process, on real sockets, with a TCP proxy between them where connections are cut or die; a server
that is gone resets its connections and refuses new ones. \`ws\` is everybody's
WebSocket (socket.io-client brings its own, ${otherWs}). Options are the defaults but where the head of the column says otherwise; what it says is from the documentation of that library.
On a dead connection the proxy swallows everything, both ways, and both sides believe it to be open; new connections pass.
Where a library does not notice that within 60 s, its own call for a new connection is made.

## Sockets for any server

${await table('socket', cells)}

## Clients with a server of their own

${await table('client', cells)}

- Doubles are arrivals of what had arrived already. "In silence": no event, callback, exception, rejected promise or counter tells of these messages; that a connection is lost all tell.
- Chance decides when the next attempt is made, so the outage, the channel and the server that cuts are played ${RUNS} times: the least to the most of them.
- A call takes the server a second; the connection is cut after a tenth of it, and the server is there again at once. The caller is watched for 30 s.
- The link dies a moment after it has opened, when every heartbeat has just begun. Sent over graphql-ws are mutations; a subscription keeps it open.
- A socket.io room is joined by the server, at the request of the client: "once" after the first connection, or whenever it connects.
- Of the herd, each reconnecting-websocket is loaded anew, as on a page of its own, since it draws its delay when it is loaded.
- \`unsent.lostBytes\` counts what the socket still held; these messages had left it for the operating system.
- Node is no browser, and loopback no network: read what happens rather than how long it takes. The process was at most ${(lateness.max / 1e6).toFixed(0)} ms late.
`;
await writeFile(here('../COMPARISON.md'), page);
console.log(page);
process.exit(); // links that are dead keep their sockets
