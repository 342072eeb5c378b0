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
  subscriptions.answer(askOne(subscriptions), status === 'failed' ? error : undefined);
  return subscriptions;
}

const status = (subscriptions: Subscriptions) => subscriptions.stateOf('a').status;

describe('a channel', () => {
  it('is idle while nobody wants it', () => {
    const subscriptions = channel('idle');
    expect([status(subscriptions), subscriptions.size, subscriptions.delivers('a')]).toEqual(['idle', 0, false]);
    expect(subscriptions.ask()).toEqual([]);
  });

  it('idle → subscribing: wanted, and asked for once', () => {
    const subscriptions = channel('subscribing');
    expect([status(subscriptions), subscriptions.size, subscriptions.delivers('a')]).toEqual(['subscribing', 1, false]);
    expect(askOne(subscriptions)).toMatchObject({ channel: 'a', params: { token: 1 } });
    expect(subscriptions.ask()).toEqual([]);
    expect(subscriptions.delivers('a')).toBe(false);
  });

  it('subscribing → subscribed: confirmed, and only from then on it delivers', () => {
    const subscriptions = channel('subscribing');
    expect(subscriptions.answer(askOne(subscriptions), undefined)).toBe(true);
    expect([status(subscriptions), subscriptions.delivers('a'), subscriptions.ask()]).toEqual(['subscribed', true, []]);
  });

  it('subscribing → failed: refused, with the error, and not asked for again', () => {
    const subscriptions = channel('subscribing');
    const error = refusal();
    expect(subscriptions.answer(askOne(subscriptions), error)).toBe(true);
    expect(subscriptions.stateOf('a')).toEqual({ status: 'failed', error });
    expect([subscriptions.delivers('a'), subscriptions.ask(), subscriptions.size]).toEqual([false, [], 1]);
  });

  it('subscribed → subscribing: the connection was lost, and it is asked for on the next one', () => {
    const subscriptions = channel('subscribed');
    expect(subscriptions.lost()).toEqual(['a']);
    expect([status(subscriptions), subscriptions.delivers('a')]).toEqual(['subscribing', false]);
    expect(askOne(subscriptions)).toMatchObject({ channel: 'a', params: { token: 1 } });
  });

  it('subscribed → subscribing: the server demands it anew', () => {
    const subscriptions = channel('subscribed');
    expect(subscriptions.ended('a', undefined)).toBe(true);
    expect([status(subscriptions), subscriptions.delivers('a')]).toEqual(['subscribing', false]);
    expect(askOne(subscriptions).channel).toBe('a');
  });

  it('subscribed → failed: ended by the server', () => {
    const subscriptions = channel('subscribed');
    const error = refusal();
    expect(subscriptions.ended('a', error)).toBe(true);
    expect(subscriptions.stateOf('a')).toEqual({ status: 'failed', error });
    expect([subscriptions.delivers('a'), subscriptions.ask()]).toEqual([false, []]);
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
    expect([status(subscriptions), subscriptions.size, subscriptions.delivers('a'), subscriptions.ask()]).toEqual(['idle', 0, false, []]);
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
      expect(subscriptions.answer(question, error)).toBe(false);
      expect(subscriptions.stateOf('a')).toEqual(before);
      expect(subscriptions.delivers('a')).toBe(false);
    }
  });

  it('to an earlier question does not spoil the one to the question that counts', () => {
    const subscriptions = channel('subscribing');
    const old = askOne(subscriptions);
    subscriptions.lost();
    const question = askOne(subscriptions);
    expect(question.generation).not.toBe(old.generation);
    expect([subscriptions.answer(old, refusal()), subscriptions.answer(question, undefined)]).toEqual([false, true]);
    expect([subscriptions.answer(old, refusal()), status(subscriptions)]).toEqual([false, 'subscribed']);
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
    expect(subscriptions.answer(declared, undefined)).toBe(false);
  });

  it('belongs to its channel, whatever the name', () => {
    const subscriptions = new Subscriptions();
    const names = ['a', '', '__proto__', 'constructor'];
    for (const name of names) subscriptions.want(name, name);
    const questions = subscriptions.ask();
    expect(questions.map(({ channel, params }) => [channel, params])).toEqual(names.map((name) => [name, name]));
    expect(new Set(questions.map(({ generation }) => generation)).size).toBe(names.length);
    for (const question of questions.slice(1)) subscriptions.answer(question, undefined);
    expect(names.map((name) => subscriptions.delivers(name))).toEqual([false, true, true, true]);
    expect(subscriptions.lost()).toEqual(names.slice(1));
  });
});

describe('any walk through the diagram', () => {
  const NAMES = ['a', 'b'] as const;
  const errors = [undefined, refusal(), refusal('NOT_FOUND')] as const;
  const step = fc.record({
    what: fc.constantFrom('want', 'release', 'ask', 'answer', 'answer', 'unanswered', 'ended', 'lost' as const),
    name: fc.constantFrom(...NAMES),
    error: fc.constantFrom(...errors),
    which: fc.nat(20),
  });

  /** The same by hand: each channel has a state, and the one question that counts, if it was asked on this connection. */
  interface Model {
    status: ChannelState['status'];
    code?: string | undefined;
    open?: Wish | 'settled' | undefined;
  }

  it('ends where the model ends, and delivers what was confirmed last', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const subscriptions = new Subscriptions();
        const model: Record<string, Model> = { a: { status: 'idle' }, b: { status: 'idle' } };
        const asked: Wish[] = [];
        for (const { what, name, error, which } of steps) {
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
            for (const question of questions) Object.assign(model[question.channel] as Model, { open: question });
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
            expect(subscriptions.answer(question, error)).toBe(counts);
            if (counts) Object.assign(target, { status: error ? 'failed' : 'subscribed', code: error?.code, open: 'settled' });
          } else if (what === 'ended') {
            const confirmed = entry.status === 'subscribed';
            expect(subscriptions.ended(name, error)).toBe(confirmed);
            if (confirmed && error) Object.assign(entry, { status: 'failed', code: error.code });
            else if (confirmed) model[name] = { status: 'subscribing' };
          } else {
            const changed: string[] = [];
            for (const each of NAMES) {
              const { status, code = '' } = model[each] as Model;
              const returns = status === 'subscribed' || (status === 'failed' && !PERMANENT.includes(code));
              if (returns) changed.push(each);
              model[each] = returns ? { status: 'subscribing' } : { status, code, open: undefined };
            }
            expect(subscriptions.lost().sort()).toEqual(changed);
          }
          for (const each of NAMES) {
            expect(subscriptions.stateOf(each).status).toBe(model[each]?.status);
            expect(subscriptions.delivers(each)).toBe(model[each]?.status === 'subscribed');
          }
          expect(subscriptions.size).toBe(NAMES.filter((each) => model[each]?.status !== 'idle').length);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
