/** What a server may say about who is there, and what it may not: everything it says is written by hand here. */

import { describe, expect, it } from 'vitest';
import { presence } from '../../src/presence.ts';
import { fate, heard, said, shown } from '../support/crowd.ts';
import { another, handServer, WELCOME } from '../support/hand-server.ts';

const FEATURES = [...WELCOME.features, 'presence'];
const answered = { features: FEATURES, subscriptions: [{ channel: 'a' }] };
const frame = (more: object) => ({ type: 'presence', channel: 'a', ...more });
const ids = (...names: string[]) => names.map((id) => ({ id, data: id }));
const snapshot = (...names: string[]) => frame({ set: ids(...names), snapshot: true });

/** A client that shows "ida", and has said so; the server has not answered yet. */
async function asking() {
  const s = handServer();
  const people = presence(s.client.channel('a'), { data: 'ida' });
  const ready = fate(people.ready);
  const log = heard(people);
  await s.welcomes(answered);
  const [question] = s.news();
  const answer = (result: unknown = { member: 'me' }) => ({ type: 'response', id: question?.['id'], result });
  return { s, people, ready, log, answer };
}

/** The same, and is told that nobody else is there. */
async function standing() {
  const a = await asking();
  await a.s.says(a.answer(), frame({ set: [{ id: 'me', data: 'ida' }], snapshot: true }));
  expect([a.people.isCurrent, a.ready.now, a.log.splice(0)]).toEqual([true, 'resolved', ['join ida', 'change: ida']]);
  return a;
}

