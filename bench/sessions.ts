/**
 * What sessions cost: the same traffic to a server with them and to one without, turn and turn about, over real sockets in one process. Read the
 * ratios. Writes bench/SESSIONS.md; run it by `npm run bench:sessions`.
 */

import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { WebSocket as WS } from 'ws';
import type { Client as AnyClient } from '../src/client.ts';
import type { ClientOptions } from '../src/client-options.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const { Client } = (await import(here('../dist/index.js'))) as typeof import('../src/index.ts');
const { createServer } = (await import(here('../dist/server/index.js'))) as typeof import('../src/server/index.ts');

const ROUNDS = 9;
const MESSAGES = 20_000;
const CALLS = 5_000;
/** Messages under way at a time: a burst that fits the outbox, as an application would send it. */
const BURST = 500;

const createSocket = ((url: string, protocols: string[]) => new WS(url, protocols)) as unknown as NonNullable<
  ClientOptions['createSocket']
>;

type Traffic = (client: AnyClient, server: Awaited<ReturnType<typeof serve>>) => Promise<number>;

async function serve(sessions: boolean) {
  const seen = { count: 0, done: () => {} };
  const server = createServer({
    port: 0,
    hostname: '127.0.0.1',
    ...(sessions ? {} : { sessions: false }),
    handlers: {
      methods: { echo: (params) => params },
      events: {
        note: () => {
          if (++seen.count % BURST === 0) seen.done();
        },
      },
    },
  });
  await server.listening;
  return { server, seen };
}

const text = 'a message of a usual size, which is about a hundred bytes of text, as people write it in a chat';

/** Events from the client: bursts, each when the one before was handled. */
const up: Traffic = async (client, { seen }) => {
  for (let sent = 0; sent < MESSAGES; sent += BURST) {
    const handled = new Promise<void>((resolve) => {
      seen.done = resolve;
    });
    for (let i = 0; i < BURST; i++) client.send('note', { text, i });
    await handled;
  }
  return MESSAGES;
};

/** Events to the client. */
const down: Traffic = async (client, { server }) => {
  const [peer] = server.clients;
  let received = 0;
  let done = () => {};
  const off = client.on('note', () => {
    if (++received % BURST === 0) done();
  });
  for (let sent = 0; sent < MESSAGES; sent += BURST) {
    const handled = new Promise<void>((resolve) => {
      done = resolve;
    });
    for (let i = 0; i < BURST; i++) peer?.send('note', { text, i });
    await handled;
  }
  off();
  return MESSAGES;
};

/** Calls, a hundred at a time. */
const calls: Traffic = async (client) => {
  for (let made = 0; made < CALLS; made += 100) await Promise.all(Array.from({ length: 100 }, (_, i) => client.call('echo', { text, i })));
  return CALLS;
};

/** Messages a second. */
async function measure(traffic: Traffic, sessions: boolean): Promise<number> {
  const about = await serve(sessions);
  const client = new Client(`ws://127.0.0.1:${about.server.port}/`, { createSocket });
  await client.connect();
  await traffic(client, about); // warm
  const start = performance.now();
  const count = await traffic(client, about);
  const seconds = (performance.now() - start) / 1_000;
  await client.close();
  await about.server.close({ drain: 0 });
  return count / seconds;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const rows: string[] = [];
for (const [name, traffic] of Object.entries({ 'events from the client': up, 'events to the client': down, calls })) {
  const [without, having, ratios]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? [false, true] : [true, false];
    for (const sessions of order) (sessions ? having : without).push(await measure(traffic, sessions));
    ratios.push((having.at(-1) as number) / (without.at(-1) as number));
  }
  rows.push(`| ${name} | ${Math.round(median(without))} | ${Math.round(median(having))} | ${median(ratios).toFixed(2)} |`);
  console.log(rows.at(-1));
}
const date = new Date().toISOString().slice(0, 10);
await writeFile(
  here('SESSIONS.md'),
  `# What sessions cost

Made by \`npm run bench:sessions\` on ${date} (Node ${process.version}, ${cpus().length} cores, loopback, client and server in one process). Messages a
second, median of ${ROUNDS} rounds, with and without sessions in turn; the ratio is the median of the ratios of each round. Machines differ: read the ratio.

| | without sessions | with sessions | ratio |
|---|---|---|---|
${rows.join('\n')}
`,
);
