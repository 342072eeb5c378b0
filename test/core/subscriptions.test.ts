import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChannelState, Subscriptions, type Wish } from '../../src/core/subscriptions.ts';
import { CallError } from '../../src/errors.ts';

const PERMANENT = ['PERMISSION_DENIED', 'NOT_FOUND', 'INVALID_ARGUMENT', 'UNIMPLEMENTED', 'FAILED_PRECONDITION'];
const TEMPORARY = ['UNAVAILABLE', 'INTERNAL', 'RESOURCE_EXHAUSTED', 'DEADLINE_EXCEEDED', 'ABORTED', 'CANCELLED', 'UNAUTHENTICATED', 'app'];
const refusal = (code = 'UNAVAILABLE') => new CallError(code);

/** Asks, and there is exactly one question. */
function askOne(subscriptions: Subscriptions): Wish {
  const [question, ...others] = subscriptions.ask();
  if (!question || others.length > 0) throw new Error('one question was expected');
  return question;
}

/** The channel `a` on its way: wanted, then asked for, then as the server said. */
function channel(status: ChannelState['status'], error = refusal()) {
  const subscriptions = new Subscriptions();
  if (status === 'idle') return subscriptions;
  subscriptions.want('a', { token: 1 });
  if (status === 'subscribing') return subscriptions;
  answer(subscriptions, askOne(subscriptions), status === 'failed' ? error : undefined);
  return subscriptions;
}

/** The server answers: yes, without a word about a history, or no. Whether that matters still. */
function answer(subscriptions: Subscriptions, question: Wish, error: CallError | undefined): boolean {
  return error ? subscriptions.refused(question, error) : subscriptions.confirmed(question, {}) !== undefined;
}

/** Whether a message that has no place in a history is handed on. */
const delivers = (subscriptions: Subscriptions, name = 'a') => subscriptions.arrived(name, undefined) === 'next';
const status = (subscriptions: Subscriptions) => subscriptions.stateOf('a').status;

