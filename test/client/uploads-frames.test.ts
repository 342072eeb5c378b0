/** Uploads, frame by frame: what the client says to a server by hand, and what it makes of what it should never hear. */

import { describe, expect, it, vi } from 'vitest';
import { MessageTooLargeError, SessionLostError, UnsupportedError } from '../../src/errors.ts';
import { queued } from '../../src/queued.ts';
import { type UploadOptions, type UploadProgress, upload } from '../../src/upload.ts';
import type { UploadSource } from '../../src/upload-source.ts';
import { FEATURES } from '../../src/wire/holdfast.ts';
import { type HandServer, handServer, told } from '../support/hand-server.ts';
import { upTo } from '../support/streams.ts';
import { numbered, stalled } from '../support/uploads.ts';

const WITH_UPLOADS = { features: FEATURES };
const WITHOUT_SESSIONS = { features: ['calls', 'binary', 'uploads'], session: undefined, key: undefined };
const grant = (seq: number, count: number, id = 1) => ({ type: 'grant', id, count, seq });
const chunk = (data: unknown, seq: number, id = 1) => ({ type: 'chunk', id, data, seq });

/** An upload that a server by hand was asked for, and what became of it. */
async function asked(source: UploadSource, options: UploadOptions = {}, welcome: object = WITH_UPLOADS) {
  const s = handServer();
  await s.welcomes(welcome);
  const answer = upload(s.client, 'store', 'p', source, options);
  const outcome = answer.catch((error: unknown) => error);
  await s.clock.advance(0);
  const request = s.news();
  return { s, answer, outcome, request };
}
const datas = (s: HandServer) => s.news().map(({ type, data }) => (type === 'chunk' ? data : type));

