/** Streams: calls whose answer is many items, as fast as they are read. */

import { type Check, Checker, count, has, period, show } from './checks.ts';
import type { Client } from './client.ts';
import type { Anything, Contract, Methods, Name, Optional, Params, Result } from './contract.ts';
import { Allowance } from './core/credit.ts';
import { ClosedError, HoldfastError, UnsupportedError } from './errors.ts';
import { conversationOf } from './internals.ts';
import { MessageIterator } from './iterator.ts';
import { encodePayload } from './wire/codec.ts';

/** How a stream is asked for. A bad value is a `TypeError` that names it. */
export interface StreamOptions {
  /** Aborting it ends the stream with its reason; the server is told. @default none */
  readonly signal?: AbortSignal;
  /** Items that may wait for the loop, 1 to 65536: the server sends no more than there is room for. @default 32 */
  readonly buffer?: number;
  /** Milliseconds for all of it, 1 or more, the time in the outbox included; Infinity for no limit. @default Infinity */
  readonly timeout?: number;
  /** Where to begin, for handlers that know cursors: anything that JSON can carry. @default the beginning */
  readonly cursor?: unknown;
}

/** The items of a method that answers with a stream. */
export type Item<M, K extends keyof M> = Result<M, K> extends AsyncIterable<infer T> ? T : Result<M, K>;

/** A stream: for one `for await` loop. */
export interface Stream<T> extends AsyncIterableIterator<T, undefined> {
  /** The `cursor` of the last item that the loop has got; `undefined` where the server gives none. */
  readonly cursor: unknown;
}

const checks: Record<string, Check> = {
  signal: has('addEventListener', 'removeEventListener'),
  buffer: [(value) => count[0](value) && (value as number) >= 1 && (value as number) <= 65_536, 'a whole number, 1 to 65536'],
  timeout: period,
  cursor: [() => true, 'anything'],
};

/**
 * Calls a method of the server that answers with a stream (docs/protocol.md, section Streams). The server sends no more than the loop has
 * room for. Leaving the loop, or aborting the `signal`, stops the handler. A method that answers with one value is a stream of one item,
 * or of none where it answers nothing.
 *
 * It goes on where it was when the connection was lost and the session goes on. Where the session is lost it is asked for once more, from
 * the `cursor` of the last item, if the handler gives cursors; else the loop throws a {@link SessionLostError}.
 *
 * The loop throws what `client.call` rejects with.
 *
 * @param client whom to ask by
 * @param method the name of the method
 * @param args the parameters, one value or none, encoded at once, and {@link StreamOptions}
 * @returns the items
 * @throws `TypeError` at a bad option and at parameters that cannot be sent, {@link UnsupportedError} when the server has no streams
 *
 * @example
 * for await (const line of stream(client, 'lines', { of: 'kelp.log' })) {
 *   console.log(line);
 *   if (line === 'that is it') break; // stops the handler
 * }
 */
export function stream<C extends Contract = Anything, M extends Name<Methods<C, 'server'>> = Name<Methods<C, 'server'>>>(
  client: Client<C>,
  method: M,
  ...[params, options = {}]: Optional<Params<Methods<C, 'server'>, M>, StreamOptions>
): Stream<Item<Methods<C, 'server'>, M>> {
  const conversation = conversationOf(client, 'stream');
  if (typeof method !== 'string') throw new TypeError(`stream() takes the name of a method, but got ${show(method)}`);
  const checker = new Checker();
  const { signal, buffer = 32, timeout = Infinity, cursor } = checker.given(options as StreamOptions, checks);
  checker.warn();
  if (!client.capabilities.streams) throw new UnsupportedError('streams', 'The server');
  const payload = encodePayload(params);
  encodePayload(cursor); // throws where it cannot be sent
  const items = new Items<Item<Methods<C, 'server'>, M>>(buffer, cursor);
  const { status } = client.state;
  if (status === 'closed' || status === 'closing') {
    items.fail(new ClosedError());
    return items;
  }
  const stopping = new AbortController();
  items.onleave = () => stopping.abort(new HoldfastError('CANCELLED', 'The loop was left'));
  signal?.addEventListener('abort', () => stopping.abort(signal.reason), { signal: stopping.signal });
  if (signal?.aborted) stopping.abort(signal.reason);
  let current = 0;
  items.ongrant = (granted) => conversation.answer({ type: 'credit', id: current, count: granted });
  const ask = async () =>
    conversation.ask({
      name: method,
      what: `the stream of ${method}`,
      payload,
      needs: 'streams',
      timeout,
      signal: stopping.signal,
      frame: (id, left) => {
        current = id;
        const at = items.arrived;
        return {
          type: 'request',
          id,
          method,
          ...(left !== Infinity && { timeout: Math.ceil(left) }),
          stream: true,
          credit: items.open(),
          ...(at !== undefined && { cursor: at }),
        };
      },
      item: (data, at) => items.take(data, at),
      again: () => (items.hasCursor ? Infinity : undefined),
    });
  const over = () => stopping.abort(); // lets go of the signal
  ask()
    .then(
      (result) => items.finish(result),
      (error: unknown) => items.fail(error),
    )
    .then(over);
  return items;
}

/** The items of one stream: those that wait, and how many more may come. */
class Items<T> implements Stream<T> {
  readonly #iterator: MessageIterator<{ readonly data: T; readonly cursor: unknown }>;
  readonly #allowance: Allowance;
  /** The loop was left. */
  onleave: () => void = () => {};
  /** The server may send so many more. */
  ongrant: (count: number) => void = () => {};
  /** The cursor of the last item that arrived. */
  arrived: unknown;
  /** Whether the server gives cursors. */
  hasCursor = false;
  cursor: unknown;
  #isOver = false;

  constructor(buffer: number, cursor: unknown) {
    this.#allowance = new Allowance(buffer);
    this.#iterator = new MessageIterator(Infinity, () => {
      if (!this.#isOver) this.onleave();
      this.#isOver = true;
    });
    this.arrived = cursor;
    this.hasCursor = cursor !== undefined; // who gives one says that the handler knows them
  }

  /** It is asked for: returns how many items may come. */
  open(): number {
    return this.#allowance.open();
  }

  /** An item came; false when there was no credit for it. */
  take(data: unknown, cursor: unknown): boolean {
    if (!this.#allowance.arrive()) return false;
    this.hasCursor = cursor !== undefined && cursor !== null;
    if (this.hasCursor) this.arrived = cursor;
    this.#iterator.push({ data: data as T, cursor });
    return true;
  }

  /** There are no more; a single answer is the only item. */
  finish(result: unknown): void {
    if (result !== undefined) this.#iterator.push({ data: result as T, cursor: undefined });
    this.#isOver = true;
    this.#iterator.end();
  }

  fail(error: unknown): void {
    this.#isOver = true;
    this.#iterator.fail(error);
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    const { done, value } = await this.#iterator.next();
    if (done || !value) return { done: true, value: undefined };
    const granted = this.#allowance.consume();
    if (granted > 0 && !this.#isOver) this.ongrant(granted);
    if (value.cursor !== undefined) this.cursor = value.cursor;
    return { done: false, value: value.data };
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    await this.#iterator.return();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