describe('a channel', () => {
  it('is idle while nobody wants it', () => {
    const subscriptions = channel('idle');
    expect([status(subscriptions), subscriptions.size, delivers(subscriptions)]).toEqual(['idle', 0, false]);
    expect(subscriptions.ask()).toEqual([]);
  });

  it('idle → subscribing: wanted, and asked for once', () => {
    const subscriptions = channel('subscribing');
    expect([status(subscriptions), subscriptions.size, delivers(subscriptions)]).toEqual(['subscribing', 1, false]);
    expect(askOne(subscriptions)).toMatchObject({ channel: 'a', params: { token: 1 } });
    expect(subscriptions.ask()).toEqual([]);
    expect(delivers(subscriptions)).toBe(false);
  });

  it('subscribing → subscribed: confirmed, and only from then on it delivers', () => {
    const subscriptions = channel('subscribing');
    expect(answer(subscriptions, askOne(subscriptions), undefined)).toBe(true);
    expect([status(subscriptions), delivers(subscriptions), subscriptions.ask()]).toEqual(['subscribed', true, []]);
  });

  it('subscribing → failed: refused, with the error, and not asked for again', () => {
    const subscriptions = channel('subscribing');
    const error = refusal();
    expect(answer(subscriptions, askOne(subscriptions), error)).toBe(true);
    expect(subscriptions.stateOf('a')).toEqual({ status: 'failed', error });
    expect([delivers(subscriptions), subscriptions.ask(), subscriptions.size]).toEqual([false, [], 1]);
  });

  it('subscribed → subscribing: the connection was lost, and it is asked for on the next one', () => {
    const subscriptions = channel('subscribed');
    expect(subscriptions.lost()).toEqual(['a']);
    expect([status(subscriptions), delivers(subscriptions)]).toEqual(['subscribing', false]);
    expect(askOne(subscriptions)).toMatchObject({ channel: 'a', params: { token: 1 } });
  });

  it('subscribed → subscribing: the server demands it anew', () => {
    const subscriptions = channel('subscribed');
    expect(subscriptions.ended('a', undefined)).toBe(true);
    expect([status(subscriptions), delivers(subscriptions)]).toEqual(['subscribing', false]);
    expect(askOne(subscriptions).channel).toBe('a');
  });

  it('subscribed → failed: ended by the server', () => {
    const subscriptions = channel('subscribed');
    const error = refusal();
    expect(subscriptions.ended('a', error)).toBe(true);
    expect(subscriptions.stateOf('a')).toEqual({ status: 'failed', error });
    expect([delivers(subscriptions), subscriptions.ask()]).toEqual([false, []]);
  });

  it.each(['idle', 'subscribing', 'failed'] as const)('%s: an end by the server is none', (from) => {
    const subscriptions = channel(from);
    if (from === 'subscribing') subscriptions.ask();
    const before = subscriptions.stateOf('a');
    expect([subscriptions.ended('a', undefined), subscriptions.ended('a', refusal())]).toEqual([false, false]);
    expect(subscriptions.stateOf('a')).toEqual(before);
  });

  it('failed → subscribing: wanted again, with new parameters', () => {
    const subscriptions = channel('failed', refusal('PERMISSION_DENIED'));
    subscriptions.want('a', 'new');
    expect(status(subscriptions)).toBe('subscribing');
    expect(askOne(subscriptions)).toMatchObject({ channel: 'a', params: 'new' });
  });

  it.each(['subscribing', 'subscribed'] as const)('%s: wanting it once more changes nothing', (from) => {
    const subscriptions = channel(from);
    if (from === 'subscribing') subscriptions.ask();
    subscriptions.want('a', 'other');
    expect([status(subscriptions), subscriptions.size, subscriptions.ask()]).toEqual([from, 1, []]);
  });

  it.each(PERMANENT)('failed stays failed when the connection is lost: %s', (code) => {
    const subscriptions = channel('failed', refusal(code));
    expect(subscriptions.lost()).toEqual([]);
    expect([status(subscriptions), subscriptions.ask()]).toEqual(['failed', []]);
  });

  it.each(TEMPORARY)('failed → subscribing with the next connection: %s', (code) => {
    const subscriptions = channel('failed', refusal(code));
    expect(subscriptions.lost()).toEqual(['a']);
    expect(status(subscriptions)).toBe('subscribing');
    expect(askOne(subscriptions).channel).toBe('a');
  });

  it('that was not confirmed when the connection was lost is asked for again, and nobody has to be told', () => {
    const subscriptions = channel('subscribing');
    subscriptions.ask();
    expect(subscriptions.lost()).toEqual([]);
    expect(askOne(subscriptions).channel).toBe('a');
  });
});

describe('letting go of a channel', () => {
  it.each([
    ['idle', channel('idle'), false],
    ['subscribing, not asked for', channel('subscribing'), false],
    ['subscribed', channel('subscribed'), true],
    ['failed', channel('failed'), false],
  ])('%s: whether the server has to be told', (_, subscriptions, told) => {
    expect(subscriptions.release('a')).toBe(told);
    expect([status(subscriptions), subscriptions.size, delivers(subscriptions), subscriptions.ask()]).toEqual(['idle', 0, false, []]);
    expect(subscriptions.release('a')).toBe(false);
  });

  it('asked for and not answered: the server has to be told, on this connection only', () => {
    const here = channel('subscribing');
    here.ask();
    expect(here.release('a')).toBe(true);
    const later = channel('subscribing');
    later.ask();
    later.lost();
    expect(later.release('a')).toBe(false);
  });

  it('demanded anew and not asked for yet: the server has ended it itself', () => {
    const subscriptions = channel('subscribed');
    subscriptions.ended('a', undefined);
    expect(subscriptions.release('a')).toBe(false);
  });
});

