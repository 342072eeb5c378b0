/** Uploads and connections that are lost: what goes on where it was, and what is over. */

import { describe, expect, it } from 'vitest';
import { ClosedError, SessionLostError, TimeoutError } from '../../src/errors.ts';
import { upload } from '../../src/upload.ts';
import { FEATURES } from '../../src/wire/holdfast.ts';
import { another, handServer, resumed, told } from '../support/hand-server.ts';
import type { LinkSocket } from '../support/link.ts';
import { serving, upTo } from '../support/streams.ts';
import { countOf, heard, led, numbered, said, someBytes, stalled, storing } from '../support/uploads.ts';
import { BRIEF_SESSIONS, lose, NO_SESSIONS } from './support.ts';

/** A pair whose server has `store`, which reads everything, and whose session outlives its connection. */
async function keeping(server = {}) {
  const { handler, seen } = storing();
  const p = await serving({ store: handler, echo: (params) => params }, {}, server);
  await p.client.call('echo');
  return { p, seen };
}
const outcomeOf = (answer: Promise<unknown>) => answer.catch((error: unknown) => error);

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

describe('a cut in the middle', () => {
  const ITEMS = 40;

  it('at whatever moment: every item arrives once, in order', async () => {
    const { p, seen } = await keeping();
    for (let moment = 0; moment < 250; moment++) {
      const { source, seen: read } = numbered(ITEMS);
      const stored = upload(p.client, 'store', undefined, source);
      for (let i = 0; i < moment; i++) await Promise.resolve();
      await lose(p);
      expect([moment, await stored, seen.items.splice(0), read]).toEqual([moment, ITEMS, upTo(ITEMS), { read: ITEMS, left: 0, ended: 1 }]);
    }
    expect(seen).toMatchObject({ begun: 250, ended: 250, thrown: [], aborts: [] });
    expect(p.client.stats).toMatchObject({ resumed: 250, pendingCalls: 0, queuedMessages: 0 });
    expect(p.peer.isBusy).toBe(false);
  });

  it('whichever messages got through: every item arrives once, in order', async () => {
    const { p, seen } = await keeping();
    let round = 0;
    for (let up = 0; up <= 12; up++)
      for (let down = 0; down <= 4; down++, round++) {
        letsThrough(p.socket, up, down);
        const stored = upload(p.client, 'store', undefined, upTo(ITEMS));
        await p.settle();
        await lose(p);
        expect([up, down, await stored, seen.items.splice(0)]).toEqual([up, down, ITEMS, upTo(ITEMS)]);
      }
    expect([seen.ended, p.client.stats.resumed]).toEqual([round, round]);
  });

  it('again and again, with bytes: they arrive as they are', async () => {
    const { handler, calls } = led();
    const p = await serving({ hold: handler, echo: (params) => params });
    await p.client.call('echo');
    const bytes = someBytes(500);
    const stored = upload(p.client, 'hold', undefined, new Blob([bytes]), { chunkSize: 5 });
    await p.settle();
    const [call] = calls;
    const got: number[] = [];
    for (let i = 0; i < 100; i++) {
      if (i % 7 === 0) await lose(p);
      got.push(...(((await call?.read(1)) ?? [])[0] as Uint8Array));
    }
    expect(await call?.items.next()).toEqual({ value: undefined, done: true });
    call?.answer('done');
    expect([await stored, got, p.client.stats.resumed]).toEqual(['done', [...bytes], 15]);
  });

  it('stops no handler, nor lets the source go further than the credit', async () => {
    const { handler, calls } = led();
    const p = await serving({ hold: handler });
    const { source, seen } = numbered(5_000);
    const stored = upload(p.client, 'hold', undefined, source);
    await p.settle();
    const [call] = calls;
    void call?.read(1);
    await p.settle();
    p.socket.cut();
    p.reachable = false;
    expect(await call?.read(9)).toEqual(upTo(10).slice(1));
    await p.clock.advance(30_000);
    expect([seen, call?.signal.aborted]).toEqual([{ read: 17, left: 0, ended: 0 }, false]); // the next one waits for its turn
    p.reachable = true;
    await lose(p); // the attempt that nobody took
    expect([seen.read, heard(p)]).toEqual([25, ['grant 8']]);
    call?.answer('enough');
    expect(await stored).toBe('enough');
  });

  it('and a source that goes on meanwhile: its items go out after the resume', async () => {
    const { p, seen } = await keeping();
    const { source, feed } = stalled();
    const stored = upload(p.client, 'store', undefined, source);
    await p.settle();
    p.socket.cut();
    for (const value of [1, 2]) feed.give(value);
    feed.end();
    await p.settle();
    expect(p.client.stats.queuedMessages).toBe(1); // the next one; the others wait in the source
    await p.clock.advance(1_000);
    expect([await stored, seen.items, said(p)]).toEqual([2, [1, 2], ['chunk 1', 'chunk 2', 'finish']]);
  });

  it('and an abort meanwhile: the handler is told after the resume, and nothing more is sent', async () => {
    const { p, seen } = await keeping();
    const { source, feed, cancelled } = stalled();
    const abort = new AbortController();
    const outcome = outcomeOf(upload(p.client, 'store', undefined, source, { signal: abort.signal }));
    await p.settle();
    p.socket.cut();
    feed.give(1);
    await p.settle();
    abort.abort('enough');
    expect(await outcome).toBe('enough');
    await p.settle();
    expect([cancelled.length, p.client.stats.queuedMessages, seen.aborts]).toEqual([1, 0, []]);
    await p.clock.advance(1_000);
    await p.settle();
    expect([said(p), seen.items, seen.thrown, p.client.stats.resumed]).toEqual([['cancel'], [], ['CANCELLED'], 1]);
  });

  it('and a timeout meanwhile: the caller is told at once, the handler in its time', async () => {
    const { p, seen } = await keeping();
    const outcome = outcomeOf(upload(p.client, 'store', undefined, stalled().source, { timeout: 500 }));
    await p.settle();
    p.socket.cut();
    await p.clock.advance(500);
    expect(await outcome).toBeInstanceOf(TimeoutError);
    expect(seen.aborts).toEqual(['DEADLINE_EXCEEDED']);
    await p.clock.advance(500);
    expect([p.client.stats.pendingCalls, p.peer.isBusy]).toEqual([0, false]);
  });
});

