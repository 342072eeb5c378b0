/**
 * The answering side of calls, the same on both ends: runs handlers, and sends exactly one final frame for each request, whatever the
 * handler does: return, throw, take too long, never come back, or return what cannot be sent.
 */

import { MAX_DELAY } from './core/backoff.ts';
import { UsedIds } from './core/calls.ts';
import { CallError, ProtocolError, TimeoutError } from './errors.ts';
import type { Clock } from './io/clock.ts';
import type { Streaming } from './streaming.ts';
import type { Uploading } from './uploading.ts';
import { encodePayload, type Payload } from './wire/codec.ts';
import { wireError } from './wire/errors.ts';
import type { Outgoing, Request, WireError } from './wire/frames.ts';

/** What comes with a call beside its parameters: where a stream goes on, and the items of an upload. */
export interface Extras {
  readonly cursor?: unknown;
  readonly upload?: Uploading | undefined;
}

/** What answers a call: the result, now or later, or what yields the items of a stream. */
export type Answerer = (params: unknown, signal: AbortSignal, extras?: Extras) => unknown;

/** What a responder needs of the connection it answers on. */
export interface ResponderHost {
  readonly clock: Clock;
  /** Calls that run at the same time; more are refused with RESOURCE_EXHAUSTED. */
  readonly limit: number;
  /** The handler of a request, if there is one. */
  find(method: string): Answerer | undefined;
  /** Sends a frame; false when it is larger than the other side takes. */
  write(frame: Outgoing, payload?: Payload): boolean;
  /** A handler failed by an exception that is nobody's business on the other side. */
  failed(error: unknown, method: string): void;
  /** The last one that ran has been answered. */
  idle?(): void;
  /** How streams are answered, where they can be asked for. */
  readonly streams?: (id: number, credit: number, write: ResponderHost['write']) => Streaming;
  /** How uploads are taken, where they can be; undefined where there are too many. */
  readonly uploads?: (grant: (count: number) => void, others: number) => Uploading | undefined;
}

/** The items have all been sent. */
const END = Symbol('end');
/** Items that may come without being asked for more, where the request does not say it. */
const CREDIT = 32;

interface Running {
  readonly abort: AbortController;
  /** Where the caller takes the answer as a stream. */
  readonly streaming: Streaming | undefined;
  /** What the caller sends beside. */
  readonly uploading: Uploading | undefined;
  timer?: unknown;
}

/** Answers the calls of one peer in one session. */
export class Responder {
  readonly #host: ResponderHost;
  readonly #running = new Map<number, Running>();
  readonly #used = new UsedIds();
  /** Handlers that run, answered or not: one that ignores its signal goes on taking its place. */
  #busy = 0;

  constructor(host: ResponderHost) {
    this.#host = host;
  }

  /** Calls that run now. */
  get size(): number {
    return this.#running.size;
  }

