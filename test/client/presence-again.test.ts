/** Who is there after an outage, a hole, or another life of the client: only what is different is told. */

import { describe, expect, it } from 'vitest';
import type { ClientOptions } from '../../src/client-options.ts';
import { presence } from '../../src/presence.ts';
import { Host } from '../../src/server/host.ts';
import type { Authorization, HostOptions } from '../../src/server/options.ts';
import { crowded, heard, shown } from '../support/crowd.ts';
import { framesIn } from '../support/link.ts';
import { reader } from '../support/presence.ts';
import { lose, NO_SESSIONS } from './support.ts';

/** Somebody is there with others, and what is heard from then on. */
async function among(others: string[], options: ClientOptions = {}, server: HostOptions = {}) {
  const c = crowded(options, server);
  for (const name of others) c.members.comes(name);
  const people = presence<unknown>(c.channel, { data: 'ida' });
  await people.ready;
  await c.settle();
  /** What others are told, in words, since this was asked last. */
  const told: string[] = [];
  const read = reader();
  await c.members.watch(
    'a',
    ({ set, gone }) => void told.push(...read([{ type: 'presence', ...(set ? { set: [set] } : { gone: [gone] }) }])),
  );
  const news = () => told.splice(0);
  read([{ type: 'presence', set: [...people.members.values()] }]);
  return { ...c, people, log: heard(people), news };
}

describe('after an outage', () => {
  it('only what is different is told, in both directions: who stayed neither left nor came', async () => {
    const { p, people, log, members, news, said } = await among(['ann', 'bob', 'eve']);
    const { me } = people;
    const before = people.members;
    p.socket.cut();
    expect([people.isCurrent, people.members, people.me]).toEqual([false, before, me]);
    members.goes('ann');
    members.comes('bob', 'bobby');
    members.comes('joe');
    news();
    await lose(p);
    expect(log).toEqual(['leave ann', 'update bob to bobby', 'join joe', 'change: bobby eve ida joe']);
    expect([people.isCurrent, people.me, said(), news()]).toEqual([true, me, ['show ida'], []]);
  });

  it('in which nothing changed there is a change all the same: it is known again', async () => {
    const { p, people, log } = await among(['ann']);
    for (let i = 0; i < 3; i++) await lose(p);
    expect(log).toEqual(Array(3).fill('change: ann ida'));
    expect([people.isCurrent, p.log.includes('error')]).toEqual([true, false]);
  });

  it('that neither end is told of, the same', async () => {
    const { p, people, log, news } = await among(['ann']);
    p.socket.vanish();
    p.client.reconnect();
    await p.settle();
    expect([log, news(), people.isCurrent]).toEqual([['change: ann ida'], [], true]);
  });

  it.each<[string, HostOptions]>([
    ['its session is lost', { sessions: { ttl: 500 } }],
    ['there are no sessions', NO_SESSIONS],
  ])('where %s, this client is another member', async (_why, server) => {
    const { p, people, log, members } = await among(['ann'], {}, server);
    const { me } = people;
    await lose(p);
    expect([shown(people), members.shown(), log]).toEqual([
      ['ann', 'ida'],
      ['ann', 'ida'],
      ['leave ida', 'join ida', 'change: ann ida'],
    ]);
    expect([people.me === me, people.members.has(people.me ?? '')]).toEqual([false, true]);
  });

  it('what was shown last in it is told, and nothing before it', async () => {
    const { p, people, news, said } = await among([]);
    p.socket.cut();
    people.update('busy');
    people.update('away');
    await lose(p);
    expect([said(), news(), shown(people)]).toEqual([['show away'], ['set away'], ['away']]);
  });

  it('is not known to be anybody until the server says who, nor where it refuses', async () => {
    const door = { isOpen: true };
    const authorize = ({ action }: Authorization) => action !== 'presence' || door.isOpen;
    const { p, people, log } = await among(['ann'], {}, { authorize, ...NO_SESSIONS });
    door.isOpen = false;
    await lose(p);
    expect([people.me, people.isCurrent, shown(people), log]).toEqual([undefined, false, ['ann', 'ida'], []]);
    expect(p.log.at(-1)).toBe('error PERMISSION_DENIED');
  });

  it('in which it has left, it does not come back', async () => {
    const { p, people, members, said, clock } = await among(['ann']);
    p.socket.cut();
    people.leave();
    await lose(p);
    expect([said(), people.me]).toEqual([['watch'], undefined]);
    await clock.advance(10_000);
    await p.settle();
    expect([members.shown(), shown(people)]).toEqual([['ann'], ['ann']]);
  });

  it('on another server it is another member; the one before leaves after the grace', async () => {
    const { p, people, log, broker, clock, settle } = await among(['ann']);
    const other = new Host({ clock, broker });
    p.reachable = false;
    p.socket.cut();
    await clock.advance(1_000);
    p.socket.accept(other);
    await settle();
    expect([people.isCurrent, log]).toEqual([true, ['join ida', 'change: ann ida ida']]);
    await clock.advance(9_000);
    await settle();
    expect([shown(people), people.members.has(people.me ?? ''), log.at(-1)]).toEqual([['ann', 'ida'], true, 'change: ann ida']);
  });

  it('on a server without presence nothing is known any more; it is what was known last', async () => {
    const { p, people, log, clock } = await among(['ann']);
    p.reachable = false;
    p.socket.cut();
    await clock.advance(1_000);
    p.socket.accept(new Host({ clock, presence: false }));
    await p.settle();
    expect([people.isCurrent, shown(people), log]).toEqual([false, ['ann', 'ida'], []]);
    expect(p.log.filter((line) => line.startsWith('error'))).toEqual(['error UNSUPPORTED']);
  });

  it('a crowd of many frames is told as one: what has changed, and one change', async () => {
    const names = Array.from({ length: 500 }, (_, i) => `member ${i} ${'x'.repeat(100)}`);
    const { p, log, members, people } = await among(names);
    p.socket.cut();
    members.goes(names[250] ?? '');
    members.comes('joe');
    await lose(p);
    const frames = p.socket.received.flatMap(framesIn).filter(({ type }) => type === 'presence');
    expect(frames.length).toBeGreaterThan(3);
    expect(log.map((line) => line.slice(0, 16))).toEqual(['leave member 250', 'join joe', 'change: member 0']);
    expect(people.members.size).toBe(501);
  });
});