describe('a frame', () => {
  it.each<[string, object]>([
    ['without a channel', { type: 'presence', set: [] }],
    ['of a channel that is no text', { type: 'presence', channel: 1 }],
    ['with a number', frame({ seq: 1 })],
    ['set: an object', frame({ set: { 0: { id: 'a', data: 1 } } })],
    ['set: text', frame({ set: 'a' })],
    ['set: a member that is none', frame({ set: [null] })],
    ['set: a list', frame({ set: [['a', 1]] })],
    ['set: no id', frame({ set: [{ data: 1 }] })],
    ['set: an id that is no text', frame({ set: [{ id: 1, data: 1 }] })],
    ['set: no data', frame({ set: [{ id: 'a' }] })],
    ['set: from that is no text', frame({ set: [{ id: 'a', from: 1, data: 1 }] })],
    ['set: one bad among good ones', frame({ set: [...ids('a', 'b'), { id: null, data: 1 }] })],
    ['gone: text', frame({ gone: 'a' })],
    ['gone: numbers', frame({ gone: [1] })],
    ['gone: members', frame({ gone: ids('a') })],
    ['snapshot: a number', frame({ snapshot: 1 })],
    ['more: text', frame({ snapshot: true, more: 'true' })],
  ])('that is none closes with 4003: %s', async (_what, bad) => {
    const { s, people, log } = await standing();
    await s.says(bad);
    expect([s.log, log, people.isCurrent]).toEqual([['close 4003 again'], [], false]);
  });

  it('may have null for what it has not, and fields that nobody knows', async () => {
    const { s, log } = await standing();
    await s.says(
      frame({ set: null, gone: null, snapshot: null, more: null }),
      frame({ set: ids('ann'), gone: null, snapshot: false, more: false, later: { set: 1 } }),
    );
    expect([s.log, log]).toEqual([[], ['join ann', 'change: ida ann']]);
  });

  it('of somebody unknown who left, and of somebody who shows the same, means nothing', async () => {
    const { s, people, log } = await standing();
    const { members } = people;
    const me = [undefined, null].map((from) => ({ id: 'me', from, data: 'ida' }));
    await s.says(frame({ gone: ['nobody', '__proto__'] }), frame({ set: me.slice(0, 1) }), frame({ set: me.slice(1) }));
    expect([people.members === members, people.members.get('me'), log]).toEqual([true, me[0], []]);
  });

  it('of a channel that nobody watches is nothing, and of one that is not subscribed', async () => {
    const { s, people, log } = await standing();
    s.client.channel('b').subscribe();
    await s.says(
      frame({ channel: 'b', set: ids('ann') }),
      frame({ channel: '', set: ids('ann') }),
      frame({ channel: '__proto__', set: [] }),
    );
    expect([s.log, log, shown(people)]).toEqual([[], [], ['ida']]);
  });

  it('may have any id and any name, and data that only looks dangerous', async () => {
    const { s, people, log } = await standing();
    const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', '', ' ', '0', '\u0000', 'é𝒳'];
    await s.says(frame({ set: names.map((id) => ({ id, from: id, data: id })) }));
    expect([...people.members.keys()]).toEqual(['me', ...names]);
    expect(names.map((id) => people.members.get(id))).toEqual(names.map((id) => ({ id, from: id, data: id })));
    await s.says(frame({ gone: names }));
    expect([...people.members.keys()]).toEqual(['me']);
    expect(log.filter((line) => line.startsWith('leave'))).toEqual(names.map((name) => `leave ${name}`));
    s.socket.says('{"type":"presence","channel":"a","set":[{"id":"x","data":{"__proto__":{"polluted":1},"a":1}}]}');
    const { data } = people.members.get('x') ?? {};
    expect([data, (data as { polluted?: unknown }).polluted]).toEqual([{ a: 1 }, undefined]);
  });

  it('may name somebody twice: the last counts', async () => {
    const { s, people, log } = await standing();
    await s.says(frame({ set: [...ids('ann'), { id: 'ann', data: 'anna' }] }));
    expect([log, shown(people)]).toEqual([
      ['join anna', 'change: ida anna'],
      ['ida', 'anna'],
    ]);
  });

  it('may have a thousand members, and the next one a thousand that left', async () => {
    const { s, people, log } = await standing();
    const names = Array.from({ length: 1_000 }, (_, i) => `member ${i}`);
    await s.says(frame({ set: ids(...names) }));
    expect([people.members.size, log.length]).toEqual([1_001, 1_001]);
    await s.says(snapshot());
    expect([people.members.size, log.length, people.me]).toEqual([0, 2_003, 'me']);
  });

  it('that comes while the channel is being asked for is discarded', async () => {
    const { s, people, log } = await standing();
    await s.says({ type: 'unsubscribe', channel: 'a', resubscribe: true }, frame({ set: ids('ann') }), snapshot('bob'));
    expect([log, people.isCurrent]).toEqual([[], false]);
    const [question] = s.news();
    expect(question).toMatchObject({ type: 'subscribe', channel: 'a' });
    await s.says({ type: 'response', id: question?.['id'], result: { channel: 'a' } });
    expect([said(s.news()), people.isCurrent]).toEqual([['show ida'], false]);
    await s.says(snapshot('eve'));
    expect([log, people.isCurrent]).toEqual([['leave ida', 'join eve', 'change: eve'], true]);
  });

  it('in the message in which a listener has closed the client is not heard any more', async () => {
    const { s, people, log } = await standing();
    people.addEventListener('join', () => void s.client.close());
    s.socket.says(JSON.stringify([frame({ set: ids('ann') }), frame({ set: ids('bob') })]));
    expect(log).toEqual(['join ann', 'change: ida ann']);
  });
});

