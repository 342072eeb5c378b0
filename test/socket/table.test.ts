// @vitest-environment-options { "url": "https://page.test/app/" }
/** What the drop-in does, row by row of the plan's table. */

import { describe, expect, it, vi } from 'vitest';
import { ReconnectingCloseEvent } from '../../src/events.ts';
import type { ReconnectingWebSocketOptions } from '../../src/options.ts';
import { ReconnectingWebSocket } from '../../src/socket.ts';
import { odd, world } from '../support/face.ts';
import { settled } from '../support/fake-clock.ts';
import { FakeSocket } from '../support/fake-socket.ts';

const closes = (events: readonly Event[]) => events.filter((event) => event instanceof ReconnectingCloseEvent);

describe('a socket that can be ended, as those of the ws package can', () => {
  it('is ended 2 s after it was given up, unless it has closed by then: it would keep the process', async () => {
    for (const closes of [true, false]) {
      const ended: number[] = [];
      const w = world({});
      await w.open();
      const first = Object.assign(w.socket, { terminate: () => void ended.push(w.clock.now()) });
      w.ws.reconnect();
      const at = w.clock.now();
      await w.clock.advance(1_999);
      if (closes) first.closed(4_001);
      await w.clock.advance(1);
      expect(ended).toEqual(closes ? [] : [at + 2_000]);
    }
  });

  it('leaves no timer behind where it has closed', async () => {
    const w = world({});
    await w.open();
    Object.assign(w.socket, { terminate: () => {} });
    w.ws.close();
    w.socket.closed(1_000);
    await w.clock.advance(0);
    expect([w.ws.state.status, w.clock.pending]).toEqual(['closed', 0]);
  });

  it('that says it is closed before close() returns is heard a task later', async () => {
    const w = world({ startClosed: true });
    w.ws.reconnect();
    await w.settle();
    const { socket } = w;
    const close = socket.close.bind(socket);
    socket.close = (...args) => {
      close(...args);
      socket.closed(1_006);
    };
    w.ws.close();
    expect(w.log).toEqual([]);
    await w.clock.advance(0);
    expect(w.log).toEqual(['close 1006 final']);
  });
});

describe('readyState', () => {
  it('is CONNECTING while connecting, waiting or offline, as EventSource has it', async () => {
    const { ws, page, socket: _, ...rest } = await connecting();
    expect([ws.state.status, ws.readyState]).toEqual(['connecting', 0]);
    rest.sockets[0]?.fails();
    await rest.clock.advance(0);
    expect([ws.state.status, ws.readyState]).toEqual(['waiting', 0]);
    page.onLine = false;
    await rest.clock.advance(1_000);
    rest.sockets[1]?.fails();
    await rest.clock.advance(0);
    expect([ws.state.status, ws.readyState]).toEqual(['offline', 0]);
  });

  it('is OPEN while open, CLOSING while closing, CLOSED when closed or idle', async () => {
    const w = world({ startClosed: true });
    expect([w.ws.state.status, w.ws.readyState]).toEqual(['idle', 3]);
    w.ws.reconnect();
    await w.open();
    expect([w.ws.state.status, w.ws.readyState]).toEqual(['open', 1]);
    w.ws.close();
    expect([w.ws.state.status, w.ws.readyState]).toEqual(['closing', 2]);
    w.socket.closed(1005);
    expect([w.ws.state.status, w.ws.readyState]).toEqual(['closed', 3]);
  });

  async function connecting() {
    const w = world();
    await w.settle();
    return w;
  }
});

