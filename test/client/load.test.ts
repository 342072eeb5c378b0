/** A handler that starts from a snapshot: loaded when the channel is confirmed and after every gap, and no message is missing after it. */

import { describe, expect, it, vi } from 'vitest';
import type { Channel } from '../../src/channel.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import { backoff } from '../../src/core/backoff.ts';
import { CallError } from '../../src/errors.ts';
import type { LoadContext } from '../../src/loader.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { type Pair, pair } from '../support/link.ts';
import { allowed, lose } from './support.ts';

const FORGETFUL = () => ({ broker: new MemoryBroker({ history: false }) });

/** A load that is answered by the test, one snapshot after the other. */
function snapshots() {
  const asked: (LoadContext & { resolve: (loaded?: unknown) => void; reject: (error: unknown) => void })[] = [];
  const load = (context: LoadContext) => new Promise((resolve, reject) => asked.push({ ...context, resolve, reject }));
  const last = () => {
    const question = asked.at(-1);
    if (!question) throw new Error('no snapshot was asked for');
    return question;
  };
  return { asked, load, last, reasons: () => asked.map(({ reason }) => reason) };
}

/** A pair whose client has a handler with a snapshot on `a`; it is confirmed, and the snapshot asked for. */
async function loading(options: ClientOptions = {}, server: HostOptions = {}) {
  const p = pair(options, server);
  const s = snapshots();
  const got: unknown[] = [];
  const channel = p.client.channel('a');
  const subscription = channel.subscribe((data) => got.push(data), { load: s.load });
  await subscription.ready;
  const says = (...data: unknown[]) => {
    for (const each of data) p.host.publish('a', each);
    return p.settle();
  };
  return { p, ...s, got, channel, subscription, says };
}

