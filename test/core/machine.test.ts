import { describe, expect, it } from 'vitest';
import { initial, type Model, type Moment, type Rules, type Step, transition } from '../../src/core/machine.ts';
import type { Loss, State } from '../../src/core/state.ts';
import { HoldfastError } from '../../src/errors.ts';
import { at, closedBy, events, moment, rules, run } from '../support/machine.ts';

const statusOf = (step: Step) => step[0].state.status;
const effectsOf = (step: Step) => step[1].map(({ type }) => type);
const delayOf = (step: Step) => step[1].flatMap((effect) => (effect.type === 'startTimer' ? [effect.delay] : []));
const lostBy = (model: Model, loss: Loss = closedBy(1006), over: Partial<Moment> = {}, more: Partial<Rules> = {}) =>
  transition(model, { type: 'lost', loss, verdict: 'retry' }, { ...moment, ...over }, { ...rules, ...more });

describe('the way to a connection', () => {
  it('starts from idle, where nothing is known', () => {
    expect(initial).toEqual({
      state: { status: 'idle' },
      memory: {
        attempt: 0,
        suspects: 0,
        everOpened: false,
        openedAt: 0,
        attemptedAt: 0,
        timeouts: 0,
        wokeAt: -Infinity,
        forcedAt: -Infinity,
        retryAt: 0,
        notBefore: 0,
        cause: undefined,
      },
    });
  });

  it('starts with an attempt that has its timer, and an eye on the page', () => {
    const step = transition(initial, events.connect, moment, rules);
    expect(step[0].state).toEqual({ status: 'connecting', attempt: 0, startedAt: moment.wall, phase: 'resolving' });
    expect(step[1]).toEqual([{ type: 'watch' }, { type: 'startTimer', delay: 10_000 }, { type: 'openSocket' }]);
  });

  it('goes from resolving to opening to open', () => {
    const resolved = transition(at.resolving, events.resolved, moment, rules);
    expect(resolved).toEqual([{ ...at.resolving, state: { ...at.resolving.state, phase: 'opening' } }, []]);
    const step = transition(resolved[0], events.opened, moment, rules);
    expect(step[0].state).toEqual({ status: 'open', since: moment.wall, resumed: false });
    expect(step[0].memory).toMatchObject({ everOpened: true, openedAt: moment.now });
    expect(effectsOf(step)).toEqual(['stopTimer', 'startHeartbeat', 'emitOpened']);
  });

  it('takes a handshake in between where one is needed', () => {
    const shaking = transition(at.opening, events.opened, moment, { ...rules, handshake: true });
    expect(shaking[0].state).toMatchObject({ status: 'connecting', phase: 'handshaking', attempt: 0 });
    expect(shaking[1]).toEqual([{ type: 'runHandshake' }]);
    const step = transition(shaking[0], { type: 'handshakeDone', resumed: true }, moment, rules);
    expect(step[0].state).toEqual({ status: 'open', since: moment.wall, resumed: true });
    expect(effectsOf(step)).toEqual(['stopTimer', 'startHeartbeat', 'emitOpened']);
  });

  it('takes longer every time that an attempt took too long, up to a minute: browsers hold attempts back', () => {
    const budgets: number[][] = [];
    let model: Model = initial;
    for (let i = 0; i < 5; i++) {
      const step = transition(model, i === 0 ? events.connect : events.timer, moment, rules);
      budgets.push(delayOf(step));
      [model] = lostBy(step[0], closedBy(1006, { kind: 'timeout' }));
    }
    expect(budgets).toEqual([[10_000], [20_000], [40_000], [60_000], [60_000]]);
    const own = { ...rules, connectTimeout: 90_000 };
    expect(delayOf(transition(model, events.timer, moment, own))).toEqual([90_000]);
  });

  it('takes as long as before where it opened slowly, and the usual time where it did not', () => {
    const slow: Model = { ...at.opening, memory: { ...at.opening.memory, timeouts: 1 } };
    const again = (took: number) => {
      const [open] = transition(slow, events.opened, { ...moment, now: moment.now + took }, rules);
      return delayOf(transition(lostBy(open)[0], events.timer, moment, rules));
    };
    expect(again(5_001)).toEqual([20_000]);
    expect(again(5_000)).toEqual([10_000]);
  });

  it('never sets a timer that would overflow', () => {
    expect(delayOf(transition(initial, events.connect, moment, { ...rules, connectTimeout: Infinity }))).toEqual([2 ** 31 - 1]);
    expect(delayOf(transition(at.open, events.close, moment, { ...rules, closeTimeout: Infinity }))).toEqual([2 ** 31 - 1]);
    expect(delayOf(lostBy(at.open, undefined, {}, { delay: () => Number.NaN }))).toEqual([2 ** 31 - 1]);
  });
});

