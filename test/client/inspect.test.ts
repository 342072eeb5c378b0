/** Seeing it: the log, the metrics, and that no secret is in either. */

import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ClientOptions } from '../../src/client-options.ts';
import { describe as inWords } from '../../src/describe.ts';
import { type InspectOptions, inspect } from '../../src/inspect.ts';
import { redacted } from '../../src/redacted.ts';
import { Samples } from '../../src/samples.ts';
import { odd, world } from '../support/face.ts';
import { type Pair, pair } from '../support/link.ts';
import { lose } from './support.ts';

afterEach(() => void vi.restoreAllMocks());

/** A client that is looked at from the beginning. */
async function seen(options: InspectOptions = {}, client: ClientOptions = {}) {
  const p: Pair = pair({ startClosed: true, ...client });
  const inspector = inspect(p.client, options);
  void p.client.connect();
  await p.settle();
  const texts = (...types: string[]) => inspector.log.filter(({ type }) => types.includes(type)).map(({ text }) => text);
  return { p, inspector, texts };
}

describe('the log of inspect()', () => {
  it('tells states, decisions and messages, with reasons, in order', async () => {
    const { p, texts } = await seen();
    p.client.send('note', 1);
    await p.settle();
    p.page.says('visible');
    await p.settle();
    await lose(p);
    expect(texts('state', 'decision')).toEqual([
      'connecting: asking for the address',
      'a socket to wss://example.test/live',
      'connecting: opening a socket',
      'connecting: agreeing with the server',
      'connected',
      'the page woke up: the peer is asked for a sign of life',
      expect.stringMatching(/^waiting after 1 failure: the connection was closed \(1006\); the next attempt in \d+ ms$/),
      'connecting after 1 failure: asking for the address',
      'a socket to wss://example.test/live',
      'connecting after 1 failure: opening a socket',
      'connecting after 1 failure: agreeing with the server',
      'connected, the session goes on',
    ]);
    expect(texts('sent').slice(0, 3)).toEqual([
      expect.stringMatching(/^hello \(\d+ bytes\)$/),
      expect.stringMatching(/^event note #1 \(\d+ bytes\)$/),
      expect.stringMatching(/^ping \(\d+ bytes\)$/),
    ]);
    expect(texts('received').slice(0, 2)).toEqual([expect.stringMatching(/^welcome/), expect.stringMatching(/^pong/)]);
  });

  it('counts, and measures round trips and how long a connection was away', async () => {
    const { p, inspector } = await seen();
    const { socket } = p;
    const { onmessage } = socket;
    socket.onmessage = (event: unknown) => void p.clock.setTimeout(() => (onmessage as (event: unknown) => void)?.call(socket, event), 40);
    p.page.says('visible');
    await p.clock.advance(6_000);
    await lose(p);
    const { roundTrip, reconnect, ...counts } = inspector.metrics;
    expect(roundTrip).toMatchObject({ count: 1, min: 40, p99: 40 });
    expect(reconnect).toMatchObject({ count: 1, min: 1_000, max: 1_000 });
    expect(counts).toMatchObject({ attempts: 2, connections: 2, resumed: 1, losses: 1, drops: 0 });
    expect(counts.messagesSent).toBe(p.sockets.flatMap(({ sent }) => sent).length);
    expect(counts.bytesReceived).toBe(p.sockets.flatMap(({ received }) => received).join('').length);
  });

  it('shows no payload unless asked, and then no more than 1000 characters', async () => {
    const secretive = await seen();
    secretive.p.client.send('note', 'my diary');
    await secretive.p.settle();
    expect(JSON.stringify(secretive.inspector)).not.toContain('diary');
    const { p, inspector } = await seen({ payloads: true });
    p.client.send('note', 'my diary');
    p.client.send('note', 'x'.repeat(5_000));
    await p.settle();
    const payloads = inspector.log.flatMap(({ frames = [] }) => frames.flatMap(({ payload }) => payload ?? []));
    expect(payloads).toEqual(['"my diary"', `"${'x'.repeat(999)}…`]);
  });

  it('never shows credentials, keys of sessions, or what stands in the query of a URL', async () => {
    const secrets = ['s3cret', 'qu3ry', 'us3r', 'k3y'];
    const logged: unknown[] = [];
    const logger = {
      debug: (...args: unknown[]) => logged.push(args),
      info: (...args: unknown[]) => logged.push(args),
      warn: (...args: unknown[]) => logged.push(args),
      error: (...args: unknown[]) => logged.push(args),
    };
    const p = pair(
      { startClosed: true, auth: () => 's3cret' },
      {
        createId: () => 'k3y',
        authenticate: (token) => token,
        expiresAt: () => 1_700_000_060_000,
      },
    );
    const inspector = inspect(p.client, { payloads: true, logger });
    void p.client.connect();
    await p.clock.advance(31_000);
    await lose(p);
    const everything = JSON.stringify(inspector) + JSON.stringify(logged);
    for (const secret of secrets) expect(everything).not.toContain(secret);
    expect(everything).toContain('"auth"');
    expect(redacted('no way to wss://us3r:pw@a.example/x?token=qu3ry&b=qu3ry here')).toBe('no way to wss://…@a.example/x?token=…&b=… here');
  });

  it('keeps its limit, and the newest', async () => {
    const { p, inspector } = await seen({ limit: 10 });
    for (let i = 0; i < 100; i++) {
      p.client.send('note', i);
      await p.settle();
    }
    expect(inspector.log).toHaveLength(10);
    expect(inspector.log.at(-1)?.text).toMatch(/^event note #100/);
  });

  it('goes to a logger too, which harms nobody', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const lines: string[] = [];
    const { p } = await seen({
      logger: {
        info: (text) => void lines.push(`info ${text}`),
        warn: () => {
          throw new Error('full');
        },
      },
    });
    await lose(p);
    expect(p.client.state.status).toBe('open');
    expect(lines[0]).toBe('info connecting: asking for the address');
    expect(console.error).toHaveBeenCalledWith(new Error('full'));
  });

  it('tells drops and errors', async () => {
    const { p, texts, inspector } = await seen({}, { outbox: { capacity: 0, overflow: 'drop-newest' } });
    p.client.send('note', 1);
    p.socket.deliver('{');
    await p.settle();
    expect(texts('drop')).toEqual(['event note was dropped: overflow']);
    expect(texts('error')).toEqual(['A message is JSON']);
    expect(inspector.metrics).toMatchObject({ drops: 1, losses: 1 });
  });

  it('is an export: JSON of the state, the metrics and the log', async () => {
    const { inspector } = await seen();
    expect(JSON.parse(JSON.stringify(inspector))).toEqual({
      state: 'connected',
      metrics: JSON.parse(JSON.stringify(inspector.metrics)),
      log: inspector.log,
    });
  });

  it('ends with stop(), and another one can begin', async () => {
    const { p, inspector } = await seen();
    expect(() => inspect(p.client)).toThrow(new TypeError('It is inspected already: stop() the inspector first'));
    inspector.stop();
    const { length } = inspector.log;
    p.client.send('note', 1);
    await p.settle();
    await lose(p);
    expect(inspector.log).toHaveLength(length);
    const next = inspect(p.client);
    p.client.send('note', 2);
    await p.settle();
    expect(next.log.map(({ text }) => text)).toContainEqual(expect.stringMatching(/^event note #2/));
  });

  it('looks at what is open already', async () => {
    const p: Pair = pair();
    await p.settle();
    const inspector = inspect(p.client);
    p.client.send('note', 1);
    p.peer.send('news', new Uint8Array([1, 2, 3]));
    await p.settle();
    expect(inspector.log.map(({ text }) => text.replace(/ \(.*/, ''))).toEqual([
      'a socket to wss://example.test/live',
      'event note #1',
      'event news #1',
    ]);
  });

  it('of a drop-in tells sizes, and no frames', async () => {
    const w = world({ startClosed: true });
    const inspector = inspect(w.ws);
    w.ws.reconnect();
    await w.open();
    w.ws.send('hello');
    w.socket.says('{"type":"login","name":"alice","code":482913}');
    w.ws.send(new Uint8Array(5));
    w.ws.close();
    w.ws.send('too late');
    expect(inspector.log.filter(({ type }) => /sent|received/.test(type)).map(({ text }) => text)).toEqual([
      'a text (5 bytes)',
      'a text (45 bytes)',
      'a binary message (5 bytes)',
    ]);
  });

  it('of hostile messages is bounded in bytes, too', async () => {
    const p = pair();
    await p.settle();
    const inspector = inspect(p.client, { limit: 10 });
    for (let i = 0; i < 40; i++)
      p.socket.deliver(JSON.stringify(Array.from({ length: 64 }, () => ({ type: 'a'.repeat(1_900), name: 'b'.repeat(1_900) }))));
    await p.settle();
    expect(JSON.stringify(inspector).length).toBeLessThan(300_000);
  });

  it('may be begun and ended as often as one likes', async () => {
    const p = pair();
    await p.settle();
    const { send } = p.socket;
    for (let i = 0; i < 20_000; i++) inspect(p.client).stop();
    expect(p.socket.send).toBe(send);
    p.client.send('note', 1);
    await p.settle();
    expect(p.client.stats.sent).toBe(1);
  });

  it.each([
    [null, /inspect\(\) takes a Client or a ReconnectingWebSocket first/],
    [new EventTarget(), /inspect\(\) takes a Client or a ReconnectingWebSocket first/],
  ])('takes a client or a socket: %s', (target, message) => {
    expect(() => inspect(odd(target))).toThrow(message);
  });

  it.each([
    [{ limit: 0 }, 'Option "limit" got 0; it takes a whole number, 1 or more'],
    [{ logger: 'console' }, 'Option "logger" got \'console\'; it takes an object like console'],
    [{ payloads: 'no' }, 'Option "payloads" got \'no\'; it takes true or false'],
    [null, 'Option "options" got null; it takes an object'],
  ])('says what it takes: %j', (options, message) => {
    expect(() => inspect(pair().client, odd(options))).toThrow(new TypeError(message));
  });

  it('warns of an option that it does not know', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    inspect(pair().client, odd({ payload: true }));
    expect(warn.mock.calls).toEqual([['Holdfast does not know the option "payload"; it is ignored']]);
  });
});

describe('describe()', () => {
  const loss = { kind: 'failed', code: 1006, reason: '', wasClean: false } as const;

  it.each([
    [{ status: 'idle' }, 'not started'],
    [{ status: 'connecting', attempt: 2, startedAt: 0, phase: 'opening' }, 'connecting after 2 failures: opening a socket'],
    [{ status: 'open', since: 0, resumed: true }, 'connected, the session goes on'],
    [
      { status: 'waiting', attempt: 1, since: 0, retryAt: 0, cause: loss, everOpened: true },
      'waiting after 1 failure: it could not connect (1006)',
    ],
    [
      { status: 'offline', attempt: 0, since: 0, retryAt: 0, cause: loss, everOpened: false },
      'offline: it could not connect (1006); it has never been open: something on the way may refuse WebSockets',
    ],
    [
      { status: 'waiting', attempt: 1, since: 0, retryAt: 0, cause: { ...loss, kind: 'closed', code: 4413 }, everOpened: false },
      'waiting after 1 failure: the connection was closed (4413)',
    ],
    [
      { status: 'closed', cause: 'unauthorized', code: 4401, reason: 'expired', everOpened: false },
      'closed: the credentials were refused (4401, expired)',
    ],
    [{ status: 'closed', cause: 'exhausted', code: 1006, reason: '', everOpened: true }, 'closed: there were too many failures (1006)'],
    [
      { status: 'closed', cause: 'exhausted', code: 1006, reason: '', everOpened: false },
      'closed: there were too many failures (1006); it has never been open',
    ],
    [
      { status: 'closed', cause: 'aborted', code: 1005, reason: '', error: new Error('left'), everOpened: false },
      'closed: its signal was aborted (1005): left',
    ],
  ] as const)('says %j', (state, text) => {
    expect(inWords(state)).toBe(text);
  });
});

describe('samples', () => {
  it('know the extremes and the mean of all, and percentiles of the last 512', () => {
    const samples = new Samples();
    expect(samples.summary).toEqual({ count: 0, min: 0, max: 0, mean: 0, p50: 0, p90: 0, p99: 0 });
    for (let i = 1; i <= 1_000; i++) samples.add(i);
    expect(samples.summary).toEqual({ count: 1_000, min: 1, max: 1_000, mean: 500.5, p50: 744, p90: 949, p99: 995 });
  });
});
