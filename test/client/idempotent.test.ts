/** Calls and messages that are sent again when a session is lost, with the same key, and executed once. */

import { describe, expect, it, vi } from 'vitest';
import type { ClientOptions } from '../../src/client-options.ts';
import { CallError, SessionLostError } from '../../src/errors.ts';
import { MemoryBroker, type MemoryBrokerOptions } from '../../src/server/memory-broker.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { another, handServer, told } from '../support/hand-server.ts';
import { pair } from '../support/link.ts';
import { BRIEF_SESSIONS, lose } from './support.ts';

/** A pair whose sessions are lost with every connection, and whose server executes when the test says so. */
async function forgetful(idempotency: MemoryBrokerOptions['idempotency'] = {}, options: ClientOptions = {}, server: HostOptions = {}) {
  const clock = new FakeClock();
  const runs: { params: unknown; signal: AbortSignal; resolve: (value?: unknown) => void; reject: (error: unknown) => void }[] = [];
  const pay = (params: unknown, { signal }: { signal: AbortSignal }) =>
    new Promise((resolve, reject) => runs.push({ params, signal, resolve, reject }));
  const broker = new MemoryBroker({ clock, idempotency });
  // One clock for all, the broker too.
  const p = Object.assign(pair({ clock, ...options }, { clock, broker, ...BRIEF_SESSIONS, handlers: { methods: { pay } }, ...server }), {
    clock,
  });
  await p.settle();
  return { p, runs };
}

/** Requests on the newest connection. */
const requests = (p: { frames(): { type: string }[] }) => p.frames().filter(({ type }) => type === 'request') as Record<string, unknown>[];
const outcome = (call: Promise<unknown>) => call.catch((error: unknown) => error);

