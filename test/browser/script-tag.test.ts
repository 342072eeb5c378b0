/** The script-tag demo in a real browser: every button pressed, and the counters have to agree each time. */

import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Demo, startDemo } from '../../demo/serve.ts';
import { axeFindings, layoutOf, overflowing, paleTexts } from '../support/looks.ts';
import { launch } from '../support/pages.ts';
import { type Order, ScriptTagPage } from '../support/script-tag-page.ts';
import { openWatched, type WatchedPage } from './support.ts';

/** What a browser says about every WebSocket that fails, and about a request to a server that is not there. */
const EXPECTED = /^WebSocket connection to .* failed|net::ERR_CONNECTION_(REFUSED|RESET)/;

let browser: Browser;
let demo: Demo;
let watched: WatchedPage | undefined;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  demo = await startDemo({ port: 0 });
});
afterEach(async () => {
  const complaints = watched?.complaints ?? [];
  await watched?.page.context().close();
  watched = undefined;
  await demo.stop();
  expect(complaints).toEqual([]);
});

async function open(url = `${demo.url}demo/script-tag.html?refuse=1500`, options?: BrowserContextOptions): Promise<ScriptTagPage> {
  watched = await openWatched(browser, url, EXPECTED, options);
  const page = new ScriptTagPage(watched.page);
  await page.state('Connected');
  return page;
}

describe.each<[Order, string]>([
  ['drop', 'The connection broke (code 1006)'],
  ['mute', 'A ping had no answer'],
  ['refuse', 'The connection broke (code 1006)'],
  ['restart', 'The connection broke (code 1006)'],
])('the button "%s"', (order, reason) => {
  test('loses nothing that was typed before, during and after', async () => {
    const page = await open();
    await page.type('before');
    await page.verdict('good', 'Your message arrived');

    const lost = await page.sendTenWhenLost();
    await page.press(order);
    const during = await lost.counters;
    expect(during).toMatchObject({ typed: 11, queued: 10, sent: 1, echoed: 1 });
    await page.reconnects(1);
    await page.type('after');

    await page.verdict('good', 'All 12 messages arrived');
    expect(await page.counters()).toMatchObject({ typed: 12, queued: 0, sent: 12, echoed: 12, 'sent again': 0, dropped: 0, wrong: 0 });
    expect(demo.backend.echo.clients.size).toBeGreaterThan(0);
    await page.logged(reason);
    await page.logged('10 sent from the queue, 0 sent again');
  });
});

test('what was written to a server that no longer answers is sent again, and counted as such', async () => {
  const page = await open();
  await page.press('mute');
  await page.sendTen();
  await page.type('anybody there?');
  await page.verdict('wait', '11 on their way');
  expect(await page.counters()).toMatchObject({ typed: 11, queued: 0, sent: 11, echoed: 0, reconnects: 0 });

  await page.verdict('good', 'All 11 messages arrived');
  expect(await page.counters()).toMatchObject({ sent: 11, echoed: 11, 'sent again': 11, reconnects: 1, wrong: 0 });
});

test('all buttons in a row, with bursts in between, lose nothing', async () => {
  const page = await open();
  const rounds: Order[][] = [['drop'], ['mute', 'drop'], ['drop', 'mute'], ['mute', 'restart'], ['drop', 'refuse']];
  let typed = 0;
  for (const orders of rounds) {
    for (const order of orders) {
      await page.sendTen();
      await page.press(order);
      for (let burst = 0; burst < 3; burst++) await page.sendTen();
      typed += 40;
    }
    await page.page.click('#reconnect');
    await page.type('after it');
    typed++;
    await page.verdict('good', `All ${typed} messages arrived`);
    expect(await page.counters()).toMatchObject({ typed, queued: 0, sent: typed, echoed: typed, dropped: 0, wrong: 0 });
  }
  expect(new Set(demo.backend.echo.texts).size).toBe(typed);
});

