/** What one client says within its session, and what is said to it: events, calls both ways, publishes. Numbers are the business of client.ts. */

import { Caller, type Posting, type Question } from '../caller.ts';
import { type CallError, type MessageTooLargeError, SessionLostError } from '../errors.ts';
import { type Answerer, Responder } from '../responder.ts';
import { Streaming } from '../streaming.ts';
import { Uploading } from '../uploading.ts';
import { encodePayload, type Payload } from '../wire/codec.ts';
import { wireError } from '../wire/errors.ts';
import type { ClientFrame, Outgoing, Request } from '../wire/frames.ts';
import type { ServerClient } from './client.ts';
import { CallContext } from './context.ts';
import type { Execution } from './once.ts';
import type { HandlerContext, HostSettings } from './options.ts';

/** Frames that come out of a session: the rest belongs to the connection. */
export type SessionFrame = Exclude<
  ClientFrame,
  { type: 'hello' | 'ping' | 'pong' | 'ack' | 'bye' | 'subscribe' | 'unsubscribe' | 'presence' | 'auth' }
>;

/** What a dispatcher needs of the server. */
export interface DispatcherHost {
  readonly settings: HostSettings;
  /** @param key where it is to be published once, however often it is sent */
  publish(client: ServerClient, channel: string, data: unknown, key: string | undefined): Promise<unknown>;
  /** Executes once, however often it is asked for. */
  once(client: ServerClient, execution: Omit<Execution, 'identity'>, run: (signal: AbortSignal) => unknown): Promise<unknown>;
  method(name: string): ((params: unknown, context: HandlerContext) => unknown) | undefined;
  event(client: ServerClient, name: string, data: unknown): void;
}

/** The way to the client. */
export interface DispatcherWay {
  /** Sends a frame of the session; returns why not, when it is larger than the client takes. */
  write(frame: Outgoing, payload?: Payload, posting?: Posting): MessageTooLargeError | undefined;
  /** Takes back what was posted; true when it is not written, and will not be. */
  withdraw(posting: Posting): boolean;
  /** Resolves when more may be written without piling up; undefined where that is now. */
  room(): Promise<void> | undefined;
  /** Whether both sides have a feature. */
  has(feature: string): boolean;
  /** The last call has been answered. */
  idle(): void;
}

export class Dispatcher {
  readonly #client: ServerClient;
  readonly #host: DispatcherHost;
  readonly #way: DispatcherWay;
  readonly #caller: Caller;
  readonly #responder: Responder;

  constructor(client: ServerClient, host: DispatcherHost, way: DispatcherWay) {
    this.#client = client;
    this.#host = host;
    this.#way = way;
    const { clock, limits, onerror } = host.settings;
    this.#caller = new Caller({
      clock,
      post: (posting) => {
        const error = way.write(posting.frame(), posting.payload, posting);
        if (error) posting.dropped('too-large', error);
        return () => way.withdraw(posting);
      },
      write: (frame) => void way.write(frame),
    });
    this.#responder = new Responder({
      clock,
      limit: limits.calls,
      find: (name) => this.#find(name),
      write: (frame, payload) => !way.write(frame, payload),
      failed: (error, method) => onerror(error, `the handler of ${method}`),
      streams: (id, credit, write) => new Streaming(id, credit, write, way.room),
      uploads: (grant, others) => (others < limits.uploads ? new Uploading(grant) : undefined),
      idle: way.idle,
    });
  }

  /** Whether calls are being answered. */
  get isBusy(): boolean {
    return this.#responder.size > 0;
  }

  /** Calls a method of the client. */
  ask(question: Question): Promise<unknown> {
    return this.#caller.ask(question);
  }

  /** Notes an id of a question that is not a call. */
  use(id: number): void {
    this.#responder.use(id);
  }

  /** The session is over: nobody is there to answer, or to be answered. */
  stop(): void {
    this.#responder.stop(new SessionLostError('The connection was lost', true));
    this.#caller.lost();
  }

  /** A frame of the session is to be handled. */
  dispatch(frame: SessionFrame): void {
    switch (frame.type) {
      case 'event':
        return this.#host.event(this.#client, frame.name, frame.data);
      case 'request':
        return this.#answer(frame);
      case 'response':
        return this.#caller.response(frame.id, frame.result);
      case 'error':
        return this.#caller.error(frame.id, frame.error);
      case 'cancel':
        return this.#responder.cancel(frame.id);
      case 'item':
        return this.#caller.item(frame.id, frame.data, frame.cursor);
      case 'end':
        return this.#caller.response(frame.id, undefined);
      case 'credit':
        return this.#responder.credit(frame.id, frame.count);
      case 'chunk':
        return this.#responder.chunk(frame.id, frame.data);
      case 'finish':
        return this.#responder.finish(frame.id);
      case 'publish':
        return this.#publish(frame);
      default: // a skip
    }
  }

  #answer(asked: Request): void {
    const request = asked.upload && !this.#way.has('uploads') ? { ...asked, upload: false } : asked;
    const { method, params, idempotencyKey: key, stream, upload } = request;
    const answerer = this.#find(method);
    if (typeof key !== 'string' || stream || upload || !answerer) return this.#responder.request(request, answerer);
    this.#responder.request(request, (_, signal) =>
      this.#host.once(this.#client, { method, key, params, signal }, (lasting) => answerer(params, lasting)),
    );
  }

  #find(name: string): Answerer | undefined {
    const method = this.#host.method(name);
    return method && ((params, signal, extras) => method(params, new CallContext(this.#client, signal, extras)));
  }

  #publish({ id, channel, data, idempotencyKey }: Extract<SessionFrame, { type: 'publish' }>): void {
    const isAsked = typeof id === 'number';
    if (isAsked) this.#responder.use(id);
    // Not a call: many may be under way at once, after an outage above all. Without an id nobody wants an answer.
    this.#host.publish(this.#client, channel, data, idempotencyKey ?? undefined).then(
      (result) => isAsked && this.#way.write({ type: 'response', id }, encodePayload(result)),
      (error: CallError) => isAsked && this.#way.write({ type: 'error', id, error: wireError(error) }),
    );
  }
}
