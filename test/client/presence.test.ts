/** Who is there on a channel: told to the application, and by it. */

import { describe, expect, it, vi } from 'vitest';
import { presence } from '../../src/presence.ts';
import { crowded, heard, shown } from '../support/crowd.ts';

const odd = (value: unknown) => value as never;

describe('a presence', () => {
  it('is ready when it is known who is there: this client too, with what it shows', async () => {
    const { client, channel, members, p, said } = crowded({}, { nameOf: () => 'Ida' });
    members.comes('ann');
    const people = presence(channel, { data: { mood: 'well' } });
    const log = heard(people);
    expect([people.isCurrent, people.me, people.members.size]).toEqual([false, undefined, 0]);
    people.addEventListener('join', () => log.push(`${people.isCurrent} ${people.members.has(people.me ?? '')}`));
    await people.ready;
    const { me = '' } = people;
    expect([...people.members]).toEqual([
      ['ann', { id: 'ann', data: 'ann' }],
      [me, { id: me, from: 'Ida', data: { mood: 'well' } }],
    ]);
    expect(log).toEqual(['join ann', 'true true', 'join {"mood":"well"}', 'true true', 'change: ann {"mood":"well"}']);
    expect([people.isCurrent, said(), await p.host.members('a')]).toEqual([true, ['show {"mood":"well"}'], [...people.members.values()]]);
    expect([client.channel('a').state.status, p.log, p.errors]).toEqual(['subscribed', ['open'], []]);
  });

  it('only watches where it shows nothing', async () => {
    const { channel, members, said } = crowded();
    members.comes('ann');
    const people = presence(channel);
    await people.ready;
    expect([people.me, shown(people), said(), members.shown()]).toEqual([undefined, ['ann'], ['watch'], ['ann']]);
  });

  it('shows whatever JSON can carry, as it was when it was given', async () => {
    const { channel, members, settle, said } = crowded();
    const data = { list: [1] };
    const people = presence<unknown>(channel, { data });
    data.list.push(2);
    await people.ready;
    for (const value of [0, '', false, null, [[]], { list: [3] }]) {
      people.update(value);
      await settle();
      expect([members.shown(), shown(people)]).toEqual([[value], [value === '' ? '' : JSON.stringify(value)]]);
    }
    data.list.push(4);
    await settle();
    expect(said()[0]).toBe('show {"list":[1]}');
    expect(members.shown()).toEqual([{ list: [3] }]);
  });

  it('hears who comes, shows something else, and leaves', async () => {
    const { channel, members, settle } = crowded();
    const people = presence(channel);
    await people.ready;
    const log = heard(people);
    const events: unknown[] = [];
    for (const type of ['join', 'update', 'leave'] as const)
      people.addEventListener(type, ({ member, previous }) => events.push([type, member, previous]));
    const seen = [people.members];
    for (const deed of [() => members.comes('a', 1), () => members.comes('a', 2), () => members.goes('a')]) {
      deed();
      await settle();
      seen.push(people.members);
    }
    const [before, after] = [
      { id: 'a', data: 1 },
      { id: 'a', data: 2 },
    ];
    expect(events).toEqual([
      ['join', before, undefined],
      ['update', after, before],
      ['leave', after, undefined],
    ]);
    expect(log.filter((line) => line.startsWith('change'))).toEqual(['change:', 'change: 1', 'change: 2', 'change:'].slice(1));
    expect(seen.map((all) => [...all.values()])).toEqual([[], [before], [after], []]); // each as it was
  });

  it('hears one change for all that comes together', async () => {
    const { channel, members, settle } = crowded();
    const people = presence(channel);
    await people.ready;
    members.comes('first');
    const log = heard(people);
    for (const name of ['ann', 'bob', 'eve']) members.comes(name);
    members.comes('ann', 'anna');
    members.goes('bob');
    await settle();
    expect(log).toEqual(['join first', 'change: first', 'join anna', 'join eve', 'change: first anna eve']);
  });

  it('updates what it shows, leaves, and comes back, watching all the time', async () => {
    const { channel, members, settle, said } = crowded();
    const people = presence<unknown>(channel, { data: 'ida' });
    await people.ready;
    const { me } = people;
    const log = heard(people);
    people.update({ typing: true });
    await settle();
    expect([people.me, shown(people)]).toEqual([me, ['{"typing":true}']]);
    people.leave();
    await settle();
    members.comes('ann');
    await settle();
    expect([people.me, people.isCurrent, shown(people)]).toEqual([undefined, true, ['ann']]);
    people.update('ida again');
    await settle();
    expect([people.members.get(people.me ?? ''), said()]).toMatchObject([
      { data: 'ida again' },
      ['show ida', 'show {"typing":true}', 'watch', 'show ida again'],
    ]);
    expect(log.filter((line) => !line.startsWith('change'))).toEqual([
      'update ida to {"typing":true}',
      'leave {"typing":true}',
      'join ann',
      'join ida again',
    ]);
  });

  it('says nothing that it has said already', async () => {
    const { channel, settle, said } = crowded();
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    people.update('ida');
    await settle();
    people.update('anna');
    people.update('ida');
    people.leave();
    people.update('ida');
    await settle();
    expect(said()).toEqual(['show ida']);
  });

  it('of another channel is another crowd', async () => {
    const { client, channel, members, settle } = crowded();
    const [here, there] = [presence(channel, { data: 'ida' }), presence(client.channel('b'))];
    await Promise.all([here.ready, there.ready]);
    members.comes('ann', 'ann', 'b');
    await settle();
    expect([shown(here), shown(there)]).toEqual([['ida'], ['ann']]);
  });

  it.each<[string, () => unknown, string]>([
    ['a name', () => presence(odd('a')), "presence() takes a channel of a client first, but got 'a'"],
    ['nothing', () => presence(odd(undefined)), 'presence() takes a channel of a client first, but got undefined'],
    ['bytes', () => presence(crowded().channel, { data: new Uint8Array(1) }), 'What is shown of a member is JSON, but got bytes'],
    ['a function', () => presence(crowded().channel, { data: () => 1 }), 'A function cannot be sent'],
    [
      'a signal',
      () => presence(crowded().channel, { signal: odd(1) }),
      'Option "signal" got 1; it takes an object with addEventListener, ',
    ],
  ])('takes a channel, JSON and a signal, not %s', (_what, make, message) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  it('takes no options that it does not know, and says so', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    presence(crowded().channel, { name: 'ida' } as never);
    expect(warn.mock.calls).toEqual([['Holdfast does not know the option "name"; it is ignored']]);
    warn.mockRestore();
  });

  it('refuses what cannot be sent, and shows what it did', async () => {
    const { channel, settle, said } = crowded();
    const people = presence<unknown>(channel, { data: 'ida' });
    await people.ready;
    for (const data of [undefined, () => 1, new ArrayBuffer(1), 1n]) expect(() => people.update(data)).toThrow(TypeError);
    await settle();
    expect([shown(people), said()]).toEqual([['ida'], ['show ida']]);
  });
});

