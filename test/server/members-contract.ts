/** What every broker with presence has to do. Nothing here waits for time to pass: each test waits for what is to come. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MemberChange, Members } from '../../src/server/broker.ts';
import type { Member } from '../../src/wire/frames.ts';

type Make = () => Promise<readonly [Members, Members]>;

const NASTY = ['__proto__', 'constructor', 'hasOwnProperty', '', ' ', 'a:b', 'a*', '[a]', '\u0000', 'é𝒳', '{x}'];
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
const member = (id: string, data: unknown = id): Member => ({ id, data });
const byId = (members: Iterable<Member>) => [...members].sort((a, b) => (a.id < b.id ? -1 : 1));

/** Watches, and knows when so many changes have come. */
class Eye {
  readonly seen: MemberChange[] = [];
  /** What else is done with each change. */
  also: ((change: MemberChange) => unknown) | undefined;
  losses = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly listener = (change: MemberChange): void => {
    this.seen.push(change);
    for (const { resolve } of this.#waiting.filter(({ count }) => count <= this.seen.length)) resolve();
    this.also?.(change);
  };

  readonly lost = (): void => {
    this.losses++;
  };

  /** In words: "a 1" is there with that data, "-a" is not any more. */
  get words(): string[] {
    return this.seen.map(({ set, gone }) => (set ? `${set.id} ${JSON.stringify(set.data)}` : `-${gone}`));
  }

  until(count: number): Promise<void> {
    if (this.seen.length >= count) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push({ count, resolve }));
  }
}

async function watching(members: Members, channel = 'a'): Promise<Eye & { stop: () => void }> {
  const eye = new Eye();
  const stop = await members.watch(channel, eye.listener, eye.lost);
  return Object.assign(eye, { stop });
}

/**
 * Tests of who is there, as a broker keeps it.
 *
 * @param name of the broker, for the names of the tests
 * @param make makes the members of two servers that share everything, with nobody there
 */
export function membersContract(name: string, make: Make): void {
  lists(name, make);
  watchers(name, make);
  together(name, make);
}

function lists(name: string, make: Make): void {
  describe(`${name}: who is there`, () => {
    it('is nobody at first, and of another channel than this', async () => {
      const [here, there] = await make();
      await here.enter('a', member('x'));
      for (const members of [here, there]) expect([await members.list('b'), (await members.list('a')).length]).toEqual([[], 1]);
    });

    it('is known on every server, as it was said, until it leaves', async () => {
      const [here, there] = await make();
      const all = [{ id: '1', from: 'ida', data: { mood: ['well', null] } }, { id: '2', from: '', data: null }, member('3', '"é𝒳"')];
      for (const [i, each] of all.entries()) await [here, there][i % 2]?.enter('a', each);
      for (const members of [here, there]) expect(byId(await members.list('a'))).toEqual(all);
      await here.leave('a', '2');
      for (const members of [here, there]) expect(byId(await members.list('a')).map(({ id }) => id)).toEqual(['1', '3']);
    });

    it('shows what it said last', async () => {
      const [here, there] = await make();
      for (const each of [{ id: '1', from: 'ida', data: 1 }, member('1', 2)]) await here.enter('a', each);
      expect(await there.list('a')).toEqual([member('1', 2)]);
      await here.leave('a', '1');
      await here.enter('a', member('1', 3));
      expect(await there.list('a')).toEqual([member('1', 3)]);
    });

    it('may have any name, on any channel, and each is another', async () => {
      const [here, there] = await make();
      for (const channel of NASTY) for (const id of NASTY) await here.enter(channel, member(id, [channel, id]));
      for (const channel of NASTY) expect(byId(await there.list(channel))).toEqual(byId(NASTY.map((id) => member(id, [channel, id]))));
      for (const channel of NASTY) await here.leave(channel, '__proto__');
      for (const channel of NASTY) expect((await there.list(channel)).length).toBe(NASTY.length - 1);
    });

    it('does not change when an answer is', async () => {
      const [here] = await make();
      await here.enter('a', member('1'));
      ((await here.list('a')) as Member[]).length = 0;
      expect(await here.list('a')).toEqual([member('1')]);
    });
  });
}

