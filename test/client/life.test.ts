/** The life of a client: connecting, closing, credentials. */

import { describe, expect, it, vi } from 'vitest';
import type { Client } from '../../src/client.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import { ClosedError, UnauthorizedError } from '../../src/errors.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { handServer } from '../support/hand-server.ts';
import { type Pair, pair } from '../support/link.ts';
import { bye, hang, hello, NO_SESSIONS, refuse } from './support.ts';

/** A pair whose server takes 300 ms for a call. */
function slow(server: HostOptions = {}): Pair {
  const methods = { slow: () => new Promise((resolve) => void p.clock.setTimeout(() => resolve('done'), 300)) };
  const p: Pair = pair({}, { ...server, handlers: { methods } });
  return p;
}

describe('a message that breaks the protocol during the opening', () => {
  it.each<[string, (client: Client) => void]>([
    ['reconnect()', (client) => client.reconnect()],
    ['setAuth()', (client) => client.setAuth(undefined)],
  ])('says nothing of the next attempt, which %s has begun in the same task', async (_what, again) => {
    const s = handServer();
    await s.clock.advance(0);
    s.socket.accepts();
    await s.clock.advance(0);
    const errors: string[] = [];
    s.client.addEventListener('error', ({ error }) => errors.push(error.message));
    s.socket.says('garbage');
    again(s.client);
    await s.clock.advance(0);
    expect(s.sockets).toHaveLength(2);
    expect([errors, s.log]).toEqual([[], ['close 4001 again']]);
  });
});

describe('connect()', () => {
  it('connects a client that was made closed, and resolves when it is open; then at once', async () => {
    const p = pair({ startClosed: true });
    await p.settle();
    expect([p.client.state.status, p.sockets.length]).toEqual(['idle', 0]);
    await p.client.connect();
    expect(p.client.state.status).toBe('open');
    await p.client.connect();
    expect(p.sockets).toHaveLength(1);
  });

  it('joins an attempt that is under way, and one that waits', async () => {
    const p = pair();
    p.reachable = false;
    const during = p.client.connect();
    await p.clock.advance(10_000);
    expect(p.client.state.status).toBe('waiting');
    const waiting = p.client.connect();
    p.reachable = true;
    await p.clock.advance(1_000);
    await Promise.all([during, waiting]);
    expect(p.sockets).toHaveLength(2);
  });

  it('rejects when there will be no connection, and harms nobody who ignores it', async () => {
    const p = pair({ auth: () => Promise.reject(new UnauthorizedError()) });
    const connected = p.client.connect();
    void p.client.connect();
    await p.clock.advance(0);
    await expect(connected).rejects.toBeInstanceOf(ClosedError);
  });

  it('after close() goes on, with the handlers that were there; during close() after it', async () => {
    const p = pair();
    await p.settle();
    const heard = vi.fn();
    p.client.on('note', heard);
    const closed = p.client.close();
    await p.client.connect();
    await closed;
    p.peer.send('note', 1);
    await p.settle();
    expect(heard).toHaveBeenCalledTimes(1);
    expect(p.log).toEqual(['open', 'close 1000 final', 'open']);
  });
});

describe('when it is closed by something else than close()', () => {
  it('calls and sends say what it was, before and after', async () => {
    const p = pair({ auth: () => Promise.reject(new UnauthorizedError('please log in')) });
    const drops: unknown[] = [];
    p.client.addEventListener('drop', ({ error }) => void drops.push(error));
    const waiting = p.client.call('add');
    const connected = p.client.connect();
    p.client.send('note', 1);
    await p.clock.advance(0);
    const said = { message: 'The client is closed (unauthorized, code 1006)', cause: { message: 'please log in' } };
    await expect(waiting).rejects.toMatchObject(said);
    await expect(connected).rejects.toMatchObject(said);
    await expect(p.client.call('add')).rejects.toMatchObject(said);
    p.client.send('note', 2);
    p.client.channel('a').publish(3);
    expect(drops).toMatchObject([said, said, said]);
  });
});

describe('a close that is tried once more', () => {
  it.each([1002, 1008])('with code %i is not the second in a row when the connection between lasted', async (code) => {
    const p = pair();
    const refused = async () => {
      await p.settle();
      p.socket.cut(code);
      await p.settle();
    };
    await refused();
    await p.clock.advance(1_000);
    await p.settle();
    await p.clock.advance(3_600_000);
    await refused();
    expect(p.client.state.status).toBe('waiting');
    await p.clock.advance(1_000);
    await refused();
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'refused' });
  });
});

