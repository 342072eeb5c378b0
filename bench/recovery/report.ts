/** The page, out of what was measured. */

import type { Fault } from './faults.ts';
import type { Peer } from './peers.ts';
import type { Outcome } from './play.ts';
import type { SlowOutcome } from './slow.ts';

/** A row: what happened to each peer, in each repetition that it took part in. */
export interface Row {
  readonly fault: Fault;
  readonly outcomes: ReadonlyMap<Peer, readonly Outcome[]>;
}

/** Seconds by which a peer has to be faster before it is called so: less is chance, and the machine. */
export const NOTABLE = 0.5;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN) + (sorted[Math.ceil((sorted.length - 1) / 2)] ?? NaN)) / 2;
}

const sum = (outcomes: readonly Outcome[], which: 'written' | 'arrived' | 'doubled' | 'refused') =>
  outcomes.reduce((total, outcome) => total + outcome[which], 0);
const times = (outcomes: readonly Outcome[]) => outcomes.flatMap(({ seconds }) => seconds ?? []);
const said = (seconds: number) => seconds.toFixed(1);

/** What became of the numbered messages, in all repetitions. */
export function fate(outcomes: readonly Outcome[]): string {
  const [doubled, refused] = [sum(outcomes, 'doubled'), sum(outcomes, 'refused')];
  const words = [`${sum(outcomes, 'arrived')} of ${sum(outcomes, 'written')} arrived`];
  if (doubled > 0) words.push(`${doubled} doubled`);
  if (refused > 0) words.push(`${refused} refused`);
  return words.join(', ');
}

export function cell({ fault }: Row, outcomes: readonly Outcome[], limit: number): string {
  const measured = times(outcomes);
  const remarks = [...new Set(outcomes.flatMap(({ remark }) => remark ?? []))];
  const missing = outcomes.length - measured.length;
  const words: string[] = [];
  if (measured.length === 1) words.push(`${said(measured[0] ?? NaN)} s`);
  if (measured.length > 1) words.push(`${said(median(measured))} s (${said(Math.min(...measured))} to ${said(Math.max(...measured))})`);
  if (missing > 0) words.push(`not within ${limit} s${measured.length > 0 ? ` (${missing} of ${outcomes.length} times)` : ''}`);
  words.push(...remarks);
  if (fault.writes) words.push(fate(outcomes));
  return words.join('; ');
}

export function slowCell(outcome: SlowOutcome): string {
  const drops = outcome.drops === 1 ? '1 drop' : `${outcome.drops} drops`;
  return `${drops}; ${fate([outcome])}`;
}

/** Where one of ours is notably slower than the fastest peer of its kind, or comes back less surely, or loses more. */
export function behind(rows: readonly Row[], limit: number): string[] {
  return rows.flatMap((row) => {
    const all = [...row.outcomes];
    return all.flatMap(([our, mine]) => {
      if (!our.isOurs) return [];
      const theirs = all.filter(([peer]) => !peer.isOurs && peer.kind === our.kind);
      const better = theirs.filter(([, outcomes]) => isBetter(outcomes, mine));
      const names = better.map(([peer, outcomes]) => `${title(peer)} ${cell(row, outcomes, limit)}`);
      return names.length > 0 ? [`${row.fault.what}: ${title(our)} ${cell(row, mine, limit)}; ${names.join('; ')}`] : [];
    });
  });
}

function isBetter(theirs: readonly Outcome[], mine: readonly Outcome[]): boolean {
  const [their, my] = [times(theirs), times(mine)];
  if (their.length === 0) return false;
  return my.length < mine.length || median(their) < median(my) - NOTABLE || share(theirs) > share(mine);
}

/** Of the numbered messages, how many arrived. */
const share = (outcomes: readonly Outcome[]) => (sum(outcomes, 'arrived') || 1) / (sum(outcomes, 'written') || 1);

/** Milliseconds by which timers of pages that run all the time were late at most. */
export function latest(rows: readonly Row[]): number {
  const running = rows.filter(({ fault }) => !fault.stops);
  return Math.max(0, ...running.flatMap(({ outcomes }) => [...outcomes.values()].flat().map(({ late }) => late)));
}

/** The peer in a sentence. */
export function title({ name, options }: Peer): string {
  return options ? `${name} (${options})` : name;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
