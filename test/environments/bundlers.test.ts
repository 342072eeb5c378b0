/** The built package through bundlers: what an import of one name brings along, that there is one copy of it, and that importing does nothing. */

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { build as esbuild } from 'esbuild';
import { build as vite } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../support/read-document.ts';

/** A project that has the package installed. */
let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'holdfast-bundle-'));
  const installed = join(project, 'node_modules', 'holdfast');
  await mkdir(installed, { recursive: true });
  await symlink(join(root, 'dist'), join(installed, 'dist'), 'junction');
  await writeFile(join(installed, 'package.json'), await readFile(join(root, 'package.json')));
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rm(project, { recursive: true }));

/** The code that a bundler makes of these modules, the first one being the entry. */
type Bundler = (modules: Readonly<Record<string, string>>) => Promise<string>;

let count = 0;
async function written(modules: Readonly<Record<string, string>>): Promise<{ readonly folder: string; readonly entry: string }> {
  const folder = join(project, `app${count++}`);
  await mkdir(folder);
  for (const [name, text] of Object.entries(modules)) await writeFile(join(folder, name), text);
  return { folder, entry: join(folder, Object.keys(modules)[0] ?? '') };
}

const bundlers: Record<string, Bundler> = {
  async esbuild(modules) {
    const { entry } = await written(modules);
    const { outputFiles } = await esbuild({
      entryPoints: [entry],
      bundle: true,
      format: 'esm',
      target: 'es2022',
      minify: true,
      write: false,
    });
    return outputFiles[0]?.text ?? '';
  },
  async vite(modules) {
    const { folder, entry } = await written(modules);
    const out = join(folder, 'out');
    await vite({
      configFile: false,
      root: folder,
      logLevel: 'silent',
      build: { outDir: out, minify: true, target: 'es2022', lib: { entry, formats: ['es'], fileName: 'out' } },
    });
    const files = await readdir(out);
    expect(files).toEqual(['out.js']);
    return readFile(join(out, 'out.js'), 'utf8');
  },
};

/** Texts that are in the code of something once, and in nothing else. */
const MARKS = {
  client: 'The client was closed again',
  socket: 'It was closed by its signal, for good: make a new one.',
  inspector: 'It is inspected already: stop() the inspector first',
};
const times = (code: string, text: string) => code.split(text).length - 1;

describe.each(Object.entries(bundlers))('%s', (_, bundle) => {
  it('takes nothing of an import that names nothing', async () => {
    expect((await bundle({ 'main.js': "import 'holdfast'; console.log('app');" })).length).toBeLessThan(100);
  });

  it.each([
    ['describe', 2_000],
    ['backoff', 400],
    ['endpoints', 3_000],
    ['CallError', 600],
  ])('takes %s alone, in less than %i bytes', async (name, most) => {
    const code = await bundle({ 'main.js': `import { ${name} } from 'holdfast'; console.log(${name});` });
    expect(code.length).toBeLessThan(most);
    for (const mark of Object.values(MARKS)) expect(times(code, mark)).toBe(0);
  });

  it('takes the drop-in without the client, and the client without the drop-in', async () => {
    const dropIn = await bundle({ 'main.js': "import { ReconnectingWebSocket } from 'holdfast'; console.log(ReconnectingWebSocket);" });
    const client = await bundle({ 'main.js': "import { Client } from 'holdfast'; console.log(Client);" });
    expect([times(dropIn, MARKS.socket), times(dropIn, MARKS.client)]).toEqual([1, 0]);
    expect([times(client, MARKS.socket), times(client, MARKS.client)]).toEqual([0, 1]);
  });

  it('has one copy, however many modules import it, by name or all of it', async () => {
    const code = await bundle({
      'main.js': `import { Client, describe } from 'holdfast'; import './other.js'; console.log(Client, describe);`,
      'other.js': `import * as holdfast from 'holdfast'; console.log(holdfast.Client, holdfast.ReconnectingWebSocket, holdfast.inspect);`,
    });
    for (const mark of Object.values(MARKS)) expect([mark, times(code, mark)]).toEqual([mark, 1]);
  });

  it('makes code that does nothing when it is loaded', async () => {
    const code = await bundle({ 'main.js': `import * as holdfast from 'holdfast'; take(holdfast);` });
    const taken: object[] = [];
    const given = { Event, EventTarget, take: (module: object) => taken.push(module) };
    const realm = createContext({ ...given });
    runInContext(`(() => { ${code.replace(/\bexport\b[^;]*;?\s*$/, '')} })()`, realm);
    expect(taken).toHaveLength(1);
    expect(Object.keys(realm).sort()).toEqual(Object.keys(given).sort());
  });
});
