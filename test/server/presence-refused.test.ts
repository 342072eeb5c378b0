/** Who may not be there, or know who is: what `authorize` says, what is too much, and what a broker fails at. */

import { describe, expect, it } from 'vitest';
import { CallError } from '../../src/errors.ts';
import type { Authorization, HostOptions } from '../../src/server/options.ts';
import { settled } from '../support/fake-clock.ts';
import { appear, leave, presenceHost, show, slowPresence, subscribe, unsubscribe, watch } from '../support/presence.ts';

/** A host whose decisions on presence are made by the test, one by one. */
async function deciding(options: HostOptions = {}) {
  const decisions: { readonly data: unknown; decide(allow: boolean): void }[] = [];
  const authorize = ({ action, data }: Authorization) =>
    action !== 'presence' || new Promise<boolean>((decide) => void decisions.push({ data, decide }));
  const h = slowPresence({}, { authorize, ...options });
  /** Decides on the question with that number, from 0. */
  const decide = async (number: number, allow: boolean) => {
    decisions[number]?.decide(allow);
    await settled();
  };
  return { ...h, decisions, decide, visitor: await h.joins() };
}

describe('authorize', () => {
  it('is asked who wants to know who is there, and who wants to be there and shows what; not who leaves', async () => {
    const asked: unknown[] = [];
    const authorize = ({ client, ...what }: Authorization) => asked.push([client.id, what]) > 0;
    const { joins } = presenceHost({ authorize });
    await joins(watch(2), show(3, { mood: 'well' }), appear(4, null), leave(5));
    const about = (more: object) => ['1', { channel: 'a', ...more }];
    expect(asked).toEqual([
      about({ action: 'subscribe', params: undefined }),
      about({ action: 'presence', data: undefined }),
      about({ action: 'presence', data: { mood: 'well' } }),
      about({ action: 'presence', data: null }),
    ]);
  });

  const failing = () => {
    throw new CallError('NOT_FOUND', 'there is no such room');
  };
  const broken = () => {
    throw new Error('the database is away');
  };
  const said = 'authorize: Error: the database is away';
  it.each<[string, () => unknown, string, string[]]>([
    ['says no', () => false, 'PERMISSION_DENIED', []],
    ['says no later', async () => false, 'PERMISSION_DENIED', []],
    ['says nothing', () => undefined, 'PERMISSION_DENIED', []],
    ['says why', failing, 'NOT_FOUND', []],
    ['says why later', async () => failing(), 'NOT_FOUND', []],
    ['fails', broken, 'INTERNAL', [said]],
    ['fails later', async () => broken(), 'INTERNAL', [said]],
  ])('that %s: nobody is there, and nobody is told who is', async (_how, answer, code, reports) => {
    const authorize = ({ action }: Authorization) => (action === 'subscribe' ? true : (answer() as boolean));
    const { joins, members, errors } = slowPresence({}, { authorize });
    members.comes('ann');
    const visitor = await joins(show(2, 'bob'));
    expect(visitor.told()).toEqual(['response 1', `error 2 ${code}`]);
    members.comes('eve');
    await settled();
    expect([visitor.told(), members.asked, members.watchers, errors]).toEqual([[], [], 0, reports]);
    await visitor.says(leave(3));
    expect(visitor.told()).toEqual(['response 3']);
  });

  it('that says no to something else leaves what was shown, and who is told', async () => {
    const authorize = ({ action, data }: Authorization) => action !== 'presence' || data !== 'rude';
    const { joins, members } = slowPresence({}, { authorize });
    const visitor = await joins(show(2, 'ann'), show(3, 'rude'));
    expect([visitor.told().at(-1), members.shown()]).toEqual(['error 3 PERMISSION_DENIED', ['ann']]);
    members.comes('bob');
    expect(visitor.told()).toEqual([]);
    await settled();
    expect(visitor.told()).toEqual(['set bob']);
  });

  it('that says no to who is not there any more and goes on watching: it has left all the same', async () => {
    const door = { isOpen: true };
    const { joins, members } = slowPresence({}, { authorize: ({ action }) => action !== 'presence' || door.isOpen });
    const visitor = await joins(show(2, 'ann'));
    door.isOpen = false;
    await visitor.says(watch(3));
    expect([visitor.told().at(-1), members.shown()]).toEqual(['error 3 PERMISSION_DENIED', []]);
  });

  it('that takes its time is asked about each, and only the latest counts, whatever was said to the others before or after', async () => {
    const { visitor, decisions, decide, members } = await deciding();
    await visitor.says(show(2, 'first'), show(3, 'second'), show(4, 'third'));
    expect(decisions.map(({ data }) => data)).toEqual(['first', 'second', 'third']);
    await decide(1, true);
    await decide(2, true);
    await decide(0, true);
    expect([visitor.told().slice(1), members.shown()]).toEqual([
      ['error 3 CANCELLED', 'response 4', 'snapshot third', 'error 2 CANCELLED'],
      ['third'],
    ]);
  });

  it('and all the rest of it counts for the latest alone, also while the broker is told', async () => {
    const { joins, members, clock } = slowPresence({ delays: { enter: 5 } });
    const visitor = await joins();
    await visitor.says(show(2, 'ann'));
    await clock.advance(1);
    await visitor.says(show(3, 'anna'));
    await clock.advance(50);
    expect([visitor.told().slice(1, 3), members.shown()]).toEqual([['error 2 CANCELLED', 'response 3'], ['anna']]);
  });

  it('is not waited for by who leaves: what is decided later is too late', async () => {
    const { visitor, decide, members } = await deciding();
    await visitor.says(show(2, 'ann'), leave(3));
    await decide(0, true);
    expect([visitor.told().slice(1), members.shown()]).toEqual([['response 3', 'error 2 CANCELLED'], []]);
    expect(members.asked).toEqual([]);
  });

  it.each<[string, object[]]>([
    ['leaves the channel', [unsubscribe(3)]],
    ['subscribes anew', [subscribe(3)]],
    ['leaves it and comes back', [unsubscribe(3), subscribe(4)]],
  ])('decides too late for who %s meanwhile', async (_how, frames) => {
    const { visitor, decide, members } = await deciding();
    await visitor.says(show(2, 'ann'), ...frames);
    visitor.news();
    await decide(0, true);
    expect([visitor.told(), members.asked, members.watchers]).toEqual([['error 2 CANCELLED'], [], 0]);
  });

  it('decides too late for who has lost its connection meanwhile', async () => {
    const { visitor, decide, members, clock } = await deciding();
    await visitor.says(show(2, 'ann'));
    visitor.port.closed();
    await decide(0, true);
    expect([members.asked, members.watchers]).toEqual([[], 0]);
    await clock.advance(120_000);
    expect(clock.pending).toBe(0);
  });
});