describe('a lost session', () => {
  it.each([
    ['that is over', BRIEF_SESSIONS],
    ['that there never was', NO_SESSIONS],
  ])('%s, at whatever moment: SessionLostError, the handler is told, and nothing of it is in the next one', async (_what, server) => {
    const { p, seen } = await keeping(server);
    let lost = 0;
    for (let moment = 0; moment < 150; moment++) {
      const { source, seen: read } = numbered(5_000);
      const outcome = outcomeOf(upload(p.client, 'store', undefined, source));
      for (let i = 0; i < moment; i++) await Promise.resolve();
      p.socket.cut();
      const isWritten = p.frames().some(({ upload: isUpload }) => isUpload);
      await p.clock.advance(1_000);
      await p.settle();
      if (!isWritten) {
        expect([moment, await outcome]).toEqual([moment, 5_000]); // it waited, and is asked for now
        seen.items = [];
        continue;
      }
      lost++;
      expect(await outcome).toBeInstanceOf(SessionLostError);
      expect([moment, said(p)]).toEqual([moment, []]);
      expect(seen.items).toEqual(upTo(seen.items.length));
      expect([read.left + (read.read === 0 ? 1 : 0), read.ended, seen.items.splice(0).length <= read.read]).toEqual([1, 0, true]);
    }
    expect([lost > 100, seen.ended, p.client.stats.resumed]).toEqual([true, seen.begun, 0]);
    expect(new Set(seen.thrown)).toEqual(new Set(['CANCELLED']));
    expect(new Set(seen.aborts)).toEqual(new Set(['SESSION_LOST']));
    expect(await upload(p.client, 'store', undefined, [1, 2])).toBe(2);
  });

  it('while the client is away for good: the source is left when it gives up', async () => {
    const { p, seen } = await keeping(BRIEF_SESSIONS);
    const { source, feed, cancelled } = stalled();
    const outcome = outcomeOf(upload(p.client, 'store', undefined, source));
    feed.give(1);
    await p.settle();
    p.reachable = false;
    p.socket.cut();
    await p.clock.advance(499);
    expect(seen.aborts).toEqual([]);
    await p.clock.advance(1);
    expect([seen.items, seen.aborts, seen.thrown]).toEqual([[1], ['SESSION_LOST'], ['CANCELLED']]);
    expect(cancelled).toEqual([]);
    const closed = p.client.close();
    await p.clock.advance(2_000);
    await closed;
    expect(await outcome).toBeInstanceOf(ClosedError);
    expect(cancelled).toHaveLength(1);
  });
});