describe('several of one channel', () => {
  it('are one to the server: the one that spoke last is heard, and where it leaves or is closed, the one that did before', async () => {
    const { channel, settle, said, members } = crowded();
    const [first, second, third] = [presence(channel, { data: 'first' }), presence(channel, { data: 'second' }), presence(channel)];
    await Promise.all([first.ready, second.ready, third.ready]);
    const steps: [() => void, string[]][] = [
      [() => {}, ['second']],
      [() => first.update('first'), ['first']],
      [() => third.update('third'), ['third']],
      [() => third.leave(), ['first']],
      [() => first.close(), ['second']],
      [() => second.leave(), []],
      [() => second.close(), []],
    ];
    for (const [deed, expected] of steps) {
      deed();
      await settle();
      expect([members.shown(), shown(third)]).toEqual([expected, expected]);
    }
    expect([said(), third.isCurrent]).toEqual([['show second', 'show first', 'show third', 'show first', 'show second', 'watch'], true]);
  });

  it('know the same, at once where it is known, and hear the same, each until it is closed', async () => {
    const { channel, members, settle, said, types } = crowded();
    members.comes('ann');
    const first = presence(channel);
    await first.ready;
    const second = presence(channel);
    const log = heard(second);
    expect([shown(second), second.isCurrent]).toEqual([['ann'], true]);
    await second.ready;
    members.comes('bob');
    await settle();
    first.close();
    const silent = heard(first);
    members.comes('eve');
    await settle();
    expect([log, silent]).toEqual([['join bob', 'change: ann bob', 'join eve', 'change: ann bob eve'], []]);
    expect([said(), types(), first.isCurrent]).toEqual([['watch'], ['hello', 'presence'], false]);
  });

  it('that close each other while they are told hear nothing more', async () => {
    const { channel, members, settle } = crowded();
    const [first, second] = [presence(channel), presence(channel)];
    await first.ready;
    const logs = [heard(first), heard(second)];
    first.addEventListener('join', () => {
      first.close();
      second.close();
    });
    members.comes('ann');
    await settle();
    expect(logs).toEqual([['join ann'], []]);
  });

  it('harm each other by nothing that a listener does', async () => {
    const { channel, members, settle } = crowded();
    const [first, second] = [presence<string>(channel, { data: 'ida' }), presence<string>(channel)];
    await first.ready;
    const log = heard(second);
    let count = 0;
    first.addEventListener('join', () => {
      first.update(`ida ${++count}`);
      presence(channel).close();
    });
    for (const name of ['ann', 'bob']) {
      members.comes(name);
      await settle();
    }
    await settle();
    expect(log.filter((line) => !line.startsWith('change'))).toEqual([
      'join ann',
      'update ida to ida 1',
      'join bob',
      'update ida 1 to ida 2',
    ]);
  });
});

describe('what follows in quick succession', () => {
  it('is told once for a task, the latest of it', async () => {
    const { channel, p, said, members, settle } = crowded();
    await p.settle();
    const people = presence<number>(channel, { data: 0 });
    for (const i of [1, 2, 3]) people.update(i);
    await people.ready;
    for (const i of [4, 5, 6]) people.update(i);
    await settle();
    expect([said(), members.shown()]).toEqual([['show 3', 'show 6'], [6]]);
  });

  it('is told as fast as the server answers: one at a time, the latest of what came meanwhile', async () => {
    const { channel, clock, said, members, p } = crowded({}, {}, { delays: { enter: 100 } });
    const people = presence<number>(channel, { data: 0 });
    await p.settle();
    for (let i = 1; i < 100; i++) {
      people.update(i);
      await clock.advance(10);
    }
    expect(said().length).toBeLessThan(12);
    await clock.advance(200);
    expect([members.shown(), said().at(-1)]).toEqual([[99], 'show 99']);
    const numbers = said().map((line) => Number(line.slice(5)));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    await clock.advance(1_000);
    expect([shown(people), said().length]).toEqual([['99'], numbers.length]);
  });
});
