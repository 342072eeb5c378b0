/**
 * One client on the server, from its first welcome to the end of its session: events and calls both ways, over one connection after the
 * other. Without a session (the client offers none, or the server) it lives as long as its connection.
 */

import type { Posting } from '../caller.ts';
import { checkText, checkWait, period, show } from '../checks.ts';
import { closeCode } from '../close-arguments.ts';
import type { Anything, Contract, Events, Methods, Name, Optional, Params, Result } from '../contract.ts';
import { TokenBucket } from '../core/rate.ts';
import { WINDOW } from '../core/session.ts';
import { type CallError, ClosedError, type MessageTooLargeError, ProtocolError, SessionLostError, UnsupportedError } from '../errors.ts';
import { Line, type Way } from '../line.ts';
import { encodeFrame, encodePayload, type Payload } from '../wire/codec.ts';
import type { Outgoing, Resume } from '../wire/frames.ts';
import { Close } from '../wire/holdfast.ts';
import type { ServerConnection } from './connection.ts';
import { Dispatcher, type DispatcherHost, type SessionFrame } from './dispatcher.ts';
import type { PeerRequest } from './options.ts';
import type { Refusal, SessionStore } from './sessions.ts';

/** What a client needs of the server it belongs to. */
export interface ClientHost extends DispatcherHost {
  /** Undefined where the server offers none. */
  readonly sessions: SessionStore | undefined;
  /** It is back with its session. */
  returned(client: ServerClient): void;
  /** Who it is, whichever object says so. */
  identityOf(principal: unknown): string;
  ended(client: ServerClient): void;
}

/** The session of a client, as a welcome grants it. */
export interface Grant {
  readonly session?: string;
  readonly key?: string;
  readonly received?: number;
  readonly ttl?: number;
}

type Phase = 'new' | 'open' | 'over';

/** Without sessions: bytes that may wait in a connection before a stream does, and how soon is looked again, in milliseconds. */
const HIGH_WATER = 1_048_576;
const PACE = 10;

/** Bytes of a message with an item of an upload, at most: 64 KiB, and what stands around it. */
const CHUNK_BYTES = 65_536 + 1_024;

