/** Heartbeat, waking up, handshake, signal, and every method from everywhere. */

import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ReconnectingErrorEvent } from '../../src/events.ts';
import type { HandshakeSocket } from '../../src/handshake.ts';
import type { ReconnectingWebSocketOptions } from '../../src/options.ts';
import { ReconnectingWebSocket } from '../../src/socket.ts';
import { odd, type World, world } from '../support/face.ts';
import { FakeSocket } from '../support/fake-socket.ts';

const heartbeat = { ping: 'ping', isPong: (data: unknown) => data === 'pong', interval: 15_000, timeout: 5_000, probeTimeout: 3_000 };

describe('heartbeat', () => {
  it("is off until the server's way is told", async () => {
    const w = world();
    await w.open();
    expect(w.clock.pending).toBe(0);
  });

  it('asks after silence, and does not deliver the answer', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(15_000);
    expect(w.socket.sent).toEqual(['ping']);
    w.socket.says('pong');
    await w.clock.advance(14_999);
    expect(w.socket.sent).toEqual(['ping']);
    await w.clock.advance(1);
    expect(w.socket.sent).toEqual(['ping', 'ping']);
    expect(w.log).toEqual(['open']);
  });

  it('asks as often as it was told to, also when that is more often than the timeout', async () => {
    const w = world({ heartbeat: { ...heartbeat, interval: 1_000 } });
    await w.open();
    for (let asked = 1; asked <= 5; asked++) {
      await w.clock.advance(1_000);
      expect(w.socket.sent).toHaveLength(asked);
      w.socket.says('pong');
    }
    expect(w.clock.pending).toBe(1);
  });

  it('takes no message that nobody asked for as a measure of the round trip', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(14_000);
    w.socket.says('pong');
    await w.clock.advance(15_000 + 4_999);
    expect(w.ws.readyState).toBe(1);
    await w.clock.advance(1);
    expect(w.log.at(-1)).toBe('close 4000 again');
  });

  it('takes any message for life', async () => {
    const w = world({ heartbeat });
    await w.open();
    for (let i = 0; i < 10; i++) {
      await w.clock.advance(14_000);
      w.socket.says('news');
    }
    expect(w.socket.sent).toEqual([]);
    await w.clock.advance(15_000);
    w.socket.says('news');
    await w.clock.advance(5_000);
    expect(w.ws.readyState).toBe(1);
  });

  it('drops and replaces a dead link at once: nothing is waited for', async () => {
    const w = world({ heartbeat, backoff: () => 0 });
    await w.open();
    await w.clock.advance(20_000);
    expect(w.log).toEqual(['open', 'error', 'close 4000 again']);
    expect(w.sockets).toHaveLength(2);
    expect(w.sockets[0]?.readyState).toBe(2); // still closing, and nobody listens
    w.sockets[0]?.says('late');
    w.sockets[0]?.fails();
    await w.open();
    expect(w.log).toEqual(['open', 'error', 'close 4000 again', 'open']);
  });

  it('believes a lifecycle that says nothing about the network: it is there', async () => {
    const w = world({ lifecycle: odd({ watch: () => () => {} }) });
    await w.settle();
    w.socket.closed();
    expect(w.ws.state.status).toBe('waiting');
  });

  it('reads what is waiting before it judges: the page was busy when the answer came', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(19_999);
    w.clock.setTimeout(() => w.socket.says('pong'), 1); // in line behind the timer that judges
    await w.clock.advance(1);
    expect(w.ws.readyState).toBe(1);
    await w.clock.advance(15_000 + 20_000); // four round trips of 5 s
    expect(w.log.at(-1)).toBe('close 4000 again');
  });

  it('leaves a slow link alone while data is leaving', async () => {
    const w = world({ heartbeat });
    await w.open();
    w.socket.bufferedAmount = 200_000;
    await w.clock.advance(15_000);
    for (const left of [150_000, 100_000, 50_000, 0]) {
      w.socket.bufferedAmount = left;
      await w.clock.advance(5_000);
      expect(w.ws.readyState).toBe(1);
    }
    await w.clock.advance(5_000);
    expect(w.log.at(-1)).toBe('close 4000 again');
  });

  it('that is silent after much was sent and answered is dropped as soon as any other', async () => {
    for (const isPong of [heartbeat.isPong, undefined]) {
      const w = world({ heartbeat: { ping: 'ping', ...(isPong && { isPong }) } });
      await w.open();
      for (let i = 0; i < 100; i++) {
        w.ws.send('x'.repeat(10_000));
        await w.clock.advance(1_000);
        w.socket.says('pong');
      }
      await w.clock.advance(19_000);
      expect(w.ws.readyState).toBe(1);
      await w.clock.advance(5_000); // what is not proven to have arrived has its time
      expect(w.log.at(-1)).toBe('close 4000 again');
    }
  });

  it('is asked every 32 KiB, where only an answer proves that they arrived', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(15_000);
    w.socket.says('pong');
    for (let i = 0; i < 8; i++) {
      w.ws.send('x'.repeat(10_000));
      if (i === 5) w.socket.says('pong');
    }
    expect(w.socket.sent.map((data) => String(data).length)).toEqual([
      4,
      ...[1, 2, 3, 4].map(() => 10_000),
      4,
      10_000,
      10_000,
      10_000,
      10_000,
      4,
    ]);
  });

  it('leaves a slow link alone while an answer stands in line behind 200 kB, as far as it can know', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(15_000);
    w.socket.says('pong');
    w.ws.send('x'.repeat(200_000)); // at 2 kB a second
    await w.clock.advance(15_000);
    expect(w.socket.sent.at(-1)).toBe('ping');
    await w.clock.advance(85_000);
    expect(w.ws.readyState).toBe(1);
    w.socket.says('pong');
    await w.clock.advance(20_000);
    expect(w.log.at(-1)).toBe('close 4000 again');
  });

  it('gives a far server four round trips', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(15_000 + 4_000);
    w.socket.says('pong'); // a round trip of 4 s
    await w.clock.advance(15_000 + 15_999);
    expect(w.ws.readyState).toBe(1);
    await w.clock.advance(1);
    expect(w.log.at(-1)).toBe('close 4000 again');
  });

  it('asks again rather than judges when the timer comes late: the page slept', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(15_000);
    await w.clock.sleep(3_600_000);
    expect(w.socket.sent).toEqual(['ping', 'ping']);
    await w.clock.advance(2_999);
    expect(w.ws.readyState).toBe(1);
    await w.clock.advance(1);
    expect(w.log.at(-1)).toBe('close 4000 again');
  });

  it('is not fooled by a change of the system clock', async () => {
    const w = world({ heartbeat });
    await w.open();
    w.clock.epoch += 86_400_000;
    await w.clock.advance(14_999);
    w.clock.epoch -= 2 * 86_400_000;
    expect(w.socket.sent).toEqual([]);
  });

  it('may make its pings: each is asked for, and binary is fine', async () => {
    let n = 0;
    const w = world({ heartbeat: { ...heartbeat, ping: () => new Uint8Array([++n]) } });
    await w.open();
    await w.clock.advance(15_000);
    w.socket.says('pong');
    await w.clock.advance(15_000);
    expect(w.socket.sent).toEqual([new Uint8Array([1]), new Uint8Array([2])]);
  });

  it('reports a ping or isPong that throws, and lives on', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const fail = () => {
      throw new Error('mine');
    };
    const w = world({ heartbeat: { ...heartbeat, ping: fail, isPong: fail } });
    await w.open();
    w.socket.says('delivered');
    expect(w.log).toEqual(['open', 'message delivered']);
    await w.clock.advance(15_000);
    expect(error).toHaveBeenCalledTimes(2);
    expect(w.ws.readyState).toBe(1);
    error.mockRestore();
  });

  it('stops with the connection', async () => {
    const w = world({ heartbeat });
    await w.open();
    w.ws.close();
    w.socket.closed(1005);
    expect(w.clock.pending).toBe(0);
  });

  it('stops while closing, whatever the page says', async () => {
    const w = world({ heartbeat, closeTimeout: 60_000 });
    await w.open();
    w.ws.close();
    w.page.says('offline');
    w.page.says('online');
    await w.clock.advance(30_000);
    expect(w.socket.sent).toEqual([]);
  });
});