describe('an answer', () => {
  /** A question that was asked, and what made it old. */
  const outdated: [string, (subscriptions: Subscriptions) => void][] = [
    ['the connection was lost', (it) => void it.lost()],
    ['the connection was lost, and it was asked again', (it) => void [it.lost(), it.ask()]],
    ['it was released', (it) => void it.release('a')],
    ['it was released and wanted again', (it) => void [it.release('a'), it.want('a', 1)]],
    ['it was released, wanted and asked for again', (it) => void [it.release('a'), it.want('a', 1), it.ask()]],
  ];

  it.each(outdated)('to an earlier question does not count: %s', (_, happen) => {
    for (const error of [undefined, refusal()]) {
      const subscriptions = channel('subscribing');
      const question = askOne(subscriptions);
      happen(subscriptions);
      const before = subscriptions.stateOf('a');
      expect(answer(subscriptions, question, error)).toBe(false);
      expect(subscriptions.stateOf('a')).toEqual(before);
      expect(delivers(subscriptions)).toBe(false);
    }
  });

  it('to an earlier question does not spoil the one to the question that counts', () => {
    const subscriptions = channel('subscribing');
    const old = askOne(subscriptions);
    subscriptions.lost();
    const question = askOne(subscriptions);
    expect(question.generation).not.toBe(old.generation);
    expect([answer(subscriptions, old, refusal()), answer(subscriptions, question, undefined)]).toEqual([false, true]);
    expect([answer(subscriptions, old, refusal()), status(subscriptions)]).toEqual([false, 'subscribed']);
  });

  it('that never was, in a welcome, makes it be asked for by frame; of an earlier question nothing', () => {
    const subscriptions = channel('subscribing');
    const old = askOne(subscriptions);
    subscriptions.lost();
    const declared = askOne(subscriptions);
    subscriptions.unanswered(old);
    expect(subscriptions.ask()).toEqual([]);
    subscriptions.unanswered(declared);
    expect(askOne(subscriptions).generation).toBeGreaterThan(declared.generation);
    expect(answer(subscriptions, declared, undefined)).toBe(false);
  });

  it('belongs to its channel, whatever the name', () => {
    const subscriptions = new Subscriptions();
    const names = ['a', '', '__proto__', 'constructor'];
    for (const name of names) subscriptions.want(name, name);
    const questions = subscriptions.ask();
    expect(questions.map(({ channel, params }) => [channel, params])).toEqual(names.map((name) => [name, name]));
    expect(new Set(questions.map(({ generation }) => generation)).size).toBe(names.length);
    for (const question of questions.slice(1)) answer(subscriptions, question, undefined);
    expect(names.map((name) => delivers(subscriptions, name))).toEqual([false, true, true, true]);
    expect(subscriptions.lost()).toEqual(names.slice(1));
  });
});

/** The channel `a`, subscribed at a position: what was asked, and what is delivered from there. */
function at(offset: number, epoch = 'e'): Subscriptions {
  const subscriptions = channel('subscribing');
  expect(subscriptions.confirmed(askOne(subscriptions), { recovered: false, epoch, offset })).toBe(false);
  return subscriptions;
}

/** The same, asked for once more on another connection: the question. */
function asksAgain(subscriptions: Subscriptions): Wish {
  subscriptions.lost();
  return askOne(subscriptions);
}

/** What becomes of messages, one after the other. */
const arrive = (subscriptions: Subscriptions, ...offsets: (number | undefined)[]) =>
  offsets.map((offset) => subscriptions.arrived('a', offset));

