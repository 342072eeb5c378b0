/** What happens to a simulated world, as data: made from a seed, printed, and cut down to what matters. */

import type { Way } from './network.ts';
import type { Random } from './random.ts';
import type { Deed } from './visitor.ts';

type Method = 'add' | 'slow' | 'throws' | 'never' | 'missing';

export type Step = { readonly at: number } & (
  | { readonly do: 'send'; readonly count: number; readonly how: 'plain' | 'volatile' | 'ttl' | 'key' | 'priority' }
  /** An event that ends the process of the server which reads it, each time; another one starts after `for` milliseconds. */
  | { readonly do: 'poison'; readonly for: number }
  | { readonly do: 'call'; readonly method: Method; readonly idempotent: boolean; readonly abortAfter?: number }
  | { readonly do: 'publish'; readonly count: number; readonly idempotent: boolean }
  | { readonly do: 'stream'; readonly count: number; readonly cursors: boolean; readonly buffer: number; readonly breakAfter?: number }
  | {
      readonly do: 'upload';
      readonly count: number;
      /** Of each item; 0 for numbers. */
      readonly bytes: number;
      readonly source: 'async' | 'sync' | 'bytes';
      readonly slow: boolean;
      /** Whether the source throws in the end. */
      readonly fails: boolean;
      readonly handler: 'all' | 'answer' | 'break' | 'throw' | 'never';
      /** Items after which the handler does that. */
      readonly after: number;
      readonly abortAfter?: number;
    }
  /** What the client does with its presence, or the observer with its own: it comes with the first. */
  | { readonly do: 'presence' | 'observer'; readonly how: Deed }
  /** Others come, change or go; what changes is left out for `count` milliseconds; the server wants the channel asked for again. */
  | { readonly do: 'others'; readonly how: 'come' | 'go' | 'crowd' | 'interrupt' | 'demand'; readonly count: number }
  | { readonly do: 'subscribe'; readonly channel: number; readonly eager: boolean }
  | { readonly do: 'unsubscribe'; readonly channel: number }
  | { readonly do: 'serverSend' | 'serverPublish'; readonly count: number; readonly channel: number }
  | { readonly do: 'serverCall'; readonly method: 'add' | 'slow' }
  | { readonly do: 'reconnect' }
  | { readonly do: 'close'; readonly for: number; readonly drain: number }
  | { readonly do: 'cut'; readonly client: boolean; readonly server: boolean; readonly inFlight: number }
  | { readonly do: 'hole'; readonly ways: readonly Way[] }
  | { readonly do: 'latency'; readonly ms: number }
  | { readonly do: 'unreachable'; readonly how: 'refused' | 'held'; readonly for: number }
  | { readonly do: 'restart'; readonly for: number; readonly polite: boolean }
  | { readonly do: 'vanish' | 'slow'; readonly for: number }
  | { readonly do: 'freeze'; readonly for: number; readonly thawed: boolean }
  | { readonly do: 'jump'; readonly ms: number }
  | { readonly do: 'signal'; readonly signal: 'online' | 'offline' | 'visible' }
  | { readonly do: 'slowAuth'; readonly ms: number; readonly side: 'client' | 'server' }
  | { readonly do: 'failAuth' }
  /** The next handler of an event on that side does this, in the middle of its batch. */
  | { readonly do: 'disturb'; readonly side: 'client' | 'server'; readonly how: 'throw' | 'reconnect' | 'send' }
);

/** How long faults last, in milliseconds; then everything heals. */
export const TROUBLE = 60_000;