describe('a channel that is asked for again on the same connection', () => {
  const demand = { type: 'unsubscribe', channel: 'a', resubscribe: true };
  const hole = { type: 'message', channel: 'a', data: 1, offset: 7 };

  it.each([
    ['at the demand of the server', demand],
    ['because of a hole', hole],
  ])('%s: it says again that it is there, and nobody left or came', async (_why, frame) => {
    const { p, people, log, news, members, said, settle, clock } = await among(['ann']);
    p.socket.deliver(JSON.stringify(frame));
    await p.settle();
    expect([said(), people.isCurrent]).toEqual([['show ida', 'show ida'], true]);
    members.comes('bob');
    await settle();
    await clock.advance(20_000);
    expect([log, news()]).toEqual([['change: ann ida', 'join bob', 'change: ann ida bob'], ['set bob']]);
  });

  it('while something else is being told: it is told again, and the answer to the first is none', async () => {
    const { p, people, settle, said, members } = await among(['ann']);
    people.update('busy');
    p.socket.deliver(JSON.stringify(demand));
    people.update('away');
    await settle();
    expect([people.isCurrent, members.shown(), shown(people), p.log]).toEqual([true, ['ann', 'away'], ['ann', 'away'], ['open']]);
    expect(said().at(-1)).toBe('show away');
  });
});

describe('a client that was closed', () => {
  it('and connects again is there again, with the same object', async () => {
    const { p, client, people, log, members, settle, clock } = await among(['ann']);
    const { me } = people;
    await client.close();
    await clock.advance(1);
    expect([people.isCurrent, members.shown(), log]).toEqual([false, ['ann'], []]);
    people.update('ida again');
    members.goes('ann');
    members.comes('bob');
    await client.connect();
    await settle();
    expect([people.isCurrent, members.shown(), shown(people)]).toEqual([true, ['bob', 'ida again'], ['bob', 'ida again']]);
    expect(log).toEqual(['leave ann', 'leave ida', 'join bob', 'join ida again', 'change: bob ida again']);
    expect([people.me === me, p.log.filter((line) => line.startsWith('error'))]).toEqual([false, []]);
  });

  it('or never opened, is told when there is a connection', async () => {
    const { client, channel, settle, members } = crowded({ startClosed: true });
    members.comes('ann');
    const people = presence(channel, { data: 'ida' });
    await client.connect();
    await people.ready;
    await settle();
    expect([people.isCurrent, shown(people)]).toEqual([true, ['ann', 'ida']]);
  });
});
