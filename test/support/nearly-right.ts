/** Messages that are nearly right, from a seed: valid frames with something done to them. */

import { type Frame, type Message, RULES, type Side, TRACKED } from './second-reading.ts';

/** Bytes that either end takes. */
export const LIMIT = 65_536;

/** The generator of a seed (mulberry32): the same numbers for the same seed, everywhere. */
export function generator(seed: number) {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  return { below, chance: (p: number) => next() < p, pick: <T>(list: readonly T[]): T => list[below(list.length)] as T };
}
export type Random = ReturnType<typeof generator>;

const ODD: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1,
  2,
  0.5,
  1e21,
  1e308,
  2 ** 53,
  2 ** 53 - 1,
  -(2 ** 53),
  2 ** 31,
  2 ** 32,
  4_294_967_297,
  '',
  '1',
  'x',
  'ping',
  'hello',
  'bye',
  'constructor',
  '__proto__',
  'toString',
  '\u0000',
  '\ud800',
  '💧',
  [],
  [[]],
  [null],
  {},
  { type: 'ping' },
  { code: 'X' },
  { channel: 'c' },
  { length: 1 },
  [{ channel: 'c' }],
];
const KEYS = ['type', 'id', 'name', 'method', 'channel', 'data', 'params', 'result', 'error', 'code', 'reason', 'reconnect', 'resume', 'timeout', 'nonce',
  'seq', 'received', 'session', 'key', 'epoch', 'cursor', 'stream', 'credit', 'count', 'idempotencyKey', 'limits', 'message', 'features', 'version', 'subscriptions', 'retryAfter', 'offset', 'from', 'toJSON', 'then', '__proto__', 'constructor', '']; // biome-ignore format: a list

/** A right frame of a type. */
export function right(type: string, random: Random): Frame {
  const { pick, below, chance } = random;
  const some = () => pick<unknown>([1, 'x', null, [], { a: [1, { b: 2 }] }]);
  const id = chance(0.97) ? 1 + below(1e9) : 1 + below(5);
  const channel = pick(['c', 'd', 'e', '']);
  const error = () => ({ code: pick(['NOT_FOUND', 'x', '']), ...(chance(0.5) && { message: 'm', data: some(), retryAfter: below(9) }) });
  const limits = { message: LIMIT, window: 256 };
  switch (type) {
    case 'ping':
      return { type, ...(chance(0.5) && { nonce: below(99) }), ...told(random) };
    case 'pong':
      return { type, nonce: below(99), ...told(random) };
    case 'ack':
      return { type, received: 0, ...told(random) };
    case 'skip':
      return { type };
    case 'bye': {
      const code = pick([1000, 4100, 4401, 4409, 4600, 4800]);
      return { type, code, reason: 'r', reconnect: chance(0.5), resume: chance(0.9), ...told(random) };
    }
    case 'event':
      return { type, name: pick(['n', 'other', 'fail']), data: some() };
    case 'request':
      return {
        type,
        id,
        method: pick(['echo', 'fail', 'hang', 'items', 'none', 'constructor']),
        params: some(),
        ...(chance(0.5) && { timeout: id }),
        ...(chance(0.1) && { idempotencyKey: pick(['k', '']) }),
        ...(chance(0.2) && { stream: true, credit: below(9) }),
      };
    case 'item':
      return { type, id, data: some() };
    case 'credit':
      return { type, id, count: 1 + below(99) };
    case 'response':
      return { type, id: 1 + below(9), result: some() };
    case 'error':
      return { type, id: 1 + below(9), error: error() };
    case 'hello':
      return {
        type,
        version: 1,
        features: pick([['calls'], ['calls', 'resume']]),
        ...(chance(0.3) && { resume: { session: 's', key: 'k', generation: below(3), received: 0 } }),
        limits,
        attempt: 0,
        subscriptions: [{ channel, ...place(random) }],
      };
    case 'welcome':
      return {
        type,
        version: 1,
        features: pick([[], ['calls', 'resume']]),
        resumed: chance(0.4),
        session: 's',
        key: 'k',
        received: pick([0, 0, 1]),
        heartbeat: { interval: 9, timeout: 9 },
        limits,
        subscriptions: [{ channel, recovered: chance(0.5), ...place(random) }],
      };
    case 'subscribe':
      return { type, id, channel, params: some(), ...place(random) };
    case 'publish':
      return { type, ...(chance(0.7) && { id }), channel, data: some(), ...(chance(0.1) && { idempotencyKey: pick(['k', '']) }) };
    case 'message':
      return { type, channel, data: some(), ...(chance(0.3) && { offset: below(9), from: 'f' }) };
    case 'unsubscribe':
      return { type, id, channel, ...(chance(0.5) && { error: error(), resubscribe: chance(0.5) }) };
    default: // cancel, end, and what is unknown
      return { type, id, channel, params: some() };
  }
}

/** Sometimes a place in the history of a channel. */
function place({ chance, pick, below }: Random): { epoch?: string; offset?: number } {
  return chance(0.3) ? { epoch: pick(['e', 'f']), offset: below(3) } : {};
}

/** Sometimes how far it has received, right or not. */
function told({ chance, pick }: Random): { received?: number } {
  return chance(0.3) ? { received: pick([0, 0, 0, 1, 2, 1e9]) } : {};
}

