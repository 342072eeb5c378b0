/** What every broker has to do, whatever stands behind it. Nothing here waits for time to pass: each test waits for what is to come. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Begun, Broker, BrokerMessage, Members, Outcome, Position } from '../../src/server/broker.ts';
import { membersContract } from './members-contract.ts';

/** How a broker has to be set up for the contract. */
export interface Setting {
  /** Messages that are kept of a channel. */
  readonly size: number;
  /**
   * Whether a channel keeps a history.
   *
   * @param channel its name
   */
  keeps(channel: string): boolean;
}

/** The brokers of two servers that share everything: two of them on one store, or one in both places. */
export type Servers = readonly [Broker, Broker];

const SIZE = 5;
/** Has no history; every other channel has. */
const PLAIN = 'plain';
const NASTY = ['__proto__', 'constructor', 'hasOwnProperty', '', ' ', 'a:b', 'a*', '[a]', '\u0000', 'é𝒳', '{x}'];
const setting: Setting = { size: SIZE, keeps: (channel) => channel !== PLAIN };

/** Listens, and knows when so many messages have come. */
class Ear {
  readonly heard: BrokerMessage[] = [];
  /** What else is done with each message. */
  also: ((message: BrokerMessage) => unknown) | undefined;
  losses = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly listener = (message: BrokerMessage): void => {
    this.heard.push(message);
    for (const { resolve } of this.#waiting.filter(({ count }) => count <= this.heard.length)) resolve();
    this.also?.(message);
  };

  readonly lost = (): void => {
    this.losses++;
  };

  get payloads(): unknown[] {
    return this.heard.map(({ payload }) => payload);
  }

  get offsets(): unknown[] {
    return this.heard.map(({ offset }) => offset);
  }

  until(count: number): Promise<void> {
    if (this.heard.length >= count) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push({ count, resolve }));
  }
}

async function listening(broker: Broker, channel: string): Promise<Ear & { stop: () => void }> {
  const ear = new Ear();
  const stop = await broker.subscribe(channel, ear.listener, ear.lost);
  return Object.assign(ear, { stop });
}

/** Publishes, one after the other has been answered. */
async function publish(broker: Broker, channel: string, ...payloads: string[]): Promise<(Position | undefined)[]> {
  const positions: (Position | undefined)[] = [];
  for (const payload of payloads) positions.push(await broker.publish(channel, { payload }));
  return positions;
}

async function positionOf(broker: Broker, channel: string): Promise<Position> {
  const { position } = await broker.history(channel);
  if (!position) throw new Error(`${channel} has no position`);
  return position;
}

