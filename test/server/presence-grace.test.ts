/** A client whose connection is lost is still there for a grace: who comes back in time with its session never left. */

import { describe, expect, it } from 'vitest';
import type { Authorization, HostOptions } from '../../src/server/options.ts';
import type { Frame } from '../support/link.ts';
import { answers, appear, named, PRESENCE_HELLO, show, subscribe, watch, watched } from '../support/presence.ts';
import { asking } from '../support/session-host.ts';

/** What the next hello of a client says, so that its session goes on, with the channel. */
const back = ({ welcome }: { readonly welcome: Frame }, generation = 1) => ({
  ...asking(welcome, generation),
  subscriptions: [{ channel: 'a' }],
});
describe('a client that has lost its connection', () => {
  /** Ann is there, and loses it. */
  async function lost(options: HostOptions = {}) {
    const h = await watched(options);
    const ann = await h.joins(show(2, 'ann'));
    expect(await h.told()).toEqual(['set ann']);
    const member = named(ann.news());
    expect(member).toMatch(/./);
    ann.port.closed();
    return { ...h, ann, member };
  }

  it('is there for ten seconds, and then it is not', async () => {
    const { clock, told, host, watcher } = await lost();
    await clock.advance(9_949);
    expect([await told(), await host.members('a')]).toMatchObject([[], [{ data: 'ann' }]]);
    await clock.advance(1);
    expect([watcher.told(), await host.members('a')]).toEqual([['gone ann'], []]);
  });

  it.each([0, 1, 60_000])('is there for as long as the server says: %i ms', async (grace) => {
    const { clock, watcher } = await lost({ presence: { grace } });
    if (grace > 0) await clock.advance(grace - 1);
    expect(watcher.told()).toEqual([]);
    await clock.advance(1);
    expect(watcher.told()).toEqual(['gone ann']);
  });

  it('and comes back in time with its session never left: nobody is told anything, and it is the same member', async () => {
    const { clock, told, comes, ann, member } = await lost();
    await clock.advance(9_900);
    const again = await comes(back(ann));
    await again.says(show(3, 'ann'));
    expect(answers(again.news())).toMatchObject([{ id: 3, result: { member } }]);
    await clock.advance(30_000);
    expect(await told()).toEqual([]);
  });

  it('has the whole grace to say so again, from when it is back', async () => {
    const { clock, told, comes, ann, member } = await lost();
    await clock.advance(9_999);
    const again = await comes(back(ann));
    await clock.advance(9_999);
    await again.says(show(3, 'anna'));
    await clock.advance(30_000);
    expect([answers(again.news()), await told()]).toMatchObject([[{ result: { member } }], ['set anna']]);
  });

  it('and comes back, and does not say so again, leaves after the grace', async () => {
    const { clock, comes, ann, watcher, host } = await lost();
    await clock.advance(5_000);
    const again = await comes(back(ann));
    await again.says(watch(3));
    expect(watcher.told()).toEqual(['gone ann']); // it has said that it is not
    await again.says(show(4, 'ann'));
    await clock.advance(50);
    again.port.closed();
    const last = await comes(back(ann, 2));
    await clock.advance(9_999);
    expect([last.told(), watcher.told()]).toEqual([[], ['set ann']]);
    await clock.advance(1);
    expect([watcher.told(), await host.members('a')]).toEqual([['gone ann'], []]);
  });

  it('is gone with its session, where that is over first', async () => {
    const { clock, watcher } = await lost({ sessions: { ttl: 500 } });
    await clock.advance(499);
    expect(watcher.told()).toEqual([]);
    await clock.advance(1);
    expect(watcher.told()).toEqual(['gone ann']);
  });

  it('and comes back as somebody else is another member; the one before leaves after the grace', async () => {
    const { clock, comes, told, member } = await lost();
    const other = await comes();
    await other.says(subscribe(1), show(2, 'anna'));
    expect(answers(other.news()).at(-1)).not.toMatchObject({ result: { member } });
    expect(await told()).toEqual(['set anna']);
    await clock.advance(10_000);
    expect(await told()).toEqual(['gone ann']);
  });

  it('because another one has taken its place never left, however late the end of the first is noticed', async () => {
    const { clock, told, joins, comes } = await watched();
    const ann = await joins(show(2, 'ann'));
    ann.reach.answersClose = false;
    const again = await comes(back(ann));
    expect(ann.closes).toEqual([4_409]);
    await again.says(show(3, 'ann'));
    ann.port.closed();
    await clock.advance(30_000);
    expect(await told()).toEqual(['set ann']);
    await again.says(show(4, 'anna'));
    expect(await told()).toEqual(['set anna']);
  });

  it('and subscribes anew on the same one has to say so again as well', async () => {
    const { clock, told, joins, watcher } = await watched();
    const ann = await joins(show(2, 'ann'), subscribe(3));
    expect(await told()).toEqual(['set ann']);
    await ann.says(show(4, 'ann'));
    await clock.advance(30_000);
    expect(await told()).toEqual([]);
    await ann.says(subscribe(5));
    await clock.advance(9_999);
    expect(watcher.told()).toEqual([]);
    await clock.advance(1);
    expect([watcher.told(), ann.told().slice(-3)]).toEqual([['gone ann'], ['response 4', 'snapshot ann', 'response 5']]);
  });

  it('has the whole grace each time, however soon after the one before', async () => {
    const { clock, comes, ann, told } = await lost();
    let visitor = ann;
    for (const generation of [1, 2, 3]) {
      await clock.advance(1_000);
      visitor = await comes(back(ann, generation));
      await visitor.says(show(generation + 2, 'ann'));
      await clock.advance(9_500);
      visitor.port.closed();
    }
    await clock.advance(9_949);
    expect(await told()).toEqual([]);
    await clock.advance(1);
    expect(await told()).toEqual(['gone ann']);
  });

  it('has the whole grace on each channel, whatever it has left of it on another one', async () => {
    const { clock, joins, watcher, told } = await watched();
    await watcher.inTurn(subscribe(3, 'b'), watch(4, { channel: 'b' }));
    const ann = await joins(subscribe(2, 'b'), appear(3, 'ann'), appear(4, 'ann', { channel: 'b' }));
    expect((await told()).filter((line) => line === 'set ann')).toHaveLength(2);
    await ann.says(subscribe(5));
    await clock.advance(9_000);
    await ann.says(subscribe(6, 'b'));
    await clock.advance(999);
    expect(watcher.told()).toEqual([]);
    await clock.advance(1);
    expect(watcher.told()).toEqual(['gone ann']);
    await clock.advance(8_900);
    await ann.says(appear(7, 'ann', { channel: 'b' }));
    await clock.advance(20_000);
    expect(watcher.told()).toEqual([]);
  });

  it.each([Infinity, 2 ** 31])('is there as long as its session, where the grace is more than any timer can hold: %i ms', async (grace) => {
    const { clock, watcher } = await lost({ presence: { grace }, sessions: { ttl: 60_000 } });
    await clock.advance(59_999);
    expect(watcher.told()).toEqual([]);
    await clock.advance(1);
    expect(watcher.told()).toEqual(['gone ann']);
  });
});

describe('a connection that never comes to its welcome', () => {
  it('changes nothing for the one that there is, whose session it wants to go on with', async () => {
    const door = { isSlow: false };
    const authorize = ({ action }: Authorization) => action !== 'subscribe' || !door.isSlow || new Promise<boolean>(() => {});
    const { clock, joins, connect, told } = await watched({ authorize });
    const ann = await joins(show(2, 'ann'));
    expect(await told()).toEqual(['set ann']);
    door.isSlow = true;
    const ghost = connect();
    await ghost.says({ ...PRESENCE_HELLO, ...back(ann) });
    ghost.port.closed();
    await clock.advance(30_000);
    expect([await told(), ann.closes]).toEqual([[], []]);
  });
});