describe('a snapshot', () => {
  it('is asked for once, when the channel is confirmed, and not before', async () => {
    const p = pair();
    p.reachable = false;
    const s = snapshots();
    const { ready } = p.client.channel('a').subscribe(() => {}, { load: s.load });
    await p.clock.advance(1_000);
    expect(s.asked).toEqual([]);
    p.socket.accept(p.host);
    await ready; // which does not wait for the snapshot
    await p.clock.advance(10_000);
    expect(s.asked).toMatchObject([{ channel: 'a', reason: 'subscribed', signal: { aborted: false } }]);
  });

  it('is asked for at once where the channel is subscribed already', async () => {
    const { channel, asked } = await loading();
    const other = snapshots();
    channel.subscribe(() => {}, { load: other.load });
    expect([other.reasons(), asked.length]).toEqual([['subscribed'], 1]);
  });

  it('holds the messages back until it is there, and then they come, in order', async () => {
    const { p, says, got, last } = await loading();
    await says(1, 2);
    expect(got).toEqual([]);
    last().resolve();
    await says(3);
    expect(got).toEqual([1, 2, 3]);
    await says(4);
    expect([got, p.log]).toEqual([[1, 2, 3, 4], ['open']]);
  });

  it.each([
    ['0', { offset: 0 }, [1, 2, 3]],
    ['2', { offset: 2 }, [3]],
    ['3', { offset: 3 }, []],
    ['more than was ever published', { offset: 9 }, []],
    ['nothing', {}, [1, 2, 3]],
    ['a text', { offset: '2' }, [1, 2, 3]],
    ['no number', { offset: Number.NaN }, [1, 2, 3]],
  ])('that says it knows the channel up to %s spares the handler what it has', async (_what, loaded, expected) => {
    const { says, got, last } = await loading();
    await says(1, 2, 3);
    last().resolve(loaded);
    await says(4);
    expect(got).toEqual([...expected, 4]);
  });

  it.each([undefined, null, 0, 'text', []])('may return %j', async (loaded) => {
    const { says, got, last } = await loading();
    await says(1);
    last().resolve(loaded);
    await says(2);
    expect(got).toEqual([1, 2]);
  });

  it('does not need a history: what has no place is never part of it', async () => {
    const { says, got, last } = await loading({}, FORGETFUL());
    await says(1, 2);
    last().resolve({ offset: 9 });
    await says(3);
    expect(got).toEqual([1, 2, 3]);
  });

  it('may be there at once, or thrown at once', async () => {
    const p = pair();
    const got: unknown[] = [];
    await p.client.channel('a').subscribe((data) => got.push(data), { load: () => ({ offset: 1 }) }).ready;
    for (const data of [1, 2]) p.host.publish('a', data);
    await p.settle();
    expect(got.at(-1)).toBe(2);
    const q = pair();
    const load = vi.fn<() => unknown>(() => {
      throw new CallError('NOT_FOUND');
    });
    await q.client.channel('a').subscribe(() => {}, { load }).ready;
    await q.settle();
    expect([load.mock.calls.length, q.log]).toEqual([1, ['open', 'error NOT_FOUND']]);
  });

  it.each([null, 1, 'load', {}, []])('is fetched by a function, not by %j', async (load) => {
    const { client } = pair({ startClosed: true });
    expect(() => client.channel('a').subscribe(() => {}, { load: load as never })).toThrow(/Option "load" got .* it takes a function/);
    expect(client.channel('a').state.status).toBe('idle');
  });

  it('belongs to its handler: two have two, and a third without one waits for nobody', async () => {
    const { channel, says, got, last } = await loading();
    const other = snapshots();
    const [second, plain]: unknown[][] = [[], []];
    channel.subscribe((data) => second?.push(data), { load: other.load });
    channel.subscribe((data) => plain?.push(data));
    await says(1, 2);
    expect([got, second, plain]).toEqual([[], [], [1, 2]]);
    other.last().resolve({ offset: 1 });
    await says(3);
    expect([got, second, plain]).toEqual([[], [2, 3], [1, 2, 3]]);
    last().resolve();
    await says();
    expect([got, second, plain]).toEqual([
      [1, 2, 3],
      [2, 3],
      [1, 2, 3],
    ]);
  });

  it('says the offset at which it was read by `host.position`, and nothing is doubled or missing', async () => {
    const p: Pair = pair({}, { handlers: { methods: { history: () => read() } } });
    const said: number[] = [];
    const shown: unknown[] = [];
    const read = async () => {
      const [standing, all] = [p.host.position('a'), [...said]]; // in one step
      return { ...(await standing), all };
    };
    const speak = (data: number) => {
      said.push(data);
      p.host.publish('a', data);
    };
    for (const data of [1, 2]) speak(data);
    const load = async () => {
      const { all, offset } = (await p.client.call('history')) as { all: number[]; offset: number };
      shown.push(...all);
      return { offset };
    };
    const subscription = p.client.channel('a').subscribe((data) => shown.push(data), { load });
    for (let i = 3; i < 60; i++) {
      speak(i);
      await Promise.resolve();
    }
    await subscription.ready;
    await p.settle();
    expect(shown).toEqual(said);
  });
});

describe('a gap', () => {
  it('asks for another snapshot, once; a recovery does not', async () => {
    const broker = new MemoryBroker({ history: { size: 2 } });
    const { p, says, got, reasons, last } = await loading({}, { broker });
    last().resolve({ offset: 0 });
    await p.settle();
    p.socket.cut();
    await says(1, 2);
    await lose(p);
    expect([got, reasons()]).toEqual([[1, 2], ['subscribed']]);
    p.socket.cut();
    await says(3, 4, 5);
    await lose(p);
    await says(6);
    expect([got, reasons()]).toEqual([
      [1, 2],
      ['subscribed', 'reconnected'],
    ]);
    last().resolve({ offset: 5 });
    await p.settle();
    expect(got).toEqual([1, 2, 6]);
  });

  it('while one is loaded aborts it, and what it says comes to nothing', async () => {
    const { p, says, got, asked, last } = await loading({}, FORGETFUL());
    await says(1);
    await lose(p);
    await says(2);
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    asked[0]?.resolve();
    await p.settle();
    expect(got).toEqual([]);
    last().resolve();
    await p.settle();
    expect(got).toEqual([2]);
    await p.clock.advance(60_000);
    expect([asked.length, p.log]).toEqual([2, ['open', 'close 1006 again', 'open']]);
  });

  it('does not come of a cut that is recovered while one is loaded: it goes on', async () => {
    const { p, says, got, asked, last } = await loading();
    await says(1);
    p.socket.cut();
    await says(2);
    await lose(p);
    expect([asked.length, last().signal.aborted]).toEqual([1, false]);
    last().resolve({ offset: 1 });
    await p.settle();
    expect(got).toEqual([2]);
  });

  it('of a channel that the server ended asks for another one when it is wanted again', async () => {
    const names = ['a'];
    const { p, says, got, channel, asked, reasons, last } = await loading({}, allowed(names));
    p.socket.deliver(JSON.stringify({ type: 'unsubscribe', channel: 'a', error: { code: 'NOT_FOUND' } }));
    await p.settle();
    expect([channel.state.status, asked[0]?.signal.aborted]).toEqual(['failed', true]);
    asked[0]?.resolve();
    channel.subscribe();
    await p.settle();
    await says(1);
    expect([got, reasons().length]).toEqual([[], 2]);
    last().resolve();
    await says(2);
    expect(got).toEqual([1, 2]);
  });
});