async function missedSince(broker: Broker, channel: string, since: Position): Promise<unknown[] | undefined> {
  const { missed } = await broker.history(channel, since);
  return missed?.map(({ payload }) => payload);
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** Who is there, as a broker keeps it that offers presence. */
function membersOf({ members }: Broker): Members {
  if (!members) throw new Error('it has no members');
  return members;
}

/**
 * Tests of a broker that offers presence.
 *
 * @param name of the broker, for the names of the tests
 * @param makeServers makes the brokers of two servers, with nothing published or begun, and nobody there
 */
export function brokerContract(name: string, makeServers: (setting: Setting) => Servers | Promise<Servers>): void {
  const make = async () => makeServers(setting);
  publishing(name, make);
  listeners(name, make);
  histories(name, make);
  joining(name, make);
  executions(name, make);
  membersContract(name, async () => {
    const [here, there] = await make();
    return [membersOf(here), membersOf(there)];
  });
}

type Make = () => Promise<Servers>;

function publishing(name: string, make: Make): void {
  describe(`${name}: publishing`, () => {
    it('reaches every listener on every server, in order, as it was published', async () => {
      const [here, there] = await make();
      const ears = [await listening(here, 'a'), await listening(here, 'a'), await listening(there, 'a')];
      await here.publish('a', { payload: '"é"', from: 'ida' });
      await there.publish('a', { payload: new Uint8Array([0, 255, 7]) });
      await here.publish('a', { payload: 'null', from: '' });
      for (const ear of ears) {
        await ear.until(3);
        expect(ear.heard.map(({ payload, from, offset }) => ({ payload, from, offset }))).toEqual([
          { payload: '"é"', from: 'ida', offset: 1 },
          { payload: new Uint8Array([0, 255, 7]), from: undefined, offset: 2 },
          { payload: 'null', from: '', offset: 3 },
        ]);
        expect(ear.losses).toBe(0);
      }
    });

    it('answers with the position of the message, which comes with it to those who listen', async () => {
      const [here, there] = await make();
      const ear = await listening(there, 'a');
      const positions = await publish(here, 'a', '1', '2');
      await ear.until(2);
      expect(positions.map((position) => position?.offset)).toEqual([1, 2]);
      expect(ear.heard.map(({ epoch, offset }) => ({ epoch, offset }))).toEqual(positions);
      expect(await positionOf(there, 'a')).toEqual(positions[1]);
    });

    it('keeps the order of one who does not wait, and makes one order of two', async () => {
      const [here, there] = await make();
      const ears = [await listening(here, 'a'), await listening(there, 'a')];
      const of = (server: string) => upTo(SIZE).map((i) => `"${server}${i}"`);
      const publishAll = (broker: Broker, payloads: string[]) => payloads.map((payload) => broker.publish('a', { payload }));
      await Promise.all([...publishAll(here, of('x')), ...publishAll(there, of('y'))]);
      for (const ear of ears) {
        await ear.until(2 * SIZE);
        expect(ear.offsets).toEqual(upTo(2 * SIZE));
        expect(ear.payloads).toEqual(ears[0]?.payloads);
        for (const server of ['x', 'y'])
          expect(ear.payloads.filter((payload) => String(payload).startsWith(`"${server}`))).toEqual(of(server));
      }
    });

    it('has no position where no history is kept, and the same order for all nevertheless', async () => {
      const [here, there] = await make();
      const ears = [await listening(here, PLAIN), await listening(there, PLAIN)];
      expect(await Promise.all([...upTo(9)].map((i) => [here, there][i % 2]?.publish(PLAIN, { payload: `${i}` })))).toEqual(
        Array(9).fill(undefined),
      );
      for (const ear of ears) {
        await ear.until(9);
        expect(ear.heard.map(({ epoch, offset }) => [epoch, offset])).toEqual(Array(9).fill([undefined, undefined]));
        expect(ear.payloads).toEqual(ears[0]?.payloads);
      }
    });

    it('keeps channels apart, whatever their names', async () => {
      const [here, there] = await make();
      const ears = new Map<string, Ear>();
      for (const channel of NASTY) ears.set(channel, await listening(here, channel));
      for (const [i, channel] of NASTY.entries())
        expect(await there.publish(channel, { payload: `${i}` })).toEqual({ epoch: expect.any(String), offset: 1 });
      for (const [i, channel] of NASTY.entries()) {
        await ears.get(channel)?.until(1);
        const { missed } = await here.history(channel, { ...(await positionOf(here, channel)), offset: 0 });
        expect(missed?.map(({ payload }) => payload)).toEqual([`${i}`]);
      }
      expect([...ears.values()].map(({ payloads }) => payloads)).toEqual(NASTY.map((_, i) => [`${i}`]));
    });
  });
}

function listeners(name: string, make: Make): void {
  describe(`${name}: listeners`, () => {
    it('hear nothing from before they came, nor after they have stopped', async () => {
      const [here, there] = await make();
      const other = await listening(here, 'a');
      await publish(there, 'a', '1');
      await other.until(1);
      const ear = await listening(here, 'a');
      await publish(there, 'a', '2');
      await Promise.all([other.until(2), ear.until(1)]);
      ear.stop();
      await publish(there, 'a', '3');
      await other.until(3);
      expect([ear.payloads, other.payloads]).toEqual([['2'], ['1', '2', '3']]);
    });

    it('stop once each, even the same function twice', async () => {
      const [here] = await make();
      const ear = new Ear();
      const [first, other] = [await here.subscribe('a', ear.listener), await here.subscribe('a', ear.listener)];
      await publish(here, 'a', '1');
      await ear.until(2);
      first();
      first();
      await publish(here, 'a', '2');
      await ear.until(3);
      other();
      const last = await listening(here, 'a');
      await publish(here, 'a', '3');
      await last.until(1);
      expect(ear.payloads).toEqual(['1', '1', '2']);
    });

    it('may stop themselves and each other while they are told', async () => {
      const [here] = await make();
      const first = await listening(here, 'a');
      const second = await listening(here, 'a');
      const last = await listening(here, 'a');
      first.also = () => {
        first.stop();
        second.stop();
      };
      await publish(here, 'a', '1', '2');
      await last.until(2);
      expect([first.payloads, second.payloads, last.payloads]).toEqual([['1'], [], ['1', '2']]);
    });

    it('may subscribe while they are told: the new one hears what is published after that', async () => {
      const [here] = await make();
      const ear = await listening(here, 'a');
      let late: Promise<Ear> | undefined;
      ear.also = () => {
        late ??= listening(here, 'a');
      };
      await publish(here, 'a', '1');
      await ear.until(1);
      const other = await late;
      await publish(here, 'a', '2');
      await other?.until(1);
      expect(other?.payloads).toEqual(['2']);
    });

    it.each(['a', PLAIN])('may publish while they are told: on %s all hear it after what came before', async (channel) => {
      const [here, there] = await make();
      const first = await listening(here, channel);
      const ears = [first, await listening(here, channel), await listening(there, channel)];
      first.also = ({ payload }) => {
        if (Number(payload) < 4) void here.publish(channel, { payload: `${Number(payload) + 1}` });
      };
      await publish(here, channel, '1');
      for (const ear of ears) {
        await ear.until(4);
        expect(ear.payloads).toEqual(['1', '2', '3', '4']);
      }
    });

    it('may pass it on to another channel and back', async () => {
      const [here, there] = await make();
      const [a, b] = [await listening(here, 'a'), await listening(there, 'b')];
      a.also = ({ payload }) => void here.publish('b', { payload });
      b.also = ({ payload }) => Number(payload) < 3 && void there.publish('a', { payload: `${Number(payload) + 1}` });
      await publish(here, 'a', '1');
      await Promise.all([a.until(3), b.until(3)]);
      expect([a.payloads, b.payloads]).toEqual([Array.from('123'), Array.from('123')]);
    });

    it('that throw harm nobody', async () => {
      const [here] = await make();
      const bad = await listening(here, 'a');
      const good = await listening(here, 'a');
      bad.also = () => {
        throw new Error('bad listener');
      };
      expect(await publish(here, 'a', '1', '2')).toMatchObject([{ offset: 1 }, { offset: 2 }]);
      await Promise.all([bad.until(2), good.until(2)]);
      expect([bad.payloads, good.payloads]).toEqual([Array.from('12'), Array.from('12')]);
    });
  });
}

function histories(name: string, make: Make): void {
  describe(`${name}: a history`, () => {
    it('begins at 0, in an epoch of its own that does not change by asking', async () => {
      const [here, there] = await make();
      const position = await positionOf(here, 'a');
      expect(position).toEqual({ epoch: expect.stringMatching(/./), offset: 0 });
      expect(await positionOf(there, 'a')).toEqual(position);
      expect(await missedSince(there, 'a', position)).toEqual([]);
      const [first] = await publish(there, 'a', '1');
      expect(first).toEqual({ ...position, offset: 1 });
      expect(await missedSince(here, 'a', position)).toEqual(['1']);
    });

    it('tells only the position where nothing is asked about', async () => {
      const [here] = await make();
      const [position] = await publish(here, 'a', '1');
      expect(await here.history('a')).toEqual({ position, missed: undefined });
    });

    it('tells all that came after a position, as it was published', async () => {
      const [here, there] = await make();
      const start = await positionOf(here, 'a');
      const message = { payload: new Uint8Array([1, 0xff]), from: 'ida' };
      const position = await there.publish('a', message);
      expect(await here.history('a', start)).toEqual({ position, missed: [{ ...message, ...position }] });
    });

    it('tells all or nothing: what lies before the oldest that is kept cannot be recovered', async () => {
      const [here, there] = await make();
      const start = await positionOf(here, 'a');
      const positions = [start, ...(await publish(here, 'a', ...upTo(SIZE + 2).map(String)))] as Position[];
      const last = positions.at(-1);
      for (const [i, position] of positions.entries()) {
        const missed = upTo(SIZE + 2)
          .slice(i)
          .map(String);
        expect((await there.history('a', position)).position).toEqual(last);
        expect(await missedSince(there, 'a', position)).toEqual(missed.length > SIZE ? undefined : missed);
      }
    });

    it('does not know positions that it has never given', async () => {
      const [here] = await make();
      await publish(here, 'a', '1', '2', '3');
      const position = await positionOf(here, 'a');
      const offsets = [4, 2 ** 53 - 1, 2 ** 53, -1, -(2 ** 53), 1.5, Number.NaN, Infinity, -Infinity, '3', null, undefined] as number[];
      const rubbish = [
        ...offsets.map((offset) => ({ ...position, offset })),
        ...['', 'another', `${position.epoch}0`, undefined as unknown as string].map((epoch) => ({ ...position, epoch })),
        ...['another', ''].map((epoch) => ({ epoch, offset: 0 })),
      ];
      for (const since of rubbish) expect([since, await here.history('a', since)]).toEqual([since, { position, missed: undefined }]);
      expect(await missedSince(here, 'a', position)).toEqual([]);
    });

    it('is not there for a channel that keeps none', async () => {
      const [here] = await make();
      await publish(here, PLAIN, '1');
      const nothing = { position: undefined, missed: undefined };
      expect(await here.history(PLAIN)).toEqual(nothing);
      expect(await here.history(PLAIN, { epoch: 'any', offset: 0 })).toEqual(nothing);
    });

    it('does not change when its answers are', async () => {
      const [here] = await make();
      const start = await positionOf(here, 'a');
      await publish(here, 'a', '1', '2');
      const { missed } = await here.history('a', start);
      (missed as BrokerMessage[]).length = 0;
      expect(await missedSince(here, 'a', start)).toEqual(['1', '2']);
    });

    it('is that of all that was published, on any server, on any channel', async () => {
      const step = fc.record({
        server: fc.nat(1),
        channel: fc.constantFrom('a', 'b', '__proto__'),
        publishes: fc.boolean(),
        back: fc.nat(8),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const servers = await make();
          const published = new Map<string, string[]>();
          for (const [i, { server, channel, publishes, back }] of steps.entries()) {
            const broker = servers[server] as Broker;
            const all = published.get(channel) ?? [];
            published.set(channel, all);
            if (publishes) {
              all.push(`${i}`);
              expect((await broker.publish(channel, { payload: `${i}` }))?.offset).toBe(all.length);
            }
            const { epoch, offset } = await positionOf(broker, channel);
            expect(offset).toBe(all.length);
            const kept = back <= Math.min(SIZE, all.length);
            expect(await missedSince(broker, channel, { epoch, offset: offset - back })).toEqual(
              kept ? all.slice(all.length - back) : undefined,
            );
          }
        }),
        { numRuns: 50 },
      );
    }, 30_000);
  });
}

