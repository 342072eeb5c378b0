/**
 * Hundreds of thousands of messages that are nearly right, against both ends. What should become of each is told by a second reading of
 * docs/protocol.md, written for this test: it shares nothing with the decoder but the document.
 *
 * `FUZZ_SEED=… npx vitest run test/wire/fuzz.test.ts` runs others than the usual ones.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Host, type Port } from '../../src/server/host.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { framesIn, type LinkSocket, pair } from '../support/link.ts';
import { generator, LIMIT, message, right, show, sizeOf } from '../support/nearly-right.ts';
import { acknowledged, Count, type Frame, type Message, reading } from '../support/second-reading.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? 1);

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

const HELLO = {
  type: 'hello',
  version: 1,
  features: ['calls', 'channels', 'binary'],
  limits: { message: LIMIT, window: 256 },
  attempt: 0,
};
/** The same with sessions. */
const RESUMING = { ...HELLO, features: [...HELLO.features, 'resume'] };
/** How long a session is waited for: shorter than the heartbeat. */
const TTL = 1_000;
const handlers = {
  echo: (params: unknown) => params,
  fail: () => {
    throw new Error('as it was told to');
  },
  hang: () => new Promise<never>(() => {}),
  async *items() {
    yield* [1, new Uint8Array(2), null];
  },
};

/** A connection to a host, seen from outside; `written` is the highest number that the host wrote. */
function connect(host: Host, address = 'fuzz') {
  const sent: unknown[] = [];
  const closes: number[] = [];
  const seen = { written: 0 };
  const send = (message: string | Uint8Array) => {
    sent.push(message);
    seen.written = Math.max(seen.written, lastNumber(message));
  };
  const port: Port = host.accept(
    { bufferedAmount: 0, send, close: (code) => void closes.push(code), terminate: () => {} },
    { url: '/', headers: {}, address },
  );
  return { port, sent, closes, seen };
}

/** The highest number in a message; 0 where there is none. */
const lastNumber = (message: string | Uint8Array | ArrayBuffer) => Math.max(0, ...framesIn(message).map(({ seq }) => Number(seq ?? 0)));

const BURST = 6;
/** Most items that may be asked for. */
const MAX_CREDIT = 65_536;
const TAKES_AN_ID = ['request', 'subscribe', 'unsubscribe', 'publish'];
const isLimited = (type: unknown) => ['event', 'request', 'publish'].includes(String(type));

/**
 * Whether nobody outside can know what becomes of these frames: one acknowledges what may have been written in answer to those before it, or
 * gives credit to a stream that may be running, or may not be one at all.
 */
const isDoubtful = (frames: readonly Frame[], written: number, used: ReadonlySet<unknown>) =>
  frames.some((frame, i) => {
    const said = acknowledged(frame) ?? 0;
    const isKnown = used.has(frame['id']) || frames.some(({ type, id }) => type === 'request' && id === frame['id']);
    const isFlood = frame['stream'] === true && Number(frame['credit']) > MAX_CREDIT;
    return (said > written && said <= written + i) || (frame['type'] === 'credit' && isKnown) || isFlood;
  });

/** What a server makes of the messages of one client. */
class ServerModel {
  phase: 'new' | 'open' | 'left' = 'new';
  readonly used = new Set<number>();
  count = new Count(false);
  #limited = 0;
  readonly #subscribed = new Set<unknown>();

  welcomed({ features }: Frame): void {
    this.phase = 'open';
    this.count = new Count((features as string[]).includes('resume'));
  }

  /**
   * The code it closes with; undefined when it goes on.
   *
   * @param written the highest number that the server has written
   */
  codeAt(message: Message, written: number): number | undefined {
    if (sizeOf(message) > LIMIT) return 4413;
    const { frames, violation } = reading(message, 'client');
    let hello: Frame | undefined;
    for (const frame of frames) {
      const { type } = frame;
      if (hello || (type === 'hello') !== (this.phase === 'new')) return 4400;
      if (type === 'hello') hello = frame;
      const code = hello ? undefined : this.#codeOf(frame, written);
      if (code !== undefined) return code;
      if (this.phase === 'left') return undefined;
    }
    if (hello) this.welcomed(hello);
    return violation ? 4400 : undefined;
  }

  #codeOf(frame: Frame, written: number): number | undefined {
    const { type, id } = frame;
    if (this.count.isSession && (acknowledged(frame) ?? 0) > written) return 4400;
    // Who says goodbye says nothing more; what comes all the same is another matter.
    if (type === 'bye' && frame['resume'] === false) this.phase = 'left';
    const fate = this.count.take(frame);
    if (fate === 'drop') return undefined;
    if (fate !== 'handle') return fate === 'gap' ? 4412 : 4400;
    if (isLimited(type) && ++this.#limited > BURST) return 4429;
    if (!TAKES_AN_ID.includes(String(type)) || typeof id !== 'number') return undefined;
    if (this.used.has(id)) return 4400;
    this.used.add(id);
    const isAgain = type === 'subscribe' && this.#subscribed.size === this.#subscribed.add(frame['channel']).size;
    return isAgain && ++this.#limited > BURST ? 4429 : undefined;
  }
}

