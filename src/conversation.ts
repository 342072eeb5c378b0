/**
 * What a client and a server say to each other, over one connection after the other: the opening, frames out and in, calls both ways.
 * It knows nothing of names: who handles what, and which channels are wanted, is the business of the {@link ConversationHost} above.
 */

import type { UrlSource } from './address.ts';
import { Agreement } from './agreement.ts';
import { Caller, type Posting, type Question, type Waiting } from './caller.ts';
import type { ClientOptions, ClientSettings } from './client-options.ts';
import { ClientSession } from './client-session.ts';
import { shortened } from './close-arguments.ts';
import { Confirmation } from './confirmation.ts';
import { Connection } from './connection.ts';
import { type Emission, REPLACED } from './core/machine.ts';
import type { Entry } from './core/outbox.ts';
import type { CloseRequest, Loss, State } from './core/state.ts';
import type { Auth } from './credentials.ts';
import { CallError, ClosedError, type MessageTooLargeError, ProtocolError, SessionLostError } from './errors.ts';
import { GapError } from './line.ts';
import { guarded } from './report.ts';
import { type Answerer, Responder } from './responder.ts';
import { Transmitter } from './transmitter.ts';
import { bytesOf, type Payload } from './wire/codec.ts';
import { type Bye, type Declaration, type Outgoing, pongTo, type ServerFrame } from './wire/frames.ts';
import { type Capabilities, HANDSHAKE_TIMEOUT, type Opened, SEQUENCE_GAP, UNDECODABLE } from './wire/protocol.ts';

/** What came in that concerns names: events and channels. */
export type Delivery = Extract<ServerFrame, { type: 'event' | 'message' | 'unsubscribe' | 'presence' }>;

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
  /** Something has gone wrong that the connection survives. */
  troubled(error: unknown): void;
  /** The server takes the client for somebody else than before: what was theirs was dropped. */
  replaced(error: ClosedError): void;
}

/** Counters, from the beginning of the client. */
export interface Traffic {
  /** Messages on the wire and their bytes. */
  readonly messagesSent: number;
  readonly bytesSent: number;
  readonly messagesReceived: number;
  /** Connections that opened. */
  readonly connections: number;
  /** Those of them that went on with the session of the one before. */
  readonly resumed: number;
}

/** The server has failed at what it was asked (RFC 6455, section 7.4.1). */
const INTERNAL_ERROR = 1011;
/** How long the close may take after a goodbye. */
const BYE_TIMEOUT = 5_000;

export class Conversation {
  readonly #host: ConversationHost;
  readonly #settings: ClientSettings;
  readonly #connection: Connection;
  readonly #transmitter: Transmitter;
  readonly #caller: Caller;
  #responder: Responder;
  #byeTimer: unknown;
  readonly #session: ClientSession;
  readonly #agreement: Agreement;
  /** What is to be done when the connection is open, and not while it opens: the user's code may have its say in it. */
  readonly #later: (() => void)[] = [];
  #nonce = 0;
  /** Which events arrived. */
  readonly confirmation: Confirmation = new Confirmation();
  readonly #traffic = { messagesSent: 0, bytesSent: 0, messagesReceived: 0, connections: 0, resumed: 0 };