  /** Notes an id of the peer as used. Throws ProtocolError when it was used before. */
  use(id: number): void {
    if (!this.#used.add(id)) throw new ProtocolError(`The id ${id} was used before`);
  }

  /** Runs the handler of a request, or another one in its place. */
  request(request: Request, answerer: Answerer | undefined = this.#host.find(request.method)): void {
    const { id, method, params, timeout, stream, credit, cursor, upload } = request;
    this.use(id);
    if (!answerer) return this.#fail(id, { code: 'UNIMPLEMENTED', message: `There is no ${method}` });
    if (this.#busy >= this.#host.limit) return this.#fail(id, { code: 'RESOURCE_EXHAUSTED', message: 'Too many calls at once' });
    const streaming = stream ? this.#host.streams?.(id, credit ?? CREDIT, (...frame) => this.#host.write(...frame)) : undefined;
    const uploading = upload ? this.#upload(id) : undefined;
    if (upload && this.#host.uploads && !uploading)
      return this.#fail(id, { code: 'RESOURCE_EXHAUSTED', message: 'Too many uploads at once' });
    const running: Running = { abort: new AbortController(), streaming, uploading };
    this.#running.set(id, running);
    // A timeout that no timer can hold is none.
    if (typeof timeout === 'number' && timeout <= MAX_DELAY)
      running.timer = this.#host.clock.setTimeout(() => this.#expire(id, method), timeout);
    // Through a promise: a handler that throws is one that rejects.
    this.#busy++;
    const done = (final: () => void) => {
      this.#busy--;
      this.#finish(id, final);
    };
    const succeeded = (result: unknown) => done(() => this.#succeed(id, method, result));
    const failed = (error: unknown) => done(() => this.#fail(id, this.#told(error, method)));
    new Promise((resolve) => resolve(answerer(params, running.abort.signal, { cursor: cursor ?? undefined, upload: uploading }))).then(
      (result) => {
        if (isStream(result)) this.#stream(running, result).then(succeeded, failed);
        else succeeded(result);
      },
      failed,
    );
  }

  /** More items are welcome; of what is over nobody asks. */
  credit(id: number, count: number): void {
    this.#running.get(id)?.streaming?.grant(count);
  }

  /** An item of an upload came; of what is over nobody asks. */
  chunk(id: number, data: unknown): void {
    this.#uploadingOf(id)?.receive(data);
  }

  /** There are no more of them. */
  finish(id: number): void {
    this.#uploadingOf(id)?.finish();
  }

  /** Undefined where the call is over. */
  #uploadingOf(id: number): Uploading | undefined {
    const running = this.#running.get(id);
    if (running && !running.uploading) throw new ProtocolError(`The call ${id} is no upload`);
    return running?.uploading;
  }

  #upload(id: number): Uploading | undefined {
    const others = [...this.#running.values()].filter(({ uploading }) => uploading).length;
    return this.#host.uploads?.((count) => void this.#host.write({ type: 'grant', id, count }), others);
  }

  /** Sends the items of a stream. */
  async #stream({ streaming }: Running, items: AsyncIterable<unknown>): Promise<unknown> {
    if (!streaming) {
      void Promise.resolve(items[Symbol.asyncIterator]().return?.()).catch(() => {}); // nobody reads it
      throw new CallError('FAILED_PRECONDITION', 'It answers with a stream: use stream()');
    }
    await streaming.run(items);
    return END;
  }

  /** The caller lost interest. */
  cancel(id: number): void {
    this.#end(id, new CallError('CANCELLED', 'The caller cancelled it'));
  }

  /** The session is gone: nobody is there to be answered. */
  stop(reason: unknown): void {
    for (const [id, { abort }] of [...this.#running]) this.#finish(id, () => abort.abort(reason));
  }

  #expire(id: number, method: string): void {
    this.#end(id, new TimeoutError(`${method} took too long`, true));
  }

  #end(id: number, error: CallError | TimeoutError): void {
    const { abort } = this.#running.get(id) ?? {};
    this.#finish(id, () => this.#fail(id, { code: error.code, message: error.message }));
    abort?.abort(error);
  }

  /** What comes after the final frame is ignored. */
  #finish(id: number, final: () => void): void {
    const running = this.#running.get(id);
    if (!running) return;
    this.#running.delete(id);
    this.#host.clock.clearTimeout(running.timer);
    running.streaming?.stop();
    running.uploading?.stop(new CallError('CANCELLED', 'Nobody waits for the answer any more'));
    final();
    if (this.#running.size === 0) this.#host.idle?.();
  }

  #succeed(id: number, method: string, result: unknown): void {
    if (result === END) return void this.#host.write({ type: 'end', id });
    let payload: Payload | undefined;
    try {
      payload = encodePayload(result);
    } catch (error) {
      this.#host.failed(error, method);
      return this.#fail(id, { code: 'INTERNAL', message: 'The result cannot be sent' });
    }
    if (!this.#host.write({ type: 'response', id }, payload))
      this.#fail(id, { code: 'RESOURCE_EXHAUSTED', message: 'The result is not what the caller takes' });
  }

  #fail(id: number, error: WireError): void {
    if (!this.#host.write({ type: 'error', id, error })) this.#host.write({ type: 'error', id, error: { code: error.code } });
  }

  /** What the other side is told: errors that were meant for it, and nothing about others. */
  #told(error: unknown, method: string): WireError {
    if (error instanceof CallError) return wireError(error);
    this.#host.failed(error, method);
    return { code: 'INTERNAL', message: 'The handler failed' };
  }
}

/** Whether a handler returned a stream. */
function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof (value as AsyncIterable<unknown> | null | undefined)?.[Symbol.asyncIterator] === 'function';
}
