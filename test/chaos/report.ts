/** What a run came to, and how it is told. */

import type { Count } from './client-end.ts';
import type { Sight } from './client-side.ts';
import type { Cutter } from './cutter.ts';

/** What was seen at one way's both ends. */
export interface WayReport {
  readonly sent: number;
  readonly handled: number;
  /** Numbered frames that were written, and those that had been written before. */
  readonly frames: number;
  readonly again: number;
  /** Numbered frames that came in although they had come in before. */
  readonly twice: number;
}

export interface Report {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly up: WayReport;
  readonly down: WayReport;
  readonly receipts: number;
  readonly connections: number;
  readonly met: Cutter['met'];
  readonly cuts: number;
  readonly strays: number;
  /** Of the numbered frames written, those that were written again. */
  readonly resent: number;
  /** What the client says about it; undefined where it says nothing. */
  readonly clientResent: number | undefined;
  readonly seconds: number;
}

export function wayReport(from: Sight, to: Sight, written: Count, arrived: Count): WayReport {
  return { sent: from.sent, handled: to.handled, frames: written.total, again: written.again, twice: arrived.again };
}

/** Violations by what they are about: how often each, and the first of it. */
export function summary(violations: readonly string[]): string[] {
  const kinds = new Map<string, { count: number; first: string }>();
  for (const violation of violations) {
    const kind = violation.replace(/-?\d+/g, 'N');
    const known = kinds.get(kind);
    if (known) known.count++;
    else kinds.set(kind, { count: 1, first: violation });
  }
  return [...kinds.values()].sort((a, b) => b.count - a.count).map(({ count, first }) => `${count} × ${first}`);
}

/** The report in words. */
export function tell(report: Report): string {
  const { seed, violations, up, down, receipts, connections, met, cuts, strays, resent, clientResent, seconds } = report;
  const way = (name: string, { sent, handled, frames, again, twice }: WayReport) =>
    `${name}: ${sent} events sent, ${handled} handled; ${frames} numbered frames, ${again} written again, ${twice} came in twice`;
  const { http, opening, frame, between } = met.cut;
  const of = (counts: Record<string, number>) => Object.values(counts).reduce((sum, each) => sum + each, 0);
  return [
    `seed ${seed}: ${seconds.toFixed(1)} s, ${Math.round((up.handled + down.handled) / seconds)} events/s both ways together`,
    way('up', up),
    way('down', down),
    `${cuts} cuts (${frame} inside a frame, ${opening} inside the first one, ${http} inside the HTTP part, ${between} between two frames)`,
    `${of(met.hole)} holes, ${of(met.stall)} stalls, ${connections} connections, ${strays} of them over before they met their fate`,
    `written again: ${(100 * resent).toFixed(2)} % of the numbered frames, ${((up.again + down.again) / Math.max(1, cuts)).toFixed(1)} for each cut; the client says ${clientResent ?? 'nothing'} of its own; ${receipts} receipts`,
    `${violations.length} violations`,
    ...summary(violations)
      .slice(0, 20)
      .map((line) => `  ${line}`),
  ].join('\n');
}