describe('a message in a history', () => {
  it('is delivered when it is the next one, and each moves the position on', () => {
    const subscriptions = at(5);
    expect(arrive(subscriptions, 6, 7, 8)).toEqual(['next', 'next', 'next']);
    expect(asksAgain(subscriptions).position).toEqual({ epoch: 'e', offset: 8 });
  });

  it('the first one is number 1', () => {
    expect(arrive(at(0), 0, 1, 2)).toEqual(['stale', 'next', 'next']);
  });

  it('is dropped when it was there before, and moves nothing', () => {
    const subscriptions = at(5);
    expect(arrive(subscriptions, 6, 6, 5, 1, 0)).toEqual(['next', 'stale', 'stale', 'stale', 'stale']);
    expect(status(subscriptions)).toBe('subscribed');
    expect(asksAgain(subscriptions).position).toEqual({ epoch: 'e', offset: 6 });
  });

  it.each([7, 8, 1_000, 2 ** 53 - 1])(
    '%i is a hole after 5: the server is asked again, from 5 on, and nothing is delivered meanwhile',
    (offset) => {
      const subscriptions = at(5);
      expect(arrive(subscriptions, offset)).toEqual(['hole']);
      expect(status(subscriptions)).toBe('subscribing');
      expect(arrive(subscriptions, 6, offset + 1, undefined)).toEqual(['stale', 'stale', 'stale']);
      const question = askOne(subscriptions);
      expect(question.position).toEqual({ epoch: 'e', offset: 5 });
      expect(arrive(subscriptions, 6)).toEqual(['stale']);
      expect(subscriptions.confirmed(question, { recovered: true, epoch: 'e', offset: 9 })).toBe(true);
      expect(arrive(subscriptions, 6, 7)).toEqual(['next', 'next']);
    },
  );

  it('that is missing again at the same place: the position is forgotten, since the server does not have what it says', () => {
    const subscriptions = at(5);
    arrive(subscriptions, 8);
    subscriptions.confirmed(askOne(subscriptions), { recovered: true, epoch: 'e', offset: 8 });
    expect(arrive(subscriptions, 8)).toEqual(['hole']);
    const question = askOne(subscriptions);
    expect(question.position).toBeUndefined();
    expect(subscriptions.confirmed(question, { recovered: true, epoch: 'e', offset: 8 })).toBe(false);
    expect(arrive(subscriptions, 8, 9)).toEqual(['stale', 'next']);
  });

  it('that is missing at another place is another hole: some progress was made', () => {
    const subscriptions = at(5);
    for (const [place, next] of [
      [5, 6],
      [6, 7],
      [7, 8],
    ] as const) {
      expect(arrive(subscriptions, place + 3)).toEqual(['hole']);
      const question = askOne(subscriptions);
      expect(question.position).toEqual({ epoch: 'e', offset: place });
      subscriptions.confirmed(question, { recovered: true, epoch: 'e', offset: 9 });
      expect(arrive(subscriptions, next)).toEqual(['next']);
    }
  });

  it('that was missing once is not held against the same place after a gap', () => {
    const subscriptions = at(5);
    arrive(subscriptions, 8);
    subscriptions.confirmed(askOne(subscriptions), { recovered: false, epoch: 'other', offset: 5 });
    expect(arrive(subscriptions, 8)).toEqual(['hole']);
    expect(askOne(subscriptions).position).toEqual({ epoch: 'other', offset: 5 });
  });

  it('that does not say its place is delivered, and moves nothing', () => {
    const subscriptions = at(5);
    expect(arrive(subscriptions, undefined, 6, undefined)).toEqual(['next', 'next', 'next']);
    expect(asksAgain(subscriptions).position).toEqual({ epoch: 'e', offset: 6 });
  });

  it('where nothing is known of the history is delivered, whatever its place', () => {
    const subscriptions = channel('subscribed');
    expect(arrive(subscriptions, 3, 3, 9, 1)).toEqual(['next', 'next', 'next', 'next']);
    expect(asksAgain(subscriptions).position).toBeUndefined();
  });
});

