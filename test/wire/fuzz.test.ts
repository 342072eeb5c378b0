/**
 * Hundreds of thousands of messages that are nearly right, against both ends. What should become of each is told by a second reading of
 * docs/protocol.md, written for this test: it shares nothing with the decoder but the document.
 *
 * A failure names its seed: `FUZZ_SEED=… npx vitest run test/wire/fuzz.test.ts` repeats it.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Host, type Port } from '../../src/server/host.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { type LinkSocket, pair } from '../support/link.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const LIMIT = 65_536;

type Frame = Record<string, unknown>;
type Message = string | Uint8Array;
type Side = 'client' | 'server';

// ---- what the protocol says ------------------------------------------------------------------------------------------------------

type Check = (value: unknown) => boolean;
const number: Check = (value) => typeof value === 'number' && value >= 0 && value < Infinity;
const whole: Check = (value) => number(value) && Number(value) % 1 === 0 && Number(value) < 2 ** 53;
const id: Check = (value) => whole(value) && Number(value) > 0;
const text: Check = (value) => typeof value === 'string';
const flag: Check = (value) => value === true || value === false;
const there: Check = (value) => value !== undefined;
const or =
  (check: Check): Check =>
  (value) =>
    value === undefined || value === null || check(value);
const all =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && !value.some((each) => !check(each));
const fields =
  (table: Record<string, Check>): Check =>
  (value) =>
    typeof value === 'object' && !!value && !Array.isArray(value) && Object.entries(table).every(([key, check]) => check(own(value, key)));
const own = (value: object, key: string): unknown => Object.getOwnPropertyDescriptor(value, key)?.value;

const limits = fields({ message: id, window: whole });
const failure = fields({ code: text, message: or(text), retryAfter: or(number) });
const both: Record<string, Check> = {
  ping: fields({ nonce: or(whole) }),
  pong: fields({ nonce: or(whole) }),
  bye: fields({ code: whole, reason: or(text), reconnect: flag, resume: flag, retryAfter: or(number) }),
  event: fields({ name: text, data: there }),
  request: fields({ id, method: text, timeout: or(number) }),
  response: fields({ id }),
  error: fields({ id, error: failure }),
  cancel: fields({ id }),
};
const declared = or(all(fields({ channel: text })));
const results = or(all(fields({ channel: text, recovered: or(flag), error: or(failure) })));
const RULES: Record<Side, Record<string, Check>> = {
  client: {
    ...both,
    hello: fields({ version: id, features: all(text), subscriptions: declared, limits, attempt: whole, cause: or(text) }),
    subscribe: fields({ id, channel: text }),
    unsubscribe: fields({ id, channel: text }),
    publish: fields({ id: or(id), channel: text, data: there }),
  },
  server: {
    ...both,
    welcome: fields({
      version: id,
      features: all(text),
      resumed: flag,
      heartbeat: fields({ interval: id, timeout: id }),
      limits,
      subscriptions: results,
    }),
    unsubscribe: fields({ channel: text, error: or(failure), resubscribe: or(flag) }),
    message: fields({ channel: text, data: there, offset: or(whole), from: or(text) }),
  },
};
const PAYLOAD: Record<string, string> = { event: 'data', publish: 'data', message: 'data', request: 'params', response: 'result' };

/** The known frames of a message, up to the first violation. */
function reading(message: Message, from: Side): { frames: Frame[]; violation: boolean } {
  const frames: Frame[] = [];
  try {
    for (const value of values(message)) {
      if (typeof value !== 'object' || !value || Array.isArray(value)) throw new Error('no object');
      const type = own(value, 'type');
      if (typeof type !== 'string') throw new Error('no type');
      const rule = own(RULES[from], type) as Check | undefined;
      if (rule && !rule(value)) throw new Error('a bad field');
      if (rule) frames.push(value as Frame);
    }
  } catch {
    return { frames, violation: true };
  }
  return { frames, violation: false };
}

/** Escapes may spell it too. What is nested very deep has neither: a reviver would not come to its end. */
function parse(json: string): unknown {
  if (!/__proto__|\\u/.test(json)) return JSON.parse(json);
  return JSON.parse(json, (key, value: unknown) => (key === '__proto__' ? undefined : value));
}

function values(message: Message): unknown[] {
  if (typeof message === 'string') {
    const value = parse(message);
    if (!Array.isArray(value)) return [value];
    if (value.length < 1 || value.length > 64) throw new Error('no batch');
    return value;
  }
  const end = message.indexOf(255);
  if (end < 0) throw new Error('no separator');
  const frame = parse(new TextDecoder('utf-8', { fatal: true }).decode(message.subarray(0, end)));
  const type = own(Object(frame), 'type');
  const field = typeof type === 'string' && own(PAYLOAD, type);
  if (Array.isArray(frame) || typeof field !== 'string') throw new Error('no payload');
  return [{ ...(frame as Frame), [field]: message.slice(end + 1) }];
}

