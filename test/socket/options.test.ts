import { describe, expect, it, vi } from 'vitest';
import { ReconnectingWebSocket } from '../../src/socket.ts';
import { odd, world } from '../support/face.ts';

const make = (options: object) => {
  const ws = Reflect.construct(ReconnectingWebSocket, ['ws://x.test', [], { startClosed: true, ...options }]) as ReconnectingWebSocket;
  ws.close();
};

describe('an option of the wrong kind', () => {
  it.each([
    [{ maxRetries: -1 }, 'Option "maxRetries" got -1; it takes a whole number or Infinity'],
    [{ maxRetries: 1.5 }, 'Option "maxRetries" got 1.5'],
    [{ maxRetries: Number.NaN }, 'Option "maxRetries" got NaN'],
    [{ maxRetries: '3' }, `Option "maxRetries" got '3'`],
    [{ connectTimeout: 0 }, 'Option "connectTimeout" got 0; it takes milliseconds, 1 or more'],
    [{ connectTimeout: '10s' }, `Option "connectTimeout" got '10s'`],
    [{ closeTimeout: -1 }, 'Option "closeTimeout" got -1'],
    [{ stableAfter: null }, 'Option "stableAfter" got null'],
    [{ backoff: 1_000 }, 'Option "backoff" got 1000; it takes a function'],
    [{ shouldReconnect: true }, 'Option "shouldReconnect" got true'],
    [{ reconnect: 'no' }, `Option "reconnect" got 'no'; it takes true or false`],
    [{ queue: true }, 'Option "queue" got true; it takes false or an object'],
    [{ queue: null }, 'Option "queue" got null'],
    [{ queue: { maxBytes: -1 } }, 'Option "queue.maxBytes" got -1; it takes bytes, 0 or more'],
    [{ queue: { capacity: 0.5 } }, 'Option "queue.capacity" got 0.5'],
    [{ queue: { ttl: {} } }, 'Option "queue.ttl" got an object'],
    [{ queue: { overflow: 'throw' } }, `Option "queue.overflow" got 'throw'; it takes 'drop-newest' or 'drop-oldest'`],
    [{ heartbeat: true }, 'Option "heartbeat" got true'],
    [{ heartbeat: {} }, 'Option "heartbeat.ping" got null; it takes data to send, or a function that makes it'],
    [{ heartbeat: { ping: { type: 'ping' } } }, 'Option "heartbeat.ping" got an object'],
    [{ heartbeat: { ping: 5 } }, 'Option "heartbeat.ping" got 5'],
    [{ heartbeat: { ping: 'p', interval: 0 } }, 'Option "heartbeat.interval" got 0'],
    [{ heartbeat: { ping: 'p', timeout: Number.NaN } }, 'Option "heartbeat.timeout" got NaN'],
    [{ heartbeat: { ping: 'p', probeTimeout: '1' } }, `Option "heartbeat.probeTimeout" got '1'`],
    [{ heartbeat: { ping: 'p', isPong: 'pong' } }, `Option "heartbeat.isPong" got 'pong'`],
    [{ handshake: {} }, 'Option "handshake" got an object'],
    [{ startClosed: 1 }, 'Option "startClosed" got 1'],
    [{ signal: {} }, 'Option "signal" got an object; it takes an object with addEventListener'],
    [{ createSocket: 'ws' }, `Option "createSocket" got 'ws'`],
    [{ clock: { now: () => 0 } }, 'Option "clock" got an object; it takes an object with now, wall, setTimeout, clearTimeout'],
    [{ random: 0.5 }, 'Option "random" got 0.5'],
    [{ lifecycle: {} }, 'Option "lifecycle" got an object; it takes an object with watch'],
  ])('%j is a TypeError that names it', (options, message) => {
    expect(() => make(options)).toThrow(expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(message) }));
  });
});

describe('an option that is not known', () => {
  it('is named in one warning, and ignored', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    make({ retries: 3, toString: 1, queue: { size: 1 }, heartbeat: { ping: 'p', pong: 'q' } });
    expect(warn.mock.calls).toEqual([
      ['Holdfast does not know the option "retries", "toString", "heartbeat.pong", "queue.size"; it is ignored'],
    ]);
    warn.mockRestore();
  });
});

describe('options that are undefined', () => {
  it('mean the default', async () => {
    const warn = vi.spyOn(console, 'warn');
    const undefineds = Object.fromEntries(
      ['maxRetries', 'connectTimeout', 'heartbeat', 'queue', 'signal', 'handshake', 'shouldReconnect', 'reconnect'].map((name) => [
        name,
        undefined,
      ]),
    );
    const w = world(undefineds);
    w.ws.send('kept');
    await w.open();
    expect(w.socket.sent).toEqual(['kept']);
    expect(warn).not.toHaveBeenCalled();
    make({ queue: { maxBytes: undefined }, heartbeat: { ping: 'p', interval: undefined } });
  });
});

describe('extremes', () => {
  it.each([{ connectTimeout: Infinity }, { closeTimeout: Infinity }, { stableAfter: Infinity }, { connectTimeout: 1e300 }])(
    '%j never make a timer that fires at once',
    async (options) => {
      const w = world(options);
      await w.open();
      w.ws.close();
      await w.clock.advance(1_000);
      w.socket.closed(1005);
      expect(w.log).toEqual(['open', 'close 1005 final']);
    },
  );
});

describe('backoff', () => {
  it.each([
    [0, 0],
    [250, 250],
    [-5, 0],
    [Infinity, 2 ** 31 - 1],
  ])('that returns %d waits %d ms', async (value, delay) => {
    const w = world({ backoff: () => value });
    await w.settle();
    w.socket.fails();
    expect(w.clock.next).toBe(delay);
  });

  it.each([['nonsense'], [Number.NaN], [{}]])('that returns %j is reported and the default used', async (value) => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const w = world({ backoff: odd(() => value) });
    await w.settle();
    w.socket.fails();
    expect(w.clock.next).toBe(1_000); // the default for attempt 1 at random 0.5
    expect(error.mock.calls.flat()).toMatchObject([{ name: 'TypeError', message: expect.stringContaining('"backoff"') }]);
    error.mockRestore();
  });

  it('that throws is reported and the default used', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const w = world({
      backoff: () => {
        throw new Error('mine');
      },
    });
    await w.settle();
    w.socket.fails();
    expect(w.clock.next).toBe(1_000);
    expect(error).toHaveBeenCalledOnce();
    error.mockRestore();
  });

  it('is told the attempt, the random number and whether there is time', async () => {
    const asked: unknown[] = [];
    const w = world({ backoff: (...args) => asked.push(args) });
    await w.settle();
    w.socket.fails();
    await w.clock.advance(1_000);
    w.page.hidden = true;
    await w.open();
    w.socket.closed();
    expect(asked).toEqual([
      [1, 0.5, true],
      [2, 0.5, true],
    ]);
  });
});
