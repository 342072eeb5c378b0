/** What both ends do in the vectors: methods that they have, and deeds that they are told to do. */

import { CallError } from '../../src/errors.ts';
import type { Clock } from '../../src/io/clock.ts';
import type { ServerClient } from '../../src/server/client.ts';
import type { Fields, Json } from './vectors.ts';

/** Both ends of a connection can send events and call. */
interface Speaker {
  send(name: string, data?: unknown): unknown;
  call(
    method: string,
    params?: unknown,
    options?: { signal?: AbortSignal; timeout?: number; idempotent?: boolean | string },
  ): Promise<unknown>;
}

/** What gives up the last that an end has asked for. */
const aborts = new WeakMap<object, AbortController>();

/** The methods that both have. */
export function methodsOf(clock: Clock) {
  return {
    echo: (params: unknown) => params,
    fail: (params: unknown) => {
      const { code = 'ABORTED', message = 'as you wish', data } = Object(params) as { code?: string; message?: string; data?: unknown };
      throw new CallError(code, message, { data });
    },
    wait: (params: unknown) => pause(clock, Object(params) as { ms?: number }),
  };
}

/** Resolves with null when so many milliseconds have passed; never without them. */
export function pause(clock: Clock, { ms }: { readonly ms?: number }): Promise<null> {
  return new Promise((resolve) => {
    if (ms !== undefined) clock.setTimeout(() => resolve(null), ms);
  });
}

/** Sends, calls, or gives up the last call. */
export function speak(speaker: Speaker | ServerClient, action: Fields): void {
  const { send, call, params, timeout, idempotent } = action;
  if (action['cancel']) return aborts.get(speaker)?.abort(new CallError('CANCELLED', 'by the test'));
  if (typeof send === 'string') return void speaker.send(send, dataOf(action));
  const options = {
    signal: signalOf(speaker),
    ...(typeof timeout === 'number' && { timeout }),
    ...(idempotent !== undefined && { idempotent: idempotent as boolean | string }),
  };
  settles(speaker, speaker.call(String(call), bytesOr(params), options));
}

/** Of what is asked for now: `cancel` aborts the last one. */
export function signalOf(speaker: object): AbortSignal {
  const abort = new AbortController();
  aborts.set(speaker, abort);
  return abort.signal;
}

/** Tells, by an event, what became of a promise. */
export function settles(speaker: Pick<Speaker, 'send'> | ServerClient, promise: Promise<unknown>): void {
  promise.then(
    (result) => void speaker.send('settled', result instanceof Uint8Array ? result : { result: result ?? null }),
    (error: { code?: string }) => void speaker.send('settled', { error: error.code ?? 'unknown' }),
  );
}

/** What is to be sent. */
export function dataOf({ data }: Fields): unknown {
  return bytesOr(data);
}

/** Bytes and long texts stand for themselves by an object. */
export function bytesOr(value: Json | undefined): unknown {
  const { $base64, $pad } = Object(value) as { $base64?: string; $pad?: number };
  if (typeof $pad === 'number') return 'x'.repeat($pad);
  return typeof $base64 === 'string' ? new Uint8Array(Buffer.from($base64, 'base64')) : value;
}
