/** Cuts a failing script down to the steps that matter: whole halves first, then ever smaller pieces. */

import type { Step } from './script.ts';
import { type Outcome, type Subject, simulate } from './world.ts';

/** The smallest script found that fails in the same way: with the same words, whatever the numbers. */
export async function shrink(outcome: Outcome, subject: Subject, attempts = 400): Promise<Outcome> {
  const kind = (violations: readonly string[]) => violations[0]?.replace(/\d+/g, 'n').slice(0, 60);
  const wanted = kind(outcome.violations);
  let best = outcome;
  let size = Math.ceil(outcome.steps.length / 2);
  while (size > 0 && attempts > 0) {
    let smaller: Outcome | undefined;
    for (let start = 0; start < best.steps.length && !smaller && attempts > 0; start += size, attempts--) {
      const steps: readonly Step[] = [...best.steps.slice(0, start), ...best.steps.slice(start + size)];
      const found = await simulate(outcome.seed, subject, steps);
      if (kind(found.violations) === wanted) smaller = found;
    }
    if (smaller) best = smaller;
    else size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return best;
}
