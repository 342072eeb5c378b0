/** Plays a fault for some of the peers at the same time, each with a page, a server and a proxy of its own, and watches what comes of it. */

import { sleep } from '../compare/peer.ts';
import type { Browser } from './browser.ts';
import type { Fault, Scene } from './faults.ts';
import type { Peer } from './peers.ts';
import { Stage } from './stage.ts';

export interface Outcome {
  /** Seconds until the next message was through; undefined if none was in time. */
  readonly seconds?: number | undefined;
  /** What else there is to say of one that is not back. */
  readonly remark?: string | undefined;
  /** Numbered messages that were written; how many of them arrived, how often one came again, and of how many the library said that they are not sent. */
  readonly written: number;
  readonly arrived: number;
  readonly doubled: number;
  readonly refused: number;
  /** Milliseconds by which a timer of the page was late at most. */
  readonly late: number;
}

/** What a repetition needs besides the fault itself. */
export interface World {
  readonly browser: Browser;
  address(host: string, path: string): string;
  /** Seconds after which nobody waits any more. */
  readonly limit: number;
}

/** Between the same fault for one peer and for the next: the machine is not to do everything at once. */
const APART = 400;
const POLL = 50;
/** How long a page goes on writing once it is back, and how long what it wrote may take. */
const [AFTER, LATER] = [3_000, 10_000];

export async function until(isTrue: () => boolean, ms: number): Promise<boolean> {
  for (const end = Date.now() + ms; !isTrue(); await sleep(POLL)) if (Date.now() > end) return false;
  return true;
}

/** The page of a peer, which has not begun yet. */
export async function open(peer: Peer, world: World): Promise<Scene> {
  const stage = await Stage.build(peer.serve);
  const tab = await world.browser.open();
  const host = peer.id.replaceAll('.', '-');
  await tab.page.goto(world.address(host, peer.id));
  return { name: peer.id, stage, tab, elsewhere: world.address(host, 'elsewhere') };
}

/** Connects it, and waits until its first message has arrived. */
export async function begin({ name, stage, tab }: Scene, url: string): Promise<void> {
  await tab.page.evaluate((address) => window.app.start(address), url);
  if (!(await until(() => stage.receipts.length > 0, 20_000))) throw new Error(`${name} does not connect`);
}

/** What became of the numbered messages, and the end of the page. */
export async function close({ stage, tab }: Scene): Promise<Outcome> {
  const { written, refused, late } = await tab.page.evaluate(() => {
    window.app.rest();
    return { written: window.app.written, refused: window.app.refused, late: window.app.late };
  });
  await until(() => new Set(stage.notes).size >= written, stage.receipts.some(({ text }) => text !== 'open 1') ? LATER : 0);
  await tab.page.close();
  await stage.close();
  const arrived = new Set(stage.notes).size;
  const notes = refused.filter((text) => text.startsWith('note '));
  return { written, arrived, doubled: stage.notes.length - arrived, refused: notes.length, late };
}

/** One repetition: what came of it for each of the peers, in their order. */
export async function play(fault: Fault, repetition: number, peers: readonly Peer[], world: World): Promise<Outcome[]> {
  const scenes: Scene[] = [];
  for (const peer of peers) scenes.push(await open(peer, world));
  const settle = (fault.settle[repetition] ?? 0) * 1_000;
  const settled = scenes.map(async (scene, i) => {
    await sleep(i * APART);
    await begin(scene, scene.stage.proxy.url('/'));
    await sleep(settle);
    return fault.each ? hurt(scene, fault, world) : undefined;
  });
  const outcomes = await Promise.all(settled);
  const moment = await fault.together?.(scenes, world.browser);
  if (moment === undefined) return outcomes.flatMap((outcome) => outcome ?? []);
  return Promise.all(scenes.map((scene) => watch(scene, moment, fault, world.limit)));
}

async function hurt(scene: Scene, fault: Fault, { limit }: World): Promise<Outcome> {
  if (fault.writes) await scene.tab.page.evaluate(() => window.app.write());
  const moment = await fault.each?.(scene);
  if (moment !== undefined) return watch(scene, moment, fault, limit);
  return { ...(await close(scene)), remark: 'the page was not kept' };
}

async function watch(scene: Scene, moment: number, { writes }: Fault, limit: number): Promise<Outcome> {
  const { stage } = scene;
  const isBack = await until(() => stage.back(moment) !== undefined, moment + limit * 1_000 - Date.now());
  const at = stage.back(moment);
  if (isBack && writes) await sleep(AFTER);
  const remark = isBack || !(await isHeard(scene)) ? undefined : 'the server still hears it';
  return { ...(await close(scene)), seconds: at && (at - moment) / 1_000, remark };
}

/** Whether a message comes through on the connection that there is. */
async function isHeard({ stage, tab }: Scene): Promise<boolean> {
  await tab.page.evaluate(() => window.app.send('still here'));
  return until(() => stage.receipts.some(({ text }) => text === 'still here'), 2_000);
}
