/** The demo in a real browser, over the built bundle: every button pressed, and the counters have to agree each time. */

import { readFile } from 'node:fs/promises';
import type { Browser, BrowserContext, BrowserContextOptions } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Archive } from '../../demo/archive.ts';
import type { Message } from '../../demo/contract.ts';
import { type Demo, startDemo } from '../../demo/serve.ts';
import type { InspectorReport } from '../../src/inspect.ts';
import { DemoPage, type Order } from '../support/demo-page.ts';
import { axeFindings, layoutOf, overflowing, paleTexts } from '../support/looks.ts';
import { launch } from '../support/pages.ts';
import { openWatched, type WatchedPage } from './support.ts';

/** What a browser says about WebSockets that fail or are used when closed, and about a request to a server that is not there. */
const EXPECTED = /^WebSocket connection to .* failed|WebSocket is already in CLOSING or CLOSED state|net::ERR_CONNECTION_(REFUSED|RESET)/;
/** The longest texts that stand where others stood before. */
const LONGEST = {
  state: 'Waiting to retry',
  detail: 'The server did not answer a ping: the link is dead, whatever the browser thinks (code 4000).',
  countdown: 'next attempt in 10.0 s',
  verdict: 'All 100 messages arrived; 100 came again, as the server had forgotten them.',
  step: 'Step 40 of 40',
  outcome: 'All 40 steps came, each once, in order, over 10 connections.',
  'trip-latest': '12345 ms',
  'trip-worst': '12345 ms',
  'twin-state': 'CONNECTING (1006)',
  'ours-state': 'Waiting to retry',
  'outbox-size': '1000 messages, 123456 bytes',
  here: `20 here: ${Array.from({ length: 20 }, (_, i) => `Dabberlocks ${i}`).join(', ')}`,
};
const ORDERS: Order[] = ['drop', 'mute', 'refuse', 'restart', 'slow'];

let browser: Browser;
let demo: Demo;
let watched: WatchedPage[] = [];

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  demo = await startDemo({ port: 0 });
});
afterEach(async () => {
  const complaints = watched.flatMap((each) => each.complaints);
  for (const { page } of watched) await page.context().close();
  watched = [];
  await demo.stop();
  expect(complaints).toEqual([]);
});

async function open(options?: BrowserContextOptions | BrowserContext, query = '?refuse=1500&slow=1500'): Promise<DemoPage> {
  const tab = await openWatched(browser, demo.url + query, EXPECTED, options);
  watched.push(tab);
  const page = new DemoPage(tab.page);
  await page.state('Connected');
  return page;
}

/** Waits until the server has that many messages of the page. */
async function arrived(page: DemoPage, messages: number): Promise<void> {
  const me = await page.me();
  await expect.poll(() => demo.backend.archive.arrivals(me).messages).toBe(messages);
}

/** What comes in is counted otherwise from now on. */
function changeArrivals(change: (keep: Archive['keep'], message: Required<Message>) => void): void {
  const { archive } = demo.backend;
  const keep = archive.keep.bind(archive);
  archive.keep = (data) => change(keep, data as Required<Message>);
}

describe.each<[Order, string, string, string]>([
  ['drop', 'The connection broke (code 1006)', 'Session resumed after', 'CLOSED (1006)'],
  ['mute', 'The server did not answer a ping', 'Session resumed after', 'OPEN'],
  ['refuse', 'The connection broke (code 1006)', 'Session resumed after', 'CLOSED (1006)'],
  ['restart', 'The server said goodbye: it is restarting (code 4100)', 'New session after', 'CLOSED (1006)'],
])('the button "%s"', (order, reason, session, twin) => {
  test('loses nothing that was typed before, during and after, and the plain WebSocket does', async () => {
    const page = await open();
    await page.type('before');
    await page.verdict('good', 'Your message arrived, once.');

    const lost = await page.sendTenWhenLost();
    await page.press(order);
    expect(await lost.counts).toMatchObject({ typed: 11, waiting: 10, sent: 1, acknowledged: 1 });
    await page.connected();
    await page.type('after');

    await page.verdict('good', 'All 12 messages arrived, each once, in order.');
    expect(await page.counts()).toMatchObject({ waiting: 0, sent: 12, acknowledged: 12, received: 12, again: 0, dropped: 0 });
    expect(await page.texts()).toEqual(['before', ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((i) => `${i} of ten`), 'after']);
    await page.logged(reason);
    await page.logged(session);
    await page.logged('10 messages had waited and go out now.');
    expect(await page.twin()).toMatchObject({ state: twin, sent: 12, arrived: 1 });
  });
});