describe('a client that uploads', () => {
  it('says so in the request, then sends nothing', async () => {
    const { s, request } = await asked([1, 2], { timeout: 7_000 });
    expect(request).toEqual([{ type: 'request', id: 1, method: 'store', upload: true, timeout: 7_000, params: 'p', seq: 1 }]);
    await s.clock.advance(5_000);
    expect(s.news().filter(({ type }) => type !== 'ping')).toEqual([]);
  });

  it('sends as many as were granted, and a number on each, then finish', async () => {
    const { s, answer } = await asked(['a', 'b', 'c', 'd']);
    await s.says(grant(1, 2));
    expect(s.news()).toEqual([chunk('a', 2), chunk('b', 3)]);
    await s.says(grant(2, 1));
    expect(s.news()).toEqual([chunk('c', 4)]);
    await s.says(grant(3, 1));
    expect(s.news()).toEqual([chunk('d', 5), { type: 'finish', id: 1, seq: 6 }]); // which needs no grant
    await s.says({ type: 'response', id: 1, result: 4, seq: 4 });
    expect(await answer).toBe(4);
    await s.clock.advance(0);
    expect(s.news()).toEqual([]);
  });

  it('adds up what is granted in one message, and while it waits for its source', async () => {
    const { source, feed } = stalled();
    const { s } = await asked(source);
    s.socket.says(JSON.stringify([grant(1, 1), grant(2, 1)]));
    await s.says(grant(3, 1));
    feed.give(1);
    await s.clock.advance(0);
    expect(datas(s)).toEqual([1]);
    for (const value of [2, 3, 4]) feed.give(value);
    await s.clock.advance(0);
    expect(datas(s)).toEqual([2, 3]);
  });

  it('of nothing says finish when it is granted anything', async () => {
    const { s, answer } = await asked([]);
    await s.says(grant(1, 1));
    expect(s.news()).toEqual([{ type: 'finish', id: 1, seq: 2 }]);
    await s.says({ type: 'response', id: 1, seq: 2 });
    expect(await answer).toBeUndefined();
  });

  it('has no numbers where there is no session', async () => {
    const { s, request } = await asked([1], {}, WITHOUT_SESSIONS);
    await s.says({ type: 'grant', id: 1, count: 5 });
    expect([...request, ...s.news()]).toEqual([
      { type: 'request', id: 1, method: 'store', upload: true, params: 'p' },
      { type: 'chunk', id: 1, data: 1 },
      { type: 'finish', id: 1 },
    ]);
  });

  it('sends no more than the window lets it, and nothing of what waits when it is aborted', async () => {
    const abort = new AbortController();
    const { s, outcome } = await asked([1, 2, 3], { signal: abort.signal }, { ...WITH_UPLOADS, limits: { message: 65_536, window: 2 } });
    await s.says(grant(1, 3));
    expect(datas(s)).toEqual([1]);
    await s.says({ type: 'ack', received: 1 });
    expect(datas(s)).toEqual([2]);
    abort.abort('enough');
    expect(await outcome).toBe('enough');
    await s.says({ type: 'ack', received: 3 });
    expect(s.news()).toEqual([{ type: 'cancel', id: 1, seq: 4 }]);
  });

  it('goes on with 65536 outstanding', async () => {
    const { s, outcome } = await asked(stalled().source);
    await s.says(grant(1, 65_535), grant(2, 1));
    expect(s.socket.closes).toEqual([]);
    await s.says({ type: 'response', id: 1, result: 'fine', seq: 3 });
    expect(await outcome).toBe('fine');
  });

  it.each([
    ['at once', [grant(1, 65_537)]],
    ['added up', [grant(1, 1), grant(2, 65_536)]],
    ['as large as it gets', [grant(1, Number.MAX_SAFE_INTEGER)]],
  ])('closes with 4003 at more than 65536 outstanding, %s, and leaves its source', async (_what, frames) => {
    const { source, cancelled } = stalled();
    const { s, outcome } = await asked(source);
    await s.says(...frames);
    expect(s.socket.closes).toEqual([[4003, 'That is too much credit']]);
    expect(await outcome).toBeInstanceOf(SessionLostError);
    expect(cancelled).toHaveLength(1);
  });

  it('counts what it has sent: as much again may be granted', async () => {
    const { s } = await asked(upTo(20));
    for (let seq = 1; seq <= 3; seq++) await s.says(grant(seq, 5));
    await s.says(grant(4, 65_536));
    expect(s.socket.closes).toEqual([]);
    expect(s.news().at(-1)).toMatchObject({ type: 'finish' });
  });

  it('ignores a grant for what is over, for a call, and for what it never asked', async () => {
    const { source, seen } = numbered(10);
    const { s, outcome } = await asked(source);
    const call = s.client.call('echo');
    await s.clock.advance(0);
    await s.says(grant(1, 65_537, 2), grant(2, 65_537, 77), { type: 'error', id: 1, error: { code: 'x' }, seq: 3 }, grant(4, 65_537));
    expect(await outcome).toMatchObject({ code: 'x' });
    await s.says({ type: 'response', id: 2, result: 1, seq: 5 });
    expect([await call, s.socket.closes, seen.read]).toEqual([1, [], 0]);
    expect(told(s.news())).toEqual(['request echo #2']);
  });

  it.each([
    ['a count of 0', { count: 0 }],
    ['a count that is no whole number', { count: 1.5 }],
    ['no count', { count: undefined }],
    ['no id', { id: undefined }],
    ['no number', { seq: undefined }],
  ])('closes with 4003 at a grant with %s', async (_what, odd) => {
    const { s } = await asked([1]);
    await s.says({ ...grant(1, 1), ...odd });
    expect(s.socket.closes.map(([code]) => code)).toEqual([4003]);
  });

  it('takes a chunk and a finish by the server for types that it does not know', async () => {
    const { s, outcome } = await asked([1]);
    await s.says({ type: 'chunk', id: 1, data: 'x', seq: 1 }, { type: 'finish', id: 1, seq: 2 }, grant(3, 1));
    expect(datas(s)).toEqual([1, 'finish']);
    await s.says({ type: 'response', id: 1, result: 'fine', seq: 4 });
    expect([await outcome, s.socket.closes]).toEqual(['fine', []]);
  });
});

describe('a client that is asked', () => {
  it('for an upload has none: it answers as ever, and grants nothing', async () => {
    const s = handServer();
    s.client.handle('echo', (params) => params);
    await s.welcomes(WITH_UPLOADS);
    const request = { type: 'request', id: 1, method: 'echo', params: 7, upload: true, seq: 1 };
    await s.says(request, chunk(1, 2), { type: 'finish', id: 1, seq: 3 });
    await s.clock.advance(0);
    expect([s.news(), s.socket.closes]).toEqual([[{ type: 'response', id: 1, result: 7, seq: 1 }], []]);
  });
});

