/** The built bundle in a real Chromium: where the platform itself is the other side of the promise. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ReconnectingWebSocketOptions } from '../../src/options.ts';
import { launch, openPage, type Site, serveSite } from '../support/pages.ts';

let browser: Browser;
let site: Site;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  site = await serveSite();
});
afterEach(() => site.stop());

/** Makes `window.ws`, which writes what happens to it into `window.log`. */
async function connect(page: Page, url: string, options: ReconnectingWebSocketOptions = {}): Promise<void> {
  await page.evaluate(
    ([url, options]) => {
      window.log = [];
      window.ws = new window.Holdfast.ReconnectingWebSocket(url, { ...options, backoff: () => 20 });
      const { ws, log } = window;
      ws.addEventListener('open', () => log.push('open'));
      ws.addEventListener('message', ({ data }) => log.push(`message ${data}`));
      ws.addEventListener('error', () => log.push('error'));
      ws.addEventListener('close', ({ code, willReconnect }) => log.push(`close ${code} ${willReconnect ? 'again' : 'final'}`));
    },
    [url, options] as const,
  );
}

const logged = (page: Page, line: string, times = 1) =>
  page.waitForFunction(([line, times]) => window.log.filter((entry) => entry === line).length >= times, [line, times] as const);
const logOf = (page: Page) => page.evaluate(() => window.log);

describe.each(['/esm', '/script'])('on the page %s', (path) => {
  it('sends and receives, comes back after a cut, and delivers in order what was written meanwhile', async () => {
    const { page, context, errors } = await openPage(browser, site.url(path));
    await connect(page, site.proxy.url());
    await page.evaluate(() => window.ws.send('before it was open'));
    await logged(page, 'message before it was open');
    await site.proxy.refuse();
    site.proxy.cut();
    await logged(page, 'close 1006 again', 2);
    await page.evaluate(() => {
      for (let i = 0; i < 100; i++) window.ws.send(`${i}`);
    });
    await site.proxy.accept();
    await logged(page, 'message 99');
    expect(site.server.echo.texts).toEqual(['before it was open', ...Array.from({ length: 100 }, (_, i) => `${i}`)]);
    await page.evaluate(() => window.ws.close(3000, 'done'));
    await logged(page, 'close 3000 final');
    expect(errors).toEqual([]);
    await context.close();
  });
});

describe('the bundle', () => {
  it('for script tags has the same names as the module', async () => {
    const names = await Promise.all(
      ['/esm', '/script'].map(async (path) => {
        const { page, context } = await openPage(browser, site.url(path));
        const keys = await page.evaluate(() => Object.keys(window.Holdfast).sort());
        await context.close();
        return keys;
      }),
    );
    expect(names[0]).toEqual(names[1]);
    expect(names[0]).toContain('ReconnectingWebSocket');
  });
});