describe(`nearly right messages (seed ${SEED})`, () => {
  it('harm no server: each violation has its close code, and the others notice nothing', { timeout: 120_000 }, async () => {
    const random = generator(SEED);
    const clock = new FakeClock();
    const fail = handlers.fail;
    const limits = { message: LIMIT, rate: 1, burst: BURST };
    const options = { handlers: { methods: handlers, events: { n: () => {}, fail } }, limits, sessions: { ttl: TTL } };
    const host = new Host({ ...options, clock, onerror: () => {} });
    const witness = connect(host, 'witness');
    witness.port.receive(JSON.stringify(HELLO));
    await settled();
    const codes: Record<number, number> = {};
    let received = 0;
    for (let round = 0; received < 140_000; round++) {
      const { port, sent, closes, seen } = connect(host);
      const model = new ServerModel();
      const polite = random.chance(0.9);
      const hello = random.chance(0.5) ? RESUMING : HELLO;
      if (polite) port.receive(JSON.stringify(hello));
      if (polite) model.welcomed(hello);
      await settled();
      for (let i = 0; i < 200 && model.used.size < 900; i++, received++) {
        const { isSession } = model.count;
        const next = message('client', random, isSession ? model.count.received : undefined);
        const { written } = seen;
        if (isDoubtful(reading(next, 'client').frames, isSession ? written : Infinity, model.used)) continue;
        const left = model.phase === 'left';
        const expected = left ? undefined : model.codeAt(next, written);
        const where = () => `seed ${SEED}, message ${received}: ${show(next)}`;
        try {
          port.receive(next);
        } catch (error) {
          throw new Error(`It threw: ${error}. ${where()}`);
        }
        if (!left && model.phase !== 'left' && closes[0] !== expected)
          expect(closes, where()).toEqual(expected === undefined ? [] : [expected]);
        if (closes.length === 0) {
          if (isSession || (model.phase === 'open' && !polite && i < 3)) await settled();
          continue;
        }
        if (!left && model.phase !== 'left') codes[Number(expected)] = (codes[Number(expected)] ?? 0) + 1;
        if (polite && !sent.some((each) => String(each).includes(`{"type":"bye","code":${closes[0]},`)))
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
    await clock.advance(TTL); // then nobody is waited for any more
    expect(host.clients).toHaveLength(1);
    expect(clock.pending).toBe(1); // the pulse of the witness: nobody left a timer behind
    expect(Object.keys(codes)).toEqual(['4400', '4412', '4413', '4429']);
  });

  it('harm no client: each violation closes with 4003 or 4412, and the next connection works', { timeout: 120_000 }, async () => {
    const random = generator(SEED + 1);
    const p = pair({ messageLimit: LIMIT }, { handlers: { methods: handlers }, sessions: { ttl: TTL } });
    for (const [name, handler] of Object.entries(handlers)) p.client.handle(name, handler);
    const alive: unknown[] = [];
    p.client.on('alive', (data) => void alive.push(data));
    p.client.on('fail', handlers.fail);
    for (const name of ['c', 'd']) p.client.channel(name).subscribe(() => {});
    await p.settle();
    let received = 0;
    const codes: Record<number, number> = {};
    for (let round = 0; received < 70_000; round++) {
      const { socket } = p;
      const said = closesOf(socket);
      const spoken = deafen(socket);
      const model = new ClientModel();
      for (let i = 0; i < 200 && model.used.size < 900; i++, received++) {
        const next = message('server', random, model.count.received);
        const where = () => `seed ${SEED}, message ${received}: ${show(next)}`;
        if (model.isDoubtful(next, spoken.written)) continue;
        const expected = model.codeAt(next, spoken.written, spoken.asked);
        socket.deliver(typeof next === 'string' ? next : next.slice().buffer);
        await settled();
        if (stray.length > 0) throw new Error(`It threw: ${stray[0]}. ${where()}`);
        if (said[0] !== expected) expect(said, where()).toEqual(expected === undefined ? [] : [expected]);
        if (expected === undefined) continue;
        codes[expected] = (codes[expected] ?? 0) + 1;
        const close = p.log.findLast((line) => line.startsWith('close'));
        if (!close?.startsWith(`close ${expected}`)) throw new Error(`No close event. ${where()}`);
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
    expect(codes[4003]).toBeGreaterThan(1_000);
    expect(codes[4412]).toBeGreaterThan(100);
    const closed = p.client.close();
    await p.clock.advance(2_000); // while it waits for the next attempt, its end takes a timer
    await closed;
    await p.settle();
    expect(p.client.stats.pendingCalls).toBe(0);
    expect([p.clock.pending, p.host.clients]).toEqual([0, []]);
  });

  it('in the place of a welcome harm no client: it waits, opens, or closes with 4003 or 4412', { timeout: 120_000 }, async () => {
    const random = generator(SEED + 2);
    const p = pair();
    p.reachable = false;
    const opened = { new: 0, again: 0 };
    for (let received = 0; received < 8_000; received++) {
      p.client.reconnect();
      await settled();
      const said = closesOf(p.socket);
      p.socket.accept({ accept: () => ({ receive: () => {}, alive: () => {}, closed: () => {} }) });
      await settled();
      const next = random.chance(0.4) ? JSON.stringify(right('welcome', random)) : message('server', random);
      const { frames, violation } = reading(next, 'server');
      const first = frames.findIndex(({ type }) => type !== 'bye');
      const answer = frames[first];
      // What shares a message with the welcome is the business of other tests.
      if (answer?.['type'] === 'welcome' && (frames.length > first + 1 || violation)) continue;
      const wanted = p.frames()[0]?.['resume'] as { readonly session: string } | undefined;
      const code = violation ? 4003 : answer && codeOfWelcome(answer, wanted?.session);
      const opens = answer !== undefined && code === undefined;
      p.socket.deliver(typeof next === 'string' ? next : next.slice().buffer);
      await settled();
      const { status } = p.client.state;
      const fine = code ? said[0] === code : said.length === 0 && status === (opens ? 'open' : 'connecting');
      if (!fine || stray.length > 0)
        throw new Error(`It is ${status}, said ${said}, threw ${stray}. seed ${SEED}, message ${received}: ${show(next)}`);
      if (opens) opened[answer['resumed'] ? 'again' : 'new']++;
    }
    expect(opened.new).toBeGreaterThan(1_000);
    expect(opened.again).toBeGreaterThan(50);
    const closed = p.client.close();
    await p.clock.advance(2_000); // while it waits for the next attempt, its end takes a timer
    await closed;
    expect(p.clock.pending).toBe(0);
  });
});

/** What a client makes of the messages of its server, in a session. */
class ClientModel {
  readonly used = new Set<unknown>();
  readonly count = new Count(true);

  /** Whether its fate depends on what the client writes at the same time, which nobody outside can know. */
  isDoubtful(message: Message, written: number): boolean {
    const { frames } = reading(message, 'server');
    const asks = frames.findIndex(({ type }) => type === 'unsubscribe');
    const isAnswered = (frame: Frame, i: number) => i > asks && answers(frame);
    return isDoubtful(frames, written, this.used) || (asks >= 0 && frames.some(isAnswered));
  }

  /**
   * The code it closes with; undefined when it goes on.
   *
   * @param written the highest number that the client has written
   * @param asked the ids of what it has asked about channels
   */
  codeAt(message: Message, written: number, asked: Set<unknown>): number | undefined {
    if (message.length > LIMIT) return 4003;
    const { frames, violation } = reading(message, 'server');
    for (const frame of frames) {
      const { type, id } = frame;
      if ((acknowledged(frame) ?? 0) > written) return 4003;
      const fate = this.count.take(frame, answers(frame) ? (asked.has(id) ? 'direct' : 'nothing') : undefined);
      if (fate === 'drop') continue;
      if (fate !== 'handle') return fate === 'gap' ? 4412 : 4003;
      if (answers(frame)) asked.delete(id);
      if (type !== 'request') continue;
      if (this.used.has(id)) return 4003;
      this.used.add(id);
    }
    return violation ? 4003 : undefined;
  }
}

const answers = ({ type }: Frame) => type === 'response' || type === 'error';

/** The code at which a client gives up that gets this for a welcome; undefined when it opens. */
function codeOfWelcome(frame: Frame, wanted: string | undefined): number | undefined {
  const { type, version, features, session, key, resumed, received } = frame;
  if (type !== 'welcome' || version !== 1) return 4003;
  const isSession = (features as string[]).includes('resume');
  if (isSession && (typeof session !== 'string' || typeof key !== 'string')) return 4003;
  if (isSession && resumed && typeof received !== 'number') return 4003;
  if (!resumed) return undefined;
  if (wanted === undefined) return 4003; // it goes on with what nobody has
  return isSession && session === wanted && received === 0 ? undefined : 4412; // or it has what nobody wrote
}

/** From now on the server does not hear the client: what it is told is not what it said. Returns what the client says, and asks. */
function deafen(socket: LinkSocket): { readonly written: number; readonly asked: Set<unknown> } {
  const spoken = { written: 0, asked: new Set<unknown>() };
  socket.send = (message) => {
    spoken.written = Math.max(spoken.written, lastNumber(message));
    for (const { type, id } of framesIn(message)) if (/subscribe/.test(type)) spoken.asked.add(id);
  };
  return spoken;
}

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
