/**
 * Uploads in a simulated world: sources that are slow or fail, handlers that answer early, leave their loop, fail or never come back. What
 * has to hold is judged from outside: it sees what the sources gave, what the handlers took and how the calls ended, and nothing of frames.
 */

import type { Client } from '../../src/client.ts';
import { CallError, ClosedError, QueueFullError, SessionLostError, TimeoutError } from '../../src/errors.ts';
import type { Clock } from '../../src/io/clock.ts';
import type { HandlerContext } from '../../src/server/options.ts';
import type { UploadProgress, upload } from '../../src/upload.ts';
import type { Random } from './random.ts';
import type { Step } from './script.ts';

type Wish = Extract<Step, { do: 'upload' }>;

export interface UploadsHost {
  readonly client: Client;
  /** Of the client. */
  readonly clock: Clock;
  readonly random: Random;
  readonly upload: typeof upload;
  log(line: string): void;
  violated(text: string): void;
}

/** Items that a handler has room for. */
const ROOM = 16;
/** How long an upload may take that is never answered; milliseconds. */
const TIMEOUT = 20_000;

/** What is known of one upload. */
interface Log {
  readonly name: string;
  readonly wish: Wish;
  /** Sessions that were lost before it. */
  readonly lost: number;
  /** Items that the source gave, those after the call had settled, and whether it is still being read. */
  produced: number;
  late: number;
  source: 'unused' | 'open' | 'left';
  /** What the source threw. */
  thrown: Error | undefined;
  /** Items that the handler took, and those that the client says have arrived. */
  taken: number;
  arrived: number;
  hasBegun: boolean;
  hasFailed: boolean;
  runs: number;
  /** Handlers that run, in the process that runs now. */
  readonly handlers: Set<object>;
  outcome: 'result' | 'error' | undefined;
}

export class Uploads {
  readonly #host: UploadsHost;
  readonly #logs = new Map<string, Log>();
  /** Uploads that say that their session is lost, until the next connection. */
  #claims: Log[] = [];
  #lost = 0;

  constructor(host: UploadsHost) {
    this.#host = host;
  }

  // The client.

  async begin(wish: Wish): Promise<void> {
    const { client, clock, log } = this.#host;
    const name = `upload ${this.#logs.size + 1}`;
    const entry: Log = {
      name,
      wish,
      lost: this.#lost,
      produced: 0,
      late: 0,
      source: 'unused',
      thrown: undefined,
      taken: 0,
      arrived: 0,
      hasBegun: false,
      hasFailed: false,
      runs: 0,
      handlers: new Set(),
      outcome: undefined,
    };
    this.#logs.set(name, entry);
    const aborting = new AbortController();
    if (wish.abortAfter !== undefined) clock.setTimeout(() => aborting.abort(), wish.abortAfter);
    const options = {
      signal: aborting.signal,
      onprogress: (progress: UploadProgress) => this.#progressed(entry, progress),
      ...(wish.handler === 'never' && { timeout: TIMEOUT }),
      ...(wish.source === 'bytes' && { chunkSize: wish.bytes }),
    };
    try {
      const result = await this.#host.upload(client, 'upload', { name }, this.#source(entry), options);
      this.#succeeded(entry, result);
    } catch (error) {
      log(`${name} ${error instanceof Error ? `${error.name}: ${error.message}` : error}`);
      this.#failed(entry, error);
    }
  }

