/** The broker in memory: what every broker does, and what only this one promises: all at once, within bounds. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type {
  Begun,
  Broker,
  BrokerMessage,
  MemberChange,
  Members,
  Missed,
  Outcome,
  Position,
  Publication,
} from '../../src/server/broker.ts';
import { MemoryBroker, type MemoryBrokerOptions } from '../../src/server/memory-broker.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { brokerContract, type Setting } from './broker-contract.ts';

/** Calls a listener a moment later, unless it has stopped; what it throws harms nobody. */
function distant<T>(listen: (listener: (heard: T) => void) => (() => void) | Promise<() => void>) {
  return async (listener: (heard: T) => void): Promise<() => void> => {
    await undefined;
    let isStopped = false;
    const stop = await listen(async (heard) => {
      await undefined;
      if (isStopped) return;
      try {
        listener(heard);
      } catch {
        // It harms nobody.
      }
    });
    return () => {
      isStopped = true;
      stop();
    };
  };
}

/** Who is there, as another server on that store has it. */
function distantMembers(store: Members): Members {
  return {
    enter: async (channel, member) => {
      await undefined;
      await store.enter(channel, member);
    },
    leave: async (channel, id) => {
      await undefined;
      await store.leave(channel, id);
    },
    list: async (channel) => {
      await undefined;
      return store.list(channel);
    },
    watch: (channel, listener) => distant<MemberChange>((heard) => store.watch(channel, heard))(listener),
  };
}

/** A broker of another server on a store that is not here: every answer comes later, and so does every message. */
class DistantBroker implements Broker {
  readonly members: Members;
  readonly #store: Broker;

  constructor(store: MemoryBroker) {
    this.#store = store;
    this.members = distantMembers(store.members);
  }

  get idempotency(): number {
    return this.#store.idempotency;
  }