test('a slow link is not a dead one: everything is late, nothing is replaced', async () => {
  const page = await open(undefined, '?slow=4000');
  await page.press('slow');
  await page.sendTen();
  expect(await page.counts()).toMatchObject({ acknowledged: 0 });
  await page.page.waitForFunction(() => /^[4-9]\d\d ms|^\d{4,} ms/.test(document.getElementById('trip-latest')?.textContent ?? ''));
  await page.verdict('good', 'All 10 messages arrived, each once, in order.');
  await page.logged('“Make the link slow for 4\u00a0s” is over.');
  expect(await page.page.evaluate(() => document.querySelectorAll('#timeline [data-kind=good]').length)).toBe(1);
});

describe('the session', () => {
  test('goes on after a cut, without writing again what arrived though nobody could say so', async () => {
    const page = await open();
    demo.proxy.hole('down');
    await page.sendTen();
    await page.fates('sent', 10);
    await page.logged(': nothing written again.');
    await page.says('detail', 'Session resumed, nothing written again.');
    await page.verdict('good', 'All 10 messages arrived, each once, in order.');
    expect(await page.counts()).toMatchObject({ sent: 10, acknowledged: 10, again: 0 });
    expect(demo.backend.archive.arrivals(await page.me())).toEqual({ messages: 10, again: 0, late: 0 });
  });

  test('goes on after a dead link, and writes again what had not arrived', async () => {
    const page = await open();
    await page.press('mute');
    await page.sendTen();
    await page.fates('sent', 10);
    await page.verdict('wait', '10 messages are on the way.');
    await page.logged(': 10 frames written again.');
    await page.says('detail', 'Session resumed, 10 frames written again.');
    await page.verdict('good', 'All 10 messages arrived, each once, in order.');
    await page.fates('acknowledged', 10);
    expect(await page.counts()).toMatchObject({ sent: 10, acknowledged: 10, again: 10 });
  });

  test('is another one after a restart: what was not acknowledged is sent again, and counted twice where it had arrived', async () => {
    const page = await open();
    await page.type('before');
    await page.verdict('good', 'Your message arrived, once.');
    demo.proxy.hole('down');
    await page.sendTen();
    await arrived(page, 11);
    await page.press('restart');
    await page.logged('10 messages were not acknowledged and are sent again; the server counts what comes twice.');
    await page.says('detail', 'New session: the server had restarted.');
    await page.logged('The channel has a gap, so the room was loaded again: 10 messages were new.');
    await page.verdict('good', 'All 11 messages arrived; 10 came again, as the server had forgotten them.');
    expect(await page.counts()).toMatchObject({ sent: 11, acknowledged: 11, received: 11, again: 10 });
    expect(demo.backend.archive.arrivals(await page.me())).toEqual({ messages: 11, again: 10, late: 0 });
  });

  test('is another one after a restart that left nothing in doubt, and nothing comes twice', async () => {
    const page = await open();
    await page.sendTen();
    await page.verdict('good', 'All 10 messages arrived, each once, in order.');
    await page.press('restart');
    await page.says('detail', 'New session: the server had restarted.');
    await page.type('after');
    await page.verdict('good', 'All 11 messages arrived, each once, in order.');
    expect(await page.counts()).toMatchObject({ again: 0, received: 11 });
  });

  test('that the page itself has ended is not called lost', async () => {
    const page = await open();
    await page.page.click('#connect');
    await page.state('Closed');
    await page.page.click('#connect');
    await page.state('Connected');
    await page.page.waitForFunction(() => document.querySelectorAll('#timeline [data-kind=good]').length === 2);
    expect(await page.page.locator('#timeline [data-kind=good]').allInnerTexts()).toEqual(
      Array(2).fill(expect.stringContaining('Connected.')),
    );
  });
});