/**
 * A client of this server, as handlers see it. It outlives its connection where it has a session: while it is away, what is sent and
 * called waits for it, and when it comes back in time (`sessions.ttl`) it is the same object. Otherwise it is another one.
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
  /** Unique among the clients of this server. */
  readonly id: string;
  /** Who it is, as `authenticate` said last. */
  principal: unknown;
  /** Yours, for whatever belongs to this client; it is gone with it. */
  readonly data: Map<unknown, unknown> = new Map();
  readonly #host: ClientHost;
  readonly #dispatcher: Dispatcher;
  readonly #rate: TokenBucket;
  #request: PeerRequest;
  #connection: ServerConnection | undefined;
  #phase: Phase = 'new';
  #features: readonly string[] = [];
  /** The name and the secret of the session, where there is one. */
  #session: { readonly name: string; readonly key: string } | undefined;
  #line: Line | undefined;
  /** Of the last hello that was accepted. */
  #generation = 0;
  /** Whether it has ever said anything after its welcome: else it may not have got it. */
  #heard = false;
  /** What waits for room on the way. */
  readonly #waiting: (() => void)[] = [];
  #roomTimer: unknown;
  /** Frames that may come faster than others, since they may have been sent before; over time they are no more than the rate allows, once more. */
  #overdue = 0;
  readonly #overdueRate: TokenBucket;

  /** @internal */
  constructor(id: string, principal: unknown, request: PeerRequest, host: ClientHost) {
    this.id = id;
    this.principal = principal;
    this.#request = request;
    this.#host = host;
    const { clock, limits } = host.settings;
    this.#rate = new TokenBucket(limits.rate, limits.burst, clock.now());
    this.#overdueRate = new TokenBucket(limits.rate, WINDOW, clock.now());
    this.#dispatcher = new Dispatcher(this.#self, host, {
      write: (...frame) => this.#write(...frame),
      withdraw: (posting) => this.#line?.withdraw(posting) === true,
      room: () => this.#waitForRoom(),
      has: (feature) => this.#features.includes(feature),
      idle: () => this.#connection?.drained(),
    });
  }

  /** Whether it is there, or waited for: what is sent now reaches it, unless it stays away for longer than its session lasts. */
  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /** Whether it has a connection now. */
  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** What is known about its connection, or the last one, from before the hello: URL, headers, address. */
  get request(): PeerRequest {
    return this.#request;
  }

  /**
   * Sends a named event. With a session it arrives once and in order, also when the client is away for a while; it is lost only with the
   * session. Without one it may arrive or not.
   *
   * @param name the name of the event
   * @param args the data; left out it is `null`. Then `volatile`: now or never, `false` where it has no connection
   * @returns `false` when the client is not there any more
   * @throws `TypeError` at what cannot be sent, {@link MessageTooLargeError} when the client does not take so much, `UnsupportedError` when
   * it takes no bytes
   *
   * @example
   * const client = server.clients.find(({ id }) => id === '1');
   * client?.send('notice', 'hello');
   * client?.send('position', { x: 1, y: 2 }, { volatile: true });
   */
  send<N extends Name<Events<C, 'client'>>>(
    name: N,
    ...[data, { volatile = false } = {}]: Optional<Events<C, 'client'>[N], { readonly volatile?: boolean }>
  ): boolean {
    checkText(name, 'send');
    if (!this.isOpen || (volatile && !this.#connection)) return false;
    const payload = encodePayload(data) ?? 'null';
    if (typeof payload !== 'string') this.#need('binary');
    const frame = { type: 'event', name } as const;
    const error = volatile ? this.#connection?.write(frame, payload) : this.#write(frame, payload);
    if (error) throw error;
    return this.isOpen;
  }

  /**
   * Calls a method of the client (docs/protocol.md, section Calls).
   *
   * Rejects with
   * - {@link CallError} when the client says no, or has no such method (UNIMPLEMENTED)
   * - {@link TimeoutError} when it took longer than `timeout`
   * - {@link SessionLostError}, `maybeExecuted`, when its session, or a connection without one, is lost before the answer
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
    checkText(method, 'call');
    if (!period[0](timeout)) throw new TypeError(`Option "timeout" got ${show(timeout)}; it takes ${period[1]}`);
    if (!this.isOpen) throw new ClosedError('The client is not there any more');
    this.#need('calls');
    const payload = encodePayload(params);
    if (typeof payload === 'object') this.#need('binary');
    const result = await this.#dispatcher.ask({
      name: method,
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
   * A code that lets it come back leaves its session as it is; any other ends it. Where it is closed already, nothing happens.
   *
   * @param code 1000 or 3000 to 4999; 4600 without one
   * @param reason as much of it as a close frame can carry
   * @param retryAfter milliseconds that the client is to stay away
   * @throws an `InvalidAccessError` DOMException at another code, `TypeError` at another `retryAfter` than milliseconds
   *
   * @example
   * server.clients.find(({ id }) => id === '1')?.close(4800, 'banned');
   */
  close(code = 4600, reason = '', retryAfter?: number): void {
    const checked = closeCode(code);
    checkWait(retryAfter, 'retryAfter');
    if (this.#connection) this.#connection.leaveWith(checked, reason, retryAfter);
    else if (this.isOpen && (checked < 4600 || checked > 4799)) this.end('unknown');
  }

  /** @internal Whether it was never welcomed. */
  get isNew(): boolean {
    return this.#phase === 'new';
  }

  /** @internal Whether calls are being answered. */
  get isBusy(): boolean {
    return this.#dispatcher.isBusy;
  }

  /** @internal The secret that goes on with its session; undefined where there is none. */
  get secret(): string | undefined {
    return this.#session?.key;
  }

  /** @internal Who it is, whichever object says so. */
  get identity(): string {
    return this.#host.identityOf(this.principal);
  }

  /** @internal Bytes that are kept for it. */
  get weight(): number {
    return this.#line?.bytes ?? 0;
  }

  /** @internal Whether a hello may go on with its session. */
  mayResume({ generation, received }: Resume): boolean {
    return generation > this.#generation && this.#line?.mayResume(received) === true;
  }

  /** @internal It has a connection: the first one, or another one, which replaces the one before. */
  attach(connection: ServerConnection, principal: unknown, way: Way, resume: Resume | undefined): Grant {
    const { sessions, settings } = this.#host;
    const before = this.#connection;
    this.#connection = connection;
    this.#request = connection.request;
    this.#features = connection.features;
    this.#phase = 'open';
    this.principal = principal;
    before?.leaveWith(Close.SUPERSEDED, 'another connection has taken its place');
    if (!sessions || !connection.features.includes('resume')) return {};
    if (resume) {
      this.#generation = resume.generation;
      this.#overdue = WINDOW;
      this.#line?.resume(resume.received, way);
      sessions.returned(this.#self);
      this.#host.returned(this.#self);
    } else {
      this.#session = { name: settings.createId(), key: settings.createId() };
      this.#line = new Line({ clock: settings.clock, encode: encodeFrame, wake: () => this.#connection?.wake() }, way);
      sessions.add(this.#session.name, this.#self);
    }
    const { name, key } = this.#session as { name: string; key: string };
    return { session: name, key, received: this.#line?.received ?? 0, ttl: settings.sessions ? settings.sessions.ttl : 0 };
  }

  /** @internal Its connection is over. */
  detach(connection: ServerConnection): void {
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    if (!this.isOpen) return;
    this.#line?.detach();
    if (!this.#line) return this.end('unknown');
    const owner = this.principal === undefined ? undefined : this.identity;
    this.#host.sessions?.left(this.#self, owner, this.#heard);
  }

  /**
   * @internal The session is over, and what belongs to it.
   *
   * @param by the connection that says so: one that was replaced has no say
   */
  end(why: Refusal, by?: ServerConnection): void {
    if (this.#phase === 'over' || (by && this.#connection !== by && this.#phase === 'open')) return;
    this.#phase = 'over';
    this.#line?.end();
    this.#makeRoom();
    if (this.#session) this.#host.sessions?.ended(this.#session.name, this.#self, why);
    this.#dispatcher.stop();
    this.#host.ended(this.#self);
  }

  /** @internal Writes what may be written by now, if that is its connection. */
  pump(connection: ServerConnection): void {
    if (connection !== this.#connection) return;
    this.#line?.flush();
    if (!this.#isFull) this.#makeRoom();
    for (const tell of this.#line?.news() ?? []) tell();
  }

  /** Whether what is written now would only wait. */
  get #isFull(): boolean {
    if (this.#phase === 'over') return false;
    return this.#line ? !this.#line.hasRoom(0) : (this.#connection?.backlog ?? 0) > HIGH_WATER;
  }

  #waitForRoom(): Promise<void> | undefined {
    if (!this.#isFull) return undefined;
    // Without acknowledgements nobody says when it has left.
    if (!this.#line) this.#roomTimer ??= this.#host.settings.clock.setTimeout(() => this.#makeRoom(), PACE);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #makeRoom(): void {
    this.#host.settings.clock.clearTimeout(this.#roomTimer);
    this.#roomTimer = undefined;
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  /** @internal How far it has been received, for a frame that is written now, if that is its connection. */
  received(connection: ServerConnection): { readonly received?: number } {
    return this.#line && connection === this.#connection ? { received: this.#line.tell() } : {};
  }

  /** @internal It has said something, and perhaps how far it has received. */
  heard(received?: number | null): void {
    this.#heard = true;
    if (typeof received === 'number') this.#line?.acknowledge(received);
  }

  /** @internal Notes an id of a question that is not a call. */
  use(id: number): void {
    this.heard();
    this.#dispatcher.use(id);
  }

  /**
   * @internal A frame of the session came in.
   *
   * @param bytes of the message that it came in, once for each message
   * @param size of that message, each time
   */
  receive(frame: SessionFrame, bytes: number, size: number): void {
    this.heard();
    if (!this.isOpen) return;
    if (frame.type === 'chunk' && size > CHUNK_BYTES) throw new ProtocolError('A chunk is larger than 64 KiB');
    // What comes too fast is not counted: it comes again.
    if (!this.#mayCome(frame)) return this.#connection?.leaveWith(Close.OVERLOADED, 'too many messages', 1_000);
    if (!this.#takes(frame, bytes)) return;
    this.#dispatcher.dispatch(frame);
  }

  /** Whether the rate allows a frame; what was received before is no burden. */
  #mayCome({ type, seq }: SessionFrame): boolean {
    const isLimited = type === 'event' || type === 'request' || type === 'publish';
    if (!isLimited || (typeof seq === 'number' && seq <= (this.#line?.received ?? 0))) return true;
    return this.mayAsk() || (this.#overdue-- > 0 && this.#overdueRate.take(this.#host.settings.clock.now()));
  }

  /** @internal Takes one of what it may send a second; false when there is none left. */
  mayAsk(): boolean {
    return this.#rate.take(this.#host.settings.clock.now());
  }

  /** Whether a frame is to be handled: it has a number where it must, and not one that was there before. */
  #takes(frame: SessionFrame, bytes: number): boolean {
    const { type, seq } = frame;
    if (typeof seq === 'number') {
      if (this.#line) return this.#line.receive(seq, bytes);
      if (type !== 'skip') throw new ProtocolError(`A frame of type ${type} has a number, and there is no session`);
    }
    const isVolatile = type === 'event' || (type === 'publish' && typeof frame.id !== 'number');
    if (this.#line && !isVolatile) throw new ProtocolError(`A frame of type ${type} has no number`);
    return true;
  }

  /** Sends a frame of the session; returns why not, when it is larger than the client takes. */
  #write(frame: Outgoing, payload?: Payload, posting?: Posting): MessageTooLargeError | undefined {
    if (this.#phase === 'over') return undefined; // nobody is there to miss it
    if (!this.#line) {
      const error = this.#connection?.write(frame, payload);
      if (!error) posting?.sent();
      return error;
    }
    const error = this.#line.post(frame, payload, posting);
    this.#connection?.wake();
    this.#weigh();
    return error;
  }

  #weigh(): void {
    const isTooMuch = this.weight > this.#host.settings.limits.buffered;
    if (!isTooMuch) this.#host.sessions?.weigh(this.#self);
    else if (this.#connection) this.#connection.tooSlow();
    else this.end('overflow');
  }

  #need(feature: string): void {
    if (!this.#features.includes(feature)) throw new UnsupportedError(feature, 'The client');
  }

  get #self(): ServerClient {
    return this as unknown as ServerClient;
  }
}