// ---- messages that are nearly right -------------------------------------------------------------------------------------------------

/** The generator of a seed (mulberry32): the same numbers for the same seed, everywhere. */
function generator(seed: number) {
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
type Random = ReturnType<typeof generator>;

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
function right(type: string, random: Random): Frame {
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
function message(from: Side, random: Random): Message {
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

const sizeOf = (message: Message) => (typeof message === 'string' ? Buffer.byteLength(message) : message.length);
const show = (message: unknown) =>
  (typeof message === 'string' ? message : `bytes ${Buffer.from(message as Uint8Array).toString('latin1')}`).slice(0, 600);

// ---- the two ends -------------------------------------------------------------------------------------------------------------------

const stray: unknown[] = [];
const note = (error: unknown) => void stray.push(error);
beforeEach(() => {
  stray.length = 0;
  process.on('uncaughtException', note).on('unhandledRejection', note);
  vi.spyOn(console, 'error').mockImplementation(() => {}); // handlers of the client that fail are told there
});
afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve)); // rejections are noticed at the end of a task
  process.off('uncaughtException', note).off('unhandledRejection', note);
  vi.restoreAllMocks();
  expect(stray, `seed ${SEED}`).toEqual([]);
});

const HELLO = JSON.stringify({
  type: 'hello',
  version: 1,
  features: ['calls', 'channels', 'binary'],
  limits: { message: LIMIT, window: 256 },
  attempt: 0,
});
const handlers = {
  echo: (params: unknown) => params,
  fail: () => {
    throw new Error('as it was told to');
  },
  hang: () => new Promise<never>(() => {}),
};

/** A connection to a host, seen from outside. */
function connect(host: Host, address = 'fuzz') {
  const sent: unknown[] = [];
  const closes: number[] = [];
  const port: Port = host.accept(
    { bufferedAmount: 0, send: (message) => void sent.push(message), close: (code) => void closes.push(code), terminate: () => {} },
    { url: '/', headers: {}, address },
  );
  return { port, sent, closes };
}

const BURST = 6;
const TAKES_AN_ID = ['request', 'subscribe', 'unsubscribe', 'publish'];

/** What a server makes of the messages of one client. */
class ServerModel {
  phase: 'new' | 'open' = 'new';
  readonly used = new Set<number>();
  #limited = 0;