describe('progress', () => {
  const following = async (source: UploadSource, options: UploadOptions = {}, welcome: object = WITH_UPLOADS) => {
    const told: UploadProgress[] = [];
    const more = await asked(source, { onprogress: (progress) => told.push(progress), ...options }, welcome);
    return { ...more, told };
  };

  it('is what the server has acknowledged', async () => {
    const { s, told, answer } = await following(['aa', 'b', 'c']);
    await s.says(grant(1, 9));
    expect(told).toEqual([]);
    await s.says({ type: 'ack', received: 1 });
    expect(told).toEqual([]); // that was the request
    await s.says({ type: 'ack', received: 3 });
    expect(told).toEqual([
      { bytes: 4, items: 1, total: undefined },
      { bytes: 7, items: 2, total: undefined },
    ]);
    await s.says({ type: 'pong', received: 5 });
    expect(told[2]).toEqual({ bytes: 10, items: 3, total: undefined });
    await s.says({ type: 'response', id: 1, seq: 2 });
    await answer;
    expect(told).toHaveLength(3);
  });

  it('is everything that was sent when the answer comes, acknowledged or not', async () => {
    const { s, told, answer } = await following(['aa', 'b', 'c']);
    await s.says(grant(1, 2));
    await s.says({ type: 'ack', received: 2 }, { type: 'response', id: 1, seq: 2 });
    await answer;
    expect(told.map(({ items }) => items)).toEqual([1, 2]);
    await s.says({ type: 'ack', received: 3 });
    expect(told).toHaveLength(2);
  });

  it('is what was written where there is no session', async () => {
    const { s, told } = await following(['a', 'b'], {}, WITHOUT_SESSIONS);
    await s.says({ type: 'grant', id: 1, count: 1 });
    expect(told.map(({ items }) => items)).toEqual([1]);
    await s.says({ type: 'grant', id: 1, count: 1 });
    expect(told.map(({ items }) => items)).toEqual([1, 2]);
  });

  it.each(['throws', 'aborts'])('by a callback that %s stops the upload, and is not told any more', async (what) => {
    const error = new Error('no bar to show it on');
    const abort = new AbortController();
    const onprogress = vi.fn(() => {
      if (what === 'throws') throw error;
      abort.abort(error);
    });
    const { source, cancelled, feed } = stalled();
    const { s, outcome } = await following(source, { onprogress, signal: abort.signal });
    await s.says(grant(1, 9));
    for (const value of [1, 2, 3]) feed.give(value);
    await s.clock.advance(0);
    expect(datas(s)).toEqual([1, 2, 3]);
    await s.says({ type: 'ack', received: 4 }); // of all of them
    expect(await outcome).toBe(error);
    expect([onprogress.mock.calls.length, told(s.news())]).toEqual([1, ['cancel 1 #5']]);
    expect([cancelled.length, s.client.stats.pendingCalls, s.socket.closes]).toEqual([1, 0, []]);
  });
});

describe('a server', () => {
  it('without uploads: UnsupportedError, at once where that is known, and the source is not touched', async () => {
    const s = handServer();
    const { source, cancelled } = stalled();
    const early = upload(s.client, 'store', null, source).catch((error: unknown) => error);
    await s.welcomes();
    expect(await early).toBeInstanceOf(UnsupportedError);
    await s.clock.advance(0);
    expect(cancelled).toHaveLength(1);
    const untouched = stalled();
    await expect(upload(s.client, 'store', null, untouched.source)).rejects.toBeInstanceOf(UnsupportedError);
    expect([untouched.source.locked, s.client.capabilities.uploads, s.news()]).toEqual([false, false, []]);
  });

  it('needs calls too', async () => {
    const s = handServer();
    await s.welcomes({ features: ['uploads', 'resume'] });
    await expect(upload(s.client, 'store', null, [])).rejects.toBeInstanceOf(UnsupportedError);
  });

  it('without binary payloads takes values, and no bytes', async () => {
    const { s, outcome } = await asked([1, new Uint8Array(2)], {}, { features: ['calls', 'uploads', 'resume'] });
    await s.says(grant(1, 9));
    expect(await outcome).toBeInstanceOf(UnsupportedError);
    expect(told(s.news())).toEqual(['chunk #2', 'cancel 1 #3']);
  });

  it.each([
    ['smaller than the item', 5_000, 6_000],
    ['smaller than the message with it', 5_000, 4_990],
    ['smaller than the message with it, where there is no session', 5_000, 4_990],
  ])('whose limit is %s: MessageTooLargeError, and it is told to stop', async (what, limit, size) => {
    const welcome = { ...(what.includes('no session') ? WITHOUT_SESSIONS : WITH_UPLOADS), limits: { message: limit, window: 256 } };
    const { s, outcome } = await asked(new Uint8Array(20_000), { chunkSize: size }, welcome);
    const { seq, ...bare } = grant(1, 9);
    await s.says('session' in welcome ? bare : { ...bare, seq });
    const error = await outcome;
    expect(error).toBeInstanceOf(MessageTooLargeError);
    expect(error).toMatchObject({ limit });
    expect(s.news().map(({ type }) => type)).toEqual(['cancel']);
    expect([queued(s.client), s.socket.closes]).toEqual([[], []]);
  });
});