/** Changes one thing in a value, somewhere. */
function bend(value: Frame, { pick, chance, below }: Random): Frame {
  const keys = Object.keys(value);
  const key = chance(0.8) && keys.length > 0 ? pick(keys) : pick(KEYS);
  const inner = value[key];
  if (chance(0.3) && typeof inner === 'object' && inner && !Array.isArray(inner))
    return { ...value, [key]: bend(inner as Frame, { pick, chance, below }) };
  if (chance(0.3)) return Object.fromEntries(Object.entries(value).filter(([each]) => each !== key));
  return { ...value, [key]: pick(ODD) };
}

/** Changes a few characters of a text, or cuts it, or puts pieces of it elsewhere. */
function damage(json: string, { pick, below }: Random): string {
  const [a, b] = [below(json.length + 1), below(json.length + 1)].sort((x, y) => x - y) as [number, number];
  const bits = [
    '"',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '\\',
    '0',
    '-',
    'e9',
    '1e999',
    '\u0000',
    '\ufeff',
    '\\u005f_proto__',
    '"__proto__":1,',
    'null',
    'ÿ',
    '\ud83d',
  ];
  return pick([
    () => json.slice(0, a),
    () => json.slice(a),
    () => json.slice(0, a) + json.slice(b),
    () => json.slice(0, b) + json.slice(a),
    () => json.slice(0, a) + pick(bits) + json.slice(a),
    () => json.slice(0, a) + pick(bits) + json.slice(a + 1),
    () => json.slice(0, a) + String.fromCharCode(json.charCodeAt(a % json.length) ^ (1 << below(7))) + json.slice(a + 1),
    () => json + json,
    () => json.replace(/\d+/, pick(['1e999', '99999999999999999999', '-1', '0.1', '00', '1e-400', '0x1'])),
    () => json.replace(/"(\w+)":/, '"__proto__":'),
    () => json.replace(/"type":"\w+"/, pick(['"type":"ping"', '"type":"cancel"', '"type":1', '"type":"ping","type":"event"'])),
  ])();
}

/** The number of a frame: as a rule the next one where it has to have one, and none where it must not. */
function numbered(frame: Frame, count: { next: number } | undefined, { chance, pick, below }: Random): Frame {
  const isTracked = [...TRACKED, 'later'].includes(String(frame['type']));
  if (!count || !isTracked) return chance(0.005) ? { ...frame, seq: 1 + below(3) } : frame;
  if (chance(0.01)) return frame;
  const seq = chance(0.03) ? pick([below(count.next), below(count.next), count.next + 1, 1e9]) : count.next++;
  return { ...frame, seq };
}

/**
 * A message from one side, right or not. Sometimes very long or very deep.
 *
 * @param received how many numbered frames it has sent; undefined where there is no session
 */
export function message(from: Side, random: Random, received?: number): Message {
  const { chance, pick, below } = random;
  const count = received === undefined ? undefined : { next: received + 1 };
  const seldom = ['hello', 'welcome', ...(count ? [] : ['skip'])];
  const types = [...Object.keys(RULES[from]).filter((type) => !seldom.includes(type) || chance(0.1)), 'later'];
  const one = () => {
    let frame = numbered(right(pick(types), random), count, random);
    for (let i = pick([0, 0, 0, 0, 0, 0, 0, 1, 1, 2]); i > 0; i--) frame = bend(frame, random);
    return JSON.stringify(frame);
  };
  if (chance(0.0006))
    return `${pick(['', '['])}{"type":"${pick(types)}","id":${below(1e9)},"method":"echo","name":"n","channel":"c","x":${deep(random)},"data":1,"params":${deep(random)}}`;
  if (chance(0.0003))
    return pick([`{"type":"event","name":"n","data":"${'x'.repeat(LIMIT)}"}`, deep(random), `[${'{},'.repeat(10_000)}{}]`]);
  if (chance(0.12)) {
    const head = new TextEncoder().encode(chance(0.8) ? one() : damage(one(), random));
    const tail = Uint8Array.from({ length: below(20) }, () => below(256));
    const bytes = new Uint8Array([...head, ...(chance(0.95) ? [255] : []), ...tail]);
    if (chance(0.2)) bytes[below(bytes.length)] = below(256);
    return chance(0.1) ? bytes.slice(0, below(bytes.length)) : bytes;
  }
  const size = chance(0.9) ? 1 : pick([0, 2, 2, 3, 3, 5, 64, 65]);
  const json = size === 1 ? one() : `[${Array.from({ length: size }, () => (chance(0.02) ? '[]' : one())).join()}]`;
  return chance(0.15) ? damage(json, random) : json;
}

function deep({ pick }: Random): string {
  const [open, close] = pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  const depth = pick([500, 3_000, 10_000]);
  return open.repeat(depth) + 1 + close.repeat(depth);
}

export const sizeOf = (message: Message) => (typeof message === 'string' ? Buffer.byteLength(message) : message.length);
export const show = (message: unknown) =>
  (typeof message === 'string' ? message : `bytes ${Buffer.from(message as Uint8Array).toString('latin1')}`).slice(0, 600);