describe('too much', () => {
  it('of a member is refused: what it showed before stays', async () => {
    const { joins, members } = slowPresence({}, { presence: { bytes: 10 } });
    const visitor = await joins(show(2, 'é'.repeat(5)), show(3, 'é'.repeat(4)), show(4, 'x'.repeat(9)));
    expect(visitor.told().slice(1)).toEqual(['error 2 RESOURCE_EXHAUSTED', 'response 3', 'snapshot éééé', 'error 4 RESOURCE_EXHAUSTED']);
    expect(members.shown()).toEqual(['éééé']);
  });

  it('is more than 4096 bytes, where nothing else is said', async () => {
    const { joins } = presenceHost();
    const visitor = await joins(appear(2, 'x'.repeat(4_094)), appear(3, 'x'.repeat(4_095)));
    expect(visitor.told().slice(1)).toEqual(['response 2', 'error 3 RESOURCE_EXHAUSTED']);
  });

  it('are more members of one channel than the server takes; there is room again when one of them leaves', async () => {
    const { joins, members, clock } = slowPresence({}, { presence: { members: 2 } });
    members.comes('of another server');
    const [ann, bob, eve] = [await joins(appear(2, 'ann')), await joins(appear(2, 'bob')), await joins(appear(2, 'eve'))];
    await ann.says(appear(3, 'anna')); // who is there already takes no other place
    await eve.inTurn(subscribe(3, 'b'), appear(4, 'eve', { channel: 'b' }));
    expect([ann.told(), eve.told()]).toEqual([
      ['response 1', 'response 2', 'response 3'],
      ['response 1', 'error 2 RESOURCE_EXHAUSTED', 'response 3', 'response 4'],
    ]);
    await bob.says(leave(3));
    await eve.says(appear(5, 'eve'));
    ann.port.closed();
    await bob.says(appear(4, 'bob')); // who is waited for has its place still
    expect([eve.told(), bob.told().at(-1), members.shown()]).toEqual([
      ['response 5'],
      'error 4 RESOURCE_EXHAUSTED',
      ['of another server', 'anna', 'eve'],
    ]);
    await clock.advance(10_000);
    await bob.says(appear(5, 'bob'));
    expect([bob.told(), members.shown('b')]).toEqual([['response 5'], ['eve']]);
  });

  it('that is refused takes no place', async () => {
    const { joins, members } = slowPresence({}, { presence: { members: 1, bytes: 10 } });
    await joins(show(2, 'much too much'));
    members.fails = (deed) => (deed === 'enter' ? 'rejects' : undefined);
    await joins(show(2, 'eve'));
    members.fails = () => undefined;
    await joins(show(2, 'ann'));
    expect(members.shown()).toEqual(['ann']);
  });

  it('in a second closes with 4429; what follows a confirmation of the channel does not count', async () => {
    const { joins, clock } = presenceHost({ limits: { rate: 2, burst: 3 } });
    const visitor = await joins(watch(2), leave(3), watch(4), leave(5));
    for (let id = 6; id < 20; id += 2) await visitor.inTurn(subscribe(id, `b${id}`), watch(id + 1, { channel: `b${id}` }));
    expect(visitor.closes).toEqual([]);
    await clock.advance(500);
    await visitor.inTurn(leave(20), watch(21));
    expect([visitor.closes, visitor.news().at(-1)]).toMatchObject([[4_429], { type: 'bye', code: 4_429, retryAfter: 1_000, resume: true }]);
  });

  it('is nothing that is nested too deeply to be passed on: it is refused', async () => {
    const { joins, errors } = presenceHost({ limits: { message: 1_000_000 } });
    const depth = 20_000;
    const visitor = await joins();
    await visitor.says(`{"type":"presence","id":2,"channel":"a","watch":true,"here":true,"data":${'['.repeat(depth)}${']'.repeat(depth)}}`);
    expect([visitor.told().at(-1), errors, visitor.closes]).toEqual(['error 2 INVALID_ARGUMENT', [], []]);
  });
});