describe('a lost connection', () => {
  it('is waited for: socket dropped, retry timer started, users told', () => {
    const loss = closedBy(1006);
    const [{ state }, effects] = lostBy(at.open, loss);
    expect(state).toEqual({
      status: 'waiting',
      attempt: 1,
      since: moment.wall,
      retryAt: moment.wall + 1_000,
      cause: loss,
      everOpened: true,
    });
    expect(effects).toEqual([
      { type: 'dropSocket', loss },
      { type: 'startTimer', delay: 1_000 },
      { type: 'emitLost', loss, willReconnect: true },
    ]);
  });

  it('is tried again when the timer fires, with the number of the attempt', () => {
    const step = transition(at.waiting, events.timer, moment, rules);
    expect(step[0].state).toMatchObject({ status: 'connecting', attempt: 1, phase: 'resolving' });
    expect(effectsOf(step)).toEqual(['startTimer', 'openSocket']);
  });

  it('counts on when it did not last', () => {
    const flapping: Model = { ...at.open, memory: { ...at.open.memory, attempt: 4 } };
    expect(lostBy(flapping, undefined, { now: moment.now + 4_999 })[0].state).toMatchObject({ status: 'waiting', attempt: 5 });
    expect(lostBy(flapping, undefined, { now: moment.now + 5_000 })[0].state).toMatchObject({ status: 'waiting', attempt: 1 });
  });

  it.each([
    [0, false, true, false],
    [0, true, true, true],
    [0, false, false, true],
    [1, false, true, false],
  ])('is retried patiently when hidden or never opened (%i: hidden %s, everOpened %s)', (_, hidden, everOpened, patient) => {
    const asked: unknown[] = [];
    const model: Model = { ...at.opening, memory: { ...at.opening.memory, everOpened } };
    lostBy(model, undefined, { hidden, random: 0.25 }, { delay: (...args) => asked.push(args) });
    expect(asked).toEqual([[1, 0.25, patient]]);
  });

  it.each<[string, { ms: number; spread: boolean }, number, number]>([
    ['not before the server wants it', { ms: 8_000, spread: false }, 0, 8_000],
    ['a quarter later at most, so that a crowd does not come back in step', { ms: 8_000, spread: false }, 0.5, 9_000],
    ['by its own backoff, where that is longer', { ms: 1_000, spread: false }, 0.5, 5_000],
    ['at any time within the window that a crowd is spread over', { ms: 8_000, spread: true }, 0.25, 2_000],
    ['within what a timer can hold', { ms: 1e12, spread: false }, 0.5, 2 ** 31 - 1],
  ])('comes back %s', (_, retryAfter, random, delay) => {
    const step = transition(
      at.opening,
      { type: 'lost', loss: closedBy(4100), verdict: 'retry', retryAfter },
      { ...moment, random },
      { ...rules, delay: () => 5_000 },
    );
    expect(delayOf(step)).toEqual([delay]);
  });

  it.each([true, false])('ends it when the retries are used up, and says whether it was ever open: %s', (everOpened) => {
    const last: Model = { ...at.opening, memory: { ...at.opening.memory, attempt: 2, everOpened } };
    expect(lostBy(last, undefined, {}, { maxRetries: 3 })[0].state.status).toBe('waiting');
    const loss = closedBy(1006, { error: new HoldfastError('CONNECTION_FAILED', 'no') });
    const step = lostBy(last, loss, {}, { maxRetries: 2 });
    expect(step[0].state).toEqual({ status: 'closed', cause: 'exhausted', code: 1006, reason: '', error: loss.error, everOpened });
    expect(step[1]).toEqual([
      { type: 'dropSocket', loss },
      { type: 'stopTimer' },
      { type: 'unwatch' },
      { type: 'emitLost', loss, willReconnect: false },
    ]);
  });

  it('with no retries allowed is final at once, offline or not', () => {
    for (const onLine of [true, false])
      expect(lostBy(at.opening, undefined, { onLine }, { maxRetries: 0 })[0].state).toMatchObject({ status: 'closed', cause: 'exhausted' });
  });

  it.each(['refused', 'unauthorized', 'superseded'] as const)('is final when the verdict is %s', (verdict) => {
    const loss = closedBy(4403, { reason: 'go away' });
    const step = transition(at.open, { type: 'lost', loss, verdict }, moment, rules);
    expect(step[0].state).toMatchObject({ status: 'closed', cause: verdict, code: 4403, reason: 'go away' });
  });
});

