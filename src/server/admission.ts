/** Which of the channels that a hello declares become part of the welcome. For the others the client asks again, by frame. */

import { utf8Length } from '../core/queue.ts';
import type { Clock } from '../io/clock.ts';
import type { Declaration, SubscribeResult } from '../wire/frames.ts';

/** Whether a client may have a channel. */
export interface Admission {
  readonly result: SubscribeResult;
  /** Makes the subscription live, in the same step in which the client is told. */
  join(): unknown;
}

/** How long a welcome waits for decisions. */
const PATIENCE = 2_000;
/** Bytes of a welcome without its subscriptions, with room to spare. */
const WELCOME_BYTES = 1_024;

/** Asks for every declared channel. What is not decided soon is left. */
export async function admit(
  wanted: readonly Declaration[],
  ask: (declaration: Declaration) => Admission | Promise<Admission>,
  leave: (channel: string) => void,
  clock: Clock,
): Promise<Admission[]> {
  const decided = new Map<Declaration, Admission>();
  const all = wanted.map(async (each) => decided.set(each, await ask(each)));
  let timer: unknown;
  const patience = new Promise<void>((resolve) => {
    timer = clock.setTimeout(resolve, PATIENCE);
  });
  await Promise.race([Promise.all(all), patience]);
  clock.clearTimeout(timer);
  for (const each of wanted) if (!decided.has(each)) leave(each.channel);
  return wanted.flatMap((each) => decided.get(each) ?? []);
}

/** As many as fit into a welcome of so many bytes; the others are left. */
export function fitting(admissions: readonly Admission[], limit: number, leave: (channel: string) => void): Admission[] {
  let room = limit - WELCOME_BYTES;
  return admissions.filter(({ result }) => {
    room -= utf8Length(JSON.stringify(result)) + 1;
    if (room < 0) leave(result.channel);
    return room >= 0;
  });
}