test('while connections are refused, the state, the countdown and the failed attempts are to be seen', async () => {
  const page = await open();
  await page.press('refuse');
  await page.logged(`Could not connect to http://localhost:${demo.port} (code 1006)`);
  await page.state('Waiting to retry');
  await page.page.waitForFunction(() => /^next attempt in \d+\.\d s$/.test(document.getElementById('next')?.textContent ?? ''));
  await page.state('Connected');
  await page.page.waitForFunction(() => document.getElementById('next')?.textContent?.trim() === '');
});

test('a button pressed while the server is away says so', async () => {
  const page = await open();
  await page.press('refuse');
  await page.page.click('[data-order=drop]');
  await page.logged('The server could not be told: is it away?');
  await page.state('Connected');
});

test('"Reconnect now" replaces an open connection, and cuts a wait short', async () => {
  const page = await open(`${demo.url}demo/script-tag.html?refuse=600000`);
  await page.page.click('#reconnect');
  await page.logged('Dropped because you asked (code 4001)');
  await page.reconnects(1);
  await page.press('refuse');
  await page.state('Waiting to retry');
  const connecting = await page.page.evaluate(() => {
    document.getElementById('reconnect')?.click();
    return window.demo.socket.state.status;
  });
  expect(connecting).toBe('connecting');
});

describe('the page admits', () => {
  /** The server answers the next message this many times, and those after it once. */
  async function answering(times: number): Promise<ScriptTagPage> {
    const page = await open();
    for (const client of demo.backend.echo.clients) {
      client.removeAllListeners('message');
      client.once('message', (data: Buffer) => {
        for (let i = 0; i < times; i++) client.send(String(data));
        client.on('message', (next: Buffer) => client.send(String(next)));
      });
    }
    return page;
  }

  test('that a message is missing', async () => {
    const page = await answering(0);
    await page.sendTen();
    await page.verdict('bad', '1 missing or doubled');
    expect(await page.counters()).toMatchObject({ typed: 10, echoed: 9 });
  });

  test('that a message came twice, and shows it once', async () => {
    const page = await answering(2);
    await page.sendTen();
    await page.verdict('bad', '1 missing or doubled');
    expect(await page.page.locator('#messages li').count()).toBe(10);
    expect(await page.page.locator('#messages li').last().innerText()).toContain('echoed twice, shown once');
  });
});

test('what somebody types is text, whatever it looks like', async () => {
  const page = await open();
  const text = '<img src=x onerror="document.title=1"> & <b>bold</b> 🪸';
  await page.type(text);
  await page.verdict('good', 'Your message arrived');
  expect(await page.page.locator('#messages li span').first().innerText()).toBe(text);
  expect(await page.page.locator('#messages img, #messages b').count()).toBe(0);
});

describe('the page from disk, with a running server', () => {
  const fromDisk = () => {
    const file = pathToFileURL(fileURLToPath(new URL('../../demo/script-tag.html', import.meta.url)));
    return open(`${file.href}?server=http://localhost:${demo.port}`);
  };

  test('reconnects and loses nothing with the drop-in', async () => {
    const page = await fromDisk();
    await page.press('drop');
    await page.sendTen();
    await page.reconnects(1);
    await page.verdict('good', 'All 10 messages arrived');
  });

  test('publishes, is confirmed and calls with the Client, through a cut and a restart', async () => {
    const page = await fromDisk();
    const publish = async (text: string) => {
      await page.page.fill('#words', text);
      await page.page.click('#chat .main');
    };
    const says = (id: string, text: string) =>
      page.page.waitForFunction(([where = '', wanted]) => document.getElementById(where)?.textContent === wanted, [id, text]);
    /** What the room shows, the oldest first, as soon as it is that much. */
    const shown = async (rows: number) => {
      await page.page.waitForFunction((count) => document.querySelectorAll('#room li').length >= count, rows);
      return (
        await page.page.locator('#room li').evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent)))
      ).reverse();
    };
    await says('client-state', 'open');
    const me = await page.page.evaluate('me');
    await publish('before');
    await says('answer', 'Confirmed by the server.');
    await page.press('drop');
    await page.page.waitForFunction(() => document.getElementById('client-state')?.textContent !== 'open');
    demo.backend.live?.publish('room', { id: 'other', from: 'other', text: 'published meanwhile' });
    await publish('while it was gone');
    await says('answer', 'Confirmed by the server.');
    const before = [
      ['A session began', ''],
      ['before', me],
      ['The session went on', ''],
      ['published meanwhile', 'other'],
      ['while it was gone', me],
    ];
    expect(await shown(5)).toEqual(before);
    await page.press('restart');
    expect(await shown(6)).toEqual([...before, ['A session began', 'a gap']]);
    await page.page.click('#count');
    await says('answer', 'The server counts 2 of yours.');
  });
});