test('what others publish meanwhile comes in when the page is back, in order, and is counted', async () => {
  const page = await open();
  await page.type('before');
  await page.verdict('good', 'Your message arrived, once.');
  await page.press('refuse');
  await page.state('Waiting to retry');
  for (const text of ['one', 'two', 'three']) demo.backend.live?.publish('room', { id: `other:${text}`, from: 'other', text });
  await page.logged('3 messages of others came meanwhile: recovered, in order, none missing.');
  expect(await page.texts()).toEqual(['before', 'one', 'two', 'three']);
});

test('every button after every other, with messages in between, loses nothing', { timeout: 180_000 }, async () => {
  const page = await open(undefined, '?refuse=300&slow=500');
  const orders = [...walk(ORDERS.length)].map((index) => ORDERS[index] ?? 'drop');
  expect(new Set(orders.slice(1).map((order, i) => `${orders[i]} ${order}`)).size).toBe(ORDERS.length ** 2);
  let typed = 0;
  for (const order of orders) {
    await page.connected();
    await page.sendTen();
    await page.press(order);
    await page.sendTen();
    typed += 20;
  }
  await page.connected();
  await page.says('verdict', `All ${typed} messages arrived`); // some of them twice, where a restart came before the acknowledgement
  const all = { typed, waiting: 0, sent: typed, acknowledged: typed, received: typed, dropped: 0, kind: 'good' };
  expect(await page.counts()).toMatchObject(all);
  expect(demo.backend.archive.arrivals(await page.me())).toMatchObject({ messages: typed, late: 0 });
});

describe('two tabs', () => {
  test('see each other live, through every fault, and agree in the end', async () => {
    const one = await open();
    const two = await open(one.page.context());
    await one.type('from one');
    await two.type('from two');
    for (const order of ['drop', 'mute', 'restart'] as const) {
      await one.press(order);
      await one.sendTen();
      await two.sendTen();
      await one.connected();
      await two.connected();
    }
    for (const tab of [one, two]) await tab.verdict('good', 'All 31 messages arrived, each once, in order.');
    for (const tab of [one, two]) {
      await tab.says('count-received', '62');
      expect(await tab.counts()).toMatchObject({ typed: 31, acknowledged: 31, received: 62, dropped: 0 });
    }
  });

  test('see who is there: a cut changes nothing, who closes is gone', async () => {
    const one = await open();
    const me = await one.me();
    await one.says('here', `1 here: ${me} (you)`);
    const two = await open(one.page.context());
    const both = `2 here: ${me} (you), ${await two.me()}`;
    await one.says('here', both);
    await one.page.evaluate(() => {
      const line = document.getElementById('here') as HTMLElement;
      const seen: string[] = [];
      new MutationObserver(() => seen.push(line.innerText)).observe(line, { childList: true, characterData: true, subtree: true });
      Object.assign(window, { seen });
    });
    await one.press('drop');
    await one.sendTen();
    await one.verdict('good', 'All 10 messages arrived, each once, in order.');
    await two.connected();
    await two.page.click('#connect'); // it closes
    await one.says('here', `1 here: ${me} (you)`);
    expect(await one.page.evaluate(() => (window as unknown as { seen: string[] }).seen)).toEqual([`1 here: ${me} (you)`]);
  });

  test('a tab that comes later finds what was said before', async () => {
    const one = await open();
    await one.sendTen();
    await one.verdict('good', 'All 10 messages arrived, each once, in order.');
    const two = await open(one.page.context());
    await two.says('count-received', '10');
    expect(await two.texts()).toEqual(await one.texts());
    expect(await two.counts()).toMatchObject({ typed: 0, kind: 'good' });
  });
});

