/**
 * A snapshot and what came after it: messages wait while the snapshot is loaded, and it is loaded again when messages may be missing, so that
 * there is never a hole between the two.
 */

import type { MessageInfo } from './channel.ts';
import { backoff } from './core/backoff.ts';
import type { Clock } from './io/clock.ts';

/** What a `load` is told. */
export interface LoadContext {
  /** The name of the channel. */
  readonly channel: string;
  /** `subscribed`: the channel has just been confirmed. The others are those of a {@link GapEvent}: messages may be missing. */
  readonly reason: 'subscribed' | 'reconnected' | 'overflow';
  /** Aborted when the snapshot is not wanted any more: the handler is gone, or it has to be loaded anew. */
  readonly signal: AbortSignal;
}

/**
 * Fetches what the handler starts from, and takes it in. Returns the `offset` up to which the snapshot knows the channel, where that is known:
 * messages up to there are not handed over again.
 */
export type Load = (context: LoadContext) => unknown;

/** What a loader needs of its channel. */
export interface LoaderHost<T> {
  readonly channel: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Most messages that wait for a snapshot. */
  readonly limit: number;
  readonly load: Load;
  message(data: T, info: MessageInfo): void;
  /** A snapshot could not be loaded; another attempt follows. */
  failed(error: unknown): void;
}

export class Loader<T> {
  readonly #host: LoaderHost<T>;
  /** Messages since the snapshot was asked for; undefined while none is needed. */
  #waiting: { readonly data: T; readonly info: MessageInfo }[] | undefined = [];
  /** How many of them came before the snapshot was asked for the last time. */
  #before = 0;
  /** There were more than may wait: the oldest are gone, up to this place, and only a snapshot that knows them will do. */
  #gone: MessageInfo['offset'];
  /** Some are gone that came since it was asked for. */
  #isShort = false;
  #loading: AbortController | undefined;
  #failures = 0;
  #timer: unknown;
  /** Counts what was begun and stopped. */
  #round = 0;

  constructor(host: LoaderHost<T>) {
    this.#host = host;
  }

  /** A snapshot is needed. */
  begin(reason: LoadContext['reason']): void {
    this.#waiting = [];
    this.#gone = undefined;
    this.#load(reason);
  }

  /** What waits goes on waiting. */
  #load(reason: LoadContext['reason']): void {
    this.stop();
    this.#before = this.#waiting?.length ?? 0;
    this.#isShort = false;
    const loading = new AbortController();
    this.#loading = loading;
    const { channel, load } = this.#host;
    new Promise((resolve) => resolve(load({ channel, reason, signal: loading.signal }))).then(
      (loaded) => this.#loading === loading && this.#loaded(loaded),
      (error: unknown) => this.#loading === loading && this.#failed(error, reason),
    );
  }

  message(data: T, info: MessageInfo): void {
    if (!this.#waiting) return this.#host.message(data, info);
    this.#waiting.push({ data, info });
    if (this.#waiting.length <= this.#host.limit) return;
    this.#gone = this.#waiting.shift()?.info.offset;
    if (this.#before === 0) this.#isShort = true;
    else this.#before--;
  }

  /** None is wanted any more. */
  stop(): void {
    this.#round++;
    this.#host.clock.clearTimeout(this.#timer);
    const loading = this.#loading;
    this.#loading = undefined;
    loading?.abort();
  }

  #loaded(loaded: unknown): void {
    const { offset } = Object(loaded) as { readonly offset?: unknown };
    const known = Number.isSafeInteger(offset) ? (offset as number) : undefined;
    // Where it does not say what it knows, it knows what came before it was asked for.
    const isMissing = known === undefined || this.#gone === undefined ? this.#isShort : known < this.#gone;
    if (isMissing) return this.#again('overflow');
    const waiting = (this.#waiting ?? []).slice(known === undefined ? this.#before : 0);
    this.#failures = 0;
    this.#loading = undefined;
    this.#waiting = undefined;
    const round = this.#round;
    for (const { data, info } of waiting) {
      if (this.#round !== round) return; // a handler wants no more, or another snapshot is on its way
      if (known === undefined || info.offset === undefined || info.offset > known) this.#host.message(data, info);
    }
  }

  #failed(error: unknown, reason: LoadContext['reason']): void {
    this.#host.failed(error);
    if (this.#loading) this.#again(reason); // unless whoever was told has given up
  }

  #again(reason: LoadContext['reason']): void {
    this.#timer = this.#host.clock.setTimeout(() => this.#load(reason), backoff(++this.#failures, this.#host.random()));
  }
}