  #source(log: Log): AsyncIterable<unknown> | Iterable<unknown> | Uint8Array {
    const { source, count, bytes } = log.wish;
    if (source === 'async') return this.#slowly(log);
    if (source === 'sync') return this.#swiftly(log);
    const all = new Uint8Array(count * bytes);
    for (let i = 0; i < count; i++) new DataView(all.buffer).setUint32(i * bytes, i + 1);
    return all;
  }

  async *#slowly(log: Log): AsyncGenerator<unknown> {
    const { clock, random } = this.#host;
    try {
      log.source = 'open';
      for (let i = 1; i <= log.wish.count; i++) {
        if (log.wish.slow && random.chance(0.3)) await wait(clock, random.between(0, 400));
        yield this.#produce(log, i);
      }
      if (log.wish.fails) throw this.#failure(log);
    } finally {
      this.#left(log);
    }
  }

  *#swiftly(log: Log): Generator<unknown> {
    try {
      log.source = 'open';
      for (let i = 1; i <= log.wish.count; i++) yield this.#produce(log, i);
      if (log.wish.fails) throw this.#failure(log);
    } finally {
      this.#left(log);
    }
  }

  #produce(log: Log, number: number): unknown {
    log.produced = number;
    const { name, hasBegun, taken, outcome, wish } = log;
    const room = hasBegun ? taken + ROOM + 1 : 0;
    if (number > room) this.#violated(`${name} read item ${number} of its source, and its handler took ${taken}`);
    if (outcome && ++log.late > 1) this.#violated(`${name} is over, and goes on reading its source`);
    if (wish.bytes === 0) return number;
    const item = new Uint8Array(wish.bytes);
    new DataView(item.buffer).setUint32(0, number);
    return item;
  }

  #failure(log: Log): Error {
    log.thrown = new Error(`the source of ${log.name} failed`);
    return log.thrown;
  }

  #left(log: Log): void {
    if (log.source === 'left') this.#violated(`the source of ${log.name} was left twice`);
    log.source = 'left';
  }

  #progressed(log: Log, { items }: UploadProgress): void {
    if (log.outcome) this.#violated(`${log.name} is over, and makes progress`);
    if (items <= log.arrived) this.#violated(`${log.name} got from ${log.arrived} to ${items} items`);
    if (log.wish.source !== 'bytes' && items > log.produced) this.#violated(`${log.name} sent ${items} of ${log.produced} items`);
    log.arrived = items;
  }

  #succeeded(log: Log, result: unknown): void {
    const { name, wish, taken, arrived, runs } = log;
    this.#settle(log, 'result');
    if (result !== taken) this.#violated(`${name} came back with ${result}, and its handler took ${taken}`);
    if (runs !== 1) this.#violated(`${name} came back, and was executed ${runs} times`);
    if (wish.handler !== 'all') return;
    if (taken !== wish.count) this.#violated(`${name} came back with ${taken} of ${wish.count} items`);
    if (arrived !== wish.count) this.#violated(`${name} is done, and says that ${arrived} of ${wish.count} items have arrived`);
  }

  #failed(log: Log, error: unknown): void {
    const { name, wish, thrown, hasFailed } = log;
    this.#settle(log, 'error');
    if (error instanceof SessionLostError) return void this.#claims.push(log);
    const isExcused =
      error instanceof ClosedError ||
      error instanceof QueueFullError ||
      (thrown !== undefined && error === thrown) ||
      (wish.abortAfter !== undefined && error instanceof Error && error.name === 'AbortError') ||
      (wish.handler === 'never' && (error instanceof TimeoutError || (error instanceof CallError && error.code === 'DEADLINE_EXCEEDED'))) ||
      (hasFailed && error instanceof CallError && error.code === 'ABORTED');
    if (!isExcused) this.#violated(`${name} failed: ${error instanceof Error ? error.stack : error}`);
  }

  #settle(log: Log, outcome: 'result' | 'error'): void {
    if (log.outcome) this.#violated(`${log.name} settled twice`);
    log.outcome = outcome;
  }

  /** The client has a connection, and says whether its session goes on. */
  opened(resumed: boolean): void {
    if (!resumed) this.#lost++;
    for (const { name, lost } of this.#claims) if (lost === this.#lost) this.#violated(`${name} lost its session, which goes on`);
    this.#claims = [];
  }

  // The server.

  /** The handler, in a process with that clock. */
  async handle(clock: Clock, params: unknown, context: HandlerContext): Promise<number> {
    const log = this.#logs.get((params as { name: string }).name);
    if (!log) throw new Error('an upload that nobody has begun');
    if (++log.runs > 1) this.#violated(`${log.name} was executed ${log.runs} times`);
    const self = {};
    log.handlers.add(self);
    try {
      await this.#pause(clock, 2_000);
      await this.#read(log, clock, context);
      return log.taken;
    } finally {
      log.handlers.delete(self);
    }
  }

  async #read(log: Log, clock: Clock, { upload: items, signal }: HandlerContext): Promise<void> {
    const { handler, after } = log.wish;
    const iterator = items[Symbol.asyncIterator]();
    const count = handler === 'all' || handler === 'never' ? Infinity : after;
    log.hasBegun = count > 0;
    while (log.taken < count) {
      const { done, value } = await iterator.next();
      if (done) {
        this.#ended(log);
        break;
      }
      this.#take(log, value);
      await this.#pause(clock, 600);
    }
    if (handler === 'break') {
      await iterator.return?.();
      await this.#pause(clock, 4_000);
    }
    if (handler === 'throw') {
      log.hasFailed = true;
      throw new CallError('ABORTED', 'no');
    }
    if (handler === 'never') await new Promise((_, reject) => whenAborted(signal, reject));
  }

  #take(log: Log, value: unknown): void {
    const number = typeof value === 'number' ? value : new DataView((value as Uint8Array).slice().buffer).getUint32(0);
    if (number !== log.taken + 1) this.#violated(`${log.name} gave item ${number} after ${log.taken}`);
    const size = typeof value === 'number' ? 0 : (value as Uint8Array).byteLength;
    if (size !== log.wish.bytes) this.#violated(`item ${number} of ${log.name} has ${size} of ${log.wish.bytes} bytes`);
    log.taken = number;
  }

  /** The handler is told that there are no more. */
  #ended({ name, taken, wish }: Log): void {
    if (wish.fails) this.#violated(`${name} ended, and its source failed`);
    if (taken !== wish.count) this.#violated(`${name} ended after ${taken} of ${wish.count} items`);
  }

  async #pause(clock: Clock, most: number): Promise<void> {
    const { random } = this.#host;
    if (random.chance(0.2)) await wait(clock, random.between(0, most));
  }

  /** A process of the server has died, and its handlers with it. */
  died(): void {
    for (const { handlers } of this.#logs.values()) handlers.clear();
  }

  finish(): void {
    for (const { name, outcome, source, handlers } of this.#logs.values()) {
      if (!outcome) this.#violated(`${name} never settled`);
      if (source === 'open') this.#violated(`the source of ${name} was never left`);
      if (handlers.size > 0) this.#violated(`${name} is over, and ${handlers.size} handlers still run`);
    }
  }

  #violated(text: string): void {
    this.#host.violated(text);
  }
}

function wait(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimeout(resolve, ms));
}

function whenAborted(signal: AbortSignal, then: (reason: unknown) => void): void {
  if (signal.aborted) then(signal.reason);
  else signal.addEventListener('abort', () => then(signal.reason));
}
