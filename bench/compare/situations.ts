/** The situations: each takes a peer and one of its ways, and returns what happened. */

import { FaultProxy } from '../../test/support/fault-proxy.ts';
import { type Fate, told } from './fate.ts';
import { type Backend, describe, type Ear, type Frontend, type Peer, sleep } from './peer.ts';

const COUNT = 100;
const MISSED = 5;
const CLIENTS = 200;
/** For how long the server is gone. */
const OUTAGE = 2_000;
/** For how long a call, and a dead link, is watched. */
const PATIENCE = { call: 30_000, link: 60_000, reconnect: 20_000 };
const HAMMERED = 20_000;

/** What an application heard, and when. */
class Journal implements Ear {
  readonly openings: number[] = [];
  readonly losses: number[] = [];
  /** What became of messages, as it was told. */
  readonly reports = new Map<number, string>();
  readonly gaps = new Set<string>();
  opened(): void {
    this.openings.push(performance.now());
  }
  lost(): void {
    this.losses.push(performance.now());
  }
  told(message: number, how: string): void {
    this.reports.set(message, how);
  }
  gap(how: string): void {
    this.gaps.add(how);
  }
}

interface Stage {
  readonly backend: Backend;
  readonly client: Frontend;
  readonly journal: Journal;
}

/** A client that is connected to the server, and what happens then. */
async function meet<T>(peer: Peer, backend: Backend, url: string, play: (stage: Stage) => Promise<T>): Promise<T> {
  const journal = new Journal();
  const client = await peer.connect(url, journal);
  await until(() => journal.openings.length > 0);
  if (journal.openings.length === 0) throw new Error(`${peer.name} did not connect`);
  await sleep(200);
  const result = await play({ backend, client, journal });
  client.close();
  backend.stop();
  return result;
}

async function stage<T>(peer: Peer, play: (stage: Stage) => Promise<T>): Promise<T> {
  const backend = await peer.serve();
  return meet(peer, backend, addressOf(backend), play);
}

/** The same with a proxy in between. */
async function stageWithProxy<T>(peer: Peer, play: (stage: Stage & { readonly proxy: FaultProxy }) => Promise<T>): Promise<T> {
  const backend = await peer.serve();
  const proxy = await FaultProxy.start(backend.port);
  const result = await meet(peer, backend, proxy.url('/'), (actors) => play({ ...actors, proxy }));
  await proxy.stop();
  return result;
}

/** The server is gone for a while, in which messages are written. */
export const outage = (peer: Peer, way: string): Promise<Fate> =>
  stage(peer, async ({ backend, client, journal }) => {
    backend.shut();
    await until(() => journal.losses.length > 0);
    for (let message = 0; message < COUNT; message++) {
      client.send(message, way);
      await sleep(OUTAGE / COUNT);
    }
    await backend.open();
    await settled({ backend, client, journal });
    return fateOf(backend, client, journal);
  });

/**
 * Messages are written into a link that is dead already: both ways, or only that of the answers. What the library does not notice in
 * time, it is made to notice.
 */
export const deadWhileWriting = (peer: Peer, way: string, ...dead: ('up' | 'down')[]): Promise<string> =>
  stageWithProxy(peer, async ({ backend, proxy, client, journal }) => {
    proxy.hole(...dead);
    for (let message = 0; message < COUNT; message++) client.send(message, way);
    await until(() => journal.openings.length > 1, PATIENCE.link);
    const isForced = journal.openings.length === 1;
    if (isForced && client.reconnect) {
      client.reconnect();
      await until(() => journal.openings.length > 1, PATIENCE.reconnect);
    }
    await settled({ backend, client, journal });
    const how = isForced ? (client.reconnect ? '; reconnected by hand' : '; never reconnected') : '';
    return `${told([fateOf(backend, client, journal)])}${how}`;
  });

/** A call is being executed when the connection is cut; the server is there again at once. */
export const call = (peer: Peer, way: string): Promise<string> =>
  stageWithProxy(peer, async ({ backend, proxy, client }) => {
    let outcome: string | undefined;
    const settle = (what: string) => {
      outcome = `${what} after ${seconds(performance.now() - cut)}`;
    };
    client.call?.(way).then(
      () => settle('answered'),
      (error) => settle(`rejected (${describe(error)})`),
    );
    await until(() => backend.executed > 0);
    await sleep(100);
    proxy.cut();
    const cut = performance.now();
    await until(() => outcome !== undefined, PATIENCE.call);
    await sleep(PATIENCE.call - (performance.now() - cut));
    const times = backend.executed === 1 ? 'once' : `${backend.executed} times`;
    return `${outcome ?? `nothing within ${PATIENCE.call / 1_000} s`}, executed ${times}`;
  });

/** The link goes dead right after it has opened, without a word. */
export const deadLink = (peer: Peer): Promise<string> =>
  stageWithProxy(peer, async ({ proxy, journal }) => {
    proxy.hole();
    const since = performance.now();
    await until(() => journal.openings.length > 1, PATIENCE.link);
    const [lost] = journal.losses;
    const again = journal.openings[1];
    if (lost === undefined) return `not within ${PATIENCE.link / 1_000} s`;
    return `after ${seconds(lost - since)}, ${again ? `connected again after ${seconds(again - since)}` : 'not connected again'}`;
  });

