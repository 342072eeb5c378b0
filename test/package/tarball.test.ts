/** What is published: packed as npm does it, unpacked where a user's project has it, and used from there. */

import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createContext, runInContext } from 'node:vm';
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
  await symlink(join(root, 'node_modules', 'ws'), join(project, 'node_modules', 'ws'), 'junction');
}, 60_000);

afterAll(() => rm(project, { recursive: true }));

test('the tarball holds what a user needs, and nothing else', () => {
  const modules = [...readSources().keys()].map((path) => path.replace(/\.ts$/, ''));
  const outside = packed.filter((path) => !path.startsWith('dist/'));
  const scripts = packed.filter((path) => /^dist\/.*\.(js|js\.map)$/.test(path)).map((path) => path.slice(5).replace(/\.js(\.map)?$/, ''));
  const types = packed.filter((path) => path.endsWith('.d.ts')).map((path) => path.slice(5, -5));
  expect(outside.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
  const onlyTypes = ['core/state']; // nothing of it is left in JavaScript
  const expected = [...modules.filter((name) => !onlyTypes.includes(name)), 'holdfast.iife'];
  expect([...new Set(scripts)].sort()).toEqual(expected.sort());
  expect(types.sort()).toEqual(modules.sort());
  expect(packed.filter((path) => !/^dist\/.*\.(js|js\.map|d\.ts)$/.test(path)).sort()).toEqual(outside);
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
  const { exports, types, unpkg, jsdelivr, dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const named = [...Object.values(exports['.']), exports['./package.json'], types, unpkg, jsdelivr];
  expect(packed).toEqual(expect.arrayContaining(named.map((path) => String(path).replace('./', ''))));
  expect(dependencies).toBeUndefined();
});

test('nothing in it names a path of the machine that built it', async () => {
  for (const path of packed) expect((await readFile(join(installed, path), 'utf8')).includes(root), path).toBe(false);
});

test('plain JavaScript in Node imports it, which does nothing, and talks to a server', async () => {
  const server = await startEchoServer();
  try {
    await copyFile(join(root, 'test', 'package', 'consumer.mjs'), join(project, 'consumer.mjs'));
    const { stdout, stderr } = await run(process.execPath, ['consumer.mjs', server.url()], { cwd: project, timeout: 30_000 });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      exports: [
        'DropEvent',
        'HoldfastError',
        'ReconnectingCloseEvent',
        'ReconnectingErrorEvent',
        'ReconnectingWebSocket',
        'StateChangeEvent',
        'backoff',
      ],
      left: { globals: [], resources: 0 },
      heard: ['queued', 'sent'],
      close: { code: 1000, reason: 'done', wasClean: true, willReconnect: false },
    });
    expect(server.echo.upgrades).toBe(1);
  } finally {
    await server.stop();
  }
});

test('the script-tag bundle makes one global, and touches nothing else in a realm that has no page', async () => {
  const realm: Record<string, unknown> = { Event, EventTarget };
  createContext(realm);
  runInContext(await readFile(join(installed, 'dist', 'holdfast.iife.js'), 'utf8'), realm);
  expect(Object.keys(realm).sort()).toEqual(['Event', 'EventTarget', 'Holdfast']);
  expect(runInContext('typeof Holdfast.ReconnectingWebSocket', realm)).toBe('function');
});
