/** Streams and connections that are lost: what goes on, what is asked for once more, and what is over. */

import { describe, expect, it } from 'vitest';
import { ClosedError, SessionLostError } from '../../src/errors.ts';
import type { HandlerContext, HostOptions } from '../../src/server/options.ts';
import { stream } from '../../src/stream.ts';
import { FEATURES } from '../../src/wire/holdfast.ts';
import { another, handServer, resumed } from '../support/hand-server.ts';
import { type LinkSocket, type Pair, pair } from '../support/link.ts';
import { collected, counting, ENDLESS, heard, numbers, said, upTo } from '../support/streams.ts';
import { BRIEF_SESSIONS, lose, NO_SESSIONS } from './support.ts';

/** A pair that is connected, whose server counts. */
async function countingUp(count: number, { cursors = false, server = {} as HostOptions } = {}) {
  const { handler, seen } = counting(count, { cursors });
  const p = pair({}, { ...server, handlers: { methods: { numbers: handler, echo: (params) => params } } });
  await p.settle();
  return { p, seen };
}

/** From now on only so many messages get through, each way; the others are lost without a word. */
function letsThrough(socket: LinkSocket, up: number, down: number): void {
  let [ups, downs] = [up, down];
  const { send, deliver } = socket;
  socket.send = (message) => {
    if (ups-- > 0) send.call(socket, message);
  };
  socket.deliver = (message) => {
    if (downs-- > 0) deliver.call(socket, message);
  };
}

describe('a cut in mid-stream', () => {
  const ITEMS = 40;

  it.each([4, 32])('at whatever moment: every item comes once, in order, with room for %i', async (buffer) => {
    const { p, seen } = await countingUp(ITEMS);
    await p.client.call('echo');
    for (let moment = 0; moment < 150; moment++) {
      const items = numbers(p.client, { buffer });
      for (let i = 0; i < moment; i++) await Promise.resolve();
      await lose(p);
      expect([moment, await items]).toEqual([moment, upTo(ITEMS)]);
    }
    expect(seen).toMatchObject({ ended: 150, aborts: [], begun: Array.from({ length: 150 }) });
    expect(p.client.stats).toMatchObject({ resumed: 150, pendingCalls: 0 });
    expect(p.peer.isBusy).toBe(false);
  });

  it('whichever messages got through: every item comes once, in order', async () => {
    const { p, seen } = await countingUp(ITEMS);
    await p.client.call('echo');
    let round = 0;
    for (let up = 0; up <= 6; up++)
      for (let down = 0; down <= 8; down++, round++) {
        letsThrough(p.socket, up, down);
        const items = numbers(p.client, { buffer: 8 });
        await p.settle();
        await lose(p);
        expect([up, down, await items]).toEqual([up, down, upTo(ITEMS)]);
      }
    expect([seen.ended, p.client.stats.resumed]).toEqual([round, round]);
  });

  it('again and again, while the loop reads: every item comes once, in order', async () => {
    const { p, seen } = await countingUp(500);
    await p.client.call('echo');
    const items = stream(p.client, 'numbers', undefined, { buffer: 7 });
    for (let i = 1; i <= 500; i++) {
      if (i % 9 === 0) await lose(p);
      expect(await items.next()).toEqual({ value: i, done: false });
    }
    expect(await items.next()).toEqual({ value: undefined, done: true });
    expect(seen).toMatchObject({ ended: 1, aborts: [] });
  });

  it('with bytes: every item comes once, in order', async () => {
    const p = pair(
      {},
      {
        handlers: {
          methods: {
            async *numbers() {
              for (let i = 0; i < 50; i++) yield new Uint8Array([i]);
            },
          },
        },
      },
    );
    await p.settle();
    p.client.send('a word');
    for (let moment = 0; moment < 60; moment++) {
      const items = numbers(p.client);
      for (let i = 0; i < moment; i++) await Promise.resolve();
      await lose(p);
      expect([moment, await items]).toEqual([moment, Array.from({ length: 50 }, (_, i) => new Uint8Array([i]))]);
    }
  });

  it('stops no handler while the client is away, nor lets it go further than its credit', async () => {
    const { p, seen } = await countingUp(ENDLESS);
    const items = stream(p.client, 'numbers', undefined, { buffer: 4 });
    await p.settle();
    p.socket.cut();
    p.reachable = false;
    for (let i = 1; i <= 4; i++) expect(await items.next()).toEqual({ value: i, done: false });
    await p.clock.advance(30_000);
    expect(seen).toMatchObject({ yielded: 4, ended: 0, aborts: [] });
    p.reachable = true;
    await lose(p); // the attempt that nobody took
    await p.settle();
    expect(await items.next()).toEqual({ value: 5, done: false });
    expect(seen.yielded).toBeLessThanOrEqual(9);
  });

  it('and a loop that is left meanwhile: the handler is stopped after', async () => {
    const { p, seen } = await countingUp(ENDLESS);
    const items = stream(p.client, 'numbers');
    await items.next();
    p.socket.cut();
    await items.return?.();
    await p.settle();
    expect(seen.ended).toBe(0);
    await p.clock.advance(1_000);
    await p.settle();
    expect(seen).toMatchObject({ ended: 1, aborts: ['CANCELLED'] });
    expect([said(p), p.client.stats.resumed]).toEqual([['cancel'], 1]);
  });
});

