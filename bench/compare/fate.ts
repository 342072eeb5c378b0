/** What has become of messages that were written, in one run or in several. */

export interface Fate {
  /** How many different ones arrived. */
  readonly arrived: number;
  readonly isOrdered: boolean;
  /** What else is known of how many, by what it is; also of those that arrived. */
  readonly counts: ReadonlyMap<string, number>;
}

/** In words, over all runs. */
export function told(runs: readonly Fate[]): string {
  const arrived = runs.map((run) => run.arrived);
  const order = Math.max(...arrived) < 2 ? '' : runs.every(({ isOrdered }) => isOrdered) ? ', in order' : ', out of order';
  const names = [...new Set(runs.flatMap(({ counts }) => [...counts.keys()]))];
  const rest = names.map((name) => [name, runs.map(({ counts }) => counts.get(name) ?? 0)] as const);
  const words = rest.filter(([, counts]) => Math.max(...counts) > 0).map(([name, counts]) => `${range(counts)} ${name}`);
  return [`${range(arrived)} arrived${order}`, ...words].join('; ');
}

/** The least and the most, or what all have in common. */
export function range(numbers: readonly number[]): string {
  const least = Math.min(...numbers);
  const most = Math.max(...numbers);
  return least === most ? `${least}` : `${least} to ${most}`;
}