  subscribe(channel: string, listener: (message: BrokerMessage) => void): Promise<() => void> {
    return distant<BrokerMessage>((heard) => this.#store.subscribe(channel, heard))(listener);
  }

  async publish(channel: string, publication: Publication): Promise<Position | undefined> {
    await undefined;
    return this.#store.publish(channel, publication);
  }

  async history(channel: string, since?: Position): Promise<Missed> {
    await undefined;
    return this.#store.history(channel, since);
  }

  async begin(key: string, fingerprint: string): Promise<Begun> {
    await undefined;
    return this.#store.begin(key, fingerprint);
  }

  async finish(key: string, outcome: Outcome): Promise<void> {
    await undefined;
    await this.#store.finish(key, outcome);
  }

  async forget(key: string): Promise<void> {
    await undefined;
    await this.#store.forget(key);
  }
}

function store({ size, keeps }: Setting): MemoryBroker {
  return new MemoryBroker({ history: (channel) => keeps(channel) && { size }, onerror: () => {}, clock: new FakeClock() });
}

brokerContract('a broker in memory', (setting) => {
  const broker = store(setting);
  return [broker, broker];
});

brokerContract('brokers at a distance', (setting) => {
  const shared = store(setting);
  return [new DistantBroker(shared), new DistantBroker(shared)];
});

function memory(options: MemoryBrokerOptions = {}) {
  const clock = new FakeClock();
  const broker = new MemoryBroker({ clock, createId: () => 'id', ...options });
  const publish = (channel: string, payload = '1') => broker.publish(channel, { payload });
  const missed = (channel: string, since: Position) => broker.history(channel, since).missed?.map(({ payload }) => payload);
  return { clock, broker, publish, missed };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a broker in memory', () => {
  it('answers at once, and has told every listener when publish returns', () => {
    const { broker, missed } = memory();
    const told: unknown[] = [];
    const stop = broker.subscribe('a', ({ payload }) => told.push(payload));
    const position = broker.publish('a', { payload: '1' });
    expect([told, position?.offset]).toEqual([['1'], 1]);
    expect(missed('a', { epoch: position?.epoch ?? '', offset: 0 })).toEqual(['1']);
    expect(broker.begin('k', 'f')).toEqual({ status: 'new' });
    broker.finish('k', { payload: '1' });
    expect(broker.begin('k', 'f')).toEqual({ status: 'done', outcome: { payload: '1' } });
    stop();
  });

  it('answers a listener that publishes with the position at once, and tells it before the first publish returns', () => {
    const { broker } = memory();
    const order: unknown[] = [];
    broker.subscribe('a', ({ payload, offset }) => {
      order.push(`first hears ${payload}`);
      if (offset === 1) order.push(broker.publish('a', { payload: '2' })?.offset);
    });
    broker.subscribe('a', ({ payload }) => order.push(`second hears ${payload}`));
    const position = broker.publish('a', { payload: '1' });
    expect(order).toEqual(['first hears 1', 2, 'second hears 1', 'first hears 2', 'second hears 2']);
    expect(position?.offset).toBe(1);
  });

  it('does not tell who subscribes in between of what was published before', () => {
    const { broker } = memory();
    const heard: unknown[] = [];
    broker.subscribe('a', ({ offset }) => {
      if (offset !== 1) return;
      broker.publish('a', { payload: '2' });
      broker.subscribe('a', ({ payload }) => heard.push(payload));
      broker.publish('a', { payload: '3' });
    });
    broker.publish('a', { payload: '1' });
    expect(heard).toEqual(['3']);
  });

  it('hands messages through a long line of channels without running out of stack', () => {
    const { broker, publish } = memory();
    let told = 0;
    for (let i = 0; i < 20_000; i++)
      broker.subscribe(`c${i}`, () => {
        told++;
        publish(`c${i + 1}`);
      });
    publish('c0');
    expect(told).toBe(20_000);
  }, 30_000);

  it('sets no timer', () => {
    const { broker, clock, publish } = memory();
    broker.subscribe('a', () => {});
    publish('a');
    broker.begin('k', 'f');
    broker.finish('k', {});
    expect(clock.pending).toBe(0);
  });

  it('has epochs that begin with the id, or with 128 random bits', () => {
    expect(memory().broker.history('a').position?.epoch).toMatch(/^id\b/);
    const epochs = [new MemoryBroker(), new MemoryBroker()].map((broker) => broker.history('a').position?.epoch);
    for (const epoch of epochs) expect(epoch).toMatch(/^[0-9a-f]{32}\b/);
    expect(epochs[0]).not.toBe(epochs[1]);
  });

  it('keeps 100 messages of a channel for five minutes, and outcomes for as long', () => {
    const { clock, broker, publish, missed } = memory();
    const [first, second] = [publish('a'), publish('a')] as Position[];
    for (let i = 3; i <= 102; i++) publish('a');
    expect([missed('a', first as Position), missed('a', second as Position)?.length]).toEqual([undefined, 100]);
    broker.begin('k', 'f');
    broker.finish('k', {});
    clock.jump(299_999);
    expect([missed('a', second as Position)?.length, broker.begin('k', 'f').status]).toEqual([100, 'done']);
    clock.jump(1);
    expect([missed('a', second as Position), broker.begin('k', 'f').status]).toEqual([undefined, 'new']);
    expect(broker.idempotency).toBe(300_000);
  });

  it('keeps 1 MiB of a channel and 64 MiB of all', () => {
    const { broker, publish, missed } = memory();
    const half = { payload: new Uint8Array(512 * 1_024 - 256) };
    const positions = Array.from('123', () => broker.publish('a', half)) as Position[];
    expect(positions.map((position) => missed('a', position)?.length)).toEqual([2, 1, 0]);
    publish('a', 'x');
    expect(missed('a', positions[0] as Position)).toBeUndefined();
    for (let i = 0; i < 200; i++) broker.publish(`c${i}`, half);
    expect(broker.channels).toBe(127); // each has half a MiB and its name
    expect(broker.historyBytes).toBeLessThanOrEqual(64 * 1_024 * 1_024);
    expect(missed('a', positions[2] as Position)).toBeUndefined();
  });

  it('keeps one message each of ten thousand channels, and the positions of their subscribers', () => {
    const { broker, publish, missed } = memory();
    const names = Array.from({ length: 10_000 }, (_, i) => `channel:${i}`);
    const starts = names.map((name) => broker.history(name).position as Position);
    const stops = names.map((name) => broker.subscribe(name, () => {}));
    expect(broker.historyBytes).toBe(0);
    for (const name of names) publish(name, JSON.stringify(name));
    expect(names.map((name, i) => missed(name, starts[i] as Position))).toEqual(names.map((name) => [JSON.stringify(name)]));
    expect(broker.channels).toBe(10_000);
    expect(broker.historyBytes).toBeLessThan(10_000 * 1_024);
    for (const stop of stops) stop();
    expect(broker.channels).toBe(10_000);
  }, 30_000);

  it('remembers a hundred thousand executions in 32 MiB, and gives up the oldest of more', () => {
    const { broker } = memory();
    for (let i = 0; i < 70_000; i++) {
      broker.begin(`${100_000 + i}`, '');
      broker.finish(`${100_000 + i}`, {});
    }
    expect(broker.executions).toBe(Math.floor((32 * 1_024 * 1_024) / (512 + 6)));
    const many = new MemoryBroker({ idempotency: { bytes: Infinity } });
    for (let i = 0; i < 100_001; i++) {
      many.begin(`k${i}`, '');
      many.finish(`k${i}`, {});
    }
    expect([many.executions, many.begin('k1', '').status, many.begin('k0', '').status]).toEqual([100_000, 'done', 'new']);
  }, 30_000);

  it('holds nothing of a channel that nobody listens to and that keeps nothing', () => {
    const { broker, publish } = memory({ history: false });
    const stop = broker.subscribe('a', () => {});
    stop();
    expect(publish('a')).toBeUndefined();
    expect([broker.channels, broker.historyBytes]).toEqual([0, 0]);
  });

  it('takes no more memory for all that it has let go of', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const { broker, publish } = memory({ history: { size: 3 }, historyBytes: 100_000, idempotency: { capacity: 100 } });
    const used = () => {
      gc();
      return process.memoryUsage().heapUsed;
    };
    const before = used();
    for (let i = 0; i < 50_000; i++) {
      publish(`c${i}`);
      broker.subscribe(`s${i}`, () => {})();
      broker.begin(`k${i}`, '');
      broker.finish(`k${i}`, {});
    }
    for (let i = 0; i < 500_000; i++) publish('one'); // 4 MB, were it one pointer for each
    expect(used() - before).toBeLessThan(2_000_000);
    expect(broker.channels).toBeGreaterThan(100); // which lives until here
  }, 30_000);

