/** What presence may cost a server: watches at the store, frames a second, and what waits to be decided. */

import { describe, expect, it } from 'vitest';
import type { Authorization } from '../../src/server/options.ts';
import { appear, leave, presenceHost, show, slowPresence, subscribe, watch } from '../support/presence.ts';

describe('the cost of presence', () => {
  it.each([
    ['enter fails', {}],
    ['too many members', { presence: { members: 0 } }],
  ])('is no watch at the store for who is refused: %s', async (why, options) => {
    const { joins, members } = slowPresence({}, options);
    if (why === 'enter fails') members.fails = (deed) => (deed === 'enter' ? 'rejects' : undefined);
    const visitor = await joins(show(2, 'ann'));
    expect([visitor.told().at(-1)?.slice(0, 7), members.watchers]).toEqual(['error 2', 0]);
  });

  it('is limited by the rate, also for ever new channels that nobody is subscribed to', async () => {
    const { joins } = presenceHost({ limits: { rate: 1, burst: 2 } });
    const visitor = await joins();
    for (let id = 2; id < 100; id++) await visitor.says(watch(id, { channel: `x${id}` }));
    expect(visitor.closes).toEqual([4_429]);
  });

  it('is limited by the rate, also where it subscribes in between', async () => {
    const { joins } = presenceHost({ limits: { rate: 1, burst: 2 } });
    const watcher = await joins(watch(2));
    const visitor = await joins();
    for (let id = 2; id < 200; id += 2) await visitor.inTurn(subscribe(id), show(id + 1, `${id}`));
    expect([visitor.closes, watcher.closes]).toEqual([[4_429], []]);
  });

  it('is nothing for the first word on each channel: many come back at once', async () => {
    const { joins } = presenceHost({ limits: { rate: 1, burst: 2 } });
    const visitor = await joins();
    for (let id = 2; id < 100; id += 2) await visitor.inTurn(subscribe(id, `x${id}`), appear(id + 1, 'ann', { channel: `x${id}` }));
    expect(visitor.closes).toEqual([]);
  });

  it('is bounded where everything waits for authorize', async () => {
    let waiting = 0;
    const authorize = ({ action }: Authorization) => action !== 'presence' || new Promise<boolean>(() => waiting++);
    const { joins } = presenceHost({ authorize, limits: { subscriptions: 10 } });
    const visitor = await joins();
    for (let id = 2; id < 1_000; id++) await visitor.says(show(id, id));
    expect(waiting).toBeLessThan(100);
  });
  it('is no member, and no member lost, where one leaves and comes back in one message', async () => {
    const { joins, members, clock } = slowPresence({ delays: { leave: 5 } });
    const visitor = await joins(show(2, 'ann'));
    await visitor.says(leave(3), show(4, 'ann'));
    await clock.advance(100);
    expect([visitor.told().includes('response 4'), members.shown()]).toEqual([true, ['ann']]);
  });
});
