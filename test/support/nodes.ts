/** A Node of any version talks to a server of this process by the built package, is cut off and comes back, and has to end by itself. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createServer } from '../../src/server/index.ts';
import { startEchoServer } from './echo-server.ts';
import { FaultProxy } from './fault-proxy.ts';
import { root } from './read-document.ts';

/** A Node to try, and where it has its WebSocket from. */
export interface Runtime {
  readonly node: string;
  readonly flags: readonly string[];
  readonly sockets: 'global' | 'ws';
}

/** What came of it. */
export interface Outcome {
  /** What the program saw. */
  readonly seen: unknown;
  readonly stderr: string;
  readonly code: number | null;
  /** Connections that the servers still have. */
  readonly left: number;
  /** Milliseconds between the last word of the program and the end of its process. */
  readonly lingered: number;
}

/** Longer than any of it takes; a process that is still there then does not end by itself. */
const DEADLINE = 30_000;

/** What every Node has to see, whatever its WebSocket is. */
export const EXPECTED: object = {
  client: {
    sum: 3,
    bytes: [1, 2, 255],
    cut: 'answered on the next connection',
    after: 7,
    connections: 2,
    resumed: 1,
    messages: ['published while it was away'],
    log: ['open', 'close 1006 , again', 'open, resumed', 'close 1000 '],
    state: 'closed',
  },
  dropIn: { heard: ['queued', [1, 2, 255]], log: ['open', 'close 3001 done'], wasClean: true, buffered: 0 },
  refused: ['error CONNECTION_FAILED', 'close 1006 , again', 'error CONNECTION_FAILED', 'close 1006 '],
  sentAway: ['open', 'close 4001 go, again', 'open', 'close 4001 go'],
  closedWhileConnecting: ['error CONNECTION_FAILED', 'close 1006 '],
  heardWithinClose: false,
};

/** Runs `test/environments/talk.mjs` in it. */
export async function talkIn({ node, flags, sockets }: Runtime): Promise<Outcome> {
  const echo = await startEchoServer();
  const server = createServer({
    port: 0,
    hostname: '127.0.0.1',
    handlers: {
      methods: {
        add: (params) => (params as { a: number; b: number }).a + (params as { a: number; b: number }).b,
        echo: (params) => params,
        cut: async () => {
          proxy.cut();
          server.publish('room', 'published while it was away');
          return 'answered on the next connection';
        },
      },
    },
  });
  await server.listening;
  const proxy = await FaultProxy.start(server.port);
  try {
    const program = [join(root, 'test/environments/talk.mjs'), join(root, 'dist'), sockets, proxy.url('/'), echo.url('')];
    const ran = await run(node, [...flags, ...program]);
    return { ...ran, left: server.connections + echo.echo.clients.size };
  } finally {
    await proxy.stop();
    await server.close({ drain: 0, retryAfter: 0 });
    await echo.stop();
  }
}

/** Runs a program until its process ends by itself, or is ended after so many milliseconds, which makes its `code` null. */
export function run(node: string, args: readonly string[], deadline: number = DEADLINE): Promise<Omit<Outcome, 'left'>> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    let spokeAt = 0;
    const overdue = setTimeout(() => child.kill('SIGKILL'), deadline);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out.stdout += text;
      spokeAt = performance.now();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      out.stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(overdue);
      const seen: unknown = out.stdout.startsWith('{') ? JSON.parse(out.stdout) : out.stdout;
      resolve({ seen, stderr: out.stderr, code, lingered: spokeAt ? Math.round(performance.now() - spokeAt) : 0 });
    });
  });
}
