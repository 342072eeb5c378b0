/** Who is there, over a store that takes its time, leaves things out and fails: whoever watches knows in the end what is so. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settled } from '../support/fake-clock.ts';
import type { Frame } from '../support/link.ts';
import { appear, leave, show, slowPresence, subscribe, unsubscribe, watch } from '../support/presence.ts';

const presences = (frames: readonly Frame[]) => frames.filter(({ type }) => type === 'presence');

/** What a client knows that was told so much. */
class Knowledge {
  readonly #members = new Map<string, unknown>();
  #snapshot: Map<string, unknown> | undefined;
  #isFresh = true;

  hears(frames: readonly Frame[]): void {
    for (const { set, gone, snapshot, more } of presences(frames)) {
      if (this.#isFresh) expect(snapshot).toBe(true); // nobody can make anything of a change to what is not known
      const members = this.#snapshot ?? (snapshot ? new Map<string, unknown>() : this.#members);
      for (const { id, data } of (set ?? []) as { id: string; data: unknown }[]) members.set(id, data);
      for (const id of (gone ?? []) as string[]) members.delete(id);
      this.#snapshot = more ? members : undefined;
      if (!snapshot || more) continue;
      this.#isFresh = false;
      this.#members.clear();
      for (const [id, data] of members) this.#members.set(id, data);
    }
  }

  get shown(): string[] {
    return [...this.#members.values()].map(String).sort();
  }
}

describe('a store that takes its time', () => {
  it('has been heard when the client is answered: the snapshot is right behind, and nothing comes before', async () => {
    const { joins, members, clock } = slowPresence({ delays: { enter: 1, watch: 5, list: 5 } });
    members.comes('ann');
    const visitor = await joins(show(2, 'bob'));
    await clock.advance(5);
    members.comes('eve');
    await clock.advance(4);
    expect(visitor.told()).toEqual(['response 1']);
    await clock.advance(2);
    expect(visitor.told()).toEqual(['response 2', 'snapshot ann eve bob']);
  });

  it('may tell a change before the list that does not have it: it is not lost', async () => {
    const { joins, members, clock } = slowPresence({ early: true, delays: { list: 5 } });
    for (const name of ['ann', 'bob']) members.comes(name);
    const visitor = await joins(watch(2));
    members.comes('eve');
    members.comes('ann', 'anna');
    members.goes('bob');
    await clock.advance(5);
    expect(visitor.told().slice(1)).toEqual(['response 2', 'snapshot anna eve']);
  });

  it.each<[string, object[]]>([
    ['watches no more', [leave(3)]],
    ['leaves the channel', [unsubscribe(3)]],
    ['subscribes anew', [subscribe(3)]],
  ])('is left by who %s before it has answered, who was never there', async (_how, frames) => {
    const { joins, members, clock } = slowPresence({ delays: { watch: 5, list: 5 } });
    for (const pause of [3, 8]) {
      const visitor = await joins(show(2, 'ann'));
      await clock.advance(pause);
      await visitor.says(...frames);
      await clock.advance(20);
      expect(visitor.told()).toEqual(['response 1', 'response 3', 'error 2 CANCELLED']);
      expect([members.watchers, members.asked.filter((deed) => deed.startsWith('enter'))]).toEqual([0, []]);
    }
  });

  it('is left by who has lost its connection before it has answered, and another one can come', async () => {
    const { joins, members, clock } = slowPresence({ delays: { watch: 5, list: 5 } });
    const visitor = await joins(watch(2));
    visitor.port.closed();
    const other = await joins(watch(2));
    members.comes('ann');
    await clock.advance(20);
    expect([members.watchers, other.told().slice(1)]).toEqual([1, ['response 2', 'snapshot ann']]);
  });

  const who = fc.nat(2);
  const deed = fc.constantFrom('show', 'appear', 'watch', 'leave', 'subscribe', 'cut', 'comes', 'goes', 'lost', 'missed');
  const schedule = fc.record({
    delays: fc.record({ enter: fc.nat(4), leave: fc.nat(4), watch: fc.nat(4), list: fc.nat(4) }),
    live: fc.nat(3),
    early: fc.boolean(),
    steps: fc.array(fc.record({ who, deed, pause: fc.constantFrom(0, 0, 1, 2, 3, 60) }), { maxLength: 30 }),
  });

  it('and is told of the rest, in whatever order: in the end all who watch know the same', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ({ steps, ...slow }) => {
        const { joins, members, clock } = slowPresence(slow, { sessions: false });
        const arrives = async () => ({ peer: await joins(), id: 1, watches: false });
        const visitors = [await arrives(), await arrives(), await arrives()];
        for (const [i, { who, deed, pause }] of steps.entries()) {
          const visitor = visitors[who] as (typeof visitors)[number];
          const { peer } = visitor;
          const id = ++visitor.id;
          const says = { show: show(id, i), appear: appear(id, i), watch: watch(id), leave: leave(id), subscribe: subscribe(id) }[
            deed as 'show'
          ];
          if (says) await peer.says(says);
          if (says) visitor.watches = deed === 'show' || deed === 'watch';
          if (deed === 'cut') peer.port.closed();
          if (deed === 'cut') visitors[who] = await arrives();
          if (deed === 'comes') members.comes(`other ${who}`, i);
          if (deed === 'goes') members.goes(`other ${who}`);
          if (deed === 'lost') members.interrupt();
          if (deed === 'missed') {
            members.isDeaf = true;
            members.comes(`other ${who}`, i);
            members.isDeaf = false;
            members.interrupt();
          }
          await clock.advance(pause);
        }
        await clock.advance(1_000);
        const there = members.shown().map(String).sort();
        for (const { peer, watches } of visitors) {
          const knowledge = new Knowledge();
          knowledge.hears(peer.received);
          if (watches) expect(knowledge.shown).toEqual(there);
        }
        for (const { peer } of visitors) peer.port.closed();
        await clock.advance(20);
        expect([members.watchers, clock.pending]).toEqual([0, 0]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a store that may have left something out', () => {
  it('is asked again, and all who watch are told everything anew', async () => {
    const { joins, members, clock } = slowPresence();
    for (const name of ['ann', 'bob']) members.comes(name);
    const [visitor, other] = [await joins(watch(2)), await joins(watch(2))];
    for (const peer of [visitor, other]) peer.news();
    members.isDeaf = true;
    members.goes('ann');
    members.comes('eve');
    members.isDeaf = false;
    members.interrupt('b');
    await clock.advance(50);
    expect(visitor.told()).toEqual([]);
    members.interrupt();
    await clock.advance(50);
    expect([visitor.told(), other.told()]).toEqual([['snapshot bob eve'], ['snapshot bob eve']]);
    members.goes('bob');
    await settled();
    expect(visitor.told()).toEqual(['gone bob']);
  });

  it('is asked for what is so when it is asked, and what changes meanwhile is not lost', async () => {
    const { joins, members, clock } = slowPresence({ early: true, delays: { list: 5 } });
    for (const name of ['ann', 'bob']) members.comes(name);
    const visitor = await joins(watch(2));
    await clock.advance(5);
    members.interrupt();
    await clock.advance(1);
    members.comes('eve');
    members.goes('bob');
    await clock.advance(100);
    const knowledge = new Knowledge();
    knowledge.hears(visitor.received);
    expect(knowledge.shown).toEqual(['ann', 'eve']);
  });

  it('twice is asked twice, and the last answer counts, also where the one before comes after it', async () => {
    const { joins, members, clock } = slowPresence({ early: true });
    members.comes('ann');
    const visitor = await joins(watch(2));
    const delays = [10, 5];
    members.delayOf = () => delays.shift() ?? 0;
    members.interrupt();
    members.isDeaf = true;
    members.comes('ann', 'anna');
    members.isDeaf = false;
    members.interrupt();
    await clock.advance(100);
    expect(visitor.told().slice(2)).toEqual(['snapshot ann', 'snapshot anna']);
  });

  it('while it is asked for the first time is asked again: who waits is told everything, once', async () => {
    const { joins, members, clock } = slowPresence({ delays: { list: 5 } });
    for (const name of ['ann', 'bob']) members.comes(name);
    const visitor = await joins(watch(2));
    await clock.advance(2);
    members.interrupt();
    await clock.advance(50);
    expect(visitor.told()).toEqual(['response 1', 'response 2', 'snapshot ann bob']);
  });

  it('and fails then is asked again each second, as long as somebody watches', async () => {
    const { joins, members, errors, clock } = slowPresence();
    const visitor = await joins(watch(2));
    members.isDeaf = true;
    members.comes('ann');
    members.fails = (deed) => (deed === 'list' ? 'rejects' : undefined);
    members.interrupt();
    await clock.advance(2_999);
    members.fails = () => undefined;
    await clock.advance(1);
    expect([visitor.told().slice(2), errors]).toEqual([['snapshot', 'snapshot ann'], Array(3).fill('the broker: Error: list a')]);
    members.fails = (deed) => (deed === 'list' ? 'rejects' : undefined);
    members.interrupt();
    await settled();
    visitor.port.closed();
    await clock.advance(120_000);
    expect([errors.length, members.watchers, clock.pending]).toEqual([4, 0, 0]);
  });

  it('and fails then, and may have done so again meanwhile, is asked at once, and not again when that is answered', async () => {
    const { joins, members, clock } = slowPresence();
    await joins(watch(2));
    members.fails = (deed) => (deed === 'list' ? 'rejects' : undefined);
    members.interrupt();
    await clock.advance(500);
    members.fails = () => undefined;
    members.interrupt();
    await clock.advance(10_000);
    expect(members.asked.filter((deed) => deed === 'list a')).toHaveLength(3);
  });

  it('and fails then when nobody watches any more is not asked again', async () => {
    const { joins, members, clock } = slowPresence({ delays: { list: 5 } });
    const visitor = await joins(watch(2));
    await clock.advance(5);
    const before = clock.pending;
    members.fails = (deed) => (deed === 'list' ? 'rejects' : undefined);
    members.interrupt();
    await visitor.says(leave(3));
    await clock.advance(10_000);
    expect([members.asked.filter((deed) => deed === 'list a').length, members.watchers, clock.pending]).toEqual([2, 0, before]);
  });

  it('a second time while it is asked again: what was told before that is older than the answer', async () => {
    const { joins, members, clock } = slowPresence({ early: true, delays: { list: 5 } });
    const visitor = await joins(watch(2));
    await clock.advance(5);
    members.interrupt();
    members.comes('ann', 'first');
    members.isDeaf = true;
    members.comes('ann', 'second');
    members.isDeaf = false;
    members.interrupt();
    await clock.advance(100);
    expect(visitor.told().at(-1)).toBe('snapshot second');
  });

  it('and fails then keeps nothing of what changes meanwhile', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const { joins, members, clock } = slowPresence();
    const used = () => {
      gc();
      return process.memoryUsage().heapUsed;
    };
    await joins(watch(2));
    members.fails = (deed) => (deed === 'list' ? 'rejects' : undefined);
    members.interrupt();
    await settled();
    const before = used();
    for (let i = 0; i < 20_000; i++) {
      members.comes('ann', `${i} ${'x'.repeat(100)}`);
      members.goes('ann');
    }
    await clock.advance(50);
    expect(used() - before).toBeLessThan(2_000_000);
    expect(members.watchers).toBe(1); // which lives until here
  });

  it('and fails then is reported; those who watch stay, are told what changes, and everything the next time', async () => {
    const { joins, members, errors, clock } = slowPresence();
    const visitor = await joins(watch(2));
    members.fails = (deed) => (deed === 'list' ? 'rejects' : undefined);
    members.interrupt();
    await settled();
    members.fails = () => undefined;
    members.comes('ann');
    await clock.advance(50);
    members.interrupt();
    await clock.advance(50);
    expect([visitor.told().slice(2), errors]).toEqual([['snapshot', 'set ann', 'snapshot ann'], ['the broker: Error: list a']]);
  });
});
