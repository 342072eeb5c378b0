/** Sessions, from the client's side: what a lost session loses, and what a receipt says about it. */

import { describe, expect, it } from 'vitest';
import { ClosedError, SessionLostError } from '../../src/errors.ts';
import { another, handServer, listens, resumed, told, WELCOME } from '../support/hand-server.ts';
import { hanging } from './support.ts';

const request = (seq: number, id: number, method: string) => ({ type: 'request', seq, id, method });

describe('a lost session', () => {
  it('sends what was not acknowledged first, in old order, then what waits; calls that were written reject, others are sent', async () => {
    const s = handServer();
    await s.welcomes();
    s.client.send('had');
    s.client.send('a');
    const written = s.client.call('written').catch((error: unknown) => error);
    const published = s.client.channel('room').publish('b');
    s.client.send('c');
    await s.clock.advance(0);
    await s.says({ type: 'ack', received: 1 });
    s.news();
    s.socket.closed();
    s.client.send('d', null, { priority: 9 });
    const unwritten = s.client.call('unwritten');
    await s.waits();
    await s.welcomes(another());
    expect(told(s.news())).toEqual(['event a #1', 'publish room #2', 'event c #3', 'event d #4', 'request unwritten #5']);
    expect(await written).toMatchObject({ name: 'SessionLostError', code: 'SESSION_LOST', maybeExecuted: true });
    const ids = s.socket.sent.flatMap((message) => JSON.parse(String(message))).map(({ id }) => id);
    expect(ids.filter(Boolean)).toEqual([3, 4]); // no id is used twice
    await s.says({ type: 'response', seq: 1, id: 3, result: {} }, { type: 'response', seq: 2, id: 4, result: 'done' });
    await published.acknowledged;
    expect(await unwritten).toBe('done');
  });

  it('again before anything of it is acknowledged loses nothing still', async () => {
    const s = handServer();
    await s.welcomes();
    const receipt = s.client.send('a');
    s.client.send('b');
    await s.clock.advance(0);
    s.news();
    await s.cuts();
    await s.welcomes({ session: 'second' });
    expect(told(s.news())).toEqual(['event a #1', 'event b #2']);
    await s.cuts();
    await s.welcomes({ session: 'third' });
    expect((await listens(s)).heard).toEqual(['ping', 'event a #1', 'ping', 'event b #2', 'ping']);
    await receipt.acknowledged;
    expect(s.client.stats).toMatchObject({ sent: 2, unconfirmed: 0, dropped: 0 });
  });

  it('aborts the handlers of the calls of the server', async () => {
    const { handler, reasons } = hanging();
    const s = handServer();
    s.client.handle('hangs', handler);
    await s.welcomes();
    await s.says(request(1, 1, 'hangs'));
    await s.cuts();
    expect(reasons).toEqual([]);
    await s.welcomes(another());
    expect(reasons).toMatchObject([{ code: 'SESSION_LOST' }]);
  });

  it.each(Array.from({ length: 16 }, (_, i) => i))(
    'is not answered in the next one by a handler that ends %i microtasks after the welcome',
    async (moment) => {
      let end: (value: string) => void = () => {};
      const s = handServer();
      s.client.handle('slow', () => new Promise((resolve) => (end = resolve)));
      await s.welcomes();
      await s.says(request(1, 1, 'slow'));
      await s.cuts();
      s.socket.says(JSON.stringify({ ...WELCOME, ...another() }));
      for (let i = 0; i < moment; i++) await Promise.resolve();
      end('stale');
      await s.clock.advance(0);
      expect(told(s.news())).toEqual([]);
      // The same id belongs to another call now.
      s.client.handle('quick', () => 'fresh');
      await s.says(request(1, 1, 'quick'));
      expect(s.news()).toMatchObject([{ type: 'response', id: 1, seq: 1, result: 'fresh' }]);
    },
  );

  it('with `unacknowledged: drop` drops what was not acknowledged, and says so', async () => {
    const s = handServer({ unacknowledged: 'drop' });
    await s.welcomes();
    const [had, a] = [s.client.send('had'), s.client.send('a')];
    const failure = a.acknowledged.catch((error: unknown) => error);
    await s.clock.advance(0);
    await s.says({ type: 'ack', received: 1 });
    s.socket.closed();
    s.client.send('later');
    s.news();
    await s.waits();
    expect(s.log).toEqual(['close 1006 again']);
    await s.welcomes(another());
    expect(s.log).toEqual(['close 1006 again', 'drop event a session-lost']);
    expect(told(s.news())).toEqual(['event later #1']);
    expect([had.status, a.status]).toEqual(['acknowledged', 'dropped']);
    expect(await failure).toBeInstanceOf(SessionLostError);
  });

  it('with `unacknowledged: drop` drops published messages alike', async () => {
    const s = handServer({ unacknowledged: 'drop' });
    await s.welcomes();
    const receipt = s.client.channel('room').publish('a');
    const failure = receipt.acknowledged.catch((error: unknown) => error);
    await s.clock.advance(0);
    await s.cuts();
    await s.welcomes(another());
    expect(await failure).toBeInstanceOf(SessionLostError);
    expect(s.log).toEqual(['close 1006 again', 'drop publish room session-lost']);
    expect(receipt.status).toBe('dropped');
  });

  it('for want of the feature sends again what may be lost, and confirms nothing', async () => {
    const s = handServer();
    await s.welcomes();
    const receipt = s.client.send('a');
    await s.clock.advance(0);
    await s.cuts();
    s.news();
    await s.welcomes({ features: ['calls', 'channels', 'binary'], session: undefined, key: undefined });
    expect(told(s.news())).toEqual(['event a']);
    await expect(receipt.acknowledged).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await s.cuts();
    expect(s.asked).toBeUndefined();
  });
});

