/** Sessions, from the client's side: how much may be under way, when it is acknowledged, and what is too large. */

import { describe, expect, it } from 'vitest';
import { WINDOW } from '../../src/core/session.ts';
import { CallError, MessageTooLargeError } from '../../src/errors.ts';
import { another, handServer, resumed, told } from '../support/hand-server.ts';
import type { Frame } from '../support/link.ts';

const limits = (window: number, message = 65_536) => ({ limits: { message, window } });
const text = (bytes: number) => 'x'.repeat(bytes);
const event = (seq: number, data: unknown = null) => ({ type: 'event', name: 'a', data, seq });
const seqs = (frames: readonly Frame[]) => frames.map(({ seq }) => seq);

/** A client that is there; what it writes is read by `news`. */
async function opened(welcome: object = {}, options: Parameters<typeof handServer>[0] = {}) {
  const s = handServer(options);
  await s.welcomes(welcome);
  const sends = async (...names: string[]) => {
    const receipts = names.map((name) => s.client.send(name));
    await s.clock.advance(0);
    return receipts;
  };
  return { s, sends };
}

describe('the window', () => {
  it('lets as many frames be unacknowledged as the server says; the rest waits in the outbox, and goes as they are acknowledged', async () => {
    const { s, sends } = await opened(limits(2));
    const receipts = await sends('a', 'b', 'c', 'd', 'e');
    expect(told(s.news())).toEqual(['event a #1', 'event b #2']);
    expect(s.client.stats).toMatchObject({ queuedMessages: 3, unacknowledgedMessages: 2 });
    expect(receipts[2]?.cancel()).toBe(true); // what waits has no number yet
    await s.says({ type: 'ack', received: 1 });
    expect(told(s.news())).toEqual(['event d #3']);
    await s.says({ type: 'ack', received: 3 });
    expect(told(s.news())).toEqual(['event e #4']);
  });

  it('keeps the priorities and keys of what waits', async () => {
    const { s, sends } = await opened(limits(1));
    await sends('a');
    s.client.send('low', 1, { priority: -1 });
    s.client.send('key', 1, { key: 'k' });
    s.client.send('key', 2, { key: 'k' });
    s.client.send('high', 1, { priority: 1 });
    for (let received = 1; received <= 3; received++) await s.says({ type: 'ack', received });
    expect(told(s.news())).toEqual(['event a #1', 'event high #2', 'event key #3', 'event low #4']);
    expect(s.log).toEqual(['drop event key replaced']);
  });

  it('of 256 frames is what a server leaves that says so, however many come at once', async () => {
    const { s } = await opened();
    for (let i = 0; i < 1_000; i++) s.client.send('a', i);
    await s.clock.advance(0);
    expect(s.news()).toHaveLength(256);
    await s.says({ type: 'ack', received: 256 });
    expect(s.news()).toHaveLength(256);
  });

  it('of 0 lets one frame go at a time', async () => {
    const { s, sends } = await opened(limits(0));
    await sends('a', 'b', 'c');
    expect(told(s.news())).toEqual(['event a #1']);
    await s.says({ type: 'ack', received: 1 });
    expect(told(s.news())).toEqual(['event b #2']);
    await s.cuts();
    await s.welcomes({ ...resumed(1), ...limits(0) });
    expect(told(s.news())).toEqual(['event b #2']);
    await s.says({ type: 'ack', received: 2 });
    expect(told(s.news())).toEqual(['event c #3']);
  });

  it('does not concern what has no number: pings, subscribes, acknowledgements, volatile events of the moment', async () => {
    const { s, sends } = await opened(limits(0));
    s.client.send('volatile', 1, { volatile: true });
    await sends('a');
    s.client.channel('room').subscribe();
    await s.says({ type: 'ping', nonce: 4 });
    for (let i = 1; i <= WINDOW / 4; i++) await s.says(event(i));
    const written = told(s.news());
    expect(written).toEqual(expect.arrayContaining(['event volatile', 'event a #1', 'subscribe room', 'pong']));
    expect(written.at(-1)).toBe(`ack ${WINDOW / 4}`);
  });

  it('is one of bytes too: 1 MiB; a larger frame goes alone', async () => {
    const { s } = await opened(limits(256, 4 * 1_048_576));
    const acknowledges = async (received: number) => {
      await s.says({ type: 'ack', received });
      await s.clock.advance(1_000);
    };
    for (const kib of [600, 300, 200, 2_000, 1]) s.client.send('a', text(kib * 1_024));
    await s.clock.advance(1_000); // large messages are written one after the other
    expect(s.news().map(({ type, seq }) => seq ?? type)).toEqual(['ping', 1, 'ping', 2]); // large ones are announced
    expect(s.client.stats.unacknowledgedBytes).toBeLessThanOrEqual(1_048_576);
    const numbered = () => seqs(s.news().filter(({ type }) => type === 'event'));
    await acknowledges(1);
    expect(numbered()).toEqual([3]);
    await acknowledges(2);
    expect(numbered()).toEqual([]); // the large one waits until there is nothing else
    await acknowledges(3);
    expect(numbered()).toEqual([4]);
    await acknowledges(4);
    expect(numbered()).toEqual([5]);
  });

  it('that has shrunk holds back new frames, and nothing of what is written again', async () => {
    const { s, sends } = await opened(limits(4));
    await sends('a', 'b', 'c', 'd', 'e');
    await s.cuts();
    s.news();
    await s.welcomes({ ...resumed(0), ...limits(2) });
    expect(told(s.news())).toEqual(['event a #1', 'event b #2', 'event c #3', 'event d #4']);
    for (let received = 1; received <= 2; received++) await s.says({ type: 'ack', received });
    expect(told(s.news())).toEqual([]);
    await s.says({ type: 'ack', received: 3 });
    expect(told(s.news())).toEqual(['event e #5']);
  });

  it('that has grown lets more go at once', async () => {
    const { s, sends } = await opened(limits(1));
    await sends('a', 'b', 'c');
    await s.cuts();
    s.news();
    await s.welcomes({ ...resumed(0), ...limits(3) });
    expect(told(s.news())).toEqual(['event a #1', 'event b #2', 'event c #3']);
  });

  it('that is full holds answers to the server too, in order, behind cancels; they go first when there is room', async () => {
    const { s, sends } = await opened(limits(2));
    s.client.handle('echo', (n) => n);
    const abort = new AbortController();
    s.client.call('long', null, { signal: abort.signal }).catch(() => {});
    await sends('a', 'b');
    expect(told(s.news())).toEqual(['request long #1', 'event a #2']);
    await s.says(
      { type: 'request', id: 1, method: 'echo', params: 1, seq: 1 },
      { type: 'request', id: 2, method: 'echo', params: 2, seq: 2 },
    );
    abort.abort();
    await s.clock.advance(0);
    expect(told(s.news())).toEqual([]);
    for (let received = 1; received <= 4; received++) await s.says({ type: 'ack', received });
    expect(told(s.news())).toEqual(['cancel 1 #3', 'response 1 #4', 'response 2 #5', 'event b #6']);
  });

  it('that is full does not keep the client from reading', async () => {
    const { s, sends } = await opened(limits(1));
    const heard: unknown[] = [];
    s.client.on('a', (data) => void heard.push(data));
    await sends('a', 'b');
    for (let i = 1; i <= 300; i++) await s.says(event(i, i));
    expect(heard).toHaveLength(300);
  });
});

