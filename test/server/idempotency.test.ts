/** Executions without a broker: what is remembered, how long, and what goes when there is no room. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Begun, Outcome } from '../../src/server/broker.ts';
import { Executions, type IdempotencyLimits } from '../../src/server/idempotency.ts';

/** What an execution costs beside its key, its fingerprint and its outcome. */
const COST = 512;

function remembering(limits: Partial<IdempotencyLimits> = {}) {
  const executions = new Executions({ ttl: 100, capacity: Infinity, bytes: Infinity, ...limits });
  const begin = (key: string, now = 0, fingerprint = '') => executions.begin(key, fingerprint, now);
  return {
    executions,
    begin,
    status: (key: string, now = 0, fingerprint = '') => begin(key, now, fingerprint).status,
    finish: (key: string, payload = '', now = 0) => executions.finish(key, { payload }, now),
    /** Begins and finishes. */
    run(key: string, payload = '', now = 0) {
      expect(begin(key, now).status).toBe('new');
      executions.finish(key, { payload }, now);
    },
  };
}

describe('an execution', () => {
  it('is remembered for so long after it is done, to the millisecond, and then may be anything', () => {
    const { executions, begin, status, finish } = remembering();
    begin('k', 0);
    finish('k', '1', 50);
    expect(begin('k', 149.9)).toEqual({ status: 'done', outcome: { payload: '1' } });
    expect(status('k', 149.9, 'other')).toBe('conflict');
    expect(status('k', 150, 'other')).toBe('new');
    expect([executions.size, executions.bytes]).toEqual([1, COST + 6]);
  });

  it('is not remembered for longer because it is asked for', () => {
    const { begin, status, run } = remembering();
    run('k');
    for (const now of [30, 60, 99]) expect(begin('k', now).status).toBe('done');
    expect(status('k', 100)).toBe('new');
  });

  it('runs for as long as it takes', () => {
    const { executions, begin, status, finish } = remembering();
    begin('k', 0);
    expect(status('k', 1e9)).toBe('running');
    finish('k', '1', 1e9);
    expect(status('k', 1e9 + 99)).toBe('done');
    expect(executions.size).toBe(1);
  });

  it('with a ttl of 0 is remembered for those who wait and nobody else', async () => {
    const { executions, begin, status, finish } = remembering({ ttl: 0 });
    begin('k');
    const joined = begin('k');
    finish('k', '1');
    expect(await outcomeOf(joined)).toEqual({ payload: '1' });
    expect(status('k')).toBe('new');
    expect(executions.size).toBe(1);
  });

  it('tells all who wait with one promise, however many', () => {
    const { begin } = remembering();
    begin('k');
    const [first, second] = [begin('k'), begin('k')];
    expect(first.status === 'running' && second.status === 'running' && first.outcome === second.outcome).toBe(true);
  });

  it('leaves nothing behind when it is forgotten', () => {
    const { executions, begin } = remembering();
    begin('key', 0, 'print');
    expect(executions.bytes).toBe(COST + 8);
    executions.forget('key');
    expect([executions.size, executions.bytes]).toEqual([0, 0]);
  });

  it('counts its key, its fingerprint and its outcome as UTF-8, and 512 bytes', () => {
    const { executions, begin, finish, run } = remembering();
    begin('é', 0, 'f');
    expect(executions.bytes).toBe(COST + 3);
    finish('é', 'ü');
    expect(executions.bytes).toBe(COST + 5);
    begin('e');
    executions.finish('e', { error: { code: 'é' } }, 0);
    expect(executions.bytes).toBe(2 * COST + 6 + '{"code":"é"}'.length + 1);
    begin('n');
    executions.finish('n', {}, 0);
    expect(executions.bytes).toBe(3 * COST + 20);
    run('b', 'x'.repeat(100));
    expect([executions.size, executions.bytes]).toEqual([4, 4 * COST + 121]);
  });

  it('that came to something that is no JSON is told and not remembered', async () => {
    const { executions, begin, status } = remembering();
    begin('k');
    const joined = begin('k');
    executions.finish('k', { error: { code: 'odd', data: 1n } }, 0);
    expect(await outcomeOf(joined)).toEqual({ error: { code: 'odd', data: 1n } });
    expect(executions.size).toBe(0);
    expect(status('k')).toBe('new');
  });
});