describe('a broker that fails', () => {
  const deeds = (['enter', 'watch', 'list'] as const).flatMap((deed) =>
    (['throws', 'rejects'] as const).map((how) => [deed, how] as const),
  );

  it.each(deeds)('%s %s: UNAVAILABLE, reported, and asked again next time', async (deed, how) => {
    const { joins, members, errors } = slowPresence();
    members.fails = (what, channel) => (what === deed && channel === 'a' ? how : undefined);
    const visitor = await joins(subscribe(2, 'b'), show(3, 'ann'), show(4, 'ann', { channel: 'b' }));
    expect(visitor.told()).toEqual(['response 1', 'response 2', 'error 3 UNAVAILABLE', 'response 4', 'snapshot ann']);
    expect([new Set(errors), members.shown()]).toEqual([new Set([`the broker: Error: ${deed} a`]), []]);
    members.fails = () => undefined;
    await visitor.says(show(5, 'anna'));
    expect([visitor.told(), members.shown()]).toEqual([['response 5', 'snapshot anna'], ['anna']]);
    expect([visitor.closes, members.watchers]).toEqual([[], 2]);
  });

  it('to let somebody enter: it is not there, whatever the broker has made of it', async () => {
    const { joins, members, errors } = slowPresence();
    const visitor = await joins(show(2, 'ann'));
    members.fails = (deed) => (deed === 'enter' ? 'rejects' : undefined);
    await visitor.says(show(3, 'anna'));
    expect([visitor.told().slice(1), members.shown()]).toEqual([['response 2', 'snapshot ann', 'gone ann', 'error 3 UNAVAILABLE'], []]);
    expect(errors).toEqual(['the broker: Error: enter a']);
    members.fails = () => undefined;
    await visitor.says(show(4, 'anna'));
    expect([visitor.told().includes('response 4'), members.shown()]).toEqual([true, ['anna']]);
  });

  it.each([
    ['something else', 'anna', 'response 3', ['anna']],
    ['the same', 'ann', 'error 3 UNAVAILABLE', []],
  ])('late to let somebody enter who has said %s by then takes nothing away but what failed', async (_what, data, answer, shown) => {
    const { joins, members, clock } = slowPresence({ delays: { enter: 5 } });
    const visitor = await joins();
    members.fails = () => 'rejects';
    await visitor.says(appear(2, 'ann'));
    members.fails = () => undefined;
    await clock.advance(1);
    await visitor.says(appear(3, data));
    await clock.advance(50);
    expect([visitor.told().slice(1).sort(), members.shown()]).toEqual([['error 2 UNAVAILABLE', answer].sort(), shown]);
  });

  it.each(['throws', 'rejects'] as const)(
    '%s when somebody leaves: UNAVAILABLE for who says so, and reported whoever does',
    async (how) => {
      const { joins, members, errors, clock } = slowPresence({}, { sessions: false });
      const [ann, bob, eve] = [await joins(appear(2, 'ann')), await joins(appear(2, 'bob')), await joins(appear(2, 'eve'))];
      members.fails = (deed) => (deed === 'leave' ? how : undefined);
      await ann.says(leave(3));
      await bob.says(unsubscribe(3));
      eve.port.closed();
      await settled();
      expect([ann.told().at(-1), bob.told().at(-1)]).toEqual(['error 3 UNAVAILABLE', 'response 3']);
      expect([errors, ann.closes, bob.closes]).toEqual([Array(3).fill('the broker: Error: leave a'), [], []]);
      for (const { port } of [ann, bob]) port.closed();
      expect(clock.pending).toBe(0);
    },
  );

  it('to stop is reported, and harms nobody', async () => {
    const { joins, members, errors } = slowPresence();
    members.fails = (deed) => (deed === 'stop' ? 'throws' : undefined);
    const visitor = await joins(watch(2), leave(3), watch(4));
    expect(visitor.told()).toEqual(['response 1', 'response 2', 'snapshot', 'response 3', 'response 4', 'snapshot']);
    expect([errors, visitor.closes, members.watchers]).toEqual([['the broker: Error: stop a'], [], 1]);
  });
});
