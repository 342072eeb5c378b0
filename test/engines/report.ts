/** The report: what was run where, what came of it, and what was measured on the way. */

import { cpus } from 'node:os';
import type { Outcome, Run } from './lanes.ts';
import type { Scenario } from './scenario.ts';

export function report(runs: readonly Run[], scenarios: readonly Scenario[]): string {
  const names = runs.map(({ name, version }) => `${name} ${version}`);
  const head = (first: string) => [row([first, ...names]), row(['---', ...names.map(() => '---')])];
  const verdicts = scenarios.map(({ title }) => row([title, ...runs.map(({ outcomes }) => words(outcomes.get(title)))]));
  const what = [...new Set(runs.flatMap(({ measures }) => Object.keys(measures)))];
  const measures = what.map((name) => row([name, ...runs.map(({ measures }) => measures[name] ?? '-')]));
  return `# In which engines it was run

Made by \`npm run test:engines\` on ${new Date().toISOString().slice(0, 10)} (Node ${process.version}, ${process.platform}, ${cpus().length} cores, without windows on a screen, servers and
proxies on the same machine). One file of scenarios for all engines: [test/engines/scenarios.ts](../test/engines/scenarios.ts). Chromium is driven
over its DevTools protocol, Firefox over WebDriver BiDi, WebKitGTK over WebDriver.

**WebKitGTK is not Safari.** It has the engine of Safari in another browser, with a network layer of its own (libsoup), another system below it, and none
of what macOS and iOS do to pages in the background. Nothing here was run on Safari, on a phone, or on a computer that really sleeps: a browser
that is stopped has all its processes stopped by SIGSTOP, while its clock goes on.

"Cannot" is what an engine, or its driver, has no means for: nothing was seen there.

${[...head('scenario'), ...verdicts].join('\n')}

## Measured on the way

Of one run on one machine: of an order of magnitude, no more. A dash: not measured there.

${[...head('what'), ...measures].join('\n')}
`;
}

const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;

function words(outcome: Outcome | undefined): string {
  if (!outcome) return 'not run';
  return outcome.why ? `${outcome.verdict}: ${outcome.why}` : outcome.verdict;
}