describe('beside the native WebSocket', () => {
  const cases: Record<string, { url(): string; act?: (ws: WebSocket) => void }> = {
    'closed by us': { url: () => site.server.url(), act: (ws) => ws.close(3001, 'x') },
    'closed by us without a code': { url: () => site.server.url(), act: (ws) => ws.close() },
    'closed by the server': { url: () => site.server.url('/close/4001?reason=go') },
    'closed by the server without a code': { url: () => site.server.url('/close/1005') },
    'refused with 503': { url: () => site.server.url('/status/503') },
    'closed while connecting': { url: () => site.server.url('/stall'), act: (ws) => ws.close(3002) },
    'no such port': { url: () => 'ws://127.0.0.1:9/' },
  };

  it.each(Object.entries(cases))('reconnect: false tells the same story when %s', async (_, { url, act }) => {
    const { page, context } = await openPage(browser, site.url('/script'));
    const stories = await page.evaluate(
      async ([url, act]) => {
        const tell = (ws: WebSocket) =>
          new Promise<string[]>((resolve) => {
            const story: string[] = [];
            const run: (ws: WebSocket) => void = act ? new Function(`return ${act}`)() : () => {};
            for (const type of ['open', 'error', 'close'] as const)
              ws.addEventListener(type, (event) => {
                const { code, reason, wasClean } = event as CloseEvent;
                story.push(type === 'close' ? `close ${code} ${reason} ${wasClean} ${event instanceof CloseEvent}` : type);
                if (type === 'open') run(ws);
                if (type === 'close') resolve([...story, `readyState ${ws.readyState}`]);
              });
            if (url.endsWith('/stall')) setTimeout(() => run(ws), 50);
          });
        return [await tell(new WebSocket(url)), await tell(new window.Holdfast.ReconnectingWebSocket(url, { reconnect: false }))];
      },
      [url(), act?.toString()] as const,
    );
    expect(stories[1]).toEqual(stories[0]);
    expect(stories[0]?.length).toBeGreaterThan(1);
    await context.close();
  });

  it.each([
    ['ws://x.test/#a', []],
    ['ftp://x.test', []],
    ['ws://[', []],
    ['ws://x.test', ['a', 'a']],
    ['ws://x.test', ['a b']],
    ['ws://x.test', ['']],
    ['ws://x.test', ['ü']],
  ])('refuses %j with the protocols %j by the same exception', async (url, protocols) => {
    const { page, context } = await openPage(browser, site.url('/script'));
    const names = await page.evaluate(
      ([url, protocols]) =>
        [WebSocket, window.Holdfast.ReconnectingWebSocket].map((Socket) => {
          try {
            new Socket(url, protocols).close();
            return 'nothing';
          } catch (error) {
            return `${(error as DOMException).constructor.name} ${(error as DOMException).name}`;
          }
        }),
      [url, protocols] as const,
    );
    expect(names).toEqual(['DOMException SyntaxError', 'DOMException SyntaxError']);
    await context.close();
  });

  it('takes and refuses the same arguments of close() and send()', async () => {
    const { page, context } = await openPage(browser, site.url('/script'));
    const outcomes = await page.evaluate(async (url) => {
      const tried = async (Socket: typeof WebSocket) => {
        const attempt = (run: (ws: WebSocket) => void, ws: WebSocket) => {
          try {
            run(ws);
            return 'fine';
          } catch (error) {
            return (error as Error).name;
          }
        };
        const outcomes: string[] = [];
        const odd = (value: unknown) => value as never;
        const codes = [
          0,
          999,
          1000,
          1001,
          1005,
          2999,
          3000,
          4999,
          5000,
          65_536 + 1000,
          -1,
          Number.NaN,
          Infinity,
          '3000',
          'x',
          999.2,
          1000.4,
          4999.4,
          1000.5,
          null,
          true,
        ];
        for (const code of codes) outcomes.push(`code ${code} ${attempt((ws) => ws.close(odd(code)), new Socket(url))}`);
        for (const reason of ['x'.repeat(123), 'x'.repeat(124), 'ü'.repeat(62), odd(5), odd(null)])
          outcomes.push(`reason ${String(reason).length} ${attempt((ws) => ws.close(1000, reason), new Socket(url))}`);
        outcomes.push(`reason alone ${attempt((ws) => ws.close(undefined, 'x'), new Socket(url))}`);
        const ws = new Socket(url);
        await new Promise((resolve) => ws.addEventListener('open', resolve));
        const shared = new Uint8Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);
        for (const data of [
          odd(5),
          odd(null),
          odd(undefined),
          odd({}),
          odd([1, 2]),
          odd(Symbol('s')),
          odd(Object.create(null)),
          odd(shared),
          odd(shared.buffer),
        ])
          outcomes.push(`send ${typeof data} ${attempt((ws) => ws.send(data), ws)}`);
        outcomes.push(`send nothing ${attempt((ws) => Reflect.apply(ws.send, ws, []), ws)}`);
        ws.close();
        return outcomes;
      };
      return [await tried(WebSocket), await tried(window.Holdfast.ReconnectingWebSocket as unknown as typeof WebSocket)];
    }, site.server.url());
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[0]).toContain('code 1001 InvalidAccessError');
    await context.close();
  });
});