describe('suspect closes', () => {
  const suspect = (model: Model, over: Partial<Moment> = {}) =>
    transition(model, { type: 'lost', loss: closedBy(1009), verdict: 'suspect' }, { ...moment, ...over }, rules);
  const seen = (suspects: number): Model => ({ ...at.open, memory: { ...at.open.memory, suspects } });

  it('are final at the third in a row', () => {
    expect(suspect(seen(0))[0]).toMatchObject({ state: { status: 'waiting' }, memory: { suspects: 1 } });
    expect(suspect(seen(1))[0]).toMatchObject({ state: { status: 'waiting' }, memory: { suspects: 2 } });
    expect(suspect(seen(2))[0]).toMatchObject({ state: { status: 'closed', cause: 'refused', code: 1009 } });
  });

  it('are forgotten after any other loss', () => {
    expect(lostBy(seen(2))[0].memory.suspects).toBe(0);
  });

  it('are forgotten after a connection that lasted', () => {
    expect(suspect(seen(2), { now: moment.now + 5_000 })[0]).toMatchObject({ state: { status: 'waiting' }, memory: { suspects: 1 } });
  });
});

describe('offline', () => {
  it('is where an attempt leads that failed while the device says so: slow, and not counted', () => {
    const step = lostBy(at.opening, undefined, { onLine: false });
    expect(step[0].state).toMatchObject({ status: 'offline', attempt: 0, since: moment.wall, retryAt: moment.wall + 30_000 });
    expect(delayOf(step)).toEqual([30_000]);
  });

  it('is not entered by losing what was open, nor before an attempt failed', () => {
    expect(lostBy(at.open, undefined, { onLine: false })[0].state.status).toBe('waiting');
    expect(statusOf(transition(initial, events.connect, { ...moment, onLine: false }, rules))).toBe('connecting');
  });

  it('uses up no retries', () => {
    const last: Model = { ...at.opening, memory: { ...at.opening.memory, attempt: 3 } };
    const step = lostBy(last, undefined, { onLine: false }, { maxRetries: 3 });
    expect(step[0].state).toMatchObject({ status: 'offline', attempt: 3 });
    expect(transition(step[0], events.timer, moment, rules)[0].state).toMatchObject({ status: 'connecting', attempt: 3 });
  });
});