describe('waking up', () => {
  it.each(['online', 'visible', 'offline'] as const)('%s makes it ask whether an open link is alive', async (signal) => {
    const w = world({ heartbeat });
    await w.open();
    w.page.says(signal);
    expect(w.socket.sent).toEqual(['ping']);
    await w.clock.advance(3_000);
    expect(w.log.at(-1)).toBe('close 4000 again');
  });

  it('asks once, however often the page toggles', async () => {
    const w = world({ heartbeat });
    await w.open();
    for (let i = 0; i < 20; i++) w.page.says(i % 2 ? 'online' : 'offline');
    expect(w.socket.sent).toEqual(['ping']);
    w.socket.says('pong');
    await w.clock.advance(3_000);
    expect(w.ws.readyState).toBe(1);
  });

  it('does not let an old question stand in for a new one after a sleep', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(15_000);
    w.clock.jump(3_600_000);
    w.page.says('visible');
    expect(w.socket.sent).toEqual(['ping', 'ping']);
    await w.clock.advance(2_999);
    expect(w.ws.readyState).toBe(1);
  });

  it.each(['online', 'visible', 'thawed'] as const)('%s cuts a wait short', async (signal) => {
    const w = world({ backoff: () => 30_000 });
    await w.settle();
    w.socket.fails();
    w.page.says(signal);
    expect(w.ws.state).toMatchObject({ status: 'waiting', attempt: 1, retryAt: w.clock.wall() + 125 });
    await w.clock.advance(125);
    expect(w.sockets).toHaveLength(2);
  });

  it('cuts it short once in three seconds', async () => {
    const w = world({ backoff: () => 30_000 });
    await w.settle();
    w.socket.fails();
    for (let i = 0; i < 20; i++) {
      w.page.says('online');
      await w.clock.advance(125);
      if (w.ws.state.status === 'connecting') w.socket.fails();
    }
    expect(w.sockets).toHaveLength(2);
  });

  it('online ends being offline', async () => {
    const w = world();
    w.page.onLine = false;
    await w.settle();
    w.socket.fails();
    expect(w.ws.state.status).toBe('offline');
    w.page.onLine = true;
    w.page.says('online');
    await w.clock.advance(250);
    expect(w.ws.state.status).toBe('connecting');
  });

  it('offline that lies keeps nothing from connecting: it goes on trying, slowly', async () => {
    const w = world();
    w.page.onLine = false;
    await w.settle();
    w.socket.fails();
    await w.clock.advance(30_000);
    await w.open();
    expect(w.log).toEqual(['error', 'close 1006 again', 'open']);
  });

  it('thawed replaces an open socket at once: none survives that', async () => {
    const w = world();
    await w.open();
    w.page.says('thawed');
    expect(w.log).toEqual(['open', 'close 1006 again']);
    expect(w.ws.state).toMatchObject({ status: 'waiting', cause: { kind: 'frozen' } });
    w.ws.send('kept, not sent into the dying socket');
    w.sockets[0]?.fails(); // Chromium says so a moment later
    await w.clock.advance(250);
    await w.open();
    expect(w.socket.sent).toHaveLength(1);
    expect(w.log).toEqual(['open', 'close 1006 again', 'open']);
  });

  it('means no backoff for what is lost right after', async () => {
    const w = world({ backoff: () => 30_000 });
    await w.open();
    w.page.says('visible');
    w.socket.closed();
    await w.clock.advance(250);
    expect(w.sockets).toHaveLength(2);
  });

  it('is listened to from the first attempt to the last close event', async () => {
    const w = world();
    expect(w.page.listeners.size).toBe(1);
    await w.open();
    w.ws.close();
    w.socket.closed(1005);
    expect(w.page.listeners.size).toBe(0);
    w.ws.reconnect();
    expect(w.page.listeners.size).toBe(1);
  });
});