describe('where there is no room', () => {
  it('what was done longest ago goes first', () => {
    const { executions, begin, finish, run, status } = remembering({ capacity: 3 });
    for (const key of ['a', 'b', 'c']) begin(key);
    for (const key of ['b', 'a', 'c']) finish(key);
    run('d');
    expect([status('a'), status('c'), status('d')]).toEqual(['done', 'done', 'done']);
    run('e');
    expect([status('c'), status('d'), status('e')]).toEqual(['done', 'done', 'done']);
    expect(executions.size).toBe(3);
  });

  it('what runs stays, and a new one is refused where that takes all of it', () => {
    const { executions, begin, finish, status } = remembering({ capacity: 2 });
    begin('a');
    begin('b');
    expect(begin('c')).toEqual({ status: 'full' });
    expect([status('a'), status('b'), executions.size]).toEqual(['running', 'running', 2]);
    finish('a');
    expect(status('c')).toBe('new');
    expect([status('b'), status('c'), status('a')]).toEqual(['running', 'running', 'full']);
  });

  it('is room again when something is forgotten', () => {
    const { executions, begin, status } = remembering({ capacity: 1 });
    begin('a');
    executions.forget('a');
    expect(status('b')).toBe('new');
  });

  it('in bytes, as many are forgotten as it takes, and not one more', () => {
    const { executions, run, status } = remembering({ bytes: 3 * (COST + 1) + 10 });
    run('a', 'aaa');
    run('b', 'bbb');
    run('c', 'cccc');
    expect(executions.size).toBe(3);
    run('d', 'd');
    expect(executions.size).toBe(3);
    expect([status('b'), status('c'), status('d')]).toEqual(['done', 'done', 'done']);
    run('e', 'e'.repeat(COST + 5)); // as much as two of them
    expect(executions.size).toBe(2);
    expect([status('d'), status('e')]).toEqual(['done', 'done']);
  });

  it('in bytes, a new one is refused where the others run, and nothing is forgotten in vain', () => {
    const { begin, run, status } = remembering({ bytes: 3 * COST + 1 });
    begin('a'.repeat(COST));
    run('b');
    expect(status('c'.repeat(COST))).toBe('full');
    expect(status('b')).toBe('done');
  });

  it('an outcome that would not fit even alone is told, not remembered, and drives nothing out', async () => {
    const { executions, begin, finish, run, status } = remembering({ bytes: 3 * COST });
    run('a');
    begin('b');
    const joined = begin('b');
    finish('b', 'x'.repeat(3 * COST));
    expect(await outcomeOf(joined)).toEqual({ payload: 'x'.repeat(3 * COST) });
    expect([executions.size, executions.bytes]).toEqual([1, COST + 1]);
    expect([status('a'), status('b')]).toEqual(['done', 'new']);
  });

  it('what is too old goes before what is not', () => {
    const { run, status } = remembering({ capacity: 2 });
    run('a', '', 0);
    run('b', '', 50);
    run('c', '', 100);
    expect([status('b', 100), status('c', 100)]).toEqual(['done', 'done']);
  });
});

type Step = {
  readonly type: 'begin' | 'finish' | 'forget' | 'wait';
  readonly key: string;
  readonly fingerprint: string;
  readonly size: number;
};