describe('close events', () => {
  it('come one for every lost connection and every failed attempt, after error, and exactly one is the last', async () => {
    const w = world();
    await w.settle();
    w.socket.fails();
    await w.clock.advance(1_000);
    w.socket.fails();
    await w.clock.advance(1_000);
    await w.open();
    w.socket.closed(1012, 'restart', true);
    await w.clock.advance(1_000);
    await w.open();
    w.ws.close(3000, 'done');
    w.socket.closed(3000, 'done', true);
    await w.clock.advance(60_000);
    expect(w.log).toEqual([
      'error',
      'close 1006 again',
      'error',
      'close 1006 again',
      'open',
      'close 1012 again',
      'open',
      'close 3000 final',
    ]);
    expect(closes(w.events).map(({ reason, wasClean }) => [reason, wasClean])).toEqual([
      ['', false],
      ['', false],
      ['restart', true],
      ['done', true],
    ]);
  });

  it.each([1000, 1001, 1005, 1006, 1011, 1012, 1013, 4000, 4401])('keep the code %i as the browser gave it', async (code) => {
    const w = world();
    await w.open();
    w.socket.closed(code);
    expect(w.log.at(-1)).toBe(`close ${code} again`);
  });

  it('tell what is unsent: what the dead socket held is gone, what is queued is kept', async () => {
    const w = world();
    await w.open();
    w.socket.bufferedAmount = 1_234;
    w.socket.closed();
    expect(closes(w.events).at(-1)?.unsent).toEqual({ lostBytes: 1_234, queuedMessages: 0, queuedBytes: 0 });
    w.ws.send('grüße');
    await w.clock.advance(1_000);
    w.socket.fails();
    expect(closes(w.events).at(-1)?.unsent).toEqual({ lostBytes: 0, queuedMessages: 1, queuedBytes: 7 });
  });

  it('with willReconnect find readyState at CONNECTING already, so that send there is kept', async () => {
    const w = world();
    const seen: unknown[] = [];
    w.ws.addEventListener('close', () => {
      seen.push(w.ws.readyState);
      w.ws.send('from the close listener');
    });
    await w.open();
    w.socket.closed();
    await w.clock.advance(1_000);
    await w.open();
    expect(seen).toEqual([0]);
    expect(w.socket.sent).toEqual(['from the close listener']);
  });

  it('come without error when the browser fires none: the peer ended the connection', async () => {
    const w = world();
    await w.open();
    w.socket.closed(1006);
    expect(w.news()).toEqual(['open', 'close 1006 again']);
  });
});

describe('synthetic codes', () => {
  it('4000 when the heartbeat is lost', async () => {
    const w = world({ heartbeat: { ping: 'ping', interval: 1_000, timeout: 500 } });
    await w.open();
    await w.clock.advance(1_500);
    expect(w.log).toEqual(['open', 'error', 'close 4000 again']);
    expect(closes(w.events)[0]).toMatchObject({ wasClean: false, reason: 'heartbeat lost' });
    expect(w.socket.closes).toEqual([[4000, 'heartbeat lost']]);
  });

  it('4001 after reconnect()', async () => {
    const w = world();
    await w.open();
    w.ws.reconnect('new token');
    expect(w.log).toEqual(['open', 'close 4001 again']);
    expect(closes(w.events)[0]).toMatchObject({ wasClean: false, reason: 'new token' });
    expect(w.sockets[0]?.closes).toEqual([[4001, 'new token']]);
  });

  it('1006 when connecting takes too long', async () => {
    const w = world({ connectTimeout: 3_000 });
    await w.clock.advance(2_999);
    expect(w.log).toEqual([]);
    await w.clock.advance(1);
    expect(w.log).toEqual(['error', 'close 1006 again']);
    expect(w.events.find(({ type }) => type === 'error')).toMatchObject({ error: { code: 'CONNECT_TIMEOUT' } });
    expect(w.sockets[0]?.closes).toHaveLength(1);
  });

  it.each<[args: [code?: number, reason?: string], code: number, reason: string]>([
    [[], 1005, ''],
    [[3456, 'enough'], 3456, 'enough'],
  ])('close(%j) while waiting: an asynchronous close event with %i', async (args, code, reason) => {
    const w = world();
    await w.open();
    w.socket.closed();
    w.news();
    w.ws.close(...args);
    expect([w.ws.readyState, w.news()]).toEqual([2, []]);
    await w.clock.advance(0);
    expect(w.news()).toEqual([`close ${code} final`]);
    expect(closes(w.events).at(-1)).toMatchObject({ reason, wasClean: false });
  });

  it('while a socket is connecting, close() ends with what the browser says: error and 1006', async () => {
    const w = world();
    await w.settle();
    w.ws.close(3456);
    w.socket.fails();
    expect(w.log).toEqual(['error', 'close 1006 final']);
  });
});

