/** Sessions, from the client's side: a server that counts wrongly, lies about what it has, or closes. */

import { describe, expect, it } from 'vitest';
import { SessionLostError } from '../../src/errors.ts';
import { another, type HandServer, handServer, resumed, told, WELCOME } from '../support/hand-server.ts';
import { listening as listeningPair } from './support.ts';

const event = (seq?: number, data: unknown = seq) => ({ type: 'event', name: 'a', data, ...(seq !== undefined && { seq }) });

/** A client that is there, what it heard, and the code it closed its first connection with. */
async function listening(welcome: object = {}) {
  const s = handServer();
  const heard: unknown[] = [];
  s.client.on('a', (data) => void heard.push(data));
  await s.welcomes(welcome);
  const [first] = s.sockets;
  return { s, heard, code: () => first?.closes[0]?.[0] };
}

/** The next hello asks for no session, and the one after it for the new one: nothing goes round in circles. */
async function beginsAnew(s: HandServer) {
  await s.waits();
  expect(s.hello).toMatchObject({ type: 'hello' });
  expect(s.asked).toBeUndefined();
  const { length } = s.sockets;
  await s.welcomes(another());
  expect(s.client.state.status).toBe('open');
  await s.clock.advance(3_000);
  expect(s.sockets).toHaveLength(length);
  await s.cuts();
  expect(s.asked).toMatchObject({ session: 'second', key: 'other', generation: 1 });
}

describe('a number', () => {
  it('that was received before is dropped, and acknowledged again at once', async () => {
    const { s, heard } = await listening();
    await s.says(event(1), event(2));
    s.news();
    await s.says(event(1), event(2));
    expect(heard).toEqual([1, 2]);
    expect(told(s.news())).toEqual(['ack 2']);
    await s.says(event(3));
    expect(heard).toEqual([1, 2, 3]);
  });

  it('that is missing closes with 4412 and gives the session up; what came before it was handled', async () => {
    const { s, heard, code } = await listening();
    const lost = s.client.call('lost').catch((error: unknown) => error);
    await s.clock.advance(0);
    await s.says([event(1), event(3), event(2)]);
    expect([heard, code()]).toEqual([[1], 4_412]);
    expect(await lost).toBeInstanceOf(SessionLostError);
    await beginsAnew(s);
  });

  it.each([
    ['welcome', { ...event(2) }],
    ['welcome', { type: 'request', id: 1, method: 'a' }],
    ['welcome', { type: 'ack', received: 9 }],
  ])('that is wrong in the same message as the %s is a violation too: %j', async (_type, frame) => {
    const s = handServer();
    await s.waits();
    await s.says([WELCOME, frame]);
    expect(s.socket.closes[0]?.[0]).toBe(frame.type === 'event' ? 4_412 : 4_003);
    await s.waits();
    expect(s.asked).toBeUndefined();
  });

  it('of a skip, and of a type that nobody knows, counts', async () => {
    const { s, heard, code } = await listening();
    await s.says({ type: 'skip', seq: 1 }, { type: 'from-the-future', seq: 2, id: -1 }, { type: 'from-the-future' }, event(3));
    expect([heard, code()]).toEqual([[3], undefined]);
    await s.clock.advance(1_000);
    expect(told(s.news())).toEqual(['ack 3']);
  });

  it('is not needed by an event that is volatile, and by an answer that nobody waits for', async () => {
    const { s, heard, code } = await listening();
    await s.says(event(undefined, 'volatile'), { type: 'response', id: 77, result: 1 }, { type: 'error', id: 78, error: { code: 'NO' } });
    await s.says(event(1));
    expect([heard, code()]).toEqual([['volatile', 1], undefined]);
  });

  it.each([
    ['a request without one', { type: 'request', id: 1, method: 'm' }],
    ['a request with null', { type: 'request', id: 1, method: 'm', seq: null }],
    ['a cancel without one', { type: 'cancel', id: 1 }],
    ['the answer to a call without one', { type: 'response', id: 1, result: 1 }],
    ['the refusal of a call without one', { type: 'error', id: 1, error: { code: 'NO' } }],
    ['the answer to a subscribe with one', { type: 'response', id: 2, result: { channel: 'room' }, seq: 1 }],
    ['the refusal of a subscribe with one', { type: 'error', id: 2, error: { code: 'NO' }, seq: 1 }],
    ['a skip without one', { type: 'skip' }],
    ['a ping with one', { type: 'ping', seq: 1 }],
    ['a pong with one', { type: 'pong', seq: 1 }],
    ['an ack with one', { type: 'ack', received: 0, seq: 1 }],
    ['a bye with one', { type: 'bye', code: 4_600, reconnect: true, resume: true, seq: 1 }],
    ['a welcome with one', { ...WELCOME, seq: 1 }],
    ['a message with one', { type: 'message', channel: 'room', data: 1, seq: 1 }],
    ['an unsubscribe with one', { type: 'unsubscribe', channel: 'room', seq: 1 }],
    ['0', event(0)],
    ['-1', event(-1)],
    ['a fraction', event(1.5)],
    ['2^53', event(2 ** 53)],
    ['a text', { ...event(1), seq: '1' }],
    ['one of a type that nobody knows, which is none', { type: 'from-the-future', seq: 'x' }],
  ])('in the wrong place, or none in the right one, is a violation (4003), and the session is given up: %s', async (_what, frame) => {
    const { s, code, heard } = await listening();
    s.client.call('m').catch(() => {});
    s.client.channel('room').subscribe();
    await s.clock.advance(0);
    expect(told(s.news())).toEqual(['request m #1', 'subscribe room']);
    await s.says(frame);
    expect([heard, code()]).toEqual([[], 4_003]);
    await s.waits();
    expect(s.asked).toBeUndefined();
  });
});

