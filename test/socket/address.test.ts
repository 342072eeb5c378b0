// @vitest-environment node
/** URLs and subprotocols, where there is no page to resolve them against. */

import { describe, expect, it, vi } from 'vitest';
import type { ProviderContext } from '../../src/address.ts';
import { nativeSocket } from '../../src/io/web-socket.ts';
import { ReconnectingWebSocket } from '../../src/socket.ts';
import { odd, world } from '../support/face.ts';

const syntaxError = expect.objectContaining({ name: 'SyntaxError' });

describe('a static URL', () => {
  it.each(['http//x', 'ftp://x.test', 'about:blank', 'ws://', 'ws://x.test/#', 'ws://x.test/#part', 'data:text/plain,x', ''])(
    '%j is a SyntaxError, as native',
    (url) => {
      expect(() => new ReconnectingWebSocket(url)).toThrow(syntaxError);
    },
  );

  it.each([
    ['ws://x.test', 'ws://x.test/'],
    ['WSS://X.test:443/a?b=c', 'wss://x.test/a?b=c'],
    ['http://x.test', 'ws://x.test/'],
    ['https://x.test/%23', 'wss://x.test/%23'],
  ])('%j is %j', (url, resolved) => {
    expect(world({}, url).ws.url).toBe(resolved);
  });
});

describe('static protocols', () => {
  it.each([[['a', 'a']], [''], [['a', '']], ['a b'], ['a,b'], ['ä'], ['a/b'], [['x', 'a\u0000']], ['"a"']])(
    '%j are a SyntaxError, as native',
    (protocols) => {
      expect(() => new ReconnectingWebSocket('ws://x.test', protocols)).toThrow(syntaxError);
    },
  );

  it.each([
    ['chat', ['chat']],
    [
      ['a', 'A'],
      ['a', 'A'],
    ],
    [[], []],
    [undefined, []],
    ['graphql-transport-ws', ['graphql-transport-ws']],
    ["!#$%&'*+-.^_`|~aZ9", ["!#$%&'*+-.^_`|~aZ9"]],
  ])('%j are %j', async (protocols, list) => {
    const w = world({}, 'ws://x.test', protocols);
    await w.settle();
    expect(w.socket.protocols).toEqual(list);
  });
});

