/**
 * Chaos in one go: `npx tsx test/chaos/run.ts --messages 100000 --cuts 500 --seed 1`. Ends with 1 when something was lost, doubled, out of
 * order or unanswered, or when more was written again than `--resent` percent.
 *
 * What is written again is what was under way at a cut, so that its share depends on the load, and on the machine: by default events go one at a
 * time, up to 1000 a second each way, and the bound is 1 %. With another load there is none unless it is given.
 *
 * `--rate max` sends as fast as it goes, with up to `--inflight` events each way under way; `--holes` and `--stalls` are dead and slow links.
 */

import { optionsFrom } from './arguments.ts';
import { chaosInNode } from './node-end.ts';
import { tell } from './report.ts';

const report = await chaosInNode(optionsFrom(process.argv.slice(2)));
console.log(tell(report));
process.exitCode = report.violations.length > 0 ? 1 : 0;
