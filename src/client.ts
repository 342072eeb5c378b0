/**
 * `Client`: named events, calls and channels over a connection that comes back. This file is the surface: who handles what, and what is
 * told to whom. What goes over the wire is in conversation.ts, channels are in channel.ts.
 */

import type { UrlSource } from './address.ts';
import type { DropCause, Question } from './caller.ts';
import { type CallingHost, call } from './calling.ts';
import type { Channel } from './channel.ts';
import { ChannelDirectory } from './channels.ts';
import { checkWait, show } from './checks.ts';
import { type ClientOptions, type ClientSettings, checkEach, settleClient } from './client-options.ts';
import type { CallContext, CallOptions, ClientEventMap, ClientStats, CloseOptions, SendOptions } from './client-types.ts';
import { closeCode, reasonText } from './close-arguments.ts';
import type { Anything, Channels, Contract, Events, Methods, Name, Optional, Params, Result } from './contract.ts';
import { Conversation, type Delivery } from './conversation.ts';
import type { Loss, State } from './core/state.ts';
import { Draining } from './draining.ts';
import { ClosedError, UnsupportedError } from './errors.ts';
import { checkName, EventHandlers } from './event-handlers.ts';
import { OurEventTarget } from './event-target.ts';
import {
  ClientDropEvent,
  ClientErrorEvent,
  OpenEvent,
  ReconnectingCloseEvent,
  StateChangeEvent,
  UnhandledEvent,
  type Unsent,
} from './events.ts';
import { register, registerConnection } from './internals.ts';
import { Keys } from './keys.ts';
import { Outcome } from './outcome.ts';
import { OutgoingEvent, type OutgoingEventHost } from './outgoing-event.ts';
import type { Receipt } from './receipt.ts';
import { report } from './report.ts';
import type { Answerer } from './responder.ts';
import { decodePayload, encodePayload, type Payload } from './wire/codec.ts';
import type { Capabilities, Opened } from './wire/protocol.ts';

/**
 * A client of a Holdfast server, or of any other by its {@link Protocol}: named events, calls and channels.
 *
 * It connects by itself, one microtask after its construction, and again after every loss. What is sent and called meanwhile waits in the
 * outbox and goes out first; what is written in one task leaves as one message. Whatever cannot be sent after all is a `drop` event or a
 * rejected promise. Data is JSON, or an ArrayBuffer or view as a whole, which arrives as a `Uint8Array`.
 *
 * With a server that has sessions (`capabilities.resume`) a lost connection takes nothing and doubles nothing: what was written and not
 * acknowledged is written again on the next one, in order, calls are answered there, and handlers run on. Where the session itself is lost,
 * or there is none, what was written may have arrived or not: calls reject with a {@link SessionLostError}, unless they are `idempotent`;
 * events and published messages are sent again (`unacknowledged`), or, without sessions, counted in `stats.unconfirmed`.
 *
 * {@link stream}, {@link upload}, {@link presence} and {@link queued} are functions beside it, for those who need them.
 *
 * Its lifecycle is told by the events of {@link ClientEventMap}. Where the platform has `Symbol.asyncDispose`, `await using` closes it.
 *
 * @example
 * const client = new Client('wss://example.com/live');
 * client.on('notice', (text) => console.log(text));
 * client.send('typing', { room: 'kelp' });
 * const sum = await client.call('add', { a: 1, b: 2 });
 * client.channel('room:kelp').subscribe((message) => console.log(message));
 */
export class Client<C extends Contract = Anything> extends OurEventTarget<ClientEventMap> {
  readonly #settings: ClientSettings;
  readonly #conversation: Conversation;
  readonly #channels: ChannelDirectory;
  readonly #signal: AbortSignal | undefined;
  readonly #listeners = new EventHandlers();
  readonly #handlers = new Map<string, Answerer>();
  readonly #counts = { sent: 0, acknowledged: 0, received: 0, dropped: 0, unconfirmed: 0 };
  readonly #outgoing: OutgoingEventHost;
  readonly #calling: CallingHost;
  readonly #draining: Draining;
  /** Settles `connect()` and `close()`. */
  #opening: Outcome<void> | undefined;
  /** How often it was closed, for whatever reason. */
  #lives = 0;
  /** How often `close()` was called: the last word counts. */
  #closes = 0;
  #closing: Outcome<void> | undefined;

