/** Calls that are not written yet, and calls when it is over. */

import { describe, expect, it } from 'vitest';
import { ClosedError, QueueFullError, SessionLostError } from '../../src/errors.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { pair } from '../support/link.ts';
import { saidBy } from '../support/numbers.ts';
import { NO_SESSIONS } from './support.ts';

/** A pair whose server notes what it is called with, and the ends of the calls that hang. */
function noting(options: HostOptions = {}) {
  const ran: unknown[] = [];
  const hung: ((value: unknown) => void)[] = [];
  const methods = { note: (params: unknown) => void ran.push(params), hang: () => new Promise((resolve) => hung.push(resolve)) };
  return { p: pair({}, { ...options, handlers: { methods } }), ran, hung };
}

describe('a call by the client that is not written yet', () => {
  it('waits for a connection, and is answered; the time it waited is counted', async () => {
    const p = pair({}, { handlers: { methods: { one: () => 1 } } });
    p.reachable = false;
    const call = p.client.call('one', undefined, { timeout: 5_000 });
    await p.clock.advance(2_000);
    p.socket.accept(p.host);
    await p.settle();
    expect(await call).toBe(1);
    expect(saidBy('client', p.socket).filter(({ type }) => type === 'request')).toEqual([
      { type: 'request', id: 1, method: 'one', timeout: 3_000 },
    ]);
  });

  it('is never sent once its time is over: it was not executed', async () => {
    const p = pair();
    p.reachable = false;
    const call = p.client.call('one', undefined, { timeout: 1_000 });
    await p.clock.advance(1_000);
    await expect(call).rejects.toMatchObject({ name: 'TimeoutError', maybeExecuted: false });
    p.socket.accept(p.host);
    await p.settle();
    expect(p.frames().map(({ type }) => type)).toEqual(['hello']);
    expect(p.client.stats).toMatchObject({ sent: 0, queuedMessages: 0, queuedBytes: 0 });
  });

  it('is never sent once it was aborted, and uses up no id', async () => {
    const p = pair({}, { handlers: { methods: { one: () => 1 } } });
    await p.settle();
    const abort = new AbortController();
    const call = p.client.call('one', undefined, { signal: abort.signal });
    abort.abort('enough');
    await expect(call).rejects.toBe('enough');
    expect(await p.client.call('one')).toBe(1);
    expect(p.frames().slice(1)).toMatchObject([{ type: 'request', id: 1 }]);
  });

  it('goes over the next connection, while one that was written is not repeated; ids go on', async () => {
    const { p, ran, hung } = noting();
    await p.settle();
    const written = p.client.call('hang');
    await p.settle();
    p.socket.cut();
    const unwritten = p.client.call('note', 'later');
    await p.clock.advance(1_000);
    await p.settle();
    expect(await unwritten).toBeUndefined();
    expect([ran, hung.length]).toEqual([['later'], 1]);
    expect(saidBy('client', p.socket).slice(1)).toMatchObject([{ type: 'request', id: 2, method: 'note' }]);
    hung[0]?.('done');
    expect(await written).toBe('done');
  });

  it('goes over the next connection, while one that was written is lost, where there are no sessions; ids go on', async () => {
    const { p, ran } = noting(NO_SESSIONS);
    await p.settle();
    const written = p.client.call('hang');
    await p.settle();
    p.socket.cut();
    const unwritten = p.client.call('note', 'later');
    await expect(written).rejects.toBeInstanceOf(SessionLostError);
    await p.clock.advance(1_000);
    await p.settle();
    expect(await unwritten).toBeUndefined();
    expect(ran).toEqual(['later']);
    expect(saidBy('client', p.socket).slice(1)).toMatchObject([{ type: 'request', id: 2, method: 'note' }]);
  });

  it('rejects when it is pushed out of a full outbox, or finds no room in it', async () => {
    const oldest = pair({ startClosed: true, outbox: { capacity: 1, overflow: 'drop-oldest' } });
    const call = oldest.client.call('any');
    oldest.client.send('note', 1);
    await expect(call).rejects.toBeInstanceOf(QueueFullError);
    const full = pair({ startClosed: true, outbox: { capacity: 0 } });
    await expect(full.client.call('any')).rejects.toBeInstanceOf(QueueFullError);
    expect(full.clock.pending).toBe(0);
  });
});

describe('closing', () => {
  it('rejects calls that wait and calls that run; later ones too', async () => {
    const p = pair({}, { handlers: { methods: { hang: () => new Promise(() => {}) } } });
    await p.settle();
    const running = p.client.call('hang');
    await p.settle();
    const waiting = p.client.call('hang');
    const closed = p.client.close();
    const during = p.client.call('hang');
    for (const call of [running, waiting, during]) await expect(call).rejects.toBeInstanceOf(ClosedError);
    await closed;
    await expect(p.client.call('hang')).rejects.toBeInstanceOf(ClosedError);
    expect(p.clock.pending).toBe(0);
  });
});

describe('handle', () => {
  it('takes one handler for a method, and gives it back', async () => {
    const p = pair();
    await p.settle();
    const off = p.client.handle('one', () => 1);
    expect(() => p.client.handle('one', () => 2)).toThrow(TypeError);
    expect(await p.peer.call('one')).toBe(1);
    off();
    const again = p.client.handle('one', () => 3);
    off(); // the second time it is nobody's
    expect(await p.peer.call('one')).toBe(3);
    again();
    await expect(p.peer.call('one')).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    expect(p.log).toEqual(['open', 'unhandled call one']);
  });
});