describe('a receipt', () => {
  it('is queued, sent, and acknowledged when the server says so', async () => {
    const s = handServer();
    const receipt = s.client.send('a');
    expect(receipt.status).toBe('queued');
    await s.welcomes();
    expect(receipt.status).toBe('sent');
    await s.says({ type: 'ack', received: 0 });
    expect(receipt.status).toBe('sent');
    await s.says({ type: 'ack', received: 1 });
    expect(receipt.status).toBe('acknowledged');
    await receipt.acknowledged;
  });

  it('that was sent rejects when the client is closed, by itself or by the server', async () => {
    const byItself = handServer();
    const byServer = handServer();
    for (const s of [byItself, byServer]) {
      await s.welcomes();
      const receipt = s.client.send('a');
      await s.clock.advance(0);
      if (s === byServer) s.socket.closed(4_410);
      else void s.client.close();
      if (s === byItself) s.socket.closed(1_000);
      await expect(receipt.acknowledged).rejects.toBeInstanceOf(ClosedError);
      expect([receipt.status, s.client.stats.unconfirmed]).toEqual(['sent', 1]);
    }
  });

  it('cannot be taken back once written, also while the client is away', async () => {
    const s = handServer();
    await s.welcomes();
    const receipt = s.client.send('a');
    await s.clock.advance(0);
    s.socket.closed();
    expect(receipt.cancel()).toBe(false);
    await s.waits();
    s.news();
    await s.welcomes(resumed(0));
    expect(told(s.news())).toEqual(['event a #1']);
  });
});

describe('two sessions lost, one after the other,', () => {
  it('keep the order of what was written in the first, though the second had room for some of it only', async () => {
    const s = handServer();
    await s.welcomes();
    for (let i = 1; i <= 6; i++) s.client.send(`e${i}`);
    await s.clock.advance(0);
    await s.cuts();
    s.news();
    await s.welcomes({ session: 'second', limits: { message: 65_536, window: 2 } });
    expect(told(s.news())).toEqual(['event e1 #1', 'event e2 #2']);
    s.client.send('later');
    await s.cuts();
    await s.welcomes({ session: 'third' });
    const { heard } = await listens(s);
    const events = heard.filter((frame) => frame !== 'ping').map((frame) => frame.split(' ')[1]);
    expect(events).toEqual(['e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'later']);
  });
});

describe('a server that breaks the protocol', () => {
  it('is told that its session is over, so that it keeps nothing', async () => {
    const s = handServer();
    await s.welcomes();
    s.client.send('a');
    await s.clock.advance(0);
    s.news();
    const { socket } = s;
    await s.says({ type: 'event', data: 1, seq: 1 });
    const last = JSON.parse(String(socket.sent.at(-1)));
    expect(last).toMatchObject({ type: 'bye', code: 4_003, reconnect: true, resume: false });
  });
});

describe('what is written again', () => {
  it('comes before what is asked for on the new connection: ids of the past are the lower ones', async () => {
    const s = handServer();
    s.client.channel('a').subscribe();
    await s.welcomes({ subscriptions: [{ channel: 'a', recovered: false }] });
    s.client.call('slow').catch(() => {});
    await s.clock.advance(0);
    await s.cuts();
    s.client.channel('b').subscribe();
    s.news();
    await s.welcomes(resumed(0, { subscriptions: [] }));
    expect(s.news().map(({ type }) => type)).toEqual(['request', 'subscribe', 'subscribe']);
    void s.client.close();
  });
});