  /** The code it closes with; undefined when it goes on. */
  codeAt(message: Message): number | undefined {
    if (sizeOf(message) > LIMIT) return 4413;
    const { frames, violation } = reading(message, 'client');
    let opening = false;
    for (const { type, id } of frames) {
      if (opening || (type === 'hello') !== (this.phase === 'new')) return 4400;
      opening = type === 'hello';
      if (['event', 'request', 'publish'].includes(String(type)) && ++this.#limited > BURST) return 4429;
      if (!TAKES_AN_ID.includes(String(type)) || typeof id !== 'number') continue;
      if (this.used.has(id)) return 4400;
      this.used.add(id);
    }
    if (opening) this.phase = 'open';
    return violation ? 4400 : undefined;
  }
}

describe(`nearly right messages (seed ${SEED})`, () => {
  it('harm no server: each violation has its close code, and the others notice nothing', { timeout: 60_000 }, async () => {
    const random = generator(SEED);
    const clock = new FakeClock();
    const fail = handlers.fail;
    const options = { handlers: { methods: handlers, events: { n: () => {}, fail } }, limits: { message: LIMIT, rate: 1, burst: BURST } };
    const host = new Host({ ...options, clock, onerror: () => {} });
    const witness = connect(host, 'witness');
    witness.port.receive(HELLO);
    await settled();
    const codes: Record<number, number> = {};
    let received = 0;
    for (let round = 0; received < 140_000; round++) {
      const { port, sent, closes } = connect(host);
      const model = new ServerModel();
      const polite = random.chance(0.9);
      if (polite) port.receive(HELLO);
      if (polite) model.phase = 'open';
      await settled();
      for (let i = 0; i < 200 && model.used.size < 900; i++, received++) {
        const next = message('client', random);
        const expected = model.codeAt(next);
        const where = () => `seed ${SEED}, message ${received}: ${show(next)}`;
        try {
          port.receive(next);
        } catch (error) {
          throw new Error(`It threw: ${error}. ${where()}`);
        }
        if (closes[0] !== expected) expect(closes, where()).toEqual(expected === undefined ? [] : [expected]);
        if (expected === undefined) {
          if (model.phase === 'open' && !polite && i < 3) await settled();
          continue;
        }
        codes[expected] = (codes[expected] ?? 0) + 1;
        if (polite && !String(sent.at(-1)).includes(`{"type":"bye","code":${expected},`))
          throw new Error(`No goodbye: ${sent.at(-1)}. ${where()}`);
        const { length } = sent;
        port.receive('{"type":"ping"}');
        await settled();
        if (sent.length !== length || closes.length !== 1) throw new Error(`Something was said after the close. ${where()}`);
        break;
      }
      port.closed();
      if (round % 50 !== 0) continue;
      witness.port.receive(`{"type":"ping","nonce":${round}}`);
      await settled();
      expect(witness.sent.at(-1), `seed ${SEED}`).toBe(`{"type":"pong","nonce":${round}}`);
    }
    await settled();
    expect(witness.closes).toEqual([]);
    expect(host.connections).toBe(1);
    expect(clock.pending).toBe(1); // the pulse of the witness: nobody left a timer behind
    expect(Object.keys(codes)).toEqual(['4400', '4413', '4429']);
  });

  it('harm no client: each violation closes with 4003, and the next connection works', { timeout: 60_000 }, async () => {
    const random = generator(SEED + 1);
    const p = pair({ messageLimit: LIMIT }, { handlers: { methods: handlers } });
    for (const [name, handler] of Object.entries(handlers)) p.client.handle(name, handler);
    const alive: unknown[] = [];
    p.client.on('alive', (data) => void alive.push(data));
    p.client.on('fail', handlers.fail);
    for (const name of ['c', 'd']) p.client.channel(name).subscribe(() => {});
    await p.settle();
    let received = 0;
    let violations = 0;
    for (let round = 0; received < 70_000; round++) {
      const { socket } = p;
      const said = closesOf(socket);
      const used = new Set<unknown>();
      for (let i = 0; i < 200 && used.size < 900; i++, received++) {
        const next = message('server', random);
        const where = () => `seed ${SEED}, message ${received}: ${show(next)}`;
        const { frames, violation } = reading(next, 'server');
        let wrong = violation || next.length > LIMIT;
        for (const { type, id } of frames) {
          if (type !== 'request') continue;
          wrong ||= used.has(id);
          used.add(id);
        }
        socket.deliver(typeof next === 'string' ? next : next.slice().buffer);
        for (let tick = 0; tick < 3; tick++) await Promise.resolve();
        if (stray.length > 0) throw new Error(`It threw: ${stray[0]}. ${where()}`);
        if ((said[0] === 4003) !== wrong) expect(said, where()).toEqual(wrong ? [4003] : []);
        if (!wrong) continue;
        violations++;
        if (!p.log.findLast((line) => line.startsWith('close'))?.startsWith('close 4003')) throw new Error(`No close event. ${where()}`);
        p.log.length = 0;
        break;
      }
      p.client.reconnect();
      await settled();
      await settled();
      p.socket.deliver(`{"type":"event","name":"alive","data":${round}}`);
      await settled();
      if (alive.pop() !== round)
        throw new Error(`The connection after it did not work. Seed ${SEED}, round ${round}, ${p.client.state.status}`);
    }
    expect(violations).toBeGreaterThan(1_000);
    const closed = p.client.close();
    await p.clock.advance(2_000); // while it waits for the next attempt, its end takes a timer
    await closed;
    await p.settle();
    expect(p.client.stats.pendingCalls).toBe(0);
    expect(p.clock.pending).toBe(0);
  });

  it('in the place of a welcome harm no client: it waits, opens, or closes with 4003', { timeout: 60_000 }, async () => {
    const random = generator(SEED + 2);
    const p = pair();
    p.reachable = false;
    let opened = 0;
    for (let received = 0; received < 8_000; received++) {
      p.client.reconnect();
      await settled();
      const said = closesOf(p.socket);
      p.socket.accept({ accept: () => ({ receive: () => {}, closed: () => {} }) });
      await settled();
      const next = random.chance(0.4) ? JSON.stringify(right('welcome', random)) : message('server', random);
      const { frames, violation } = reading(next, 'server');
      const first = frames.findIndex(({ type }) => type !== 'bye');
      const type = frames[first]?.['type'];
      // What shares a message with the welcome is the business of other tests.
      if (type === 'welcome' && (frames.length > first + 1 || violation)) continue;
      const opens = type === 'welcome' && frames[first]?.['version'] === 1;
      p.socket.deliver(typeof next === 'string' ? next : next.slice().buffer);
      await settled();
      const wrong = violation || (type !== undefined && !opens);
      const { status } = p.client.state;
      const fine = wrong ? said[0] === 4003 : said.length === 0 && status === (opens ? 'open' : 'connecting');
      if (!fine || stray.length > 0)
        throw new Error(`It is ${status}, said ${said}, threw ${stray}. seed ${SEED}, message ${received}: ${show(next)}`);
      if (opens) opened++;
    }
    expect(opened).toBeGreaterThan(1_000);
    const closed = p.client.close();
    await p.clock.advance(2_000); // while it waits for the next attempt, its end takes a timer
    await closed;
    expect(p.clock.pending).toBe(0);
  });
});

/** The codes that a client closes a socket with, from now on. */
function closesOf(socket: LinkSocket): (number | undefined)[] {
  const codes: (number | undefined)[] = [];
  const close = socket.close.bind(socket);
  socket.close = (code, reason) => {
    codes.push(code);
    close(code, reason);
  };
  return codes;
}
