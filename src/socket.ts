/**
 * `ReconnectingWebSocket`: a drop-in for `WebSocket` that reconnects, works with any server, and keeps what is sent meanwhile.
 * This file is the surface (events, attributes, `send`); what waits is in send-queue.ts, the connection itself in connection.ts.
 */

import { AddressSource, type ProtocolsSource, type UrlSource } from './address.ts';
import { closeCode, reasonText } from './close-arguments.ts';
import { Connection } from './connection.ts';
import type { Emission } from './core/machine.ts';
import type { Drop } from './core/queue.ts';
import { rawVerdict } from './core/retry-policy.ts';
import type { State } from './core/state.ts';
import { byteLength, sendable } from './data.ts';
import { type DropEvent, ReconnectingCloseEvent, ReconnectingErrorEvent, StateChangeEvent } from './events.ts';
import { Handlers } from './handlers.ts';
import { registerConnection } from './internals.ts';
import { CLOSED, CLOSING, CONNECTING, type Data, OPEN } from './io/web-socket.ts';
import { type ReconnectingWebSocketOptions, settle } from './options.ts';
import { guarded } from './report.ts';
import { SendQueue } from './send-queue.ts';

/** The events of a {@link ReconnectingWebSocket} by name. */
export interface ReconnectingWebSocketEventMap {
  /** A connection is there; the queue has been sent. Once for every connection. */
  open: Event;
  /** A message came in; its `data` is text, or a Blob or ArrayBuffer as `binaryType` says. */
  message: MessageEvent;
  /** A connection or an attempt failed; a `close` event follows. */
  error: ReconnectingErrorEvent;
  /** A connection ended or an attempt failed; whether another one follows is its `willReconnect`. */
  close: ReconnectingCloseEvent;
  /** The state is another one; everything that a status line needs. */
  statechange: StateChangeEvent;
  /** A message will not be sent. Where nobody listens, one warning an outage is logged. */
  drop: DropEvent;
}

/**
 * What an event handler attribute takes.
 *
 * @inline
 */
type Handler<K extends keyof ReconnectingWebSocketEventMap> =
  | ((this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[K]) => unknown)
  | null;

const READY_STATES: Record<State['status'], 0 | 1 | 2 | 3> = {
  idle: CLOSED,
  connecting: CONNECTING,
  waiting: CONNECTING,
  offline: CONNECTING,
  open: OPEN,
  closing: CLOSING,
  closed: CLOSED,
};

/**
 * A WebSocket that comes back.
 *
 * Everything `WebSocket` does (WHATWG WebSockets, section 3.1), it does the same way, except: a lost connection is followed by another
 * one; `close` events say whether it `willReconnect`; what is sent while there is no connection waits in a bounded queue and goes out
 * first, in order. It adds nothing to what is sent, so that it works with any server.
 *
 * What it cannot promise: bytes that a socket had passed on before it died may or may not have arrived.
 *
 * @example
 * const socket = new ReconnectingWebSocket('wss://example.com/chat');
 * socket.addEventListener('message', (event) => console.log(event.data));
 * socket.send('kept until it can be sent');
 */
export class ReconnectingWebSocket extends EventTarget {
  /** `ReconnectingWebSocket.CONNECTING`, a `readyState`: a connection is being made, or waited for. */
  static readonly CONNECTING: 0 = CONNECTING;
  /** `ReconnectingWebSocket.OPEN`, a `readyState`: there is a connection. */
  static readonly OPEN: 1 = OPEN;
  /** `ReconnectingWebSocket.CLOSING`, a `readyState`: `close()` was called, and the closing handshake is waited for. */
  static readonly CLOSING: 2 = CLOSING;
  /** `ReconnectingWebSocket.CLOSED`, a `readyState`: there is no connection, and none follows by itself. */
  static readonly CLOSED: 3 = CLOSED;

  readonly #connection: Connection;
  readonly #queue: SendQueue;
  readonly #queueing: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #address: AddressSource;
  readonly #handlers = new Handlers(this);
  /** What was still queued when the last life ended. */
  #leftOver: readonly Drop<Data>[] = [];
  #protocol = '';
  #extensions = '';
  #binaryType: BinaryType = 'blob';
  /** Bytes handed over when there was no connection to come: they count, as native counts them, and go nowhere. */
  #discarded = 0;