describe('final closes', () => {
  it.each([1002, 1003, 1007, 1009, 1010, 1015])('%i three times in a row', async (code) => {
    const w = world();
    for (let i = 0; i < 3; i++) {
      await w.open();
      w.socket.closed(code);
      await w.clock.advance(1_000);
    }
    expect(w.log.filter((line) => line !== 'open')).toEqual([`close ${code} again`, `close ${code} again`, `close ${code} final`]);
    expect(w.ws.state).toMatchObject({ status: 'closed', cause: 'refused', code });
  });

  it.each([1000, 4001, 4403, 1011])('%i is not, however often', async (code) => {
    const w = world();
    for (let i = 0; i < 10; i++) {
      await w.open();
      w.socket.closed(code);
      await w.clock.advance(1_000);
    }
    expect(w.ws.state.status).toBe('connecting');
  });

  it('shouldReconnect returning false ends it; it is told the loss and what came before', async () => {
    const shouldReconnect = vi.fn((close: { code: number }) => close.code !== 4403);
    const w = world({ shouldReconnect });
    await w.open();
    w.socket.closed(1006);
    await w.clock.advance(1_000);
    await w.open();
    w.socket.closed(4403, 'forbidden');
    expect(w.log.at(-1)).toBe('close 4403 final');
    expect(w.ws.state).toMatchObject({ status: 'closed', cause: 'refused', reason: 'forbidden' });
    expect(shouldReconnect.mock.calls[1]).toMatchObject([
      { code: 4403, kind: 'closed' },
      { attempt: 1, everOpened: true, cause: { code: 1006 } },
    ]);
  });

  it.each([undefined, null, 0, ''])('shouldReconnect returning %j does not', async (value) => {
    const w = world({ shouldReconnect: () => odd(value) });
    await w.open();
    w.socket.closed();
    expect(w.log.at(-1)).toBe('close 1006 again');
  });

  it('shouldReconnect that throws is reported and does not', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const w = world({
      shouldReconnect: () => {
        throw new Error('mine');
      },
    });
    await w.open();
    w.socket.closed();
    expect(w.log.at(-1)).toBe('close 1006 again');
    expect(error.mock.calls.flat()).toMatchObject([{ message: 'mine' }]);
    error.mockRestore();
  });

  it('maxRetries ends it after so many retries', async () => {
    const w = world({ maxRetries: 2 });
    for (let i = 0; i < 3; i++) {
      await w.settle();
      w.socket.fails();
      await w.clock.advance(1_000);
    }
    expect(w.sockets).toHaveLength(3);
    expect(w.log.at(-1)).toBe('close 1006 final');
    expect(w.ws.state).toMatchObject({ status: 'closed', cause: 'exhausted' });
  });

  it('maxRetries counts again after a connection that lasted', async () => {
    const w = world({ maxRetries: 1 });
    for (let i = 0; i < 5; i++) {
      await w.open();
      await w.clock.advance(5_000);
      w.socket.closed();
      await w.clock.advance(1_000);
    }
    expect(w.ws.state.status).toBe('connecting');
  });

  it('a socket that is closed from the start is refused by the page (Chromium under a CSP)', async () => {
    const w = world({
      createSocket: (...args) => {
        const socket = new FakeSocket(...args);
        socket.readyState = 3;
        return socket;
      },
    });
    await w.clock.advance(0);
    expect(w.log).toEqual(['error', 'close 1006 final']);
    expect(w.ws.state).toMatchObject({ status: 'closed', cause: 'refused' });
  });

  it.each(['SecurityError', 'SyntaxError', 'NS_ERROR_CONTENT_BLOCKED'])('a constructor that throws a %s is final', async (name) => {
    const w = world({
      createSocket: () => {
        throw Object.assign(new Error('no'), { name });
      },
    });
    await w.clock.advance(0);
    expect(w.log).toEqual(['error', 'close 1006 final']);
  });
});