describe('close()', () => {
  it.each([
    ['in a session, what it has received', {}, { received: 1 }],
    ['without one, nothing else', NO_SESSIONS, {}],
  ])('says goodbye and, %s; then closes with code and reason; twice is once', async (_what, server, more) => {
    const p = pair({}, server);
    await p.settle();
    p.peer.send('note', 1);
    await p.settle();
    const [first, second] = [p.client.close({ code: 4_321, reason: 'enough' }), p.client.close()];
    await Promise.all([first, second]);
    expect(p.frames().at(-1)).toEqual({ type: 'bye', code: 4_321, reason: 'enough', reconnect: false, resume: false, ...more });
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'user', code: 4_321, reason: 'enough' });
    expect(p.log).toEqual(['open', 'unhandled event note', 'close 4321 final']);
    await p.client.close();
    expect(p.clock.pending).toBe(0);
    expect(p.page.listeners.size).toBe(0);
    expect([p.host.connections, p.host.clients]).toEqual([0, []]);
  });

  it('sends what was sent in the same task before it says goodbye', async () => {
    const got: unknown[] = [];
    const p = pair({}, { handlers: { events: { note: (data) => void got.push(data) } } });
    await p.settle();
    p.client.send('note', 'last words');
    await p.client.close();
    await p.settle();
    expect(p.frames().map(({ type }) => type)).toEqual(['hello', 'event', 'bye']);
    expect(got).toEqual(['last words']);
  });

  it.each(['idle', 'connecting', 'waiting', 'open'])('resolves from %s, within 2 s of a server that never answers', async (status) => {
    const p = pair({ startClosed: status === 'idle' });
    if (status !== 'open') p.reachable = false;
    await p.clock.advance(status === 'waiting' ? 10_000 : 0);
    await p.settle();
    expect(p.client.state.status).toBe(status);
    p.sockets.at(-1)?.vanish();
    const closed = vi.fn();
    p.client.close().then(closed);
    await p.clock.advance(2_000);
    await p.settle();
    expect(closed).toHaveBeenCalledTimes(1);
    expect(p.client.state.status).toBe('closed');
  });

  it('rejects a code that a page may not use, and closes nothing', async () => {
    const p = pair();
    await p.settle();
    await expect(p.client.close({ code: 1_001 })).rejects.toMatchObject({ name: 'InvalidAccessError' });
    await expect(p.client.close({ reason: 'x'.repeat(124) })).rejects.toMatchObject({ name: 'SyntaxError' });
    expect(p.client.state.status).toBe('open');
  });

  it.each([
    ['in a session', {}],
    ['without one', NO_SESSIONS],
  ])('with drain lets calls finish and what waits go out, %s', async (_how, server) => {
    const p = slow(server);
    p.reachable = false;
    const call = p.client.call('slow');
    const closed = p.client.close({ drain: 1_000 });
    await p.clock.advance(100);
    p.socket.accept(p.host);
    await p.clock.advance(250);
    expect(p.client.state.status).toBe('open');
    await p.clock.advance(100);
    expect(await call).toBe('done');
    await closed;
    expect(p.clock.now()).toBeLessThan(1_000);
  });

  it('with drain waits until the server has acknowledged what was written, and does not have to wait long', async () => {
    const p = pair();
    await p.settle();
    const receipt = p.client.send('note', 1);
    const closed = p.client.close({ drain: 10_000 });
    await p.clock.advance(900); // it would say so within a second
    await closed;
    expect([receipt.status, p.client.stats.unconfirmed]).toEqual(['acknowledged', 0]);
  });

  it('with drain waits no longer than it was told', async () => {
    const p = pair({}, hang);
    await p.settle();
    const call = p.client.call('hang');
    const closed = vi.fn();
    p.client.close({ drain: 500 }).then(closed);
    await p.clock.advance(500);
    await p.settle();
    await expect(call).rejects.toBeInstanceOf(ClosedError);
    expect(closed).toHaveBeenCalledTimes(1);
    expect(p.clock.pending).toBe(0);
  });

  it('with drain resolves also when something else closes meanwhile', async () => {
    const p = pair({}, hang);
    await p.settle();
    p.client.call('hang').catch(() => {});
    const drained = vi.fn();
    p.client.close({ drain: 500 }).then(drained);
    await p.settle();
    await p.client.close();
    await p.clock.advance(5_000);
    await p.settle();
    expect(drained).toHaveBeenCalledTimes(1);
  });

  it('is for good where a signal asks for it', async () => {
    const abort = new AbortController();
    const p = pair({ signal: abort.signal });
    await p.settle();
    const reason = new Error('logged out');
    abort.abort(reason);
    await p.settle();
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'aborted', error: reason });
    await expect(p.client.connect()).rejects.toMatchObject({ name: 'ClosedError', cause: reason });
    expect(() => p.client.reconnect()).toThrow(ClosedError);
    const never = pair({ signal: abort.signal });
    await never.clock.advance(1);
    expect(never.client.state.status).toBe('closed');
    expect(never.sockets).toEqual([]);
  });
});

describe('reconnect()', () => {
  it('makes a new connection at once, tells the server why, and revives what is closed', async () => {
    const p = pair();
    await p.settle();
    p.client.reconnect('new language');
    await p.settle();
    expect(p.sockets).toHaveLength(2);
    expect(p.log).toEqual(['open', 'close 4001 again', 'open']);
    expect(hello(p)).toMatchObject({ attempt: 0, cause: 'replaced 4001' });
    await p.client.close();
    p.client.reconnect();
    await p.settle();
    expect(p.client.state.status).toBe('open');
    expect(() => p.client.reconnect('x'.repeat(124))).toThrow(DOMException);
  });
});