  constructor(url: UrlSource, options: ClientOptions, settings: ClientSettings, host: ConversationHost) {
    this.#host = host;
    this.#settings = settings;
    const { protocol, clock } = settings;
    this.#transmitter = new Transmitter(
      {
        protocol,
        clock,
        offers: (capability) => this.capabilities[capability],
        socket: () => (this.state.status === 'open' ? this.#connection.socket : undefined),
        sent: (bytes, owes) => {
          this.#traffic.messagesSent++;
          this.#traffic.bytesSent += bytes;
          this.#connection.wrote(bytes, owes);
        },
        ask: () => queueMicrotask(() => guarded(() => this.#ping())),
        random: settings.random,
      },
      settings.outbox,
    );
    this.#session = new ClientSession({
      clock,
      encode: protocol.encode,
      resends: settings.unacknowledged === 'resend',
      wake: () => this.#transmitter.wake(),
      use: (line) => this.#transmitter.use(line),
      acknowledged: () => {
        this.#connection.confirmed(this.unacknowledged.bytes);
        this.#transmitter.trials.heard(false);
      },
      blame: (posting) => this.#transmitter.trials.blame(posting),
      readmit: (postings) => this.#transmitter.readmit(postings),
      replaced: () => {
        const error = signedOut();
        this.#transmitter.clear(error, 'signed-out');
        host.replaced(error);
      },
      later: (deed) => this.#later.push(deed),
      lost: (mayAsk) => {
        this.#endAnswers();
        return this.#caller.lost(mayAsk);
      },
    });
    this.#caller = new Caller({
      clock,
      post: (posting, waiting) => this.post(posting, waiting),
      write: (frame) => void (this.capabilities.cancel && this.#transmitter.answer(frame)),
    });
    this.#responder = this.#newResponder();
    this.#agreement = new Agreement(url, options, settings, {
      session: this.#session,
      past: () => this.#connection,
      declarations: () => host.declarations(),
      way: ({ limit, session }) => this.#transmitter.opened(limit, session?.window ?? 0),
      violated: (error) => this.#violated(error),
      ask: (question) => this.ask(question),
      failed: (error) => host.troubled(error),
      unauthorized: (error) => this.#connection.fail({ kind: 'closed', code: 1006, reason: '', wasClean: false, error }),
    });
    this.#connection = new Connection(
      {
        resolve: (context) => this.#agreement.resolve(context),
        prepare: (socket) => {
          socket.binaryType = 'arraybuffer';
        },
        handshake: (socket, { signal }) => this.#agreement.open(socket, signal),
        timeoutCode: HANDSHAKE_TIMEOUT,
        message: (event) => this.#receive(event.data),
        heartbeat: () => this.#agreement.heartbeat,
        ping: () => this.#ping(),
        classifyClose: (loss, context) => this.#agreement.classify(loss, { ...context, welcomed: this.state.status === 'open' }),
        stateChanged: (state, previous) => host.stateChanged(state, previous),
        emitted: (emission, leftBehind) => this.#emitted(emission, leftBehind),
      },
      settings,
    );
  }

  get state(): State {
    return this.#connection.state;
  }

  get connection(): Connection {
    return this.#connection;
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
    return this.state.status === 'open' && !this.#agreement.bye;
  }

  /** What waits in the outbox. */
  get queued(): { readonly messages: number; readonly bytes: number } {
    return this.#transmitter.queued;
  }

  /** Calls that were written and are not answered. */
  get pendingCalls(): number {
    return this.#caller.size;
  }

  /** How many frames are written and not acknowledged, and their bytes. */
  get unacknowledged(): { readonly frames: number; readonly bytes: number } {
    return this.#session.unacknowledged;
  }

  /** Frames that were written again, on another connection of their session. */
  get resent(): number {
    return this.#session.resent;
  }

  /** Milliseconds that the server remembers the outcome of an idempotent call. */
  get idempotency(): number {
    return this.#agreement.opened?.idempotency ?? 0;
  }

  /** Bytes that are on their way out of the socket. */
  get bufferedAmount(): number {
    return this.#connection.bufferedAmount;
  }

  /** What the server can do; before the first connection, what the protocol can. */
  get capabilities(): Capabilities {
    return this.#agreement.opened?.capabilities ?? this.#settings.protocol.capabilities;
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
      const { code = 1000, reason } = request;
      this.flush(true); // before it, not behind it
      this.write({ type: 'bye', code, reason, reconnect: false, resume: false, ...this.#session.received() });
      this.flush(true);
    }
    this.#connection.close(request);
  }

  /** No answer is waited for any more, and what waits to be sent is dropped. */
  stop(error: ClosedError, isLost: boolean, reason: 'closed' | 'signed-out' = 'closed'): void {
    if (isLost) this.#caller.lost(); // nobody asked for it: what was written may have been executed
    this.#caller.stop(error);
    this.#session.giveUp(error);
    this.#transmitter.clear(error, reason);
    this.#endAnswers();
    this.#perform();
  }

  /**
   * Somebody else is to be spoken for from now on, over another connection: what belongs to who was there is dropped, and the session is
   * over, which the server is told. Returns what whoever waits for it is told.
   */
  become(auth: Auth | undefined): ClosedError {
    const error = signedOut();
    this.#agreement.setAuth(auth);
    this.#session.forget();
    const { status } = this.state;
    if (status === 'open') this.#transmitter.sayLast({ type: 'bye', code: REPLACED, reason: 'signed out', reconnect: true, resume: false });
    // First of all, so that nobody who is told of a drop can write on the old connection.
    if (status !== 'idle' && status !== 'closing' && status !== 'closed') this.#connection.reconnect('signed in anew');
    this.stop(error, false, 'signed-out');
    return error;
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

  /** Writes a frame that belongs to the session, or to this connection where there is none. */
  answer(frame: Outgoing): void {
    this.#transmitter.answer(frame);
  }

  /** @param isLast whether there may be no other time */
  flush(isLast = false): void {
    this.#transmitter.flush(isLast);
  }

  /** What waits, and what is written and not acknowledged. */
  get unfinished(): Posting[] {
    return this.#transmitter.unfinished;
  }

  /** What waits, in the order in which it would be written. */
  get waiting(): readonly Entry<Posting>[] {
    return this.#transmitter.waiting;
  }

  /** Asks the server how far it is, at once, where that matters. */
  hasten(): void {
    if (this.isOpen && this.unacknowledged.frames > 0) this.#ping();
  }

  /** The frames of a message; true when one of them was the answer to a ping. */
  #receive(data: unknown): boolean {
    this.#traffic.messagesReceived++;
    const { messageLimit, protocol } = this.#settings;
    const bytes = bytesOf(data);
    return this.#takeAll(() => {
      if (bytes > messageLimit) throw new ProtocolError(`A message is larger than ${messageLimit} bytes`);
      return protocol.decode(data);
    }, bytes);
  }

  /** Takes what is decoded, one frame after the other; true when one of them was the answer to a ping. */
  #takeAll(decode: () => Iterable<ServerFrame>, size: number): boolean {
    const { socket } = this.#connection;
    let bytes = size;
    let pong = false;
    try {
      for (const frame of decode()) {
        // A handler has closed or replaced the connection: nothing more is taken from it.
        if (this.#connection.socket !== socket || this.state.status !== 'open') break;
        pong = this.#take(frame, bytes) || pong;
        bytes = 0;
      }
    } catch (error) {
      // Whatever an adapter throws at a message, the message is to blame first.
      const violation = error instanceof ProtocolError ? error : new ProtocolError('A message could not be handled', error);
      if (this.#connection.socket === socket) this.#violated(violation);
    }
    return pong;
  }

  /** Takes a frame, unless it was taken before; true when it was the answer to a ping. */
  #take(frame: ServerFrame, bytes: number): boolean {
    const isAnswer = frame.type === 'response' || frame.type === 'error';
    const isDirect = isAnswer ? this.#caller.isDirect(frame.id) : undefined;
    return this.#session.takes(frame, bytes, isDirect) && this.#handle(frame);
  }

  #handle(frame: ServerFrame): boolean {
    switch (frame.type) {
      case 'ping':
        if (frame.next) this.#connection.expect(frame.next);
        this.write({ ...pongTo(frame), ...this.#session.received() });
        break;
      case 'pong':
        if (typeof frame.nonce === 'number' && frame.nonce !== this.#nonce) break; // the answer to an earlier one
        this.confirmation.ponged();
        this.#transmitter.trials.heard(true);
        return true;
      case 'response':
        this.#caller.response(frame.id, frame.result);
        this.#transmitter.trials.heard(false);
        break;
      case 'error':
        this.#caller.error(frame.id, frame.error);
        this.#transmitter.trials.heard(false);
        break;
      case 'request':
        this.#responder.request(frame);
        break;
      case 'cancel':
        this.#responder.cancel(frame.id);
        break;
      case 'item':
        this.#caller.item(frame.id, frame.data, frame.cursor);
        this.#transmitter.trials.heard(false);
        break;
      case 'end':
        this.#caller.response(frame.id, undefined);
        break;
      case 'credit':
        this.#responder.credit(frame.id, frame.count);
        break;
      case 'grant':
        this.#caller.grant(frame.id, frame.count);
        break;
      case 'bye':
        this.#farewell(frame);
        break;
      case 'auth':
        this.#agreement.refresh(frame.within);
        break;
      case 'event':
      case 'message':
      case 'unsubscribe':
      case 'presence':
        this.#host.deliver(frame);
        break;
      default: // an ack, a skip, or a welcome out of place
    }
    return false;
  }

  /** The server is about to close: nothing new is begun, and the close is not waited for for ever. */
  #farewell(frame: Bye): void {
    this.#agreement.bye = frame;
    this.#transmitter.pause();
    const { clock } = this.#settings;
    clock.clearTimeout(this.#byeTimer);
    this.#byeTimer = clock.setTimeout(
      () => this.#connection.fail({ kind: 'closed', code: frame.code, reason: frame.reason ?? '', wasClean: false }),
      BYE_TIMEOUT,
    );
  }

  #violated(error: ProtocolError): void {
    const code = error instanceof GapError ? SEQUENCE_GAP : UNDECODABLE;
    if (this.state.status === 'open') {
      // The session is over, and the server would keep it.
      this.#transmitter.sayLast({ type: 'bye', code, reason: shortened(error.message), reconnect: true, resume: false });
    }
    this.#connection.fail({ kind: 'violation', code, reason: shortened(error.message), wasClean: false, error });
  }

  #ping(): void {
    this.flush();
    this.confirmation.asked();
    this.write({ type: 'ping', nonce: ++this.#nonce, ...this.#session.received() });
    this.flush();
  }

  #emitted(emission: Emission, lostBytes: number): void {
    const { clock } = this.#settings;
    clock.clearTimeout(this.#byeTimer);
    if (emission.type === 'emitOpened') return this.#emitOpened(this.#agreement.opened as Opened);
    const { loss, willReconnect } = emission;
    this.#transmitter.trials.closed(isAbrupt(loss) && !this.#agreement.bye);
    this.#agreement.ended(willReconnect);
    this.confirmation.lost();
    this.#caller.disconnected();
    this.#session.detach();
    if (!this.#session.exists || !willReconnect || this.#agreement.forgets) this.#session.lose(willReconnect);
    this.#perform();
    const { messages, bytes } = this.#transmitter.queued;
    this.#host.lost(loss, willReconnect, { lostBytes, queuedMessages: messages, queuedBytes: bytes });
  }

  #emitOpened(opened: Opened): void {
    this.#traffic.connections++;
    if (opened.resumed) this.#traffic.resumed++;
    this.#perform();
    this.flush(); // what is written again has the lower ids
    this.#host.opened(opened);
    this.#takeAll(() => opened.rest ?? [], 0);
  }

  #perform(): void {
    for (const deed of this.#later.splice(0)) guarded(deed);
  }

  /** Nobody waits for the answers of what runs any more. */
  #endAnswers(): void {
    const responder = this.#responder;
    this.#responder = this.#newResponder();
    this.#later.push(() => responder.stop(new SessionLostError('The connection was lost', true)));
  }

  #newResponder(): Responder {
    const responder: Responder = new Responder({
      clock: this.#settings.clock,
      limit: this.#settings.maxConcurrentCalls,
      find: (method) => this.#host.find(method),
      // The answers of a session that is over belong to nobody in the next one.
      write: (frame, payload) => responder !== this.#responder || !this.#transmitter.answer(frame, payload),
      failed: (error) => this.#host.failed(error),
    });
    return responder;
  }
}

/** Whether the server was gone all at once, as one is that has crashed, or has said that it could not go on. */
function isAbrupt({ kind, code, wasClean }: Loss): boolean {
  return kind === 'closed' && (!wasClean || code === INTERNAL_ERROR);
}

function signedOut(): ClosedError {
  return new ClosedError('It belonged to who was signed in before');
}
