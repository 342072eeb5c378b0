/**
 * One attempt and the socket that comes of it: resolve the address, make the socket, settle exactly once.
 *
 * `error` and `close` are two signals that may come together, alone, twice or never, and the constructor may throw: all of it goes
 * through one funnel. Once dropped or over, an attempt is deaf: what comes late from it reaches nobody.
 */

import { show } from './checks.ts';
import type { Event } from './core/machine.ts';
import type { Loss } from './core/state.ts';
import { type ErrorCode, HoldfastError } from './errors.ts';
import { Handshake, type HandshakeSocket } from './handshake.ts';
import type { Clock } from './io/clock.ts';
import { CLOSED, type CreateSocket, OPEN, type WebSocketLike } from './io/web-socket.ts';
import { guarded } from './report.ts';

/** Where to connect to, in one attempt. */
export interface Address {
  /** The URL, complete. */
  readonly url: string;
  /** The subprotocols to offer, most wanted first. */
  readonly protocols: string[];
}

/** What an attempt needs, and whom it tells. */
export interface AttemptHost {
  readonly clock: Clock;
  readonly createSocket: CreateSocket;
  resolve(signal: AbortSignal): Address | Promise<Address>;
  /** Sets up the socket, before anything happens on it. */
  prepare(socket: WebSocketLike): void;
  /** A message came in, for whomever. */
  heard(data: unknown): void;
  happened(event: Event): void;
  received(event: MessageEvent): void;
  /** It is over. `permanent`: trying again cannot help. */
  lost(loss: Loss, permanent: boolean): void;
}

/** The names under which browsers refuse a socket for good: mixed content, an address they cannot read, Firefox under a CSP. */
const PERMANENT = /^(Security|Syntax|NotSupported)Error$|CONTENT_BLOCKED/;
/** How long a socket that was given up may take to close, where it can be ended: that of `ws` would keep a process for half a minute. */
const LINGER = 2_000;

export class Attempt {
  /** The socket, once there is one. */
  socket: WebSocketLike | undefined;
  readonly #host: AttemptHost;
  readonly #abort = new AbortController();
  #handshake: Handshake | undefined;
  #opened = false;
  #closing = false;
  /** In the middle of closing the socket: Node's own says that it is closed before `close()` returns. */
  #isCalling = false;
  /** Reported or given up: nothing more is said. */
  #over = false;
  #error: HoldfastError | undefined;
  #permanent = false;
  #settling: unknown;
  /** How it was closed, while that is not told yet. */
  #ended: CloseEvent | undefined;

  constructor(host: AttemptHost) {
    this.#host = host;
  }