describe('auth', () => {
  it('gives the token for hello, fresh for every attempt, and never in the URL', async () => {
    const contexts: unknown[] = [];
    const auth: ClientOptions['auth'] = ({ attempt, everOpened, signal }) => `t${contexts.push({ attempt, everOpened, signal })}`;
    const seen: unknown[] = [];
    const p = pair({ auth }, { authenticate: (token) => seen.push(token) });
    await p.settle();
    p.socket.cut();
    await p.clock.advance(1_000);
    await p.settle();
    expect(seen).toEqual(['t1', 't2']);
    expect(hello(p)).toMatchObject({ auth: 't2', attempt: 1, cause: 'closed 1006' });
    expect(contexts).toMatchObject([
      { attempt: 0, everOpened: false },
      { attempt: 1, everOpened: true },
    ]);
    expect(p.sockets.map(({ url }) => url)).toEqual(['wss://example.test/live', 'wss://example.test/live']);
  });

  it('that throws UnauthorizedError ends it, as unauthorized', async () => {
    const p = pair({
      auth: () => {
        throw new UnauthorizedError('log in first');
      },
    });
    await p.clock.advance(0);
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'unauthorized', error: { message: 'log in first' } });
    expect(p.sockets).toEqual([]);
    expect(p.log).toEqual(['error UNAUTHENTICATED', 'close 1006 final']);
  });

  it('that fails otherwise is a failed attempt', async () => {
    const auth = vi.fn().mockRejectedValueOnce(new Error('the token server is down')).mockReturnValue('t');
    const p = pair({ auth });
    await p.clock.advance(0);
    expect(p.client.state).toMatchObject({ status: 'waiting', attempt: 1 });
    await p.clock.advance(1_000);
    await p.settle();
    expect(hello(p)).toMatchObject({ auth: 't' });
  });

  it('that hangs is given up with the attempt, and its late answer is ignored', async () => {
    const answers: ((token: string) => void)[] = [];
    const signals: AbortSignal[] = [];
    const auth: ClientOptions['auth'] = ({ signal }) => {
      signals.push(signal);
      return new Promise((resolve) => answers.push(resolve));
    };
    const p = pair({ auth });
    await p.clock.advance(10_000);
    expect([p.client.state.status, signals[0]?.aborted]).toEqual(['waiting', true]);
    await p.clock.advance(1_000);
    answers[1]?.('good');
    answers[0]?.('late');
    await p.settle();
    expect(hello(p)).toMatchObject({ auth: 'good' });
    expect(p.sockets).toHaveLength(1);
  });

  it('refused with 4401 is asked once more, and the second refusal is final', async () => {
    const auth = vi.fn(() => 'bad');
    const p = pair({ auth });
    p.reachable = false;
    await refuse(p, bye({ code: 4_401 }));
    expect(p.client.state.status).toBe('waiting');
    await p.clock.advance(1_000);
    await refuse(p, bye({ code: 4_401 }));
    await p.clock.advance(60_000);
    expect(auth).toHaveBeenCalledTimes(2);
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'unauthorized' });
    void p.client.connect();
    await refuse(p, bye({ code: 4_401 }));
    expect(p.client.state.status).toBe('waiting'); // a new life, with nothing held against it
  });

  it('refused on an open connection that has lasted comes back with a fresh token, each time', async () => {
    const p = pair({ auth: () => 't' });
    for (let i = 1; i <= 3; i++) {
      await p.clock.advance(6_000);
      await p.settle();
      expect(p.client.state.status).toBe('open');
      p.peer.close(4_401, 'expired');
      await p.settle();
    }
    expect(p.client.state.status).toBe('waiting');
  });

  it('refused twice at once, though the server has opened, is refused', async () => {
    const p = pair({ auth: () => 't' });
    for (const status of ['waiting', 'closed']) {
      await p.clock.advance(1_000);
      await p.settle();
      expect(p.client.state.status).toBe('open');
      p.peer.close(4_401, 'stale');
      await p.settle();
      expect(p.client.state.status).toBe(status);
    }
    expect(p.client.state).toMatchObject({ cause: 'unauthorized' });
  });

  it('refused once, and then a network that fails, is not refused twice', async () => {
    const p = pair({ auth: () => 't' });
    await p.settle();
    p.peer.close(4_401, 'expired');
    await p.settle();
    p.reachable = false;
    await p.clock.advance(1_000);
    p.socket.cut(); // never reached the server
    await p.settle();
    expect(p.client.state.status).toBe('waiting');
  });

  it('of somebody who is not allowed at all is final at once', async () => {
    const p = pair({ auth: () => 't' });
    p.reachable = false;
    await refuse(p, bye({ code: 4_403, reconnect: false }));
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'refused' });
  });
});
