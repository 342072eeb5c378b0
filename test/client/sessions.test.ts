/** Sessions, from the client's side: what a cut leaves as it was, and what a lost session loses. */

import { describe, expect, it, vi } from 'vitest';
import { another, handServer, resumed, told } from '../support/hand-server.ts';
import { type Pair, pair } from '../support/link.ts';
import { hanging, lose } from './support.ts';

describe('a cut', () => {
  it.each(Array.from({ length: 24 }, (_, i) => i))(
    '%i microtasks after the writing loses nothing, either way, and keeps the order',
    async (moment) => {
      const heard: unknown[] = [];
      const got: unknown[] = [];
      const p = pair({}, { handlers: { events: { up: (data) => void heard.push(data) }, methods: { double: (n) => Number(n) * 2 } } });
      p.client.on('down', (data) => void got.push(data));
      p.client.handle('half', (n) => Number(n) / 2);
      await spoken(p);
      const calls: Promise<unknown>[] = [];
      for (let i = 0; i < 20; i++) {
        p.client.send('up', i);
        p.peer.send('down', i);
        if (i % 5 === 0) calls.push(p.client.call('double', i), p.peer.call('half', i));
      }
      for (let i = 0; i < moment; i++) await Promise.resolve();
      await lose(p);
      const all = Array.from({ length: 20 }, (_, i) => i);
      expect([heard, got]).toEqual([all, all]);
      expect(await Promise.all(calls)).toEqual([0, 0, 10, 2.5, 20, 5, 30, 7.5]);
      expect(p.client.stats).toMatchObject({ connections: 2, resumed: 1, dropped: 0, unconfirmed: 0 });
      expect(p.host.clients).toHaveLength(1);
    },
  );

  it('after every message of a long talk loses nothing', async () => {
    const heard: unknown[] = [];
    const got: unknown[] = [];
    const p = pair({}, { handlers: { events: { up: (data) => void heard.push(data) } } });
    p.client.on('down', (data) => void got.push(data));
    await spoken(p);
    const { peer } = p;
    for (let i = 0; i < 30; i++) {
      p.client.send('up', i);
      peer.send('down', i);
      for (let k = 0; k < i % 7; k++) await Promise.resolve();
      await lose(p);
    }
    const all = Array.from({ length: 30 }, (_, i) => i);
    expect([heard, got, p.client.stats.resumed]).toEqual([all, all, 30]);
    expect(p.peer).toBe(peer);
  });

  it('that neither end is told of: what was written into the dead link arrives by the next one', async () => {
    const heard: unknown[] = [];
    const got: unknown[] = [];
    const p = pair({}, { handlers: { events: { up: (data) => void heard.push(data) } } });
    p.client.on('down', (data) => void got.push(data));
    await spoken(p);
    p.socket.vanish();
    p.client.send('up', 1);
    p.peer.send('down', 1);
    await p.settle();
    p.client.reconnect();
    await p.settle();
    p.client.send('up', 2);
    p.peer.send('down', 2);
    await p.settle();
    expect([heard, got]).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(p.client.stats.resumed).toBe(1);
  });

  it('lets calls go on both ways: handlers are not aborted, and answers come after', async () => {
    const { handler, reasons } = hanging();
    const ends: ((value: unknown) => void)[] = [];
    const waits = () => new Promise((resolve) => ends.push(resolve));
    const p = pair({}, { handlers: { methods: { waits, hangs: handler } } });
    p.client.handle('waits', waits);
    p.client.handle('hangs', handler);
    await p.settle();
    const calls = [p.client.call('waits'), p.peer.call('waits')];
    p.client.call('hangs').catch(() => {});
    p.peer.call('hangs').catch(() => {});
    await p.settle();
    p.socket.cut();
    await p.settle();
    for (const end of ends) end('while it was away');
    await p.clock.advance(1_000);
    await p.settle();
    expect(await Promise.all(calls)).toEqual(['while it was away', 'while it was away']);
    expect([reasons, ends.length]).toEqual([[], 2]);
  });

  it('in the middle of a batch, by its handler: the rest comes again, once', async () => {
    const got: unknown[] = [];
    const p = pair();
    p.client.on('down', (data) => {
      got.push(data);
      if (data === 2) p.client.reconnect('in the middle');
    });
    await spoken(p);
    for (let i = 0; i < 5; i++) p.peer.send('down', i);
    await p.settle();
    expect(got).toEqual([0, 1, 2, 3, 4]);
    expect(p.frames()[0]).toMatchObject({ resume: { received: 3 } });
  });

  it('and a handler that throws: the frame counts as received, and the rest of the batch is handled', async () => {
    const thrown = vi.spyOn(console, 'error').mockImplementation(() => {});
    const got: unknown[] = [];
    const p = pair();
    p.client.on('down', (data) => {
      got.push(data);
      if (data === 1) throw new Error('mine');
    });
    await spoken(p);
    for (let i = 0; i < 3; i++) p.peer.send('down', i);
    await p.settle();
    await lose(p);
    expect(got).toEqual([0, 1, 2]);
    expect(thrown).toHaveBeenCalledTimes(1);
    thrown.mockRestore();
  });

  it('while a hello waits for its welcome does not confuse the next one', async () => {
    const heard: unknown[] = [];
    const p = pair({}, { handlers: { events: { up: (data) => void heard.push(data) } } });
    await spoken(p);
    p.reachable = false;
    for (let generation = 1; generation <= 3; generation++) {
      p.client.send('up', generation);
      await lose(p);
    }
    p.reachable = true;
    await lose(p);
    expect(heard).toEqual([1, 2, 3]);
    expect(p.client.stats).toMatchObject({ connections: 2, resumed: 1 });
  });
});