describe('an acknowledgement', () => {
  it.each([
    ['ack', { type: 'ack', received: 2 }],
    ['ping', { type: 'ping', received: 2 }],
    ['pong', { type: 'pong', received: 2 }],
    ['bye', { type: 'bye', code: 4_600, reconnect: true, resume: true, received: 2 }],
    ['ack of everything', { type: 'ack', received: Number.MAX_SAFE_INTEGER }],
    ['ack of a fraction', { type: 'ack', received: 0.5 }],
    ['ack of less than nothing', { type: 'ack', received: -1 }],
  ])('of what was never sent is a violation: %s', async (_type, frame) => {
    const { s, code } = await listening();
    s.client.send('only');
    await s.clock.advance(0);
    await s.says(frame);
    expect(code()).toBe(4_003);
    await s.waits();
    expect(s.asked).toBeUndefined();
  });

  it('of the past changes nothing; the latest counts, in whatever frame it comes', async () => {
    const { s, code } = await listening();
    const receipts = ['a', 'b', 'c', 'd'].map((name) => s.client.send(name));
    const statuses = () => receipts.map(({ status }) => status[0]).join('');
    await s.clock.advance(0);
    await s.says({ type: 'ack', received: 2 }, { type: 'ack', received: 0 }, { type: 'ack', received: 1 });
    expect(statuses()).toBe('aass');
    await s.says({ type: 'ping', received: 3 });
    expect(statuses()).toBe('aaas');
    await s.says({ type: 'pong', received: 1 }, { type: 'bye', code: 4_100, reconnect: true, resume: true, received: 4 });
    expect([statuses(), code()]).toEqual(['aaaa', undefined]);
  });

  it('in the middle of what is written again leaves out what it covers', async () => {
    const { s } = await listening();
    for (const name of ['a', 'b', 'c']) s.client.send(name);
    await s.clock.advance(0);
    await s.cuts();
    s.news();
    await s.says([
      { ...WELCOME, ...resumed(0) },
      { type: 'ack', received: 2 },
    ]);
    const [first, ...rest] = told(s.news()).reverse();
    expect([first, s.client.stats.unacknowledgedMessages]).toEqual(['event c #3', 1]);
    expect(rest.length).toBeLessThanOrEqual(2);
  });
});

describe('a welcome that cannot be true', () => {
  const LIES: [string, object][] = [
    ['the server has less than it acknowledged', resumed(0)],
    ['the server has more than was sent', resumed(4)],
    ['the server has everything there is', resumed(Number.MAX_SAFE_INTEGER)],
    ['another session is resumed', resumed(2, { session: 'somebody-else', key: 'other' })],
    ['a session is resumed on a server that has none', resumed(2, { features: ['calls'], session: undefined, key: undefined })],
  ];

  it.each(LIES)('ends the session, and the next hello asks for none: %s', async (_what, welcome) => {
    const { s } = await listening();
    for (const name of ['a', 'b', 'c']) s.client.send(name);
    const call = s.client.call('lost').catch((error: unknown) => error);
    await s.clock.advance(0);
    await s.says({ type: 'ack', received: 1 });
    await s.cuts();
    s.news();
    await s.welcomes('received' in welcome && welcome.received === 4 ? resumed(5) : welcome);
    expect(s.client.state.status).toBe('waiting');
    expect(s.news()).toEqual([]);
    expect(await call).toBeInstanceOf(SessionLostError);
    await beginsAnew(s);
    expect(told(s.news()).slice(0, 2)).toEqual(['event b #1', 'event c #2']);
  });

  it('resumes what nobody asked for: it is never open, never asks for that session, and comes back no faster than the backoff', async () => {
    const s = handServer();
    await s.clock.advance(0);
    for (let attempts = 1; attempts <= 5 && s.client.state.status !== 'closed'; attempts++) {
      expect([s.sockets.length, s.asked]).toEqual([attempts, undefined]);
      await s.welcomes(resumed(0));
      expect(s.client.state.status).not.toBe('open');
      await s.clock.advance(999);
      expect(s.sockets).toHaveLength(attempts);
      await s.clock.advance(1);
    }
  });

  it('resumes on a server that has no sessions any more: nothing is numbered there', async () => {
    const { s } = await listening();
    s.client.send('a');
    await s.clock.advance(0);
    await s.cuts();
    s.news();
    await s.welcomes(resumed(0, { features: ['calls'], session: undefined, key: undefined }));
    expect(s.news().filter(({ seq }) => seq !== undefined)).toEqual([]);
    if (s.client.state.status !== 'open') await beginsAnew(s);
  });

  it.each([
    ['no session', { session: undefined }],
    ['no key', { key: undefined }],
    ['a session that is no text', { session: 5 }],
    ['a key that is no text', { key: [] }],
    ['an ill-typed received', resumed(-1)],
    ['a fraction of a frame', resumed(0.5)],
    ['received left out of a resume', { resumed: true, received: undefined }],
    ['a negative window', { limits: { message: 65_536, window: -1 } }],
  ])('is a violation (4003): %s', async (_what, welcome) => {
    const s = handServer();
    await s.welcomes(welcome);
    expect(s.socket.closes[0]?.[0]).toBe(4_003);
    await s.waits();
    await s.welcomes();
    expect(s.client.state.status).toBe('open');
  });
});

