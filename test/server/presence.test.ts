/** Who is there on a channel, as the server has it: what makes a client be there, for how long, and what it may not. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import type { HostOptions } from '../../src/server/options.ts';
import type { Frame } from '../support/link.ts';
import {
  answers,
  appear,
  leave,
  named,
  presenceHost,
  show,
  slowPresence,
  subscribe,
  unsubscribe,
  watch,
  watched,
} from '../support/presence.ts';
import { SESSION_HELLO } from '../support/session-host.ts';

const goodbye = { type: 'bye', code: 1_000, reconnect: false, resume: false };
const features = ({ welcome }: { readonly welcome: Frame }) => welcome['features'];
describe('a client', () => {
  it('that says it is there is told which member it is, then who is there; those who watch are told of it', async () => {
    const { joins, told } = await watched({ nameOf: ({ id }) => `number ${id}` });
    const ann = await joins(show(2, { mood: 'well' }));
    const frames = ann.news();
    const member = named(frames);
    const me = { id: member, from: 'number 2', data: { mood: 'well' } };
    expect(member).toMatch(/^[0-9a-f]{32}$/);
    expect(frames.slice(1)).toEqual([
      { type: 'response', id: 2, result: { member } },
      { type: 'presence', channel: 'a', set: [me], snapshot: true },
    ]);
    const bob = await joins(show(2, null));
    expect(bob.news().at(-1)).toMatchObject({ set: [me, { from: 'number 3', data: null }], snapshot: true });
    expect(await told()).toEqual(['set {"mood":"well"}', 'set null']);
  });

  it('has no name where the server says none, and shows null where it says nothing', async () => {
    const { joins } = presenceHost();
    const ann = await joins({ type: 'presence', id: 2, channel: 'a', watch: true, here: true });
    expect(ann.news().at(-1)).toEqual({ type: 'presence', channel: 'a', set: [{ id: expect.any(String), data: null }], snapshot: true });
  });

  it('that only watches is nobody to the others, and is named no member', async () => {
    const { host, joins, told } = await watched();
    const ann = await joins(watch(2));
    expect(answers(ann.news()).at(-1)).toEqual({ type: 'response', id: 2, result: {} });
    expect([await told(), await host.members('a')]).toEqual([[], []]);
  });

  it('that does not watch is told nothing of the others', async () => {
    const { joins, told } = await watched();
    const ann = await joins(appear(2, 'ann'));
    const bob = await joins(appear(2, 'bob'));
    await bob.says(appear(3, 'bobby'));
    expect([ann.told(), bob.told()]).toEqual([
      ['response 1', 'response 2'],
      ['response 1', 'response 2', 'response 3'],
    ]);
    expect(await told()).toEqual(['set ann', 'set bobby']);
  });

  it('is told of the channel that it watches, and of no other', async () => {
    const { joins, host, told } = await watched();
    const ann = await joins(subscribe(2, 'b'), show(3, 'ann', { channel: 'b' }));
    expect(ann.told().slice(2)).toEqual(['response 3', 'snapshot ann']);
    expect([await told(), await host.members('a'), (await host.members('b')).length]).toEqual([[], [], 1]);
  });

  it('shows something else by saying so, as the same member; the same once more is told to nobody', async () => {
    const { joins, told } = await watched();
    const ann = await joins(show(2, 'ann'), show(3, 'anna'), show(4, 'anna'));
    const members = answers(ann.news())
      .slice(1)
      .map(({ result }) => (result as { member: string }).member);
    expect([members.length, new Set(members).size]).toEqual([3, 1]);
    expect(await told()).toEqual(['set ann', 'set anna']);
    await ann.says(show(5, 'anna'));
    expect(await told()).toEqual([]);
  });

  it('that has another name than before is told to the others, though it shows the same', async () => {
    const names = ['ann', 'anna'];
    const { joins, watcher, clock } = await watched({ nameOf: () => names.shift() });
    await joins(appear(2, 'x'), appear(3, 'x'));
    await clock.advance(50);
    expect(watcher.news()).toMatchObject([{ set: [{ from: 'ann' }] }, { set: [{ from: 'anna' }] }]);
  });

  it('that watches no more is still there', async () => {
    const { joins, told, host } = await watched();
    const ann = await joins(show(2, 'ann'), appear(3, 'ann'));
    await joins(show(2, 'bob'));
    expect([ann.told().at(-1), await told()]).toEqual(['response 3', ['set ann', 'set bob']]);
    expect(await host.members('a')).toHaveLength(2);
  });

  const ann = [subscribe(1), show(2, 'ann')];
  const gone = ['set ann', 'gone ann'];
  it.each<[string, HostOptions, object[]]>([
    ['says that it is not', {}, [leave(3)]],
    ['says so, and goes on watching', {}, [watch(3)]],
    ['leaves the channel', {}, [unsubscribe(3)]],
    ['says goodbye for good', {}, [goodbye]],
    ['breaks the protocol', {}, [{ type: 'ping', nonce: 'x' }]],
  ])('%s: it is gone at once', async (_how, options, frames) => {
    const { comes, told, host } = await watched(options);
    const visitor = await comes();
    await visitor.inTurn(...ann, ...frames);
    expect([await told(), await host.members('a')]).toEqual([gone, []]);
  });

  it.each<[string, HostOptions, object]>([
    ['the server has no sessions', { sessions: false }, {}],
    ['it has none itself', {}, { features: [...SESSION_HELLO.features.filter((each) => each !== 'resume'), 'presence'] }],
  ])('loses its connection, and %s: it is gone at once', async (_how, options, hello) => {
    const { comes, told, host, clock, watcher } = await watched(options);
    const visitor = await comes(hello);
    await visitor.inTurn(...ann);
    visitor.port.closed();
    expect([await told(), await host.members('a')]).toEqual([gone, []]);
    watcher.port.closed();
    await clock.advance(200_000);
    expect(clock.pending).toBe(0);
  });

  it('has to be subscribed to the channel, by now', async () => {
    const { comes, told } = await watched();
    const visitor = await comes();
    await visitor.inTurn(show(1, 'x'), subscribe(2), unsubscribe(3), show(4, 'x'), subscribe(5, 'b'), leave(6));
    const failed = (id: number) => `error ${id} FAILED_PRECONDITION`;
    expect(visitor.told()).toEqual([failed(1), 'response 2', 'response 3', failed(4), 'response 5', failed(6)]);
    expect(await told()).toEqual([]);
  });

  it('that uses an id twice breaks the protocol', async () => {
    const { joins } = presenceHost();
    const visitor = await joins(watch(1));
    expect(visitor.closes).toEqual([4_400]);
  });
});

describe('the feature', () => {
  it('is there where both sides have it', async () => {
    const { comes } = presenceHost();
    expect(features(await comes())).toContain('presence');
    expect(features(await comes({ features: ['channels'] }))).not.toContain('presence');
  });

  const memory = new MemoryBroker();
  const without = {
    idempotency: 0,
    subscribe: memory.subscribe.bind(memory),
    publish: memory.publish.bind(memory),
    history: memory.history.bind(memory),
    begin: memory.begin.bind(memory),
    finish: memory.finish.bind(memory),
    forget: memory.forget.bind(memory),
  };
  it.each<[string, HostOptions]>([
    ['does not offer it', { presence: false }],
    ['has a broker that cannot do it', { broker: without }],
  ])('is not there where the server %s: it is UNIMPLEMENTED, and nobody is there', async (_why, options) => {
    const { joins, host } = presenceHost(options);
    const visitor = await joins(show(2, 'ann'), leave(3));
    expect(features(visitor)).not.toContain('presence');
    expect(visitor.told()).toEqual(['response 1', 'error 2 UNIMPLEMENTED', 'error 3 UNIMPLEMENTED']);
    expect(await host.members('a')).toEqual([]);
    expect(visitor.closes).toEqual([]);
  });

  it('that is not there knows of nobody on other servers either', async () => {
    const { host, members } = slowPresence({}, { presence: false });
    members.comes('of another server');
    expect(await host.members('a')).toEqual([]);
  });
});

describe('a client that is gone', () => {
  it('leaves nothing behind, however it left', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const { host, joins, clock } = await watched({ sessions: { ttl: 60_000 } });
    const ends: ((visitor: Awaited<ReturnType<typeof joins>>) => unknown)[] = [
      (visitor) => visitor.says(leave(3), goodbye),
      (visitor) => visitor.says(unsubscribe(3), goodbye),
      (visitor) => visitor.says(goodbye),
      (visitor) => visitor.port.closed(),
    ];
    const come = async (end: (typeof ends)[number]) => {
      const visitor = await joins(show(2, 'ann'));
      const client = host.clients.at(-1);
      await end(visitor);
      visitor.port.closed();
      return new WeakRef(client as object);
    };
    const clients: WeakRef<object>[] = [];
    for (const end of ends) clients.push(await come(end));
    await clock.advance(60_000);
    expect([host.clients.length, await host.members('a')]).toEqual([1, []]);
    await new Promise((resolve) => setImmediate(resolve)); // what a task has looked at lives until it ends
    gc();
    expect(clients.map((client) => client.deref())).toEqual(Array(ends.length).fill(undefined));
  });
});

describe('host.members', () => {
  it('is who is there, by any broker, with the names that the server gives', async () => {
    const { host, joins, clock } = slowPresence({ delays: { list: 5 } }, { nameOf: () => 'ann' });
    const ask = async (channel: string) => (await Promise.all([host.members(channel), clock.advance(5)]))[0];
    await joins(appear(2, { mood: 'well' }));
    expect(await ask('a')).toEqual([{ id: expect.any(String), from: 'ann', data: { mood: 'well' } }]);
    expect(await ask('b')).toEqual([]);
  });

  it.each(['throws', 'rejects'] as const)('rejects where the broker %s', async (how) => {
    const { host, members } = slowPresence();
    members.fails = () => how;
    await expect(host.members('a')).rejects.toThrow('list a');
  });
});