test('the script that it shows is the one that runs, and is short', async () => {
  const page = await open();
  const source = await page.page.locator('#source').innerText();
  expect(source).toMatch(/^const client = new Holdfast\.Client/);
  expect(source.split('\n').length).toBeLessThanOrEqual(20);
});

describe.each([320, 768, 1024, 1440])('at a width of %i', (width) => {
  test.each(['light', 'dark'] as const)('in the %s scheme everything has room, keeps its place and is readable', async (colorScheme) => {
    const page = await open(undefined, { viewport: { width, height: 900 }, colorScheme });
    await page.type(`a-very-long-word-${'that-never-ends-'.repeat(8)}`);
    await page.sendTen();
    await page.verdict('good', 'All 11 messages arrived');
    const connected = await layoutOf(page.page);
    expect(await overflowing(page.page)).toEqual([]);
    expect(await paleTexts(page.page)).toEqual([]);
    expect(await axeFindings(page.page)).toEqual([]);

    await page.press('refuse');
    await page.logged('Could not connect');
    await page.state('Waiting to retry');
    await page.sendTen();
    await page.verdict('wait', '10 on their way');
    await page.page.evaluate(() => scrollTo(0, 0)); // pressing a button may have scrolled to it
    expect(await layoutOf(page.page)).toEqual(connected);
    expect(await overflowing(page.page)).toEqual([]);
    expect(await paleTexts(page.page)).toEqual([]);
  });
});

test('everything can be reached by keyboard, in the order in which it is read', async () => {
  const page = await open();
  const reached: string[] = [];
  for (let i = 0; i < 15; i++) {
    await page.page.keyboard.press('Tab');
    reached.push(await page.page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent || ''));
  }
  const hurting = ['Drop the connection', 'Stop answering', 'Refuse connections for 1.5\u00a0s', 'Restart the server'];
  const client = ['words', 'Publish', 'count', 'room', 'source'];
  expect(reached).toEqual(['reconnect', 'text', 'Send', 'ten', 'messages', ...hurting, 'timeline', ...client]);
});

describe('the server of the demo', () => {
  test('says when its port is taken', async () => {
    await expect(startDemo({ port: demo.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('is hurt by POST only, and by orders that it knows', async () => {
    const status = async (path: string, method: string) => (await fetch(demo.url + path, { method })).status;
    expect(await status('control/drop', 'GET')).toBe(405);
    expect(await status('control/explode', 'POST')).toBe(404);
    expect(await status('control/drop', 'POST')).toBe(204);
  });

  test('serves the page as it is: nothing is built into it', async () => {
    const page = await fetch(`${demo.url}demo/script-tag.html`);
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(await page.text()).not.toContain('@vite');
  });

  test('stops while it is refusing connections', async () => {
    await fetch(`${demo.url}control/refuse?ms=600000`, { method: 'POST' });
    await demo.stop();
    await expect(fetch(demo.url)).rejects.toThrow();
  });
});
