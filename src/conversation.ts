/**
 * What a client and a server say to each other, over one connection after the other: the opening, frames out and in, calls both ways.
 * It knows nothing of names: who handles what, and which channels are wanted, is the business of the {@link ConversationHost} above.
 */

import { AddressSource, type ProviderContext, type UrlSource } from './address.ts';
import type { Address } from './attempt.ts';
import { Caller, type Posting, type Question, type Waiting } from './caller.ts';
import type { ClientOptions, ClientSettings } from './client-options.ts';
import { shortened } from './close-arguments.ts';
import { Confirmation } from './confirmation.ts';
import { type AttemptContext, Connection } from './connection.ts';
import type { HeartbeatRules } from './core/heartbeat.ts';
import type { Emission } from './core/machine.ts';
import type { Ruling } from './core/retry-policy.ts';
import type { CloseRequest, Loss, State } from './core/state.ts';
import { credentialsOf } from './credentials.ts';
import { CallError, type ClosedError, type MessageTooLargeError, ProtocolError, SessionLostError } from './errors.ts';
import type { HandshakeSocket } from './handshake.ts';
import { guarded } from './report.ts';
import { type Answerer, Responder } from './responder.ts';
import { Transmitter } from './transmitter.ts';
import { bytesOf, type Payload } from './wire/codec.ts';
import { type Bye, type Declaration, type Outgoing, pongTo, type ServerFrame } from './wire/frames.ts';
import { type Capabilities, HANDSHAKE_TIMEOUT, type Opened, UNDECODABLE } from './wire/protocol.ts';

/** What came in that concerns names: events and channels. */
export type Delivery = Extract<ServerFrame, { type: 'event' | 'message' | 'unsubscribe' }>;

/** Who listens to a conversation. */
export interface ConversationHost {
  /** The channels to be declared in a hello that is written now. */
  declarations(): readonly Declaration[];
  /** The handler of a call by the server. */
  find(method: string): Answerer | undefined;
  deliver(frame: Delivery): void;
  stateChanged(state: State, previous: State): void;
  opened(opened: Opened): void;
  /** A connection or an attempt ended. */
  lost(
    loss: Loss,
    willReconnect: boolean,
    unsent: { readonly lostBytes: number; readonly queuedMessages: number; readonly queuedBytes: number },
  ): void;
  /** A handler of the user failed. */
  failed(error: unknown): void;
}

/** Counters, from the beginning of the client. */
export interface Traffic {
  /** Messages on the wire and their bytes. */
  readonly messagesSent: number;
  readonly bytesSent: number;
  readonly messagesReceived: number;
  /** Connections that opened. */
  readonly connections: number;
}

/** How long the close may take after a goodbye. */
const BYE_TIMEOUT = 5_000;

export class Conversation {
  readonly #host: ConversationHost;
  readonly #options: ClientOptions;
  readonly #settings: ClientSettings;
  readonly #address: AddressSource;
  readonly #connection: Connection;
  readonly #transmitter: Transmitter;
  readonly #caller: Caller;
  #responder: Responder;
  /** What was agreed on with the server of the current connection, or of the one before. */
  #opened: Opened | undefined;
  #auth: unknown;
  #bye: Bye | undefined;
  #byeTimer: unknown;
  /** The attempt before was refused for its credentials. */
  #unauthorized = false;
  #nonce = 0;
  /** Which events arrived. */
  readonly confirmation: Confirmation = new Confirmation();
  readonly #traffic = { messagesSent: 0, bytesSent: 0, messagesReceived: 0, connections: 0 };

