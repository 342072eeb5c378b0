/** Executions that must not happen twice: those that run, and what came out of those that are done. Deterministic: the caller tells the time. */

import { bytesOf } from '../wire/codec.ts';
import type { Begun, Outcome } from './broker.ts';

/**
 * How executions are remembered. What runs is never forgotten. Where a new one needs room, what was done longest ago is forgotten before
 * its time, and would run again; where all the room is taken by what runs, the new one is refused.
 */
export interface IdempotencyLimits {
  /** Milliseconds that an outcome is remembered, a whole number; with 0 only those who ask meanwhile are told. @default 300000 */
  readonly ttl: number;
  /** Most executions, running and done together, 1 or more. @default 100000 */
  readonly capacity: number;
  /**
   * Most bytes: keys, fingerprints and outcomes, text as UTF-8, and 512 for each execution. An outcome that does not fit, or is no JSON,
   * is told to those who wait, and not remembered. @default 32 MiB
   */
  readonly bytes: number;
}

/** What an execution costs beside its key, its fingerprint and its outcome. */
const EXECUTION_COST = 512;

interface Running {
  readonly fingerprint: string;
  readonly bytes: number;
  /** For those who ask meanwhile; made when the first one does. */
  outcome?: Promise<Outcome | undefined>;
  resolve?: (outcome: Outcome | undefined) => void;
}

interface Done {
  readonly key: string;
  readonly fingerprint: string;
  readonly bytes: number;
  readonly outcome: Outcome;
  readonly expiresAt: number;
  /** The one that was done after it. */
  next?: Done;
}

/** The executions of a server. A key is running, or done, or not known. */
export class Executions {
  readonly #limits: IdempotencyLimits;
  readonly #running = new Map<string, Running>();
  #runningBytes = 0;
  readonly #done = new Map<string, Done>();
  #doneBytes = 0;
  /** What is done, in order: a list, since a Map that loses its first key again and again walks over the holes every time. */
  #oldest: Done | undefined;
  #latest: Done | undefined;

  constructor(limits: IdempotencyLimits) {
    this.#limits = limits;
  }

  /** Executions, running and done. */
  get size(): number {
    return this.#running.size + this.#done.size;
  }

  /** Bytes, with what each execution costs. */
  get bytes(): number {
    return this.#runningBytes + this.#doneBytes;
  }

  /** Begins an execution, or tells what is known about it. */
  begin(key: string, fingerprint: string, now: number): Begun {
    this.#expire(now);
    const running = this.#running.get(key);
    const done = this.#done.get(key);
    const known = running ?? done;
    if (known && known.fingerprint !== fingerprint) return { status: 'conflict' };
    if (running) return { status: 'running', outcome: outcomeOf(running) };
    if (done) return { status: 'done', outcome: done.outcome };
    const bytes = EXECUTION_COST + bytesOf(key) + bytesOf(fingerprint);
    if (!this.#makeRoom(bytes)) return { status: 'full' };
    this.#running.set(key, { fingerprint, bytes });
    this.#runningBytes += bytes;
    return { status: 'new' };
  }

  /** Ends an execution with its outcome, and remembers it. Does nothing where the key is not running. */
  finish(key: string, outcome: Outcome, now: number): void {
    this.#expire(now);
    const running = this.#end(key, outcome);
    if (!running) return;
    const size = sizeOf(outcome);
    if (size === undefined || !this.#makeRoom(running.bytes + size)) return;
    const bytes = running.bytes + size;
    const done: Done = { key, fingerprint: running.fingerprint, bytes, outcome, expiresAt: now + this.#limits.ttl };
    if (this.#latest) this.#latest.next = done;
    else this.#oldest = done;
    this.#latest = done;
    this.#done.set(key, done);
    this.#doneBytes += bytes;
  }

  /** Ends an execution as if it had never begun. Does nothing where the key is not running. */
  forget(key: string): void {
    this.#end(key, undefined);
  }

  #end(key: string, outcome: Outcome | undefined): Running | undefined {
    const running = this.#running.get(key);
    if (!running) return undefined;
    this.#running.delete(key);
    this.#runningBytes -= running.bytes;
    running.resolve?.(outcome);
    return running;
  }

  /** Forgets what was done longest ago until there is room; forgets nothing, and says no, where that would not help. */
  #makeRoom(bytes: number): boolean {
    const { capacity, bytes: most } = this.#limits;
    if (this.#running.size >= capacity || this.#runningBytes + bytes > most) return false;
    while (this.size >= capacity || this.bytes + bytes > most) this.#drop(this.#oldest as Done);
    return true;
  }

  #expire(now: number): void {
    while (this.#oldest && this.#oldest.expiresAt <= now) this.#drop(this.#oldest);
  }

  /** Drops the oldest. */
  #drop({ key, bytes, next }: Done): void {
    this.#oldest = next;
    if (!next) this.#latest = undefined;
    this.#done.delete(key);
    this.#doneBytes -= bytes;
  }
}

function outcomeOf(running: Running): Promise<Outcome | undefined> {
  running.outcome ??= new Promise((resolve) => {
    running.resolve = resolve;
  });
  return running.outcome;
}

/** Bytes of an outcome; undefined where it is no JSON, which nothing could keep elsewhere either. */
function sizeOf(outcome: Outcome): number | undefined {
  if (!outcome.error) return bytesOf(outcome.payload);
  try {
    return bytesOf(JSON.stringify(outcome.error));
  } catch {
    return undefined;
  }
}