describe('a snapshot', () => {
  it('of several frames is known with the last of them, and replaces all that was known', async () => {
    const { s, people, log } = await standing();
    await s.says(frame({ set: ids('ann', 'bob'), snapshot: true, more: true }), frame({ set: ids('eve'), snapshot: true, more: true }));
    expect([log, people.isCurrent]).toEqual([[], true]);
    await s.says(frame({ snapshot: true }));
    expect([log, shown(people)]).toEqual([
      ['leave ida', 'join ann', 'join bob', 'join eve', 'change: ann bob eve'],
      ['ann', 'bob', 'eve'],
    ]);
  });

  it('that says what is known already means nothing', async () => {
    const { s, log } = await standing();
    await s.says(frame({ set: [{ id: 'me', data: 'ida' }], snapshot: true }));
    expect(log).toEqual([]);
  });

  it('that is never finished is none; what was begun is forgotten with its connection', async () => {
    const { s, people, ready, log, answer } = await asking();
    await s.says(answer(), frame({ set: ids('ann'), snapshot: true, more: true }));
    await s.clock.advance(10_000);
    expect([ready.now, people.isCurrent, log]).toEqual(['pending', false, []]);
    await s.cuts();
    await s.welcomes(another(answered));
    const [question] = s.news();
    await s.says({ type: 'response', id: question?.['id'], result: { member: 'me' } }, snapshot('bob'));
    expect([ready.now, people.isCurrent, log]).toEqual(['resolved', true, ['join bob', 'change: bob']]);
  });

  it('that was begun is no part of the next one, where something else was told in between', async () => {
    const { s, people } = await standing();
    await s.says(frame({ set: ids('ann'), snapshot: true, more: true }), frame({ gone: ['ann'] }), snapshot('bob'));
    expect(shown(people)).toEqual(['bob']);
  });

  it('may come before the answer', async () => {
    const { s, people, ready, answer } = await asking();
    await s.says(snapshot('ann'));
    expect([ready.now, people.isCurrent, people.me, shown(people)]).toEqual(['resolved', true, undefined, ['ann']]);
    await s.says(answer());
    expect(people.me).toBe('me');
  });

  it('that does not come leaves it unknown, whatever else is told', async () => {
    const { s, people, ready, answer } = await asking();
    await s.says(answer(), frame({ set: ids('ann') }), frame({ gone: ['bob'] }));
    expect([ready.now, people.isCurrent]).toEqual(['pending', false]);
  });
});

describe('an answer', () => {
  it.each([undefined, null, 0, 'me', [], {}, { member: null }, { member: 5 }, { member: { id: 'me' } }])(
    'without a member that is text names none: %j',
    async (result) => {
      const { s, people, ready, answer } = await asking();
      await s.says({ ...answer(), result }, snapshot('ann'));
      expect([people.me, ready.now, s.log]).toEqual([undefined, 'resolved', []]);
    },
  );

  it('that is an error without sense is a refusal', async () => {
    const { s, people, ready, answer } = await asking();
    await s.says({ ...answer(), type: 'error', error: { code: '', data: [1], retryAfter: 5 } });
    expect([ready.now, people.isCurrent, s.log, s.news()]).toEqual([
      '',
      false,
      [],
      [expect.objectContaining({ watch: true, here: false })],
    ]);
  });

  it('that comes twice, or late, is the first one', async () => {
    const { s, people, answer } = await asking();
    await s.says(answer(), answer({ member: 'other' }), { ...answer(), type: 'error', error: { code: 'ABORTED' } }, snapshot('ann'));
    expect([people.me, people.isCurrent, s.log]).toEqual(['me', true, []]);
  });

  it('to what was asked before the channel was asked for again is none', async () => {
    const { s, people } = await standing();
    people.update('busy');
    await s.says({ type: 'ping' });
    const before = s.news().find(({ type }) => type === 'presence');
    await s.says({ type: 'unsubscribe', channel: 'a', resubscribe: true });
    const [question] = s.news();
    await s.says({ type: 'response', id: question?.['id'], result: { channel: 'a' } });
    const [asked] = s.news();
    people.update('away');
    await s.says({ type: 'response', id: before?.['id'], result: { member: 'old' } });
    expect([before, asked].map((each) => said(each ? [each] : []))).toEqual([['show busy'], ['show busy']]);
    expect([people.me, s.news()]).toEqual([undefined, []]); // one after the other
    await s.says({ type: 'response', id: asked?.['id'], result: { member: 'new' } }, snapshot('new'));
    expect([people.me, said(s.news())]).toEqual(['new', ['show away']]);
  });

  it('with a number is a violation: it belongs to the connection', async () => {
    const { s, answer } = await asking();
    await s.says({ ...answer(), seq: 1 });
    expect(s.log).toEqual(['close 4003 again']);
  });
});