/** The connection is lost for a while, in which messages are published on a channel. */
export const channel = (peer: Peer, way: string): Promise<string> =>
  stage(peer, async ({ backend, client, journal }) => {
    const heard = new Set<number>();
    /** Something that is published again and again until the client hears it. */
    const reaches = async (message: number) => {
      const since = performance.now();
      while (!heard.has(message) && performance.now() - since < PATIENCE.reconnect) {
        backend.publish(message);
        await sleep(100);
      }
      return heard.has(message);
    };
    client.subscribe?.((message) => heard.add(message), way);
    if (!(await reaches(-1))) throw new Error(`${peer.name} hears nothing`);
    backend.shut();
    await until(() => journal.losses.length > 0);
    for (let message = 0; message < MISSED; message++) backend.publish(message);
    await sleep(OUTAGE);
    await backend.open();
    const goesOn = await reaches(-2);
    const delivered = [...heard].filter((message) => message >= 0).length;
    const missing = MISSED - delivered;
    const signs = [...journal.gaps].join(', ');
    const fates = [delivered > 0 && `${delivered} delivered`, missing > 0 && `${missing} missing, ${signs || 'in silence'}`];
    return `${goesOn ? 'goes on' : 'does not go on'}; of ${MISSED} published meanwhile ${fates.filter(Boolean).join(', ')}`;
  });

/** Every connection is cut as soon as it is complete: how many are made? */
export const hammering = (peer: Peer): Promise<number> =>
  stageWithProxy(peer, async ({ backend, proxy }) => {
    const before = proxy.accepted;
    backend.welcomed = () => setTimeout(() => proxy.cut(), 10);
    proxy.cut();
    await sleep(HAMMERED);
    return proxy.accepted - before;
  });

/** A server with many clients is gone for a while: how many of them come in the same tenth of a second? */
export async function herd(peer: Peer): Promise<string> {
  const backend = await peer.serve();
  const journals = Array.from({ length: CLIENTS }, () => new Journal());
  const clients = await Promise.all(journals.map((journal) => peer.connect(addressOf(backend), journal)));
  await until(() => journals.every(({ openings }) => openings.length > 0));
  await sleep(6_000); // long enough to count as stable everywhere
  backend.shut();
  await sleep(OUTAGE);
  const since = performance.now();
  await backend.open();
  await until(() => journals.every(({ openings }) => openings.length > 1), PATIENCE.reconnect);
  const arrivals = backend.arrivals.filter((time) => time >= since);
  const back = journals.flatMap(({ openings }) => openings.slice(1, 2));
  for (const client of clients) client.close();
  backend.stop();
  const most = Math.max(0, ...arrivals.map((start) => arrivals.filter((time) => time >= start && time < start + 100).length));
  if (back.length === 0) return 'none comes back';
  const all = back.length === CLIENTS ? 'all' : `${back.length} of ${CLIENTS}`;
  return `${most}; ${all} back after ${seconds(Math.max(...back) - since)}`;
}

const addressOf = ({ port }: Backend) => `ws://127.0.0.1:${port}/`;

/** Waits until nothing more is to be expected. */
async function settled({ backend, client, journal }: Stage): Promise<void> {
  await until(() => openQuestions(backend, client, journal) === 0, PATIENCE.reconnect);
  await sleep(3_000); // for what comes twice
}

const arrived = (backend: Backend) => new Set(backend.received.filter((message) => message >= 0));

/** Messages that neither arrived nor are known to be lost, or to be in doubt. */
function openQuestions(backend: Backend, client: Frontend, journal: Journal): number {
  const known = new Set([...arrived(backend), ...journal.reports.keys()]);
  const counted = Object.values(client.doubts?.() ?? {}).reduce((sum, count) => sum + count, 0);
  return Math.max(0, COUNT - known.size - counted);
}

/** What has become of the messages. */
function fateOf(backend: Backend, client: Frontend, journal: Journal): Fate {
  const firsts = [...arrived(backend)];
  const counts = new Map<string, number>();
  counts.set('doubles', backend.received.length - firsts.length);
  for (const how of journal.reports.values()) counts.set(how, (counts.get(how) ?? 0) + 1);
  for (const [name, count] of Object.entries(client.doubts?.() ?? {})) counts.set(`in doubt (${name})`, count);
  const remarks = (client.remarks?.() ?? []).map((remark) => ` (${remark})`);
  counts.set(`lost in silence${remarks.join('')}`, openQuestions(backend, client, journal));
  const isOrdered = firsts.every((message, i) => i === 0 || message > (firsts[i - 1] ?? 0));
  return { arrived: firsts.length, isOrdered, counts };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

async function until(condition: () => boolean, patience = 10_000): Promise<void> {
  const since = performance.now();
  while (!condition() && performance.now() - since < patience) await sleep(20);
}
