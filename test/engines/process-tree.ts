/** A process and all that descend from it, which is how a whole browser is stopped, as by a computer that sleeps. Linux. */

import { readdirSync, readFileSync } from 'node:fs';

/**
 * Stops them all.
 *
 * @returns how to wake them up
 */
export function putToSleep(pid: number): () => void {
  const family = familyOf(pid);
  signal(family, 'SIGSTOP');
  return () => signal(family, 'SIGCONT');
}

/** Some of them may have ended meanwhile. */
function signal(family: readonly number[], name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const each of family) {
    try {
      process.kill(each, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Parents before children. */
function familyOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = parentOf(entry);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const descend = (each: number): number[] => [each, ...(children.get(each) ?? []).flatMap(descend)];
  return descend(pid);
}

/** Undefined where the process has ended meanwhile. */
function parentOf(pid: string): number | undefined {
  try {
    // "pid (name) state parent": the name may have anything in it, brackets too.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    return undefined;
  }
}
