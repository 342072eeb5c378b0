/** The API reference in docs/api: it is what typedoc makes of the sources now, and it can be read where it lies. */

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Pages by their names. */
type Pages = Readonly<Record<string, string>>;

/** Runs typedoc with the options of typedoc.json and further ones; it says nothing where nothing is wrong. */
function typedoc(...options: string[]): Promise<{ code: number; output: string }> {
  const command = join(dirname(createRequire(import.meta.url).resolve('typedoc/package.json')), 'bin/typedoc');
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [command, '--logLevel', 'Warn', ...options], { cwd: root }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), output: stdout + stderr });
    });
  });
}

async function pagesIn(folder: string): Promise<Pages> {
  const names = (await readdir(folder)).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')])));
}

/** A page without what is code. */
function prose(page: string): string {
  return page.replace(/^```.*?^```/gms, '');
}

/** Where links to a page can lead: anchors, and headings by the names that GitHub gives them. */
function targets(page: string): Set<string> {
  const text = prose(page);
  const found = new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id as string));
  const times = new Map<string, number>();
  for (const [, heading = ''] of text.matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    const before = times.get(slug) ?? 0;
    times.set(slug, before + 1);
    found.add(before === 0 ? slug : `${slug}-${before}`);
  }
  return found;
}

/** The links that lead nowhere, as `page: link`. Links out of the folder are none of ours: there are to be none. */
function brokenLinks(pages: Pages): string[] {
  const known = new Map(Object.entries(pages).map(([name, page]) => [name, targets(page)]));
  return Object.entries(pages).flatMap(([name, page]) =>
    [...prose(page).matchAll(/\]\(([^)]*)\)/g)].flatMap(([, link = '']) => {
      const [file, anchor] = link.split('#');
      const there = known.get(file || name);
      return there && (anchor === undefined || there.has(anchor)) ? [] : [`${name}: ${link}`];
    }),
  );
}

/** What is documented on a page and not named in the list at its top. */
function unlisted(page: string): string[] {
  const list = page.slice(0, page.indexOf('\n## '));
  const headings = [...prose(page).matchAll(/^### (\S+)/gm)].map(([, heading = '']) => heading.replace('()', ''));
  return headings.filter((heading) => !list.includes(`[${heading}](`));
}

describe('the API reference', () => {
  let folder = '';
  let run = { code: -1, output: '' };
  let pages: Pages = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-api-'));
    run = await typedoc('--out', join(folder, 'api'));
    pages = await pagesIn(join(root, 'docs/api'));
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true }));

  it('is made without a warning: nothing is undocumented, and no link in a comment is broken', () => {
    expect(run).toEqual({ code: 0, output: '' });
  });

  it('is in docs/api as it is made now: `npm run docs` where it is not', async () => {
    expect(pages).toEqual(await pagesIn(join(folder, 'api')));
  });

  it('has few pages, whose links lead somewhere', () => {
    expect(Object.keys(pages)).toEqual(['README.md', 'holdfast.md', 'holdfast.server.md']);
    expect(brokenLinks(pages)).toEqual([]);
    const broken = { 'a.md': '# A\n## B c\n[A](#a) [B](#b-c) [C](#c) [D](b.md#d)', 'b.md': '[A](a.md#b-c) [E](../e.md)' };
    expect(brokenLinks(broken)).toEqual(['a.md: #c', 'a.md: b.md#d', 'b.md: ../e.md']);
  });

  it('lists at the top of a page everything that is on it', () => {
    expect(unlisted(pages['holdfast.md'] ?? '')).toEqual([]);
    expect(unlisted(pages['holdfast.server.md'] ?? '')).toEqual([]);
    expect(unlisted('- [A](#a)\n\n## Classes\n\n### A\n\n### B\n\n```ts\n### C\n```\n')).toEqual(['B']);
  });

  it('says nothing of the place and the time where it was made', () => {
    const text = Object.values(pages).join('\n');
    expect(text).not.toContain(root);
    expect(text).not.toMatch(/file:|\/(home|Users|work|tmp)\/|\b20\d\d-\d\d|\b[0-9a-f]{40}\b/);
  });

  it('is not made at all of sources with gaps', async () => {
    const gaps = [
      '/** @module gaps */',
      'interface Hidden { readonly a: number }',
      '/** See {@link Nothing}. */',
      'export function documented(hidden: Hidden): void { void hidden; }',
      'export function bare(): void {}',
    ];
    await writeFile(join(folder, 'gaps.ts'), gaps.join('\n'));
    await writeFile(join(folder, 'package.json'), '{ "name": "gaps" }'); // of other packages typedoc asks nothing
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { types: [] }, files: ['gaps.ts'] }));
    const { code, output } = await typedoc(
      ...['--entryPoints', join(folder, 'gaps.ts'), '--tsconfig', join(folder, 'tsconfig.json'), '--out', join(folder, 'gaps')],
    );
    expect(code).not.toBe(0);
    expect(output).toContain('Hidden, defined in');
    expect(output).toContain('bare (CallSignature)');
    expect(output).toContain('Failed to resolve link to "Nothing"');
  });
});
