/**
 * Hundreds of thousands of messages that are nearly right, against both ends. What should become of each is told by a second reading of
 * docs/protocol.md, written for this test: it shares nothing with the decoder but the document.
 *
 * `FUZZ_SEED=… npx vitest run test/wire/fuzz.test.ts` runs others than the usual ones.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Host, type Port } from '../../src/server/host.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { type LinkSocket, pair } from '../support/link.ts';
import { generator, LIMIT, message, right, show, sizeOf } from '../support/nearly-right.ts';
import { type Message, reading } from '../support/second-reading.ts';

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
      p.socket.accept({ accept: () => ({ receive: () => {}, alive: () => {}, closed: () => {} }) });
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