describe('listeners', () => {
  it('that throw are reported to the window and harm nobody: neither others nor the connection', async () => {
    const { page, context, errors } = await openPage(browser, site.url('/script'));
    await connect(page, site.proxy.url());
    await page.evaluate(() => {
      for (const type of ['open', 'message', 'error', 'close', 'statechange'])
        window.ws.addEventListener(type, () => {
          throw new Error(`thrown by ${type}`);
        });
      window.ws.onmessage = () => {
        throw new Error('thrown by onmessage');
      };
      window.ws.addEventListener('message', ({ data }) => window.log.push(`after ${data}`));
      window.ws.send('1');
    });
    await logged(page, 'after 1');
    site.proxy.cut();
    await logged(page, 'open', 2);
    await page.evaluate(() => window.ws.send('2'));
    await logged(page, 'after 2');
    for (const type of ['open', 'message', 'close', 'statechange', 'onmessage']) expect(errors).toContain(`thrown by ${type}`);
    await context.close();
  });

  it('added while they are called are called the next time, removed ones no more', async () => {
    const { page, context } = await openPage(browser, site.url('/script'));
    await connect(page, site.server.url());
    await page.evaluate(() => {
      const removed = () => window.log.push('removed');
      window.ws.addEventListener('message', () => {
        window.ws.removeEventListener('message', removed);
        window.ws.addEventListener('message', () => window.log.push('added'), { once: true });
      });
      window.ws.addEventListener('message', removed);
      window.ws.send('1');
    });
    await logged(page, 'message 1');
    expect(await logOf(page)).toEqual(['open', 'message 1']);
    await page.evaluate(() => window.ws.send('2'));
    await logged(page, 'added');
    expect(await logOf(page)).not.toContain('removed');
    await context.close();
  });
});

describe('a dead link', () => {
  it('is replaced while the browser still calls it open', async () => {
    const { page, context } = await openPage(browser, site.url('/script'));
    await page.evaluate(() => {
      const Native = window.WebSocket;
      const made: WebSocket[] = [];
      Object.assign(window, { made });
      const Counted = class extends Native {
        constructor(url: string, protocols: string[]) {
          super(url, protocols);
          made.push(this);
        }
      };
      Object.assign(window, { WebSocket: Counted });
    });
    await connect(page, site.proxy.url(), { heartbeat: { ping: 'ping', interval: 200, timeout: 200 } });
    await logged(page, 'open');
    site.proxy.up = 'hole';
    site.proxy.down = 'hole';
    await logged(page, 'close 4000 again');
    site.proxy.up = 'pass';
    site.proxy.down = 'pass';
    await logged(page, 'open', 2);
    const states = await page.evaluate(() => (window as unknown as { made: WebSocket[] }).made.map(({ readyState }) => readyState));
    expect(states[0]).not.toBe(3); // CLOSING: Chromium says "closed" a minute later
    expect(states.at(-1)).toBe(1);
    await context.close();
  });
});

