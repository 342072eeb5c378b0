/** Messages that are nearly right, from a seed: valid frames with something done to them. */

import { type Frame, type Message, RULES, type Side } from './second-reading.ts';

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
  'seq', 'limits', 'message', 'features', 'version', 'subscriptions', 'retryAfter', 'offset', 'from', 'toJSON', 'then', '__proto__', 'constructor', '']; // biome-ignore format: a list

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
      return chance(0.5) ? { type, nonce: below(99) } : { type };
    case 'pong':
      return { type, nonce: below(99) };
    case 'bye':
      return { type, code: pick([1000, 4100, 4401, 4409, 4600, 4800]), reason: 'r', reconnect: chance(0.5), resume: false };
    case 'event':
      return { type, name: pick(['n', 'other', 'fail']), data: some() };
    case 'request':
      return {
        type,
        id,
        method: pick(['echo', 'fail', 'hang', 'none', 'constructor']),
        params: some(),
        ...(chance(0.5) && { timeout: id }),
      };
    case 'response':
      return { type, id: 1 + below(9), result: some() };
    case 'error':
      return { type, id: 1 + below(9), error: error() };
    case 'hello':
      return { type, version: 1, features: ['calls'], limits, attempt: 0, subscriptions: [{ channel }] };
    case 'welcome':
      return {
        type,
        version: 1,
        features: [],
        resumed: false,
        heartbeat: { interval: 9, timeout: 9 },
        limits,
        subscriptions: [{ channel }],
      };
    case 'publish':
      return { type, ...(chance(0.7) && { id }), channel, data: some() };
    case 'message':
      return { type, channel, data: some(), ...(chance(0.3) && { offset: below(9), from: 'f' }) };
    case 'unsubscribe':
      return { type, id, channel, ...(chance(0.5) && { error: error(), resubscribe: chance(0.5) }) };
    default: // subscribe, cancel, and what is unknown
      return { type, id, channel, params: some() };
  }
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

/** A message from one side, right or not. Sometimes very long or very deep. */
export function message(from: Side, random: Random): Message {
  const { chance, pick, below } = random;
  const types = [...Object.keys(RULES[from]).filter((type) => (type !== 'hello' && type !== 'welcome') || chance(0.1)), 'later'];
  const one = () => {
    let frame = right(pick(types), random);
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
  const count = chance(0.9) ? 1 : pick([0, 2, 2, 3, 3, 5, 64, 65]);
  const json = count === 1 ? one() : `[${Array.from({ length: count }, () => (chance(0.02) ? '[]' : one())).join()}]`;
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