describe('handshake', () => {
  const login = async (socket: HandshakeSocket) => {
    socket.send('token');
    expect(await socket.receive()).toBe('welcome');
  };

  it('goes before everything that is queued; the connection is open after it', async () => {
    const w = world({ handshake: login });
    w.ws.send('queued');
    await w.open();
    expect([w.ws.readyState, w.ws.state]).toMatchObject([0, { phase: 'handshaking' }]);
    w.ws.send('also queued');
    expect(w.socket.sent).toEqual(['token']);
    w.socket.says('welcome');
    await w.settle();
    expect(w.socket.sent).toEqual(['token', 'queued', 'also queued']);
    expect(w.log).toEqual(['open']);
  });

  it('hands on the messages it did not take, in order', async () => {
    const w = world({ handshake: login });
    await w.open();
    w.socket.says('welcome');
    w.socket.says('1');
    w.socket.says('2');
    await w.settle();
    w.socket.says('3');
    expect(w.log).toEqual(['open', 'message 1', 'message 2', 'message 3']);
  });

  it('may take several messages, come before it asks or after', async () => {
    const taken: unknown[] = [];
    const w = world({
      handshake: async (socket) => {
        taken.push(await socket.receive(), await socket.receive(), await socket.receive());
      },
    });
    await w.open();
    for (const text of ['a', 'b', 'c', 'd']) w.socket.says(text);
    await w.settle();
    expect([taken, w.log]).toEqual([
      ['a', 'b', 'c'],
      ['open', 'message d'],
    ]);
  });

  it('that rejects is a failed attempt', async () => {
    const w = world({ handshake: () => Promise.reject(new Error('wrong password')) });
    await w.open();
    expect(w.log).toEqual(['error', 'close 1006 again']);
    expect(w.events.find(({ type }) => type === 'error')).toMatchObject({
      error: { code: 'HANDSHAKE_FAILED' },
      message: 'The handshake failed: wrong password',
    });
    expect(w.sockets[0]?.closes).toHaveLength(1);
  });

  it('that throws at once is the same', async () => {
    const w = world({
      handshake: () => {
        throw new Error('at once');
      },
    });
    await w.open();
    expect(w.log).toEqual(['error', 'close 1006 again']);
  });

  it('that hangs is given up with the connect timeout, and told', async () => {
    const told: unknown[] = [];
    const w = world({
      connectTimeout: 2_000,
      handshake: (socket, { signal }) => {
        signal.addEventListener('abort', () => told.push('abort'));
        return socket.receive().catch((error) => told.push(error.code));
      },
    });
    await w.open();
    await w.clock.advance(2_000);
    expect(w.log).toEqual(['error', 'close 1006 again']);
    expect(told.sort()).toEqual(['HANDSHAKE_FAILED', 'abort']);
    expect(w.events.find(({ type }) => type === 'error')).toMatchObject({ message: expect.stringContaining('handshaking') });
  });

  it('ends when the socket does', async () => {
    const w = world({ handshake: login });
    await w.open();
    w.socket.closed(4401);
    expect(w.log).toEqual([]); // the handshake gets its turn with what came before
    await w.clock.advance(0);
    expect(w.log).toEqual(['close 4401 again']);
    await w.clock.advance(1_000);
    expect(w.sockets).toHaveLength(2);
  });

  it('can be left by close(): the socket is closed, not failed', async () => {
    const w = world({
      handshake: (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    });
    await w.open();
    w.ws.close(3000, 'never mind');
    await w.settle();
    expect(w.socket.closes).toEqual([[3000, 'never mind']]);
    w.socket.closed(3000, 'never mind');
    expect(w.log).toEqual(['close 3000 final']);
  });

  it('knows the subprotocol', async () => {
    const seen: string[] = [];
    const w = world({ handshake: ({ protocol }) => seen.push(protocol) });
    await w.settle();
    w.socket.accepts('v2');
    await w.settle();
    expect([seen, w.log]).toEqual([['v2'], ['open']]);
  });
});

describe('signal', () => {
  it('aborted closes it for good', async () => {
    const stop = new AbortController();
    const w = world({ signal: stop.signal });
    await w.open();
    stop.abort();
    expect(w.ws.readyState).toBe(2);
    w.socket.closed(1005);
    expect(w.ws.state).toMatchObject({ status: 'closed', cause: 'aborted' });
    expect(() => w.ws.reconnect()).toThrow(expect.objectContaining({ name: 'InvalidStateError' }));
  });

  it('aborted beforehand opens nothing, and there is a last close event all the same', async () => {
    const w = world({ signal: AbortSignal.abort() });
    await w.clock.advance(0);
    expect([w.sockets.length, w.log]).toEqual([0, ['close 1005 final']]);
    expect(w.ws.state).toMatchObject({ cause: 'aborted' });
  });

  it('is let go with the last close event, and taken up again by reconnect()', async () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, 'addEventListener');
    const remove = vi.spyOn(signal, 'removeEventListener');
    const w = world({ signal });
    w.ws.close();
    await w.clock.advance(0);
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([1, 1]);
    w.ws.reconnect();
    expect(add).toHaveBeenCalledTimes(2);
  });
});

