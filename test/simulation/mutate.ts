/**
 * Puts each fault of mutations.ts into a copy of the code, and says how many seeds it took to find it: `npm run sim:mutations`. `--only` is a
 * regular expression for the rules (and files) that are to be broken, `--seeds` how many each may take.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutations as all } from './mutations.ts';

const { values } = parseArgs({ options: { only: { type: 'string', default: '' }, seeds: { type: 'string', default: '6000' } } });
const mutations = all.filter(({ breaks, file }) => new RegExp(values.only).test(`${file}: ${breaks}`));
const root = fileURLToPath(new URL('../..', import.meta.url));
const copy = mkdtempSync(join(tmpdir(), 'holdfast-'));
let survivors = 0;
try {
  for (const path of ['src', 'test/simulation', 'package.json', 'tsconfig.json'])
    cpSync(join(root, path), join(copy, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  for (const { breaks, and = [], ...first } of mutations)
    for (const edit of [first, ...and].map((each) => apply(each, breaks)).reverse()) edit(); // all of them can be
  for (const { breaks, and = [], ...first } of mutations) {
    const undo = [first, ...and].map((edit) => apply(edit, breaks));
    const { stdout } = spawnSync('npx', ['tsx', 'test/simulation/run.ts', '--seeds', values.seeds, '--shrink', '0'], {
      cwd: copy,
      encoding: 'utf8',
      timeout: 300_000,
    });
    for (const restore of undo.reverse()) restore();
    const [, seed, violation] = /seed (\d+): (.*)/.exec(stdout) ?? [];
    if (!seed) survivors++;
    console.log(`${seed ? `found at seed ${seed}`.padEnd(20) : 'NOT FOUND'.padEnd(20)} ${breaks}${violation ? `: ${violation}` : ''}`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
console.log(`${mutations.length - survivors} of ${mutations.length} found within ${values.seeds} seeds`);
process.exitCode = survivors > 0 ? 1 : 0;

/** Replaces one place in one file; returns how to put it back. */
function apply({ file, find, replace }: { file: string; find: string; replace: string }, breaks: string): () => void {
  const path = join(copy, 'src', file);
  const source = readFileSync(path, 'utf8');
  if (source.split(find).length !== 2) throw new Error(`src/${file} has not exactly one place for "${breaks}"`);
  writeFileSync(
    path,
    source.replace(find, () => replace),
  );
  return () => writeFileSync(path, source);
}
