/** Calls, both ways: answered once, never hanging, whatever the handler or the connection does. */

import { describe, expect, it, vi } from 'vitest';
import { CallError, MessageTooLargeError, SessionLostError, TimeoutError } from '../../src/errors.ts';
import { hosting } from '../support/hosting.ts';
import { pair } from '../support/link.ts';
import { BRIEF_SESSIONS, byHand, cycle, hanging, lose, NO_SESSIONS, says, talk } from './support.ts';

describe.each(['client', 'server'] as const)('a call by the %s', (caller) => {
  it.each([0, '', false, null, 'sum', 1.5, [1, [2]], { a: { b: null } }, undefined])('is answered with %j', async (result) => {
    const t = await talk(caller);
    t.handle('echo', (params) => params);
    t.handle('give', async () => result);
    expect(await t.call('give')).toEqual(result);
    expect(await t.call('echo', result)).toEqual(result);
    expect(t.p.log).toEqual(['open']);
  });

  it('carries bytes both ways, empty ones too', async () => {
    const t = await talk(caller);
    t.handle('reverse', (bytes) => (bytes as Uint8Array).toReversed());
    expect(await t.call('reverse', new Uint8Array([1, 0xff, 3]))).toEqual(new Uint8Array([3, 0xff, 1]));
    expect(await t.call('reverse', new Uint8Array())).toEqual(new Uint8Array());
  });

  it('takes the parameters as they are when it is made', async () => {
    const t = await talk(caller);
    t.handle('echo', (params) => params);
    const params = { list: [1] };
    const call = t.call('echo', params);
    params.list.push(2);
    expect(await call).toEqual({ list: [1] });
  });

  it('fails as the handler says, with code, message, data and retryAfter', async () => {
    const t = await talk(caller);
    t.handle('no', async () => {
      throw new CallError('sold_out', 'Nothing left', { data: { next: 'may' }, retryAfter: 500 });
    });
    const error = await t.call('no').catch((error: unknown) => error);
    expect(error).toBeInstanceOf(CallError);
    expect(error).toMatchObject({ code: 'sold_out', message: 'Nothing left', data: { next: 'may' }, retryAfter: 500 });
  });

  it.each([
    ['throws', () => Promise.reject(new Error('the password is kelp'))],
    ['throws nothing at all', () => Promise.reject(undefined)],
    ['returns a cycle', cycle],
    ['returns a BigInt', () => 1n],
    ['returns a function', () => () => {}],
  ])('is INTERNAL when the handler %s, and tells nothing else', async (_what, handler) => {
    const console = vi.spyOn(globalThis.console, 'error').mockReturnValue();
    const t = await talk(caller);
    t.handle('bad', handler);
    const error = await t.call('bad').catch((error: unknown) => error);
    expect(error).toMatchObject({ name: 'CallError', code: 'INTERNAL', data: undefined });
    expect(JSON.stringify(t.answered())).not.toContain('kelp');
    expect(t.answered()).toHaveLength(1);
    expect(t.p.errors.length + console.mock.calls.length).toBe(1); // reported once, where it happened
    t.handle('good', () => 'still there');
    expect(await t.call('good')).toBe('still there');
    console.mockRestore();
  });

  it('leaves out error data that cannot be sent', async () => {
    const t = await talk(caller);
    t.handle('no', () => Promise.reject(new CallError('odd', 'odd', { data: cycle() })));
    await expect(t.call('no')).rejects.toMatchObject({ code: 'odd', data: undefined });
  });

  it('is UNIMPLEMENTED at once where nobody answers it, also by the name of what every object has', async () => {
    const t = await talk(caller);
    for (const method of ['nothing', 'toString', '__proto__', ''])
      await expect(t.call(method)).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  it('rejects parameters that cannot be sent, and sends nothing', async () => {
    const t = await talk(caller);
    await expect(t.call('any', cycle())).rejects.toThrow(TypeError);
    await expect(t.call('any', 1n)).rejects.toThrow(TypeError);
    await expect(t.call('any', 'x'.repeat(2 ** 18))).rejects.toBeInstanceOf(MessageTooLargeError);
    expect(t.asked()).toEqual([]);
    expect(t.p.client.stats.pendingCalls).toBe(0);
  });

  it('fails with RESOURCE_EXHAUSTED when the result is larger than the caller takes', async () => {
    const t = await talk(caller, { messageLimit: 2_048 }, { limits: { message: 2_048 } });
    t.handle('much', (bytes) => 'x'.repeat(bytes as number));
    await expect(t.call('much', 2_100)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(await t.call('much', 1_900)).toHaveLength(1_900);
    expect(t.p.log).toEqual(['open']);
  });

  it('says how long it may take, and is over at that time at both ends with one final frame', async () => {
    const t = await talk(caller);
    const { handler, reasons } = hanging();
    t.handle('hang', handler);
    const call = t.call('hang', undefined, { timeout: 700 });
    await t.p.settle();
    expect(t.asked()).toEqual([{ type: 'request', id: 1, method: 'hang', timeout: 700 }]);
    await t.p.clock.advance(699);
    expect(reasons).toEqual([]);
    await t.p.clock.advance(1);
    const error = await call.catch((error: unknown) => error);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', maybeExecuted: true });
    await t.p.settle();
    expect(reasons).toHaveLength(1);
    expect(t.asked().slice(1)).toEqual([{ type: 'cancel', id: 1 }]);
    expect(t.answered()).toMatchObject([{ type: 'error', id: 1 }]);
  });

  it('of a dead caller is ended by the timeout it came with', async () => {
    const t = await talk(caller);
    const { handler, reasons } = hanging();
    t.handle('hang', handler);
    const call = t.call('hang', undefined, { timeout: 700 });
    await t.p.settle();
    t.p.socket.vanish();
    await t.p.clock.advance(700);
    expect(reasons).toMatchObject([{ code: 'DEADLINE_EXCEEDED' }]);
    await expect(call).rejects.toBeInstanceOf(TimeoutError);
  });

  it('without a timeout waits as long as it takes', async () => {
    const t = await talk(caller);
    t.handle('slow', () => new Promise((resolve) => t.p.clock.setTimeout(() => resolve('at last'), 3_600_000)));
    const call = t.call('slow', undefined, { timeout: Infinity });
    await t.p.settle();
    expect(t.asked()).toEqual([{ type: 'request', id: 1, method: 'slow' }]);
    await t.p.clock.advance(3_600_000);
    expect(await call).toBe('at last');
    expect(t.p.log).toEqual(['open']);
  });

  it("aborted after it was written rejects with the reason, reaches the handler's signal, and gets one final frame", async () => {
    const t = await talk(caller);
    const { handler, reasons } = hanging();
    t.handle('hang', handler);
    const abort = new AbortController();
    const call = t.call('hang', undefined, { signal: abort.signal });
    await t.p.settle();
    abort.abort('enough');
    await expect(call).rejects.toBe('enough');
    await t.p.settle();
    expect(reasons).toMatchObject([{ code: 'CANCELLED' }]);
    expect(t.asked().map(({ type }) => type)).toEqual(['request', 'cancel']);
    expect(t.answered()).toMatchObject([{ type: 'error', id: 1, error: { code: 'CANCELLED' } }]);
    await t.p.clock.advance(60_000);
    expect(t.answered()).toHaveLength(1);
  });

  it('leaves nothing on a signal that lives longer than it', async () => {
    const t = await talk(caller);
    t.handle('one', () => 1);
    const { signal } = new AbortController();
    const [added, removed] = [vi.spyOn(signal, 'addEventListener'), vi.spyOn(signal, 'removeEventListener')];
    expect(await t.call('one', undefined, { signal })).toBe(1);
    await expect(t.call('none', undefined, { signal })).rejects.toBeInstanceOf(CallError);
    expect(added).toHaveBeenCalledTimes(2);
    expect(removed.mock.calls.map(([type, listener]) => [type, listener])).toEqual(
      added.mock.calls.map(([type, listener]) => [type, listener]),
    );
  });

  it('aborted before it was made is not made', async () => {
    const t = await talk(caller);
    await expect(t.call('any', 1, { signal: AbortSignal.abort('never mind') })).rejects.toBe('never mind');
    await t.p.settle();
    expect(t.asked()).toEqual([]);
  });

  it('takes no notice of what a handler does after it was cancelled, nor of an abort after the answer', async () => {
    const t = await talk(caller);
    let finish: (value: unknown) => void = () => {};
    t.handle(
      'deaf',
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    );
    t.handle('quick', () => 1);
    const abort = new AbortController();
    const call = t.call('deaf', undefined, { signal: abort.signal });
    const quick = t.call('quick', undefined, { signal: abort.signal });
    expect(await quick).toBe(1);
    abort.abort('enough');
    await expect(call).rejects.toBe('enough');
    await t.p.settle();
    finish('too late');
    await t.p.settle();
    expect(t.answered().map(({ type, id }) => `${type} ${id}`)).toEqual(['response 2', 'error 1']);
    expect(t.asked().filter(({ type }) => type === 'cancel')).toEqual([{ type: 'cancel', id: 1 }]);
    expect(t.p.log).toEqual(['open']);
  });

  it('is refused above the limit of calls at once, and not any more when one has ended', async () => {
    const t = await talk(caller, { maxConcurrentCalls: 2 }, { limits: { calls: 2 } });
    const ends: ((value: unknown) => void)[] = [];
    t.handle('wait', () => new Promise((resolve) => ends.push(resolve)));
    const [first, second] = [t.call('wait'), t.call('wait')];
    await expect(t.call('wait')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    ends[0]?.('done');
    expect(await first).toBe('done');
    const third = t.call('wait');
    await t.p.settle();
    for (const end of ends) end('done');
    expect(await Promise.all([second, third])).toEqual(['done', 'done']);
  });

  it('that was written when the connection broke goes on, and is answered when there is another: nobody is told', async () => {
    const t = await talk(caller);
    const ends: ((value: unknown) => void)[] = [];
    const reasons: unknown[] = [];
    t.handle('wait', (_params, { signal }) => {
      signal.addEventListener('abort', () => reasons.push(signal.reason));
      return new Promise((resolve) => ends.push(resolve));
    });
    const call = t.call('wait');
    await t.p.clock.advance(1_000); // a client that never said a word would not be waited for
    t.p.socket.cut();
    await t.p.settle();
    ends[0]?.('done'); // while there is no connection
    await t.p.clock.advance(1_000);
    await t.p.settle();
    expect(await call).toBe('done');
    expect([ends.length, reasons]).toEqual([1, []]);
    expect(t.asked()).toEqual([]);
    expect(t.answered()).toEqual([{ type: 'response', id: 1, result: 'done' }]);
    expect(t.p.log).toEqual(['open', 'close 1006 again', 'open']);
    expect(t.p.client.stats.pendingCalls).toBe(0);
  });

  it.each(['the request', 'the answer'])('is executed once when %s gets lost on its way, and is written again', async (what) => {
    const t = await talk(caller);
    let end = (_value: unknown) => {};
    const run = vi.fn(
      () =>
        new Promise((resolve) => {
          end = resolve;
        }),
    );
    t.handle('wait', run);
    t.p.client.send('note'); // a client that never said a word would not be waited for
    await t.p.settle();
    const isRequest = what === 'the request';
    if (isRequest) t.p.socket.vanish();
    const call = t.call('wait');
    await t.p.settle();
    expect(run).toHaveBeenCalledTimes(isRequest ? 0 : 1);
    if (!isRequest) t.p.socket.vanish();
    end('done');
    await t.p.settle();
    t.p.client.reconnect();
    await t.p.settle();
    end('done');
    expect(await call).toBe('done');
    expect(run).toHaveBeenCalledTimes(1);
    expect(t.asked()).toMatchObject(isRequest ? [{ type: 'request', id: 1, method: 'wait' }] : []);
    expect(t.answered()).toEqual([{ type: 'response', id: 1, result: 'done' }]);
    expect(t.p.client.stats.resent).toBe(isRequest === (caller === 'client') ? 1 : 0);
  });

  it('is lost with its session: it may have been executed, and its handler is told', async () => {
    const t = await talk(caller, {}, BRIEF_SESSIONS);
    const { handler, reasons } = hanging();
    t.handle('hang', handler);
    const lost = t.call('hang').catch((error: unknown) => error);
    await t.p.clock.advance(1_000);
    await lose(t.p);
    const error = await lost;
    expect(error).toBeInstanceOf(SessionLostError);
    expect(error).toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
    expect(reasons).toMatchObject([{ code: 'SESSION_LOST' }]);
    expect(t.asked()).toEqual([]);
    expect(t.p.client.stats.pendingCalls).toBe(0);
  });

  it('without a session is lost with its connection: it rejects at once, and its handler is told', async () => {
    const t = await talk(caller, {}, NO_SESSIONS);
    const { handler, reasons } = hanging();
    t.handle('hang', handler);
    const call = t.call('hang');
    await t.p.settle();
    t.p.socket.cut();
    const error = await call.catch((error: unknown) => error);
    expect(error).toBeInstanceOf(SessionLostError);
    expect(error).toMatchObject({ code: 'SESSION_LOST', maybeExecuted: true });
    expect(reasons).toHaveLength(1);
    expect(t.p.client.stats.pendingCalls).toBe(0);
  });

  it('finds its own answer among a thousand, in whatever order they come', async () => {
    const t = await talk(caller, { maxConcurrentCalls: Infinity }, { limits: { calls: Infinity } });
    const ends: (() => void)[] = [];
    t.handle('echo', (params) => new Promise((resolve) => ends.push(() => resolve(params))));
    const calls = Array.from({ length: 1_000 }, (_, i) => t.call('echo', i));
    await t.p.settle();
    for (const end of ends.reverse()) end();
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
    expect(t.answered().map(({ id }) => id)).toEqual(Array.from({ length: 1_000 }, (_, i) => 1_000 - i));
    await t.p.client.close();
    await t.p.settle();
    expect(t.p.clock.pending).toBe(0); // no deadline stays behind
  });

  it('gets no answer from frames for ids that were never given or are over', async () => {
    const t = await talk(caller, {}, NO_SESSIONS);
    t.handle('one', () => 1);
    expect(await t.call('one')).toBe(1);
    for (const id of STRAY_IDS) {
      const text = JSON.stringify(strays(id));
      if (caller === 'client') t.p.socket.deliver(text);
      else t.p.socket.send(text);
    }
    await t.p.settle();
    expect(t.p.log).toEqual(['open']);
    expect(await t.call('one')).toBe(1);
  });
});

const STRAY_IDS = [1, 99, 2 ** 53 - 1];
/** Frames for an id that nobody asked with, or nobody waits for any more. */
const strays = (id: number) => [
  { type: 'response', id, result: 'stray' },
  { type: 'error', id, error: { code: 'STRAY' } },
  { type: 'cancel', id },
];

describe('in a session, frames for ids that were never given or are over', () => {
  const numbered = (before: number) => STRAY_IDS.flatMap(strays).map((frame, i) => ({ ...frame, seq: before + i + 1 }));

  it('count at the client, and answer nothing', async () => {
    const p = pair();
    p.reachable = false;
    await byHand(p);
    const first = p.client.call('one');
    await says(p, { type: 'response', id: 1, result: 1, seq: 1 });
    expect(await first).toBe(1);
    await says(p, numbered(1));
    const second = p.client.call('one');
    await says(p, { type: 'response', id: 2, result: 2, seq: 11 });
    expect(await second).toBe(2);
    expect(p.log).toEqual(['open']);
  });

  it('count at the server, and answer nothing', async () => {
    const { host, welcomed } = hosting();
    const peer = await welcomed({ features: ['calls', 'resume'] });
    const [client] = host.clients;
    const first = client?.call('one');
    await peer.says({ type: 'response', id: 1, result: 1, seq: 1 });
    expect(await first).toBe(1);
    await peer.says(numbered(1));
    const second = client?.call('one');
    await peer.says({ type: 'response', id: 2, result: 2, seq: 11 });
    expect(await second).toBe(2);
    expect(peer.closes).toEqual([]);
  });
});
