/** A message that ends the server which reads it, each time: it is found out, and given up, and nothing else is. */

import { describe, expect, it } from 'vitest';
import type { ClientOptions } from '../../src/client-options.ts';
import { SessionLostError } from '../../src/errors.ts';
import { type HandServer, handServer, listens, told } from '../support/hand-server.ts';
import type { Frame } from '../support/link.ts';

/** Whether the server dies of a frame. */
type Deadly = (frame: Frame) => boolean;
const isPoison: Deadly = ({ name, channel, method }) => [name, channel, method].includes('poison');

/** A server that remembers no session when it has died. */
class Mortal {
  readonly s: HandServer;
  /** What was written in each of its lives. */
  readonly lives: string[][] = [];
  readonly #isDeadly: Deadly;
  readonly #welcome: object;

  constructor(options: ClientOptions = {}, isDeadly: Deadly = isPoison, welcome: object = {}) {
    this.s = handServer(options);
    this.#isDeadly = isDeadly;
    this.#welcome = welcome;
  }

  /** Is reborn, and lives until nobody says anything any more, or it has died. False when it has. */
  async live(): Promise<boolean> {
    const { s } = this;
    await s.welcomes({ session: `life ${this.lives.push([])}`, ...this.#welcome });
    const { heard, all } = await listens(s, this.#isDeadly);
    this.lives.at(-1)?.push(...heard);
    if (!all) await s.cuts();
    return all;
  }

  /** Lives again and again, until it does not die, which is at the n-th life. */
  async survive(most = 20): Promise<number> {
    for (let i = 1; i <= most; i++) if (await this.live()) return i;
    throw new Error(`it died ${most} times`);
  }
}

describe('an event that ends its server', () => {
  it('is written alone from the third life on, and is given up after the fifth; the others arrive', async () => {
    const m = new Mortal();
    const states: string[] = [];
    m.s.client.addEventListener('drop', () => states.push(m.s.client.state.status));
    const receipts = ['a', 'b', 'poison', 'c', 'd'].map((name) => m.s.client.send(name));
    const failure = receipts[2]?.acknowledged.catch((error: unknown) => error);
    expect(await m.survive()).toBe(6);
    const all = ['event a #1', 'event b #2', 'event poison #3'];
    expect(m.lives).toEqual([
      all,
      all,
      // A sign of life before each one, and after it.
      ['ping', 'event a #1', 'ping', 'event b #2', 'ping', 'event poison #3'],
      ['ping', 'event poison #1'],
      ['ping', 'event poison #1'],
      ['ping', 'event c #1', 'ping', 'event d #2', 'ping'],
    ]);
    expect(m.s.log.filter((line) => line.startsWith('drop'))).toEqual(['drop event poison poison']);
    expect(states).toEqual(['open']); // not while it opens
    expect(await failure).toBeInstanceOf(SessionLostError);
    expect(await failure).toMatchObject({ maybeExecuted: true, message: expect.stringContaining('5 times') });
    expect(receipts.map(({ status }) => status)).toEqual(['acknowledged', 'acknowledged', 'dropped', 'acknowledged', 'acknowledged']);
    expect(m.s.client.stats).toMatchObject({ dropped: 1, queuedMessages: 0, unacknowledgedMessages: 0 });
  });

  it('holds back what was sent later, until it is known to be innocent', async () => {
    const m: Mortal = new Mortal({}, ({ name }) => name === 'suspect' && m.lives.length < 3);
    m.s.client.send('suspect');
    await m.live();
    await m.live();
    m.s.client.send('later', null, { priority: 9 });
    expect(await m.live()).toBe(true);
    expect(m.lives[2]).toEqual(['ping', 'event suspect #1', 'ping', 'event later #2']);
    expect(m.s.client.stats).toMatchObject({ dropped: 0, acknowledged: 2 });
  });

  it('is dropped for the first loss with `unacknowledged: drop`', async () => {
    const m = new Mortal({ unacknowledged: 'drop' });
    m.s.client.send('poison');
    expect(await m.survive()).toBe(2);
    expect(m.s.log).toContain('drop event poison session-lost');
  });

  it('leaves nothing waiting where it is the last of all: the next one goes at once', async () => {
    const m = new Mortal();
    m.s.client.send('poison');
    expect(await m.survive()).toBe(6);
    m.s.client.send('after');
    await m.s.clock.advance(0);
    expect(told(m.s.news())).toEqual(['event after #1']);
  });
});

it.each([
  ['a published message', (m: Mortal) => m.s.client.channel('poison').publish('x').acknowledged, 'drop publish poison poison'],
  ['an idempotent call', (m: Mortal) => m.s.client.call('poison', null, { idempotent: true, timeout: Infinity }), undefined],
] as const)('%s that ends its server is given up alike', async (_, ask, drop) => {
  const m = new Mortal({}, isPoison, { idempotency: 600_000 });
  const failure = ask(m).catch((error: unknown) => error);
  m.s.client.send('innocent');
  expect(await m.survive()).toBe(6);
  expect(await failure).toMatchObject({ name: 'SessionLostError', maybeExecuted: true });
  expect(m.s.log.filter((line) => line.startsWith('drop'))).toEqual(drop ? [drop] : []);
  expect(m.s.client.stats).toMatchObject({ acknowledged: 1, pendingCalls: 0 });
});

describe('innocent messages are never given up', () => {
  it('by a server that dies of whatever is said first, fifty times', async () => {
    const m: Mortal = new Mortal({}, ({ type }) => m.lives.length <= 50 && type !== 'hello');
    const names = ['a', 'b', 'c'];
    const receipts = names.map((name) => m.s.client.send(name));
    expect(await m.survive(60)).toBe(51);
    expect(receipts.map(({ status }) => status)).toEqual(names.map(() => 'acknowledged'));
    // Two lives in which only a ping was said are an alibi for all: they are written as ever.
    expect(m.lives.slice(0, 5).map(([first]) => first)).toEqual(['event a #1', 'event a #1', 'ping', 'ping', 'event a #1']);
  });

  it('by a server that dies of everything twice, one after the other', async () => {
    const deaths = new Map<unknown, number>();
    const m: Mortal = new Mortal({}, ({ type, name }) => {
      const count = (deaths.get(name) ?? 0) + (type === 'event' ? 1 : 0);
      deaths.set(name, count);
      return type === 'event' && count <= 2;
    });
    const receipts = ['a', 'b', 'c', 'd'].map((name) => m.s.client.send(name));
    await m.survive();
    expect(receipts.map(({ status }) => status)).toEqual(receipts.map(() => 'acknowledged'));
    expect(m.s.client.stats.dropped).toBe(0);
  });

  it('where connections are lost and the session goes on', async () => {
    const s = handServer();
    await s.welcomes();
    const receipt = s.client.send('a');
    await s.clock.advance(0);
    for (let i = 0; i < 20; i++) {
      s.news();
      await s.cuts();
      await s.welcomes({ resumed: true, received: 0 });
      expect(told(s.news())).toEqual(['event a #1']);
    }
    await s.says({ type: 'ack', received: 1 });
    await receipt.acknowledged;
  });
});

it('a suspect whose connection is lost is written again in its session, and nothing with it', async () => {
  const m = new Mortal();
  m.s.client.send('poison');
  await m.live();
  await m.live();
  const { s } = m;
  await s.welcomes({ session: 'third' });
  await s.clock.advance(3_000);
  const [ping] = s.news();
  await s.says({ type: 'pong', nonce: ping?.['nonce'], received: 0 });
  expect(told(s.news())).toEqual(['event poison #1', 'ping']);
  s.client.send('later');
  await s.cuts();
  await s.welcomes({ session: 'third', resumed: true, received: 0 });
  expect(told(s.news())).toEqual(['event poison #1', 'ping']);
  await s.cuts();
  expect(await m.survive()).toBe(3); // the fourth and the fifth session, and another one
  expect(s.log.filter((line) => line.startsWith('drop'))).toEqual(['drop event poison poison']);
  expect(s.client.stats).toMatchObject({ acknowledged: 1 });
});
