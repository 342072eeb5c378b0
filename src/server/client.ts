/** One client on the server: its opening, its frames both ways, and its end. Sans-I/O: it sees the connection as a {@link Peer}. */

import { Caller } from '../caller.ts';
import { closeCode, shortened } from '../close-arguments.ts';
import type { Anything, Contract, Events, Methods, Name, Optional, Params, Result } from '../contract.ts';
import { clampDelay } from '../core/backoff.ts';
import { TokenBucket } from '../core/rate.ts';
import { CallError, ClosedError, MessageTooLargeError, ProtocolError, SessionLostError, UnauthorizedError } from '../errors.ts';
import { Responder } from '../responder.ts';
import { bytesOf, decodeFrames, encodeFrame, encodePayload, type Message, type Payload } from '../wire/codec.ts';
import { wireError } from '../wire/errors.ts';
import { type Bye, type ClientFrame, type Declaration, FROM_CLIENT, type Hello, type Outgoing, pongTo } from '../wire/frames.ts';
import { Close, FEATURES, HELLO_LIMIT, VERSION } from '../wire/holdfast.ts';
import { type Admission, admit, fitting } from './admission.ts';
import type { HostSettings, PeerRequest } from './options.ts';
import { Outbound } from './outbound.ts';
import { Pulse } from './pulse.ts';

/** The connection under a client, as its owner hands it to a {@link Host}. */
export interface Peer {
  /** Bytes that were given to `send` and have not left yet; more than `limits.buffered` closes it with 4422. */
  readonly bufferedAmount: number;
  /**
   * Sends a WebSocket message. What it throws is reported to `onerror`, and the connection given up.
   *
   * @param message text, or bytes for a binary message
   */
  send(message: Message): void;
  /**
   * Closes it; `closed()` of its {@link Port} is to follow. Where it does not within 2 s, `terminate()` is called.
   *
   * @param code the close code
   * @param reason up to 123 bytes of UTF-8
   */
  close(code: number, reason: string): void;
  /** Gives it up at once: nobody will answer. */
  terminate(): void;
}

/** What a client needs of the server it belongs to. */
export interface ClientHost {
  readonly settings: HostSettings;
  authenticate(token: unknown, request: PeerRequest): unknown;
  /** Asks for a channel; `join` makes the subscription live, in the same step in which the client is told. */
  subscribe(client: ServerClient, channel: string, params: unknown): Admission | Promise<Admission>;
  unsubscribe(client: ServerClient, channel: string): void;
  publish(client: ServerClient, channel: string, data: unknown): Promise<unknown>;
  method(name: string): ((params: unknown, context: { client: ServerClient; signal: AbortSignal }) => unknown) | undefined;
  event(client: ServerClient, name: string, data: unknown): void;
  welcomed(client: ServerClient): void;
  /** It takes no messages any more. */
  left(client: ServerClient): void;
  gone(client: ServerClient): void;
}

/** Codes after which a client may come back. */
const RETRYABLE: readonly number[] = [1001, 1011, 4100, 4401, 4408, 4413, 4422, 4429];
/** How long a peer may take to close; then it is given up. */
const CLOSE_TIMEOUT = 2_000;

type Phase = 'new' | 'opening' | 'open' | 'closing' | 'gone';

/**
 * A client of this server, as handlers see it: one connection. The same client on its next connection is another one.
 *
 * @example
 * const server = createServer({
 *   port: 8080,
 *   onconnection: (client) => {
 *     client.data.set('since', Date.now());
 *     client.send('notice', `welcome, you are number ${client.id}`);
 *   },
 * });
 */
export class ServerClient<C extends Contract = Anything> {
  /** Unique among the connections of this server. */
  readonly id: string;
  /** What is known about the connection from before its hello: URL, headers, address. */
  readonly request: PeerRequest;
  /** Who it is, as `authenticate` said; `undefined` before that. */
  principal: unknown;
  /** Yours, for whatever belongs to this connection; it is gone with it. */
  readonly data: Map<unknown, unknown> = new Map();
  readonly #peer: Peer;
  readonly #host: ClientHost;
  readonly #caller: Caller;
  readonly #responder: Responder;
  readonly #rate: TokenBucket;
  readonly #pulse: Pulse;
  readonly #outbound = new Outbound((messages) => this.#send(messages));
  #phase: Phase = 'new';
  #draining = false;
  #timer: unknown;