describe('a server by hand', () => {
  const asked = async (source: Parameters<typeof upload>[3], more = {}) => {
    const s = handServer();
    await s.welcomes({ features: FEATURES });
    const outcome = outcomeOf(upload(s.client, 'store', null, source, more));
    await s.clock.advance(0);
    s.news();
    return { s, outcome };
  };
  const grant = (seq: number, count: number, id = 1) => ({ type: 'grant', id, count, seq });

  it('that goes on with the session gets the rest, with the old numbers, and each one once', async () => {
    const { s, outcome } = await asked(['a', 'b', 'c', 'd']);
    await s.says(grant(1, 3));
    expect(told(s.news())).toEqual(['chunk #2', 'chunk #3', 'chunk #4']);
    await s.cuts();
    await s.welcomes({ features: FEATURES, ...resumed(2) });
    expect(s.asked).toMatchObject({ received: 1 });
    expect(s.news()).toEqual([
      { type: 'chunk', id: 1, data: 'b', seq: 3 },
      { type: 'chunk', id: 1, data: 'c', seq: 4 },
    ]);
    await s.says(grant(2, 1));
    await s.says(grant(3, 1));
    expect(told(s.news())).toEqual(['chunk #5', 'finish #6']);
    await s.says({ type: 'response', id: 1, result: 4, seq: 4 });
    expect(await outcome).toBe(4);
  });

  it('that goes on tells how far it is: progress, once for each item', async () => {
    const items: number[] = [];
    const { s } = await asked(['a', 'b', 'c', 'd'], { onprogress: (progress: { items: number }) => items.push(progress.items) });
    await s.says(grant(1, 3));
    await s.cuts();
    await s.welcomes({ features: FEATURES, ...resumed(3) });
    expect(items).toEqual([1, 2]);
    await s.says({ type: 'ack', received: 3 }, { type: 'ack', received: 4 });
    expect(items).toEqual([1, 2, 3]);
  });

  it('that has forgotten the session: what was written and what waits is gone, and no id is used again', async () => {
    const { source, cancelled, feed } = stalled();
    const { s, outcome } = await asked(source);
    await s.says(grant(1, 9));
    feed.give('written');
    await s.clock.advance(0);
    s.socket.closed();
    feed.give('waits');
    await s.waits();
    expect(s.client.stats.queuedMessages).toBe(1);
    s.news();
    const next = upload(s.client, 'store', null, ['new']);
    await s.welcomes(another({ features: FEATURES }));
    expect(await outcome).toBeInstanceOf(SessionLostError);
    expect([told(s.news()), cancelled.length, s.log]).toEqual([['request store #1'], 1, ['close 1006 again']]);
    await s.says(grant(1, 9, 1), grant(2, 9, 2)); // the first one is for nobody
    expect(s.news()).toMatchObject([{ type: 'chunk', id: 2, data: 'new' }, { type: 'finish' }]);
    await s.says({ type: 'response', id: 2, result: 1, seq: 3 });
    expect(await next).toBe(1);
  });

  it('that has no uploads any more: what waited for it rejects, and the source is left', async () => {
    const s = handServer();
    await s.welcomes({ features: FEATURES });
    s.socket.closed();
    const { source, cancelled } = stalled();
    const outcome = outcomeOf(upload(s.client, 'store', null, source));
    await s.waits();
    await s.welcomes(another({ features: ['calls', 'resume'] }));
    expect(await outcome).toMatchObject({ name: 'UnsupportedError' });
    await s.clock.advance(0);
    expect([told(s.news()), cancelled.length]).toEqual([[], 1]);
  });
});

describe('without a connection', () => {
  it('an upload waits in the outbox, its source untouched, and begins then', async () => {
    const { p, seen } = await keeping();
    p.socket.cut();
    const { source, seen: read } = numbered(3);
    const stored = upload(p.client, 'store', undefined, source);
    await p.settle();
    expect([p.client.stats.queuedMessages, read.read]).toEqual([1, 0]);
    await p.clock.advance(1_000);
    expect([await stored, seen.items, countOf(said(p), 'upload')]).toEqual([3, [1, 2, 3], 1]);
  });

  it('its timeout is over in the outbox: it is never asked for', async () => {
    const { p, seen } = await keeping();
    p.socket.cut();
    p.reachable = false;
    const { source, cancelled } = stalled();
    const outcome = outcomeOf(upload(p.client, 'store', undefined, source, { timeout: 500 }));
    await p.clock.advance(500);
    expect(await outcome).toMatchObject({ code: 'DEADLINE_EXCEEDED', maybeExecuted: false });
    expect([seen.begun, cancelled.length, p.client.stats.queuedMessages]).toEqual([0, 1, 0]);
  });
});