describe('a reload in the middle', () => {
  test('of messages that nobody answers sends them again, under the same key', async () => {
    const page = await open();
    await page.type('before');
    await page.verdict('good', 'Your message arrived, once.');
    await page.press('mute');
    await page.sendTen();
    await page.page.reload();
    await page.verdict('good', 'All 11 messages arrived, each once, in order.');
    expect(await page.counts()).toMatchObject({ typed: 11, acknowledged: 11, received: 11, again: 10 });
  });

  test('of messages that have arrived, and nobody could say so, publishes nothing twice', async () => {
    const page = await open();
    demo.proxy.hole('down');
    await page.sendTen();
    await arrived(page, 10);
    await page.page.reload();
    await page.verdict('good', 'All 10 messages arrived, each once, in order.');
    expect(await page.counts()).toMatchObject({ typed: 10, acknowledged: 10, received: 10, again: 10 });
    expect(demo.backend.archive.arrivals(await page.me())).toEqual({ messages: 10, again: 0, late: 0 });
  });

  test('of messages that still wait keeps them', async () => {
    const page = await open();
    await demo.backend.shutDown();
    await page.sendTen();
    await page.verdict('wait', '10 messages wait for a connection.');
    await page.page.reload();
    await page.verdict('wait', '10 messages wait for a connection.');
    demo.backend.open();
    await page.verdict('good', 'All 10 messages arrived, each once, in order.');
    expect(await page.counts()).toMatchObject({ typed: 10, acknowledged: 10, again: 0 });
  });

  test('forgets nothing that was settled, and repeats nothing, however much it was', async () => {
    const page = await open();
    for (let i = 0; i < 12; i++) await page.sendTen();
    await page.verdict('good', 'All 120 messages arrived, each once, in order.');
    await page.page.reload();
    await page.verdict('good', 'All 120 messages arrived, each once, in order.');
    expect(await page.counts()).toMatchObject({ typed: 120, acknowledged: 120, received: 120, again: 0 });
    expect(await page.twin()).toMatchObject({ sent: 120, arrived: 120 });
  });

  test('or a visit to another page and back, of messages that wait', async () => {
    const page = await open();
    await demo.backend.shutDown();
    await page.sendTen();
    await page.verdict('wait', '10 messages wait for a connection.');
    await page.page.goto('about:blank');
    demo.backend.open();
    await page.page.goBack({ waitUntil: 'commit' });
    await page.verdict('good', 'All 10 messages arrived, each once, in order.');
  });

  test('or a demo that was stopped and started, which knows nothing: the room starts anew', async () => {
    const page = await open();
    await page.sendTen();
    await page.verdict('good', 'All 10 messages arrived, each once, in order.');
    await demo.stop();
    await page.state('Waiting to retry');
    for (let i = 0; i < 12; i++) await page.sendTen(); // more than the server shows to newcomers
    demo = await startDemo({ port: demo.port });
    await page.verdict('good', 'All 120 messages arrived, each once, in order.');
    await page.logged('This is another server, which knows nothing of before');
    expect(await page.counts()).toMatchObject({ typed: 120, acknowledged: 120, received: 120 });
    expect(await page.twin()).toMatchObject({ sent: 0 });
  });
});

describe('the outbox', () => {
  test('fills while there is no connection, gives back, and empties in order', async () => {
    const page = await open(undefined, '?refuse=3000');
    await page.press('refuse');
    await page.state('Waiting to retry');
    await page.type('first');
    await page.type('second');
    await page.type('third');
    await page.says('outbox-size', '3 messages, ');
    expect(await page.page.locator('#outbox .said').allInnerTexts()).toEqual(['first', 'second', 'third']);
    expect(await page.page.locator('#outbox .fate').allInnerTexts()).toEqual(['queued', 'queued', 'queued']);
    await page.page.click('[aria-label="Take back: second"]');
    await page.says('outbox-size', '2 messages, ');
    await page.verdict('good', 'All 2 messages arrived, each once, in order.');
    await page.says('outbox-size', 'empty');
    expect(await page.texts()).toEqual(['first', 'third']);
    await page.type('fourth');
    await page.verdict('good', 'All 3 messages arrived, each once, in order.');
  });

  test('that is closed drops what waits, and the page says so', async () => {
    const page = await open(undefined, '?refuse=60000');
    await page.press('refuse');
    await page.state('Waiting to retry');
    await page.sendTen();
    await page.page.click('#connect');
    await page.state('Closed');
    await page.verdict('bad', '10 messages were dropped, and said so.');
    await page.logged('Dropped: publish "room" (closed).');
  });

  test('gives back one after the other by keyboard, without losing the focus', async () => {
    const page = await open(undefined, '?refuse=60000');
    await page.press('refuse');
    await page.state('Waiting to retry');
    for (const text of ['first', 'second', 'third']) await page.type(text);
    await page.says('outbox-size', '3 messages, ');
    const focused = () => page.page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
    await page.page.focus('[aria-label="Take back: second"]');
    for (const next of ['Take back: third', 'Take back: first', 'Waiting in the outbox']) {
      await page.page.keyboard.press('Enter');
      await page.page.waitForFunction((label) => document.activeElement?.getAttribute('aria-label') === label, next);
      expect(await focused()).toBe(next);
    }
    await page.verdict('good', 'Nothing sent yet.');
  });
});