  /** @internal */
  constructor(id: string, peer: Peer, request: PeerRequest, host: ClientHost) {
    this.id = id;
    this.request = request;
    this.#peer = peer;
    this.#host = host;
    const { clock, limits, heartbeat, helloTimeout, onerror } = host.settings;
    this.#rate = new TokenBucket(limits.rate, limits.burst, clock.now());
    this.#caller = new Caller({
      clock,
      post: (posting) => {
        const error = this.#write(posting.frame(), posting.payload);
        if (error) posting.dropped('too-large', error);
        else posting.sent();
        return () => false;
      },
      write: (frame) => void this.#write(frame),
    });
    this.#responder = new Responder({
      clock,
      limit: limits.calls,
      find: (name) => {
        const method = host.method(name);
        return method && ((params, signal) => method(params, { client: this as unknown as ServerClient, signal }));
      },
      write: (frame, payload) => !this.#write(frame, payload),
      failed: (error, method) => onerror(error, `the handler of ${method}`),
      idle: () => this.#draining && this.#drained(),
    });
    this.#pulse = new Pulse(clock, heartbeat, {
      ping: () => this.#write({ type: 'ping' }),
      silent: () => this.close(Close.SILENT, 'no sign of life'),
    });
    this.#timer = clock.setTimeout(() => this.close(Close.SILENT, 'no hello in time'), clampDelay(helloTimeout));
  }

  /** Whether it has been welcomed and is not closed. */
  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /**
   * Sends a named event. It may arrive or not: events are not acknowledged.
   *
   * @param name the name of the event
   * @param args the data; left out it is `null`
   * @returns `false` when the client is not there any more
   * @throws `TypeError` at what cannot be sent, {@link MessageTooLargeError} when the client does not take so much, `UnsupportedError` when
   * it takes no bytes
   *
   * @example
   * const client = server.clients.find(({ id }) => id === '1');
   * client?.send('notice', 'hello');
   */
  send<N extends Name<Events<C, 'client'>>>(name: N, ...[data]: Optional<Events<C, 'client'>[N], never>): boolean {
    if (!this.isOpen) return false;
    const payload = encodePayload(data) ?? 'null';
    if (typeof payload !== 'string') this.#outbound.need('binary');
    const error = this.#write({ type: 'event', name }, payload);
    if (error) throw error;
    return true;
  }

  /**
   * Calls a method of the client (docs/protocol.md, section Calls).
   *
   * Rejects with
   * - {@link CallError} when the client says no, or has no such method (UNIMPLEMENTED)
   * - {@link TimeoutError} when it took longer than `timeout`
   * - {@link SessionLostError}, `maybeExecuted`, when the connection is lost before the answer
   * - {@link ClosedError} when the client is not there any more
   * - {@link MessageTooLargeError} when the client does not take so much, `UnsupportedError` when it takes no calls or no bytes
   * - `TypeError` at parameters that cannot be sent
   * - the reason of the `signal`
   *
   * @param method the name of the method
   * @param args the parameters, one value or none; then `signal`, and `timeout` in milliseconds (30000, Infinity for no limit)
   * @returns what the handler of the client returned
   *
   * @example
   * for (const client of server.clients) {
   *   const yes = await client.call('confirm', 'Still there?', { timeout: 10_000 });
   *   if (yes !== true) client.close(4800, 'not there');
   * }
   */
  async call<M extends Name<Methods<C, 'client'>>>(
    method: M,
    ...[params, { signal, timeout = 30_000 } = {}]: Optional<
      Params<Methods<C, 'client'>, M>,
      { readonly signal?: AbortSignal; readonly timeout?: number }
    >
  ): Promise<Result<Methods<C, 'client'>, M>> {
    if (!this.isOpen) throw new ClosedError('The client is not there any more');
    this.#outbound.need('calls');
    const payload = encodePayload(params);
    if (typeof payload === 'object') this.#outbound.need('binary');
    const result = await this.#caller.ask({
      what: `the call of ${method}`,
      payload,
      timeout,
      signal,
      frame: (id, left) => ({ type: 'request', id, method, ...(left !== Infinity && { timeout: Math.ceil(left) }) }),
    });
    return result as Result<Methods<C, 'client'>, M>;
  }

  /**
   * Says goodbye and closes. Codes 4600 to 4799 let the client come back, 4800 to 4999 do not (docs/protocol.md, section Close codes).
   * Where it is closed already, nothing happens.
   *
   * @param code 1000 or 3000 to 4999; 4600 without one
   * @param reason as much of it as a close frame can carry
   * @param retryAfter milliseconds that the client is to stay away
   * @throws an `InvalidAccessError` DOMException at another code
   *
   * @example
   * server.clients.find(({ id }) => id === '1')?.close(4800, 'banned');
   */
  close(code = 4600, reason = '', retryAfter?: number): void {
    this.#leaveWith(closeCode(code), reason, retryAfter);
  }

  #leaveWith(code: number, why: string, retryAfter?: number): void {
    if (this.#isOver) return;
    const reason = shortened(why);
    const reconnect = RETRYABLE.includes(code) || (code >= 4600 && code <= 4799);
    const bye: Bye = { type: 'bye', code, reason, reconnect, resume: false, ...(retryAfter !== undefined && { retryAfter }) };
    this.#write(bye);
    this.#outbound.flush();
    this.#leave(code, reason);
  }

  /** @internal Says goodbye, finishes what runs, and closes then, or after `limit` milliseconds. */
  drain(limit: number, retryAfter: number): void {
    if (this.#phase !== 'open') return this.close(Close.DRAINING, 'the server is going away', retryAfter);
    this.#draining = true;
    this.#write({ type: 'bye', code: Close.DRAINING, reason: 'the server is going away', reconnect: true, resume: false, retryAfter });
    const { clock } = this.#host.settings;
    this.#timer = clock.setTimeout(() => this.#drained(), clampDelay(limit));
    if (this.#responder.size === 0) this.#drained();
  }

  /** @internal Bytes came in: it is alive, however slow. */
  alive(): void {
    this.#pulse.heard();
  }

  /** @internal A message came in. */
  receive(message: unknown): void {
    if (this.#isOver) return;
    this.#pulse.heard();
    try {
      const bytes = bytesOf(message);
      if (bytes > (this.#phase === 'new' ? HELLO_LIMIT : this.#host.settings.limits.message))
        return this.close(Close.TOO_LARGE, 'the message is too large');
      for (const frame of decodeFrames(message, FROM_CLIENT)) {
        this.#handle(frame);
        if (this.#isOver) return; // nothing more is taken from it
      }
    } catch (error) {
      if (error instanceof ProtocolError) return this.close(Close.VIOLATION, error.message);
      // Nobody's message may end the server.
      this.#host.settings.onerror(error, 'receiving');
      this.#leaveWith(1011, 'internal error');
    }
  }

  /** @internal The connection is gone. */
  closed(): void {
    if (this.#phase === 'gone') return;
    this.#end('gone');
    this.#host.gone(this as unknown as ServerClient);
  }

  /** @internal A message, encoded once for all; false when the client does not take it. */
  deliver(message: Message, bytes: number): boolean {
    if (this.#isOver) return true; // nobody is there to miss it
    return this.#outbound.add(message, bytes);
  }

  /** @internal A frame of a channel. */
  tell(frame: Outgoing): void {
    this.#write(frame);
  }

  get #isOver(): boolean {
    return this.#phase === 'closing' || this.#phase === 'gone';
  }

  #handle(frame: ClientFrame): void {
    if (frame.type === 'hello') {
      if (this.#phase !== 'new') throw new ProtocolError('There is one hello');
      this.#phase = 'opening';
      void this.#open(frame);
      return;
    }
    if (this.#phase !== 'open') throw new ProtocolError(`A frame of type ${frame.type} came before the welcome`);
    const limited = frame.type === 'event' || frame.type === 'request' || frame.type === 'publish';
    if (limited && !this.#rate.take(this.#host.settings.clock.now())) return this.close(Close.OVERLOADED, 'too many messages', 1_000);
    this.#dispatch(frame);
  }

  #dispatch(frame: Exclude<ClientFrame, Hello>): void {
    const self = this as unknown as ServerClient;
    switch (frame.type) {
      case 'ping':
        this.#write(pongTo(frame));
        break;
      case 'event':
        this.#host.event(self, frame.name, frame.data);
        break;
      case 'request':
        this.#responder.request(frame);
        break;
      case 'response':
        this.#caller.response(frame.id, frame.result);
        break;
      case 'error':
        this.#caller.error(frame.id, frame.error);
        break;
      case 'cancel':
        this.#responder.cancel(frame.id);
        break;
      case 'subscribe':
        this.#subscribe(frame.id, frame.channel, frame.params);
        break;
      case 'unsubscribe':
        this.#responder.use(frame.id);
        this.#host.unsubscribe(self, frame.channel);
        this.#write({ type: 'response', id: frame.id });
        break;
      case 'publish':
        this.#publish(frame.id ?? undefined, frame.channel, frame.data);
        break;
      default: // a pong, or a goodbye: its close follows
    }
  }

  #subscribe(id: number, channel: string, params: unknown): void {
    this.#responder.use(id);
    const tell = ({ result: { error, ...result }, join }: Admission) => {
      if (error) this.#write({ type: 'error', id, error });
      else this.#write({ type: 'response', id }, encodePayload(result));
      join();
    };
    const admission = this.#host.subscribe(this as unknown as ServerClient, channel, params);
    if (admission instanceof Promise) void admission.then(tell);
    else tell(admission);
  }

  #publish(id: number | undefined, channel: string, data: unknown): void {
    if (id !== undefined) this.#responder.use(id);
    // Not a call: many may be under way at once, after an outage above all. Without an id nobody wants an answer.
    this.#host.publish(this as unknown as ServerClient, channel, data).then(
      (result) => id !== undefined && this.#write({ type: 'response', id }, encodePayload(result)),
      (error: CallError) => id !== undefined && this.#write({ type: 'error', id, error: wireError(error) }),
    );
  }

  async #open(hello: Hello): Promise<void> {
    const { settings } = this.#host;
    const features = FEATURES.filter((feature) => hello.features.includes(feature));
    this.#outbound.agreed(hello.limits.message, features);
    try {
      this.principal = await this.#host.authenticate(hello.auth, this.request);
    } catch (error) {
      if (this.#phase !== 'opening') return;
      return this.#refuse(error);
    }
    const wanted = [...new Map((hello.subscriptions ?? []).map((each) => [each.channel, each])).values()];
    const self = this as unknown as ServerClient;
    if (this.#phase !== 'opening') return;
    const leave = (channel: string) => this.#host.unsubscribe(self, channel);
    const ask = ({ channel, params }: Declaration) => this.#host.subscribe(self, channel, params);
    const admissions = await admit(wanted, ask, leave, settings.clock);
    if (this.#phase !== 'opening') return;
    this.#phase = 'open';
    settings.clock.clearTimeout(this.#timer);
    const told = fitting(admissions, Math.min(hello.limits.message, HELLO_LIMIT), leave);
    const error = this.#write({
      type: 'welcome',
      version: Math.min(VERSION, hello.version),
      features,
      resumed: false,
      heartbeat: settings.heartbeat,
      limits: { message: settings.limits.message, window: 256 },
      ...(told.length > 0 && { subscriptions: told.map(({ result }) => result) }),
    });
    if (error) return this.close(Close.TOO_LARGE, 'the client does not take a welcome');
    for (const { join } of told) join();
    this.#pulse.start();
    this.#host.welcomed(self);
  }

  #refuse(error: unknown): void {
    if (error instanceof UnauthorizedError) return this.close(Close.UNAUTHENTICATED, error.message);
    if (error instanceof CallError && error.code === 'PERMISSION_DENIED') return this.close(Close.FORBIDDEN, error.message);
    this.#host.settings.onerror(error, 'authenticate');
    this.#leaveWith(1011, 'authentication failed');
  }

  /** Returns why not, when it is larger than the client takes. */
  #write(frame: Outgoing, payload?: Payload): MessageTooLargeError | undefined {
    if (this.#isOver) return undefined; // nobody is there to miss it
    const message = encodeFrame(frame, payload);
    const bytes = bytesOf(message);
    return this.deliver(message, bytes) ? undefined : new MessageTooLargeError(bytes, this.#outbound.limit);
  }

  #send(messages: Message[]): void {
    if (this.#isOver) return;
    try {
      for (const message of messages) this.#peer.send(message);
    } catch (error) {
      this.#host.settings.onerror(error, 'sending');
      this.#end('closing');
      return this.#peer.terminate();
    }
    this.#pulse.spoke();
    if (this.#peer.bufferedAmount <= this.#host.settings.limits.buffered) return;
    // No goodbye: it would wait behind all the rest.
    this.#leave(Close.SLOW, 'the client is too slow');
  }

  #drained(): void {
    this.#outbound.flush();
    this.#leave(Close.DRAINING, 'the server is going away');
  }

  /** Closes, and waits for the other side only so long. */
  #leave(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#end('closing');
    this.#timer = this.#host.settings.clock.setTimeout(() => this.#peer.terminate(), CLOSE_TIMEOUT);
    try {
      this.#peer.close(code, reason);
    } catch (error) {
      this.#host.settings.onerror(error, 'closing');
      this.#peer.terminate();
    }
  }

  #end(phase: 'closing' | 'gone'): void {
    this.#phase = phase;
    this.#pulse.stop();
    this.#host.settings.clock.clearTimeout(this.#timer);
    this.#host.left(this as unknown as ServerClient);
    const lost = new SessionLostError('The connection was lost', true);
    this.#responder.stop(lost);
    this.#caller.lost();
  }
}
