/** Who is there, as those who watch are told: all of it first, then every change, and as much of it in one message as is good. */

import { describe, expect, it } from 'vitest';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import { bytesOf } from '../../src/wire/codec.ts';
import { settled } from '../support/fake-clock.ts';
import type { Frame } from '../support/link.ts';
import { appear, leave, presenceHost, show, slowPresence, subscribe, unsubscribe, watch } from '../support/presence.ts';

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
const presences = (frames: readonly Frame[]) => frames.filter(({ type }) => type === 'presence');
const ids = (frames: readonly Frame[]) => frames.flatMap(({ set }) => (set ?? []) as { id: string }[]).map(({ id }) => id);

describe('who watches', () => {
  it('is told who is there, and then who comes, shows something else, and leaves', async () => {
    const { joins, members, clock } = slowPresence();
    for (const name of ['ann', 'bob']) members.comes(name);
    const [visitor, other] = [await joins(watch(2)), await joins(watch(2))];
    const deeds = [() => members.comes('eve'), () => members.comes('ann', 'anna'), () => members.goes('bob'), () => members.goes('nobody')];
    for (const deed of deeds) {
      deed();
      await clock.advance(50);
    }
    const told = ['response 1', 'response 2', 'snapshot ann bob', 'set eve', 'set anna', 'gone bob'];
    expect([visitor.told(), other.told()]).toEqual([told, told]);
  });

  it('and says so once more, with something else to show or not, is not told everything again', async () => {
    const { joins, clock } = slowPresence();
    const visitor = await joins(watch(2), show(3, 'ann'), watch(4));
    await clock.advance(50);
    expect(visitor.told().slice(1)).toEqual(['response 2', 'snapshot', 'set ann', 'response 3', 'response 4', 'gone ann']);
  });

  it('no more is told nothing more; and everything when it does again', async () => {
    const { joins, members, clock } = slowPresence();
    const visitor = await joins(watch(2), leave(3));
    visitor.news();
    members.comes('ann');
    await clock.advance(50);
    expect(visitor.told()).toEqual([]);
    await visitor.says(watch(4));
    expect(visitor.told()).toEqual(['response 4', 'snapshot ann']);
  });

  it('and comes while changes wait to be told together has them in its snapshot', async () => {
    const { joins, members, clock } = slowPresence();
    await joins(watch(2));
    members.comes('ann');
    members.comes('bob'); // is told together with what follows
    const late = await joins(watch(2));
    members.goes('ann');
    await clock.advance(50);
    expect(late.told().slice(2).join(', ')).toMatch(/^snapshot ann bob, (set bob )?gone ann$/); // what it knows may be said again
  });

  it('is no burden to the store when it is gone: it is asked once for all who watch, and not after the last one', async () => {
    const { joins, members, clock } = slowPresence({}, { sessions: false });
    const [ann, bob, eve] = [await joins(show(2, 'ann')), await joins(show(2, 'bob')), await joins(watch(2))];
    expect([members.watchers, members.asked.filter((deed) => /watch|list/.test(deed))]).toEqual([1, ['watch a', 'list a']]);
    await ann.says(leave(3));
    await bob.says(unsubscribe(3));
    expect(members.watchers).toBe(1);
    eve.port.closed();
    expect([members.watchers, members.shown()]).toEqual([0, []]);
    for (const { port } of [ann, bob]) port.closed();
    expect(clock.pending).toBe(0);
    await joins(watch(2));
    expect(members.watchers).toBe(1);
  });
});

describe('changes', () => {
  it('that follow each other within 50 ms are told together, the latest of each; the first is told at once', async () => {
    const { joins, members, clock } = slowPresence();
    const visitor = await joins(watch(2));
    visitor.news();
    const steps: [string, () => void, string[]][] = [
      ['at once', () => members.comes('ann'), ['set ann']],
      ['later', () => members.comes('bob'), []],
      ['later', () => members.comes('bob', 'bobby'), []],
      ['later', () => members.goes('ann'), []],
    ];
    for (const [when, deed, told] of steps) {
      deed();
      await settled();
      expect([when, visitor.told()]).toEqual([when, told]);
      await clock.advance(10);
    }
    await clock.advance(9);
    expect(visitor.told()).toEqual([]);
    await clock.advance(1);
    expect(visitor.told()).toEqual(['set bobby gone ann']);
    members.comes('eve');
    await clock.advance(49);
    expect(visitor.told()).toEqual([]);
    await clock.advance(51);
    expect(visitor.told()).toEqual(['set eve']);
    members.goes('eve');
    await settled();
    expect(visitor.told()).toEqual(['gone eve']);
  });

  it('of a crowd that comes at once and watches make no frame for each pair of it', async () => {
    const { joins, clock } = presenceHost();
    const visitor = await joins(watch(2));
    const names = upTo(20).map((i) => `member ${i}`);
    for (const name of names) await joins(show(2, name));
    await clock.advance(50);
    const [, first, ...rest] = presences(visitor.news());
    expect([ids([first ?? { type: 'none' }]).length, rest.length, ids(rest).length]).toEqual([1, 1, names.length - 1]);
  });

  it('of one channel do not wait for those of another', async () => {
    const { joins, members } = slowPresence();
    const visitor = await joins(watch(2), subscribe(3, 'b'), watch(4, { channel: 'b' }));
    visitor.news();
    members.comes('ann');
    members.comes('bob', 'bob', 'b');
    await settled();
    expect(visitor.told()).toEqual(['set ann', 'set bob']);
  });
});

