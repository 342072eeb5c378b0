/** Idempotent executions: once, however often they are asked for, and the same outcome for everybody. */

import { describe, expect, it, vi } from 'vitest';
import { CallError, SessionLostError, TimeoutError } from '../../src/errors.ts';
import type { Begun, Broker } from '../../src/server/broker.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import { type Execution, Once } from '../../src/server/once.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { HELLO, hosting } from '../support/hosting.ts';
import type { Frame } from '../support/link.ts';
import { sessionHost } from '../support/session-host.ts';
import { SlowBroker } from '../support/slow-broker.ts';

/** Executions on one broker, each of the same thing unless the test says otherwise. */
function executing(broker: Broker = new MemoryBroker({ clock: new FakeClock() })) {
  const failures: unknown[] = [];
  const run = vi.fn<(signal: AbortSignal) => unknown>(() => 'done');
  const executions = new Once(broker, (error) => failures.push(error));
  const execute = (execution: Partial<Execution> = {}, action: typeof run = run) =>
    executions.execute({ identity: 'ida', method: 'pay', key: 'k', params: { sum: 1 }, ...execution }, action);
  return { broker, failures, run, execute };
}

/** An execution that ends when the test says so. */
function pending() {
  const ends: ((value?: unknown) => void)[] = [];
  const signals: AbortSignal[] = [];
  const action = vi.fn((signal: AbortSignal) => {
    signals.push(signal);
    return new Promise((resolve) => ends.push(resolve));
  });
  return { action, signals, ends };
}