describe('shouldReconnect', () => {
  it('is told how many failures there were since a connection that lasted', async () => {
    const attempts: number[] = [];
    const w = world({ shouldReconnect: (_, { attempt }) => attempts.push(attempt) > 0 });
    for (let i = 0; i < 2; i++) {
      await w.settle();
      w.socket.closed();
      await w.clock.advance(10_000);
    }
    await w.open();
    await w.clock.advance(3_600_000);
    w.socket.closed();
    await w.clock.advance(10_000);
    await w.open();
    await w.clock.advance(1);
    w.socket.closed();
    await w.settle();
    expect(attempts).toEqual([0, 1, 0, 1]);
  });

  it.each([
    ['close()', (w: World) => w.ws.close(), ['open', 'close 1006 final'], 1],
    ['reconnect()', (w: World) => w.ws.reconnect(), ['open', 'close 4001 again'], 2],
  ] as const)('may call %s itself', async (_, act, log, sockets) => {
    let done = false;
    const w: World = world({
      shouldReconnect: () => {
        if (!done) act(w);
        done = true;
      },
    });
    await w.open();
    w.socket.closed();
    await w.settle();
    expect([w.log, w.sockets.length]).toEqual([log, sockets]);
    w.ws.close();
    await w.clock.advance(2_000);
    expect([w.ws.readyState, w.clock.pending, w.page.listeners.size]).toEqual([3, 0, 0]);
  });
});