describe('a snapshot that cannot be loaded', () => {
  it('is an error event, and asked for again, later each time; nothing comes before it is there', async () => {
    const { p, says, got, asked, reasons, last } = await loading();
    for (let failures = 1; failures <= 4; failures++) {
      await says(failures);
      last().reject(new CallError('UNAVAILABLE'));
      await p.settle();
      const delay = backoff(failures, 0.5); // the random number of a pair
      await p.clock.advance(delay - 1);
      expect(asked).toHaveLength(failures);
      await p.clock.advance(1);
      expect(asked).toHaveLength(failures + 1);
    }
    expect([got, reasons()]).toEqual([[], Array(5).fill('subscribed')]);
    expect(p.log).toEqual(['open', ...Array(4).fill('error UNAVAILABLE')]);
    last().resolve({ offset: 4 });
    await says(5);
    expect([got, p.clock.pending]).toEqual([[5], 2]); // the heartbeats
  });

  it('with anything but an error is one all the same', async () => {
    const { p, last } = await loading();
    last().reject('no');
    await p.settle();
    expect(p.log).toEqual(['open', 'error Error: no']);
  });

  it('counts from the beginning again once one was there', async () => {
    const { p, asked, last } = await loading({}, FORGETFUL());
    for (let i = 0; i < 3; i++) {
      last().reject(new Error('no'));
      await p.clock.advance(backoff(i + 1, 0.5));
    }
    last().resolve();
    await lose(p);
    const before = asked.length;
    last().reject(new Error('no'));
    await p.clock.advance(backoff(1, 0.5));
    expect(asked).toHaveLength(before + 1);
  });

  it('is not asked for again where a listener of the error event has given up', async () => {
    const { p, asked, subscription, last } = await loading();
    p.client.addEventListener('error', () => subscription.unsubscribe());
    last().reject(new Error('no'));
    await p.clock.advance(60_000);
    expect(asked).toHaveLength(1);
  });
});

describe('nobody wants it any more', () => {
  it.each<[string, (it: { subscription: { unsubscribe(): void }; abort: AbortController }) => void]>([
    ['unsubscribe()', ({ subscription }) => subscription.unsubscribe()],
    ['its signal', ({ abort }) => abort.abort()],
  ])('by %s: it is aborted, and the handler is not called', async (_how, end) => {
    const p = pair();
    const s = snapshots();
    const abort = new AbortController();
    const handler = vi.fn();
    const subscription = p.client.channel('a').subscribe(handler, { load: s.load, signal: abort.signal });
    await subscription.ready;
    p.host.publish('a', 1);
    await p.settle();
    end({ subscription, abort });
    expect(s.last().signal.aborted).toBe(true);
    s.last().resolve();
    await p.clock.advance(60_000);
    expect([handler.mock.calls, s.asked.length]).toEqual([[], 1]);
  });

  it('while it waits to be asked again: it is not', async () => {
    const { p, asked, subscription, last } = await loading();
    last().reject(new Error('no'));
    await p.settle();
    subscription.unsubscribe();
    await p.clock.advance(60_000);
    expect(asked).toHaveLength(1);
  });

  it('in the middle of the messages that waited: the others do not come', async () => {
    const p = pair();
    const s = snapshots();
    const got: unknown[] = [];
    const channel: Channel = p.client.channel('a');
    const subscription = channel.subscribe((data) => got.push(data) === 2 && subscription.unsubscribe(), { load: s.load });
    await subscription.ready;
    for (const data of [1, 2, 3, 4]) p.host.publish('a', data);
    await p.settle();
    s.last().resolve();
    await p.settle();
    expect(got).toEqual([1, 2]);
  });

  it('since the client is closed: it is aborted, nothing is asked for on a closed client, and connect() loads it', async () => {
    const { p, says, got, asked, last } = await loading();
    await p.client.close();
    expect(last().signal.aborted).toBe(true);
    last().reject(new CallError('ABORTED'));
    await p.clock.advance(600_000);
    expect([p.log, p.clock.pending, asked.length]).toEqual([['open', 'close 1000 final'], 0, 1]);
    void p.client.connect();
    await p.settle();
    await says(1);
    expect(asked).toHaveLength(2);
    last().resolve();
    await says(2);
    expect(got).toEqual([1, 2]);
  });
});

