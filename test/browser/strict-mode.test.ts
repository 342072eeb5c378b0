/** The React recipes and a drop-in in an effect, under StrictMode, in a real Chromium: everything that reaches a real server is counted. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../support/e2e.ts';
import { launch } from '../support/pages.ts';
import { codeBlock } from '../support/read-document.ts';
import { bundled, type Counted, servePages, startCounted } from '../support/web-pages.ts';
import { openWatched } from './support.ts';

/** What the page of these tests can be told to do. `tick` does all that it is told in one task. */
interface Stage {
  /** Mounts the component of that name under StrictMode, as React does it by itself. */
  show(name: string, url: string): void;
  /** Unmounts and mounts it again, so many times: in one task, or each in a task of its own. */
  again(times: number, oneTask: boolean): Promise<void>;
  unmount(): void;
  readonly mounts: number;
  readonly sockets: { readonly readyState: number }[];
}
type Staged = Window & { readonly stage: Stage };

const ENTRY = `
import { createElement, StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';
import { ReconnectingWebSocket } from 'holdfast';
import { LiveProvider, useConnectionState, useMessages } from 'own:react';
import { usePeople } from 'own:here';

const sockets: WebSocket[] = [];
window.WebSocket = class extends WebSocket {
  constructor(...args: [string, string[]]) {
    super(...args);
    sockets.push(this);
  }
};

let mounts = 0;
function Counted({ children }) {
  useEffect(() => void mounts++, []);
  return children;
}
function Room() {
  return <p>{useConnectionState().status}: {useMessages('room:kelp').join()}</p>;
}
function People() {
  return <p>here: {usePeople('room:kelp', { typing: false }).length}</p>;
}
function DropIn({ url }: { url: string }) {
  const [heard, setHeard] = useState('connecting');
  useEffect(() => {
    const socket = new ReconnectingWebSocket(url);
    socket.onopen = () => setHeard('open');
    return () => socket.close();
  }, [url]);
  return <p>{heard}</p>;
}
const shown = {
  Room: (url: string) => <LiveProvider url={url}><Room /></LiveProvider>,
  People: (url: string) => <LiveProvider url={url}><People /></LiveProvider>,
  Both: (url: string) => <LiveProvider url={url}><Room /><People /></LiveProvider>,
  DropIn: (url: string) => <DropIn url={url} />,
};

const root = createRoot(document.querySelector('main'));
let current = null;
window.stage = {
  show(name, url) {
    current = <StrictMode><Counted>{shown[name](url)}</Counted></StrictMode>;
    flushSync(() => root.render(current));
  },
  async again(times, oneTask) {
    for (let i = 0; i < times; i++) {
      flushSync(() => root.render(null));
      flushSync(() => root.render(current));
      if (!oneTask) await new Promise((resolve) => setTimeout(resolve));
    }
  },
  unmount: () => root.render(null),
  get mounts() { return mounts; },
  sockets,
};
`;

let browser: Browser;
let script: string;
beforeAll(async () => {
  browser = await launch();
  script = await bundled(ENTRY, {
    'own:react': codeBlock('docs/recipes.md', 'React #1').code,
    'own:here': `import { useLive } from 'own:react';\n${codeBlock('docs/recipes.md', 'Who is here #1').code}`,
  });
});
afterAll(() => browser.close());

/** A page with nothing on it yet, and a server that counts. What the page complains about fails the test, unless it is `expected`. */
async function begin(expected = /^$/): Promise<{ readonly page: Page; readonly counted: Counted }> {
  const counted = await startCounted();
  const { origin } = await servePages({
    '/': '<!doctype html><link rel="icon" href="data:,"><main></main><script src="/page.js"></script>',
    '/page.js': script,
  });
  const { page, complaints } = await openWatched(browser, `${origin}/`, expected);
  onTestFinished(async () => {
    await page.context().close();
    expect(complaints).toEqual([]);
  });
  return { page, counted };
}

const show = (page: Page, name: string, url: string) =>
  page.evaluate(([name, url]) => (window as unknown as Staged).stage.show(name, url), [name, url] as const);
const again = (page: Page, times: number, oneTask: boolean) =>
  page.evaluate(([times, oneTask]) => (window as unknown as Staged).stage.again(times, oneTask), [times, oneTask] as const);
const says = (page: Page, text: string) =>
  page.waitForFunction((wanted) => document.querySelector('main')?.innerText.trim() === wanted, text);
const mounts = (page: Page) => page.evaluate(() => (window as unknown as Staged).stage.mounts);
/** Of every socket that the page ever made. */
const readyStates = (page: Page) => page.evaluate(() => (window as unknown as Staged).stage.sockets.map(({ readyState }) => readyState));

const unmount = (page: Page) => page.evaluate(() => (window as unknown as Staged).stage.unmount());

describe.each([
  ['a client with a channel', 'Room', 'open:', 1, ['subscribe room:kelp']],
  ['a client with presence', 'People', 'here: 1', 1, ['subscribe room:kelp', 'presence room:kelp']],
  ['a client with both', 'Both', 'open:\n\nhere: 1', 1, ['subscribe room:kelp', 'presence room:kelp']],
  ['a drop-in', 'DropIn', 'open', 0, []],
] as const)('%s under StrictMode', (_, name, text, clients, asked) => {
  it('is mounted, unmounted and mounted in one tick, and makes one connection, which asks once', async () => {
    const { page, counted } = await begin();
    await show(page, name, counted.url);
    await says(page, text);
    expect(await mounts(page)).toBe(2);
    expect([counted.upgrades, counted.welcomed, counted.asked]).toEqual([1, clients, asked]);
    expect(await readyStates(page)).toEqual([WebSocket.OPEN]);
  });

  it('is unmounted and mounted twenty times in one tick, and makes one connection, which asks once', async () => {
    const { page, counted } = await begin();
    await page.evaluate(
      ([name, url]) => {
        const { stage } = window as unknown as Staged;
        stage.show(name, url);
        return stage.again(20, true);
      },
      [name, counted.url] as const,
    );
    await says(page, text);
    expect(await mounts(page)).toBe(42);
    expect([counted.upgrades, counted.welcomed, counted.asked]).toEqual([1, clients, asked]);
  });

  it('is unmounted and mounted twenty times, each in a task of its own, and leaves one connection', async () => {
    // What a browser says about every socket that is closed while it connects, whoever made it.
    const { page, counted } = await begin(/WebSocket is closed before the connection is established/);
    await show(page, name, counted.url);
    await says(page, text);
    await again(page, 20, false);
    await says(page, text);
    await until(() => expect([counted.open, counted.server.clients.length]).toEqual([1, clients]));
    const states = await readyStates(page);
    expect(states.filter((state) => state === WebSocket.OPEN)).toHaveLength(1);
    expect(states).toHaveLength(21);
    expect(counted.server.publish('room:kelp', 'once')).toBe(clients);
  });

  it('leaves nothing on the server when it is unmounted for good', async () => {
    const { page, counted } = await begin();
    await show(page, name, counted.url);
    await says(page, text);
    await unmount(page);
    await until(() => expect([counted.open, counted.server.connections, counted.server.clients.length]).toEqual([0, 0, 0]));
    expect(await counted.server.members('room:kelp')).toEqual([]);
    await until(async () => expect(await readyStates(page)).toEqual([WebSocket.CLOSED]));
    expect(counted.upgrades).toBe(1);
  });
});
