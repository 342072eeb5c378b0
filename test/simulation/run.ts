/**
 * Many seeds in one go: `npm run sim -- --seeds 20000 --from 1`. `--subject` is who is put to the test (subjects.ts): `client` claims that
 * nothing is lost, which takes sessions; `forgetful` claims all the rest, and is the client as it is.
 *
 * A seed that fails is cut down to the steps that matter, and printed with what happened.
 */

import { parseArgs } from 'node:util';
import { shrink } from './shrink.ts';
import { client, forgetful, naive } from './subjects.ts';
import { simulate } from './world.ts';

const subjects = { client, forgetful, naive };
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    subject: { type: 'string', default: 'forgetful' },
    failures: { type: 'string', default: '1' },
    shrink: { type: 'string', default: '400' },
    trace: { type: 'boolean', default: false },
  },
});
const subject = subjects[values.subject as keyof typeof subjects];
if (!subject) throw new Error(`--subject is one of ${Object.keys(subjects).join(', ')}`);
const from = Number(values.from);
const seeds = Number(values.seeds);
const start = performance.now();
let failures = 0;
let events = 0;
let seed = from;
for (; seed < from + seeds && failures < Number(values.failures); seed++) {
  const outcome = await simulate(seed, subject);
  events += outcome.events;
  if (values.trace) console.log(outcome.trace.join('\n'));
  if (outcome.violations.length === 0) continue;
  failures++;
  const { steps, violations, trace } = await shrink(outcome, subject, Number(values.shrink));
  console.log(`\nseed ${seed}: ${violations[0]}\n${outcome.steps.length} steps, of which ${steps.length} matter:\n\n${trace.join('\n')}\n`);
  for (const violation of violations) console.log(`  ${violation}`);
}
const seconds = (performance.now() - start) / 1_000;
console.log(
  `${subject.name}: ${seed - from} seeds from ${from}, ${failures} failed, ${events} events, ${seconds.toFixed(1)} s, ${((seed - from) / seconds).toFixed(0)} seeds a second`,
);
process.exitCode = failures > 0 ? 1 : 0;