describe('a confirmation', () => {
  it('of the first question is no recovery: nothing was known that could have been missed', () => {
    const subscriptions = channel('subscribing');
    const question = askOne(subscriptions);
    expect(question.position).toBeUndefined();
    expect(subscriptions.confirmed(question, { recovered: true, epoch: 'e', offset: 3 })).toBe(false);
    expect(arrive(subscriptions, 3, 4)).toEqual(['stale', 'next']);
  });

  it('that everything was recovered leaves the position where it was: what was missed follows', () => {
    const subscriptions = at(5);
    expect(subscriptions.confirmed(asksAgain(subscriptions), { recovered: true, epoch: 'e', offset: 7 })).toBe(true);
    expect(arrive(subscriptions, 5, 6, 7, 8)).toEqual(['stale', 'next', 'next', 'next']);
  });

  it.each([false, undefined, null])('that says %j about it begins where the channel stands: what lies between is missed', (recovered) => {
    const subscriptions = at(5);
    expect(subscriptions.confirmed(asksAgain(subscriptions), { recovered, epoch: 'e', offset: 9 })).toBe(false);
    expect(arrive(subscriptions, 6, 9, 10)).toEqual(['stale', 'stale', 'next']);
  });

  it('of another epoch begins there, however far it is', () => {
    const subscriptions = at(5);
    expect(subscriptions.confirmed(asksAgain(subscriptions), { recovered: false, epoch: 'other', offset: 2 })).toBe(false);
    expect(arrive(subscriptions, 2, 3)).toEqual(['stale', 'next']);
    expect(asksAgain(subscriptions).position).toEqual({ epoch: 'other', offset: 3 });
  });

  it.each([
    ['another epoch', { epoch: 'other', offset: 2 }],
    ['a place before the one that was asked about', { epoch: 'e', offset: 2 }],
  ])('that claims a recovery and %s is none: what comes from there must not be taken for what was there before', (_what, stand) => {
    const subscriptions = at(5);
    expect(subscriptions.confirmed(asksAgain(subscriptions), { recovered: true, ...stand })).toBe(false);
    expect(arrive(subscriptions, 2, 3)).toEqual(['stale', 'next']);
  });

  it.each([
    ['an epoch without an offset', { epoch: 'e' }],
    ['an offset without an epoch', { offset: 5 }],
    ['an epoch and null', { epoch: 'e', offset: null }],
    ['neither', {}],
  ])('with %s is one without a history: everything is delivered, and nothing asked about later', (_what, stand) => {
    const subscriptions = at(5);
    expect(subscriptions.confirmed(asksAgain(subscriptions), { recovered: false, ...stand })).toBe(false);
    expect(arrive(subscriptions, 1, 9)).toEqual(['next', 'next']);
    expect(asksAgain(subscriptions).position).toBeUndefined();
  });

  it('that matters no more moves nothing', () => {
    const subscriptions = at(5);
    const old = asksAgain(subscriptions);
    const question = asksAgain(subscriptions);
    expect(subscriptions.confirmed(old, { recovered: false, epoch: 'e', offset: 9 })).toBeUndefined();
    expect(question.position).toEqual({ epoch: 'e', offset: 5 });
    expect(subscriptions.confirmed(question, { recovered: true, epoch: 'e', offset: 6 })).toBe(true);
    expect(arrive(subscriptions, 6)).toEqual(['next']);
  });
});

describe('a position', () => {
  it('survives a loss, a declaration without an answer, and a demand by the server', () => {
    const position = { epoch: 'e', offset: 5 };
    const subscriptions = at(5);
    const declared = asksAgain(subscriptions);
    expect(declared.position).toEqual(position);
    subscriptions.unanswered(declared);
    const question = askOne(subscriptions);
    expect(question.position).toEqual(position);
    subscriptions.confirmed(question, { recovered: true, ...position });
    subscriptions.ended('a', undefined);
    expect(askOne(subscriptions).position).toEqual(position);
  });

  it('survives a refusal that another connection may change', () => {
    const subscriptions = at(5);
    subscriptions.refused(asksAgain(subscriptions), refusal());
    expect(asksAgain(subscriptions).position).toEqual({ epoch: 'e', offset: 5 });
  });

  it('is forgotten when the server ends the subscription with an error', () => {
    const subscriptions = at(5);
    subscriptions.ended('a', refusal());
    expect(asksAgain(subscriptions).position).toBeUndefined();
  });

  it.each<[string, (subscriptions: Subscriptions) => unknown]>([
    ['nobody wants the channel any more', (it) => it.release('a')],
    ['it is wanted anew after it failed', (it) => it.refused(asksAgain(it), refusal())],
  ])('is forgotten when %s', (_what, happen) => {
    const subscriptions = at(5);
    happen(subscriptions);
    subscriptions.want('a', undefined);
    expect(askOne(subscriptions).position).toBeUndefined();
  });

  it('belongs to its channel', () => {
    const subscriptions = new Subscriptions();
    for (const name of ['a', 'b']) subscriptions.want(name, undefined);
    for (const [i, question] of subscriptions.ask().entries()) subscriptions.confirmed(question, { epoch: 'e', offset: i });
    expect([subscriptions.arrived('a', 1), subscriptions.arrived('b', 1), subscriptions.arrived('b', 2)]).toEqual([
      'next',
      'stale',
      'next',
    ]);
    expect(subscriptions.arrived('nobody', 1)).toBe('stale');
  });
});

