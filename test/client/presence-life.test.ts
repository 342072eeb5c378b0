/** From the first watch to the last: when it is known who is there, and what it means to close. */

import { describe, expect, it } from 'vitest';
import { CallError, ClosedError, UnsupportedError } from '../../src/errors.ts';
import { presence } from '../../src/presence.ts';
import { crowded, fate, heard } from '../support/crowd.ts';
import { handServer } from '../support/hand-server.ts';

describe('ready', () => {
  it('rejects where the server refuses it, or the channel', async () => {
    for (const refused of ['presence', 'subscribe']) {
      const { channel, p } = crowded({}, { authorize: ({ action }) => action !== refused });
      const people = presence(channel, { data: 'ida' });
      await expect(people.ready).rejects.toBeInstanceOf(CallError);
      await expect(people.ready).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      expect([p.log.sort(), people.me, people.isCurrent]).toEqual([['error PERMISSION_DENIED', 'open'], undefined, false]);
    }
  });

  it('rejects with DEADLINE_EXCEEDED where the server does not answer in time', async () => {
    const { channel, p, clock } = crowded({ callTimeout: 2_000 }, {}, { delays: { list: 60_000 } });
    const people = presence(channel);
    const ready = fate(people.ready);
    await p.settle();
    await clock.advance(1_999);
    expect(ready.now).toBe('pending');
    await clock.advance(1);
    expect([ready.now, p.log]).toEqual(['DEADLINE_EXCEEDED', ['open', 'error DEADLINE_EXCEEDED']]);
    await expect(people.ready).rejects.toBeInstanceOf(CallError);
  });

  it('rejects where the server has no presence', async () => {
    const { channel, p, said } = crowded({}, { presence: false });
    const { ready } = presence(channel, { data: 'ida' });
    await expect(ready).rejects.toBeInstanceOf(UnsupportedError);
    expect([said(), p.log, channel.state.status]).toEqual([[], ['open', 'error UNSUPPORTED'], 'subscribed']);
  });

  it('rejects where the server has no channels', async () => {
    const s = handServer();
    const errors: unknown[] = [];
    s.client.addEventListener('error', ({ message }) => errors.push(message));
    await s.welcomes({ features: ['calls'] });
    await expect(presence(s.client.channel('a')).ready).rejects.toBeInstanceOf(UnsupportedError);
    expect([errors.length, s.news()]).toEqual([1, []]);
  });

  it('rejects where it is closed first, or the client, or the client is closed already', async () => {
    const { channel, client, p } = crowded({}, {}, { delays: { list: 1_000 } });
    const abort = new AbortController();
    const [closed, aborted, left] = [presence(channel), presence(channel, { signal: abort.signal }), presence(channel)];
    await p.settle();
    closed.close();
    abort.abort('enough');
    const fates = [closed, aborted, left].map(({ ready }) => fate(ready));
    await p.settle();
    expect(fates.map(({ now }) => now)).toEqual(['CLIENT_CLOSED', 'CLIENT_CLOSED', 'pending']);
    await client.close();
    for (const people of [left, presence(channel)]) await expect(people.ready).rejects.toBeInstanceOf(ClosedError);
  });

  it('rejects with the reason of a signal that was aborted before', async () => {
    const { channel, p, types, settle } = crowded();
    await p.settle();
    const people = presence(channel, { data: 'ida', signal: AbortSignal.abort('never') });
    await expect(people.ready).rejects.toBe('never');
    await settle();
    expect([types(), channel.state.status, people.isCurrent]).toEqual([['hello'], 'idle', false]);
    expect(() => people.update('ida')).toThrow(ClosedError);
  });

  it('need not be waited for, whatever becomes of it', async () => {
    const { channel, client, p } = crowded({}, { authorize: () => false });
    presence(channel).close();
    presence(channel, { signal: AbortSignal.abort() });
    presence(channel);
    await p.settle();
    await client.close(); // an unhandled rejection would fail the run
    expect(p.client.state.status).toBe('closed');
  });
});

