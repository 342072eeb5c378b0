/**
 * Every scenario in every engine: `npm run test:engines`, about ten minutes. Writes docs/engines.md.
 *
 * `--engine firefox` runs it in one engine (again for another one), `--only text` the scenarios with that in their titles; then nothing is written.
 */

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { chromium } from './chromium.ts';
import type { Launcher } from './engine.ts';
import { firefox } from './firefox.ts';
import { runEverything } from './lanes.ts';
import { report } from './report.ts';
import { scenarios } from './scenarios.ts';
import { webkit } from './webkit.ts';

const LAUNCHERS = [chromium, firefox, webkit];

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { engine: { type: 'string', multiple: true }, only: { type: 'string', default: '' } } });
  const wanted = values.engine ? values.engine.map(named) : LAUNCHERS;
  for (const { name, missing } of wanted)
    if (missing().length > 0)
      throw new Error(`${name} is not installed: apt-get install ${missing().join(' ')}, or choose others by --engine`);
  const chosen = scenarios.filter(({ title }) => title.includes(values.only));
  const runs = await runEverything(wanted, chosen, (line) => console.log(line));
  if (wanted.length === LAUNCHERS.length && chosen.length === scenarios.length) {
    await writeFile('docs/engines.md', report(runs, scenarios));
    console.log('written: docs/engines.md');
  }
  for (const { name, measures } of runs) for (const [what, value] of Object.entries(measures)) console.log(`${name}: ${what}: ${value}`);
  const failures = runs.flatMap(({ outcomes }) => [...outcomes.values()]).filter(({ verdict }) => verdict === 'failed');
  console.log(failures.length > 0 ? `${failures.length} failed` : 'nothing failed');
  process.exitCode = failures.length > 0 ? 1 : 0;
}

function named(name: string): Launcher {
  const found = LAUNCHERS.find((launcher) => launcher.name.toLowerCase().startsWith(name.toLowerCase()));
  if (!found) throw new Error(`--engine is one of chromium, firefox and webkit, but got ${name}`);
  return found;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