describe('where the runtime has no WebSocket', () => {
  it('it is closed for good, and says what to do', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    onTestFinished(() => {
      vi.unstubAllGlobals();
      warn.mockRestore();
    });
    const ws = new ReconnectingWebSocket('wss://example.test/');
    ws.send('to nobody');
    const failed = new Promise<ReconnectingErrorEvent>((resolve) => ws.addEventListener('error', resolve));
    const closed = new Promise((resolve) => ws.addEventListener('close', resolve));
    expect((await failed).message).toMatch('pass createSocket: (url, protocols) => new WS(url, protocols)');
    await closed;
    expect(ws.state).toMatchObject({ status: 'closed', cause: 'refused' });
    expect(warn.mock.calls).toEqual([
      [expect.stringMatching(/^Holdfast dropped a message \(closed\): .*This runtime has no WebSocket: pass createSocket/)],
    ]);
  });
});

describe('found the hard way', () => {
  it('a handshake that finishes after its attempt was replaced opens nothing', async () => {
    const finish: (() => void)[] = [];
    const w = world({ handshake: () => new Promise<void>((resolve) => finish.push(resolve)) });
    await w.open();
    w.ws.reconnect();
    await w.open();
    finish[0]?.();
    await w.settle();
    expect([w.ws.state, w.log]).toMatchObject([{ phase: 'handshaking' }, ['close 4001 again']]);
  });

  it("close() in a statechange listener of any phase ends with its code or the browser's, and opens nothing", async () => {
    const w = world();
    w.ws.addEventListener('statechange', ({ state }) => state.status === 'connecting' && w.ws.close(3000));
    await w.settle();
    for (const socket of w.sockets) expect(socket.readyState).toBeGreaterThanOrEqual(2);
    await w.clock.advance(2_000);
    expect(w.ws.readyState).toBe(3);
  });

  it.each(['close', 'reconnect'] as const)('%s() inside createSocket leaves no socket behind', async (method) => {
    const sockets: FakeSocket[] = [];
    const w: World = world({
      createSocket: (...args) => {
        if (sockets.length === 0) w.ws[method]();
        const socket = new FakeSocket(...args);
        sockets.push(socket);
        return socket;
      },
    });
    await w.clock.advance(0);
    expect(sockets.filter(({ readyState }) => readyState < 2)).toHaveLength(method === 'close' ? 0 : 1);
  });

  it('a socket whose set-up throws is closed, not left behind', async () => {
    const made: FakeSocket[] = [];
    const w = world({
      createSocket: (...args) => {
        const socket = new FakeSocket(...args);
        made.push(socket);
        const set = () => {
          throw new Error('no');
        };
        return Object.defineProperty(socket, 'binaryType', { set });
      },
    });
    await w.clock.advance(0);
    expect(w.log).toEqual(['error', 'close 1006 again']);
    expect(made.map(({ readyState }) => readyState)).toEqual([2]);
  });

  it('reconnect() in the statechange of the end begins a life of its own: its queue and its signal stay', async () => {
    const stop = new AbortController();
    const w = world({ maxRetries: 0, signal: stop.signal });
    w.ws.addEventListener('statechange', ({ state }) => {
      if (state.status !== 'closed' || w.sockets.length > 1) return;
      w.ws.reconnect();
      w.ws.send('of the new life');
    });
    await w.settle();
    w.socket.fails();
    await w.open();
    expect(w.log).toEqual(['error', 'close 1006 final', 'open']);
    expect(w.socket.sent).toEqual(['of the new life']);
    stop.abort();
    expect(w.ws.readyState).toBe(2);
  });

  it('events come in order for every listener, also when an earlier one reconnects', async () => {
    const w = world();
    w.ws.addEventListener('open', () => w.sockets.length === 1 && w.ws.reconnect());
    const seen: string[] = [];
    for (const type of ['open', 'close'] as const) w.ws.addEventListener(type, () => seen.push(type));
    w.ws.addEventListener('statechange', ({ state }) => seen.push(state.status));
    await w.open();
    expect(seen).toEqual(['connecting', 'open', 'open', 'connecting', 'close', 'connecting']);
  });

  it('a dead link is noticed even where every timer comes a minute late', async () => {
    const w = world({ heartbeat });
    await w.open();
    for (let minute = 0; minute < 5 && w.ws.readyState === 1; minute++) await w.clock.sleep(60_000);
    expect(w.log).toEqual(['open', 'error', 'close 4000 again']);
  });

  it('a close listener that reconnects does not go round for ever', async () => {
    const w = world();
    await w.open();
    w.ws.onclose = () => w.ws.reconnect();
    w.ws.reconnect();
    await w.open();
    expect(w.log).toEqual(['open', 'close 4001 again', 'open']);
  });

  it('a provider that fails at once and a close listener that reconnects leave the page room to breathe', async () => {
    let asked = 0;
    const w = world({}, () => {
      asked++;
      throw new Error('logged out');
    });
    w.ws.onclose = () => {
      if (asked < 3) w.ws.reconnect();
    };
    await w.settle();
    expect([asked, w.log]).toEqual([1, []]); // the failure is told in a task of its own
    await w.clock.advance(0);
    expect([asked, w.news()]).toEqual([3, ['error', 'close 1006 again', 'error', 'close 1006 again', 'error', 'close 1006 again']]);
  });

  it('closing and reconnecting inside a close listener does not go round for ever', async () => {
    const w = world();
    await w.open();
    let closes = 0;
    w.ws.onclose = () => {
      if (++closes > 10) return;
      w.ws.close();
      w.ws.reconnect();
    };
    w.socket.closed();
    expect(closes).toBe(1);
    await w.open();
    expect(w.log).toEqual(['open', 'close 1006 again', 'open']);
  });

  it('constructed, closed and reconnected in one task it simply opens', async () => {
    const w = world();
    w.ws.close();
    w.ws.reconnect();
    await w.open();
    expect([w.log, w.sockets.length]).toEqual([['open'], 1]);
  });

  it('no open event follows when a statechange listener has closed it', async () => {
    const w = world();
    w.ws.addEventListener('statechange', ({ state }) => {
      if (state.status === 'open') w.ws.close();
    });
    await w.open();
    w.socket.closed(1000);
    expect(w.log).toEqual(['close 1000 final']);
  });

  it('a message that makes isPong close the connection is not delivered after that', async () => {
    const w = world({
      heartbeat: {
        ping: 'ping',
        isPong: () => {
          w.ws.close();
          return false;
        },
      },
    });
    await w.open();
    w.socket.says('x');
    expect(w.log).toEqual(['open']);
  });

  it('randomness that throws or is nonsense is no reason to get stuck', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const reported = vi.fn();
    vi.stubGlobal('reportError', reported);
    let chance: () => number = () => 0.5;
    const w = world({ random: () => chance(), backoff: (_attempt, random) => random * 1_000 });
    await w.open();
    chance = () => {
      throw new Error('no luck');
    };
    w.socket.closed();
    expect(w.ws.state.status).toBe('waiting');
    await w.clock.advance(1_000);
    await w.open();
    chance = () => Number.NaN;
    w.socket.closed();
    await w.clock.advance(1_000);
    await w.open();
    expect(w.log).toEqual(['open', 'close 1006 again', 'open', 'close 1006 again', 'open']);
    expect(reported).toHaveBeenCalled();
    vi.unstubAllGlobals();
    error.mockRestore();
  });

  it('shouldReconnect is not asked about a close of our own', async () => {
    const shouldReconnect = vi.fn(() => true);
    const w = world({ shouldReconnect });
    await w.open();
    w.ws.close(3000);
    w.socket.closed(3000);
    expect([w.log, shouldReconnect.mock.calls.length]).toEqual([['open', 'close 3000 final'], 0]);
  });

  it('a socket that opens twice opens once', async () => {
    const w = world();
    await w.open();
    w.socket.accepts();
    expect(w.log).toEqual(['open']);
  });

  it('an error, then reconnect(), leaves no timer of the old attempt behind', async () => {
    const w = world();
    await w.open();
    w.socket.errs('boom');
    w.ws.reconnect();
    await w.open();
    expect(w.clock.pending).toBe(0);
  });

  it('only codes that a page may send are sent', async () => {
    const w = world({ heartbeat });
    await w.open();
    await w.clock.advance(20_000);
    expect(w.sockets[0]?.closes).toEqual([[4000, 'heartbeat lost']]);
    await w.clock.advance(1_000);
    await w.open();
    w.page.says('thawed');
    expect(w.sockets[1]?.closes).toEqual([[]]); // 1006 is for the event, not for the wire
  });

  it.each([
    ['a promise', Promise.resolve()],
    ['null', null],
    ['a number', 5],
  ])('createSocket that returns %s is told so', async (_, value) => {
    const w = world({ createSocket: odd(() => value), maxRetries: 0 });
    await w.clock.advance(0);
    expect(w.ws.state).toMatchObject({ status: 'closed', error: { message: expect.stringContaining('"createSocket" returned') } });
  });

  it('bufferedAmount is 0 again after a new connection', async () => {
    const w = world();
    await w.open();
    w.ws.close();
    w.ws.send('12');
    w.ws.reconnect();
    await w.open();
    expect(w.ws.bufferedAmount).toBe(0);
  });

  it('a reason that no close frame can carry is refused, and changes nothing', async () => {
    const w = world();
    await w.open();
    expect(() => w.ws.reconnect('x'.repeat(124))).toThrow(expect.objectContaining({ name: 'SyntaxError' }));
    expect([w.ws.readyState, w.sockets.length]).toEqual([1, 1]);
  });

  it('an abort before the first attempt ends it, and reports what was queued', async () => {
    const stop = new AbortController();
    const w = world({ startClosed: true, signal: stop.signal });
    w.ws.send('early');
    stop.abort();
    await w.clock.advance(0);
    expect(w.log).toEqual(['drop early closed', 'close 1005 final']);
  });

  it('detached buffers are empty, as native sends them', async () => {
    const w = world();
    const buffer = new ArrayBuffer(8);
    structuredClone(buffer, { transfer: [buffer] });
    w.ws.send(buffer);
    await w.open();
    expect(w.socket.sent).toEqual([new ArrayBuffer(0)]);
  });

  it('drops are logged again once nobody listens any more', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const w = world({ queue: { capacity: 0 }, startClosed: true });
    const quiet = new ReconnectingWebSocket('ws://x.test', [], { queue: { capacity: 0 }, startClosed: true });
    const listener = () => {};
    quiet.addEventListener('drop', listener);
    quiet.send('1');
    expect(warn).not.toHaveBeenCalled();
    quiet.removeEventListener('drop', listener);
    quiet.send('2');
    expect(warn).toHaveBeenCalledTimes(1);
    w.ws.send('heard');
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });
});