describe('an idempotent call whose session is lost', () => {
  it('is sent again with its key, joins what still runs, and is executed once', async () => {
    const { p, runs } = await forgetful();
    const call = p.client.call('pay', 5, { idempotent: true });
    await p.settle();
    const [before] = requests(p);
    await lose(p);
    const [after, ...others] = requests(p);
    expect(others).toEqual([]);
    expect(after?.['idempotencyKey']).toBe(before?.['idempotencyKey']);
    expect(after?.['id']).not.toBe(before?.['id']); // ids are never used twice
    expect([runs.length, runs[0]?.signal.aborted, p.client.stats.resumed]).toEqual([1, false, 0]);
    runs[0]?.resolve('paid');
    expect([await call, runs.length]).toEqual(['paid', 1]);
    expect(p.client.stats).toMatchObject({ sent: 1, acknowledged: 1, pendingCalls: 0 });
  });

  it('is told what came out when it was done meanwhile', async () => {
    const { p, runs } = await forgetful();
    const call = p.client.call('pay', 5, { idempotent: true });
    await p.settle();
    p.socket.cut();
    runs[0]?.resolve('paid');
    await lose(p);
    expect([await call, runs.length]).toEqual(['paid', 1]);
  });

  it('is told so when it was refused, and why', async () => {
    const { p, runs } = await forgetful();
    const call = outcome(p.client.call('pay', 5, { idempotent: true }));
    await p.settle();
    p.socket.cut();
    runs[0]?.reject(new CallError('insufficient', 'no money', { data: { left: 1 } }));
    await lose(p);
    expect(await call).toMatchObject({ name: 'CallError', code: 'insufficient', message: 'no money', data: { left: 1 } });
    expect(runs).toHaveLength(1);
  });

  it('again and again is executed once', async () => {
    const { p, runs } = await forgetful();
    const call = p.client.call('pay', 5, { idempotent: true });
    for (let i = 0; i < 5; i++) {
      await p.settle();
      await lose(p);
    }
    await p.clock.advance(5_000); // it is a suspect by now
    await p.settle();
    runs[0]?.resolve('paid');
    expect([await call, runs.length, p.client.stats.connections]).toEqual(['paid', 1, 6]);
  });

  it.each(Array.from({ length: 16 }, (_, i) => i))('%i microtasks after it was made is executed once', async (moment) => {
    const count = { runs: 0 };
    const { p } = await forgetful({}, {}, { handlers: { methods: { pay: () => ++count.runs } } });
    const call = p.client.call('pay', 5, { idempotent: true });
    for (let i = 0; i < moment; i++) await Promise.resolve();
    await lose(p);
    expect([await call, count.runs]).toEqual([1, 1]);
  });

  it('rejects with SessionLostError when the server has forgotten what it may have done', async () => {
    const { p, runs } = await forgetful({ ttl: 999 });
    const call = outcome(p.client.call('pay', 5, { idempotent: true }));
    await p.settle();
    await lose(p); // for a second
    expect(await call).toBeInstanceOf(SessionLostError);
    expect(await call).toMatchObject({ maybeExecuted: true });
    expect([requests(p), runs.length]).toEqual([[], 1]);
  });

  it('is sent again within the time that the server remembers, counted from when it was written first', async () => {
    const { p, runs } = await forgetful({ ttl: 10_000 });
    const call = outcome(p.client.call('pay', 5, { idempotent: true }));
    await p.settle();
    for (const again of [1, 1, 0]) {
      await lose(p);
      await p.clock.advance(4_000); // a suspect is written after three seconds
      await p.settle();
      expect(requests(p)).toHaveLength(again);
    }
    expect([(await call) instanceof SessionLostError, runs.length]).toEqual([true, 1]);
  });

  it('that waited for a connection before it was written has all its time', async () => {
    const { p, runs } = await forgetful({ ttl: 1_500 });
    p.socket.cut();
    p.reachable = false;
    const call = p.client.call('pay', 5, { idempotent: true });
    await p.clock.advance(5_000);
    p.reachable = true;
    p.socket.accept(p.host);
    await p.settle();
    await lose(p);
    runs[0]?.resolve('paid');
    expect([await call, runs.length]).toEqual(['paid', 1]);
  });

  it('rejects when its timeout is over, also in another session, and the server is told', async () => {
    const { p, runs } = await forgetful();
    const call = outcome(p.client.call('pay', 5, { idempotent: true, timeout: 3_000 }));
    await p.settle();
    await lose(p);
    expect(requests(p)[0]).toMatchObject({ timeout: 2_000 });
    await p.clock.advance(2_000);
    await p.settle();
    expect(await call).toMatchObject({ name: 'TimeoutError', maybeExecuted: true });
    expect(p.frames().at(-1)).toMatchObject({ type: 'cancel', id: requests(p)[0]?.['id'] });
    expect(runs).toHaveLength(1);
  });

  it('that is given up while there is no connection is not sent again', async () => {
    const { p } = await forgetful();
    const abort = new AbortController();
    const call = outcome(p.client.call('pay', 5, { idempotent: true, signal: abort.signal }));
    await p.settle();
    p.socket.cut();
    abort.abort('enough');
    await lose(p);
    expect([await call, requests(p)]).toEqual(['enough', []]);
  });

  it('given up after it was sent again stops the execution', async () => {
    const { p, runs } = await forgetful();
    const abort = new AbortController();
    const call = outcome(p.client.call('pay', 5, { idempotent: true, signal: abort.signal }));
    await p.settle();
    await lose(p);
    abort.abort('enough');
    await p.settle();
    expect([await call, runs.map(({ signal }) => signal.aborted)]).toEqual(['enough', [true]]);
  });

  it('is rejected by close(), and not sent again by connect()', async () => {
    const { p, runs } = await forgetful();
    const call = outcome(p.client.call('pay', 5, { idempotent: true }));
    await p.settle();
    p.socket.cut();
    const closed = p.client.close();
    await p.clock.advance(0);
    await closed;
    expect(await call).toMatchObject({ name: 'ClosedError' });
    void p.client.connect();
    await p.settle();
    expect([requests(p), runs.length]).toEqual([[], 1]);
  });
});