test('close and connect: the page says how it is, and goes on', async () => {
  const page = await open();
  await page.page.click('#connect');
  await page.state('Closed');
  await page.logged('Closed because you asked (code 1000).');
  expect(await page.page.locator('#connect').innerText()).toBe('Connect');
  await page.page.click('#connect');
  await page.state('Connected');
  await page.sendTen();
  await page.verdict('good', 'All 10 messages arrived, each once, in order.');
  await page.page.click('#reconnect');
  await page.logged('Replaced, because you asked for a new connection (code 4001).');
});

test('connect while it is still closing, on a link that is dead', async () => {
  const page = await open();
  await page.press('mute');
  await page.page.click('#connect');
  await page.state('Closing');
  await page.page.click('#connect');
  await page.state('Connected');
});

test('what was dropped is said, and the rest is counted all the same', async () => {
  const page = await open(undefined, '?refuse=1000');
  await page.press('refuse');
  await page.state('Waiting to retry');
  await page.sendTen();
  await page.page.click('#connect');
  await page.state('Closed');
  await page.logged('is over.');
  await page.page.click('#connect');
  await page.state('Connected');
  await page.sendTen();
  await page.verdict('bad', '10 messages were dropped, and said so; the other 10 arrived.');
});

test('the machine shows where it is and how it came there, with a countdown while it waits', async () => {
  const page = await open();
  const lit = () => page.page.evaluate(() => [...document.querySelectorAll('.lit')].map((node) => (node as SVGElement).dataset['node']));
  expect(await lit()).toEqual(['open', 'open']);
  await page.press('refuse');
  await page.state('Waiting to retry');
  await page.page.waitForFunction(() => /^next attempt in \d+\.\d s$/.test(document.getElementById('countdown')?.textContent ?? ''));
  expect(await lit()).toEqual(['waiting', 'waiting']);
  await page.page.waitForSelector('.wide .taken[data-way="waiting connecting"], .wide .taken[data-way="connecting waiting"]', {
    state: 'attached',
  });
  await page.state('Connected');
  expect(await page.page.evaluate(() => document.querySelectorAll('.taken[data-way="connecting open"]').length)).toBe(2);
  await page.page.waitForFunction(() => document.getElementById('countdown')?.textContent?.trim() === '');
});

describe('the long job', () => {
  test('tells how far it is, and ends', async () => {
    const page = await open();
    await page.page.click('#grow');
    await page.says('step', 'Step 5 of 40');
    await page.says('outcome', 'All 40 steps came, each once, in order.');
    expect(await page.page.evaluate(() => document.querySelector('progress')?.value)).toBe(1);
    expect(await page.page.getAttribute('#grow', 'aria-disabled')).toBe('false');
  });

  test('is cancelled, and the server stops', async () => {
    const page = await open();
    await page.page.click('#grow');
    await page.says('step', 'Step 3 of 40');
    await page.page.click('#cancel');
    await page.says('outcome', 'Cancelled; the server stopped before step');
    expect(await page.page.evaluate(() => document.activeElement?.id)).toBe('cancel');
  });

  test.each<Order>(['drop', 'mute', 'refuse', 'restart'])('goes on where it was after the button "%s"', async (order) => {
    const page = await open();
    await page.page.click('#grow');
    await page.says('step', 'Step 3 of 40');
    await page.press(order);
    await page.says('outcome', '. It goes on from there.');
    await page.says('outcome', 'It went on with step ');
    await page.says('outcome', 'All 40 steps came, each once, in order, over 2 connections.');
  });

  test('that is lost with its session before the first step came is not pretended to be known', async () => {
    const page = await open();
    demo.proxy.hole('down');
    await page.page.click('#grow');
    await page.press('restart');
    await page.says('outcome', 'Lost with its session: begun or not, nobody can know.');
  });

  test('is cancelled while there is no connection, and the server is told when there is one', async () => {
    const page = await open();
    await page.page.click('#grow');
    await page.says('step', 'Step 3 of 40');
    await page.press('refuse');
    await page.state('Waiting to retry');
    await page.page.click('#cancel');
    await page.says('outcome', 'Cancelled; the server is being told.');
    await page.says('outcome', 'Cancelled; the server stopped before step');
  });

  test('waits for a connection, and is taken back or done', async () => {
    const page = await open();
    await page.press('refuse');
    await page.state('Waiting to retry');
    await page.page.click('#grow');
    await page.says('outcome', 'Waiting for a connection.');
    await page.page.click('#cancel');
    await page.says('outcome', 'Cancelled before it was sent.');
    await page.page.click('#grow');
    await page.says('outcome', 'The server is at it.');
    await page.says('outcome', 'All 40 steps came, each once, in order.');
  });
});