describe('odd sockets', () => {
  it('error without close is one failed attempt, settled after one macrotask', async () => {
    const w = world();
    await w.settle();
    w.socket.errs('boom');
    expect(w.log).toEqual([]);
    await w.clock.advance(0);
    expect(w.log).toEqual(['error', 'close 1006 again']);
    expect(w.events.find(({ type }) => type === 'error')).toMatchObject({ message: 'Could not connect: boom' });
  });

  it('close without error is one failed attempt', async () => {
    const w = world();
    await w.settle();
    w.socket.closed();
    await w.clock.advance(0);
    expect(w.log).toEqual(['close 1006 again']);
  });

  it('a constructor that throws is one failed attempt, settled after one macrotask', async () => {
    let calls = 0;
    const w = world({
      createSocket: () => {
        calls++;
        throw new Error('no more sockets');
      },
    });
    await w.settle();
    expect([calls, w.log]).toEqual([1, []]);
    await w.clock.advance(0);
    expect(w.log).toEqual(['error', 'close 1006 again']);
    await w.clock.advance(1_000);
    expect(calls).toBe(2);
  });

  it.each([
    ['error, error, close', (socket: FakeSocket) => [socket.errs(), socket.errs(), socket.closed()]],
    ['close, error', (socket: FakeSocket) => [socket.closed(), socket.errs()]],
    ['close, close', (socket: FakeSocket) => [socket.closed(), socket.closed(4002)]],
    ['close, open, message', (socket: FakeSocket) => [socket.closed(), socket.accepts(), socket.says('late')]],
  ])('%s: one close event, one retry', async (_, misbehave) => {
    const w = world();
    await w.open();
    misbehave(w.socket);
    await w.clock.advance(0);
    expect(w.log.filter((line) => line.startsWith('close'))).toEqual(['close 1006 again']);
    expect(w.log).not.toContain('message late');
    await w.clock.advance(1_000);
    expect(w.sockets).toHaveLength(2);
    expect(w.clock.pending).toBe(1);
  });

  it('an event without code, reason or wasClean is 1006 (React Native)', async () => {
    const w = world();
    await w.open();
    w.socket.onclose?.({});
    expect(closes(w.events)[0]).toMatchObject({ code: 1006, reason: '', wasClean: false });
    await w.clock.advance(1_000);
    await w.open();
    w.socket.onclose?.(undefined);
    expect(closes(w.events)[1]).toMatchObject({ code: 1006 });
  });

  it('a socket that opens after it was given up is closed', async () => {
    const w = world({ connectTimeout: 1_000 });
    await w.clock.advance(1_000);
    const [late] = w.sockets;
    late?.accepts();
    expect(late?.closes).toHaveLength(2);
    expect(w.log).toEqual(['error', 'close 1006 again']);
    expect(w.ws.readyState).toBe(0);
  });

  it('a socket that is open from the start is open', async () => {
    const w = world({
      createSocket: (...args) => {
        const socket = new FakeSocket(...args);
        socket.readyState = 1;
        return socket;
      },
    });
    await w.settle();
    expect(w.log).toEqual(['open']);
  });

  it('a socket whose close() throws is given up all the same', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const w = world();
    await w.open();
    w.socket.close = () => {
      throw new Error('cannot');
    };
    w.ws.reconnect();
    await w.open();
    expect(w.log).toEqual(['open', 'close 4001 again', 'open']);
    w.socket.close = () => {
      throw new Error('cannot');
    };
    w.ws.close();
    await w.clock.advance(2_000);
    expect(w.log.at(-1)).toBe('close 1006 final');
    vi.restoreAllMocks();
  });
});

describe('flush', () => {
  it('sends what is queued first, then what open listeners send', async () => {
    const w = world();
    w.ws.send('1');
    w.ws.addEventListener('statechange', ({ state }) => state.status === 'open' && w.ws.send('3'));
    w.ws.onopen = () => w.ws.send('4');
    w.ws.send('2');
    await w.open();
    w.ws.send('5');
    expect(w.socket.sent).toEqual(['1', '2', '3', '4', '5']);
  });

  it('stops where the socket starts to close, and goes on with the next one', async () => {
    const w = world();
    for (const text of ['1', '2', '3']) w.ws.send(text);
    await w.settle();
    const { socket } = w;
    socket.send = (data) => {
      socket.sent.push(data);
      socket.readyState = 2;
    };
    await w.open();
    w.ws.send('4');
    expect(socket.sent).toEqual(['1']);
    socket.closed();
    await w.clock.advance(1_000);
    await w.open();
    expect(w.socket.sent).toEqual(['2', '3', '4']);
  });

  it('keeps what is sent while the state is still open and the socket is not', async () => {
    const w = world();
    await w.open();
    w.socket.readyState = 2; // the server's close frame is in, its event is not
    w.ws.send('kept');
    expect(w.socket.sent).toEqual([]);
    w.socket.closed(1001);
    await w.clock.advance(1_000);
    await w.open();
    expect(w.socket.sent).toEqual(['kept']);
  });

  it('drops a message that the socket refuses, says so, and goes on', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const w = world();
    for (const text of ['1', 'poison', '3']) w.ws.send(text);
    await w.settle();
    const { socket } = w;
    socket.send = (data) => {
      if (data === 'poison') throw new Error('no');
      socket.sent.push(data);
    };
    await w.open();
    expect(socket.sent).toEqual(['1', '3']);
    expect(w.log).toEqual(['drop poison failed', 'open']);
    expect(error.mock.calls.flat()).toMatchObject([{ code: 'SEND_FAILED', cause: { message: 'no' } }]);
    error.mockRestore();
  });
});