describe('a session that goes on', () => {
  it('answers an idempotent call as any other: it is not asked twice', async () => {
    const { p, runs } = await forgetful({}, {}, { sessions: {} });
    const call = p.client.call('pay', 5, { idempotent: true });
    await p.settle();
    p.socket.cut();
    runs[0]?.resolve('paid');
    await lose(p);
    expect([await call, requests(p), p.client.stats.resumed]).toEqual(['paid', [], 1]);
  });

  it('and one that is lost do not keep a cancelled run going, nor stop one that is not', async () => {
    const { p, runs } = await forgetful();
    const abort = new AbortController();
    void outcome(p.client.call('pay', 1, { idempotent: true, signal: abort.signal }));
    void outcome(p.client.call('pay', 2, { idempotent: true }));
    void outcome(p.client.call('pay', 3));
    await p.settle();
    abort.abort();
    await p.settle();
    await lose(p);
    expect(runs.map(({ params, signal }) => [params, signal.aborted]).sort()).toEqual([
      [1, true],
      [2, false],
      [3, true],
    ]);
  });
});

describe('a call that is not idempotent', () => {
  it.each([{}, { idempotent: false }])('with %j rejects with SessionLostError when its session is lost', async (options) => {
    const { p, runs } = await forgetful();
    const call = outcome(p.client.call('pay', 5, options));
    await p.settle();
    expect(requests(p)[0]).not.toHaveProperty('idempotencyKey');
    await lose(p);
    expect(await call).toBeInstanceOf(SessionLostError);
    expect([requests(p), runs.length]).toEqual([[], 1]);
  });
});