test('round trips are drawn', async () => {
  const page = await open();
  await page.page.waitForFunction(() => /ms$/.test(document.getElementById('trip-latest')?.textContent ?? ''));
  await page.page.waitForFunction(() => /^M.*L/.test(document.getElementById('trips')?.getAttribute('d') ?? ''));
});

test('a plain WebSocket can be opened again by hand, and what it lost stays lost', async () => {
  const page = await open();
  await page.press('drop');
  await page.connected();
  await page.sendTen();
  await page.page.click('#reopen');
  await page.says('twin-state', 'OPEN');
  await page.type('hello again');
  await page.says('twin-arrived', '1');
  expect(await page.twin()).toMatchObject({ sent: 11, arrived: 1, isClosed: false });
  for (const [id, text] of [
    ['sent', '11'],
    ['arrived', '1'],
    ['missing', '10'],
  ] as const)
    expect(await page.page.innerText(`#twin-${id}`)).toBe(text);
  await page.verdict('good', 'All 11 messages arrived, each once, in order.');
});

describe('the page admits', () => {
  test('that the server does not have a message', async () => {
    const page = await open();
    demo.backend.archive.keep = () => {};
    await page.type('lost');
    await page.verdict('bad', '1 were acknowledged, but the server has 0 and the room shows 1.');
  });

  test('that a message came twice, where no session was lost', async () => {
    const page = await open();
    changeArrivals((keep, message) => {
      keep(message);
      keep(message);
    });
    await page.type('twice');
    await page.verdict('bad', 'All 1 arrived, but 1 of them came twice.');
  });

  test('that messages came out of order', async () => {
    const page = await open();
    changeArrivals((keep, message) => keep({ ...message, number: 100 - message.number }));
    await page.type('first');
    await page.type('second');
    await page.verdict('bad', 'All 2 arrived, but 1 of them out of order.');
  });

  test('that the server refuses a message', async () => {
    const page = await open();
    demo.backend.archive.check = () => {
      throw new Error('the disk is full');
    };
    const errors: unknown[] = [];
    const { error } = console;
    console.error = (...what: unknown[]) => errors.push(what);
    await page.type('refused');
    await page.verdict('bad', '1 message was dropped, and said so.');
    console.error = error;
    expect(errors).toHaveLength(1);
    await page.logged('Dropped: publish "room" (refused).');
  });

  test('that the server is away when a button is pressed', async () => {
    const page = await open();
    await page.press('refuse');
    await page.page.click('[data-order=drop]');
    await page.logged('The server could not be told: it is away.');
  });
});

test('what somebody types is text, whatever it looks like', async () => {
  const page = await open();
  const text = '<img src=x onerror="document.title=1"> & <b>bold</b> 🪸';
  await page.type(text);
  await page.verdict('good', 'Your message arrived, once.');
  expect(await page.texts()).toEqual([text]);
  expect(await page.page.locator('#messages img, #messages b').count()).toBe(0);
});

test('on a phone everything is done by touch', async () => {
  const page = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await page.page.tap('#ten');
  const answered = page.page.waitForResponse((response) => response.url().includes('/control/drop'));
  await page.page.tap('[data-order=drop]');
  await answered;
  await page.page.tap('#ten');
  await page.verdict('good', 'All 20 messages arrived, each once, in order.');
  expect(await page.counts()).toMatchObject({ typed: 20, acknowledged: 20, received: 20 });
});

