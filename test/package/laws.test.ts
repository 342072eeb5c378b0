import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { readSources, violations } from '../support/laws.ts';
import { temporaryProject, tsc } from '../support/tsc.ts';

/** What is said when these files are added to the sources, or replace some. */
const withFiles = (files: Record<string, string>) => violations(new Map([...readSources(), ...Object.entries(files)]));

test('the sources keep the laws', () => {
  expect(readSources().size).toBeGreaterThan(10);
  expect(withFiles({})).toEqual([]);
});

test.each([
  ['calls Math.random', 'export const x = Math.random();', 'chance'],
  ['takes random out of Math', 'const { random } = Math; export const x = random();', 'chance'],
  ['calls Math by a computed name', "export const x = Math['random']();", 'chance'],
  ['reads Date.now', 'export const x = Date.now();', 'the time'],
  ['makes a Date', 'export const x = new Date();', 'the time'],
  ['goes through globalThis', 'export const x = globalThis;', 'the world'],
  ['makes code', "export const x = Function('return this')();", 'the world'],
])('a core file that %s is reported', (_, text, what) => {
  expect(withFiles({ 'core/bad.ts': `\n${text}` })).toEqual([
    expect.stringMatching(`^core/bad.ts:2 is pure: it may not depend on ${what} `),
  ]);
});

test('a core file may calculate, and have members of any name', () => {
  expect(withFiles({ 'core/good.ts': 'export const x = { Date: Math.max(1, Math.PI) }; export const y = x.Date;' })).toEqual([]);
});

test.each([
  ['core a value of io', 'core/bad.ts', "import { systemClock } from '../io/clock.ts';", 'io/clock.ts'],
  ['core a type of io', 'core/bad.ts', "import type { Clock } from '../io/clock.ts';", 'a type of io/clock.ts'],
  ['core a type of io, in place', 'core/bad.ts', "export type X = import('../io/clock.ts').Clock;", 'a type of io/clock.ts'],
  ['core a file above it', 'core/bad.ts', "export * from '../connection.ts';", 'connection.ts'],
  ['core a file of io when it runs', 'core/bad.ts', "export const x = () => import('../io/clock.ts');", 'io/clock.ts'],
  ['core a module of Node', 'core/bad.ts', "import { now } from 'node:perf_hooks';", 'node:perf_hooks'],
  ['io core', 'io/bad.ts', "import { backoff } from '../core/backoff.ts';", 'core/backoff.ts'],
  ['io a type of core', 'io/bad.ts', "import type { Loss } from '../core/machine.ts';", 'a type of core/machine.ts'],
  ['errors anything', 'errors.ts', "import './core/queue.ts';", 'core/queue.ts'],
  ['connection the face', 'connection.ts', "import { ReconnectingWebSocket } from './socket.ts';", 'socket.ts'],
  [
    'connection the face, by a name that is a type',
    'connection.ts',
    "import { type ReconnectingWebSocket } from './socket.ts';",
    'socket.ts',
  ],
  ['attempt the connection', 'attempt.ts', "export { Connection } from './connection.ts';", 'connection.ts'],
  ['any file a package', 'socket.ts', "import { WebSocket } from 'ws';", 'ws'],
  ['any file what is not in src', 'socket.ts', "import '../test/support/echo-server.ts';", '../test/support/echo-server.ts'],
])('%s may not import', (_, path, text, target) => {
  expect(withFiles({ [path]: text })).toContain(`${path}:1 may not import ${target}`);
});

test('above the leaves, types may be imported either way', () => {
  expect(withFiles({ 'attempt.ts': "import type { Connection } from './connection.ts'; export type { Connection };" })).toEqual([]);
});

test('a cycle of values is reported once, a cycle of types is none', () => {
  const values = { 'core/a.ts': "import './b.ts';", 'core/b.ts': "import './c.ts';", 'core/c.ts': "export * from './a.ts';" };
  expect(withFiles(values)).toEqual(['core/a.ts:1 is in a cycle: core/a.ts -> core/b.ts -> core/c.ts -> core/a.ts']);
  const types = { 'core/a.ts': "import type { B } from './b.ts'; export type A = B;", 'core/b.ts': "import './a.ts'; export type B = 1;" };
  expect(withFiles(types)).toEqual([]);
});

test('a new file needs a place in the law', () => {
  expect(withFiles({ 'utils.ts': '' })).toEqual(['utils.ts:1 has no place in the import law: give it one']);
});

test('the compiler knows only the language in the core', async () => {
  const project = await temporaryProject(
    { extends: fileURLToPath(new URL('../../src/core/tsconfig.json', import.meta.url)), include: ['.'] },
    {
      'good.ts': 'export const x: number = Math.max(...new Map<number, number>().keys());\n',
      'timer.ts': 'setTimeout(() => {}, 1);\nexport {};\n',
      'page.ts': 'export const x: unknown = document.title;\n',
      'log.ts': "console.log('x');\nexport {};\n",
      'time.ts': 'export const x: unknown = performance.now();\n',
      'node.ts': 'export const x: unknown = process.env;\n',
      'chance.ts': 'export const x: unknown = crypto.randomUUID();\n',
    },
  );
  onTestFinished(() => rm(dirname(project), { recursive: true }));
  const { code, output } = await tsc(project);
  expect(code).not.toBe(0);
  const complaints = output.match(/^\S+(?=\(1,)|Cannot find name '\w+'/gm);
  expect(complaints?.map((each) => each.replace(/^.*\//, '')).sort()).toEqual(
    [
      ...['chance.ts', 'log.ts', 'node.ts', 'page.ts', 'time.ts', 'timer.ts'],
      ...['console', 'crypto', 'document', 'performance', 'process', 'setTimeout'].map((name) => `Cannot find name '${name}'`),
    ].sort(),
  );
});
