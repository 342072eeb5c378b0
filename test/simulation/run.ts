/**
 * Many seeds in one go: `npm run sim -- --seeds 20000 --from 1 --shards 2`. `--subject` is who is put to the test (subjects.ts), `--shards`
 * how many processes share the work.
 *
 * A seed that fails is cut down to the steps that matter, and printed with what happened.
 */

import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { shrink } from './shrink.ts';
import { boastful, client, forgetful, graceless, hasty, naive, type Subject } from './subjects.ts';
import { simulate } from './world.ts';

const subjects = { client, forgetful, boastful, naive, graceless, hasty };
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    subject: { type: 'string', default: 'client' },
    failures: { type: 'string', default: '1' },
    shrink: { type: 'string', default: '400' },
    shards: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});

interface Tally {
  seeds: number;
  events: number;
  failures: number;
}

/** One seed after the other, until so many have failed. */
async function run(subject: Subject, from: number, seeds: number): Promise<Tally> {
  const tally: Tally = { seeds: 0, events: 0, failures: 0 };
  for (let seed = from; seed < from + seeds && tally.failures < Number(values.failures); seed++) {
    const outcome = await simulate(seed, subject);
    tally.seeds++;
    tally.events += outcome.events;
    if (values.trace) console.log(outcome.trace.join('\n'));
    if (outcome.violations.length === 0) continue;
    tally.failures++;
    const { steps, violations, trace } = await shrink(outcome, subject, Number(values.shrink));
    console.log(
      `\nseed ${seed}: ${violations[0]}\n${outcome.steps.length} steps, of which ${steps.length} matter:\n\n${trace.join('\n')}\n`,
    );
    for (const violation of violations) console.log(`  ${violation}`);
  }
  return tally;
}

/** The same in several processes, each with a range of its own. */
async function share(shards: number, from: number, seeds: number): Promise<Tally> {
  const size = Math.ceil(seeds / shards);
  const args = ['--subject', values.subject, '--failures', values.failures, '--shrink', values.shrink];
  const tallies = Array.from({ length: shards }, (_, shard) => {
    const first = from + shard * size;
    const range = ['--from', `${first}`, '--seeds', `${Math.min(size, from + seeds - first)}`];
    const child = fork(fileURLToPath(import.meta.url), [...range, ...args], { execArgv: process.execArgv });
    return new Promise<Tally>((resolve, reject) => {
      child.on('message', (tally) => resolve(tally as Tally));
      child.on('exit', (code) => reject(new Error(`a shard ended with ${code}`)));
    });
  });
  const sum = (all: readonly Tally[], of: keyof Tally) => all.reduce((total, tally) => total + tally[of], 0);
  const done = await Promise.all(tallies);
  return { seeds: sum(done, 'seeds'), events: sum(done, 'events'), failures: sum(done, 'failures') };
}

const subject = subjects[values.subject as keyof typeof subjects];
if (!subject) throw new Error(`--subject is one of ${Object.keys(subjects).join(', ')}`);
const [from, seeds, shards] = [Number(values.from), Number(values.seeds), Number(values.shards)];
const start = performance.now();
const tally = shards > 1 ? await share(shards, from, seeds) : await run(subject, from, seeds);
if (process.send) process.send(tally);
else {
  const seconds = (performance.now() - start) / 1_000;
  const speed = (tally.seeds / seconds).toFixed(0);
  console.log(
    `${subject.name}: ${tally.seeds} seeds from ${from}, ${tally.failures} failed, ${tally.events} events, ${seconds.toFixed(1)} s in ${shards} of ${availableParallelism()} cores, ${speed} seeds a second`,
  );
}
process.exitCode = tally.failures > 0 ? 1 : 0;