describe('waking up', () => {
  const wake = (model: Model, over: Partial<Moment> = {}) => transition(model, events.wake, { ...moment, ...over }, rules);

  it('makes it doubt what is open', () => {
    const { open } = at;
    const step = wake(open);
    expect(step[0].state).toBe(open.state);
    expect(step[1]).toEqual([{ type: 'probe' }]);
  });

  it.each(['waiting', 'offline'] as const)('cuts %s short, with a little jitter', (status) => {
    const step = wake(at[status], { random: 0.5, wall: moment.wall + 7 });
    expect(step[0].state).toMatchObject({ status, retryAt: moment.wall + 7 + 125 });
    expect(step[1]).toEqual([{ type: 'startTimer', delay: 125 }]);
  });

  it('forces one attempt in three seconds, however often it happens', () => {
    const [woken] = wake(at.waiting);
    const [trying] = transition(woken, events.timer, moment, rules);
    const [again] = lostBy(trying, undefined, {}, { delay: () => 30_000 });
    expect(delayOf(wake(again, { now: moment.now + 2_000 }))).toEqual([1_000]);
    expect(delayOf(wake(again, { now: moment.now + 3_000 }))).toEqual([0]);
  });

  it('puts off what it may not force yet, and forgets nothing: the lid opened while the network was still away', () => {
    const [woken] = wake(at.waiting);
    const [trying] = transition(woken, events.timer, moment, rules);
    const [offline] = lostBy(trying, undefined, { onLine: false });
    const [{ state }, effects] = wake(offline, { now: moment.now + 1, wall: moment.wall + 1, random: 1 });
    expect(effects).toEqual([{ type: 'startTimer', delay: 2_999 + 250 }]);
    expect(state).toMatchObject({ status: 'offline', retryAt: moment.wall + 3_250 });
  });

  it.each([
    [false, [29_999]], // not before; what comes on top of that is ours
    [true, []],
  ])('does not shorten what the server has asked for (spread: %s)', (spread, delays) => {
    const [told] = transition(at.open, { ...events.lost, retryAfter: { ms: 30_000, spread } }, { ...moment, random: 0.5 }, rules);
    expect(delayOf(wake(told, { now: moment.now + 1 }))).toEqual(delays);
  });

  it('is not held back by what an earlier server has asked for, once there was another attempt', () => {
    const later = (ms: number) => ({ ...moment, random: 0.5, now: moment.now + ms, wall: moment.wall + ms });
    const [told] = transition(at.open, { ...events.lost, retryAfter: { ms: 600_000, spread: false } }, later(0), rules);
    const [woken] = transition(told, { type: 'wokeUp' }, later(1_000), rules);
    const [again] = transition(woken, { type: 'reconnectRequested', reason: '' }, later(2_000), rules);
    const [resolved] = transition(again, events.resolved, later(2_000), rules);
    const [open] = transition(resolved, events.opened, later(2_000), rules);
    const [lost] = transition(open, events.lost, later(50_000), { ...rules, delay: () => 10_000 });
    expect(delayOf(transition(lost, { type: 'wokeUp' }, later(51_000), rules))).toEqual([expect.any(Number)]);
  });

  it('never makes a wait longer', () => {
    const [soon] = lostBy(at.opening, undefined, {}, { delay: () => 100 });
    expect(wake(soon, { random: 0.9 })[1]).toEqual([]);
    expect(wake(soon, { random: 0.1 })[1]).toEqual([{ type: 'startTimer', delay: 25 }]);
  });

  it.each(['idle', 'resolving', 'opening', 'handshaking', 'closing', 'closed'] as const)('changes nothing while %s', (name) => {
    const model = at[name];
    const step = wake(model);
    expect(step[0].state).toBe(model.state);
    expect(step[1]).toEqual([]);
  });

  it.each(['resolving', 'opening', 'handshaking'] as const)(
    'begins an attempt anew that has been %s for long: it may hang from before',
    (name) => {
      const later = { now: moment.now + 5_000, wall: moment.wall + 5_000 };
      expect(wake(at[name], { now: later.now - 1 })[1]).toEqual([]);
      const step = wake(at[name], later);
      expect(step[0].state).toMatchObject({ status: 'connecting', phase: 'resolving', attempt: 0, startedAt: later.wall });
      const told = name === 'resolving' ? [] : ['emitLost']; // where nothing was said yet, nothing is lost
      expect(effectsOf(step)).toEqual(['dropSocket', ...told, 'startTimer', 'openSocket']);
      expect(wake(step[0], { now: later.now + 5_000 })[1]).not.toEqual([]);
      const impatient = { ...rules, connectTimeout: 1_000 };
      expect(transition(step[0], events.wake, { ...moment, now: later.now + 2_999 }, impatient)[1]).toEqual([]); // once in three seconds
    },
  );

  it('means that what is lost soon after was lost to the sleep: no backoff', () => {
    const [woken] = wake(at.open);
    expect(delayOf(lostBy(woken, undefined, { now: moment.now + 5_000, random: 0.5 }))).toEqual([125]);
    expect(delayOf(lostBy(woken, undefined, { now: moment.now + 5_001, random: 1 }))).toEqual([1_000]);
  });

  it('does not hurry an attempt that fails: its server may be down', () => {
    const [woken] = wake(at.opening);
    expect(delayOf(lostBy(woken))).toEqual([1_000]);
  });

  it('does not help a connection that dies again and again', () => {
    const [woken] = wake(at.open);
    const [waiting] = lostBy(woken);
    const again: Model = { state: at.open.state, memory: { ...waiting.memory, openedAt: moment.now } };
    expect(delayOf(lostBy(again, undefined, { now: moment.now + 2_999 }))).toEqual([1_000]);
  });
});

