import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Loss } from '../../src/core/state.ts';
import { endpoints } from '../../src/endpoints.ts';
import { odd, world } from '../support/face.ts';
import { FakeClock } from '../support/fake-clock.ts';

afterEach(() => vi.restoreAllMocks());

const [A, B, C] = ['wss://a.example/', 'wss://b.example/', 'wss://c.example/'];

function choosing(urls: readonly string[], rest?: number) {
  const clock = new FakeClock();
  const choose = endpoints(urls, { clock, ...(rest !== undefined && { rest }) });
  const next = (attempt: number, kind?: Loss['kind']) =>
    choose({ attempt, cause: kind && { kind, code: 1006, reason: '', wasClean: false } });
  return { clock, next };
}

describe('endpoints()', () => {
  it('takes them in order, the next one whenever one does not open', () => {
    const { next } = choosing([A, B, C]);
    expect([next(0), next(1, 'failed'), next(2, 'timeout')]).toEqual([A, B, C]);
  });

  it('goes on with the next one without a rest, too', () => {
    const { next } = choosing([A, B, C], 0);
    expect([next(0), next(1, 'failed'), next(2, 'failed'), next(3, 'failed')]).toEqual([A, B, C, A]);
  });

  it('stays with the one that was open when it is lost, for one attempt', () => {
    const { next } = choosing([A, B]);
    expect([next(0), next(1, 'closed'), next(2, 'failed')]).toEqual([A, A, B]);
    expect([next(0, 'replaced'), next(1, 'heartbeat'), next(2, 'closed')]).toEqual([B, B, A]);
  });

  it('leaves alone what failed for its rest, which gets longer', async () => {
    const { clock, next } = choosing([A, B], 1_000);
    expect([next(0), next(1, 'failed')]).toEqual([A, B]);
    await clock.advance(1_000);
    expect(next(2, 'failed')).toBe(A); // b rests from now
    await clock.advance(999);
    expect(next(3, 'failed')).toBe(B); // both rest, a for 2 s more: b has rested longest
    expect(next(4, 'failed')).toBe(A); // b for 2 s from now, a for 1999 ms
    for (let i = 5; i < 30; i++) next(i, 'failed');
    const open = next(1, 'closed');
    await clock.advance(10_000); // nobody rests for more than ten times that
    expect(next(1, 'failed')).toBe(open === A ? B : A);
  });

  it('forgets what failed when it was open again', async () => {
    const { clock, next } = choosing([A, B], 1_000);
    next(0);
    next(1, 'failed');
    next(2, 'failed');
    expect(next(1, 'closed')).toBe(A);
    await clock.advance(1);
    expect(next(2, 'failed')).toBe(B);
    await clock.advance(1_000);
    expect(next(3, 'failed')).toBe(A); // one rest, not four
  });

  it('is the url of a socket', async () => {
    const clock = new FakeClock();
    const w = world({ clock }, endpoints([A, B], { clock }));
    await w.settle();
    w.socket.closed();
    await clock.advance(1_000);
    await w.settle();
    expect(w.sockets.map(({ url }) => url)).toEqual([A, B]);
    await w.open();
    await clock.advance(5_000);
    w.socket.closed();
    await clock.advance(1_000);
    await w.settle();
    expect(w.sockets.map(({ url }) => url)).toEqual([A, B, B]);
    expect(w.ws.url).toBe(B);
  });

  it('says what it takes', () => {
    expect(() => endpoints([])).toThrow(/^endpoints\(\) takes one URL or more, but got /);
    expect(() => endpoints(odd('wss://a'))).toThrow(/takes one URL or more, but got 'wss:\/\/a'/);
    expect(() => endpoints([A, 'ftp://x'])).toThrow(/must have the scheme/);
    expect(() => endpoints([A], { rest: -1 })).toThrow(new TypeError('Option "rest" got -1; it takes milliseconds, 0 or more'));
    expect(() => endpoints([A], { rest: odd('1') })).toThrow(/Option "rest" got/);
    expect(() => endpoints([A], odd(null))).toThrow(new TypeError('Option "options" got null; it takes an object'));
  });

  it('warns of an option that it does not know', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    expect(endpoints([A], odd({ rests: 1 }))({ attempt: 0, cause: undefined })).toBe(A);
    expect(warn.mock.calls).toEqual([['Holdfast does not know the option "rests"; it is ignored']]);
  });
});
