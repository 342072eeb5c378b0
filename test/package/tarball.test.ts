/** What is published: packed as npm does it, unpacked where a user's project has it, and used from there. */

import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createContext, runInContext } from 'node:vm';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEchoServer } from '../support/echo-server.ts';
import { readSources } from '../support/laws.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A project that has the package installed. */
let project: string;
let installed: string;
/** Paths in the tarball. */
let packed: string[];

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'holdfast-consumer-'));
  installed = join(project, 'node_modules', 'holdfast');
  await mkdir(installed, { recursive: true });
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', project], {
    cwd: root,
    shell: process.platform === 'win32',
  });
  const [{ filename, files }]: [{ filename: string; files: { path: string }[] }] = JSON.parse(stdout);
  packed = files.map(({ path }) => path);
  await run('tar', ['-xzf', filename, '--strip-components=1', '-C', join('node_modules', 'holdfast')], { cwd: project });
  // What its user chose to have; there is nothing else that it depends on.
  await symlink(join(root, 'node_modules', 'ws'), join(project, 'node_modules', 'ws'), 'junction');
}, 60_000);

afterAll(() => rm(project, { recursive: true }));

test('the tarball holds what a user needs, and nothing else', () => {
  const withoutScript = onlyTypes();
  const modules = [...readSources().keys()].map((path) => path.replace(/\.ts$/, ''));
  const outside = packed.filter((path) => !path.startsWith('dist/'));
  const scripts = packed.filter((path) => /^dist\/.*\.(js|js\.map)$/.test(path)).map((path) => path.slice(5).replace(/\.js(\.map)?$/, ''));
  const types = packed.filter((path) => path.endsWith('.d.ts')).map((path) => path.slice(5, -5));
  expect(outside.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
  const expected = [...modules.filter((name) => !withoutScript.includes(name)), 'holdfast.iife', 'vendor/typescript-event-target'];
  expect([...new Set(scripts)].sort()).toEqual(expected.sort());
  expect(types.sort()).toEqual(modules.sort());
  expect(packed.filter((path) => !/^dist\/.*\.(js|js\.map|d\.ts)$/.test(path)).sort()).toEqual([...outside, 'dist/integrity.json'].sort());
});

test('what is only types leaves nothing in JavaScript, and that is told apart', () => {
  const withoutScript = onlyTypes();
  expect(withoutScript).toEqual(expect.arrayContaining(['contract', 'core/state']));
  expect(withoutScript).not.toContain('client');
});

test('every source map carries its sources, which are not in the tarball', async () => {
  const maps = packed.filter((path) => path.endsWith('.map'));
  expect(maps.length).toBeGreaterThan(10);
  for (const path of maps) {
    const { sources, sourcesContent } = JSON.parse(await readFile(join(installed, path), 'utf8'));
    expect(sourcesContent, path).toHaveLength(sources.length);
    expect(sourcesContent, path).not.toContain(null);
  }
});

test('every path that package.json names is in the tarball', async () => {
  const { exports, types, unpkg, jsdelivr, bin, dependencies, peerDependencies } = JSON.parse(
    await readFile(join(installed, 'package.json'), 'utf8'),
  );
  expect(Object.keys(exports)).toEqual(['.', './server', './package.json']);
  const entries = [exports['.'], exports['./server'], bin].flatMap((paths) => Object.values(paths));
  const named = [...entries, exports['./package.json'], types, unpkg, jsdelivr];
  expect(packed).toEqual(expect.arrayContaining(named.map((path) => String(path).replace('./', ''))));
  expect(Object.keys(bin)).toEqual(['holdfast-server']);
  expect(dependencies).toBeUndefined();
  expect(Object.keys(peerDependencies)).toEqual(['ws']);
});

test('the client needs nothing, so that a page can load its modules as they are; the server needs Node and ws', async () => {
  expect(await outside('index.js')).toEqual([]);
  expect(await outside('server/index.js')).toEqual(['node:http', 'ws']);
  expect(await outside('server/cli.js')).toEqual(['node:http', 'node:util', 'ws']);
});

test('nothing in it names a path of the machine that built it', async () => {
  for (const path of packed) expect((await readFile(join(installed, path), 'utf8')).includes(root), path).toBe(false);
});

test('plain JavaScript in Node imports it, which does nothing, talks to a server, and is one', async () => {
  const server = await startEchoServer();
  try {
    await copyFile(join(root, 'test', 'package', 'consumer.mjs'), join(project, 'consumer.mjs'));
    const { stdout, stderr } = await run(process.execPath, ['consumer.mjs', server.url()], { cwd: project, timeout: 30_000 });
    expect(stderr).toBe('');
    const { exports, serverExports, ...seen } = JSON.parse(stdout);
    expect(exports).toEqual(values(await import('../../src/index.ts')));
    expect(serverExports).toEqual(values(await import('../../src/server/index.ts')));
    expect(exports).toEqual(expect.arrayContaining(['CallError', 'Client', 'ReconnectingWebSocket', 'backoff', 'holdfast']));
    expect(serverExports).toEqual(expect.arrayContaining(['CallError', 'Host', 'createServer']));
    expect(seen).toEqual({
      left: { globals: [], resources: 0 },
      heard: ['queued', 'sent'],
      close: { code: 1000, reason: 'done', wasClean: true, willReconnect: false },
      said: { sum: 3, event: 'noted', message: 'to all', refused: 'CallError PERMISSION_DENIED', sameClass: true, state: 'closed' },
    });
    expect(server.echo.upgrades).toBe(1);
  } finally {
    await server.stop();
  }
});

test('the command of the package starts', async () => {
  const { bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const script = join(installed, bin['holdfast-server']);
  expect(await readFile(script, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  const { stdout } = await run(process.execPath, [script, '--help'], { cwd: project });
  expect(stdout).toMatch(/^holdfast-server: /);
});

test('the script-tag bundle makes one global, and touches nothing else in a realm that has no page', async () => {
  const realm: Record<string, unknown> = { Event, EventTarget };
  createContext(realm);
  runInContext(await readFile(join(installed, 'dist', 'holdfast.iife.js'), 'utf8'), realm);
  expect(Object.keys(realm).sort()).toEqual(['Event', 'EventTarget', 'Holdfast']);
  for (const name of ['ReconnectingWebSocket', 'Client']) expect(runInContext(`typeof Holdfast.${name}`, realm)).toBe('function');
});

/** Modules of which the compiler leaves nothing. */
function onlyTypes(): string[] {
  const { ESNext } = ts.ModuleKind;
  return [...readSources()]
    .filter(
      ([, text]) =>
        ts.transpileModule(text, { compilerOptions: { module: ESNext, removeComments: true } }).outputText.trim() === 'export {};',
    )
    .map(([path]) => path.replace(/\.ts$/, ''));
}

/** Names of what a module exports. */
function values(module: object): string[] {
  return Object.keys(module).sort();
}

/** What a script of the package imports that is not in it, by itself and by what it imports. */
async function outside(path: string, seen: Set<string> = new Set()): Promise<string[]> {
  seen.add(path);
  const names = ts
    .preProcessFile(await readFile(join(installed, 'dist', path), 'utf8'), true, true)
    .importedFiles.map(({ fileName }) => fileName);
  const found = new Set(names.filter((name) => !name.startsWith('.')));
  for (const name of names.filter((each) => each.startsWith('.'))) {
    const inside = posix.join(posix.dirname(path), name);
    if (!seen.has(inside)) for (const each of await outside(inside, seen)) found.add(each);
  }
  return [...found].sort();
}
