import { describe, expect, it } from 'vitest';
import { type Entry, type Fate, judge, tally } from '../../demo/tally.ts';

const entries = (...fates: Fate[]): Entry[] =>
  fates.map((fate, i) => ({ id: `${i}`, text: 'hello', fate, tries: fate === 'unsure' ? 2 : 1 }));
const verdict = (fates: Fate[], shown: number, counted?: number) => judge(tally(entries(...fates), shown), shown, counted);

it('counts every message in every row it belongs to', () => {
  expect(tally(entries('waiting', 'sent', 'unsure', 'arrived', 'dropped'), 7)).toEqual({
    typed: 5,
    waiting: 1,
    sent: 3,
    acknowledged: 1,
    received: 7,
    again: 1,
    dropped: 1,
  });
});

it.each<[string, Fate[], string]>([
  ['good', ['arrived'], 'Your message was confirmed.'],
  ['good', ['arrived', 'arrived'], 'All 2 messages were confirmed.'],
  ['bad', ['arrived', 'dropped'], '1 message was dropped, and said so; the other 1 were confirmed.'],
])('%s: %j, without a connection to ask on', (kind, fates, sentence) => {
  expect(judge(tally(entries(...fates), 1), 1, undefined, false)).toEqual({ kind, sentence });
});

describe('the page says of itself', () => {
  it.each<[string, Fate[], number, number | undefined, string]>([
    ['good', [], 0, undefined, 'Nothing sent yet.'],
    ['wait', ['waiting', 'sent'], 0, undefined, '1 message waits for a connection.'],
    ['wait', ['sent', 'unsure'], 2, undefined, '2 messages are on the way.'],
    ['wait', ['arrived'], 1, undefined, 'All confirmed. Asking the server to count…'],
    ['good', ['arrived'], 1, 1, 'Your message arrived, once.'],
    ['good', ['arrived', 'arrived'], 2, 2, 'All 2 messages arrived, each once.'],
    ['bad', ['arrived', 'arrived'], 2, 1, '2 were confirmed, but the server has 1 and the room shows 2.'],
    ['bad', ['arrived', 'arrived'], 1, 2, '2 were confirmed, but the server has 2 and the room shows 1.'],
    ['bad', ['arrived', 'arrived'], 2, 3, '2 were confirmed, but the server has 3 and the room shows 2.'],
    ['bad', ['dropped'], 0, undefined, '1 message was dropped, and said so.'],
    ['bad', ['dropped', 'arrived'], 1, 1, '1 message was dropped, and said so; the other 1 arrived.'],
    ['bad', ['dropped', 'arrived'], 1, 2, '1 were confirmed, but the server has 2 and the room shows 1.'],
  ])('%s: %j, %i in the room, %s counted', (kind, fates, shown, counted, sentence) => {
    expect(verdict(fates, shown, counted)).toEqual({ kind, sentence });
  });
});
