import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Session, type Tracked, WINDOW_BYTES } from '../../src/core/session.ts';

const seqs = (tracked: readonly Tracked<string>[] | undefined) => tracked?.map(({ seq }) => seq);

/** Everything that is to be written now. */
function written(session: Session<string>): string[] {
  const all: string[] = [];
  for (let tracked = session.next(); tracked; tracked = session.next()) all.push(`${tracked.seq} ${tracked.value ?? 'skip'}`);
  return all;
}

function having(...values: string[]): Session<string> {
  const session = new Session<string>(256, 256);
  for (const value of values) session.number(value, 1);
  return session;
}

describe('what is sent', () => {
  it('is numbered from 1, and written once, in order', () => {
    const session = having('a', 'b');
    expect(written(session)).toEqual(['1 a', '2 b']);
    session.number('c', 1);
    expect(written(session)).toEqual(['3 c']);
  });

  it('leaves the log when it is acknowledged, and says so once', () => {
    const session = having('a', 'b', 'c');
    expect(seqs(session.acknowledge(2))).toEqual([1, 2]);
    expect(seqs(session.acknowledge(2))).toEqual([]);
    expect(seqs(session.acknowledge(1))).toEqual([]);
    expect(seqs(session.acknowledge(3))).toEqual([3]);
    expect({ frames: session.frames, bytes: session.bytes }).toEqual({ frames: 0, bytes: 0 });
  });

  it('cannot be acknowledged before it was ever sent', () => {
    expect(having('a').acknowledge(2)).toBeUndefined();
    expect(new Session<string>(1, 1).acknowledge(1)).toBeUndefined();
    expect(seqs(new Session<string>(1, 1).acknowledge(0))).toEqual([]);
  });
});

describe('the window', () => {
  it('is one of frames', () => {
    const session = new Session<string>(2, 256);
    session.number('a', 1);
    expect(session.mayNumber(1)).toBe(true);
    session.number('b', 1);
    expect(session.mayNumber(1)).toBe(false);
    session.acknowledge(1);
    expect(session.mayNumber(1)).toBe(true);
  });

  it('and one of bytes', () => {
    const session = new Session<string>(256, 256);
    session.number('a', WINDOW_BYTES - 10);
    expect([session.mayNumber(10), session.mayNumber(11)]).toEqual([true, false]);
  });

  it('lets one frame go when nothing is unacknowledged, however large, and a window of 0', () => {
    const session = new Session<string>(0, 256);
    expect(session.mayNumber(2 * WINDOW_BYTES)).toBe(true);
    session.number('a', 2 * WINDOW_BYTES);
    expect(session.mayNumber(0)).toBe(false);
  });

  it('that has become smaller holds back new frames, not those that are written again', () => {
    const session = having('a', 'b', 'c');
    written(session);
    session.resumed(0, 1);
    expect(written(session)).toEqual(['1 a', '2 b', '3 c']);
    session.acknowledge(2);
    expect(session.mayNumber(1)).toBe(false);
    session.acknowledge(3);
    expect(session.mayNumber(1)).toBe(true);
  });
});

describe('on another connection', () => {
  it('what the other end has is not written again, and the rest is, with its numbers', () => {
    const session = having('a', 'b', 'c');
    written(session);
    expect(seqs(session.resumed(1, 256))).toEqual([1]);
    expect(written(session)).toEqual(['2 b', '3 c']);
    session.number('d', 1);
    expect(written(session)).toEqual(['4 d']);
  });

  it('what was never written before comes behind what is written again', () => {
    const session = having('a');
    written(session);
    session.number('b', 1);
    session.resumed(0, 256);
    expect(written(session)).toEqual(['1 a', '2 b']);
  });

  it('an acknowledgement in the middle of it is legal: what it covers is left out', () => {
    const session = having('a', 'b', 'c');
    written(session);
    session.resumed(0, 256);
    expect(session.next()?.seq).toBe(1);
    session.acknowledge(2);
    expect(written(session)).toEqual(['3 c']);
  });

  it('an acknowledgement that lies before it does not write anything twice', () => {
    const session = having('a', 'b', 'c');
    written(session);
    session.resumed(0, 256);
    written(session);
    session.acknowledge(1);
    expect(written(session)).toEqual([]);
  });

  it('the other end cannot have less than it acknowledged, nor more than was sent', () => {
    const session = having('a', 'b');
    session.acknowledge(2);
    expect(session.resumed(1, 256)).toBeUndefined();
    expect(session.resumed(3, 256)).toBeUndefined();
    expect(seqs(session.resumed(2, 256))).toEqual([]);
  });
});