function joining(name: string, make: Make): void {
  describe(`${name}: joining`, () => {
    it.each([0, 1, 2, 3])(
      'leaves nothing out and doubles nothing, when %i messages come between subscribe and history',
      async (between) => {
        const [here, there] = await make();
        const [since] = (await publish(there, 'a', '1', '2')) as Position[];
        // None of these is waited for before the next is asked for: whatever comes between them comes between them.
        const subscribed = listening(here, 'a');
        const meanwhile = upTo(between).map((i) => there.publish('a', { payload: `${2 + i}` }));
        const ear = await subscribed;
        const asked = here.history('a', since);
        const after = there.publish('a', { payload: '"after"' });
        const { position, missed } = await asked;
        await Promise.all([...meanwhile, after]);
        const told = missed?.map(({ payload }) => payload) ?? [];
        const isNew = ({ offset = 0 }: BrokerMessage) => offset > (position?.offset ?? 0);
        const live = () => ear.heard.filter(isNew).map(({ payload }) => payload);
        // Whoever listens waits for the rest; what is left out never comes.
        while (told.length + live().length < between + 2) await ear.until(ear.heard.length + 1);
        expect([...told, ...live()]).toEqual(['2', ...upTo(between).map((i) => `${2 + i}`), '"after"']);
      },
    );
  });
}