describe('providers', () => {
  it('are asked on every attempt, and told what is known', async () => {
    const asked: ProviderContext[] = [];
    const w = world(
      {},
      (context) => {
        asked.push(context);
        return `ws://x.test/${asked.length}`;
      },
      async () => ['a'],
    );
    await w.settle();
    w.socket.fails();
    await w.clock.advance(1_000);
    await w.open();
    w.socket.closed(1012);
    await w.clock.advance(1_000);
    expect(w.sockets.map(({ url }) => url)).toEqual(['ws://x.test/1', 'ws://x.test/2', 'ws://x.test/3']);
    expect(w.socket.protocols).toEqual(['a']);
    expect(asked).toMatchObject([
      { attempt: 0, everOpened: false, cause: undefined },
      { attempt: 1, everOpened: false, cause: { kind: 'failed', code: 1006 } },
      { attempt: 2, everOpened: true, cause: { kind: 'closed', code: 1012 } },
    ]);
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
  });

  it.each([
    [
      'throw',
      () => {
        throw new Error('no token');
      },
    ],
    ['reject', () => Promise.reject(new Error('no token'))],
  ] as const)('that %s are a failed attempt, and are asked again', async (_, fail) => {
    let calls = 0;
    const w = world({}, () => (++calls < 3 ? fail() : 'ws://x.test/'));
    await w.clock.advance(0);
    expect(w.news()).toEqual(['error', 'close 1006 again']);
    expect(w.events.find(({ type }) => type === 'error')).toMatchObject({
      error: { code: 'ADDRESS_FAILED', cause: { message: 'no token' } },
      message: 'No address to connect to: no token',
    });
    await w.clock.advance(2_000);
    await w.open();
    expect([calls, w.sockets.length, w.log.at(-1)]).toEqual([3, 1, 'open']);
  });

  it.each([Symbol('x'), Object.create(null), undefined, 0, 'text'])('that throw %s are a failed attempt like any other', async (thrown) => {
    const w = world({}, () => {
      throw thrown;
    });
    await w.clock.advance(0);
    expect(w.log).toEqual(['error', 'close 1006 again']);
    expect(w.events.find(({ type }) => type === 'error')).toMatchObject({ error: { code: 'ADDRESS_FAILED' } });
  });

  it('that hang are given up after connectTimeout; what they say then is ignored', async () => {
    let answer = (_: string) => {};
    let signal: AbortSignal | undefined;
    let calls = 0;
    const w = world({ connectTimeout: 1_000 }, (context) => {
      if (++calls > 1) return 'ws://x.test/second';
      signal = context.signal;
      return new Promise<string>((resolve) => {
        answer = resolve;
      });
    });
    await w.clock.advance(1_000);
    expect(w.log).toEqual(['error', 'close 1006 again']);
    expect(signal?.aborted).toBe(true);
    answer('ws://x.test/late');
    await w.clock.advance(1_000);
    expect(w.sockets.map(({ url }) => url)).toEqual(['ws://x.test/second']);
    expect(w.ws.url).toBe('ws://x.test/second');
  });

  it('that answer after close() open nothing', async () => {
    let answer = (_: string) => {};
    const w = world({}, () => new Promise<string>((resolve) => (answer = resolve)));
    await w.settle();
    w.ws.close();
    answer('ws://x.test');
    await w.clock.advance(1_000);
    expect([w.sockets.length, w.log, w.ws.url]).toEqual([0, ['close 1005 final'], '']);
  });

  it('that answer after reconnect() asked again open nothing', async () => {
    const answers: ((url: string) => void)[] = [];
    const w = world({}, () => new Promise<string>((resolve) => answers.push(resolve)));
    await w.settle();
    w.ws.reconnect();
    await w.settle();
    answers[0]?.('ws://x.test/old');
    await w.settle();
    expect(w.sockets).toHaveLength(0);
    answers[1]?.('ws://x.test/new');
    await w.settle();
    expect(w.sockets.map(({ url }) => url)).toEqual(['ws://x.test/new']);
  });

  it.each([5, null, undefined, {}, 'not a url', 'ftp://x.test', 'ws://x.test/#a', Symbol('s')])(
    'of a URL that return %s are refused for good, by name',
    async (value) => {
      const w = world(
        {},
        odd(() => value),
      );
      await w.clock.advance(0);
      expect(w.log).toEqual(['error', 'close 1006 final']);
      expect(w.ws.state).toMatchObject({ status: 'closed', cause: 'refused', error: { code: 'ADDRESS_INVALID' } });
      expect(w.ws.state).toMatchObject({ error: { message: expect.stringMatching(/url/i) } });
    },
  );

  it.each([5, null, {}, ['a', 'a'], ['a b'], ''])('of protocols that return %j are refused for good, by name', async (value) => {
    const w = world(
      {},
      'ws://x.test',
      odd(() => value),
    );
    await w.clock.advance(0);
    expect(w.log).toEqual(['error', 'close 1006 final']);
    expect(w.ws.state).toMatchObject({ error: { code: 'ADDRESS_INVALID', message: expect.stringMatching(/protocol/) } });
  });

  it('may return a URL object', async () => {
    const w = world({}, () => new URL('https://x.test/a'));
    await w.settle();
    expect(w.socket.url).toBe('wss://x.test/a');
  });

  it('may use shouldReconnect to end it: logged out is final', async () => {
    class LoggedOut extends Error {}
    const w = world({ shouldReconnect: ({ error }) => !(error?.cause instanceof LoggedOut) }, () => Promise.reject(new LoggedOut('bye')));
    await w.clock.advance(0);
    expect(w.log).toEqual(['error', 'close 1006 final']);
  });
});

describe('a runtime without WebSocket', () => {
  it('is told what to do', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const w = world({ createSocket: nativeSocket, maxRetries: 0 });
    await w.clock.advance(0);
    expect(w.ws.state).toMatchObject({ error: { message: expect.stringContaining('createSocket') } });
    vi.unstubAllGlobals();
  });
});