  constructor(url: UrlSource, options: ClientOptions, settings: ClientSettings, host: ConversationHost) {
    this.#host = host;
    this.#options = options;
    this.#settings = settings;
    const { protocol, clock } = settings;
    this.#transmitter = new Transmitter(
      {
        protocol,
        now: () => clock.now(),
        offers: (capability) => this.capabilities[capability],
        socket: () => (this.state.status === 'open' ? this.#connection.socket : undefined),
        sent: (bytes) => {
          this.#traffic.messagesSent++;
          this.#traffic.bytesSent += bytes;
        },
      },
      settings.outbox,
    );
    this.#caller = new Caller({
      clock,
      post: (posting, waiting) => this.post(posting, waiting),
      write: (frame) => void (this.capabilities.cancel && this.write(frame)),
    });
    this.#responder = this.#newResponder();
    this.#address = new AddressSource(url, options.subprotocol === false ? [] : [...protocol.subprotocols]);
    this.#connection = new Connection(
      {
        resolve: (context) => this.#resolve(context),
        prepare: (socket) => {
          socket.binaryType = 'arraybuffer';
        },
        handshake: (socket) => this.#open(socket),
        timeoutCode: HANDSHAKE_TIMEOUT,
        message: (event) => this.#receive(event.data),
        heartbeat: () => this.#heartbeat(),
        ping: () => this.#ping(),
        classifyClose: (loss, context) => this.#classify(loss, context),
        stateChanged: (state, previous) => host.stateChanged(state, previous),
        emitted: (emission, leftBehind) => this.#emitted(emission, leftBehind),
      },
      settings,
    );
  }

  get state(): State {
    return this.#connection.state;
  }

  /** Smoothed, in milliseconds; 0 while unknown. */
  get roundTrip(): number {
    return this.#connection.roundTrip;
  }

  get traffic(): Traffic {
    return this.#traffic;
  }

  /** Whether what is posted now goes out at the end of the task. */
  get isOpen(): boolean {
    return this.state.status === 'open' && !this.#bye;
  }

  /** What waits in the outbox. */
  get queued(): { readonly messages: number; readonly bytes: number } {
    return this.#transmitter.queued;
  }

  /** Calls that were written and are not answered. */
  get pendingCalls(): number {
    return this.#caller.size;
  }

  /** Bytes that are on their way out of the socket. */
  get bufferedAmount(): number {
    return this.#connection.bufferedAmount;
  }

  /** What the server can do; before the first connection, what the protocol can. */
  get capabilities(): Capabilities {
    return this.#opened?.capabilities ?? this.#settings.protocol.capabilities;
  }

  connect(): void {
    this.#connection.connect();
  }

  reconnect(reason: string): void {
    this.#connection.reconnect(reason);
  }

  /** Says goodbye and ends it for good. */
  close(request: CloseRequest): void {
    if (this.state.status === 'open') {
      this.write({ type: 'bye', code: request.code ?? 1000, reason: request.reason, reconnect: false, resume: false });
      this.flush();
    }
    this.#connection.close(request);
  }

  /** No answer is waited for any more, and what waits to be sent is dropped. */
  stop(error: ClosedError, isLost: boolean): void {
    if (isLost) this.#caller.lost(); // nobody asked for it: what was written may have been executed
    this.#caller.stop(error);
    this.#transmitter.clear(error);
  }

  /** @throws QueueFullError, MessageTooLargeError or UnsupportedError, when that is known already */
  post(posting: Posting, waiting: Waiting = {}): () => boolean {
    if (!waiting.direct) return this.#transmitter.post(posting, waiting);
    const error = this.write(posting.frame(), posting.payload);
    if (error) posting.dropped('too-large', error);
    else posting.sent();
    return () => false;
  }

  /** Asks; an answer proves that all events written before were received too. */
  ask(question: Question): Promise<unknown> {
    let mark = 0;
    const frame: Question['frame'] = (id, left) => {
      mark = this.confirmation.mark;
      return question.frame(id, left);
    };
    const answer = this.#caller.ask({ ...question, frame });
    const confirm = () => this.confirmation.answered(mark);
    answer.then(confirm, (error) => error instanceof CallError && confirm()); // a no is an answer too
    return answer;
  }

  /** Writes a frame that belongs to this connection; returns why not when it is larger than the server takes. */
  write(frame: Outgoing, payload?: Payload): MessageTooLargeError | undefined {
    return this.#transmitter.write(frame, payload);
  }

  flush(): void {
    this.#transmitter.flush();
  }

  async #resolve(context: ProviderContext): Promise<Address> {
    const { auth } = this.#options;
    const [where, credentials] = await Promise.all([this.#address.resolve(context), credentialsOf(auth, context)]);
    if (!context.signal.aborted) this.#auth = credentials;
    return where;
  }

  async #open(socket: HandshakeSocket): Promise<void> {
    const { protocol, messageLimit } = this.#settings;
    const { attempt, cause } = this.#connection;
    this.#bye = undefined;
    let opened: Opened = { capabilities: protocol.capabilities, limit: Infinity, subscriptions: [], resumed: false };
    try {
      const opening = {
        auth: this.#auth,
        attempt,
        cause: cause && `${cause.kind} ${cause.code}`,
        limit: messageLimit,
        subscriptions: () => this.#host.declarations(),
        bye: (frame: Bye) => {
          this.#bye = frame;
        },
      };
      if (protocol.open) opened = await protocol.open(socket, opening);
    } catch (error) {
      if (error instanceof ProtocolError) this.#violated(error);
      throw error;
    }
    this.#opened = opened;
    this.#transmitter.opened(opened.limit);
  }

  /** The frames of a message; true when one of them was the answer to a ping. */
  #receive(data: unknown): boolean {
    this.#traffic.messagesReceived++;
    const { socket } = this.#connection;
    let pong = false;
    try {
      if (bytesOf(data) > this.#settings.messageLimit)
        throw new ProtocolError(`A message is larger than ${this.#settings.messageLimit} bytes`);
      for (const frame of this.#settings.protocol.decode(data)) {
        // A handler has closed or replaced the connection: nothing more is taken from it.
        if (this.#connection.socket !== socket || this.state.status !== 'open') break;
        pong = this.#handle(frame) || pong;
      }
    } catch (error) {
      // Whatever an adapter throws at a message, the message is to blame first.
      const violation = error instanceof ProtocolError ? error : new ProtocolError('A message could not be handled', error);
      if (this.#connection.socket === socket) this.#violated(violation);
    }
    return pong;
  }

  #handle(frame: ServerFrame): boolean {
    switch (frame.type) {
      case 'ping':
        this.write(pongTo(frame));
        break;
      case 'pong':
        if (typeof frame.nonce === 'number' && frame.nonce !== this.#nonce) break; // the answer to an earlier one
        this.confirmation.ponged();
        return true;
      case 'response':
        this.#caller.response(frame.id, frame.result);
        break;
      case 'error':
        this.#caller.error(frame.id, frame.error);
        break;
      case 'request':
        this.#responder.request(frame);
        break;
      case 'cancel':
        this.#responder.cancel(frame.id);
        break;
      case 'bye':
        this.#farewell(frame);
        break;
      case 'event':
      case 'message':
      case 'unsubscribe':
        this.#host.deliver(frame);
        break;
      default: // a welcome out of place
    }
    return false;
  }

  /** The server is about to close: nothing new is begun, and the close is not waited for for ever. */
  #farewell(frame: Bye): void {
    this.#bye = frame;
    this.#transmitter.pause();
    const { clock } = this.#settings;
    clock.clearTimeout(this.#byeTimer);
    this.#byeTimer = clock.setTimeout(
      () => this.#connection.fail({ kind: 'closed', code: frame.code, reason: frame.reason ?? '', wasClean: false }),
      BYE_TIMEOUT,
    );
  }

  #violated(error: ProtocolError): void {
    this.#connection.fail({ kind: 'violation', code: UNDECODABLE, reason: shortened(error.message), wasClean: false, error });
  }

  #classify(loss: Loss, context: AttemptContext & { suspects: number }): Ruling {
    const { shouldReconnect } = this.#options;
    const welcomed = this.state.status === 'open';
    const { suspects } = context;
    const { verdict, retryAfter } = this.#settings.protocol.classify({ ...loss, welcomed, bye: this.#bye, suspects });
    const again = this.#unauthorized;
    this.#unauthorized = verdict === 'reauthorize';
    if (shouldReconnect && guarded(() => shouldReconnect(loss, context)) === false) return { verdict: 'refused' };
    if (verdict === 'reauthorize') return { verdict: again ? 'unauthorized' : 'retry', retryAfter };
    return { verdict, retryAfter };
  }

  /** The server pings, and has to be heard every interval + timeout; asked shortly before, in case its ping is only late. */
  #heartbeat(): HeartbeatRules | undefined {
    const { protocol, probeTimeout } = this.#settings;
    const { interval, timeout } = this.#opened?.heartbeat ?? {};
    if (!protocol.pings || interval === undefined || timeout === undefined) return undefined;
    return { interval: interval + timeout / 2, timeout: timeout / 2, probeTimeout };
  }

  #ping(): void {
    this.flush();
    this.confirmation.asked();
    this.write({ type: 'ping', nonce: ++this.#nonce });
    this.flush();
  }

  #emitted(emission: Emission, lostBytes: number): void {
    const { clock } = this.#settings;
    clock.clearTimeout(this.#byeTimer);
    if (emission.type === 'emitOpened') {
      this.#traffic.connections++;
      this.#unauthorized = false;
      const opened = this.#opened as Opened;
      this.#host.opened(opened);
      for (const frame of opened.rest ?? []) if (this.state.status === 'open') this.#handle(frame);
      return;
    }
    const { loss, willReconnect } = emission;
    this.#bye = undefined;
    if (!willReconnect) this.#unauthorized = false;
    this.confirmation.lost();
    this.#caller.lost();
    this.#responder.stop(new SessionLostError('The connection was lost', true));
    this.#responder = this.#newResponder();
    const { messages, bytes } = this.#transmitter.queued;
    this.#host.lost(loss, willReconnect, { lostBytes, queuedMessages: messages, queuedBytes: bytes });
  }

  #newResponder(): Responder {
    return new Responder({
      clock: this.#settings.clock,
      limit: this.#settings.maxConcurrentCalls,
      find: (method) => this.#host.find(method),
      write: (frame, payload) => !this.write(frame, payload),
      failed: (error) => this.#host.failed(error),
    });
  }
}