describe('whatever happens', () => {
  const step: fc.Arbitrary<Step> = fc.record({
    type: fc.constantFrom('begin', 'begin', 'begin', 'finish', 'finish', 'forget', 'wait' as const),
    key: fc.constantFrom('a', 'b', 'c', 'd', '__proto__'),
    fingerprint: fc.constantFrom('f', 'f', 'f', 'g'),
    size: fc.nat(60),
  });
  const limits = fc.record({
    ttl: fc.nat(200),
    capacity: fc.integer({ min: 1, max: 6 }),
    bytes: fc.constantFrom(0, 1_200, 2_000, Infinity),
  });

  /** The same by a list, which is looked through from its beginning each time. */
  class Plain {
    list: { key: string; fingerprint: string; bytes: number; outcome?: Outcome; expiresAt: number }[] = [];
    readonly limits: IdempotencyLimits;

    constructor(limits: IdempotencyLimits) {
      this.limits = limits;
    }

    get bytes() {
      return this.list.reduce((sum, { bytes }) => sum + bytes, 0);
    }

    expire(now: number) {
      this.list = this.list.filter(({ outcome, expiresAt }) => !outcome || expiresAt > now);
    }

    makeRoom(bytes: number): boolean {
      const fits = (list: Plain['list']) =>
        list.length < this.limits.capacity && list.reduce((sum, each) => sum + each.bytes, bytes) <= this.limits.bytes;
      if (!fits(this.list.filter(({ outcome }) => !outcome))) return false;
      while (!fits(this.list))
        this.list.splice(
          this.list.findIndex(({ outcome }) => outcome),
          1,
        );
      return true;
    }

    begin(key: string, fingerprint: string): string {
      const known = this.list.find((each) => each.key === key);
      if (known) return known.fingerprint !== fingerprint ? 'conflict' : known.outcome ? 'done' : 'running';
      const bytes = COST + key.length + fingerprint.length;
      if (!this.makeRoom(bytes)) return 'full';
      this.list.push({ key, fingerprint, bytes, expiresAt: Infinity });
      return 'new';
    }

    end(key: string, size: number | undefined, now: number) {
      const at = this.list.findIndex((each) => each.key === key && !each.outcome);
      const [ended] = at < 0 ? [] : this.list.splice(at, 1);
      if (!ended || size === undefined || !this.makeRoom(ended.bytes + size)) return;
      this.list.push({ ...ended, bytes: ended.bytes + size, outcome: {}, expiresAt: now + this.limits.ttl });
    }
  }

  it('it is what a plain list says it is, and within its bounds', () => {
    const seen: Record<string, number> = {};
    fc.assert(
      fc.property(limits, fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (limits, steps) => {
        const executions = new Executions(limits);
        const plain = new Plain(limits);
        let now = 0;
        for (const { type, key, fingerprint, size } of steps) {
          if (type === 'wait') now += size;
          if (type !== 'wait' && type !== 'forget') plain.expire(now);
          if (type === 'begin') {
            const { status } = executions.begin(key, fingerprint, now);
            expect(status).toBe(plain.begin(key, fingerprint));
            seen[status] = (seen[status] ?? 0) + 1;
          }
          if (type === 'finish') executions.finish(key, { payload: 'x'.repeat(size) }, now);
          if (type === 'forget') executions.forget(key);
          if (type === 'finish' || type === 'forget') plain.end(key, type === 'finish' ? size : undefined, now);
          expect([executions.size, executions.bytes]).toEqual([plain.list.length, plain.bytes]);
          expect(executions.size).toBeLessThanOrEqual(limits.capacity);
          expect(executions.bytes).toBeLessThanOrEqual(limits.bytes);
        }
      }),
      { numRuns: 300 },
    );
    for (const status of ['conflict', 'done', 'full', 'new', 'running']) expect([status, (seen[status] ?? 0) > 20]).toEqual([status, true]);
  }, 30_000);
});

async function outcomeOf(begun: Begun): Promise<Outcome | undefined> {
  if (begun.status !== 'running') throw new Error(`It is ${begun.status}`);
  return begun.outcome;
}