describe('a lost session', () => {
  it('with cursors: the stream is asked for once more from the last one, and no item comes twice', async () => {
    const { p, seen } = await countingUp(200, { cursors: true, server: BRIEF_SESSIONS });
    for (const buffer of [1, 5, 32, 100])
      for (let moment = 20; moment < 100; moment += 9) {
        const items = numbers(p.client, { buffer });
        for (let i = 0; i < moment; i++) await Promise.resolve();
        await lose(p);
        expect([buffer, moment, await items]).toEqual([buffer, moment, upTo(200)]);
      }
    expect(seen.begun.some((cursor) => Number(cursor) > 0)).toBe(true);
    expect(p.client.stats.resumed).toBe(0);
    expect(p.host.clients).toHaveLength(1);
  });

  it('lost again before anything came: the cursor is still known', async () => {
    const { p, seen } = await countingUp(20, { cursors: true, server: BRIEF_SESSIONS });
    const items = stream(p.client, 'numbers', undefined, { buffer: 4 });
    await p.settle();
    for (let i = 0; i < 2; i++) await lose(p);
    await p.clock.advance(5_000); // it is a suspect by now
    expect(await collected(items)).toEqual(upTo(20));
    const requests = p.sockets.map((socket) => p.frames(socket).filter(({ type }) => type === 'request'));
    expect(requests.map((frames) => frames.map(({ cursor, credit }) => [cursor, credit]))).toEqual([[[undefined, 4]], [[4, 0]], [[4, 0]]]);
    expect(seen.begun).toEqual([undefined, 4]); // without credit it does not begin
  });

  it('leaves room for what the loop has not read, and no more', async () => {
    const { p } = await countingUp(ENDLESS, { cursors: true, server: BRIEF_SESSIONS });
    const items = stream(p.client, 'numbers', undefined, { buffer: 6 });
    await p.settle();
    expect([await items.next(), await items.next()]).toMatchObject([{ value: 1 }, { value: 2 }]);
    await lose(p);
    expect(said(p)).toEqual(['request 2']);
    expect(heard(p)).toEqual(['item 7', 'item 8']);
    expect(p.frames().find(({ type }) => type === 'request')).toMatchObject({ cursor: 6, method: 'numbers', id: 2, stream: true });
    for (let i = 3; i <= 30; i++) expect(await items.next()).toEqual({ value: i, done: false });
  });

  it('while the loop has all its items to read: it is asked for with credit 0, and goes on when they are read', async () => {
    const { p } = await countingUp(9, { cursors: true, server: BRIEF_SESSIONS });
    const items = stream(p.client, 'numbers', undefined, { buffer: 4 });
    await p.settle();
    await lose(p);
    expect([said(p), heard(p)]).toEqual([['request 0'], []]);
    expect(await collected(items)).toEqual(upTo(9));
  });

  it('and a loop that reads on while there is no connection: no item is lost, none comes twice', async () => {
    const { p } = await countingUp(50, { cursors: true, server: BRIEF_SESSIONS });
    const items = stream(p.client, 'numbers', undefined, { buffer: 10 });
    await p.settle();
    p.socket.cut();
    for (let i = 1; i <= 7; i++) expect(await items.next()).toEqual({ value: i, done: false });
    await p.clock.advance(1_000);
    await p.settle();
    expect(said(p)).toEqual(['request 7']);
    expect(await collected(items)).toEqual(upTo(50).slice(7));
  });

  it('with cursors keeps the timeout that there was, and the signal', async () => {
    const { p, seen } = await countingUp(ENDLESS, { cursors: true, server: BRIEF_SESSIONS });
    const abort = new AbortController();
    const timed = stream(p.client, 'numbers', undefined, { buffer: 1, timeout: 5_000 });
    const aborted = stream(p.client, 'numbers', undefined, { buffer: 1, signal: abort.signal });
    await p.settle();
    await lose(p);
    expect(p.frames().filter(({ type }) => type === 'request')).toMatchObject([{ timeout: 4_000 }, { credit: 0 }]);
    abort.abort('enough');
    expect(await collected(aborted)).toEqual([1, 'enough']);
    const rest = collected(timed);
    await p.clock.advance(4_000);
    expect((await rest).at(-1)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await p.settle();
    expect(seen.ended).toBe(seen.begun.length);
    expect(p.peer.isBusy).toBe(false);
  });

  it.each([
    ['that is over', BRIEF_SESSIONS],
    ['that there never was', NO_SESSIONS],
  ])('%s, without cursors: the loop gets what has come, then throws SessionLostError', async (_what, server) => {
    const { p, seen } = await countingUp(ENDLESS, { server });
    const items = stream(p.client, 'numbers', undefined, { buffer: 3 });
    await p.settle();
    await lose(p);
    const all = await collected(items);
    expect(all.slice(0, -1)).toEqual([1, 2, 3]);
    expect(all.at(-1)).toBeInstanceOf(SessionLostError);
    expect(all.at(-1)).toMatchObject({ maybeExecuted: true });
    expect(seen).toMatchObject({ begun: [undefined], ended: 1, aborts: ['SESSION_LOST'] });
    expect([said(p), p.client.stats.pendingCalls]).toEqual([[], 0]);
  });

  it('before the request was written loses nothing: it is asked then', async () => {
    const { p, seen } = await countingUp(3, { server: BRIEF_SESSIONS });
    p.socket.cut();
    const items = numbers(p.client);
    await p.clock.advance(1_000);
    expect(await items).toEqual([1, 2, 3]);
    expect(seen.begun).toEqual([undefined]);
  });

  it('and a close of the client while it waits to be asked for once more: the loop throws ClosedError', async () => {
    const { p } = await countingUp(ENDLESS, { cursors: true, server: BRIEF_SESSIONS });
    const items = stream(p.client, 'numbers', undefined, { buffer: 2 });
    await p.settle();
    p.reachable = false;
    p.socket.cut();
    await p.clock.advance(1_000);
    const closed = p.client.close();
    await p.clock.advance(2_000);
    await closed;
    const all = await collected(items);
    expect(all.slice(0, -1)).toEqual([1, 2]);
    expect(all.at(-1)).toBeInstanceOf(ClosedError);
    expect(p.client.stats.queuedMessages).toBe(0);
  });

  it('without a server that has streams any more: the loop throws', async () => {
    const s = handServer();
    await s.welcomes({ features: FEATURES });
    const items = collected(stream(s.client, 'numbers'));
    await s.clock.advance(0);
    await s.says({ type: 'item', id: 1, data: 'a', cursor: 1, seq: 1 });
    await s.cuts();
    await s.welcomes(another({ features: ['calls', 'resume'] }));
    expect(await items).toMatchObject(['a', { name: 'UnsupportedError' }]);
    expect(s.client.stats.pendingCalls).toBe(0);
  });
});

describe('a server by hand', () => {
  const asked = async (options = {}) => {
    const s = handServer();
    await s.welcomes({ features: FEATURES });
    const items = stream(s.client, 'numbers', { a: 1 }, options);
    await s.clock.advance(0);
    return { s, items };
  };
  const item = (seq: number, data: unknown, cursor?: unknown, id = 1) => ({ type: 'item', id, data, seq, cursor });

  it('that goes on with the session: nothing is asked again, and what was read is told', async () => {
    const { s, items } = await asked({ buffer: 2 });
    await s.says(item(1, 'a'), item(2, 'b'));
    s.news();
    s.socket.closed();
    await items.next();
    await s.waits();
    await s.welcomes({ features: FEATURES, ...resumed(1) });
    expect(s.asked).toMatchObject({ received: 2 });
    expect(s.news().filter(({ type }) => type !== 'ack')).toEqual([{ type: 'credit', id: 1, count: 1, seq: 2 }]);
    await s.says(item(3, 'c'), { type: 'end', id: 1, seq: 4 });
    expect(await collected(items)).toEqual(['b', 'c']);
  });

  it('that has forgotten the session: it is asked with the last cursor that came, whatever that is, and the same parameters', async () => {
    const { s, items } = await asked({ cursor: { row: 0 } });
    expect(s.news()).toMatchObject([{ cursor: { row: 0 }, params: { a: 1 }, credit: 32 }]);
    await s.says(item(1, 'a', { row: 1 }), item(2, 'b', { row: 2 }));
    await items.next();
    expect(items.cursor).toEqual({ row: 1 });
    await s.cuts();
    await s.welcomes(another({ features: FEATURES }));
    expect(s.news()).toEqual([
      { type: 'request', id: 2, method: 'numbers', stream: true, credit: 31, cursor: { row: 2 }, params: { a: 1 }, seq: 1 },
    ]);
    await s.says(item(1, 'late', { row: 9 }, 1), item(2, 'c', { row: 3 }, 2), { type: 'end', id: 2, seq: 3 });
    expect(await collected(items)).toEqual(['b', 'c']);
    expect(items.cursor).toEqual({ row: 3 });
  });

  it('whose last item had no cursor: the loop throws SessionLostError', async () => {
    const { s, items } = await asked();
    await s.says(item(1, 'a', 1), item(2, 'b'));
    await s.cuts();
    await s.welcomes(another({ features: FEATURES }));
    expect(await collected(items)).toMatchObject(['a', 'b', { code: 'SESSION_LOST' }]);
    expect(s.news().filter(({ cursor }) => cursor !== undefined)).toEqual([]);
  });

  it('whose final frame was lost with the session: it ends where it went on', async () => {
    const { s, items } = await asked();
    await s.says(item(1, 'a', 1));
    await s.cuts();
    await s.welcomes(another({ features: FEATURES }));
    await s.says({ type: 'end', id: 2, seq: 1 });
    expect(await collected(items)).toEqual(['a']);
    expect(s.client.stats.pendingCalls).toBe(0);
  });
});

describe('a handler', () => {
  /** A handler whose items come when the test says so. */
  function fed() {
    const feeds: ((item: unknown) => void)[] = [];
    const aborts: unknown[] = [];
    async function* handler(_: unknown, { signal }: HandlerContext) {
      signal.addEventListener('abort', () => aborts.push(signal.reason));
      for (;;) yield await new Promise((resolve) => feeds.push(resolve));
    }
    return { feeds, aborts, handler };
  }
  const serving = async (handler: ReturnType<typeof fed>['handler'], server: HostOptions): Promise<Pair> => {
    const p = pair({}, { ...server, handlers: { methods: { numbers: handler } } });
    await p.settle();
    return p;
  };

  it('that yields while the client is away: it gets the item when it comes back', async () => {
    const { feeds, aborts, handler } = fed();
    const p = await serving(handler, {});
    const items = stream(p.client, 'numbers');
    await p.settle();
    p.socket.cut();
    await p.settle();
    feeds[0]?.('while it was away');
    await p.settle();
    await p.clock.advance(1_000);
    expect(await items.next()).toEqual({ value: 'while it was away', done: false });
    expect(aborts).toEqual([]);
  });

  it('of a client that stays away is told when its session is over, and stopped at its next step', async () => {
    const { feeds, aborts, handler } = fed();
    const p = await serving(handler, BRIEF_SESSIONS);
    p.client.send('a word');
    const items = numbers(p.client);
    await p.settle();
    p.reachable = false;
    p.socket.cut();
    await p.clock.advance(499);
    expect(aborts).toEqual([]);
    await p.clock.advance(1);
    expect(aborts).toMatchObject([{ code: 'SESSION_LOST' }]);
    feeds[0]?.('too late');
    await p.settle();
    expect(feeds).toHaveLength(1);
    const closed = p.client.close();
    await p.clock.advance(2_000);
    await closed;
    expect((await items)[0]).toBeInstanceOf(ClosedError);
  });
});
