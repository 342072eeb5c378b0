/** Rendering on a server: what importing, constructing and the React recipe do there, each in a Node of its own. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FunctionComponent, ReactNode } from 'react';
import { expect, test } from 'vitest';
import { codeBlock, root } from '../support/read-document.ts';
import { run } from '../support/run-block.ts';
import { startCounted } from '../support/web-pages.ts';

interface Recipe {
  readonly LiveProvider: FunctionComponent<{ readonly url: string; readonly children?: ReactNode }>;
}

const execute = promisify(execFile);
/** Before Node 22 there is a WebSocket by a flag only; from then on it can be taken away. */
const WITH = typeof globalThis.WebSocket === 'function' ? [] : ['--experimental-websocket', '--disable-warning=ExperimentalWarning'];
const WITHOUT = typeof globalThis.WebSocket === 'function' ? ['--no-experimental-websocket'] : [];

/** Renders in a Node of its own, tells `meanwhile` what it said, and waits until its process has ended by itself. */
async function render(url: string, how: string, flags: readonly string[], meanwhile: () => void = () => {}): Promise<unknown> {
  const program = [join(root, 'test/environments/render.mjs'), join(root, 'dist'), url, how];
  const running = execute(process.execPath, [...flags, ...program], { timeout: 30_000 });
  running.child.stdout?.once('data', meanwhile);
  const { stdout, stderr } = await running;
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

const NOTHING = { globals: [], resources: [] };

test.each([
  ['with a WebSocket', WITH],
  ['without a WebSocket', WITHOUT],
])('a Node %s renders what is made with startClosed, opens nothing, touches no global, and ends by itself', async (_, flags) => {
  const counted = await startCounted();
  const seen = await render(counted.url, 'closed', flags);
  expect(seen).toEqual({ ...NOTHING, html: '<p>idle,idle</p>', news: [], states: ['idle', 'idle'] });
  expect(counted.upgrades).toBe(0);
});

test('what is made and closed while rendering opens nothing, and the process ends by itself', async () => {
  const counted = await startCounted();
  const seen = await render(counted.url, 'leaves', WITH);
  expect(seen).toMatchObject({ globals: [], html: '<p>closing,closing</p>' });
  expect(counted.upgrades).toBe(0);
});

test.each(['opens', 'drops'])(
  'without a WebSocket what is made while rendering says what to do and is closed, and the process ends by itself (%s)',
  async (how) => {
    const counted = await startCounted();
    const seen = await render(counted.url, how, WITHOUT);
    expect(seen).toEqual({
      ...NOTHING,
      html: '<p>connecting</p>',
      news: [expect.stringContaining('This runtime has no WebSocket: pass createSocket')],
      states: ['refused'],
    });
    expect(counted.upgrades).toBe(0);
  },
);

test('with a WebSocket what is made while rendering connects, and keeps the process until it is closed', async () => {
  const counted = await startCounted();
  const left: number[] = [];
  const seen = await render(counted.url, 'opens', WITH, () => {
    left.push(counted.server.connections);
    for (const client of counted.server.clients) client.close(4800); // for good: it ends by that, and by nothing else
  });
  expect(seen).toMatchObject({ html: '<p>connecting</p>', news: ['open'], states: ['open'] });
  expect(seen).toMatchObject({ resources: expect.arrayContaining(['TCPSocketWrap']) });
  expect([counted.upgrades, left]).toEqual([1, [1]]);
});

test('the React recipe renders nothing inside its provider on a server, and makes no socket', async () => {
  const made: unknown[] = [];
  const WebSocket = class {
    constructor(url: unknown) {
      made.push(url);
    }
  };
  const { LiveProvider } = await run<Recipe>(codeBlock('docs/recipes.md', 'React #1'), { globals: { WebSocket } });
  const { createElement } = await import('react');
  const { renderToString } = await import('react-dom/server');
  const Inside = () => createElement('p', null, 'inside');
  const html = renderToString(
    createElement('main', null, createElement(LiveProvider, { url: 'ws://127.0.0.1:9/' }, createElement(Inside))),
  );
  await new Promise((resolve) => setImmediate(resolve)); // a socket would be made before
  expect(html).toBe('<main></main>');
  expect(made).toEqual([]);
});
