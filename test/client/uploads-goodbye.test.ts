/** Uploads and a server that says goodbye: what runs may come to its end, and nothing new begins. */

import { describe, expect, it } from 'vitest';
import { SessionLostError } from '../../src/errors.ts';
import { upload } from '../../src/upload.ts';
import { FEATURES } from '../../src/wire/holdfast.ts';
import { handServer, resumed, told } from '../support/hand-server.ts';
import { serving } from '../support/streams.ts';
import { said, stalled, storing } from '../support/uploads.ts';
import { bye, NO_SESSIONS } from './support.ts';

const outcomeOf = (answer: Promise<unknown>) => answer.catch((error: unknown) => error);

describe.each([
  ['with sessions', {}],
  ['without', NO_SESSIONS],
])('a server that drains, %s,', (_what, server) => {
  const going = async (drain: number) => {
    const { handler, seen } = storing();
    const p = await serving({ store: handler, echo: (params) => params }, {}, server);
    const { source, feed, cancelled } = stalled();
    const outcome = outcomeOf(upload(p.client, 'store', undefined, source));
    await p.settle();
    const closed = p.host.close({ drain, retryAfter: 60_000 });
    await p.settle();
    return { p, seen, feed, cancelled, outcome, closed };
  };

  it('lets an upload come to its end, and closes then', async () => {
    const { p, seen, feed, outcome, closed } = await going(3_000);
    for (let i = 1; i <= 30; i++) feed.give(i);
    await p.settle();
    expect([seen.items.length, p.log]).toEqual([30, ['open']]);
    feed.end();
    expect(await outcome).toBe(30);
    await closed;
    await p.settle();
    expect([p.log, seen.thrown]).toEqual([['open', 'close 4100 again'], []]);
  });

  it('is sent nothing else meanwhile: that waits for the next connection', async () => {
    const { p, feed, outcome } = await going(3_000);
    p.client.send('note');
    const call = outcomeOf(p.client.call('echo', 1));
    const another = stalled();
    void outcomeOf(upload(p.client, 'store', undefined, another.source));
    feed.give(1);
    feed.end();
    expect(await outcome).toBe(1);
    expect(said(p)).toEqual(['upload store', 'chunk 1', 'finish']);
    expect(p.client.stats.queuedMessages).toBe(3);
    void p.client.close();
    expect(await call).toMatchObject({ code: 'CLIENT_CLOSED' });
    await p.settle();
    expect(another.cancelled).toHaveLength(1);
  });

  it('waits for an upload that stands still as long as it said, and no longer', async () => {
    const { p, seen, feed, cancelled, closed } = await going(3_000);
    feed.give(1);
    await p.clock.advance(2_999);
    expect([p.log, seen.items, seen.ended]).toEqual([['open'], [1], 0]);
    await p.clock.advance(1);
    await closed;
    await p.settle();
    expect([p.log, seen.ended, seen.thrown]).toEqual([['open', 'close 4100 again'], 1, ['CANCELLED']]);
    expect(cancelled.length).toBe('sessions' in server ? 1 : 0); // with a session it may go on
  });
});

describe('a goodbye', () => {
  const saying = async (welcome: object = {}) => {
    const s = handServer();
    await s.welcomes({ features: FEATURES, ...welcome });
    const { source, feed, cancelled } = stalled();
    const outcome = outcomeOf(upload(s.client, 'store', null, source));
    await s.clock.advance(0);
    await s.says({ type: 'grant', id: 1, count: 9, seq: 1 });
    s.news();
    return { s, feed, cancelled, outcome };
  };
  const leaves = bye({ resume: true, reconnect: true });

  it('lets an item out that waits behind a full socket, and those that come', async () => {
    const { s, feed, outcome } = await saying();
    s.socket.bufferedAmount = 65_536;
    feed.give('a');
    await s.clock.advance(0);
    s.client.send('note');
    expect(s.client.stats.queuedMessages).toBe(2);
    await s.says(leaves);
    feed.give('b');
    feed.end();
    await s.clock.advance(0);
    expect(told(s.news())).toEqual(['chunk #2', 'chunk #3', 'finish #4']);
    await s.says({ type: 'response', id: 1, result: 'fine', seq: 2 });
    expect([await outcome, s.client.stats.queuedMessages]).toEqual(['fine', 1]);
  });

  it('leaves to the window what is its own: an item that has no room goes out when there is some', async () => {
    const { s, feed, outcome } = await saying({ limits: { message: 65_536, window: 2 } });
    await s.says({ type: 'ack', received: 1 }, leaves);
    for (const value of ['a', 'b', 'c']) feed.give(value);
    await s.clock.advance(0);
    expect(told(s.news())).toEqual(['chunk #2', 'chunk #3']);
    await s.says({ type: 'ack', received: 3 });
    expect(told(s.news())).toEqual(['chunk #4']);
    await s.says({ type: 'response', id: 1, result: 'fine', seq: 2 });
    expect(await outcome).toBe('fine');
  });

  it('and a cut before the answer: what had no room is there once, after the resume', async () => {
    const { s, feed, outcome } = await saying({ limits: { message: 65_536, window: 2 } });
    await s.says({ type: 'ack', received: 1 }, leaves);
    for (const value of ['a', 'b', 'c']) feed.give(value);
    feed.end();
    await s.clock.advance(0);
    s.news();
    await s.cuts(4100);
    await s.welcomes({ features: FEATURES, ...resumed(3) });
    await s.clock.advance(0);
    expect(s.news().map(({ type, data, seq }) => [type, data, seq])).toEqual([
      ['chunk', 'c', 4],
      ['finish', undefined, 5],
    ]);
    await s.says({ type: 'response', id: 1, result: 3, seq: 2 });
    expect(await outcome).toBe(3);
  });

  it('and a cut, and an item that comes then: it waits in the outbox, as ever', async () => {
    const { s, feed, outcome } = await saying();
    await s.says(leaves);
    s.socket.closed(4100);
    feed.give('a');
    await s.clock.advance(0);
    expect([s.client.stats.queuedMessages, s.news()]).toEqual([1, []]);
    feed.end();
    await s.waits();
    await s.welcomes({ features: FEATURES, ...resumed(1) });
    await s.clock.advance(0);
    expect(told(s.news())).toEqual(['chunk #2', 'finish #3']);
    await s.says({ type: 'response', id: 1, result: 1, seq: 2 });
    expect(await outcome).toBe(1);
  });

  it('that ends the session ends the upload with it', async () => {
    const { s, cancelled, outcome } = await saying();
    await s.says(bye({ resume: false, reconnect: true }));
    s.socket.closed(4100);
    expect(await outcome).toBeInstanceOf(SessionLostError);
    await s.clock.advance(0);
    expect(cancelled).toHaveLength(1);
  });
});
