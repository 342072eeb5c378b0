/** Runs scenarios in lanes: each has a browser of its own, and those of a lane follow one another. */

import { Cannot, type Engine, type EngineName, type Launcher } from './engine.ts';
import { attempt, type Lane, type Scenario } from './scenario.ts';

export interface Outcome {
  readonly verdict: 'passed' | 'failed' | 'cannot';
  /** Why, where it did not pass. */
  readonly why: string;
}

/** What was seen in an engine. */
export interface Run {
  readonly name: EngineName;
  version: string;
  /** By the title of the scenario. */
  readonly outcomes: Map<string, Outcome>;
  readonly measures: Record<string, string>;
}

/** These do hardly anything for minutes, and begin at once. */
const SLOW: readonly Lane[] = ['hidden', 'away'];
/** How many of the others run at a time. */
const WIDTH = 3;

type Say = (line: string) => void;

export async function runEverything(launchers: readonly Launcher[], scenarios: readonly Scenario[], say: Say): Promise<Run[]> {
  const runs = launchers.map(({ name }): Run => ({ name, version: '', outcomes: new Map(), measures: {} }));
  const lanes = [...new Set(scenarios.map(({ lane }) => lane))].flatMap((lane) =>
    launchers.map((launcher, i) => ({
      lane,
      go: () =>
        runLane(
          launcher,
          scenarios.filter((each) => each.lane === lane),
          runs[i] as Run,
          say,
        ),
    })),
  );
  const slow = lanes.filter(({ lane }) => SLOW.includes(lane)).map(({ go }) => go());
  const queue = lanes.filter(({ lane }) => !SLOW.includes(lane));
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await next.go();
  };
  await Promise.all([...slow, ...Array.from({ length: WIDTH }, work)]);
  return runs;
}

async function runLane(launcher: Launcher, scenarios: readonly Scenario[], run: Run, say: Say): Promise<void> {
  let engine: Engine | undefined;
  try {
    engine = await launcher.launch();
    run.version = engine.version;
    for (const scenario of scenarios) {
      const outcome = await tried(scenario, engine, run.measures);
      run.outcomes.set(scenario.title, outcome);
      say(`${run.name}: ${outcome.verdict}${outcome.why && ` (${outcome.why})`}: ${scenario.title}`);
    }
  } catch (error) {
    for (const { title } of scenarios) if (!run.outcomes.has(title)) run.outcomes.set(title, { verdict: 'failed', why: String(error) });
    say(`${run.name}: failed: ${error}`);
  }
  await engine?.close();
}

async function tried(scenario: Scenario, engine: Engine, measures: Record<string, string>): Promise<Outcome> {
  try {
    await attempt(scenario, engine, measures);
    return { verdict: 'passed', why: '' };
  } catch (error) {
    if (error instanceof Cannot) return { verdict: 'cannot', why: error.message };
    return { verdict: 'failed', why: error instanceof Error ? error.message : String(error) };
  }
}