/** A script from a seed: bursts of work, and trouble between them and in them. */
export function write(random: Random): Step[] {
  const steps: Step[] = [];
  const density = random.between(10, 60);
  for (let i = 0; i < density; i++) {
    const at = random.between(0, TROUBLE);
    steps.push(random.chance(0.65) ? work(random, at) : trouble(random, at));
    // Trouble likes company: right behind the work, at a distance of a few messages.
    if (random.chance(0.25)) steps.push(trouble(random, at + random.between(0, 40)));
    if (random.chance(0.12)) steps.push(company(random, at));
    if (random.chance(0.92)) continue;
    steps.push(upload(random, at));
    if (random.chance(0.4)) steps.push(trouble(random, at + random.between(0, 1_000)));
  }
  if (random.chance(0.08)) steps.push(...bustle(random, random.between(0, TROUBLE - 1_000)));
  if (random.chance(0.7)) steps.push({ at: random.between(0, 3_000), do: 'presence', how: 'show' });
  if (random.chance(0.1)) steps.push(...observer(random));
  if (random.chance(0.1)) steps.push(...lateHello(random.between(0, TROUBLE - 10_000)));
  if (random.chance(0.05)) steps.push(...parting(random.between(0, TROUBLE - 6_000)));
  if (random.chance(0.1)) steps.push(...restless(random.between(0, TROUBLE - 1_000), random.between(0, 1)));
  if (random.chance(0.08)) steps.push({ at: random.between(0, TROUBLE), do: 'poison', for: random.between(0, 3_000) });
  return steps.sort((a, b) => a.at - b.at);
}

/** A hello that waits for its credentials to be checked, while the client gives it up unheard and comes back with another one. */
function lateHello(at: number): Step[] {
  return [
    { at, do: 'slowAuth', ms: 3_000, side: 'server' },
    { at, do: 'reconnect' },
    { at: at + 1_000, do: 'slowAuth', ms: 0, side: 'server' },
    { at: at + 1_000, do: 'hole', ways: ['up'] },
    { at: at + 1_000, do: 'reconnect' },
  ];
}

/** A client that is closed between two attempts, and wants to be back in the same moment: it is asked before, and after. */
function parting(at: number): Step[] {
  return [
    { at, do: 'serverCall', method: 'slow' },
    { at: at + 100, do: 'unreachable', how: 'refused', for: 1_300 },
    { at: at + 100, do: 'cut', client: true, server: true, inFlight: 0 },
    { at: at + 1_500, do: 'close', for: 500, drain: 0 },
    { at: at + 1_500, do: 'reconnect' },
    { at: at + 4_000, do: 'serverCall', method: 'add' },
  ];
}

/** Others who come and go while it is asked who is there: anew, or since the client has another connection. */
function bustle(random: Random, at: number): Step[] {
  const others = Array.from(
    { length: 12 },
    (_, i): Step => ({ at: at + 25 * i, do: 'others', how: random.pick(['come', 'go'] as const), count: 2 }),
  );
  const cause = random.pick<Step>([
    { at: at + 20, do: 'others', how: 'interrupt', count: 30 },
    { at: at + 20, do: 'reconnect' },
  ]);
  return [cause, ...others];
}

/** A channel that is left and wanted again at once, while things are published on it. */
function restless(at: number, channel: number): Step[] {
  const published = [190, 195, 200, 202, 205, 210, 220].map((after): Step => ({ at: at + after, do: 'serverPublish', count: 1, channel }));
  return [
    { at, do: 'subscribe', channel, eager: false },
    { at: at + 200, do: 'unsubscribe', channel },
    { at: at + 201, do: 'subscribe', channel, eager: false },
    ...published,
  ];
}

function work(random: Random, at: number): Step {
  const channel = random.between(0, 2);
  const count = random.chance(0.005) ? random.between(1_000, 1_500) : random.chance(0.1) ? random.between(20, 400) : random.between(1, 8);
  return random.pick<() => Step>([
    () => ({ at, do: 'send', count, how: 'plain' }),
    () => ({ at, do: 'send', count, how: 'plain' }),
    () => ({ at, do: 'send', count: random.between(1, 4), how: random.pick(['volatile', 'ttl', 'key', 'priority'] as const) }),
    () => ({
      at,
      do: 'call',
      method: random.pick(['add', 'add', 'slow', 'slow', 'throws', 'never', 'missing'] as const),
      idempotent: random.chance(0.3),
      ...(random.chance(0.2) && { abortAfter: random.between(0, 3_000) }),
    }),
    () => ({ at, do: 'publish', count: random.between(1, 5), idempotent: random.chance(0.3) }),
    () => ({
      at,
      do: 'stream',
      count: random.between(0, 60),
      cursors: random.chance(0.5),
      buffer: random.pick([1, 2, 32]),
      ...(random.chance(0.2) && { breakAfter: random.between(1, 20) }),
    }),
    () => (random.chance(0.7) ? { at, do: 'subscribe', channel, eager: random.chance(0.5) } : { at, do: 'unsubscribe', channel }),
    () => ({ at, do: 'serverSend', count, channel }),
    () => ({ at, do: 'serverPublish', count, channel }),
    () => ({ at, do: 'serverCall', method: random.pick(['add', 'slow'] as const) }),
  ])();
}

