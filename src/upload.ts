/** Uploads: calls with items of the caller's own, as fast as they are read on the other side. */

import { type Check, Checker, callback, has, period, show } from './checks.ts';
import type { Client } from './client.ts';
import type { Anything, Contract, Methods, Name, Params, Result } from './contract.ts';
import { ClosedError, UnsupportedError } from './errors.ts';
import { conversationOf } from './internals.ts';
import { Sending } from './sending.ts';
import { itemsOf, MAX_ITEM, sizeOf, type UploadSource } from './upload-source.ts';
import { encodePayload } from './wire/codec.ts';

/** How something is uploaded. A bad value is a `TypeError` that names it. */
export interface UploadOptions {
  /** Aborting it rejects with its reason, and stops the handler. @default none */
  readonly signal?: AbortSignal;
  /** Milliseconds for all of it, 1 or more, the time in the outbox included; Infinity for no limit. @default Infinity */
  readonly timeout?: number;
  /** Bytes are cut into items of this size, 1 to 65536: what else is sent waits for one of them at most. @default 16384 */
  readonly chunkSize?: number;
  /**
   * Of the item in the outbox: any finite number, higher goes first. There is one at a time: between two of them everything else that waits
   * has its turn. @default -1
   */
  readonly priority?: number;
  /** Called whenever the server has more of it. What it throws rejects, and stops the handler. @default nobody is told */
  readonly onprogress?: (progress: UploadProgress) => void;
}

/** How far an upload is. */
export interface UploadProgress {
  /** Bytes that the server has acknowledged (without a session: that were written), and all that was sent once it has answered. */
  readonly bytes: number;
  /** All bytes; `undefined` where that is not known before the end: of a stream, say. */
  readonly total: number | undefined;
  /** The same in items. */
  readonly items: number;
}

const checks: Record<string, Check> = {
  signal: has('addEventListener', 'removeEventListener'),
  timeout: period,
  chunkSize: [
    (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_ITEM,
    'a whole number of bytes, 1 to 65536',
  ],
  priority: [Number.isFinite, 'a finite number'],
  onprogress: callback,
};

/**
 * Calls a method of the server and sends it items, which its handler reads as `upload` (docs/protocol.md, section Uploads). No more is read
 * from the source than the handler has room for, and one item. The source is left when the handler answers, when it is aborted, and when it fails.
 *
 * It goes on where it was when the connection was lost and the session goes on. Where the session is lost it rejects: what arrived of it is
 * the handler's to know, so that the rest can be uploaded by another call.
 *
 * Rejects with
 * - what `client.call` rejects with; a {@link SessionLostError} when the session, or a connection without one, is lost
 * - a {@link MessageTooLargeError} when an item has more than 64 KiB, or more than the server takes
 * - `TypeError` at an item that cannot be sent
 * - what the source throws: the handler is told that it is cancelled
 *
 * @param client whom to ask by
 * @param method the name of the method
 * @param params the parameters, one value, or `undefined` for none, encoded at once
 * @param source what is uploaded
 * @param options {@link UploadOptions}
 * @returns what the handler on the server returned, which may be before all was read
 *
 * @example
 * const stored = await upload(client, 'store', { name: file.name }, file, {
 *   onprogress: ({ bytes }) => console.log(`${bytes} of ${file.size} bytes`),
 * });
 */
export async function upload<C extends Contract = Anything, M extends Name<Methods<C, 'server'>> = Name<Methods<C, 'server'>>>(
  client: Client<C>,
  method: M,
  params: Params<Methods<C, 'server'>, M>,
  source: UploadSource,
  options: UploadOptions = {},
): Promise<Result<Methods<C, 'server'>, M>> {
  const conversation = conversationOf(client, 'upload');
  if (typeof method !== 'string') throw new TypeError(`upload() takes the name of a method, but got ${show(method)}`);
  const checker = new Checker();
  const { signal, timeout = Infinity, chunkSize = 16_384, priority = -1, onprogress } = checker.given(options, checks);
  checker.warn();
  const total = sizeOf(source);
  if (!client.capabilities.uploads) throw new UnsupportedError('uploads', 'The server');
  const payload = encodePayload(params);
  const { status } = client.state;
  if (status === 'closed' || status === 'closing') throw new ClosedError();
  const items = itemsOf(source, chunkSize);
  const stopping = new AbortController();
  const stop = (reason: unknown) => {
    sending.stop();
    stopping.abort(reason);
  };
  const sending = new Sending(items, {
    name: method,
    post: (posting) => conversation.post(posting, { priority }),
    hasReceipts: () => client.capabilities.resume,
    progressed: (progress) => {
      const told: unknown = onprogress?.({ ...progress, total });
      if (told instanceof Promise) told.catch(stop);
    },
    failed: stop,
  });
  signal?.addEventListener('abort', () => stop(signal.reason), { signal: stopping.signal });
  if (signal?.aborted) stop(signal.reason);
  try {
    const result = await conversation.ask({
      name: method,
      what: `the upload to ${method}`,
      payload,
      needs: 'uploads',
      timeout,
      signal: stopping.signal,
      frame: (id, left) => {
        sending.begin(id);
        return { type: 'request', id, method, ...(left !== Infinity && { timeout: Math.ceil(left) }), upload: true };
      },
      granted: (count) => sending.grant(count),
    });
    sending.answered();
    return result as Result<Methods<C, 'server'>, M>;
  } finally {
    sending.stop();
    stopping.abort(); // lets go of the signal
  }
}