describe('an execution', () => {
  it('is run once, and everybody is told what came out: who asks meanwhile, and who asks later', async () => {
    const { execute } = executing();
    const { action, ends } = pending();
    const meanwhile = [execute({}, action), execute({}, action), execute({}, action)];
    await settled();
    expect(action).toHaveBeenCalledTimes(1);
    ends[0]?.({ receipt: 7 });
    expect(await Promise.all(meanwhile)).toEqual(Array(3).fill({ receipt: 7 }));
    expect(await execute({}, action)).toEqual({ receipt: 7 });
    expect(action).toHaveBeenCalledTimes(1);
  });

  it('goes on where the first gives it up in the task in which a second asks for it', async () => {
    const { execute } = executing();
    const { action, signals, ends } = pending();
    const first = new AbortController();
    const given = execute({ signal: first.signal }, action);
    await settled();
    const second = execute({ signal: new AbortController().signal }, action);
    first.abort();
    await settled();
    ends[0]?.('done');
    expect([signals[0]?.aborted, action.mock.calls.length, await given, await second]).toEqual([false, 1, 'done', 'done']);
  });

  it('with other parameters keeps nothing running', async () => {
    const { execute } = executing();
    const { action, signals } = pending();
    const first = new AbortController();
    const given = execute({ signal: first.signal }, action);
    await settled();
    await expect(execute({ params: { sum: 2 } }, action)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    first.abort();
    expect(signals[0]?.aborted).toBe(true);
    given.catch(() => {});
  });

  it.each([undefined, null, 0, '', [1], new Uint8Array([0, 255])])('remembers the result %j as it is', async (result) => {
    const { execute, run } = executing();
    run.mockReturnValue(result);
    expect([await execute(), await execute(), run.mock.calls.length]).toEqual([result, result, 1]);
  });

  it('that says no is remembered with all that it said', async () => {
    const { execute, run, failures } = executing();
    run.mockRejectedValue(new CallError('insufficient', 'no money', { data: { left: 1 }, retryAfter: 5 }));
    for (let i = 0; i < 3; i++) {
      const error: unknown = await execute().catch((error) => error);
      expect(error).toBeInstanceOf(CallError);
      expect(error).toMatchObject({ code: 'insufficient', message: 'no money', data: { left: 1 }, retryAfter: 5 });
    }
    expect([run.mock.calls.length, failures]).toEqual([1, []]);
  });

  it.each(['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'ABORTED'])(
    'that says no for the moment is not remembered: %s',
    async (code) => {
      const { execute, run } = executing();
      run.mockRejectedValueOnce(new CallError(code, 'not now'));
      await expect(execute()).rejects.toMatchObject({ code, message: 'not now' });
      expect([await execute(), await execute(), run.mock.calls.length]).toEqual(['done', 'done', 2]);
    },
  );

  it('that fails is remembered as INTERNAL, which says nothing of why, and is reported once', async () => {
    const { execute, run, failures } = executing();
    const error = new TypeError('secret');
    run.mockImplementation(() => {
      throw error;
    });
    for (let i = 0; i < 3; i++) await expect(execute()).rejects.toMatchObject({ code: 'INTERNAL', message: 'The handler failed' });
    expect([run.mock.calls.length, failures]).toEqual([1, [error]]);
  });

  it('whose result cannot be sent has failed', async () => {
    const { execute, run, failures } = executing();
    run.mockReturnValue(1n);
    for (let i = 0; i < 2; i++) await expect(execute()).rejects.toMatchObject({ code: 'INTERNAL' });
    expect([run.mock.calls.length, failures.length]).toEqual([1, 1]);
  });

  it('is forgotten after the time that the broker says, and no sooner', async () => {
    const clock = new FakeClock();
    const { execute, run } = executing(new MemoryBroker({ clock, idempotency: { ttl: 1_000 } }));
    await execute();
    await clock.advance(999);
    await execute();
    expect(run).toHaveBeenCalledTimes(1);
    await clock.advance(1);
    await execute();
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('of a key that belongs to other parameters is refused, while it runs and afterwards, and not run', async () => {
    const { execute, run } = executing();
    const { action, ends } = pending();
    const first = execute({}, action);
    await settled();
    const others = [{ sum: 2 }, undefined, 'sum', new Uint8Array([1]), [1]];
    for (const params of others) await expect(execute({ params })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    ends[0]?.('paid');
    await first;
    for (const params of others) await expect(execute({ params })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect([await execute(), run.mock.calls.length]).toEqual(['paid', 0]);
  });

  it.each<[string, Partial<Execution>]>([
    ['another principal', { identity: 'bob' }],
    ['nobody', { identity: undefined }],
    ['a principal of that name', { identity: 'null' }],
    ['another method', { method: 'refund' }],
    ['another key', { key: 'l' }],
  ])('does not know that of %s', async (_who, other) => {
    const { execute, run } = executing();
    for (const execution of [{}, other, {}, other]) await execute(execution);
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('is known by who asks, what and with which key, each for itself, whatever stands in them', async () => {
    const { execute, run } = executing();
    await execute({ identity: 'i', method: 'd","pay' });
    await execute({ identity: 'i","d', method: 'pay' });
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('that came to nothing is run by one of those who waited', async () => {
    const begun: Begun[] = [
      { status: 'running', outcome: Promise.resolve(undefined) },
      { status: 'running', outcome: Promise.resolve(undefined) },
    ];
    const broker = new MemoryBroker();
    const begin = vi.spyOn(broker, 'begin');
    for (const each of begun) begin.mockReturnValueOnce(each);
    const { execute, run } = executing(broker);
    expect([await execute(), begin.mock.calls.length, run.mock.calls.length]).toEqual(['done', 3, 1]);
  });

  it('for which there is no room is refused, and not run', async () => {
    const { execute, run } = executing(new MemoryBroker({ idempotency: { capacity: 1 } }));
    const { action, ends } = pending();
    const first = execute({ key: 'first' }, action);
    await settled();
    await expect(execute()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(run).not.toHaveBeenCalled();
    ends[0]?.();
    await first;
    expect(await execute()).toBe('done');
  });

  it('is aborted when the caller gives up, and not when its session is lost', async () => {
    const { execute } = executing();
    const { action, signals } = pending();
    const [lost, cancelled] = [new AbortController(), new AbortController()];
    void execute({ key: 'lost', signal: lost.signal }, action);
    void execute({ key: 'cancelled', signal: cancelled.signal }, action);
    await settled();
    const reason = new CallError('CANCELLED');
    lost.abort(new SessionLostError('The connection was lost', true));
    cancelled.abort(reason);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
    expect(signals[1]?.reason).toBe(reason);
  });

  it('that nobody waits for any more before the broker has answered is aborted from the beginning, if it is run at all', async () => {
    const clock = new FakeClock();
    const { execute } = executing(new SlowBroker({ clock, delays: { begin: 5 } }));
    const { action, signals } = pending();
    const abort = new AbortController();
    execute({ signal: abort.signal }, action).catch(() => {});
    await settled();
    abort.abort(new CallError('CANCELLED'));
    await clock.advance(5);
    expect(signals.filter(({ aborted }) => !aborted)).toEqual([]);
  });

  it('goes on while anybody waits for it, and is aborted when the last one has given up', async () => {
    const { execute } = executing();
    const { action, signals } = pending();
    const aborts = [new AbortController(), new AbortController()];
    for (const { signal } of aborts) execute({ signal }, action).catch(() => {});
    await settled();
    aborts[0]?.abort(new CallError('CANCELLED'));
    const after = signals.map(({ aborted }) => aborted);
    aborts[1]?.abort(new CallError('CANCELLED'));
    expect([after, signals.map(({ aborted }) => aborted)]).toEqual([[false], [true]]);
  });

  it('is told to who comes back in another session, and aborted when that one gives up', async () => {
    const { execute } = executing();
    const { action, signals } = pending();
    const [before, after] = [new AbortController(), new AbortController()];
    execute({ signal: before.signal }, action).catch(() => {});
    await settled();
    before.abort(new SessionLostError('The connection was lost', true));
    execute({ signal: after.signal }, action).catch(() => {});
    await settled();
    after.abort(new CallError('CANCELLED'));
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('of which the broker knows nothing is not run', async () => {
    const broker = new SlowBroker({ clock: new FakeClock() });
    const { execute, run } = executing(broker);
    broker.fails = (deed) => (deed === 'begin' ? 'rejects' : undefined);
    await expect(execute()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'The broker failed' });
    expect(run).not.toHaveBeenCalled();
  });

  it('that was run and cannot be remembered is told all the same, and the broker reported', async () => {
    const broker = new SlowBroker({ clock: new FakeClock() });
    const { execute, failures } = executing(broker);
    broker.fails = (deed) => (deed === 'finish' ? 'rejects' : undefined);
    expect(await execute()).toBe('done');
    expect(failures).toHaveLength(1);
  });
});

/** A host that pays: how often it did, and for whom. */
function paying(options: HostOptions = {}) {
  const paid = vi.fn<(sum: unknown) => unknown>((sum) => ({ paid: sum }));
  const handlers = { methods: { pay: (sum: unknown) => paid(sum) } };
  return { paid, ...hosting({ authenticate: (token) => token, handlers, ...options }) };
}

const request = (id: number, more: object = {}) => ({ type: 'request', id, method: 'pay', params: 1, idempotencyKey: 'k', ...more });
const publish = (id: number | undefined, data: unknown, idempotencyKey?: string) => ({
  type: 'publish',
  id,
  channel: 'a',
  data,
  idempotencyKey,
});
const answers = (frames: readonly Frame[]) => frames.map(({ id, result, error }) => [id, result ?? (error as { code: string }).code]);

describe('a host', () => {
  it('says in its welcome how long it remembers', async () => {
    for (const ttl of [0, 5_000]) {
      const { connect } = hosting({ broker: new MemoryBroker({ idempotency: { ttl } }) });
      const peer = connect();
      await peer.says(HELLO);
      expect(peer.news()[0]).toMatchObject({ type: 'welcome', idempotency: ttl });
    }
  });

  it('runs a request with a key once, from whichever connection of the principal it comes', async () => {
    const { welcomed, paid } = paying();
    const [first, second, stranger] = [await welcomed({ auth: 'ida' }), await welcomed({ auth: 'ida' }), await welcomed({ auth: 'bob' })];
    await first.says(request(1), request(2));
    await second.says(request(1));
    expect(paid).toHaveBeenCalledTimes(1);
    await stranger.says(request(1));
    expect(paid).toHaveBeenCalledTimes(2);
    const result = { paid: 1 };
    expect([first, second, stranger].map((peer) => answers(peer.news()).sort())).toEqual(
      [[1, 2], [1], [1]].map((ids) => ids.map((id) => [id, result])),
    );
  });

  it('runs one without a key as often as it is asked', async () => {
    const { welcomed, paid } = paying();
    const peer = await welcomed();
    for (const id of [1, 2]) await peer.says({ ...request(id), idempotencyKey: undefined });
    for (const id of [3, 4]) await peer.says({ ...request(id), idempotencyKey: null });
    expect(paid).toHaveBeenCalledTimes(4);
  });

  it('refuses a key for something else, and does not remember that a method was not there', async () => {
    const { welcomed, paid } = paying();
    const peer = await welcomed();
    await peer.says(request(1), request(2, { params: 2 }), request(3, { method: 'none' }), request(4, { method: 'none', params: 2 }));
    expect(answers(peer.news()).sort()).toEqual([
      [1, { paid: 1 }],
      [2, 'INVALID_ARGUMENT'],
      [3, 'UNIMPLEMENTED'],
      [4, 'UNIMPLEMENTED'],
    ]);
    expect(paid).toHaveBeenCalledTimes(1);
  });

  it('goes on when the session is lost; who comes back is told by another one', async () => {
    const { action, signals, ends } = pending();
    const { comes, clock } = sessionHost({
      sessions: { ttl: 500 },
      handlers: { methods: { pay: (_, { signal }) => action(signal) } },
    });
    const first = await comes();
    await first.says(request(1, { seq: 1 }));
    first.port.closed();
    await clock.advance(500);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    const second = await comes();
    await second.says(request(2, { seq: 1 }));
    ends[0]?.('paid');
    await settled();
    expect([answers(second.news()), action.mock.calls.length]).toEqual([[[2, 'paid']], 1]);
  });

  it('aborts it when the caller cancels', async () => {
    const { action, signals } = pending();
    const { welcomed } = hosting({ handlers: { methods: { pay: (_, { signal }) => action(signal) } } });
    const peer = await welcomed();
    for (const frame of [request(1), { type: 'cancel', id: 1 }]) await peer.says(frame);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(answers(peer.news())).toEqual([[1, 'CANCELLED']]);
  });

  it('does not begin what was asked and cancelled in one message, or aborts it', async () => {
    const { action, signals } = pending();
    const { welcomed } = hosting({ handlers: { methods: { pay: (_, { signal }) => action(signal) } } });
    const peer = await welcomed();
    await peer.says(`[${[request(1), { type: 'cancel', id: 1 }].map((frame) => JSON.stringify(frame)).join()}]`);
    expect(signals.filter(({ aborted }) => !aborted)).toEqual([]);
    expect(answers(peer.news())).toEqual([[1, 'CANCELLED']]);
  });

  it('publishes a message with a key once, and tells its place again', async () => {
    const { welcomed } = paying();
    const [peer, listener] = [await welcomed(), await welcomed()];
    await listener.says({ type: 'subscribe', id: 1, channel: 'a' });
    listener.news();
    await peer.says(publish(1, 'once', 'k'), publish(2, 'once', 'k'), publish(undefined, 'once', 'k'), publish(3, 'other', 'k'));
    await peer.says(publish(4, 'once', 'l'));
    await settled();
    expect(answers(peer.news()).sort()).toEqual([
      [1, { offset: 1 }],
      [2, { offset: 1 }],
      [3, 'INVALID_ARGUMENT'],
      [4, { offset: 2 }],
    ]);
    expect(listener.news().map(({ data }) => data)).toEqual(['once', 'once']);
  });

  it('keeps the order of what one client publishes, with keys or without', async () => {
    const { welcomed } = paying();
    const [peer, listener] = [await welcomed(), await welcomed()];
    await listener.says({ type: 'subscribe', id: 1, channel: 'a' });
    listener.news();
    await peer.says(publish(1, 1, 'k'), publish(2, 2), publish(3, 3, 'l'), publish(4, 4));
    await settled();
    expect(listener.news().map(({ data }) => data)).toEqual([1, 2, 3, 4]);
  });

  it('tells nobody why the broker could not begin, and reports it', async () => {
    const clock = new FakeClock();
    const broker = new SlowBroker({ clock });
    broker.fails = (deed) => (deed === 'begin' ? 'rejects' : undefined);
    const { welcomed, paid, errors } = paying({ clock, broker });
    const peer = await welcomed();
    await peer.says(request(1), publish(2, 'data', 'secret'));
    await settled();
    const news = peer.news();
    expect(news.map(({ type, id }) => [type, id]).sort()).toEqual([
      ['error', 1],
      ['error', 2],
    ]);
    expect(JSON.stringify(news)).not.toMatch(/begin|secret/);
    expect([paid.mock.calls.length, errors.length, peer.closes]).toEqual([0, 2, []]);
  });

  it('refuses a message with a key that is nested too deeply to be passed on', async () => {
    const { welcomed, errors } = paying();
    const peer = await welcomed();
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    await peer.says(`{"type":"publish","id":1,"channel":"a","data":${deep},"idempotencyKey":"k"}`);
    expect(answers(peer.news())).toEqual([[1, 'INVALID_ARGUMENT']]);
    expect(errors).toEqual([]);
  });

  it('asks for permission each time: who may not any more is told so', async () => {
    const authorize = vi.fn(() => false);
    const { welcomed } = paying({ authorize });
    const peer = await welcomed();
    await peer.says(publish(1, 1, 'k'), publish(2, 1, 'k'));
    expect(answers(peer.news()).sort()).toEqual([
      [1, 'PERMISSION_DENIED'],
      [2, 'PERMISSION_DENIED'],
    ]);
    expect(authorize).toHaveBeenCalledTimes(2);
  });
});

describe('an execution that nobody waits for any more', () => {
  it.each<[string, unknown, object]>([
    ['was cancelled', undefined, { code: 'CANCELLED' }],
    ['took too long', new TimeoutError('too long', true), { code: 'DEADLINE_EXCEEDED' }],
  ])('because it %s is that, whatever its handler makes of it, and is not remembered', async (_what, reason, expected) => {
    const { execute, failures } = executing();
    const abort = new AbortController();
    const action = vi.fn(
      (signal: AbortSignal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    const call = execute({ signal: abort.signal }, action);
    await settled();
    abort.abort(reason);
    await expect(call).rejects.toMatchObject(expected);
    await settled();
    expect([
      await execute(
        {},
        vi.fn(() => 'done'),
      ),
      failures,
    ]).toEqual(['done', []]);
  });

  it('but survived the loss of its session is not ended by somebody with its key and other parameters', async () => {
    const { execute } = executing();
    const { action, signals, ends } = pending();
    const session = new AbortController();
    execute({ signal: session.signal }, action).catch(() => {});
    await settled();
    session.abort(new SessionLostError('lost', true));
    await expect(execute({ params: { sum: 2 }, signal: new AbortController().signal })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(signals[0]?.aborted).toBe(false);
    ends[0]?.('done');
    expect(await execute({}, action)).toBe('done');
  });
});