function watchers(name: string, make: Make): void {
  describe(`${name}: who watches`, () => {
    it('is told on every server of all who come, show something else, and leave, as it was said', async () => {
      const [here, there] = await make();
      const eyes = [await watching(here), await watching(here), await watching(there)];
      const ida = { id: '1', from: 'ida', data: { a: [null] } };
      await here.enter('a', ida);
      await here.enter('a', { ...ida, data: 2 });
      await here.leave('a', '1');
      for (const eye of eyes) {
        await eye.until(3);
        expect(eye.seen).toEqual([{ set: ida }, { set: { ...ida, data: 2 } }, { gone: '1' }]);
        expect(eye.losses).toBe(0);
      }
    });

    it('is told nothing of who was not there and leaves, nor of another channel', async () => {
      const [here, there] = await make();
      const eyes = [await watching(here), await watching(there)];
      await here.leave('a', 'nobody');
      await here.enter('b', member('1'));
      await there.leave('a', '1');
      await here.leave('b', '1');
      await here.leave('b', '1');
      await here.enter('a', member('2'));
      for (const eye of eyes) {
        await eye.until(1);
        expect(eye.words).toEqual(['2 "2"']);
      }
    });

    it('is told in the order in which one server says it of one member, also where it does not wait', async () => {
      const [here, there] = await make();
      const eyes = [await watching(here), await watching(there)];
      const said = [...upTo(5).map((i) => here.enter('a', member('1', i))), here.leave('a', '1'), here.enter('a', member('1', 6))];
      await Promise.all(said);
      for (const eye of eyes) {
        await eye.until(7);
        expect(eye.words).toEqual([...upTo(5).map((i) => `1 ${i}`), '-1', '1 6']);
      }
      expect(await there.list('a')).toEqual([member('1', 6)]);
    });

    it('hears nothing from before it came, nor after it has stopped; stopping twice is stopping once', async () => {
      const [here, there] = await make();
      const other = await watching(here);
      await there.enter('a', member('1'));
      await other.until(1);
      const eye = await watching(here);
      await there.enter('a', member('2'));
      await Promise.all([other.until(2), eye.until(1)]);
      eye.stop();
      eye.stop();
      await there.enter('a', member('3'));
      await other.until(3);
      expect([eye.words, other.words]).toEqual([['2 "2"'], ['1 "1"', '2 "2"', '3 "3"']]);
    });

    it('may be the same function twice: each stops by itself', async () => {
      const [here] = await make();
      const eye = new Eye();
      const [first, second] = [await here.watch('a', eye.listener), await here.watch('a', eye.listener)];
      await here.enter('a', member('1'));
      await eye.until(2);
      first();
      await here.enter('a', member('2'));
      await eye.until(3);
      second();
      const last = await watching(here);
      await here.enter('a', member('3'));
      await last.until(1);
      expect(eye.words).toEqual(['1 "1"', '1 "1"', '2 "2"']);
    });

    it('may throw, stop itself and others, and say who comes, while it is told: nobody else is harmed', async () => {
      const [here] = await make();
      const [bad, first, second, last] = [await watching(here), await watching(here), await watching(here), await watching(here)];
      bad.also = () => {
        throw new Error('bad listener');
      };
      first.also = () => {
        first.stop();
        second.stop();
        void here.enter('a', member('2'));
      };
      await here.enter('a', member('1'));
      await last.until(2);
      expect([first.words, second.words]).toEqual([['1 "1"'], []]);
      expect([...last.words].sort()).toEqual(['1 "1"', '2 "2"']);
      expect(byId(await here.list('a'))).toEqual([member('1'), member('2')]);
    });

    it('may say something else of the same member while it is told: all have the same order', async () => {
      const [here, there] = await make();
      const first = await watching(here);
      const eyes = [first, await watching(here), await watching(there)];
      first.also = ({ set }) => {
        if (Number(set?.data) < 3) void here.enter('a', member('1', Number(set?.data) + 1));
      };
      await here.enter('a', member('1', 1));
      for (const eye of eyes) {
        await eye.until(3);
        expect(eye.words).toEqual(['1 1', '1 2', '1 3']);
      }
    });
  });
}

function together(name: string, make: Make): void {
  describe(`${name}: who watches, and asks then who is there`, () => {
    it.each([0, 1, 2, 3])('has missed nobody, when %i come in between', async (between) => {
      const [here, there] = await make();
      await there.enter('a', member('before'));
      // None of these is waited for before the next is asked for: whatever comes between them comes between them.
      const watched = watching(here);
      const meanwhile = upTo(between).map((i) => there.enter('a', member(`${i}`)));
      const eye = await watched;
      const asked = here.list('a');
      const after = there.enter('a', member('after'));
      const known = new Set((await asked).map(({ id }) => id));
      await Promise.all([...meanwhile, after]);
      const all = () => new Set([...known, ...eye.seen.flatMap(({ set }) => (set ? set.id : []))]);
      // What is left out never comes.
      while (all().size < between + 2) await eye.until(eye.seen.length + 1);
      expect(all()).toEqual(new Set(['before', 'after', ...upTo(between).map(String)]));
    });

    it('knows in the end what the list says, whoever came and went on whichever server', async () => {
      const step = fc.record({ server: fc.nat(1), id: fc.nat(3), comes: fc.boolean() });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const servers = await make();
          const eye = await watching(servers[1]);
          const model = new Map<string, Member>();
          let changes = 0;
          for (const [i, { server, id, comes }] of steps.entries()) {
            const each = member(`${server}.${id}`, i); // a member belongs to one server
            if (comes) await servers[server]?.enter('a', each);
            else await servers[server]?.leave('a', each.id);
            if (comes || model.has(each.id)) changes++;
            if (comes) model.set(each.id, each);
            else model.delete(each.id);
            expect(byId((await servers[i % 2]?.list('a')) ?? [])).toEqual(byId(model.values()));
          }
          await eye.until(changes);
          expect(eye.seen).toHaveLength(changes);
          const known = new Map<string, Member>();
          for (const { set, gone } of eye.seen) {
            if (set) known.set(set.id, set);
            else known.delete(gone);
          }
          expect(known).toEqual(model);
        }),
        { numRuns: 100 },
      );
    });
  });
}