describe('a key', () => {
  it('of our own is another one for each call, and nobody can guess it', async () => {
    const keys: string[] = [];
    for (let i = 0; i < 2; i++) {
      const { p } = await forgetful();
      for (let k = 0; k < 3; k++) void outcome(p.client.call('pay', k, { idempotent: true }));
      p.client.channel('a').publish(1, { idempotent: true });
      await p.settle();
      keys.push(...p.frames().flatMap(({ idempotencyKey }) => (idempotencyKey === undefined ? [] : String(idempotencyKey))));
    }
    expect(new Set(keys).size).toBe(8);
    const [first, second] = [keys[0], keys[4]].map((key) => key?.replace(/-\d+$/, ''));
    expect(first).not.toBe(second);
    for (const prefix of [first, second]) expect(prefix?.length).toBeGreaterThanOrEqual(20); // 128 bits, in 36 digits, on average
  });

  it('of the caller is sent as it is, and what it came to is told to whoever has it', async () => {
    const { p, runs } = await forgetful();
    const first = p.client.call('pay', 5, { idempotent: 'order 7' });
    await p.settle();
    expect(requests(p)[0]).toMatchObject({ idempotencyKey: 'order 7' });
    runs[0]?.resolve('paid');
    expect([await first, await p.client.call('pay', 5, { idempotent: 'order 7' }), runs.length]).toEqual(['paid', 'paid', 1]);
    await expect(p.client.call('pay', 6, { idempotent: 'order 7' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(runs).toHaveLength(1);
  });

  it('is not shared by principals', async () => {
    const runs: unknown[] = [];
    const broker = new MemoryBroker();
    const principals = ['ida', 'bob', 'ida'];
    for (const principal of principals) {
      const p = pair(
        { auth: () => principal },
        { broker, authenticate: (token) => token, handlers: { methods: { pay: (sum, { client }) => runs.push([client.principal, sum]) } } },
      );
      await p.settle();
      await p.client.call('pay', 5, { idempotent: 'order 7' });
    }
    expect(runs).toEqual([
      ['ida', 5],
      ['bob', 5],
    ]);
  });

  it.each(['', 0, 1, null, {}, [], () => 'k'])('cannot be %j', async (idempotent) => {
    const { client } = pair({ startClosed: true });
    const options = { idempotent: idempotent as never };
    await expect(client.call('pay', 1, options)).rejects.toThrow(/"idempotent"/);
    await expect(client.call('pay', 1, options)).rejects.toBeInstanceOf(TypeError);
    expect(() => client.channel('a').publish(1, options)).toThrow(/"idempotent"/);
    expect(() => client.channel('a').publish(1, options)).toThrow(TypeError);
    expect(client.stats.queuedMessages).toBe(0);
  });
});

describe('a server that remembers nothing', () => {
  it.each([
    ['says so', { idempotency: 0 }],
    ['does not say that it does', {}],
  ])('and %s is not asked again', async (_how, welcome) => {
    const s = handServer();
    await s.welcomes(welcome);
    const call = outcome(s.client.call('pay', 5, { idempotent: true }));
    await s.clock.advance(0);
    await s.cuts();
    s.news();
    await s.welcomes(another(welcome));
    expect([(await call) instanceof SessionLostError, s.news()]).toEqual([true, []]);
  });

  it('counts, and not what the one before had said', async () => {
    for (const [before, after, again] of [
      [60_000, 0, []],
      [0, 60_000, ['request pay #1']],
    ] as const) {
      const s = handServer();
      await s.welcomes({ idempotency: before });
      void outcome(s.client.call('pay', 5, { idempotent: true }));
      await s.clock.advance(0);
      await s.cuts();
      s.news();
      await s.welcomes(another({ idempotency: after }));
      expect(told(s.news())).toEqual(again);
    }
  });

  it('counts also where the session was over before', async () => {
    const s = handServer();
    await s.welcomes({ idempotency: 60_000 });
    const call = outcome(s.client.call('pay', 5, { idempotent: true }));
    await s.clock.advance(0);
    await s.cuts(4_422); // with which the session is over
    s.news();
    await s.welcomes(another({ idempotency: 0 }));
    expect(told(s.news())).toEqual([]);
    expect(await call).toBeInstanceOf(SessionLostError);
  });

  it('is no drop for a message that was written before: nobody knows what came of it', async () => {
    const s = handServer();
    await s.welcomes({ idempotency: 60_000 });
    const receipt = s.client.channel('a').publish(1, { idempotent: true });
    await s.clock.advance(0);
    await s.cuts(4_422);
    s.news();
    await s.welcomes(another({ idempotency: 0 }));
    await expect(receipt.acknowledged).rejects.toBeInstanceOf(SessionLostError);
    expect([told(s.news()), receipt.status, s.client.stats.unconfirmed, s.client.stats.dropped]).toEqual([[], 'sent', 1, 0]);
  });
});

describe('what is asked again', () => {
  it('goes first, in the order in which it was written, with what is sent again beside it, and then what waited', async () => {
    const s = handServer();
    await s.welcomes({ idempotency: 60_000 });
    const written = [s.client.call('a', 1, { idempotent: 'k' }), s.client.call('b', 1), s.client.call('c', 1, { idempotent: 'l' })];
    s.client.send('d');
    s.client.channel('e').publish(1, { idempotent: 'm' });
    for (const call of written) void outcome(call);
    await s.clock.advance(0);
    s.socket.closed(1006);
    void outcome(s.client.call('f', 1, { idempotent: 'n' }));
    await s.waits();
    s.news();
    await s.welcomes(another({ idempotency: 60_000 }));
    expect(told(s.news())).toEqual(['request a #1', 'request c #2', 'event d #3', 'publish e #4', 'request f #5']);
  });

  it('goes ahead of the rest also where the server had said that it has it', async () => {
    const s = handServer();
    await s.welcomes({ idempotency: 60_000 });
    s.client.send('had');
    void outcome(s.client.call('a', 1, { idempotent: 'k' }));
    s.client.send('b');
    await s.clock.advance(0);
    await s.says({ type: 'ack', received: 2 });
    await s.cuts();
    s.news();
    await s.welcomes(another({ idempotency: 60_000 }));
    expect(told(s.news())).toEqual(['request a #1', 'event b #2']);
  });
});

describe('an idempotent message', () => {
  it('whose session is lost is published once, and its place is told', async () => {
    const { p } = await forgetful();
    const got: unknown[] = [];
    await p.client.channel('a').subscribe((data) => got.push(data)).ready;
    const receipts = [1, 2].map((data) => p.client.channel('a').publish(data, { idempotent: true }));
    await Promise.resolve(); // they are written
    await Promise.resolve();
    p.socket.cut();
    await lose(p);
    expect(await Promise.all(receipts.map(({ acknowledged }) => acknowledged))).toEqual([{ offset: 1 }, { offset: 2 }]);
    expect([got, p.client.stats.unconfirmed]).toEqual([[1, 2], 0]);
  });

  it('that the server had said it has is published once all the same: it is asked what came of it', async () => {
    const decisions: ((yes: boolean) => void)[] = [];
    const { p } = await forgetful({}, {}, { authorize: () => new Promise((resolve) => decisions.push(resolve)) });
    const receipt = p.client.channel('a').publish(1, { idempotent: 'k' });
    await p.clock.advance(1_000); // within which the server says what it has
    await lose(p);
    expect(receipt.status).toBe('sent');
    for (const decide of decisions) decide(true);
    expect([await receipt.acknowledged, decisions.length]).toEqual([{ offset: 1 }, 2]); // permission is asked for each time
  });

  it.each<[string, ClientOptions, number, string]>([
    ['nothing is', { unacknowledged: 'drop' }, 60_000, 'dropped'],
    ['the server has forgotten it', {}, 999, 'sent'],
  ])('is not sent again where %s: nobody knows what came of it', async (_why, options, idempotency, status) => {
    const s = handServer(options);
    await s.welcomes({ idempotency });
    const receipt = s.client.channel('a').publish(1, { idempotent: true });
    await s.clock.advance(0);
    await s.cuts();
    s.news();
    await s.welcomes(another({ idempotency }));
    expect([s.news(), receipt.status]).toEqual([[], status]);
    await expect(receipt.acknowledged).rejects.toBeInstanceOf(SessionLostError);
    expect(s.client.stats.unconfirmed + s.client.stats.dropped).toBe(1);
  });

  it('with a key that belongs to another one is refused', async () => {
    const { p } = await forgetful();
    const channel = p.client.channel('a');
    await channel.publish(1, { idempotent: 'k' }).acknowledged;
    const dropped = vi.fn();
    p.client.addEventListener('drop', ({ reason, error }) => dropped(reason, (error as CallError).code));
    await expect(channel.publish(2, { idempotent: 'k' }).acknowledged).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(dropped.mock.calls).toEqual([['refused', 'INVALID_ARGUMENT']]);
    expect(await p.client.channel('b').publish(2, { idempotent: 'k' }).acknowledged).toEqual({ offset: 1 }); // each channel has its own
  });
});

describe('without sessions, at a server that remembers,', () => {
  it('an idempotent call is asked again, and executed once; another one rejects', async () => {
    const { p, runs } = await forgetful({}, {}, { sessions: false });
    const again = p.client.call('pay', 5, { idempotent: true });
    const not = outcome(p.client.call('pay', 6));
    await p.settle();
    await lose(p);
    for (const run of runs) run.resolve('paid');
    expect(await not).toBeInstanceOf(SessionLostError);
    await p.settle();
    expect([await again, runs.filter(({ params }) => params === 5).length]).toEqual(['paid', 1]);
  });

  it('an idempotent message is published once, and another one is not sent again', async () => {
    const { p } = await forgetful({}, {}, { sessions: false });
    const heard: unknown[] = [];
    p.client.channel('a').subscribe((data) => heard.push(data));
    await p.settle();
    p.socket.deliver = () => {}; // what the server says is lost
    const kept = p.client.channel('a').publish('kept', { idempotent: true });
    const lost = p.client.channel('a').publish('lost');
    lost.acknowledged.catch(() => {});
    await p.settle();
    await lose(p);
    await p.settle();
    await kept.acknowledged;
    expect([heard, lost.status, p.client.stats.unconfirmed]).toEqual([['kept', 'lost'], 'sent', 1]);
  });
});