describe('a frame that must not be sent after all', () => {
  it('is replaced by a skip, and keeps its number', () => {
    const session = having('a', 'b');
    written(session);
    session.replace(1, undefined, 0);
    session.resumed(0, 256);
    expect(written(session)).toEqual(['1 skip', '2 b']);
    expect({ frames: session.frames, bytes: session.bytes }).toEqual({ frames: 2, bytes: 1 });
  });

  it('that is acknowledged already, or was never numbered, changes nothing', () => {
    const session = having('a', 'b');
    session.acknowledge(1);
    session.replace(1, undefined, 0);
    session.replace(9, undefined, 0);
    expect({ frames: session.frames, bytes: session.bytes }).toEqual({ frames: 1, bytes: 1 });
  });
});

describe('what is received', () => {
  it('is handed on once, and in order; a hole is the end', () => {
    const session = new Session<string>(256, 256);
    expect([session.receive(1, 1), session.receive(2, 1), session.receive(1, 1), session.receive(4, 1), session.receive(0, 1)]).toEqual([
      'next',
      'next',
      'again',
      'gap',
      'again',
    ]);
    expect(session.received).toBe(2);
  });

  it('is acknowledged at a quarter of the window, and every frame of a small one', () => {
    const session = new Session<string>(256, 8);
    expect([session.isAckOwed, session.isAckDue]).toEqual([false, false]);
    session.receive(1, 1);
    expect([session.isAckOwed, session.isAckDue]).toEqual([true, false]);
    session.receive(2, 1);
    expect(session.isAckDue).toBe(true);
    expect(session.tell()).toBe(2);
    expect([session.isAckOwed, session.isAckDue]).toEqual([false, false]);
    const small = new Session<string>(256, 3);
    small.receive(1, 1);
    expect(small.isAckDue).toBe(true);
  });

  it('is acknowledged at a quarter of its bytes', () => {
    const session = new Session<string>(256, 256);
    session.receive(1, WINDOW_BYTES / 4);
    expect(session.isAckDue).toBe(true);
  });

  it('is not acknowledged again after a hello or welcome that said so', () => {
    const session = new Session<string>(256, 4);
    session.receive(1, 1);
    session.resumed(0, 256);
    expect([session.isAckOwed, session.isAckDue]).toEqual([false, false]);
  });
});

it('when a session is lost, what was not acknowledged is handed back in order, once', () => {
  const session = having('a', 'b', 'c');
  session.acknowledge(1);
  session.replace(2, undefined, 0);
  expect(session.drain().map(({ value }) => value)).toEqual([undefined, 'c']);
  expect(session.drain()).toEqual([]);
});

describe('two ends with a line between them that breaks anywhere', () => {
  /** What happens, as numbers: who numbers, how much arrives, where it breaks. */
  const story = fc.array(fc.record({ send: fc.nat(6), arrive: fc.nat(8), ack: fc.boolean(), cut: fc.boolean() }), { maxLength: 60 });

  it('everything arrives once and in order', () => {
    fc.assert(
      fc.property(story, fc.integer({ min: 1, max: 8 }), (steps, window) => {
        const sender = new Session<number>(window, window);
        const receiver = new Session<number>(window, window);
        const line: Tracked<number>[] = [];
        const handled: (number | undefined)[] = [];
        let sent = 0;
        const write = () => {
          for (let tracked = sender.next(); tracked; tracked = sender.next()) line.push(tracked);
        };
        const arrive = (count: number) => {
          for (const { seq, value, bytes } of line.splice(0, count)) {
            const arrival = receiver.receive(seq, bytes);
            expect(arrival).not.toBe('gap');
            if (arrival === 'next') handled.push(value);
          }
        };
        for (const { send, arrive: count, ack, cut } of steps) {
          for (let i = 0; i < send && sender.mayNumber(1); i++) sender.number(sent++, 1);
          expect(sender.frames).toBeLessThanOrEqual(window);
          write();
          arrive(count);
          if (ack) expect(sender.acknowledge(receiver.tell())).toBeDefined();
          if (!cut) continue;
          line.length = 0;
          expect(sender.resumed(receiver.received, window)).toBeDefined();
          write();
        }
        arrive(Infinity);
        expect(handled).toEqual(Array.from({ length: sent }, (_, i) => i));
      }),
    );
  });
});
