/**
 * How long it takes: Holdfast and its peers through the same faults in a real browser, side by side. Writes bench/RECOVERY.md, every number
 * of it measured in this run: `npm run bench:recovery`, about 20 minutes. `--quick` plays short ones once, names play those alone; both only print.
 */

import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { here } from './compare/peer.ts';
import { serveSite, startBrowser } from './recovery/browser.ts';
import { explanation } from './recovery/explanation.ts';
import { type Fault, faults } from './recovery/faults.ts';
import { type Peer, peers, versionOf } from './recovery/peers.ts';
import { type Outcome, play, type World } from './recovery/play.ts';
import { behind, cell, latest, NOTABLE, type Row, slowCell, table } from './recovery/report.ts';
import { playSlow, type SlowOutcome, slow } from './recovery/slow.ts';

const QUICK = ['cut-rst', 'restart-5', 'online', 'visible', 'frozen', 'bfcache'];
/** Browsers that are at work at the same time. */
const LANES = 4;

const isQuick = process.argv.includes('--quick');
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const limit = isQuick ? 30 : 120;
const wanted = named.length > 0 ? named : isQuick ? QUICK : [...faults.map(({ id }) => id), slow.id];

/** All repetitions. Who was not back in time is not asked again. */
async function repeat(fault: Fault, world: World): Promise<Row> {
  const outcomes = new Map<Peer, Outcome[]>(peers.map((peer) => [peer, []]));
  for (let i = 0; i < (isQuick ? 1 : fault.settle.length); i++) {
    const able = peers.filter((peer) => outcomes.get(peer)?.every(({ seconds }) => seconds !== undefined));
    const results = await play(fault, i, able, world);
    for (const [j, peer] of able.entries()) if (results[j]) outcomes.get(peer)?.push(results[j]);
    console.log(
      fault.id,
      i + 1,
      able.map(({ id }, j) => `${id} ${results[j]?.seconds?.toFixed(1) ?? 'no'} (${results[j]?.late.toFixed(0)})`).join(', '),
    );
  }
  return { fault, outcomes };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1)); // which ends the browsers
const lateness = monitorEventLoopDelay();
lateness.enable();
const site = await serveSite(peers);
const rows = new Map<string, Row>();
let slowOutcomes: readonly SlowOutcome[] = [];
let version = '';

/** The long ones first, so that the short ones fill what is left. */
const tasks = [
  ...(wanted.includes(slow.id)
    ? [
        async (world: World) => {
          slowOutcomes = await playSlow(peers, world);
        },
      ]
    : []),
  ...faults
    .filter(({ id }) => wanted.includes(id))
    .sort((a, b) => Number(b.isLong ?? false) - Number(a.isLong ?? false))
    .map((fault) => async (world: World) => void rows.set(fault.id, await repeat(fault, world))),
];

async function work(): Promise<void> {
  const browser = await startBrowser();
  version = browser.version;
  for (let task = tasks.shift(); task; task = tasks.shift()) await task({ browser, address: site.address, limit });
  await browser.close();
}
const start = performance.now();
await Promise.all(Array.from({ length: Math.min(LANES, tasks.length) }, work));
site.stop();

const played = faults.flatMap(({ id }) => rows.get(id) ?? []);
const versions = new Map(await Promise.all(peers.map(async (peer) => [peer, await versionOf(peer)] as const)));

function tableOf(kind: Peer['kind']): string {
  const columns = peers.filter((peer) => peer.kind === kind);
  const head = columns.map((peer) => `${peer.name} ${versions.get(peer)}${peer.options && `<br>${peer.options}`}`);
  const body = played.map((row) => [
    `${row.fault.what}; from ${row.fault.since}`,
    ...columns.map((peer) => cell(row, row.outcomes.get(peer) ?? [], limit)),
  ]);
  const last = [slow.what, ...columns.map((peer) => slowOutcomes[peers.indexOf(peer)]).map((each) => (each ? slowCell(each) : ''))];
  return table(['', ...head], slowOutcomes.length > 0 ? [...body, last] : body);
}

const page = `# Back again, and how soon

Made by \`npm run bench:recovery\` on ${new Date().toISOString().slice(0, 10)} (Node ${process.version}, Chromium ${version}, ${cpus().length} cores, loopback). Every cell was measured in that run.

Seconds until the next message is through, for clients in a real page. How that is measured is below. Options are the defaults but where the head of the column says otherwise.

## Sockets for any server

${tableOf('socket')}

## Clients with a server of their own

${tableOf('client')}

## Where Holdfast is behind

Wherever the median of a peer in the same table is more than ${NOTABLE} s less, or more of its messages arrived, or it came back and ours did not:

${
  behind(played, limit)
    .map((line) => `- ${line}`)
    .join('\n') || 'Nowhere in this run.'
}

${explanation(limit, { process: lateness.max / 1e6, pages: latest(played) })}
`;
if (!isQuick && named.length === 0) await writeFile(here('../RECOVERY.md'), page);
console.log(page, `${Math.round((performance.now() - start) / 1_000)} s, at most ${(lateness.max / 1e6).toFixed(0)} ms late`);
process.exit(); // links that are dead keep their sockets