describe('closing', () => {
  it('leaves, and gives up the channel: nothing is heard any more', async () => {
    const { channel, members, settle, types, clock } = crowded();
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    const log = heard(people);
    people.close();
    people.close();
    expect(people.isCurrent).toBe(false);
    await settle();
    members.comes('ann');
    await settle();
    expect([types(), members.shown(), members.watchers, log]).toEqual([['hello', 'presence', 'presence', 'unsubscribe'], ['ann'], 0, []]);
    expect(channel.state.status).toBe('idle');
    expect(clock.pending).toBe(2); // the heartbeats
    for (const deed of [() => people.update('ida'), () => people.leave()]) expect(deed).toThrow(ClosedError);
  });

  it('by a signal is the same', async () => {
    const { channel, members, settle, types } = crowded();
    const abort = new AbortController();
    await presence(channel, { data: 'ida', signal: abort.signal }).ready;
    abort.abort();
    await settle();
    expect([types().at(-1), members.shown()]).toEqual(['unsubscribe', []]);
  });

  it('and opening again in one task is told to nobody; mounted, unmounted and mounted is one frame', async () => {
    const { channel, settle, types, p } = crowded();
    await p.settle();
    presence(channel, { data: 'ida' }).close();
    let people = presence(channel, { data: 'ida' });
    await people.ready;
    expect(types()).toEqual(['hello', 'subscribe', 'presence']);
    people.close();
    people = presence(channel, { data: 'ida' });
    await settle();
    expect([types().length, people.isCurrent]).toEqual([3, true]);
  });

  it('and opening again a task later begins anew', async () => {
    const { channel, members, settle, said } = crowded();
    members.comes('ann');
    const first = presence(channel, { data: 'ida' });
    await first.ready;
    first.close();
    await settle();
    members.comes('bob');
    const people = presence(channel, { data: 'ida' });
    const log = heard(people);
    await people.ready;
    expect(log).toEqual(['join ann', 'join bob', 'join ida', 'change: ann bob ida']);
    expect(said()).toEqual(['show ida', 'nothing', 'show ida']);
  });

  it('while the server is being told takes leave all the same, once it has answered', async () => {
    const { channel, members, p, clock, said, types, settle } = crowded({}, {}, { delays: { enter: 500 } });
    const people = presence(channel, { data: 'ida' });
    await p.settle();
    people.close();
    await clock.advance(400);
    expect([said(), channel.state.status]).toEqual([['show ida'], 'subscribed']);
    await clock.advance(1_000);
    await settle();
    expect([said(), types().at(-1), members.shown(), members.watchers]).toEqual([['show ida', 'nothing'], 'unsubscribe', [], 0]);
  });

  it('leaves the channel to those who have it for its messages', async () => {
    const { channel, settle, types, p, members } = crowded();
    const messages: unknown[] = [];
    const people = presence(channel, { data: 'ida' });
    await channel.subscribe((message) => messages.push(message)).ready;
    await people.ready;
    people.close();
    await settle();
    p.host.publish('a', 1);
    await settle();
    expect([types(), messages, members.shown(), members.watchers]).toEqual([['hello', 'presence', 'presence'], [1], [], 0]);
  });

  it('at a server without presence gives up the channel, and is no other error', async () => {
    const { channel, p, types, settle } = crowded({}, { presence: false });
    const people = presence(channel, { data: 'ida' });
    await expect(people.ready).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    people.close();
    await settle();
    expect([p.log, types(), channel.state.status]).toEqual([['open', 'error UNSUPPORTED'], ['hello', 'unsubscribe'], 'idle']);
  });

  it.each<[string, (p: ReturnType<typeof crowded>['p']) => void]>([
    ['without a connection', (p) => p.socket.cut()],
    ['while the channel is asked for again', (p) => p.socket.deliver('{"type":"unsubscribe","channel":"a","resubscribe":true}')],
  ])('%s leaves as soon as that can be said, where others keep the channel', async (_when, happens) => {
    const { channel, p, clock, members, said, settle } = crowded();
    channel.subscribe();
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    channel.addEventListener('statechange', ({ state }) => state.status === 'subscribing' && people.close());
    happens(p);
    await clock.advance(1_000);
    await settle();
    expect([members.shown(), said().at(-1), channel.state.status]).toEqual([[], 'nothing', 'subscribed']);
  });

  it('without a connection, before the server has answered, leaves as well', async () => {
    const { channel, p, clock, members, said, settle } = crowded({}, {}, { delays: { enter: 100 } });
    channel.subscribe();
    const people = presence(channel, { data: 'ida' });
    await p.settle();
    p.socket.cut();
    people.close();
    await clock.advance(1_000);
    await settle();
    expect([said(), members.shown(), p.log]).toEqual([['nothing'], [], ['open', 'close 1006 again', 'open']]);
  });

  it('without a connection says nothing where it was not there any more', async () => {
    const { channel, p, clock, said, settle } = crowded();
    channel.subscribe();
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    people.leave();
    await settle();
    p.socket.cut();
    people.close();
    await clock.advance(1_000);
    await settle();
    expect([said(), channel.state.status]).toEqual([[], 'subscribed']);
  });

  it('without a connection is told to nobody, and the channel is not asked for again', async () => {
    const { channel, members, p, clock } = crowded();
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    p.socket.cut();
    people.close();
    await clock.advance(1_000);
    await p.settle();
    expect([p.frames(), people.isCurrent]).toMatchObject([[{ type: 'hello' }], false]);
    expect(p.frames()[0]).not.toHaveProperty('subscriptions');
    await clock.advance(10_000);
    expect(members.shown()).toEqual([]);
  });

  it.each([[['presence', 'client']], [['client', 'presence']]])(
    'in one task with the client, %s, says nothing after goodbye',
    async (order) => {
      const { channel, client, clock, p, types, members } = crowded();
      const people = presence(channel, { data: 'ida' });
      await people.ready;
      const ends = { presence: () => people.close(), client: () => client.close() };
      const closed = order.map((which) => ends[which as 'client']());
      await Promise.all([...closed, p.settle()]);
      await clock.advance(1);
      expect([types(), members.shown(), clock.pending]).toEqual([['hello', 'presence', 'bye'], [], 0]);
    },
  );
});