  it('keeps the position while the last of several listeners is there', () => {
    const { broker, publish, missed } = memory({ historyBytes: 1_000 });
    const [first, second] = [broker.subscribe('a', () => {}), broker.subscribe('a', () => {})];
    const position = publish('a') as Position;
    first();
    first();
    publish('b', 'x'.repeat(200));
    expect(missed('a', position)).toEqual([]);
    second();
    publish('b', 'x'.repeat(200));
    expect(missed('a', position)).toBeUndefined();
  });
});

describe('a listener that throws', () => {
  it('is reported, and harms neither the others nor the next message', () => {
    const onerror = vi.fn();
    const { broker, publish } = memory({ onerror });
    const heard: unknown[] = [];
    const failure = new Error('no');
    broker.subscribe('a', () => {
      throw failure;
    });
    broker.subscribe('a', ({ offset }) => heard.push(offset));
    publish('a');
    publish('a');
    expect(heard).toEqual([1, 2]);
    expect(onerror.mock.calls).toEqual(Array(2).fill([failure, 'a listener of the broker']));
  });

  it('is written to the console where nobody is told, and where that fails too', () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const failing = vi.fn(() => {
      throw new Error('worse');
    });
    for (const options of [{}, { onerror: failing }]) {
      const { broker, publish } = memory(options);
      broker.subscribe('a', () => {
        throw new Error('no');
      });
      publish('a');
      publish('a');
    }
    expect(failing).toHaveBeenCalledTimes(2);
    const said = error.mock.calls.map(([what, { message }]) => `${what} ${message}`);
    const [listener, reporter] = ['Holdfast: a listener of the broker failed: no', 'Holdfast: onerror failed: worse'];
    expect(said).toEqual([listener, listener, reporter, listener, reporter, listener]);
  });
});