describe.each([320, 390, 768, 1024, 1440])('at a width of %i', (width) => {
  test.each(['light', 'dark'] as const)('in the %s scheme everything has room, keeps its place and is readable', async (colorScheme) => {
    const page = await open({ viewport: { width, height: 900 }, colorScheme }, '');
    await page.page.evaluate(() => {
      /** What moved, but for what is in a list that scrolls: there the newest is put on top of the others. */
      type Shift = PerformanceEntry & { readonly sources: readonly { readonly node: Node | null }[] };
      const scrolls = ({ node }: { readonly node: Node | null }) => node?.parentElement?.closest('#timeline, #messages, #outbox');
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as Shift[])
          if (!entry.sources.every(scrolls)) document.body.dataset['shift'] = JSON.stringify(entry);
      }).observe({ type: 'layout-shift' });
    });
    await page.type(`a-very-long-word-${'that-never-ends-'.repeat(8)}`);
    await page.sendTen();
    await page.verdict('good', 'All 11 messages arrived, each once, in order.');
    await page.page.evaluate(() => scrollTo(0, 0));
    const connected = await layoutOf(page.page);
    const problems = async () => [...(await overflowing(page.page)), ...(await paleTexts(page.page)), ...(await axeFindings(page.page))];
    expect(await problems()).toEqual([]);

    expect(await page.grown(LONGEST)).toEqual([]);
    await page.press('refuse');
    await page.state('Waiting to retry');
    await page.sendTen();
    await page.verdict('wait', '10 messages wait for a connection.');
    await page.page.evaluate(() => scrollTo(0, 0)); // pressing a button may have scrolled to it
    expect(await layoutOf(page.page)).toEqual(connected);
    expect(await problems()).toEqual([]);

    await page.page.click('#connect');
    await page.state('Closed');
    await page.page.evaluate(() => scrollTo(0, 0));
    expect(await layoutOf(page.page)).toEqual(connected);
    expect(await problems()).toEqual([]);
    expect(await page.page.evaluate(() => document.body.dataset['shift'])).toBeUndefined();
  });
});

test('a report has what the library saw and did, and nothing of what was written', async () => {
  const page = await open();
  await page.type('a secret');
  await page.verdict('good', 'Your message arrived, once.');
  const [download] = await Promise.all([page.page.waitForEvent('download'), page.page.click('#report')]);
  expect(download.suggestedFilename()).toBe('holdfast-report.json');
  const report = await readFile(await download.path(), 'utf8');
  const { state, metrics, log } = JSON.parse(report) as InspectorReport;
  expect([state, metrics.connections]).toEqual(['connected', 1]);
  expect(log.map(({ text }) => text)).toEqual(expect.arrayContaining([expect.stringMatching(/^publish room #\d+ \(\d+ bytes\)$/)]));
  expect(report).not.toContain('a secret');
});

test('everything can be reached by keyboard, in the order in which it is read', async () => {
  const page = await open();
  const reached: string[] = [];
  for (let i = 0; i < 19; i++) {
    await page.page.keyboard.press('Tab');
    reached.push(
      await page.page.evaluate(() => {
        const { id, dataset, textContent } = document.activeElement as HTMLElement;
        return id || dataset['order'] || textContent || '';
      }),
    );
  }
  const hurt = ['refuse', 'drop', 'mute', 'restart', 'slow'];
  const room = ['a second tab', 'text', 'Send', 'ten', 'outbox', 'room', 'reopen'];
  expect(reached).toEqual([
    'The same with one script tag',
    'reconnect',
    'connect',
    ...hurt,
    ...room,
    'grow',
    'cancel',
    'timeline',
    'report',
  ]);
});

/** Numbers below `size`, such that every one follows every other, itself included, exactly once: a walk over all edges of the full graph. */
function* walk(size: number): Generator<number> {
  const left = Array.from({ length: size }, () => Array.from({ length: size }, (_, to) => to));
  const path: number[] = [];
  const stack = [0];
  while (stack.length > 0) {
    const next = left[stack[stack.length - 1] ?? 0]?.pop();
    if (next === undefined) path.push(stack.pop() ?? 0);
    else stack.push(next);
  }
  yield* path;
}