describe('the page', () => {
  it('under a Content Security Policy that forbids it is told so, for good', async () => {
    const { page, context } = await openPage(browser, site.url('/csp'));
    await connect(page, site.server.url());
    await logged(page, 'close 1006 final');
    const state = await page.evaluate(() => window.ws.state);
    expect(state).toMatchObject({ status: 'closed', cause: 'refused' });
    expect(site.server.echo.upgrades).toBe(0);
    await context.close();
  });

  it('under a strict one does all that it does elsewhere, and nothing that it may not', async () => {
    const { page, context, errors } = await openPage(browser, site.url('/strict'));
    await page.evaluate(() => {
      const violations: string[] = [];
      Object.assign(window, { violations });
      addEventListener('securitypolicyviolation', ({ violatedDirective }) => violations.push(violatedDirective));
    });
    await connect(page, site.proxy.url());
    await logged(page, 'open');
    site.proxy.cut();
    await logged(page, 'close 1006 again');
    await page.evaluate(() => window.ws.send('written meanwhile'));
    await logged(page, 'message written meanwhile');
    expect(await page.evaluate(() => (window as unknown as { violations: string[] }).violations)).toEqual([]);
    expect(errors).toEqual([]);
    await context.close();
  });

  it('loads the bundle by its published hash, and not by another', async () => {
    const { page, context } = await openPage(browser, site.url('/strict'));
    await page.goto(site.url('/tampered'));
    expect(await page.evaluate(() => 'Holdfast' in window)).toBe(false);
    await page.goto(site.url('/strict'));
    expect(await page.evaluate(() => 'Holdfast' in window)).toBe(true);
    await context.close();
  });

  it('that comes back out of the back-forward cache is connected again, and loses nothing written then', async () => {
    const { page, context } = await openPage(browser, site.url('/script'));
    await connect(page, site.server.url());
    await logged(page, 'open');
    await page.evaluate(() => {
      addEventListener('pageshow', ({ persisted }) => window.ws.send(`restored ${persisted}`));
    });
    await page.goto(site.url('/empty', 'localhost'));
    await page.goBack({ waitUntil: 'commit' });
    await logged(page, 'message restored true');
    expect((await logOf(page)).filter((line) => line === 'open')).toHaveLength(2);
    expect(site.server.echo.texts).toEqual(['restored true']);
    await context.close();
  });

  it('that goes offline doubts its link, waits, and is back when it is online', async () => {
    const { page, context } = await openPage(browser, site.url('/script'));
    await connect(page, site.server.url(), { heartbeat: { ping: 'ping', interval: 60_000, timeout: 60_000, probeTimeout: 200 } });
    await logged(page, 'open');
    await context.setOffline(true);
    await logged(page, 'close 4000 again');
    await page.waitForFunction(() => window.ws.state.status === 'offline');
    await page.evaluate(() => window.ws.send('written offline'));
    await context.setOffline(false);
    await logged(page, 'message written offline');
    await context.close();
  });
});

describe('binary data', () => {
  it.each(['blob', 'arraybuffer'] as const)(
    'of every kind arrives intact and in order, queued and sent directly, as %s',
    async (binaryType) => {
      const { page, context } = await openPage(browser, site.url('/script'));
      const arrived = await page.evaluate(
        async ([url, binaryType]) => {
          const ws = new window.Holdfast.ReconnectingWebSocket(url);
          ws.binaryType = binaryType;
          const bytes = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * 7 + n) % 256);
          const kinds = [
            (n: number) => `text ${n} ü😀`,
            (n: number) => bytes(n),
            (n: number) => bytes(n).buffer,
            (n: number) => new Blob([bytes(n)]),
            (n: number) => new DataView(bytes(n + 8).buffer, 4, n),
            (n: number) => new Float64Array(bytes(n * 8).buffer),
          ];
          const all = Array.from({ length: 120 }, (_, i) => kinds[i % kinds.length]?.(i % 17 === 0 ? 50_000 : i) ?? '');
          const plain = async (data: unknown) =>
            typeof data === 'string' ? data : [...new Uint8Array(await new Response(data as Blob).arrayBuffer())].join();
          const got: unknown[] = [];
          const done = new Promise<void>((resolve) =>
            ws.addEventListener('message', ({ data }) => got.push(data) === all.length && resolve()),
          );
          for (const data of all.slice(0, 60)) ws.send(data);
          await new Promise((resolve) => ws.addEventListener('open', resolve));
          for (const data of all.slice(60)) ws.send(data);
          await done;
          const wrong: number[] = [];
          for (const [i, data] of all.entries()) if ((await plain(got[i])) !== (await plain(data))) wrong.push(i);
          const types = new Set(got.map((data) => Object.prototype.toString.call(data)));
          ws.close();
          return { wrong, count: got.length, types: [...types].sort() };
        },
        [site.server.url(), binaryType] as const,
      );
      expect(arrived).toEqual({
        wrong: [],
        count: 120,
        types: [binaryType === 'blob' ? '[object Blob]' : '[object ArrayBuffer]', '[object String]'],
      });
      await context.close();
    },
  );
});