describe('a large crowd', () => {
  const big = (name: string) => `${name} ${'x'.repeat(1_000)}`;
  const crowd = (count: number) => upTo(count).map((i) => `member ${i}`);

  it('is told in frames of about 16 KiB, all but the last with more to come, and everybody once', async () => {
    const { joins, members } = slowPresence();
    for (const name of crowd(100)) members.comes(name, big(name));
    const visitor = await joins(watch(2));
    const frames = presences(visitor.news());
    expect(frames.map(({ more }) => more)).toEqual([...Array(frames.length - 1).fill(true), undefined]);
    expect(frames.map(({ snapshot }) => snapshot)).toEqual(Array(frames.length).fill(true));
    expect(ids(frames)).toEqual(crowd(100));
    const sizes = frames.map((frame) => bytesOf(JSON.stringify(frame)));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(16_384 + 128);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(16_384 - 1_100);
  });

  it('that comes or leaves together is told in several frames too', async () => {
    const { joins, members, clock } = slowPresence();
    const visitor = await joins(watch(2));
    members.comes('first');
    for (const name of crowd(40)) members.comes(name, big(name));
    await clock.advance(50);
    const come = presences(visitor.news()).slice(2);
    expect([ids(come), come.length]).toEqual([crowd(40), 3]);
    expect(come.filter(({ snapshot, more }) => snapshot !== undefined || more !== undefined)).toEqual([]);
    for (const name of crowd(40)) members.goes(name);
    await clock.advance(50);
    expect(presences(visitor.news()).flatMap(({ gone }) => gone)).toEqual(crowd(40));
  });

  it('with somebody who shows more than fits into a frame has one for that member', async () => {
    const { joins } = slowPresence({}, { presence: { bytes: 30_000 } });
    await joins(appear(2, 'ann'));
    await joins(appear(2, 'é'.repeat(14_000)));
    await joins(appear(2, 'bob'));
    const visitor = await joins(watch(2));
    const sets = presences(visitor.news()).map(({ set }) => (set as { data: string }[]).map(({ data }) => data.length));
    expect(sets).toEqual([[3], [14_000], [3]]);
  });

  it('of nobody is told in one frame', async () => {
    const { joins } = slowPresence();
    const visitor = await joins(watch(2));
    expect(presences(visitor.news())).toEqual([{ type: 'presence', channel: 'a', snapshot: true }]);
  });

  it.each<[string, object[], string[]]>([
    ['at first', [], ['response 1', 'response 2', 'unsubscribe a RESOURCE_EXHAUSTED']],
    ['later', [leave(3)], ['response 1', 'response 2', 'snapshot', 'unsubscribe a RESOURCE_EXHAUSTED']],
  ])('that is more than a client takes, %s: it loses the channel with an error, and others do not', async (when, _frames, told) => {
    const { comes, joins, members, host, clock } = slowPresence();
    if (when === 'at first') members.comes('much', 'x'.repeat(2_000));
    const other = await joins(watch(2));
    const visitor = await comes({ limits: { message: 1_024, window: 256 } });
    await visitor.inTurn(subscribe(1), show(2, 'ann'));
    await clock.advance(50);
    if (when === 'later') members.comes('much', 'x'.repeat(2_000));
    await clock.advance(50);
    expect(visitor.told().map((line) => line.replace(' ann', ''))).toEqual(told);
    expect([host.publish('a', 1), visitor.news()]).toEqual([1, []]);
    members.comes('bob');
    await clock.advance(9_850);
    expect([visitor.news(), members.shown().includes('ann')]).toEqual([[], true]);
    await clock.advance(150);
    expect([members.shown().includes('ann'), other.told().slice(-2)]).toEqual([false, ['set bob', 'gone ann']]);
    expect(members.watchers).toBe(1);
  });
});

describe('a snapshot that is more than a client takes in one of its frames', () => {
  it('ends there: what follows is not told to who has lost the channel', async () => {
    const { comes, members } = slowPresence();
    for (const [name, size] of Object.entries({ small: 3_000, large: 16_000, last: 1_000 })) members.comes(name, 'x'.repeat(size));
    const visitor = await comes({ limits: { message: 8_000, window: 256 } });
    await visitor.inTurn(subscribe(1), watch(2));
    const frames = visitor.news();
    expect(ids(frames)).toEqual(['small']);
    expect(frames.map(({ type }) => type)).toEqual(['response', 'response', 'presence', 'unsubscribe']);
  });
});

describe('two servers on one broker', () => {
  it('are one: all who watch know of those on both', async () => {
    const broker = new MemoryBroker();
    const [here, there] = [presenceHost({ broker }), presenceHost({ broker, sessions: false })];
    const ann = await here.joins(show(2, 'ann'));
    const bob = await there.joins(show(2, 'bob'));
    expect([ann.told().slice(2), bob.told().slice(2)]).toEqual([['snapshot ann', 'set bob'], ['snapshot ann bob']]);
    for (const { host } of [here, there]) expect((await host.members('a')).map(({ data }) => data)).toEqual(['ann', 'bob']);
    bob.port.closed();
    await here.clock.advance(50);
    expect([ann.told(), await there.host.members('a')]).toMatchObject([['gone bob'], [{ data: 'ann' }]]);
  });

  it('lose those of one that is closed, also those that it waits for', async () => {
    const broker = new MemoryBroker();
    const [here, there] = [presenceHost({ broker }), presenceHost({ broker })];
    const ann = await here.joins(watch(2));
    const [bob] = [await there.joins(appear(2, 'bob')), await there.joins(appear(2, 'eve'))];
    bob.port.closed();
    await here.clock.advance(50);
    expect(ann.told().slice(3)).toEqual(['set bob', 'set eve']);
    await there.host.close({ drain: 0 });
    await here.clock.advance(50);
    expect([ann.told().join(), there.clock.pending]).toEqual([expect.stringMatching(/^gone bob(,gone)? eve$/), 0]);
  });
});
