/** What becomes of scenarios that pass, fail and cannot be, with engines that are none. */

import { describe, expect, it } from 'vitest';
import { Cannot, type Engine, type Launcher } from '../engines/engine.ts';
import { runEverything } from '../engines/lanes.ts';
import { report } from '../engines/report.ts';
import { scenario } from '../engines/scenario.ts';

/** An engine without pages, and how often it was closed. */
function launcherOf(name: Engine['name']) {
  const seen = { launched: 0, closed: 0 };
  const launcher: Launcher = {
    name,
    missing: () => [],
    async launch() {
      seen.launched++;
      return {
        name,
        version: '1.2',
        pid: 0,
        open: () => Promise.reject(new Error('no pages here')),
        close: async () => void seen.closed++,
      };
    },
  };
  return { launcher, seen };
}

const scenarios = [
  scenario('it passes', async (trial) => trial.measured('how long', 1.234)),
  scenario('it fails', async () => {
    throw new Error('1 | 2\nis not 3');
  }),
  scenario('it cannot be', async ({ engine }) => {
    if (engine.name === 'Firefox') throw new Cannot('it is not that way inclined');
  }),
  scenario('it takes long', async (trial) => trial.seen('what', 'words'), 'hidden'),
];

describe('a run', () => {
  it('tells of every scenario in every engine, and closes every browser', async () => {
    const engines = (['Chromium', 'Firefox'] as const).map(launcherOf);
    const lines: string[] = [];
    const runs = await runEverything(
      engines.map(({ launcher }) => launcher),
      scenarios,
      (line) => lines.push(line),
    );
    expect(lines).toHaveLength(8);
    expect(lines).toContain('Firefox: cannot (it is not that way inclined): it cannot be');
    expect(engines.map(({ seen }) => seen)).toEqual([
      { launched: 2, closed: 2 },
      { launched: 2, closed: 2 },
    ]);
    const text = report(runs, scenarios);
    expect(text.split('\n').filter((line) => line.startsWith('|'))).toEqual([
      '| scenario | Chromium 1.2 | Firefox 1.2 |',
      '| --- | --- | --- |',
      '| it passes | passed | passed |',
      '| it fails | failed: 1 \\| 2 is not 3 | failed: 1 \\| 2 is not 3 |',
      '| it cannot be | passed | cannot: it is not that way inclined |',
      '| it takes long | passed | passed |',
      '| what | Chromium 1.2 | Firefox 1.2 |',
      '| --- | --- | --- |',
      ...['| how long | 1.23 s | 1.23 s |', '| what | words | words |'].sort((a, b) => text.indexOf(a) - text.indexOf(b)),
    ]);
  });

  it('tells that an engine does not start: nothing of it has passed', async () => {
    const launcher: Launcher = { name: 'WebKitGTK', missing: () => [], launch: () => Promise.reject(new Error('no display')) };
    const [run] = await runEverything([launcher], scenarios, () => {});
    expect([...(run?.outcomes ?? [])].map(([title, { verdict, why }]) => [title, verdict, why])).toEqual(
      expect.arrayContaining(scenarios.map(({ title }) => [title, 'failed', 'Error: no display'])),
    );
    expect(run?.outcomes.size).toBe(4);
  });
});
