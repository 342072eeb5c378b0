/**
 * One connection to a server: its opening, its life, its subscriptions and its end. Sans-I/O: it sees the socket as a {@link Peer}. What
 * survives it, the session with its events and calls, is the business of client.ts.
 */

import { shortened } from '../close-arguments.ts';
import { clampDelay } from '../core/backoff.ts';
import { WINDOW } from '../core/session.ts';
import { CallError, MessageTooLargeError, ProtocolError, UnauthorizedError } from '../errors.ts';
import { GapError, type Way } from '../line.ts';
import { bytesOf, decodeFrames, encodeFrame, encodePayload, type Message, type Payload } from '../wire/codec.ts';
import { wireError } from '../wire/errors.ts';
import { type Bye, type ClientFrame, type Declaration, type Hello, type Outgoing, pongTo } from '../wire/frames.ts';
import { Close, FEATURES, HELLO_LIMIT, VERSION } from '../wire/holdfast.ts';
import { FROM_CLIENT } from '../wire/shapes.ts';
import { type Admission, admit, fitting } from './admission.ts';
import type { ServerClient } from './client.ts';
import { digest } from './digest.ts';
import { Expiry } from './expiry.ts';
import type { HostSettings, PeerRequest } from './options.ts';
import { Outbound } from './outbound.ts';
import type { Declared, PresenceFrame } from './presence.ts';
import { Pulse } from './pulse.ts';
import type { Refusal, SessionStore } from './sessions.ts';

/** The socket under a client, as its owner hands it to a {@link Host}. */
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

/** What a connection needs of the server it belongs to. */
export interface ConnectionHost {
  readonly settings: HostSettings;
  /** Undefined where the server offers none. */
  readonly sessions: SessionStore | undefined;
  authenticate(token: unknown, request: PeerRequest): unknown;
  /** Until when a principal is who it says, in epoch milliseconds. */
  expiresAt(principal: unknown): number;
  /** A client that nobody knows yet. */
  newClient(principal: unknown, request: PeerRequest): ServerClient;
  /** Who a principal is, whichever object says so. */
  identityOf(principal: unknown): string;
  /** The same, for the client; undefined where it cannot be told from others, which matters to its sessions, and is reported there. */
  knownAs(principal: unknown): string | undefined;
  /** Asks for a channel; `join` makes the subscription live, in the same step in which the client is told. */
  subscribe(connection: ServerConnection, declaration: Declaration): Admission | Promise<Admission>;
  /** The client wants a channel no more. */
  unsubscribe(connection: ServerConnection, channel: string): void;
  /** A channel has no part in this connection for now. */
  forgo(connection: ServerConnection, channel: string): void;
  isSubscribed(connection: ServerConnection, channel: string): boolean;
  /** Whether it can be asked who is there on a channel. */
  readonly hasPresence: boolean;
  /** Says who is there, and takes note of who wants to be. */
  presence(connection: ServerConnection, client: ServerClient, frame: PresenceFrame): Promise<Declared>;
  welcomed(client: ServerClient): void;
  /** It takes no messages any more. */
  left(connection: ServerConnection): void;
  gone(connection: ServerConnection): void;
}

/** Codes after which a client may come back. */
const RETRYABLE: readonly number[] = [1001, 1011, 4100, 4401, 4408, 4412, 4413, 4422, 4429];
/** Those of them after which nothing is left of its session. */
const FORGETTING: readonly number[] = [4412, 4422];
/** How long the close may take after a goodbye of the client. */
const BYE_TIMEOUT = 5_000;
/** How long a peer may take to close; then it is given up. */
const CLOSE_TIMEOUT = 2_000;

type Phase = 'new' | 'opening' | 'open' | 'closing' | 'gone';