/** Brings a world into a state. */
const into: Record<string, (w: World) => Promise<void> | void> = {
  idle: () => {},
  resolving: ({ ws }) => ws.reconnect(),
  opening: async ({ ws, settle }) => {
    ws.reconnect();
    await settle();
  },
  handshaking: async (w) => {
    w.ws.reconnect();
    await w.open();
  },
  open: async (w) => {
    w.ws.reconnect();
    await w.open();
  },
  waiting: async (w) => {
    w.ws.reconnect();
    await w.open();
    w.socket.closed();
  },
  offline: async (w) => {
    w.page.onLine = false;
    w.ws.reconnect();
    await w.settle();
    w.socket.fails();
  },
  closing: async (w) => {
    w.ws.reconnect();
    await w.open();
    w.ws.close();
  },
  closed: async (w) => {
    w.ws.reconnect();
    w.ws.close();
    await w.clock.advance(0);
  },
};
const optionsFor = (state: string): ReconnectingWebSocketOptions =>
  state === 'handshaking' ? { startClosed: true, handshake: () => new Promise(() => {}) } : { startClosed: true };

describe.each(Object.keys(into))('from %s', (state) => {
  it('reconnect() makes exactly one new connection, at once', async () => {
    const w = world(optionsFor(state));
    await into[state]?.(w);
    const before = w.sockets.length;
    w.ws.reconnect();
    await w.settle();
    expect(w.sockets).toHaveLength(before + 1);
    expect(w.ws.state).toMatchObject({ status: 'connecting', phase: 'opening' });
    expect(w.sockets.slice(0, -1).every(({ readyState }) => readyState >= 2)).toBe(true);
    expect([w.clock.pending, w.page.listeners.size]).toEqual([1, 1]);
  });

  it('close() ends in exactly one last close event, and nothing is left', async () => {
    const w = world(optionsFor(state));
    await into[state]?.(w);
    w.ws.close(3000);
    w.ws.close(3001);
    await w.clock.advance(2_000);
    expect(w.ws.readyState).toBe(3);
    expect(w.log.filter((line) => line.endsWith('final'))).toHaveLength(1);
    expect([w.clock.pending, w.page.listeners.size]).toEqual([0, 0]);
    expect(w.sockets.every(({ readyState }) => readyState >= 2)).toBe(true);
  });
});

