/** What a handler of a call is told beside the parameters. */

import { CallError } from '../errors.ts';
import type { Extras } from '../responder.ts';
import type { ServerClient } from './client.ts';
import type { HandlerContext } from './options.ts';

export class CallContext implements HandlerContext {
  readonly client: ServerClient;
  readonly signal: AbortSignal;
  readonly cursor: unknown;
  readonly #upload: AsyncIterable<unknown> | undefined;

  constructor(client: ServerClient, signal: AbortSignal, { cursor, upload }: Extras = {}) {
    this.client = client;
    this.signal = signal;
    this.cursor = cursor;
    this.#upload = upload;
  }

  /** What the caller uploads. @throws CallError, for the caller, where it is no upload */
  get upload(): AsyncIterable<unknown> {
    if (this.#upload) return this.#upload;
    throw new CallError('FAILED_PRECONDITION', 'It takes an upload: use upload(), not call()');
  }
}
