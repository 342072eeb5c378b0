import { describe, expect, it } from 'vitest';
import type { Arrivals } from '../../demo/contract.ts';
import { type Entry, type Evidence, type Fate, judge, tally } from '../../demo/tally.ts';

const entries = (...fates: Fate[]): Entry[] =>
  fates.map((fate, i) => ({ id: `${i}`, number: i, key: `key ${i}`, text: 'hello', fate, again: false }));
const arrived = (messages: number, again = 0, late = 0): Arrivals => ({ messages, again, late });
const verdict = (fates: Fate[], evidence: Partial<Evidence>) =>
  judge(tally(entries(...fates), 0, 0), { shown: 0, counted: undefined, isOpen: true, mayRepeat: false, ...evidence });

it('counts every message in every row it belongs to', () => {
  expect(tally(entries('queued', 'sent', 'in doubt', 'acknowledged', 'dropped'), 7, 3)).toEqual({
    typed: 5,
    waiting: 1,
    sent: 3,
    acknowledged: 1,
    received: 7,
    again: 3,
    dropped: 1,
  });
});

it.each<[string, Fate[], string]>([
  ['wait', ['queued', 'sent'], '1 message waits for a connection.'],
  ['good', ['acknowledged'], 'Your message was acknowledged.'],
  ['good', ['acknowledged', 'acknowledged'], 'All 2 messages were acknowledged.'],
  ['bad', ['acknowledged', 'acknowledged', 'dropped'], '1 message was dropped, and said so; 2 were acknowledged.'],
  ['bad', ['acknowledged', 'dropped'], '1 message was dropped, and said so; 1 was acknowledged.'],
])('%s: %j, without a connection to ask on', (kind, fates, sentence) => {
  expect(verdict(fates, { isOpen: false })).toEqual({ kind, sentence });
});

describe('the page says of itself', () => {
  it.each<[string, Fate[], number, Arrivals | undefined, string]>([
    ['good', [], 0, undefined, 'Nothing sent yet.'],
    ['wait', ['queued', 'sent'], 0, undefined, '1 message waits behind others.'],
    ['wait', ['sent', 'in doubt'], 2, undefined, '2 messages are on the way.'],
    ['wait', ['acknowledged'], 1, undefined, 'All acknowledged. Asking the server to count…'],
    ['good', ['acknowledged'], 1, arrived(1), 'Your message arrived, once.'],
    ['good', ['acknowledged', 'acknowledged'], 2, arrived(2), 'All 2 messages arrived, each once, in order.'],
    ['bad', ['acknowledged', 'acknowledged'], 2, arrived(1), '2 were acknowledged, but the server has 1 and the room shows 2.'],
    ['bad', ['acknowledged', 'acknowledged'], 1, arrived(2), '2 were acknowledged, but the server has 2 and the room shows 1.'],
    ['bad', ['acknowledged', 'acknowledged'], 2, arrived(3), '2 were acknowledged, but the server has 3 and the room shows 2.'],
    ['bad', ['acknowledged', 'acknowledged'], 2, arrived(2, 0, 1), 'All 2 arrived, but 1 of them out of order.'],
    ['bad', ['acknowledged', 'acknowledged'], 2, arrived(2, 1), 'All 2 arrived, but 1 of them came twice.'],
    ['bad', ['dropped'], 0, undefined, '1 message was dropped, and said so.'],
    ['bad', ['dropped', 'acknowledged'], 1, arrived(1), '1 message was dropped, and said so; the other 1 arrived.'],
    ['bad', ['dropped', 'acknowledged'], 1, arrived(2), '1 were acknowledged, but the server has 2 and the room shows 1.'],
  ])('%s: %j, %i in the room, %j counted', (kind, fates, shown, counted, sentence) => {
    expect(verdict(fates, { shown, counted })).toEqual({ kind, sentence });
  });

  it.each<[string, Fate[], Arrivals, string]>([
    ['good', ['acknowledged'], arrived(1, 1), 'Your message arrived, and again, as the server had forgotten it.'],
    ['good', ['acknowledged', 'acknowledged'], arrived(2, 1), 'All 2 messages arrived; 1 came again, as the server had forgotten them.'],
    ['good', ['acknowledged', 'acknowledged'], arrived(2), 'All 2 messages arrived, each once, in order.'],
    ['bad', ['acknowledged', 'acknowledged'], arrived(2, 1, 1), 'All 2 arrived, but 1 of them out of order.'],
  ])('%s: %j, sent again in a new session, %j counted', (kind, fates, counted, sentence) => {
    expect(verdict(fates, { shown: fates.length, counted, mayRepeat: true })).toEqual({ kind, sentence });
  });
});