  /**
   * @param url where to connect: a URL, or a function that is asked on every attempt (sync or async)
   * @param options everything else
   * @throws a `SyntaxError` DOMException at a bad URL, `TypeError` at a bad option
   */
  constructor(url: UrlSource, options: ClientOptions = {}) {
    super();
    this.#settings = settleClient(options);
    this.#signal = options.signal;
    const { clock, random, iteratorBuffer, callTimeout, unacknowledged } = this.#settings;
    const keys = new Keys();
    this.#calling = {
      clock,
      callTimeout,
      closed: () => this.#closed,
      newKey: () => keys.next(),
      remembers: (since) => this.#remembers(since),
      ask: (question) => this.#ask(question),
    };
    this.#channels = new ChannelDirectory({
      ...this.#calling,
      random,
      iteratorBuffer,
      timeout: callTimeout,
      resends: unacknowledged === 'resend',
      hasSession: () => this.capabilities.resume,
      isOpen: () => this.#conversation.isOpen,
      ask: (question) => this.#conversation.ask(question),
      publish: (question) => this.#ask(question),
      unsupported: (what) => this.#unsupported(what),
      encode: encodeData,
      dropped: (...drop) => this.#dropped(...drop),
      failed: (error) => this.dispatchEvent(new ClientErrorEvent(error)),
      unconfirmed: () => this.#counts.unconfirmed++,
    });
    this.#conversation = new Conversation(url, options, this.#settings, {
      declarations: () => this.#channels.declarations(),
      find: (method) => this.#find(method),
      deliver: (frame) => this.#deliver(frame),
      stateChanged: (state, previous) => this.#stateChanged(state, previous),
      opened: (opened) => this.#opened(opened),
      lost: (loss, willReconnect, unsent) => this.#lost(loss, willReconnect, unsent),
      failed: report,
      replaced: (error) => {
        this.#channels.forgetPresence(error);
        this.dispatchEvent(new ClientErrorEvent(error));
      },
      troubled: (error) => this.dispatchEvent(new ClientErrorEvent(error as Error)),
    });
    this.#draining = new Draining(this.#conversation, clock);
    register(this, this.#conversation);
    registerConnection(this, this.#conversation.connection);
    this.#outgoing = {
      clock,
      volatile: new Set(),
      post: (posting, waiting) => this.#conversation.post(posting, waiting),
      confirms: () => this.capabilities.resume,
      sent: () => {
        this.#counts.sent++;
        if (!this.capabilities.resume) this.#conversation.confirmation.wrote();
      },
      acknowledged: () => this.#counts.acknowledged++,
      unknown: () => this.#counts.unconfirmed++,
      dropped: (name, payload, reason, error) => this.#dropped('event', name, decodePayload(payload), reason, error),
    };
    const { asyncDispose } = Symbol as { readonly asyncDispose?: symbol };
    if (asyncDispose) Object.defineProperty(this, asyncDispose, { value: () => this.close() });
    this.#signal?.addEventListener('abort', this.#abort);
    if (!options.startClosed) this.#conversation.connect();
    if (this.#signal?.aborted) this.#abort();
  }

  /** What is going on, in detail: for status lines. A new object at every change, so that it can be compared with `===`. */
  get state(): State {
    return this.#conversation.state;
  }

  /** What the server can do, as of the last connection; before the first one, what the protocol can. */
  get capabilities(): Capabilities {
    return this.#conversation.capabilities;
  }

  /** Counters since the client was made, and what is under way now: a copy, for dashboards. */
  get stats(): ClientStats {
    const { roundTrip, traffic, queued, pendingCalls, confirmation, unacknowledged, resent } = this.#conversation;
    return {
      roundTrip,
      ...traffic,
      ...this.#counts,
      unconfirmed: this.#counts.unconfirmed + confirmation.unconfirmed,
      queuedMessages: queued.messages,
      queuedBytes: queued.bytes,
      pendingCalls,
      unacknowledgedMessages: unacknowledged.frames,
      unacknowledgedBytes: unacknowledged.bytes,
      resent,
    };
  }

  /**
   * Connects, if that is not going on already: needed after `startClosed`, and once the client is closed. Resolves when there is a
   * connection, however long that takes; rejects with a {@link ClosedError} when there will be none. Ignoring the promise is fine.
   *
   * @example
   * const client = new Client('wss://example.com/live', { startClosed: true });
   * await client.connect();
   */
  connect(): Promise<void> {
    const connected = this.#connect();
    connected.catch(() => {});
    return connected;
  }

  async #connect(): Promise<void> {
    this.#overtake();
    const { status } = this.state;
    if (status === 'open') return;
    if (this.#signal?.aborted) throw new ClosedError('The client was closed by its signal, for good', this.#signal.reason);
    if (status === 'closing') {
      const closes = this.#closes;
      await this.#closing?.promise;
      if (this.#closes !== closes || this.#signal?.aborted) throw new ClosedError('The client was closed again');
    }
    this.#opening ??= new Outcome();
    const opened = this.#opening.promise;
    this.#signal?.addEventListener('abort', this.#abort); // adding it twice is adding it once
    this.#conversation.connect();
    return opened;
  }

  /**
   * Connects anew at once, from whatever state: gives up the connection that there is (close code 4001), cuts a wait short, revives what
   * was closed.
   *
   * @param reason up to 123 bytes of UTF-8 (RFC 6455, section 5.5), for the server and the close event
   * @throws a `SyntaxError` DOMException when the reason is too long, {@link ClosedError} when the `signal` of the client is aborted
   *
   * @example
   * // The address is another one now.
   * client.reconnect('moved to another region');
   */
  reconnect(reason?: string): void {
    const text = reasonText(reason);
    if (this.#signal?.aborted) throw new ClosedError('The client was closed by its signal, for good', this.#signal.reason);
    this.#signal?.addEventListener('abort', this.#abort);
    this.#overtake();
    this.#conversation.reconnect(text);
  }

  /**
   * Signs in as somebody else: from now on `auth` speaks for the client. What belongs to who was there is dropped at once, so that nothing of
   * it goes out under another name: what waits (a `drop` event each), what is not acknowledged (`stats.unconfirmed` counts it), calls, streams and uploads (they reject
   * with a {@link ClosedError}), the session, and every subscription and presence: subscribe again for the new one. Then it connects anew,
   * unless it is closed. What its listeners send while they hear of that is dropped as well. For fresh credentials of the same user nothing is to be done: `auth` is asked for them.
   *
   * @param auth as the option; `undefined` for nobody
   * @throws `TypeError` at anything else
   *
   * @example
   * client.setAuth(() => localStorage.getItem('token of bob'));
   * client.channel('user:bob').subscribe((message) => console.log(message));
   */
  setAuth(auth: ClientOptions['auth']): void {
    if (auth !== undefined) checkFunction(auth, 'setAuth');
    this.#lives++;
    this.#channels.forget(this.#conversation.become(auth));
  }

  /**
   * Signs out: drops what belongs to who was there, as {@link Client.setAuth} does, and closes. `connect()` goes on as nobody; call `setAuth`
   * before it to go on as somebody.
   *
   * @example
   * await client.signOut();
   */
  signOut(): Promise<void> {
    const closed = this.close({ reason: 'signed out' });
    this.setAuth(undefined);
    return closed;
  }

  /**
   * Closes: says goodbye, rejects pending calls with {@link ClosedError}, and drops what waits, each with a `drop` event; with `drain` it
   * first gives them that long. Resolves when it is closed, after `closeTimeout` at the latest unless bytes are still leaving, or when
   * `connect()` or `reconnect()` has overtaken it. Handlers stay: `connect()` goes on.
   *
   * Rejects with an `InvalidAccessError` DOMException at a bad code, a `SyntaxError` DOMException at a reason that is too long, and `TypeError`
   * at a bad `drain`.
   *
   * @param options `code`, `reason` and `drain`
   *
   * @example
   * await client.close({ drain: 2_000 }); // what waits has two seconds to leave
   */
  async close({ code = 1000, reason, drain = 0 }: CloseOptions = {}): Promise<void> {
    checkWait(drain, 'drain');
    const request = { cause: 'user', code: closeCode(code), reason: reasonText(reason) } as const;
    const closes = ++this.#closes;
    if (this.state.status !== 'closed') this.#closing ??= new Outcome();
    if (drain > 0) await this.#draining.finished(drain);
    if (this.#closes !== closes) return this.#closing?.promise; // somebody was quicker
    if (this.state.status === 'closed') return;
    this.#closing ??= new Outcome();
    const closed = this.#closing.promise;
    this.#conversation.close(request);
    return closed;
  }

  /**
   * Sends a named event, or keeps it until there is a connection. On a closed client it is dropped, with a `drop` event.
   *
   * @param name any text but "" and the names of the client's own events
   * @param args the data, encoded at once (left out it is `null`), and {@link SendOptions}
   * @returns what becomes of it
   * @throws `TypeError` at a reserved name, a bad option, and at what cannot be sent; {@link QueueFullError} when the outbox has no room;
   * {@link MessageTooLargeError} and {@link UnsupportedError} when it is known that the server does not take it
   *
   * @example
   * client.send('typing', { room: 'kelp' }, { volatile: true }); // now or never
   * client.send('position', { x: 1, y: 2 }, { key: 'me' }); // only the latest one waits
   */
  send<N extends Name<Events<C, 'server'>>>(name: N, ...[data, options = {}]: Optional<Events<C, 'server'>[N], SendOptions>): Receipt {
    checkName(name);
    const { volatile = false, ttl = Infinity, key, priority } = checkEach(options, 'send');
    const event = new OutgoingEvent(name, encodeData(data), volatile, this.#outgoing);
    const closed = this.#closed;
    if (closed) event.dropped('closed', closed);
    else if (volatile && !this.#conversation.isOpen) event.missed();
    else event.post(ttl, { priority, key: key === undefined ? undefined : JSON.stringify(['event', name, key]) });
    return event.ticket;
  }

  /**
   * Handles a named event from the server. Several handlers are called in the order in which they came; what one throws goes to
   * `reportError`, or `console.error` where there is none, and harms no other.
   *
   * @param name any text but "" and the names of the client's own events
   * @param handler called with the data; what it returns does not matter
   * @param options for how long
   * @param options.signal aborting it stops
   * @returns how to stop; doing so twice is doing it once
   * @throws `TypeError` at a reserved name: the lifecycle of the client is heard by `addEventListener`
   *
   * @example
   * const off = client.on('notice', (text) => console.log(text));
   * off();
   */
  on<N extends Name<Events<C, 'client'>>>(
    name: N,
    handler: (data: Events<C, 'client'>[N]) => unknown,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): () => void {
    checkName(name);
    checkFunction(handler, 'on');
    return this.#listeners.add(name, handler as (data: unknown) => unknown, signal);
  }

  /**
   * Calls a method of the server (docs/protocol.md, section Calls). It never hangs: it is answered, on this connection or a
   * later one of its session, or rejects when its timeout is over, the time in the outbox included.
   *
   * Rejects with
   * - {@link CallError} when the server says no, or has no such method (UNIMPLEMENTED)
   * - {@link TimeoutError} when it took longer than its `timeout`
   * - {@link SessionLostError}, `maybeExecuted`, when the session (or, without one, the connection) was lost after it was written and before
   *   the answer; an `idempotent` call is asked again instead, while the server remembers outcomes, unless it has ended five sessions
   * - {@link ClosedError} when the client is closed, or was closed meanwhile
   * - a {@link HoldfastError} with the code `CANCELLED` when it was taken back by {@link queued}
   * - {@link QueueFullError} when the outbox has no room
   * - {@link MessageTooLargeError} or {@link UnsupportedError} when the server does not take it
   * - `TypeError` at parameters that cannot be sent, and at a bad option
   * - the reason of the `signal`
   *
   * @param method the name of the method
   * @param args the parameters, one value or none, encoded at once, and {@link CallOptions}
   * @returns what the handler on the server returned
   *
   * @example
   * const sum = await client.call('add', { a: 1, b: 2 });
   * const report = await client.call('report', undefined, { timeout: 5_000, signal: AbortSignal.timeout(2_000) });
   */
  async call<M extends Name<Methods<C, 'server'>>>(
    method: M,
    ...[params, options = {}]: Optional<Params<Methods<C, 'server'>, M>, CallOptions>
  ): Promise<Result<Methods<C, 'server'>, M>> {
    if (typeof method !== 'string') throw new TypeError(`call() takes the name of a method, but got ${show(method)}`);
    const result = await call(this.#calling, method, params, options);
    return result as Result<Methods<C, 'server'>, M>;
  }

  /**
   * Answers calls by the server (docs/protocol.md, section Calls). What the handler returns, now or as a promise, is the result. A
   * {@link CallError} that it throws is told to the caller; anything else that it throws is INTERNAL there, and here it goes to
   * `reportError`, or `console.error` where there is none. A call without a handler is UNIMPLEMENTED there and an `unhandled` event here.
   *
   * @param method the name of the method
   * @param handler called with the parameters, and a `signal` that aborts when nobody waits for the result any more
   * @returns how to stop; doing so twice is doing it once
   * @throws `TypeError` when the method has a handler already, {@link UnsupportedError} when the protocol has no calls by the server
   *
   * @example
   * const off = client.handle('locate', async (params, { signal }) => {
   *   const response = await fetch('/position', { signal });
   *   if (!response.ok) throw new CallError('UNAVAILABLE', 'no position');
   *   return response.json();
   * });
   */
  handle<M extends Name<Methods<C, 'client'>>>(
    method: M,
    handler: (
      params: Params<Methods<C, 'client'>, M>,
      context: CallContext,
    ) => Result<Methods<C, 'client'>, M> | Promise<Result<Methods<C, 'client'>, M>>,
  ): () => void {
    checkFunction(handler, 'handle');
    if (this.#handlers.has(method)) throw new TypeError(`The method ${method} has a handler already`);
    const { protocol } = this.#settings;
    if (!protocol.capabilities.serverCalls) throw new UnsupportedError('calls by the server', protocol.name);
    const answerer: Answerer = (params, signal) => handler(params as Params<Methods<C, 'client'>, M>, { signal });
    this.#handlers.set(method, answerer);
    return () => {
      if (this.#handlers.get(method) === answerer) this.#handlers.delete(method);
    };
  }

  /**
   * The channel of that name: always the same object. Nothing is subscribed until it gets a handler or a loop.
   *
   * @param name any text; `holdfast/server` takes up to 1024 characters
   * @param options what to subscribe with
   * @param options.params told to the server, which gives it to `authorize`; anything that JSON can carry
   * @returns the channel
   * @throws `TypeError` at a name that is no text, and at parameters that JSON cannot carry or other ones than it is subscribed with
   *
   * @example
   * const room = client.channel('room:kelp', { params: { since: 100 } });
   * const { unsubscribe } = room.subscribe((message) => console.log(message));
   */
  channel<N extends Name<Channels<C>>>(name: N, { params }: { readonly params?: unknown } = {}): Channel<Channels<C>[N]> {
    if (typeof name !== 'string') throw new TypeError(`channel() takes the name of a channel, but got ${show(name)}`);
    return this.#channels.get(name, params) as Channel<Channels<C>[N]>;
  }

  /**
   * Writes now what would be written at the end of the task; without a connection it does nothing.
   *
   * @example
   * addEventListener('pagehide', () => {
   *   client.send('left');
   *   client.flush();
   * });
   */
  flush(): void {
    this.#conversation.flush(true);
  }

  /**
   * Resolves when everything that was sent, called and published so far has left and the server has acknowledged it (where it does not: when
   * it has left), so that what comes next does not pile up. Rejects with a {@link ClosedError} when the client is closed first.
   *
   * @example
   * for (let row = 0; row < 1_000_000; row++) {
   *   client.send('row', row);
   *   if (client.stats.queuedBytes > 1_000_000) await client.drained();
   * }
   */
  async drained(): Promise<void> {
    const closed = this.#closed;
    if (closed) throw closed;
    const life = this.#lives;
    await this.#draining.drained(() => this.#lives !== life);
    if (this.#lives !== life) throw this.#closed ?? new ClosedError();
  }

  /** A `close()` that still drains closes nothing any more: the last word counts. */
  #overtake(): void {
    this.#closes++;
    if (this.state.status === 'closing') return;
    this.#closing?.succeed();
    this.#closing = undefined;
  }

  readonly #abort = () => {
    const error: unknown = this.#signal?.reason;
    this.#conversation.close({ cause: 'aborted', reason: '', error: error instanceof Error ? error : undefined });
  };

  /** Why nothing can be sent any more, where that is so. */
  get #closed(): ClosedError | undefined {
    const { state } = this;
    return state.status === 'closing' || state.status === 'closed' ? closedError(state) : undefined;
  }

  #unsupported(what: keyof Capabilities): UnsupportedError | undefined {
    if (this.capabilities[what]) return undefined;
    const { capabilities, name } = this.#settings.protocol;
    return new UnsupportedError(what, capabilities[what] ? 'The server' : name);
  }

  /** Until when the server remembers what was asked first at that time; undefined where it does not any more, or never did. */
  #remembers(since: number): number | undefined {
    const until = since + this.#conversation.idempotency;
    return until > this.#settings.clock.now() ? until : undefined;
  }

  /** Asks, and counts. */
  #ask(question: Question): Promise<unknown> {
    const sent = () => {
      this.#counts.sent++;
      question.sent?.();
    };
    return this.#conversation.ask({ ...question, sent }).then((result) => {
      this.#counts.acknowledged++;
      return result;
    });
  }

  #find(method: string): Answerer | undefined {
    this.#counts.received++;
    const answerer = this.#handlers.get(method);
    if (!answerer) this.dispatchEvent(new UnhandledEvent('call', method, undefined));
    return answerer;
  }

  #deliver(frame: Delivery): void {
    if (frame.type === 'event' || frame.type === 'message') this.#counts.received++;
    if (frame.type !== 'event') return this.#channels.deliver(frame);
    if (!this.#listeners.deliver(frame.name, frame.data)) this.dispatchEvent(new UnhandledEvent('event', frame.name, frame.data));
  }

  #dropped(kind: ClientDropEvent['kind'], name: string, data: unknown, reason: DropCause, error?: Error): void {
    this.#counts.dropped++;
    this.dispatchEvent(new ClientDropEvent(kind, name, data, reason, error));
  }

  #stateChanged(state: State, previous: State): void {
    if (state.status === 'closing' || (state.status === 'closed' && previous.status !== 'closing')) {
      const error = closedError(state);
      this.#lives++;
      this.#conversation.stop(error, state.status === 'closed');
      this.#channels.closed(state.cause === 'user' ? undefined : error);
    }
    if (previous.status === 'closing' && state.status !== 'closed') {
      this.#closing?.succeed(); // reconnect() has begun another life
      this.#closing = undefined;
    }
    this.dispatchEvent(new StateChangeEvent(state, previous));
    if (state.status !== 'closed') return;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#opening?.fail(closedError(state));
    this.#closing?.succeed();
    this.#opening = this.#closing = undefined;
  }

  #opened({ resumed, subscriptions }: Opened): void {
    const recovered = this.#channels.opened(subscriptions);
    this.#conversation.flush();
    this.#opening?.succeed();
    this.#opening = undefined;
    if (this.state.status === 'open') this.dispatchEvent(new OpenEvent(resumed, recovered));
  }

  #lost(loss: Loss, willReconnect: boolean, unsent: Unsent): void {
    for (const event of [...this.#outgoing.volatile]) event.missed();
    this.#channels.lost();
    if (loss.error) this.dispatchEvent(new ClientErrorEvent(loss.error));
    this.dispatchEvent(new ReconnectingCloseEvent(loss, willReconnect, unsent));
  }
}

/** Data as it goes out. What is left out is null: an event always has data on the wire. */
function encodeData(data: unknown): Payload {
  return encodePayload(data) ?? 'null';
}

/** That the client is closed, and by what, where nobody asked for it. */
function closedError(state: Extract<State, { status: 'closing' | 'closed' }>): ClosedError {
  const why = state.status === 'closed' && state.cause !== 'user' ? ` (${state.cause}, code ${state.code})` : '';
  return new ClosedError(`The client is closed${why}`, state.error);
}

function checkFunction(handler: unknown, where: string): void {
  if (typeof handler !== 'function') throw new TypeError(`${where}() takes a function, but got ${show(handler)}`);
}