  /** Resolves the address and makes the socket, not before the next microtask. */
  async start(): Promise<void> {
    const host = this.#host;
    try {
      const { url, protocols } = await host.resolve(this.#abort.signal);
      if (!this.#over) this.#open(url, protocols);
    } catch (error) {
      const known = error instanceof HoldfastError;
      // Not at once: a close listener that reconnects would never let the page do anything else.
      this.#failSoon(
        known ? error : failure('ADDRESS_FAILED', 'No address to connect to', error),
        known && error.code === 'ADDRESS_INVALID',
      );
    }
  }

  /** Runs the hook over the open socket; it may take no longer than what is left of the connect timeout. */
  async runHandshake(hook: (socket: HandshakeSocket, options: { signal: AbortSignal }) => unknown): Promise<void> {
    const handshake = new Handshake(this.socket as WebSocketLike);
    this.#handshake = handshake;
    let outcome: unknown;
    try {
      outcome = await hook(handshake, { signal: this.#abort.signal });
    } catch (error) {
      this.#opened = false; // the socket was, the connection never
      if (!this.#closing) this.#fail(failure('HANDSHAKE_FAILED', 'The handshake failed', error));
      return;
    }
    if (this.#over) return;
    this.#handshake = undefined;
    this.#host.happened({ type: 'handshakeDone', resumed: (outcome as { resumed?: boolean } | undefined)?.resumed === true });
    for (const event of handshake.end()) if (!this.#over) this.#host.received(event);
  }

  /** Asks for the closing handshake; its outcome is reported. */
  close(code: number | undefined, reason: string): void {
    this.#closing = this.#isCalling = true;
    this.#abort.abort();
    try {
      if (code === undefined && !reason) this.socket?.close();
      else this.socket?.close(code, reason);
    } finally {
      this.#isCalling = false;
    }
  }

  /** Gives up: from here on nothing is reported, and nothing is waited for (Chromium says "closed" of a dead link after 60 s). */
  drop(code: number | undefined, reason: string): void {
    this.#over = true;
    this.#host.clock.clearTimeout(this.#settling);
    this.#handshake?.end();
    const { socket } = this;
    if (!socket) return this.close(code, reason);
    guarded(() => this.#deafen(socket));
    try {
      this.close(code, reason);
    } catch {
      guarded(() => socket.close()); // the code or the reason is not to its liking: it has to go all the same
    }
  }

  #deafen(socket: WebSocketLike & { terminate?(): void }): void {
    const { clock } = this.#host;
    const end = socket.terminate && socket.readyState !== CLOSED && clock.setTimeout(() => guarded(() => socket.terminate?.()), LINGER);
    socket.onmessage = null;
    socket.onclose = () => clock.clearTimeout(end);
    socket.onerror = () => {}; // dropped before it was listened to: the `ws` package throws at an error that nobody hears
    socket.onopen = () => socket.close();
  }

  #open(url: string, protocols: string[]): void {
    let socket: WebSocketLike;
    try {
      socket = this.#host.createSocket(url, protocols);
      if (!isSocket(socket))
        return this.#unmade(new TypeError(`Option "createSocket" returned ${show(socket)}; it returns a WebSocket`), true);
      this.socket = socket;
      if (this.#over) return this.drop(undefined, ''); // whoever made it closed or replaced the connection meanwhile
      this.#host.prepare(socket);
    } catch (error) {
      return this.#unmade(error, PERMANENT.test((error as Error | undefined)?.name ?? ''));
    }
    socket.onopen = () => this.#onOpen();
    socket.onmessage = (event: MessageEvent) => {
      this.#host.heard(event.data);
      if (this.#handshake) this.#handshake.deliver(event);
      else this.#host.received(event);
    };
    socket.onerror = (event?: ErrorEvent) =>
      this.#failSoon(
        failure('CONNECTION_FAILED', this.#opened ? 'The connection failed' : 'Could not connect', event?.error ?? event?.message),
      );
    // A handshake gets its turn with what came before the close: the reason for it, maybe.
    socket.onclose = (event?: CloseEvent) =>
      this.#isCalling || (this.#handshake && !this.#closing) ? this.#settleSoon(event) : this.#settle(event);
    this.#host.happened({ type: 'addressResolved' });
    if (this.#over) return;
    // Chromium under a Content Security Policy: closed from the start, then `error` and never `close`.
    if (socket.readyState === CLOSED) this.#failSoon(failure('CONNECTION_FAILED', 'The page may not connect there (is it its CSP?)'), true);
    if (socket.readyState === OPEN) this.#onOpen();
  }

  #unmade(error: unknown, permanent: boolean): void {
    this.#failSoon(failure('CONNECTION_FAILED', 'No WebSocket could be made', error), permanent);
  }

  #onOpen(): void {
    if (this.#over || this.#opened) return;
    this.#opened = true;
    this.#host.happened({ type: 'socketOpened' });
  }

  /** A `close` event may follow at once and knows more. */
  #failSoon(error: HoldfastError, permanent = false): void {
    if (this.#error || this.#over) return;
    this.#error = error;
    this.#permanent = permanent;
    this.#settleSoon();
  }

  #settleSoon(event?: CloseEvent): void {
    const { clock } = this.#host;
    clock.clearTimeout(this.#settling);
    this.#ended ??= event;
    this.#settling = clock.setTimeout(() => this.#settle(this.#ended), 0);
  }

  #fail(error: HoldfastError, permanent = false): void {
    this.#error = error;
    this.#permanent = permanent;
    this.#settle();
  }

  #settle({ code, reason, wasClean }: Partial<CloseEvent> = {}): void {
    if (this.#over) return;
    this.#over = true;
    this.#host.clock.clearTimeout(this.#settling);
    const kind = this.#opened ? 'closed' : 'failed';
    // React Native may leave out the code.
    this.#host.lost({ kind, code: code ?? 1006, reason: reason ?? '', wasClean: wasClean ?? false, error: this.#error }, this.#permanent);
  }
}

function isSocket(value: WebSocketLike | null | undefined): boolean {
  return typeof value?.close === 'function' && typeof value.send === 'function' && typeof value.readyState === 'number';
}

function failure(code: ErrorCode, what: string, cause?: unknown): HoldfastError {
  const text = cause === undefined || typeof cause === 'string' ? cause : show(cause);
  const detail = (cause as Error | undefined)?.message ?? text;
  return new HoldfastError(code, detail ? `${what}: ${detail}` : what, cause);
}