describe('queue', () => {
  it("counts in bufferedAmount, in bytes of UTF-8, with the socket's own", async () => {
    const w = world();
    w.ws.send('grüße');
    w.ws.send(new Uint8Array(10).subarray(2, 5));
    w.ws.send(new ArrayBuffer(4));
    w.ws.send(new Blob(['12345']));
    expect(w.ws.bufferedAmount).toBe(7 + 3 + 4 + 5);
    await w.open();
    expect(w.ws.bufferedAmount).toBe(0);
    w.socket.bufferedAmount = 99;
    expect(w.ws.bufferedAmount).toBe(99);
  });

  it('is bounded to 8 MiB, drops the newest and says so', async () => {
    const w = world();
    const mebibyte = 'x'.repeat(1_024 * 1_024);
    for (let i = 0; i < 8; i++) w.ws.send(mebibyte);
    expect(w.log).toEqual([]);
    w.ws.send('!');
    expect(w.log).toEqual(['drop ! overflow']);
    await w.open();
    expect(w.socket.sent).toHaveLength(8);
  });

  it.each([
    [{ capacity: 2 }, ['1', '2'], ['drop 3 overflow']],
    [{ capacity: 2, overflow: 'drop-oldest' }, ['2', '3'], ['drop 1 overflow']],
    [{ maxBytes: 1 }, ['1'], ['drop 2 overflow', 'drop 3 overflow']],
  ] as const)('with %j keeps %j', async (queue, kept, dropped) => {
    const w = world({ queue });
    for (const text of ['1', '2', '3']) w.ws.send(text);
    expect(w.log).toEqual(dropped);
    await w.open();
    expect(w.socket.sent).toEqual(kept);
  });

  it('drops what waited longer than its ttl, at the latest when it would be sent', async () => {
    const w = world({ queue: { ttl: 1_500 } });
    await w.settle();
    w.ws.send('old');
    w.socket.fails();
    await w.clock.advance(1_000);
    w.ws.send('young');
    await w.clock.advance(600);
    await w.open();
    expect(w.socket.sent).toEqual(['young']);
    expect(w.log.filter((line) => line.startsWith('drop'))).toEqual(['drop old expired']);
  });

  it('reports each message it still holds when it is over, before the last close event', async () => {
    const w = world();
    w.ws.send('1');
    w.ws.send('2');
    w.ws.close();
    await w.clock.advance(0);
    expect(w.log).toEqual(['drop 1 closed', 'drop 2 closed', 'close 1005 final']);
    expect(closes(w.events)[0]?.unsent).toEqual({ lostBytes: 0, queuedMessages: 2, queuedBytes: 2 });
    expect(w.ws.bufferedAmount).toBe(0);
  });

  it('warns once an outage where nobody listens', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const ws = new ReconnectingWebSocket('ws://x.test', [], { queue: { capacity: 0 }, createSocket: (...args) => new FakeSocket(...args) });
    ws.send('1');
    ws.send('2');
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]?.[0]).toMatch(/dropped.*overflow.*"drop"/);
    ws.close();
    warn.mockRestore();
  });

  it.each<[string, (ws: ReconnectingWebSocket, listener: () => void) => void, number]>([
    ['a listener', (ws, listener) => ws.addEventListener('drop', listener), 0],
    ['a listener added twice, the second time once', (ws, l) => [{}, { once: true }].map((o) => ws.addEventListener('drop', l, o)), 0],
    ['one that is removed for another phase', (ws, l) => [ws.addEventListener('drop', l), ws.removeEventListener('drop', l, true)], 0],
    ['one that is removed', (ws, l) => [ws.addEventListener('drop', l), ws.removeEventListener('drop', l)], 1],
    ['one for once, at the second drop', (ws, l) => ws.addEventListener('drop', l, { once: true }), 1],
    [
      'one whose signal is aborted',
      (ws, l) => {
        const stop = new AbortController();
        ws.addEventListener('drop', l, { signal: stop.signal });
        stop.abort();
      },
      1,
    ],
  ])('warns or not, as EventTarget would call: %s', (_, listen, warnings) => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const ws = new ReconnectingWebSocket('ws://x.test', [], { queue: { capacity: 0 }, startClosed: true });
    listen(ws, () => {});
    ws.send('1');
    ws.send('2');
    expect(warn).toHaveBeenCalledTimes(warnings);
    warn.mockRestore();
  });

  it('warns again at the next outage', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const sockets: FakeSocket[] = [];
    const ws = new ReconnectingWebSocket('ws://x.test', [], {
      queue: { capacity: 0 },
      backoff: () => 1e6,
      createSocket: (...args) => {
        const socket = new FakeSocket(...args);
        sockets.push(socket);
        return socket;
      },
    });
    ws.send('1');
    await settled();
    sockets[0]?.accepts();
    sockets[0]?.closed();
    ws.send('2');
    expect(warn).toHaveBeenCalledTimes(2);
    ws.close();
    warn.mockRestore();
  });

  it('drops what has waited too long when its time is over, not when somebody looks', async () => {
    const w = world({ queue: { ttl: 500 }, backoff: () => 60_000 });
    await w.settle();
    w.socket.closed();
    w.ws.send('a');
    await w.clock.advance(100);
    w.ws.send('b');
    await w.clock.advance(400);
    expect(w.log).toEqual(['close 1006 again', 'drop a expired']);
    await w.clock.advance(100);
    expect(w.log.at(-1)).toBe('drop b expired');
    expect(w.clock.pending).toBe(1); // the retry
  });

  it('says expired, not closed, of what is too old when it ends', async () => {
    const w = world({ queue: { ttl: 500 }, startClosed: true });
    w.ws.send('a');
    w.clock.jump(600); // the timer is late
    w.ws.close();
    await w.clock.advance(0);
    expect(w.log).toEqual(['drop a expired', 'close 1005 final']);
    expect(w.clock.pending).toBe(0);
  });

  it('reports at each failed attempt what has waited too long, before it says how much is left', async () => {
    const w = world({ queue: { ttl: 1_500 } });
    w.ws.send('old');
    await w.settle();
    w.socket.closed();
    expect(w.news()).toEqual(['close 1006 again']);
    await w.clock.advance(1_000);
    w.ws.send('new');
    w.clock.jump(600); // the timer is late
    w.socket.closed();
    expect(w.news()).toEqual(['drop old expired', 'close 1006 again']);
    expect(closes(w.events).at(-1)?.unsent).toEqual({ lostBytes: 0, queuedMessages: 1, queuedBytes: 3 });
  });

  it('copies buffers: what is sent is what was there when it was sent', async () => {
    const w = world();
    const bytes = new Uint8Array([1, 2, 3, 4]);
    w.ws.send(bytes.subarray(1, 3));
    w.ws.send(bytes.buffer);
    bytes.fill(9);
    await w.open();
    expect(w.socket.sent).toEqual([new Uint8Array([2, 3]), new Uint8Array([1, 2, 3, 4]).buffer]);
  });

  it('false: send while connecting throws InvalidStateError, as native', async () => {
    const w = world({ queue: false });
    expect(() => w.ws.send('1')).toThrow(expect.objectContaining({ name: 'InvalidStateError' }));
    await w.open();
    w.ws.send('2');
    expect(w.socket.sent).toEqual(['2']);
    w.socket.closed();
    expect(() => w.ws.send('3')).toThrow(expect.objectContaining({ name: 'InvalidStateError' }));
  });

  it('keeps what is sent before a first reconnect()', async () => {
    const w = world({ startClosed: true });
    w.ws.send('early');
    w.ws.reconnect();
    await w.open();
    expect(w.socket.sent).toEqual(['early']);
  });
});

