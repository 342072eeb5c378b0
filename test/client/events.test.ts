/** Named events, both ways, and what leaves together. */

import { describe, expect, it, vi } from 'vitest';
import { framesIn } from '../support/link.ts';
import { listening, offline, VALUES } from './support.ts';

describe('an event', () => {
  it.each(VALUES)('arrives as it was sent, both ways: %j', async (value) => {
    const { p, got } = listening();
    await p.settle();
    const back = vi.fn();
    p.client.on('note', back);
    p.client.send('note', value);
    p.peer.send('note', value);
    await p.settle();
    expect(got).toEqual([value]);
    expect(back.mock.calls).toEqual([[value]]);
  });

  it('without data, or with undefined, has null', async () => {
    const { p, got } = listening();
    await p.settle();
    const back: unknown[] = [];
    p.client.on('note', (data) => back.push(data));
    p.client.send('note');
    p.client.send('note', undefined);
    p.peer.send('note');
    await p.settle();
    expect([got, back]).toEqual([[null, null], [null]]);
  });

  it('carries bytes, any view of them, and keeps its place among text', async () => {
    const { p, got } = listening();
    await p.settle();
    const back: unknown[] = [];
    p.client.on('note', (data) => back.push(data));
    p.client.send('note', 'before');
    p.client.send('note', new Uint8Array([9, 0xff, 2, 9]).subarray(1, 3));
    p.client.send('note', new DataView(new ArrayBuffer(2)));
    p.client.send('note', new ArrayBuffer(0));
    p.client.send('note', 'after');
    p.peer.send('note', new Uint8Array([0xff]));
    await p.settle();
    expect(got).toEqual(['before', new Uint8Array([0xff, 2]), new Uint8Array([0, 0]), new Uint8Array(), 'after']);
    expect(back).toEqual([new Uint8Array([0xff])]);
  });

  it('is what it was when it was sent, bytes too', async () => {
    const { p, got } = listening();
    const value = { list: [1] };
    const bytes = new Uint8Array([1]);
    p.client.send('note', value);
    p.client.send('note', bytes);
    value.list.push(2);
    bytes[0] = 7;
    await p.settle();
    expect(got).toEqual([{ list: [1] }, new Uint8Array([1])]);
  });

  it('that cannot be sent throws where it is sent, and leaves nothing behind', () => {
    const { p } = listening({ startClosed: true });
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [cycle, 1n, () => {}, Symbol('s'), new Blob(['x'])]) expect(() => p.client.send('note', value)).toThrow(TypeError);
    expect(p.client.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
  });

  it('has a name that is not one of the lifecycle, which would never be heard', () => {
    const { p } = listening({ startClosed: true });
    for (const name of ['open', 'close', 'error', 'statechange', 'drop', 'unhandled']) {
      expect(() => p.client.send(name)).toThrow(/addEventListener/);
      expect(() => p.client.on(name, () => {})).toThrow(/addEventListener/);
    }
    expect(() => p.client.send('')).toThrow(TypeError);
    expect(() => p.client.on('note', 'no function' as never)).toThrow(TypeError);
  });

  it('may have any other name, also one that every object has', async () => {
    const { p } = listening();
    await p.settle();
    for (const name of ['__proto__', 'toString', 'hello', 'ping']) {
      const heard = vi.fn();
      p.client.on(name, heard);
      p.client.send(name, 1); // nobody handles it there, which is no harm
      p.peer.send(name, name);
      await p.settle();
      expect(heard.mock.calls).toEqual([[name]]);
    }
    expect(p.errors).toEqual([]);
  });
});

describe('on', () => {
  it('calls handlers in the order in which they came, until they are taken off, also by another one', async () => {
    const { p } = listening();
    await p.settle();
    const heard: string[] = [];
    p.client.on('note', () => {
      heard.push('a');
      offB();
      p.client.on('note', () => heard.push('late'));
    });
    const offB = p.client.on('note', () => heard.push('b'));
    const offC = p.client.on('note', () => heard.push('c'));
    p.peer.send('note');
    await p.settle();
    expect(heard).toEqual(['a', 'c']);
    offC();
    offC();
    p.peer.send('note');
    await p.settle();
    expect(heard).toEqual(['a', 'c', 'a', 'late']);
  });

  it('ends with its signal, and never begins with one that was aborted', async () => {
    const { p } = listening();
    await p.settle();
    const heard = vi.fn();
    const abort = new AbortController();
    p.client.on('note', heard, { signal: abort.signal });
    p.client.on('note', heard, { signal: AbortSignal.abort() });
    p.peer.send('note');
    await p.settle();
    abort.abort();
    p.peer.send('note');
    await p.settle();
    expect(heard).toHaveBeenCalledTimes(1);
    expect(p.log).toEqual(['open', 'unhandled event note']);
  });

  it('harms nobody when a handler throws: it is reported', async () => {
    const report = vi.spyOn(console, 'error').mockReturnValue();
    const { p } = listening();
    await p.settle();
    const heard = vi.fn();
    p.client.on('note', () => {
      throw new Error('mine');
    });
    p.client.on('note', heard);
    p.peer.send('note', 1);
    p.peer.send('note', 2);
    await p.settle();
    expect(heard.mock.calls).toEqual([[1], [2]]);
    expect(report).toHaveBeenCalledTimes(2);
    expect(p.client.state.status).toBe('open');
    report.mockRestore();
  });

  it('takes nothing more from a message once a handler has closed', async () => {
    const { p } = listening();
    await p.settle();
    const heard: unknown[] = [];
    p.client.on('note', (data) => {
      heard.push(data);
      void p.client.close();
    });
    for (const data of [1, 2, 3]) p.peer.send('note', data);
    await p.settle();
    expect(heard).toEqual([1]);
    expect(p.log).toEqual(['open', 'close 1000 final']);
  });
});

describe('what is sent in one task', () => {
  it('leaves as one message at its end, in order, calls too', async () => {
    const { p } = listening();
    await p.settle();
    p.client.send('note', 1);
    p.client.call('nothing').catch(() => {});
    p.client.send('note', 2);
    expect(p.socket.sent).toHaveLength(1);
    await p.settle();
    expect(p.socket.sent).toHaveLength(2);
    expect(p.frames().map(({ type }) => type)).toEqual(['hello', 'event', 'request', 'event']);
    expect(p.client.stats).toMatchObject({ messagesSent: 1, sent: 3 });
  });

  it('leaves in messages of at most 64 frames and 16 KiB, and a larger one alone', async () => {
    const { p, got } = listening();
    await p.settle();
    const data = [...Array.from({ length: 130 }, (_, i) => i), 'x'.repeat(20_000), ...Array.from({ length: 5 }, () => 'y'.repeat(5_000))];
    for (const each of data) p.client.send('note', each);
    await p.settle();
    expect(got).toEqual(data);
    expect(p.socket.sent.slice(1).map((message) => framesIn(message).length)).toEqual([64, 64, 2, 1, 3, 2]);
  });

  it('leaves at once with flush(), and not again', async () => {
    const { p, got } = listening();
    await p.settle();
    p.client.send('note', 1);
    p.client.flush();
    expect(p.socket.sent).toHaveLength(2);
    await p.settle();
    expect(p.socket.sent).toHaveLength(2);
    expect(got).toEqual([1]);
  });

  it('goes on waiting with flush() where there is no connection', async () => {
    const { p, got, accept } = offline();
    p.client.send('note', 1);
    p.client.flush();
    expect(p.client.stats.queuedMessages).toBe(1);
    await accept();
    expect(got).toEqual([1]);
  });
});