describe('reconnect()', () => {
  const reconnect = (model: Model, over: Partial<Moment> = {}) =>
    transition(model, { type: 'reconnectRequested', reason: 'why' }, { ...moment, ...over }, rules);
  const replaced = { kind: 'replaced', code: 4001, reason: 'why', wasClean: false };

  it.each(['open', 'opening', 'handshaking', 'closing'] as const)('replaces what is %s, and says so', (name) => {
    const [{ state, memory }, effects] = reconnect(at[name]);
    expect(state).toMatchObject({ status: 'connecting', phase: 'resolving' });
    expect(memory.cause).toEqual(replaced);
    expect(effects).toEqual([
      { type: 'dropSocket', loss: replaced },
      { type: 'emitLost', loss: replaced, willReconnect: true },
      { type: 'startTimer', delay: 10_000 },
      { type: 'openSocket' },
    ]);
  });

  it('while the address is asked for asks anew, and says nothing: no socket is lost', () => {
    const step = reconnect(at.resolving);
    expect(step[0]).toEqual(at.resolving);
    expect(effectsOf(step)).toEqual(['dropSocket', 'startTimer', 'openSocket']);
  });

  it.each(['waiting', 'offline'] as const)('cuts %s short at once, and the series goes on', (name) => {
    const step = reconnect(at[name]);
    expect(step[0].state).toMatchObject({ status: 'connecting', attempt: at[name].memory.attempt });
    expect(effectsOf(step)).toEqual(['startTimer', 'openSocket']);
  });

  it('from closed begins a new life, with nothing held against it', () => {
    const dead: Model = { ...at.closed, memory: { ...at.closed.memory, attempt: 9, suspects: 2, everOpened: true, forcedAt: 5 } };
    const step = reconnect(dead);
    expect(step[0].state).toMatchObject({ status: 'connecting', attempt: 0 });
    expect(step[0].memory).toEqual({ ...initial.memory, everOpened: true, attemptedAt: moment.now });
    expect(effectsOf(step)).toEqual(['watch', 'startTimer', 'openSocket']);
  });

  it('from idle begins the first', () => {
    expect(effectsOf(reconnect(initial))).toEqual(['watch', 'startTimer', 'openSocket']);
  });

  it('ends the series when what it replaces had lasted', () => {
    const old: Model = { ...at.open, memory: { ...at.open.memory, attempt: 4 } };
    expect(reconnect(old, { now: moment.now + 5_000 })[0].state).toMatchObject({ attempt: 0 });
    expect(reconnect(old, { now: moment.now + 4_999 })[0].state).toMatchObject({ attempt: 4 });
  });
});