function executions(name: string, make: Make): void {
  const outcomes: Outcome[] = [
    { payload: '{"a":1}' },
    { payload: new Uint8Array([255, 0]) },
    {},
    { error: { code: 'NOT_FOUND', message: 'no', data: { a: [null] }, retryAfter: 5 } },
  ];

  describe(`${name}: an execution`, () => {
    it('is told about for a whole number of milliseconds', async () => {
      for (const { idempotency } of await make()) expect(Number.isSafeInteger(idempotency) && idempotency >= 0).toBe(true);
    });

    it.each(outcomes)('is begun once, and remembered: %j', async (outcome) => {
      const [here, there] = await make();
      expect(await here.begin('k', 'f')).toEqual({ status: 'new' });
      await here.finish('k', outcome);
      for (const broker of [here, there, here]) expect(await broker.begin('k', 'f')).toEqual({ status: 'done', outcome });
    });

    it.each(outcomes)('is joined by all who ask while it runs, and they are told: %j', async (outcome) => {
      const servers = await make();
      const all = await Promise.all([...servers, ...servers, ...servers].map((broker) => broker.begin('k', 'f')));
      expect(all.map(({ status }) => status).sort()).toEqual(['new', ...Array(5).fill('running')]);
      const runner = servers[all.findIndex(({ status }) => status === 'new') % 2] as Broker;
      await runner.finish('k', outcome);
      expect(await Promise.all(all.map(told))).toEqual([undefined, ...Array(5).fill(outcome)]);
    });

    it('is in conflict with anything else of its key, while it runs and when it is done', async () => {
      const [here, there] = await make();
      await here.begin('k', 'f');
      expect(await there.begin('k', 'g')).toEqual({ status: 'conflict' });
      expect((await there.begin('k', 'f')).status).toBe('running');
      await here.finish('k', { payload: '1' });
      expect(await there.begin('k', '')).toEqual({ status: 'conflict' });
      expect(await there.begin('k', 'f')).toEqual({ status: 'done', outcome: { payload: '1' } });
    });

    it('that is forgotten tells those who wait, and runs anew for one of them, as something else perhaps', async () => {
      const [here, there] = await make();
      await here.begin('k', 'f');
      const joined = [await here.begin('k', 'f'), await there.begin('k', 'f')];
      await here.forget('k');
      expect(await Promise.all(joined.map(told))).toEqual([undefined, undefined]);
      expect(await there.begin('k', 'g')).toEqual({ status: 'new' });
      expect((await here.begin('k', 'g')).status).toBe('running');
      await there.finish('k', { payload: '2' });
      expect(await here.begin('k', 'g')).toEqual({ status: 'done', outcome: { payload: '2' } });
    });

    it('that is done is not forgotten', async () => {
      const [here] = await make();
      await here.begin('k', 'f');
      await here.finish('k', { payload: '1' });
      await here.forget('k');
      expect(await here.begin('k', 'f')).toEqual({ status: 'done', outcome: { payload: '1' } });
    });

    it('that was not begun is not finished, and one that is done not again', async () => {
      const [here] = await make();
      await here.finish('k', { payload: '1' });
      await here.forget('l');
      expect([await here.begin('k', 'f'), await here.begin('l', 'f')]).toEqual([{ status: 'new' }, { status: 'new' }]);
      await here.finish('k', { payload: '2' });
      await here.finish('k', { payload: '3' });
      expect(await here.begin('k', 'f')).toEqual({ status: 'done', outcome: { payload: '2' } });
      await here.forget('l');
      await here.finish('l', { payload: '4' });
      expect(await here.begin('l', 'f')).toEqual({ status: 'new' });
    });

    it('has its key for itself, whatever it is', async () => {
      const [here, there] = await make();
      for (const key of NASTY) expect([key, await here.begin(key, 'f')]).toEqual([key, { status: 'new' }]);
      for (const key of NASTY) await here.finish(key, { payload: JSON.stringify(key) });
      for (const key of NASTY) expect(await there.begin(key, 'f')).toEqual({ status: 'done', outcome: { payload: JSON.stringify(key) } });
    });
  });
}

/** What came of an execution that somebody else ran; undefined where it came to nothing. */
async function told(begun: Begun): Promise<Outcome | undefined> {
  return begun.status === 'running' ? begun.outcome : undefined;
}