describe('an acknowledgement', () => {
  const acks = (frames: readonly Frame[]) => told(frames).filter((frame) => frame.startsWith('ack'));

  it('is written at a quarter of the window that the client announced', async () => {
    const { s } = await opened();
    expect(s.hello).toMatchObject({ limits: { window: WINDOW } });
    const quarter = WINDOW / 4;
    for (let i = 1; i < quarter; i++) await s.says(event(i));
    expect(acks(s.news())).toEqual([]);
    await s.says(event(quarter));
    expect(acks(s.news())).toEqual([`ack ${quarter}`]);
    for (let i = 0; i < quarter; i += 64) await s.says(Array.from({ length: 64 }, (_, j) => event(quarter + i + j + 1)));
    expect(acks(s.news())).toEqual([`ack ${2 * quarter}`]);
  });

  it('is written at a quarter of a mebibyte', async () => {
    const { s } = await opened({}, { messageLimit: 400_000 });
    await s.says(event(1, text(130_000)));
    expect(acks(s.news())).toEqual([]);
    await s.says(event(2, text(140_000)));
    expect(acks(s.news())).toEqual(['ack 2']);
  });

  it('is written within a second of the first frame, and then not again', async () => {
    const { s } = await opened();
    await s.says(event(1));
    await s.clock.advance(900);
    await s.says(event(2));
    expect(acks(s.news())).toEqual([]);
    await s.clock.advance(99);
    expect(acks(s.news())).toEqual([]);
    await s.clock.advance(1);
    expect(acks(s.news())).toEqual(['ack 2']);
    await s.clock.advance(5_000);
    expect(acks(s.news())).toEqual([]);
    await s.says(event(3));
    await s.clock.advance(1_000);
    expect(acks(s.news())).toEqual(['ack 3']);
  });

  it('rides on ping, pong and bye, and is not written beside them', async () => {
    const { s } = await opened();
    await s.says(event(1), { type: 'ping', nonce: 7 });
    expect(s.news()).toEqual([{ type: 'pong', nonce: 7, received: 1 }]);
    await s.says(event(2));
    await s.clock.advance(1_000);
    expect(acks(s.news())).toEqual(['ack 2']);
    await s.clock.advance(16_499);
    await s.says();
    s.socket.says(JSON.stringify(event(3)));
    expect(s.news()).toEqual([]);
    await s.clock.advance(1_000);
    expect(acks(s.news())).toEqual(['ack 3']);
    await s.clock.advance(16_500);
    expect(s.news()).toMatchObject([{ type: 'ping', received: 3 }]);
    await s.says({ type: 'pong' }, event(4));
    void s.client.close();
    expect(s.news()).toMatchObject([{ type: 'bye', received: 4 }]);
    s.socket.closed(1_000);
    await s.clock.advance(2_000);
    expect(s.clock.pending).toBe(0);
  });

  it('owed to one connection is not written on the next one: the hello has said it', async () => {
    const { s } = await opened();
    await s.says(event(1));
    await s.cuts();
    expect(s.asked).toMatchObject({ received: 1 });
    await s.welcomes(resumed(0));
    await s.clock.advance(2_000);
    expect(acks(s.news())).toEqual([]);
  });
});