describe('close()', () => {
  const close = (model: Model) => transition(model, events.close, moment, rules);

  it.each(['open', 'opening', 'handshaking'] as const)('asks the socket that is %s, and waits a short while', (name) => {
    const step = close(at[name]);
    expect(step[0].state).toEqual({ status: 'closing', socket: true, cause: 'user', code: 4100, reason: 'bye', error: undefined });
    expect(step[1]).toMatchObject([
      { type: 'startTimer', delay: 2_000 },
      { type: 'closeSocket', code: 4100, reason: 'bye' },
    ]);
  });

  it.each(['idle', 'resolving', 'waiting', 'offline'] as const)('waits for nothing while %s', (name) => {
    const step = close(at[name]);
    expect(step[0].state).toMatchObject({ status: 'closing', socket: false });
    expect(step[1]).toMatchObject([{ type: 'startTimer', delay: 0 }, { type: 'dropSocket' }]);
    const [{ state }, effects] = transition(step[0], events.timer, moment, rules);
    expect(state).toMatchObject({ status: 'closed', cause: 'user', code: 4100, reason: 'bye' });
    expect(effects.at(-1)).toMatchObject({
      type: 'emitLost',
      loss: { kind: 'requested', code: 4100, wasClean: false },
      willReconnect: false,
    });
  });

  it('without a code, and without a socket, comes to 1005', () => {
    const [closing] = transition(at.waiting, { type: 'closeRequested', cause: 'user', reason: '' }, moment, rules);
    expect(transition(closing, events.timer, moment, rules)[0].state).toMatchObject({ code: 1005, reason: '' });
  });

  it('ends with what the socket says', () => {
    const [{ state }, effects] = lostBy(at.closing, closedBy(4100, { reason: 'bye', wasClean: true }));
    expect(state).toMatchObject({ status: 'closed', cause: 'user', code: 4100, reason: 'bye' });
    expect(effects.map(({ type }) => type)).toEqual(['dropSocket', 'stopTimer', 'unwatch', 'emitLost']);
  });

  it('ends without the socket when it says nothing: 1006', () => {
    const [{ state }, effects] = transition(at.closing, events.timer, moment, rules);
    expect(state).toMatchObject({ status: 'closed', cause: 'user', code: 1006, reason: '' });
    expect(effects.at(-1)).toMatchObject({ type: 'emitLost', loss: { kind: 'requested', wasClean: false }, willReconnect: false });
  });

  it.each(['closing', 'closed'] as const)('does nothing while %s', (name) => {
    expect(close(at[name])).toEqual([at[name], []]);
  });

  it('keeps the cause and the error of an abort', () => {
    const error = new Error('enough');
    const [closing] = transition(at.waiting, { type: 'closeRequested', cause: 'aborted', reason: '', error }, moment, rules);
    expect(closing.state).toMatchObject({ cause: 'aborted', error });
    expect(transition(closing, events.timer, moment, rules)[0].state).toMatchObject({ status: 'closed', cause: 'aborted', error });
  });
});

describe('what does not belong', () => {
  const out: Record<string, readonly (keyof typeof at)[]> = {
    connect: ['resolving', 'opening', 'handshaking', 'open', 'waiting', 'offline', 'closing'],
    resolved: ['idle', 'open', 'waiting', 'offline', 'closing', 'closed'],
    opened: ['idle', 'open', 'waiting', 'offline', 'closing', 'closed'],
    handshake: ['idle', 'open', 'waiting', 'offline', 'closing', 'closed'],
    lost: ['idle', 'waiting', 'offline', 'closed'],
    timer: ['idle', 'resolving', 'opening', 'handshaking', 'open', 'closed'],
  };
  it.each(Object.entries(out).flatMap(([event, names]) => names.map((name) => [event, name] as const)))(
    '%s changes nothing while %s',
    (event, name) => {
      const step = transition(at[name], events[event as keyof typeof events], moment, rules);
      expect(step).toEqual([at[name], []]);
    },
  );
});

describe('a whole life', () => {
  it('can be told from its states', () => {
    const states = run([
      'connect',
      'resolved',
      'opened',
      'lost',
      'wake',
      'timer',
      'resolved',
      'lost',
      'timer',
      'resolved',
      'opened',
      'close',
      'lost',
    ]);
    expect(states.map(({ status }: State) => status).join(' ')).toBe(
      'connecting connecting open waiting waiting connecting connecting waiting connecting connecting open closing closed',
    );
  });
});