describe('a close', () => {
  const FORGETTING = [1_002, 1_003, 1_007, 1_008, 1_010, 1_015, 4_400, 4_403, 4_404, 4_406, 4_409, 4_410, 4_412, 4_422, 4_800, 4_999];
  const KEEPING = [1_000, 1_001, 1_005, 1_006, 1_011, 1_012, 1_013, 1_014, 4_100, 4_401, 4_408, 4_413, 4_429, 4_600, 4_799, 3_000];

  /** The `resume` of the next hello. */
  async function resumeAfter(code: number, bye?: object): Promise<unknown> {
    const { s } = await listening();
    let lost: unknown;
    s.client.call('a').catch((error: unknown) => (lost = error));
    await s.clock.advance(0);
    if (bye) await s.says({ type: 'bye', code, reconnect: true, ...bye });
    s.socket.closed(code);
    await s.clock.advance(0);
    const isLost = lost !== undefined;
    void s.client.connect();
    await s.waits();
    expect(isLost).toBe(s.asked === undefined);
    if (isLost) expect(lost).toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
    return s.asked;
  }

  it.each(FORGETTING)('with %i ends the session', async (code) => {
    expect(await resumeAfter(code)).toBeUndefined();
  });

  it.each(KEEPING)('with %i leaves it as it is', async (code) => {
    expect(await resumeAfter(code)).toEqual({ session: 'first', key: 'secret', generation: 1, received: 0 });
  });

  it('after a goodbye is what the goodbye says', async () => {
    expect(await resumeAfter(4_100, { resume: false })).toBeUndefined();
    expect(await resumeAfter(1_006, { resume: false })).toBeUndefined();
    expect(await resumeAfter(4_422, { resume: true })).toMatchObject({ session: 'first' });
  });

  it('by reconnect() keeps the session, by close() ends it', async () => {
    const { s } = await listening();
    s.client.reconnect();
    await s.waits();
    expect(s.asked).toMatchObject({ session: 'first' });
    await s.welcomes(resumed(0));
    void s.client.close();
    expect(s.news()).toMatchObject([{ type: 'bye', resume: false, reconnect: false, received: 0 }]);
    s.socket.closed(1_000);
    void s.client.connect();
    await s.waits();
    expect(s.asked).toBeUndefined();
  });

  it('that the application does not want to come back from ends it', async () => {
    const s = handServer({ shouldReconnect: () => false });
    await s.welcomes();
    const receipt = s.client.send('a');
    await s.clock.advance(0);
    s.socket.closed(1_006);
    await expect(receipt.acknowledged).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
    void s.client.connect();
    await s.waits();
    expect(s.asked).toBeUndefined();
  });

  it('before a welcome, whatever its code, leaves the session to the next attempt', async () => {
    const { s } = await listening();
    for (const code of [1_006, 1_011, 4_422, 4_412, 4_800]) {
      await s.cuts(code);
      expect([code, s.asked]).toEqual([code, expect.objectContaining({ session: 'first' })]);
    }
  });

  it('after a goodbye: nothing new is begun, what comes is acknowledged still, and what waits is written by the next connection', async () => {
    const { s, heard } = await listening();
    await s.says({ type: 'bye', code: 4_100, reconnect: true, resume: true });
    s.client.send('later');
    await s.says(event(1));
    await s.clock.advance(1_000);
    expect([heard, told(s.news())]).toEqual([[1], ['ack 1']]);
    await s.cuts(4_100);
    await s.welcomes(resumed(0));
    expect(told(s.news())).toEqual(['event later #1']);
  });
});

it('a server that did not wait long enough gets what waited in order, and knows a new client', async () => {
  const { p, got } = listeningPair({}, { sessions: { ttl: 500 } });
  await p.settle();
  p.client.send('note', 1);
  await p.clock.advance(1_000); // until it is acknowledged
  const before = p.peer;
  p.socket.cut();
  p.client.send('note', 2);
  await p.clock.advance(1_000);
  await p.settle();
  p.client.send('note', 3);
  await p.settle();
  expect([got, p.client.stats.resumed, p.host.clients.length]).toEqual([[1, 2, 3], 0, 1]);
  expect(p.peer).not.toBe(before);
});