describe('the options', () => {
  it('say what is kept of each channel', () => {
    const asked: string[] = [];
    const { publish, missed } = memory({
      history: (channel) => {
        asked.push(channel);
        return channel === 'none' ? undefined : channel === 'off' ? false : channel === 'one' ? { size: 1 } : {};
      },
    });
    for (const channel of ['none', 'off']) expect(publish(channel)).toBeUndefined();
    const [one, all] = ['one', 'all'].map((channel) => [publish(channel), publish(channel), publish(channel)] as Position[]);
    expect(one?.map((position) => missed('one', position)?.length)).toEqual([undefined, 1, 0]);
    expect(all?.map((position) => missed('all', position)?.length)).toEqual([2, 1, 0]);
    expect(asked).toEqual(['none', 'off', 'one', 'all']); // once for as long as it is kept
  });

  it('may be the same for every channel', () => {
    const { clock, publish, missed } = memory({ history: { size: 2, bytes: 256 + 10, ttl: 10 } });
    const [first, second] = [publish('a', 'x'.repeat(10)), publish('a', '')] as Position[];
    expect(missed('a', first as Position)).toEqual(['']);
    publish('a', 'x');
    expect([missed('a', first as Position), missed('a', second as Position)]).toEqual([undefined, ['x']]);
    clock.jump(10);
    expect(missed('a', second as Position)).toBeUndefined();
  });

  it.each<[unknown, string]>([
    [{ history: 5 }, `Option "history" got 5; it takes an object, a function or false`],
    [{ history: true }, `Option "history" got true; it takes an object, a function or false`],
    [{ history: null }, `Option "history" got null; it takes an object, a function or false`],
    [{ history: { size: 0 } }, `Option "history.size" got 0; it takes a whole number, 1 or more, or Infinity`],
    [{ history: { size: 1.5 } }, `Option "history.size" got 1.5; it takes a whole number, 1 or more, or Infinity`],
    [{ history: { size: '5' } }, `Option "history.size" got '5'; it takes a whole number, 1 or more, or Infinity`],
    [{ history: { bytes: -1 } }, `Option "history.bytes" got -1; it takes bytes, 0 or more`],
    [{ history: { ttl: 0 } }, `Option "history.ttl" got 0; it takes milliseconds, 1 or more`],
    [{ history: { ttl: Number.NaN } }, `Option "history.ttl" got NaN; it takes milliseconds, 1 or more`],
    [{ historyBytes: -1 }, `Option "historyBytes" got -1; it takes bytes, 0 or more`],
    [{ idempotency: false }, `Option "idempotency" got false; it takes an object`],
    [{ idempotency: { ttl: Infinity } }, `Option "idempotency.ttl" got Infinity; it takes a whole number of milliseconds`],
    [{ idempotency: { ttl: -1 } }, `Option "idempotency.ttl" got -1; it takes a whole number of milliseconds`],
    [{ idempotency: { ttl: 0.5 } }, `Option "idempotency.ttl" got 0.5; it takes a whole number of milliseconds`],
    [{ idempotency: { capacity: 0 } }, `Option "idempotency.capacity" got 0; it takes a whole number, 1 or more, or Infinity`],
    [{ idempotency: { bytes: 'many' } }, `Option "idempotency.bytes" got 'many'; it takes bytes, 0 or more`],
    [{ createId: 'id' }, `Option "createId" got 'id'; it takes a function`],
    [{ createId: () => 5 }, 'createId returned 5; it returns a string'],
    [{ onerror: 1 }, `Option "onerror" got 1; it takes a function`],
    [{ clock: {} }, `Option "clock" got an object; it takes an object with now, wall, setTimeout, clearTimeout`],
  ])('that are wrong are refused: %j', (options, message) => {
    expect(() => new MemoryBroker(options as MemoryBrokerOptions)).toThrow(new TypeError(message));
  });

  it.each<[unknown, string]>([
    [5, 'Option "history(channel)" got 5; it takes an object'],
    [null, 'Option "history(channel)" got null; it takes an object'],
    [true, 'Option "history(channel)" got true; it takes an object'],
    [{ size: 0 }, 'Option "history(channel).size" got 0; it takes a whole number, 1 or more, or Infinity'],
    [{ ttl: 0 }, 'Option "history(channel).ttl" got 0; it takes milliseconds, 1 or more'],
  ])('a function that answers %j is told where it is asked, and nothing has happened', (answer, message) => {
    const heard: unknown[] = [];
    let said: unknown;
    const { broker, publish } = memory({ history: () => said as undefined });
    const stop = broker.subscribe('a', (each) => heard.push(each));
    said = answer;
    for (const ask of [() => publish('a'), () => broker.history('a'), () => broker.subscribe('b', () => {})])
      expect(ask).toThrow(new TypeError(message));
    expect([heard, broker.channels]).toEqual([[], 0]);
    stop();
  });

  it('that are not known are a warning, once', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    memory({ history: { length: 5 }, idempotency: { size: 5 }, size: 5 } as MemoryBrokerOptions);
    expect(warn.mock.calls).toEqual([['Holdfast does not know the option "size", "idempotency.size", "history.length"; it is ignored']]);
  });

  it('may be as large as can be, or nothing at all', () => {
    const most = { size: Infinity, bytes: Infinity, ttl: Infinity };
    const large = memory({ history: most, historyBytes: Infinity, idempotency: { ttl: 2 ** 53 - 1, capacity: Infinity, bytes: Infinity } });
    expect([large.publish('a')?.offset, large.broker.begin('k', '').status]).toEqual([1, 'new']);
    const small = memory({ history: { size: 1, bytes: 0, ttl: 1 }, historyBytes: 0, idempotency: { ttl: 0, capacity: 1, bytes: 0 } });
    expect([small.publish('a')?.offset, small.broker.begin('k', '').status]).toEqual([1, 'full']);
  });

  it('that are undefined are the defaults', () => {
    const { broker, publish } = memory({ history: undefined, idempotency: { ttl: undefined } } as unknown as MemoryBrokerOptions);
    expect([publish('a')?.offset, broker.idempotency]).toEqual([1, 300_000]);
  });
});