describe('a smaller limit on the next connection', () => {
  it('drops an event that is too large by now, and a call; a skip is in its place', async () => {
    const { s, sends } = await opened();
    const receipt = s.client.send('large', text(2_000));
    const failure = receipt.acknowledged.catch((error: unknown) => error);
    const call = s.client.call('large', text(2_000)).catch((error: unknown) => error);
    const published = s.client.channel('room').publish(text(2_000));
    await sends('small');
    await s.cuts();
    s.news();
    await s.welcomes({ ...resumed(0), ...limits(256, 1_024) });
    expect(told(s.news())).toEqual(['skip #1', 'skip #2', 'skip #3', 'event small #4']);
    expect(await failure).toBeInstanceOf(MessageTooLargeError);
    expect(await call).toBeInstanceOf(MessageTooLargeError);
    expect([receipt.status, published.status]).toEqual(['dropped', 'dropped']);
    expect(s.log).toEqual(['close 1006 again', 'drop event large too-large', 'drop publish room too-large']);
    expect(s.client.stats.pendingCalls).toBe(0);
    await s.says({ type: 'ack', received: 4 });
    await s.cuts();
    expect(s.asked).toMatchObject({ session: 'first' });
  });

  it('turns an answer to the server into RESOURCE_EXHAUSTED, under its number', async () => {
    const { s } = await opened();
    s.client.handle('large', () => text(2_000));
    await s.says({ type: 'request', id: 1, method: 'large', seq: 1 });
    expect(told(s.news())).toEqual(['response 1 #1']);
    await s.cuts();
    await s.welcomes({ ...resumed(0), ...limits(256, 1_024) });
    expect(told(s.news())).toEqual(['error 1 RESOURCE_EXHAUSTED #1']);
  });

  it('leaves a refusal that is too large by now a refusal: whoever called gets one final frame', async () => {
    const { s } = await opened();
    s.client.handle('no', () => {
      throw new CallError('NOT_FOUND', 'no', { data: text(2_000) });
    });
    await s.says({ type: 'request', id: 1, method: 'no', seq: 1 });
    expect(told(s.news())).toEqual(['error 1 NOT_FOUND #1']);
    await s.cuts();
    await s.welcomes({ ...resumed(0), ...limits(256, 1_024) });
    expect(s.news()).toMatchObject([{ type: 'error', id: 1, seq: 1 }]);
  });

  it('holds for an answer that waited for its number, large or a refusal', async () => {
    const { s, sends } = await opened(limits(1));
    s.client.handle('large', () => text(2_000));
    s.client.handle('no', () => {
      throw new CallError('NOT_FOUND', 'no', { data: text(2_000) });
    });
    await sends('a');
    await s.says({ type: 'request', id: 1, method: 'large', seq: 1 }, { type: 'request', id: 2, method: 'no', seq: 2 });
    await s.cuts();
    s.news();
    await s.welcomes({ ...resumed(1), ...limits(10, 1_024) });
    expect(s.news()).toMatchObject([
      { type: 'error', id: 1, seq: 2, error: { code: 'RESOURCE_EXHAUSTED' } },
      { type: 'error', id: 2, seq: 3 },
    ]);
  });
});

describe('a close because something was too large, where the session is lost with it', () => {
  it.each([1_009, 4_413])(
    'with %i gives up the first large frame, and sends the rest again: nothing goes round in circles',
    async (code) => {
      const { s, sends } = await opened();
      await sends('a');
      s.client.send('large', text(20_000));
      await sends('b');
      await s.cuts(code);
      s.news();
      await s.welcomes(another());
      expect(told(s.news())).toEqual(['event a #1', 'event b #2']);
      expect(s.log).toEqual([`close ${code} again`, 'drop event large too-large']);
    },
  );
});

