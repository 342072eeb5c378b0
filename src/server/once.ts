/** Idempotent executions: the same key is executed once, however often it is asked for, and everybody gets the same outcome. */

import { CallError, SessionLostError, TimeoutError } from '../errors.ts';
import { decodePayload, encodePayload } from '../wire/codec.ts';
import { callError, wireError } from '../wire/errors.ts';
import type { Broker, Outcome } from './broker.ts';

/** What is to be executed once. */
export interface Execution {
  /** Who asks: a principal; undefined where nobody is named, so that the key alone has to be unguessable. */
  readonly identity: string | undefined;
  readonly method: string;
  readonly key: string;
  readonly params: unknown;
  /** Aborted when whoever asks has given up. */
  readonly signal?: AbortSignal | undefined;
}

/** An execution that runs here. */
interface Run {
  readonly abort: AbortController;
  /** How many wait for it. Who has lost its session does not, but may come back: only who gives up can be the last. */
  waiting: number;
}

/** Failures that another time may not come to: they are not remembered. */
const PASSING: readonly string[] = ['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'ABORTED'];

export class Once {
  readonly #broker: Broker;
  readonly #failed: (error: unknown, where: string) => void;
  readonly #runs = new Map<string, Run>();

  /** @param failed told what a handler threw that is no {@link CallError}, and what the broker did */
  constructor(broker: Broker, failed: (error: unknown, where: string) => void) {
    this.#broker = broker;
    this.#failed = failed;
  }

  /**
   * Runs it, or waits for the run that is under way, or gives what came out before. The run is aborted when the last one who waited has
   * given up.
   *
   * @throws CallError with what it came to: INVALID_ARGUMENT where the key belongs to other parameters, UNAVAILABLE where the broker failed
   */
  async execute(execution: Execution, run: (signal: AbortSignal) => unknown): Promise<unknown> {
    const { identity, method, key, params, signal } = execution;
    const name = JSON.stringify([identity ?? null, method, key]);
    const fingerprint = digest(encodePayload(params) ?? '');
    for (;;) {
      const joined = this.#join(name, signal); // at once: whoever gives it up meanwhile is not the last
      const begun = await this.#ask(() => this.#broker.begin(name, fingerprint)).catch((error: unknown) => {
        joined?.();
        throw error;
      });
      switch (begun.status) {
        case 'conflict':
          joined?.();
          throw new CallError('INVALID_ARGUMENT', 'The idempotency key belongs to other parameters');
        case 'full':
          throw new CallError('RESOURCE_EXHAUSTED', 'Too many idempotent executions at once');
        case 'done':
          return told(begun.outcome);
        case 'running': {
          if (!joined) this.#join(name, signal);
          const outcome = await begun.outcome;
          if (outcome) return told(outcome);
          break; // it came to nothing: once more
        }
        case 'new':
          return told(await this.#run(name, execution, run));
        default:
          begun satisfies never;
      }
    }
  }

  async #run(name: string, { method, signal }: Execution, run: (signal: AbortSignal) => unknown): Promise<Outcome> {
    const abort = new AbortController();
    this.#runs.set(name, { abort, waiting: 0 });
    this.#join(name, signal);
    // Who has given up before it began has not waited for it.
    const outcome = abort.signal.aborted ? CANCELLED : await this.#outcomeOf(() => run(abort.signal), method, abort.signal);
    this.#runs.delete(name);
    const isLasting = !outcome.error || !PASSING.includes(outcome.error.code);
    // It has been executed all the same, where the broker fails now.
    await this.#ask(() => (isLasting ? this.#broker.finish(name, outcome) : this.#broker.forget(name))).catch(() => {});
    return outcome;
  }

  /** Returns how not to have joined; undefined where it runs on another server, or not at all. */
  #join(name: string, signal: AbortSignal | undefined): (() => void) | undefined {
    const run = this.#runs.get(name);
    if (!run) return undefined;
    run.waiting++;
    let hasLeft = false;
    const withdraw = () => {
      if (!hasLeft) run.waiting--;
      hasLeft = true;
    };
    const leave = () => {
      if (hasLeft) return;
      withdraw();
      if (run.waiting === 0 && !(signal?.reason instanceof SessionLostError)) run.abort.abort(signal?.reason);
    };
    if (signal?.aborted) leave();
    else signal?.addEventListener('abort', leave, { once: true });
    return withdraw;
  }

  async #outcomeOf(run: () => unknown, method: string, signal: AbortSignal): Promise<Outcome> {
    try {
      return { payload: encodePayload(await run()) };
    } catch (error) {
      if (signal.aborted) return abortedBy(signal.reason); // whatever it makes of that
      if (error instanceof CallError) return { error: wireError(error) };
      if (error instanceof TimeoutError) return { error: { code: error.code, message: error.message } };
      this.#failed(error, `the handler of ${method}`);
      return { error: { code: 'INTERNAL', message: 'The handler failed' } };
    }
  }

  async #ask<T>(ask: () => T | Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      this.#failed(error, 'the broker');
      throw new CallError('UNAVAILABLE', 'The broker failed');
    }
  }
}

const CANCELLED: Outcome = { error: { code: 'CANCELLED', message: 'The caller cancelled it' } };

/** Why nobody waits any more; not to be remembered. */
function abortedBy(reason: unknown): Outcome {
  return reason instanceof TimeoutError ? { error: { code: reason.code, message: reason.message } } : CANCELLED;
}

function told(outcome: Outcome): unknown {
  if (outcome.error) throw callError(outcome.error);
  return decodePayload(outcome.payload);
}

/** What is executed, in short: enough to notice a key that was used twice by mistake. */
function digest(data: string | Uint8Array): string {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < data.length; i++) {
    const unit = typeof data === 'string' ? data.charCodeAt(i) : (data[i] as number);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x5f356495);
  }
  return `${typeof data === 'string' ? 'text' : 'bytes'} ${data.length} ${(high >>> 0).toString(36)}${(low >>> 0).toString(36)}`;
}