describe('a hello', () => {
  it('asks for the session with its key, a generation that rises with every hello, and what was received when it is written', async () => {
    const s = handServer();
    await s.welcomes();
    expect(s.asked).toBeUndefined();
    await s.says({ type: 'event', seq: 1, name: 'a', data: 1 });
    await s.cuts();
    expect(s.asked).toEqual({ session: 'first', key: 'secret', generation: 1, received: 1 });
    await s.cuts(); // without a welcome
    expect(s.asked).toEqual({ session: 'first', key: 'secret', generation: 2, received: 1 });
    await s.welcomes(resumed(0));
    await s.says({ type: 'event', seq: 2, name: 'a', data: 1 });
    await s.cuts();
    expect(s.asked).toEqual({ session: 'first', key: 'secret', generation: 3, received: 2 });
  });

  it('of another session begins again with generation 1', async () => {
    const s = handServer();
    await s.welcomes();
    await s.cuts();
    await s.welcomes(another());
    await s.cuts();
    expect(s.asked).toEqual({ session: 'second', key: 'other', generation: 1, received: 0 });
  });

  it('is written before a call of reconnect() in the last handler is forgotten: what it had counts', async () => {
    const s = handServer();
    s.client.on('a', () => s.client.reconnect());
    await s.welcomes();
    await s.says([
      { type: 'event', seq: 1, name: 'a', data: 1 },
      { type: 'event', seq: 2, name: 'a', data: 2 },
    ]);
    s.socket.accepts();
    await s.clock.advance(0);
    expect(s.asked).toMatchObject({ received: 1 });
  });
});

describe('a resume', () => {
  it('writes again what the server does not have, with the old numbers and in order, and then what waited', async () => {
    const s = handServer();
    await s.welcomes();
    for (const name of ['a', 'b', 'c']) s.client.send(name);
    const call = s.client.call('add');
    await s.clock.advance(0);
    expect(told(s.news())).toEqual(['event a #1', 'event b #2', 'event c #3', 'request add #4']);
    await s.cuts();
    s.client.send('d');
    await s.welcomes(resumed(2));
    expect(told(s.news())).toEqual(['event c #3', 'request add #4', 'event d #5']);
    expect(s.client.stats).toMatchObject({ resent: 2, resumed: 1, unacknowledgedMessages: 3 });
    await s.says({ type: 'response', seq: 1, id: 1, result: 5 });
    expect(await call).toBe(5);
  });

  it('acknowledges by the welcome what the server has', async () => {
    const s = handServer();
    await s.welcomes();
    const receipts = ['a', 'b'].map((name) => s.client.send(name));
    await s.clock.advance(0);
    await s.cuts();
    await s.welcomes(resumed(1));
    expect(receipts.map(({ status }) => status)).toEqual(['acknowledged', 'sent']);
  });

  it('writes a skip in the place of a call that timed out or was aborted meanwhile, and its cancel', async () => {
    const s = handServer();
    await s.welcomes();
    const abort = new AbortController();
    const late = s.client.call('late', 1, { timeout: 500 });
    const gone = s.client.call('gone', 1, { signal: abort.signal });
    s.client.send('a');
    const failures = [late, gone].map((call) => call.catch((error: Error) => error.name));
    await s.clock.advance(0);
    s.news();
    s.socket.closed(1006);
    abort.abort();
    await s.waits();
    await s.welcomes(resumed(0));
    expect(told(s.news())).toEqual(['skip #1', 'skip #2', 'event a #3', 'cancel 2 #4', 'cancel 1 #5']);
    expect(await Promise.all(failures)).toEqual(['TimeoutError', 'AbortError']);
  });

  it('that the server answers with a goodbye before its welcome keeps the session for the next one', async () => {
    const s = handServer();
    await s.welcomes();
    s.client.send('a');
    await s.clock.advance(0);
    await s.cuts();
    await s.says({ type: 'bye', code: 4_429, reconnect: true, resume: true, retryAfter: 1 });
    await s.cuts(4_429);
    expect(s.asked).toMatchObject({ session: 'first', generation: 2 });
    s.news();
    await s.welcomes(resumed(0));
    expect(told(s.news())).toEqual(['event a #1']);
  });
});

/** It is there, and has said something: until then its session dies with its connection. */
async function spoken(p: Pair): Promise<void> {
  await p.settle();
  p.client.send('hello');
  await p.settle();
}
