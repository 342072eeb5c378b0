/** A link that is slow and well: does anybody take it for a dead one? */

import type { Scene } from './faults.ts';
import type { Peer } from './peers.ts';
import { begin, close, type Outcome, open, until, type World } from './play.ts';

const [MESSAGES, BYTES, RATE] = [100, 2_000, 2_000];
/** Twice what it takes. */
const LIMIT = ((MESSAGES * BYTES) / RATE) * 2_000;

export const slow = {
  id: 'slow',
  what: `${MESSAGES} messages of ${BYTES / 1_000} kB, written at once, go up at ${RATE / 1_000} kB/s`,
} as const;

export interface SlowOutcome extends Outcome {
  /** Connections that ended meanwhile, or after it. */
  readonly drops: number;
}

export async function playSlow(peers: readonly Peer[], world: World): Promise<SlowOutcome[]> {
  const scenes: Scene[] = [];
  for (const peer of peers) scenes.push(await open(peer, world));
  return Promise.all(scenes.map(flood));
}

async function flood(scene: Scene): Promise<SlowOutcome> {
  const { stage, tab } = scene;
  await begin(scene, `ws://127.0.0.1:${stage.slow.port}/`);
  stage.slow.rate = RATE;
  await tab.page.evaluate(
    ([count, bytes]) => {
      for (let i = 0; i < count; i++) window.app.note(bytes);
    },
    [MESSAGES, BYTES] as const,
  );
  await until(() => new Set(stage.notes).size >= MESSAGES, LIMIT);
  const drops = await tab.page.evaluate(() => window.app.lost);
  return { ...(await close(scene)), drops };
}