describe('more messages than may wait for a snapshot', () => {
  it.each([
    ['does not say what it knows', undefined],
    ['does not know the oldest that had to go', { offset: 1 }],
  ])('make it be loaded again, where it %s', async (_what, loaded) => {
    const { p, says, got, asked, reasons, last } = await loading({ iteratorBuffer: 2 });
    await says(1, 2, 3, 4);
    last().resolve(loaded);
    await p.settle();
    expect(got).toEqual([]);
    await says(5);
    await p.clock.advance(backoff(1, 0.5));
    expect(reasons()).toEqual(['subscribed', 'overflow']);
    await says(6);
    last().resolve({ offset: 5 });
    await says(7);
    expect([got, asked.length]).toEqual([[6, 7], 2]);
  });

  it.each([2, 3, 4, 9])('do no harm where it knows the channel up to %i: the first of those that wait is 3', async (offset) => {
    const { p, says, got, asked, last } = await loading({ iteratorBuffer: 2 });
    await says(1, 2, 3, 4);
    last().resolve({ offset });
    await says(5);
    await p.clock.advance(60_000);
    expect([got, asked.length]).toEqual([[3, 4, 5].filter((data) => data > offset || data === 5), 1]);
  });

  it('exactly as many as may wait are waited for', async () => {
    const { p, says, got, asked, last } = await loading({ iteratorBuffer: 2 });
    await says(1, 2);
    last().resolve();
    await p.clock.advance(60_000);
    expect([got, asked.length]).toEqual([[1, 2], 1]);
  });

  it('without a history make it be loaded again, whatever it says', async () => {
    const { p, says, reasons, last } = await loading({ iteratorBuffer: 1 }, FORGETFUL());
    await says(1, 2);
    last().resolve({ offset: 9 });
    await p.clock.advance(backoff(1, 0.5));
    expect(reasons()).toEqual(['subscribed', 'overflow']);
  });
});

describe('a snapshot that could not be loaded', () => {
  it.each<[string, object]>([
    ['at all', {}],
    ['in time for all that waits', { iteratorBuffer: 2 }],
  ])('%s leaves no hole: what waited goes on waiting', async (_what, options) => {
    const { says, got, last, p, asked } = await loading(options);
    p.client.addEventListener('error', () => {});
    await says(1, 2);
    last().reject(new CallError('UNAVAILABLE'));
    await p.clock.advance(backoff(1, 0.5));
    expect(asked).toHaveLength(2);
    last().resolve({ offset: 0 });
    await says(3);
    expect(got).toEqual([1, 2, 3]);
  });

  it('is asked for until it knows the messages that had to go', async () => {
    const { says, got, last, p, asked } = await loading({ iteratorBuffer: 2 });
    await says(1, 2, 3, 4, 5);
    for (let i = 1; i < 4; i++) {
      last().resolve({ offset: 0 }); // out of a cache
      await p.clock.advance(backoff(i, 0.5));
      expect([got, asked.length]).toEqual([[], i + 1]);
    }
    last().resolve({ offset: 3 });
    await says(6);
    expect(got).toEqual([4, 5, 6]);
  });

  it('and does not say what it knows knows what came before it was asked for', async () => {
    const { says, got, last, p } = await loading();
    p.client.addEventListener('error', () => {});
    await says(1, 2);
    last().reject(new CallError('UNAVAILABLE'));
    await p.clock.advance(backoff(1, 0.5));
    await says(3);
    last().resolve();
    await says(4);
    expect(got).toEqual([3, 4]);
  });
});
