/** Events and attributes, as the platform has them. Where happy-dom's EventTarget departs from the standard: listeners.test.ts. */

import { describe, expect, it, vi } from 'vitest';
import { DropEvent, ReconnectingCloseEvent, ReconnectingErrorEvent, StateChangeEvent } from '../../src/events.ts';
import { ReconnectingWebSocket } from '../../src/socket.ts';
import { world } from '../support/face.ts';

describe('listeners', () => {
  it('are called in the order of registration, on* among them, with one and the same event whose target is the wrapper', async () => {
    const w = world();
    const calls: [string, Event][] = [];
    w.ws.addEventListener('message', (event) => calls.push(['first', event]));
    w.ws.onmessage = (event) => calls.push(['on', event]);
    w.ws.addEventListener('message', (event) => calls.push(['last', event]));
    await w.open();
    w.socket.says('hi');
    expect(calls.map(([name]) => name)).toEqual(['first', 'on', 'last']);
    expect(new Set(calls.map(([, event]) => event)).size).toBe(1);
    expect(calls[0]?.[1].target).toBe(w.ws);
  });

  it('may be objects with handleEvent, once only, and tied to a signal', async () => {
    const w = world();
    const seen: string[] = [];
    const listener = { handleEvent: (event: Event) => seen.push(`object ${(event as MessageEvent).data}`) };
    const stop = new AbortController();
    w.ws.addEventListener('message', listener);
    w.ws.addEventListener('message', ({ data }) => seen.push(`once ${data}`), { once: true });
    w.ws.addEventListener('message', ({ data }) => seen.push(`signal ${data}`), { signal: stop.signal });
    await w.open();
    w.socket.says(1);
    stop.abort();
    w.socket.says(2);
    w.ws.removeEventListener('message', listener);
    w.socket.says(3);
    expect(seen).toEqual(['object 1', 'once 1', 'signal 1', 'object 2']);
  });

  it('are registered once, however often they are added', async () => {
    const w = world();
    const listener = vi.fn();
    w.ws.addEventListener('open', listener);
    w.ws.addEventListener('open', listener);
    await w.open();
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('of a name that is not ours are as good as on any EventTarget', () => {
    const w = world();
    const listener = vi.fn();
    w.ws.addEventListener('mine', listener);
    w.ws.dispatchEvent(new Event('mine'));
    expect(listener).toHaveBeenCalledOnce();
  });
});

describe('on*', () => {
  it.each(['onopen', 'onmessage', 'onerror', 'onclose'] as const)('%s is null, then what it is set to, then null again', (name) => {
    const { ws } = world();
    expect(ws[name]).toBeNull();
    const handler = () => {};
    ws[name] = handler;
    expect(ws[name]).toBe(handler);
    ws[name] = null;
    expect(ws[name]).toBeNull();
  });

  it('keeps its place when it is replaced, and loses it when it is set to null', async () => {
    const w = world();
    const seen: string[] = [];
    w.ws.onmessage = () => seen.push('never');
    w.ws.addEventListener('message', () => seen.push('listener'));
    w.ws.onmessage = () => seen.push('replaced');
    await w.open();
    w.socket.says(1);
    w.ws.onmessage = null;
    w.socket.says(2);
    w.ws.onmessage = () => seen.push('anew');
    w.socket.says(3);
    expect(seen).toEqual(['replaced', 'listener', 'listener', 'listener', 'anew']);
  });

  it('calls with the wrapper as this', async () => {
    const w = world();
    const seen: unknown[] = [];
    w.ws.onopen = function () {
      seen.push(this);
    };
    await w.open();
    expect(seen).toEqual([w.ws]);
  });

  it.each([5, 'text', undefined, true])('takes %j for null', (value) => {
    const { ws } = world();
    Reflect.set(ws, 'onopen', value);
    expect(ws.onopen).toBeNull();
  });

  it('set to itself is itself', () => {
    const { ws } = world();
    const handler = () => {};
    ws.onclose = handler;
    ws.onclose = ws.onclose;
    expect(ws.onclose).toBe(handler);
  });
});

describe('constants', () => {
  it.each([
    ['CONNECTING', 0],
    ['OPEN', 1],
    ['CLOSING', 2],
    ['CLOSED', 3],
  ] as const)('%s is %i on class and instance, and stays so', (name, value) => {
    const { ws } = world();
    expect(ReconnectingWebSocket[name]).toBe(value);
    expect(ws[name]).toBe(value);
    expect(Reflect.set(ws, name, 7)).toBe(false);
    expect(Object.hasOwn(ws, name)).toBe(false);
  });
});

describe('event objects', () => {
  it("are of classes that can be told apart, and of the platform's where it has one", async () => {
    const w = world({ queue: { capacity: 0 } });
    w.ws.send('x');
    await w.settle();
    w.socket.fails();
    await w.clock.advance(1_000);
    await w.open();
    w.socket.says('hi');
    const classes = {
      drop: DropEvent,
      statechange: StateChangeEvent,
      error: ReconnectingErrorEvent,
      close: ReconnectingCloseEvent,
      message: MessageEvent,
      open: Event,
    };
    for (const [type, expected] of Object.entries(classes)) {
      const event = w.events.find((event) => event.type === type);
      expect(event, type).toBeInstanceOf(expected);
    }
    expect(w.events.find(({ type }) => type === 'close')).toBeInstanceOf(CloseEvent);
  });

  it('of messages carry data and origin', async () => {
    const w = world();
    await w.open();
    w.socket.says('hi');
    expect(w.events.at(-1)).toMatchObject({ type: 'message', data: 'hi', origin: 'ws://test' });
  });
});

describe('statechange', () => {
  it('tells all that a status line needs', async () => {
    const w = world();
    const states = () => w.events.filter((event) => event instanceof StateChangeEvent);
    await w.open();
    w.socket.closed(1012, 'restart');
    const { epoch } = w.clock;
    expect(states().map(({ state }) => state)).toMatchObject([
      { status: 'connecting', phase: 'opening', attempt: 0, startedAt: epoch },
      { status: 'open', since: epoch, resumed: false },
      {
        status: 'waiting',
        attempt: 1,
        since: epoch,
        retryAt: epoch + 1_000,
        everOpened: true,
        cause: { kind: 'closed', code: 1012, reason: 'restart' },
      },
    ]);
    expect(states()[2]?.previous).toBe(states()[1]?.state);
    expect(w.ws.state).toBe(states()[2]?.state);
  });

  it('comes before the event that says it in the words of WebSocket', async () => {
    const w = world();
    await w.open();
    w.socket.closed();
    expect(w.events.map(({ type }) => type)).toEqual(['statechange', 'statechange', 'open', 'statechange', 'close']);
  });
});

describe('binaryType', () => {
  it('is blob, is set on every socket and kept across reconnects', async () => {
    const w = world();
    expect(w.ws.binaryType).toBe('blob');
    w.ws.binaryType = 'arraybuffer';
    await w.open();
    expect(w.socket.binaryType).toBe('arraybuffer');
    w.socket.closed();
    await w.clock.advance(1_000);
    await w.open();
    expect(w.socket.binaryType).toBe('arraybuffer');
    w.ws.binaryType = 'blob';
    expect(w.socket.binaryType).toBe('blob');
  });

  it('ignores what it does not know, as native does', () => {
    const { ws } = world();
    Reflect.set(ws, 'binaryType', 'nodebuffer');
    expect(ws.binaryType).toBe('blob');
  });
});

describe('protocol and extensions', () => {
  it('are those of the current socket', async () => {
    const w = world({}, undefined, ['a', 'b']);
    expect([w.ws.protocol, w.ws.extensions]).toEqual(['', '']);
    await w.settle();
    w.socket.extensions = 'permessage-deflate';
    w.socket.accepts('b');
    expect([w.ws.protocol, w.ws.extensions]).toEqual(['b', 'permessage-deflate']);
  });
});

describe('send', () => {
  it.each([
    [5, '5'],
    [null, 'null'],
    [undefined, 'undefined'],
    [true, 'true'],
    [{}, '[object Object]'],
    [[1, 2], '1,2'],
  ])('makes %j the text %j, as native does', async (value, text) => {
    const w = world();
    Reflect.apply(w.ws.send, w.ws, [value]);
    await w.open();
    Reflect.apply(w.ws.send, w.ws, [value]);
    expect(w.socket.sent).toEqual([text, text]);
  });

  it.each([
    ['nothing', []],
    ['a symbol', [Symbol('s')]],
    ['shared memory', [new SharedArrayBuffer(2)]],
    ['a view of shared memory', [new Uint8Array(new SharedArrayBuffer(2))]],
    ['an object that cannot be text', [Object.create(null)]],
  ])('of %s is a TypeError, as native', (_, args) => {
    const w = world();
    expect(() => Reflect.apply(w.ws.send, w.ws, args)).toThrow(TypeError);
    expect(w.ws.bufferedAmount).toBe(0);
  });
});

describe('close', () => {
  it.each([0, 999, 1001, 1005, 1006, 1015, 2999, 5000, 65_536, -1, Number.NaN, Infinity, '1001'])(
    'with the code %s throws InvalidAccessError',
    (code) => {
      const { ws } = world();
      expect(() => Reflect.apply(ws.close, ws, [code])).toThrow(expect.objectContaining({ name: 'InvalidAccessError' }));
      expect(ws.readyState).toBe(0);
    },
  );

  it.each([1000, 3000, 4999, '3000', 999.9])('with the code %s is fine', (code) => {
    const { ws } = world();
    Reflect.apply(ws.close, ws, [code]);
    expect(ws.readyState).toBe(2);
  });

  it.each([
    ['x'.repeat(123), true],
    ['x'.repeat(124), false],
    ['ü'.repeat(61), true],
    ['ü'.repeat(62), false],
  ])('with the reason %j is allowed: %s', (reason, allowed) => {
    const { ws } = world();
    const close = () => ws.close(1000, reason);
    if (allowed) expect(close).not.toThrow();
    else expect(close).toThrow(expect.objectContaining({ name: 'SyntaxError' }));
  });

  it('hands code and reason to the socket as they are', async () => {
    const cases: [args: [code?: number, reason?: string], handed: unknown[]][] = [
      [[], []],
      [[1000], [1000, '']],
      [
        [3001, 'x'],
        [3001, 'x'],
      ],
    ];
    for (const [args, handed] of cases) {
      const w = world();
      await w.open();
      w.ws.close(...args);
      expect(w.socket.closes).toEqual([handed]);
    }
  });

  it('gives up a socket that does not answer, after closeTimeout', async () => {
    const w = world({ closeTimeout: 500 });
    await w.open();
    w.ws.close(3000);
    await w.clock.advance(499);
    expect(w.log).toEqual(['open']);
    await w.clock.advance(1);
    expect(w.log).toEqual(['open', 'close 1006 final']);
  });

  it('takes its time while the last messages are leaving', async () => {
    const w = world({ closeTimeout: 500 });
    await w.open();
    w.socket.bufferedAmount = 3_000;
    w.ws.close();
    await w.clock.advance(0);
    for (const left of [2_000, 1_000, 0]) {
      w.socket.bufferedAmount = left;
      await w.clock.advance(500);
      expect(w.ws.readyState).toBe(2);
    }
    await w.clock.advance(500);
    expect(w.log.at(-1)).toBe('close 1006 final');
  });

  it('does not take what was written in the same task, and left right after it, for progress', async () => {
    const w = world({ closeTimeout: 500 });
    await w.open();
    w.socket.bufferedAmount = 100;
    w.ws.close();
    queueMicrotask(() => {
      w.socket.bufferedAmount = 0;
    });
    await w.clock.advance(500);
    expect(w.log.at(-1)).toBe('close 1006 final');
  });

  it('delivers no message after it, as native', async () => {
    const w = world();
    await w.open();
    w.ws.close();
    w.socket.says('late');
    expect(w.log).toEqual(['open']);
  });
});