describe('any walk through the diagram', () => {
  const NAMES = ['a', 'b'] as const;
  const errors = [undefined, refusal(), refusal('NOT_FOUND')] as const;
  const step = fc.record({
    what: fc.constantFrom('want', 'release', 'ask', 'answer', 'answer', 'unanswered', 'ended', 'lost', 'arrived', 'arrived' as const),
    name: fc.constantFrom(...NAMES),
    error: fc.constantFrom(...errors),
    which: fc.nat(20),
    recovered: fc.boolean(),
    /** Where the channel stands, as the server says; undefined where it keeps no history. */
    stand: fc.option(fc.nat(4), { nil: undefined }),
  });

  /** The same by hand: each channel has a state, the one question that counts, if it was asked on this connection, and a position. */
  interface Model {
    status: ChannelState['status'];
    code?: string | undefined;
    open?: Wish | 'settled' | undefined;
    offset?: number | undefined;
    hole?: number | undefined;
  }

  /** What becomes of a message, and of the channel. */
  function passes(model: Model, offset: number | undefined): string {
    if (model.status !== 'subscribed') return 'stale';
    if (model.offset === undefined || offset === undefined) return 'next';
    const ahead = offset - model.offset;
    if (ahead === 1) model.offset = offset;
    if (ahead <= 1) return ahead === 1 ? 'next' : 'stale';
    const isStuck = model.hole === model.offset;
    Object.assign(model, { status: 'subscribing', open: undefined, hole: model.offset });
    if (isStuck) model.offset = undefined;
    return 'hole';
  }

  it('ends where the model ends, and delivers what was confirmed last', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const subscriptions = new Subscriptions();
        const model: Record<string, Model> = { a: { status: 'idle' }, b: { status: 'idle' } };
        const asked: Wish[] = [];
        for (const { what, name, error, which, recovered, stand } of steps) {
          const entry = model[name] as Model;
          if (what === 'want') {
            subscriptions.want(name, undefined);
            if (entry.status === 'idle' || entry.status === 'failed') model[name] = { status: 'subscribing' };
          } else if (what === 'release') {
            const known = entry.open !== undefined && (entry.status === 'subscribing' || entry.status === 'subscribed');
            expect(subscriptions.release(name)).toBe(known);
            model[name] = { status: 'idle' };
          } else if (what === 'ask') {
            const questions = subscriptions.ask();
            const due = NAMES.filter((each) => model[each]?.status === 'subscribing' && !model[each]?.open);
            expect(questions.map(({ channel }) => channel).sort()).toEqual(due);
            for (const question of questions) {
              const target = model[question.channel] as Model;
              expect(question.position?.offset).toBe(target.offset);
              target.open = question;
            }
            asked.push(...questions);
          } else if (what === 'answer' || what === 'unanswered') {
            // Each question is answered once, as the ids of calls have it.
            const [question] = asked.splice(which % (asked.length || 1), 1);
            if (!question) continue;
            const target = model[question.channel] as Model;
            const counts = target.open === question;
            if (what === 'unanswered') {
              subscriptions.unanswered(question);
              if (counts) target.open = undefined;
              continue;
            }
            if (error) expect(subscriptions.refused(question, error)).toBe(counts);
            else {
              const isRecovered = recovered && question.position !== undefined;
              const from = isRecovered ? question.position.offset : stand;
              // Where it recovers, it stands there or further.
              const history = from === undefined ? {} : { epoch: 'e', offset: from + (isRecovered ? (stand ?? 0) : 0) };
              expect(subscriptions.confirmed(question, { recovered, ...history })).toBe(counts ? isRecovered : undefined);
              if (counts && !isRecovered) Object.assign(target, { offset: from, hole: undefined });
            }
            if (counts) Object.assign(target, { status: error ? 'failed' : 'subscribed', code: error?.code, open: 'settled' });
          } else if (what === 'ended') {
            const confirmed = entry.status === 'subscribed';
            expect(subscriptions.ended(name, error)).toBe(confirmed);
            if (confirmed && error) Object.assign(entry, { status: 'failed', code: error.code, offset: undefined });
            else if (confirmed) Object.assign(entry, { status: 'subscribing', open: undefined });
          } else if (what === 'arrived') {
            const offset = stand === undefined ? undefined : (entry.offset ?? 0) + stand - 1;
            expect(subscriptions.arrived(name, offset)).toBe(passes(entry, offset));
          } else {
            const changed: string[] = [];
            for (const each of NAMES) {
              const { status, code = '', offset, hole } = model[each] as Model;
              const returns = status === 'subscribed' || (status === 'failed' && !PERMANENT.includes(code));
              if (returns) changed.push(each);
              model[each] = { status: returns ? 'subscribing' : status, code: returns ? undefined : code, open: undefined, offset, hole };
            }
            expect(subscriptions.lost().sort()).toEqual(changed);
          }
          for (const each of NAMES) {
            expect(subscriptions.stateOf(each).status).toBe(model[each]?.status);
            expect(delivers(subscriptions, each)).toBe(model[each]?.status === 'subscribed');
          }
          expect(subscriptions.size).toBe(NAMES.filter((each) => model[each]?.status !== 'idle').length);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('any server', () => {
  const step = fc.record({
    what: fc.constantFrom('publish', 'publish', 'publish', 'send', 'send', 'send', 'cut', 'demand', 'refuse', 'restart' as const),
    /** How far from what is next the server sends: what was there before, or what comes after a hole. */
    shift: fc.constantFrom(0, 0, 0, 0, -1, -3, 1, 2),
    honest: fc.boolean(),
  });

  it('gets each message delivered once and in order, or there is a gap where some are missing', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const subscriptions = new Subscriptions();
        subscriptions.want('a', undefined);
        let [epoch, last, next] = [0, 0, 1];
        /** The last one that was delivered, or where the channel stood at a gap. */
        let known: { epoch: number; offset: number } | undefined;
        const ask = (honest: boolean) => {
          for (const question of subscriptions.ask()) {
            const { position } = question;
            const has = position !== undefined && position.epoch === `${epoch}` && position.offset <= last && (honest || last % 2 === 0);
            const isRecovered = subscriptions.confirmed(question, { recovered: has, epoch: `${epoch}`, offset: last });
            expect(isRecovered).toBe(has);
            next = has ? position.offset + 1 : last + 1;
            if (!has) known = { epoch, offset: last };
          }
        };
        for (const { what, shift, honest } of steps) {
          if (what === 'publish') last++;
          else if (what === 'restart') [epoch, last, next] = [epoch + 1, 0, 1];
          else if (what === 'demand') subscriptions.ended('a', undefined);
          if (what === 'cut' || what === 'restart') subscriptions.lost();
          if (what === 'refuse') {
            subscriptions.lost();
            for (const question of subscriptions.ask()) subscriptions.refused(question, refusal());
            subscriptions.lost();
          }
          ask(honest);
          if (what !== 'send') continue;
          const offset = next + shift;
          if (offset < 1 || offset > last) continue;
          next = offset + 1;
          if (subscriptions.arrived('a', offset) !== 'next') continue;
          expect({ epoch, offset }).toEqual({ epoch: known?.epoch, offset: (known?.offset ?? 0) + 1 });
          known = { epoch, offset };
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