function upload(random: Random, at: number): Step {
  const handler = random.pick(['all', 'all', 'all', 'answer', 'break', 'throw', 'never'] as const);
  const source = random.pick(['async', 'async', 'sync', 'bytes'] as const);
  const bytes = random.pick([0, 0, 4, 100, 8_192]);
  return {
    at,
    do: 'upload',
    count: random.chance(0.05) ? random.between(50, 200) : random.between(0, 40),
    bytes: source === 'bytes' ? Math.max(bytes, 4) : bytes,
    source,
    slow: random.chance(0.3),
    fails: source !== 'bytes' && random.chance(0.15),
    handler,
    after: random.between(0, 20),
    ...(random.chance(0.15) && { abortAfter: random.between(0, 5_000) }),
  };
}

function company(random: Random, at: number): Step {
  const count = random.between(1, 3);
  return random.pick<() => Step>([
    () => ({ at, do: 'presence', how: 'show' }),
    () => ({ at, do: 'presence', how: random.pick(['show', 'watch', 'leave', 'close', 'reopen'] as const) }),
    () => ({ at, do: 'others', how: random.pick(['come', 'come', 'go'] as const), count }),
    () => (random.chance(0.3) ? { at, do: 'others', how: 'crowd', count: 12 } : { at, do: 'others', how: 'go', count: 5 }),
    () => ({ at, do: 'others', how: random.pick(['interrupt', 'demand'] as const), count: random.between(0, 3_000) }),
  ])();
}

/** Somebody with a good connection, who comes, and comes and goes. */
function observer(random: Random): Step[] {
  const start = random.between(0, TROUBLE / 2);
  const deeds = Array.from({ length: random.between(0, 6) }, (): Step => {
    const how = random.pick(['show', 'watch', 'leave', 'close', 'reopen'] as const);
    return { at: random.between(start, TROUBLE), do: 'observer', how };
  });
  return [{ at: start, do: 'observer', how: random.pick(['show', 'watch'] as const) }, ...deeds];
}

function trouble(random: Random, at: number): Step {
  const ways = random.pick<readonly Way[]>([['up'], ['down'], ['up', 'down']]);
  return random.pick<() => Step>([
    () => ({ at, do: 'cut', client: true, server: true, inFlight: random.between(0, 6) }),
    () => ({ at, do: 'cut', client: random.chance(0.7), server: random.chance(0.7), inFlight: random.between(0, 6) }),
    () => ({ at, do: 'hole', ways }),
    () => ({ at, do: 'latency', ms: random.pick([0, 1, 5, 20, 100, 500, 1_500]) }),
    () => ({ at, do: 'unreachable', how: random.pick(['refused', 'held'] as const), for: random.between(100, 20_000) }),
    () => ({ at, do: 'restart', for: random.between(0, 5_000), polite: random.chance(0.5) }),
    () => ({ at, do: random.pick(['vanish', 'slow'] as const), for: random.between(0, 10_000) }),
    () => ({ at, do: 'freeze', for: random.between(100, 30_000), thawed: random.chance(0.5) }),
    () => ({ at, do: 'jump', ms: random.between(-3_600_000, 3_600_000) }),
    () => ({ at, do: 'signal', signal: random.pick(['online', 'offline', 'visible'] as const) }),
    () => ({ at, do: 'slowAuth', ms: random.between(0, 12_000), side: random.pick(['client', 'server'] as const) }),
    () => ({ at, do: 'failAuth' }),
    () => ({ at, do: 'reconnect' }),
    () => ({ at, do: 'close', for: random.between(0, 3_000), drain: random.pick([0, 0, 500]) }),
    () => ({
      at,
      do: 'disturb',
      side: random.pick(['client', 'server'] as const),
      how: random.pick(['throw', 'reconnect', 'send'] as const),
    }),
  ])();
}