describe('send after close', () => {
  it('does nothing, as native: bufferedAmount grows; but it says so', async () => {
    const w = world();
    await w.open();
    w.ws.close();
    w.ws.send('12');
    w.socket.closed(1005);
    w.ws.send('345');
    expect(w.ws.bufferedAmount).toBe(5);
    expect(w.socket.sent).toEqual([]);
    expect(w.log).toEqual(['open', 'drop 12 closed', 'close 1005 final', 'drop 345 closed']);
  });
});

describe('reconnect: false', () => {
  it('is one connection: its close is final, its events are those of the browser', async () => {
    const w = world({ reconnect: false });
    await w.open();
    await w.clock.advance(60_000);
    w.socket.closed(1001, 'going', true);
    await w.clock.advance(60_000);
    expect(w.log).toEqual(['open', 'close 1001 final']);
    expect([w.ws.readyState, w.sockets.length, w.clock.pending]).toEqual([3, 1, 0]);
  });

  it('fails once', async () => {
    const w = world({ reconnect: false });
    await w.settle();
    w.socket.fails();
    await w.clock.advance(60_000);
    expect(w.log).toEqual(['error', 'close 1006 final']);
    expect(w.sockets).toHaveLength(1);
  });

  it('has our connect timeout and our heartbeat', async () => {
    const slow = world({ reconnect: false, connectTimeout: 1_000 });
    await slow.clock.advance(1_000);
    expect(slow.log).toEqual(['error', 'close 1006 final']);
    const dead = world({ reconnect: false, heartbeat: { ping: 'p', interval: 1_000, timeout: 1_000 } });
    await dead.open();
    await dead.clock.advance(2_000);
    expect(dead.log).toEqual(['open', 'error', 'close 4000 final']);
  });
});

