/** The Node that runs the tests, with every WebSocket that it can have, and with unusual flags. Other versions: `npm run test:nodes`. */

import { expect, test } from 'vitest';
import { EXPECTED, type Runtime, talkIn } from '../support/nodes.ts';

/** Before Node 22 its own WebSocket is there by a flag only, and says so on stderr. */
const OWN = typeof globalThis.WebSocket === 'function' ? [] : ['--experimental-websocket', '--disable-warning=ExperimentalWarning'];

test.each<[string, Pick<Runtime, 'flags' | 'sockets'>]>([
  ['the WebSocket of ws', { sockets: 'ws', flags: [] }],
  ['its own WebSocket', { sockets: 'global', flags: OWN }],
  ['the WebSocket of ws, without __proto__', { sockets: 'ws', flags: ['--disable-proto=throw'] }],
  ['the WebSocket of ws, and frozen intrinsics', { sockets: 'ws', flags: ['--frozen-intrinsics', '--no-warnings'] }],
  ['the WebSocket of ws, and no code from strings', { sockets: 'ws', flags: ['--disallow-code-generation-from-strings'] }],
])('Node with %s connects, calls, is cut, resumes and closes, and the process ends by itself', async (_, runtime) => {
  const { seen, stderr, code, left } = await talkIn({ node: process.execPath, ...runtime });
  expect(stderr).toBe('');
  expect(seen).toEqual(EXPECTED);
  expect([code, left]).toEqual([0, 0]);
});
