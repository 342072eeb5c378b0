/**
 * The environments that `npm test` cannot have: Node of other versions, which npm is asked for, links that stay dead, and service workers
 * that nobody speaks to. Writes docs/environments.md, every cell of it seen in this run: `npm run test:nodes`, about three minutes.
 */

import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { createServer } from '../../src/server/index.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { findBrowser } from '../support/find-browser.ts';
import { EXPECTED, type Runtime, run, talkIn } from '../support/nodes.ts';
import { root } from '../support/read-document.ts';
import { installNode } from './install.ts';
import { type Life, lifeOf } from './service-worker.ts';

const execute = promisify(execFile);
/** Beside the Node that runs this. */
const MAJORS = [22, 24];
/** How long a process is watched that is kept by a dead link, and a service worker; milliseconds. */
const DEAD = 60_000;
const WATCHED = 120_000;

interface Row {
  readonly version: string;
  readonly sockets: string;
  readonly talked: string;
  readonly lingered: string;
  readonly dead: string;
}

/** What is wrong with what was seen, by the part of the program that saw it. */
function verdict(seen: unknown): string {
  const parts = Object.entries(EXPECTED).filter(([part, wanted]) => !isDeepStrictEqual((seen as Record<string, unknown>)?.[part], wanted));
  return parts.length === 0 ? 'all of it' : `not: ${parts.map(([part]) => part).join(', ')}`;
}

/** How long a process lives after `close()` of a client whose link is dead. */
async function afterDeadLink({ node, flags, sockets }: Runtime): Promise<string> {
  const server = createServer({ port: 0, hostname: '127.0.0.1' });
  await server.listening;
  const proxy = await FaultProxy.start(server.port);
  const http = createHttpServer((_, response) => {
    proxy.hole();
    response.setHeader('connection', 'close').end();
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const kill = `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
  const program = [join(root, 'test/environments/lingering.mjs'), join(root, 'dist'), sockets, proxy.url('/'), kill];
  const { code, lingered, stderr } = await run(node, [...flags, ...program], DEAD);
  http.close();
  await proxy.stop();
  await server.close({ drain: 0 });
  if (stderr) throw new Error(stderr);
  return code === null ? `more than ${Math.floor(lingered / 1_000)} s` : `${Math.round(lingered / 1_000)} s`;
}

async function row(runtime: Runtime): Promise<Row> {
  const { stdout } = await execute(runtime.node, ['--version']);
  const { seen, stderr, code, left, lingered } = await talkIn(runtime);
  if (stderr) throw new Error(stderr);
  const flag = runtime.flags.find((each) => each.includes('websocket'));
  return {
    version: stdout.trim().slice(1),
    sockets: runtime.sockets === 'ws' ? 'of `ws`' : flag ? `its own, \`${flag}\`` : 'its own',
    talked: left > 0 ? `${left} connections left` : verdict(seen),
    lingered: code === 0 ? `${lingered} ms` : 'not by itself',
    dead: await afterDeadLink(runtime),
  };
}

const told = ({ seconds, starts }: Life) =>
  `${seconds === undefined ? `still there after ${WATCHED / 1_000} s` : `gone after ${seconds} s`}, and started ${starts === 1 ? 'once' : `${starts} times`}`;

const installed = await Promise.all(MAJORS.map(installNode));
const OWN = typeof globalThis.WebSocket === 'function' ? [] : ['--experimental-websocket', '--disable-warning=ExperimentalWarning'];
const runtimes: Runtime[] = [
  { node: process.execPath, flags: [], sockets: 'ws' },
  { node: process.execPath, flags: OWN, sockets: 'global' },
  ...installed.flatMap(({ node }): Runtime[] => [
    { node, flags: [], sockets: 'ws' },
    { node, flags: [], sockets: 'global' },
  ]),
];
const lives = Promise.all([lifeOf('web', WATCHED), lifeOf('extension', WATCHED)]);
const rows = await Promise.all(runtimes.map(row));
const [web, extension] = await lives;
const { stdout: browser } = await execute(findBrowser() ?? '', ['--version'], { env: { ...process.env } });
for (const { folder } of installed) await rm(folder, { recursive: true });

await writeFile(
  join(root, 'docs/environments.md'),
  `# Environments beside those of the tests

Made by \`npm run test:nodes\` on ${new Date().toISOString().slice(0, 10)} (${process.platform}, ${process.arch}, ${browser.trim()}). Every cell was seen in that run. What \`npm test\` tries at
each run is not repeated here: \`test/environments\` and \`test/browser\`.

## Node

The built package in a process of its own: a client connects, calls, sends bytes, is cut, is answered on the next connection, gets what was published meanwhile, and
closes; the drop-in sends text and bytes, is refused, sent away, and closed while it connects, and nobody hears of that before \`close()\` returns. Then the process has to end by itself.

| Node | WebSocket | seen as expected | ended by itself after | lives on after \`close()\` on a dead link |
|---|---|---|---|---|
${rows.map(({ version, sockets, talked, lingered, dead }) => `| ${version} | ${sockets} | ${talked} | ${lingered} | ${dead} |`).join('\n')}

On a dead link \`close()\` is over after \`closeTimeout\`. Its socket waits on for an answer of the server: that of \`ws\` is ended after 2 s, Node's own
cannot be ended, and goes with the connection. A process that has to end then calls \`process.exit()\`.

## Service workers

A module worker with a \`Client\`, whose server pings it every 15 s; no page says anything to it, no debugger is attached.

| | the connection is |
|---|---|
| of a page that stays open | ${told(web)} |
| of an extension | ${told(extension)} |
`,
);
for (const each of rows) console.log(Object.values(each).join(' | '));
console.log(`service workers: ${told(web)}; of an extension: ${told(extension)}`);