const actions = {
  'close()': (w: World) => w.ws.close(),
  'reconnect()': (w: World) => w.ws.reconnect(),
  'close() and reconnect()': (w: World) => [w.ws.close(), w.ws.reconnect()],
  'reconnect() and close()': (w: World) => [w.ws.reconnect(), w.ws.close()],
};

describe.each(['open', 'message', 'error', 'close', 'statechange', 'drop'] as const)('inside a listener of %s', (type) => {
  it.each(Object.entries(actions))('%s is obeyed at once, events stay in order, and nothing is left over', async (name, act) => {
    const w = world({ queue: { capacity: 1 } });
    const seen: number[] = [];
    let done = false;
    w.ws.addEventListener(type, () => {
      if (done) return;
      done = true;
      act(w);
      seen.push(w.ws.readyState);
    });
    w.ws.send('1');
    w.ws.send('2'); // a drop
    await w.settle();
    for (const happen of ['accepts', 'says', 'fails'] as const) w.sockets.at(-1)?.[happen]('hi');
    await w.clock.advance(5_000);
    if (w.ws.state.status === 'connecting') await w.open();
    expect(done).toBe(true);
    const closing = name.endsWith('close()');
    expect(seen).toEqual([closing ? 2 : 0]);
    const states = w.events.flatMap((event) => ('previous' in event ? [event] : []));
    for (const [i, { previous }] of states.entries()) if (i > 0) expect(previous).toBe(states[i - 1]?.state);
    expect(w.sockets.filter(({ readyState }) => readyState < 2).length).toBe(w.ws.readyState === 3 ? 0 : 1);
    w.ws.close();
    await w.clock.advance(10_000);
    expect([w.ws.readyState, w.clock.pending, w.page.listeners.size]).toEqual([3, 0, 0]);
    expect(w.log.filter((line) => line.endsWith('final'))).toHaveLength(1);
  });
});