  /**
   * Connects one microtask later, so that constructing and closing in one task opens nothing.
   *
   * @param url where to connect: a URL, or a function that is asked on every attempt (sync or async)
   * @param protocols subprotocols, a function that is asked on every attempt, or the options
   * @param options everything else
   * @throws a `SyntaxError` DOMException at a bad URL or subprotocol, as native does; `TypeError` at a bad option
   */
  constructor(url: UrlSource, protocols?: ProtocolsSource | ReconnectingWebSocketOptions, options?: ReconnectingWebSocketOptions) {
    super();
    if (arguments.length === 0) throw new TypeError('A URL is required, but there was no argument.');
    if (options !== undefined && !isOptions(options))
      throw new TypeError(`The third argument takes the options, but got ${String(options)}`);
    if (!isOptions(protocols)) options = { ...options, protocols: protocols ?? options?.protocols };
    else if (options) throw new TypeError('Options were given twice: as second and as third argument');
    else options = protocols;
    const settings = settle(options);
    const { handshake, shouldReconnect, signal, startClosed } = options;
    const { ping, isPong } = settings.heartbeat ?? {};
    this.#queue = new SendQueue(this, settings.queue, settings.clock);
    this.#queueing = options.queue !== false;
    this.#signal = signal;
    this.#address = new AddressSource(url, options.protocols);
    this.#connection = new Connection(
      {
        handshake,
        resolve: (context) => this.#address.resolve(context),
        prepare: (socket) => {
          socket.binaryType = this.#binaryType;
        },
        message: ({ data, origin }) => {
          const pong = isPong !== undefined && guarded(() => isPong(data)) === true;
          if (!pong && this.state.status === 'open') this.dispatchEvent(new MessageEvent('message', { data, origin: origin ?? '' }));
          return pong;
        },
        heartbeat: () => settings.heartbeat,
        ping: () => this.#connection.socket?.send((typeof ping === 'function' ? ping() : ping) as Data),
        classifyClose: (loss, context) => ({
          verdict: shouldReconnect && guarded(() => shouldReconnect(loss, context)) === false ? 'refused' : rawVerdict(loss.code),
        }),
        stateChanged: (state, previous) => {
          if (state.status === 'closed') this.#end();
          this.dispatchEvent(new StateChangeEvent(state, previous));
        },
        emitted: (emission, leftBehind) => this.#emitted(emission, leftBehind),
      },
      settings,
    );
    registerConnection(this, this.#connection);
    signal?.addEventListener('abort', this.#abort);
    if (!startClosed) this.#connection.connect();
    if (signal?.aborted) this.#abort();
  }

  // Accessors, not fields: on the prototype, as native has them.
  /** The same as `ReconnectingWebSocket.CONNECTING`. */
  get CONNECTING(): 0 {
    return CONNECTING;
  }
  /** The same as `ReconnectingWebSocket.OPEN`. */
  get OPEN(): 1 {
    return OPEN;
  }
  /** The same as `ReconnectingWebSocket.CLOSING`. */
  get CLOSING(): 2 {
    return CLOSING;
  }
  /** The same as `ReconnectingWebSocket.CLOSED`. */
  get CLOSED(): 3 {
    return CLOSED;
  }

  /**
   * What is going on, in detail: for status lines. A new object at every change, so that it can be compared with `===`. `readyState` is the
   * same in the words of `WebSocket`.
   */
  get state(): State {
    return this.#connection.state;
  }

  /** CONNECTING also while waiting for the next attempt (as EventSource has it); CLOSED only when no attempt will follow. */
  get readyState(): 0 | 1 | 2 | 3 {
    return READY_STATES[this.state.status];
  }

  /** The URL as a WebSocket has it: ws or wss, and absolute. With a function for the URL the one used last, "" before the first. */
  get url(): string {
    return this.#address.url;
  }

  /** The subprotocol that the server chose, or ""; that of the last connection while there is none. */
  get protocol(): string {
    return this.#connection.socket?.protocol ?? this.#protocol;
  }

  /** The extensions that the server chose, or ""; those of the last connection while there is none. */
  get extensions(): string {
    return this.#connection.socket?.extensions ?? this.#extensions;
  }

  /** Bytes, text as UTF-8, that were accepted and have not been passed to the network: the queue and the socket's own. */
  get bufferedAmount(): number {
    return this.#queue.bytes + this.#connection.bufferedAmount + this.#discarded;
  }

  /** How binary messages arrive, `'blob'` unless set; kept across reconnects. Anything but the two values is ignored, as native does. */
  get binaryType(): BinaryType {
    return this.#binaryType;
  }
  set binaryType(type: BinaryType) {
    if (type !== 'blob' && type !== 'arraybuffer') return;
    this.#binaryType = type;
    const { socket } = this.#connection;
    if (socket) socket.binaryType = type;
  }

  /**
   * Sends, or keeps until there is a connection. What is kept goes out first and in order; what does not fit, or comes when it is closed,
   * is reported by `drop`.
   *
   * @param data text or bytes; anything else is sent as the text that it converts to, as native does
   * @throws an `InvalidStateError` DOMException while there is no connection yet, with `queue: false`; `TypeError` at shared memory
   *
   * @example
   * const socket = new ReconnectingWebSocket('wss://example.com/chat');
   * socket.send('hello'); // goes out when there is a connection
   * socket.send(new Uint8Array([1, 2, 3]));
   */
  send(data: Data): void {
    if (arguments.length === 0) throw new TypeError('send() takes one argument, but got none.');
    const message = sendable(data);
    const { socket, state } = this.#connection;
    // A socket that is on its way out while the state is still open would swallow it without a word.
    if (state.status !== 'open' || this.#queue.size > 0 || socket?.readyState !== OPEN)
      return this.#keep(message, byteLength(message), state.status);
    socket.send(message);
    this.#connection.wrote(typeof message === 'string' ? message.length : byteLength(message), true); // near enough, and costs nothing
  }

  /**
   * Closes for good; one last `close` event follows, after `closeTimeout` at the latest unless bytes are still leaving. What is still
   * queued is dropped, and each message reported by `drop`.
   *
   * @param code 1000 or 3000 to 4999
   * @param reason up to 123 bytes of UTF-8 (RFC 6455, section 5.5); it needs a code
   * @throws an `InvalidAccessError` DOMException at another code, and at a reason without one; a `SyntaxError` DOMException at a reason
   * that is too long, as native does
   *
   * @example
   * socket.close(1000, 'done');
   */
  close(code?: number, reason?: string): void {
    const checked = code === undefined ? undefined : closeCode(code);
    const text = reasonText(reason);
    if (text && checked === undefined) throw new DOMException('A close reason needs a close code.', 'InvalidAccessError');
    this.#connection.close({ cause: 'user', code: checked, reason: text });
  }

  /**
   * Connects anew at once, from whatever state: gives up the connection that there is (close code 4001), cuts a wait short, revives what
   * was closed. The queue is kept.
   *
   * @param reason up to 123 bytes of UTF-8 (RFC 6455, section 5.5), for the server and the close event
   * @throws a `SyntaxError` DOMException when the reason is too long; an `InvalidStateError` DOMException when the `signal` given at
   * construction is aborted
   *
   * @example
   * const socket = new ReconnectingWebSocket('wss://example.com/chat', { startClosed: true });
   * socket.reconnect(); // connects
   */
  reconnect(reason?: string): void {
    const text = reasonText(reason);
    if (this.#signal?.aborted) throw new DOMException('It was closed by its signal, for good: make a new one.', 'InvalidStateError');
    this.#signal?.addEventListener('abort', this.#abort); // adding it twice is adding it once
    this.#connection.reconnect(text);
  }

  /** An event handler attribute (HTML, section 8.1.8.1): a listener of `open`, or `null`. */
  get onopen(): WebSocket['onopen'] {
    return this.#handlers.get('open') as WebSocket['onopen'];
  }
  set onopen(handler: Handler<'open'>) {
    this.#handlers.set('open', handler);
  }
  /** An event handler attribute: a listener of `message`, or `null`. */
  get onmessage(): WebSocket['onmessage'] {
    return this.#handlers.get('message') as WebSocket['onmessage'];
  }
  set onmessage(handler: Handler<'message'>) {
    this.#handlers.set('message', handler);
  }
  /** An event handler attribute: a listener of `error`, or `null`. It gets a {@link ReconnectingErrorEvent}. */
  get onerror(): WebSocket['onerror'] {
    return this.#handlers.get('error') as WebSocket['onerror'];
  }
  set onerror(handler: Handler<'error'>) {
    this.#handlers.set('error', handler);
  }
  /** An event handler attribute: a listener of `close`, or `null`. It gets a {@link ReconnectingCloseEvent}. */
  get onclose(): WebSocket['onclose'] {
    return this.#handlers.get('close') as WebSocket['onclose'];
  }
  set onclose(handler: Handler<'close'>) {
    this.#handlers.set('close', handler);
  }

  /**
   * Listens to the events of a name, as every `EventTarget` does (DOM, section 2.7). What a listener throws is reported by the platform and
   * harms no other listener; in Node that report ends the process.
   *
   * @param type the name of the event
   * @param listener called with each event
   * @param options `once`, `signal`, `capture` and `passive`, as the DOM has them
   *
   * @example
   * socket.addEventListener('message', ({ data }) => console.log(data));
   * socket.addEventListener('close', ({ willReconnect }) => console.log(willReconnect ? 'lost' : 'closed'));
   */
  override addEventListener<K extends keyof ReconnectingWebSocketEventMap>(
    type: K,
    listener: (this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(type: string, listener: unknown, options?: boolean | AddEventListenerOptions): void {
    super.addEventListener(type, listener as EventListener, options);
    if (type === 'drop') this.#queue.listenerAdded(listener, options);
  }

  /**
   * Takes a listener away, as every `EventTarget` does (DOM, section 2.7).
   *
   * @param type the name of the event
   * @param listener what was given to `addEventListener`
   * @param options `capture`, where it was given to `addEventListener`
   */
  override removeEventListener<K extends keyof ReconnectingWebSocketEventMap>(
    type: K,
    listener: (this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(type: string, listener: unknown, options?: boolean | EventListenerOptions): void {
    super.removeEventListener(type, listener as EventListener, options);
    if (type === 'drop') this.#queue.listenerRemoved(listener, options);
  }

  readonly #abort = () => {
    const error: unknown = this.#signal?.reason;
    this.#connection.close({ cause: 'aborted', reason: '', error: error instanceof Error ? error : undefined });
  };

  #keep(message: Data, bytes: number, status: State['status']): void {
    const lost = status === 'closing' || status === 'closed';
    if (!lost && this.#queueing) return this.#queue.keep(message, bytes);
    if (this.readyState === CONNECTING) throw new DOMException('Still in CONNECTING state.', 'InvalidStateError');
    this.#discarded += bytes;
    this.#queue.drop([{ value: message, bytes, reason: 'closed' }], 'error' in this.state ? this.state.error : undefined);
  }

  #opened(): void {
    const { protocol, extensions } = this.#connection.socket ?? {};
    this.#protocol = protocol ?? '';
    this.#extensions = extensions ?? '';
    this.#discarded = 0;
    this.#queue.flush(
      this.#connection.socket,
      () => this.state.status === 'open',
      (bytes) => this.#connection.wrote(bytes, true),
    );
    // Not where a listener of `statechange` has closed it already.
    if (this.state.status === 'open') this.dispatchEvent(new Event('open'));
  }

  /** Takes away what belongs to a life that is over, before anybody can begin another one. */
  #end(): void {
    if (this.state.status === 'closed') this.#signal?.removeEventListener('abort', this.#abort); // else a new life has begun already
    this.#leftOver = this.#queue.clear();
  }

  #emitted(emission: Emission, lostBytes: number): void {
    if (emission.type === 'emitOpened') return this.#opened();
    const { loss, willReconnect } = emission;
    const gone = willReconnect ? this.#queue.expire() : this.#leftOver;
    const unsent = willReconnect
      ? { lostBytes, queuedMessages: this.#queue.size, queuedBytes: this.#queue.bytes }
      : { lostBytes, queuedMessages: gone.length, queuedBytes: gone.reduce((sum, { bytes }) => sum + bytes, 0) };
    this.#queue.drop(gone, loss.error);
    if (loss.error) this.dispatchEvent(new ReconnectingErrorEvent(loss.error));
    this.dispatchEvent(new ReconnectingCloseEvent(loss, willReconnect, unsent));
  }
}

function isOptions(value: unknown): value is ReconnectingWebSocketOptions {
  return typeof value === 'object' && value !== null && !(Symbol.iterator in value);
}