describe('a close with 1003, because of bytes', () => {
  it('without sessions takes no more of them: what was written is gone', async () => {
    const s = handServer();
    await s.welcomes({ features: ['calls', 'binary'], session: undefined, key: undefined });
    s.client.send('bytes', new Uint8Array([1]));
    await s.clock.advance(0);
    await s.cuts(1_003);
    s.client.send('more bytes', new Uint8Array([2]));
    s.news();
    await s.welcomes({ features: ['calls', 'binary'], session: undefined, key: undefined });
    expect(s.news()).toEqual([]);
    expect(s.log).toEqual(['close 1003 again', 'drop event more bytes unsupported']);
  });

  const bytes = new Uint8Array([1, 2, 3]);

  it('gives up the bytes that were written, not the rest, and takes no more of them: nothing goes round in circles', async () => {
    const { s, sends } = await opened();
    await sends('a');
    s.client.send('bytes', bytes);
    await sends('b');
    await s.cuts(1_003);
    s.client.send('more bytes', bytes);
    s.news();
    await s.welcomes(another());
    await s.clock.advance(0);
    expect(told(s.news())).toEqual(['event a #1', 'event b #2']);
    expect(s.log).toEqual(['close 1003 again', 'drop event bytes unsupported', 'drop event more bytes unsupported']);
    expect(s.client.capabilities.binary).toBe(false);
    await expect(s.client.call('echo', bytes)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(s.client.state.status).toBe('open');
  });

  it('without bytes among what was written blames nothing, and is final at the second in a row', async () => {
    const { s, sends } = await opened();
    await sends('a');
    await s.cuts(1_003);
    await s.welcomes(another());
    expect(s.client.capabilities.binary).toBe(true);
    s.socket.closed(1_003);
    expect(s.client.state).toMatchObject({ status: 'closed', cause: 'refused', code: 1_003 });
  });

  it('is forgotten once the client was closed: connect() asks anew', async () => {
    const { s } = await opened();
    s.client.send('bytes', bytes);
    await s.clock.advance(0);
    await s.cuts(1_003);
    await s.welcomes(another());
    expect(s.client.capabilities.binary).toBe(false);
    void s.client.close();
    s.socket.closed(1_000);
    void s.client.connect();
    await s.welcomes();
    expect(s.client.capabilities.binary).toBe(true);
  });
});

describe('a close because something was too large', () => {
  it.each([1_009, 4_413])('with %i blames the first large frame that the server does not have, and goes on with the rest', async (code) => {
    const { s, sends } = await opened();
    await sends('a');
    s.client.send('large', text(20_000));
    s.client.send('larger', text(30_000));
    await s.clock.advance(0);
    await s.cuts(code);
    s.news();
    await s.welcomes(resumed(1));
    expect(told(s.news())).toEqual(['skip #2', 'event larger #3']);
    expect(s.log).toEqual([`close ${code} again`, 'drop event large too-large']);
  });

  it('blames no frame of 16 KiB or less: it gets through everywhere', async () => {
    const { s, sends } = await opened();
    s.client.send('a', text(9_000));
    await sends('b');
    await s.cuts(1_009);
    await s.welcomes(resumed(0));
    if (s.client.state.status !== 'open') await s.waits();
    await s.welcomes({ session: 'second' });
    expect(s.log.filter((line) => line.startsWith('drop'))).toEqual([]);
    expect(
      told(s.news())
        .slice(-2)
        .map((line) => line.slice(0, 7)),
    ).toEqual(['event a', 'event b']);
  });

  it('without a frame over 16 KiB to blame costs the session, once: nothing goes round in circles', async () => {
    const { s, sends } = await opened();
    s.client.send('a', text(9_000));
    await sends('b');
    await s.cuts(1_009);
    await s.welcomes(resumed(0));
    if (s.client.state.status !== 'open') await s.waits();
    expect(s.asked).toBeUndefined();
  });

  it('in a session that was lost then blames nothing in the next one', async () => {
    const { s } = await opened();
    await s.cuts(1_009);
    await s.welcomes({ session: 'second' });
    s.client.send('large', text(20_000));
    await s.clock.advance(0);
    await s.cuts(1_006);
    s.news();
    await s.welcomes(resumed(0, { session: 'second' }));
    expect(told(s.news())).toEqual(['event large #1']);
    expect(s.log.filter((line) => line.startsWith('drop'))).toEqual([]);
  });

  it('before the welcome blames no frame: only a hello was written', async () => {
    const { s } = await opened();
    s.client.send('large', text(20_000));
    await s.clock.advance(0);
    await s.cuts(1_006);
    await s.cuts(1_009);
    s.news();
    await s.welcomes(resumed(0));
    expect(told(s.news())).toEqual(['event large #1']);
  });
});