describe('url', () => {
  it('is the resolved URL when it is static', () => {
    expect(world({}, 'https://example.test/a b?c').ws.url).toBe('wss://example.test/a%20b?c');
    expect(world({}, new URL('ws://example.test')).ws.url).toBe('ws://example.test/');
  });

  it("is resolved against the page, as today's standard has it", () => {
    const base = document.createElement('base');
    base.href = 'https://base.test/app/';
    document.head.append(base);
    expect(world({}, 'chat').ws.url).toBe('wss://base.test/app/chat');
    base.remove();
  });

  it('is empty until it is known, then the last used', async () => {
    let n = 0;
    const w = world({}, () => `ws://example.test/${n++}`);
    expect(w.ws.url).toBe('');
    await w.open();
    expect(w.ws.url).toBe('ws://example.test/0');
    w.socket.closed();
    await w.clock.advance(500);
    expect(w.ws.url).toBe('ws://example.test/0');
    await w.clock.advance(500);
    expect(w.ws.url).toBe('ws://example.test/1');
  });
});

describe('construction', () => {
  it('makes the socket later: construct and close() in one tick opens nothing', async () => {
    const w = world();
    expect(w.sockets).toHaveLength(0);
    w.ws.close();
    await w.clock.advance(1_000);
    expect(w.sockets).toHaveLength(0);
    expect(w.log).toEqual(['close 1005 final']);
    expect([w.clock.pending, w.page.listeners.size]).toEqual([0, 0]);
  });

  it('makes it one microtask later', async () => {
    const w = world();
    await Promise.resolve();
    expect(w.sockets).toHaveLength(1);
  });

  it('startClosed waits for reconnect()', async () => {
    const w = world({ startClosed: true });
    await w.clock.advance(60_000);
    expect([w.sockets.length, w.clock.pending, w.page.listeners.size]).toEqual([0, 0, 0]);
    w.ws.reconnect();
    await w.open();
    expect(w.log).toEqual(['open']);
  });

  it('hands the URL and the protocols to the socket', async () => {
    const w = world({}, 'http://example.test/x', ['a', 'b']);
    await w.settle();
    expect([w.socket.url, w.socket.protocols]).toEqual(['ws://example.test/x', ['a', 'b']]);
  });

  it('takes the options as second argument too, with the protocols among them', async () => {
    const sockets: FakeSocket[] = [];
    const options: ReconnectingWebSocketOptions = {
      protocols: 'a',
      createSocket: (...args) => {
        sockets.push(new FakeSocket(...args));
        return sockets[0] as FakeSocket;
      },
    };
    const ws = new ReconnectingWebSocket('ws://example.test', options);
    await Promise.resolve();
    expect(sockets[0]?.protocols).toEqual(['a']);
    ws.close();
    expect(() => new ReconnectingWebSocket('ws://example.test', options, options)).toThrow(TypeError);
  });
});