export class ServerConnection {
  readonly request: PeerRequest;
  readonly #peer: Peer;
  readonly #host: ConnectionHost;
  readonly #pulse: Pulse;
  readonly #expiry: Expiry;
  /** Until when the credentials of the hello are good. */
  #expiresAt = Infinity;
  readonly #outbound = new Outbound(
    () => this.#client?.pump(this),
    (messages) => this.#send(messages),
  );
  #client: ServerClient | undefined;
  #phase: Phase = 'new';
  #draining = false;
  /** Channels that were subscribed once by a frame. */
  readonly #subscribed = new Set<string>();
  /** Channels of which it was said once who is there. */
  readonly #declared = new Set<string>();
  #timer: unknown;

  constructor(peer: Peer, request: PeerRequest, host: ConnectionHost) {
    this.request = request;
    this.#peer = peer;
    this.#host = host;
    const { clock, heartbeat, helloTimeout } = host.settings;
    this.#pulse = new Pulse(clock, heartbeat, {
      ping: () => this.write({ type: 'ping', ...this.#client?.received(this) }),
      silent: () => this.leaveWith(Close.SILENT, 'no sign of life'),
    });
    this.#expiry = new Expiry({
      clock,
      ask: (within) => this.features.includes('refresh') && this.write({ type: 'auth', within }),
      over: () => this.leaveWith(Close.UNAUTHENTICATED, 'the credentials have expired'),
      authenticate: (auth) => host.authenticate(auth, request),
      expiresAt: (principal) => host.expiresAt(principal),
      accept: (principal) => this.#accept(principal),
      isOver: () => this.#isOver,
      failed: (error) => host.settings.onerror(error, 'authenticate'),
    });
    this.#timer = clock.setTimeout(() => this.leaveWith(Close.SILENT, 'no hello in time'), clampDelay(helloTimeout));
  }

  /** Who is at its other end, once that is known. */
  get client(): ServerClient | undefined {
    return this.#client;
  }

  /** Bytes that wait to leave. */
  get backlog(): number {
    return this.#outbound.bytes + this.#peer.bufferedAmount;
  }

  get #isOver(): boolean {
    return this.#phase === 'closing' || this.#phase === 'gone';
  }

  /** What both sides offer. */
  get features(): readonly string[] {
    return this.#outbound.features;
  }

  /** Writes a frame that belongs to this connection; returns why not, when it is larger than the client takes. */
  write(frame: Outgoing, payload?: Payload): MessageTooLargeError | undefined {
    if (this.#isOver) return undefined; // nobody is there to miss it
    const message = encodeFrame(frame, payload);
    const bytes = bytesOf(message);
    return this.deliver(message, bytes) ? undefined : new MessageTooLargeError(bytes, this.#outbound.limit);
  }

  /** Writes a message, encoded once for all; false when the client does not take it. */
  deliver(message: Message, bytes: number): boolean {
    if (this.#isOver) return true; // nobody is there to miss it
    return this.#outbound.add(message, bytes);
  }

  /** There is something to write at the end of the task. */
  wake(): void {
    this.#outbound.wake();
  }

  /** Says goodbye and closes. */
  leaveWith(code: number, why: string, retryAfter?: number): void {
    if (this.#isOver) return;
    const reason = shortened(why);
    const reconnect = RETRYABLE.includes(code) || (code >= 4600 && code <= 4799);
    const hasSession = this.#client ? this.#client.secret !== undefined : this.#host.sessions !== undefined;
    const resume = reconnect && hasSession && !FORGETTING.includes(code);
    const bye: Bye = {
      type: 'bye',
      code,
      reason,
      reconnect,
      resume,
      ...(retryAfter !== undefined && { retryAfter }),
      ...this.#client?.received(this),
    };
    this.write(bye);
    this.#outbound.flush();
    if (!resume) this.#client?.end('unknown', this);
    this.#leave(code, reason);
  }

  /** Says goodbye, finishes what runs, and closes then, or after `limit` milliseconds. */
  drain(limit: number, retryAfter: number): void {
    const client = this.#client;
    if (this.#phase !== 'open' || !client) return this.leaveWith(Close.DRAINING, 'the server is going away', retryAfter);
    this.#draining = true;
    const resume = client.secret !== undefined;
    this.write({
      type: 'bye',
      code: Close.DRAINING,
      reason: 'the server is going away',
      reconnect: true,
      resume,
      retryAfter,
      ...client.received(this),
    });
    this.#timer = this.#host.settings.clock.setTimeout(() => this.drained(), clampDelay(limit));
    if (!client.isBusy) this.drained();
  }

  /** Nothing runs any more that had to be waited for. */
  drained(): void {
    if (!this.#draining) return;
    const { received } = this.#client?.received(this) ?? {};
    if (received !== undefined) this.write({ type: 'ack', received });
    this.#outbound.flush();
    this.#leave(Close.DRAINING, 'the server is going away');
  }

  /** Bytes came in: it is alive, however slow. */
  alive(): void {
    this.#pulse.heard();
  }

  /** A message came in. */
  receive(message: unknown): void {
    if (this.#isOver) return;
    this.#pulse.heard();
    try {
      const size = bytesOf(message);
      let bytes = size;
      if (size > (this.#phase === 'new' ? HELLO_LIMIT : this.#host.settings.limits.message))
        return this.leaveWith(Close.TOO_LARGE, 'the message is too large');
      for (const frame of decodeFrames(message, FROM_CLIENT)) {
        this.#handle(frame, bytes, size);
        bytes = 0;
        if (this.#isOver) return; // nothing more is taken from it
      }
    } catch (error) {
      if (error instanceof GapError) return this.leaveWith(Close.GAP, error.message);
      if (error instanceof ProtocolError) return this.leaveWith(Close.VIOLATION, error.message);
      this.#failed(error, 'receiving');
    }
  }

  /** Nobody's message may end the server. */
  #failed(error: unknown, where: string): void {
    this.#host.settings.onerror(error, where);
    this.leaveWith(1011, 'internal error');
  }

  /** The connection is gone. */
  closed(): void {
    if (this.#phase === 'gone') return;
    this.#end('gone');
    this.#host.gone(this);
  }

  #handle(frame: ClientFrame, bytes: number, size: number): void {
    if (frame.type === 'hello') {
      if (this.#phase !== 'new') throw new ProtocolError('There is one hello');
      this.#phase = 'opening';
      this.#open(frame).catch((error: unknown) => this.#failed(error, 'opening'));
      return;
    }
    const client = this.#client;
    if (this.#phase !== 'open' || !client) throw new ProtocolError(`A frame of type ${frame.type} came before the welcome`);
    if (!client.isOpen) return; // it has said goodbye for good
    switch (frame.type) {
      case 'ping':
        client.heard(frame.received);
        if (frame.next) this.#pulse.expect(frame.next);
        this.write({ ...pongTo(frame), ...client.received(this) });
        break;
      case 'pong':
      case 'ack':
        client.heard(frame.received);
        break;
      case 'bye':
        client.heard(frame.received);
        if (!frame.resume) this.#farewell(client);
        break;
      case 'subscribe':
        client.use(frame.id);
        if (this.#isAgain(frame.channel) && !client.mayAsk()) return this.leaveWith(Close.OVERLOADED, 'too many messages', 1_000);
        this.#subscribe(frame.id, frame);
        break;
      case 'unsubscribe':
        client.use(frame.id);
        this.#host.unsubscribe(this, frame.channel);
        this.write({ type: 'response', id: frame.id });
        break;
      case 'presence':
        client.use(frame.id);
        if (!this.#isFirst(frame.channel) && !client.mayAsk()) return this.leaveWith(Close.OVERLOADED, 'too many messages', 1_000);
        this.#declare(client, frame);
        break;
      case 'auth':
        client.use(frame.id);
        if (!client.mayAsk()) return this.leaveWith(Close.OVERLOADED, 'too many messages', 1_000);
        void this.#expiry
          .renew(frame.auth)
          .then((error) => this.write({ id: frame.id, ...(error ? { type: 'error', error } : { type: 'response' }) }));
        break;
      default:
        client.receive(frame, bytes, size);
    }
  }

  /** Nothing more is to come of it: its close follows, and is not waited for for ever. */
  #farewell(client: ServerClient): void {
    const { clock } = this.#host.settings;
    client.end('unknown', this);
    this.#host.left(this);
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => this.#leave(1000, ''), BYE_TIMEOUT);
  }

  #subscribe(id: number, declaration: Declaration): void {
    const tell = ({ result: { error, ...result }, join }: Admission) => {
      if (error) this.write({ type: 'error', id, error });
      else this.write({ type: 'response', id }, encodePayload(result));
      join();
    };
    const admission = this.#host.subscribe(this, declaration);
    if (admission instanceof Promise) void admission.then(tell);
    else tell(admission);
  }

  /** Whether a channel was subscribed before: the first time costs nothing, for many come at once. */
  #isAgain(channel: string): boolean {
    const { subscriptions } = this.#host.settings.limits;
    if (this.#subscribed.has(channel) || this.#subscribed.size >= 2 * subscriptions) return true;
    this.#subscribed.add(channel);
    return false;
  }

  /** What the first confirmation of a channel is followed by costs nothing: many channels come back at once. */
  #isFirst(channel: string): boolean {
    const { subscriptions } = this.#host.settings.limits;
    if (this.#declared.has(channel) || this.#declared.size >= subscriptions || !this.#host.isSubscribed(this, channel)) return false;
    this.#declared.add(channel);
    return true;
  }

  #declare(client: ServerClient, frame: PresenceFrame): void {
    const { id } = frame;
    this.#host.presence(this, client, frame).then(
      ({ result, join }) => {
        this.write({ type: 'response', id }, encodePayload(result));
        join();
      },
      (error: CallError) => this.write({ type: 'error', id, error: wireError(error) }),
    );
  }

  /** Whether it is still the one who is there; what is known of it may be new. */
  #accept(principal: unknown): boolean {
    const client = this.#client;
    if (!client || this.#host.identityOf(principal) !== client.identity) return false;
    client.principal = principal;
    return true;
  }

  async #open(hello: Hello): Promise<void> {
    const { settings, sessions } = this.#host;
    const { hasPresence } = this.#host;
    const offered = FEATURES.filter((each) => (sessions || each !== 'resume') && (hasPresence || each !== 'presence'));
    const features = offered.filter((feature) => hello.features.includes(feature));
    this.#outbound.agreed(hello.limits.message, features);
    let principal: unknown;
    try {
      principal = await this.#host.authenticate(hello.auth, this.request);
    } catch (error) {
      if (this.#phase === 'opening') this.#refuse(error);
      return;
    }
    if (this.#phase !== 'opening') return;
    this.#expiresAt = this.#host.expiresAt(principal);
    if (this.#expiresAt <= settings.clock.wall()) return this.leaveWith(Close.UNAUTHENTICATED, 'the credentials have expired');
    // Who it is, for those who decide on its channels; whether its session goes on is decided when the welcome is written.
    const found = this.#find(hello, principal);
    this.#client = typeof found === 'object' ? found : this.#host.newClient(principal, this.request);
    const wanted = [...new Map((hello.subscriptions ?? []).map((each) => [each.channel, each])).values()];
    const leave = (channel: string) => this.#host.forgo(this, channel);
    const ask = (declaration: Declaration) => this.#host.subscribe(this, declaration);
    const admissions = await admit(wanted, ask, leave, settings.clock);
    if (this.#phase !== 'opening') return;
    const told = fitting(admissions, Math.min(hello.limits.message, HELLO_LIMIT), leave);
    this.#welcome(hello, principal, features, told);
  }

  #find({ resume }: Hello, principal: unknown): ServerClient | Refusal | undefined {
    const { sessions } = this.#host;
    if (!resume || !sessions || !this.features.includes('resume')) return undefined;
    return sessions.find(resume, this.#host.identityOf(principal));
  }

  /** In one step: the checks, the end of an older connection, and the welcome. */
  #welcome(hello: Hello, principal: unknown, features: readonly string[], told: readonly Admission[]): void {
    const { settings } = this.#host;
    const found = this.#find(hello, principal);
    const goesOn = typeof found === 'object';
    // Who was asked about may be away for good by now, or superseded: then it is somebody new.
    const stranger = this.#client?.isNew ? this.#client : undefined;
    const client = goesOn ? found : (stranger ?? this.#host.newClient(principal, this.request));
    this.#client = client;
    this.#phase = 'open';
    settings.clock.clearTimeout(this.#timer);
    const way: Way = {
      limit: hello.limits.message,
      window: hello.limits.window,
      add: (message, bytes) => this.#outbound.add(message, bytes),
    };
    const grant = client.attach(this, principal, way, goesOn ? hello.resume : undefined);
    const identity = principal === undefined ? undefined : this.#host.knownAs(principal);
    const error = this.write({
      type: 'welcome',
      version: Math.min(VERSION, hello.version),
      features,
      resumed: goesOn,
      heartbeat: settings.heartbeat,
      limits: { message: settings.limits.message, window: WINDOW },
      ...grant,
      idempotency: settings.broker.idempotency,
      ...(typeof found === 'string' && { error: { code: found } }),
      ...(identity !== undefined && { identity: digest(identity) }),
      ...(told.length > 0 && { subscriptions: told.map(({ result }) => result) }),
    });
    if (error) return this.leaveWith(Close.TOO_LARGE, 'the client does not take a welcome');
    this.#outbound.wake(); // what the client has to get again comes behind the welcome
    for (const { join } of told) join();
    this.#pulse.start();
    this.#expiry.begin(this.#expiresAt);
    if (!goesOn) this.#host.welcomed(client);
  }

  #refuse(error: unknown): void {
    if (error instanceof UnauthorizedError) return this.leaveWith(Close.UNAUTHENTICATED, error.message);
    if (error instanceof CallError && error.code === 'PERMISSION_DENIED') return this.leaveWith(Close.FORBIDDEN, error.message);
    this.#host.settings.onerror(error, 'authenticate');
    this.leaveWith(1011, 'authentication failed');
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
    // No goodbye: it would wait behind all the rest.
    if (this.#peer.bufferedAmount > this.#host.settings.limits.buffered) this.tooSlow();
  }

  /** More waits for the client than it may cost. */
  tooSlow(): void {
    this.#client?.end('overflow', this);
    this.#leave(Close.SLOW, 'the client is too slow');
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
    this.#expiry.stop();
    this.#host.settings.clock.clearTimeout(this.#timer);
    this.#host.left(this);
    this.#client?.detach(this);
  }
}
