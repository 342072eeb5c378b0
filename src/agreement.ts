/** How a connection of a client begins, and what its end means: the address, the credentials, what is agreed on with the server, goodbyes. */

import { AddressSource, type ProviderContext, type UrlSource } from './address.ts';
import type { Address } from './attempt.ts';
import { placed } from './auth-place.ts';
import type { Question } from './caller.ts';
import type { ClientOptions, ClientSettings } from './client-options.ts';
import type { ClientSession } from './client-session.ts';
import type { AttemptContext } from './connection.ts';
import type { Rules as HeartbeatRules } from './core/heartbeat.ts';
import type { Ruling } from './core/retry-policy.ts';
import type { Loss } from './core/state.ts';
import { type Auth, Credentials } from './credentials.ts';
import { ClosedError, ProtocolError, type UnauthorizedError } from './errors.ts';
import type { HandshakeSocket } from './handshake.ts';
import type { Way } from './line.ts';
import { Refresh } from './refresh.ts';
import { guarded } from './report.ts';
import type { Bye, Declaration } from './wire/frames.ts';
import { ACK_WITHIN, type Opened, PATIENCE } from './wire/protocol.ts';

/** What an agreement needs of its client. */
export interface AgreementHost {
  readonly session: ClientSession;
  /** How many attempts have failed in a row, and how the last connection ended. */
  past(): { readonly attempt: number; readonly cause: Loss | undefined };
  /** The channels to be declared in a hello that is written now. */
  declarations(): readonly Declaration[];
  /** The way onto the connection that was agreed on. */
  way(opened: Opened): Way;
  /** The server has broken the protocol. */
  violated(error: ProtocolError): void;
  ask(question: Question): Promise<unknown>;
  /** Fresh credentials are wanted, and there are none yet. */
  failed(error: unknown): void;
  /** There will be none. */
  unauthorized(error: UnauthorizedError): void;
}

/** Close codes for something that was too large, from whoever noticed. */
const TOO_LARGE: readonly number[] = [1009, 4413];
/** Data of a kind that is not taken (RFC 6455, section 7.4.1): of what a page can send, bytes. */
const UNSUPPORTED_DATA = 1003;

export class Agreement {
  readonly #options: ClientOptions;
  readonly #settings: ClientSettings;
  readonly #host: AgreementHost;
  readonly #address: AddressSource;
  readonly #credentials: Credentials;
  readonly #refresh: Refresh;
  #auth: unknown;
  /** Something that was sent may have been too large for the way. */
  #tooLarge = false;
  /** A connection was closed because of bytes: whoever did that would do it again, and what was written with them would go in circles. */
  #refusesBinary = false;
  /** The attempt before was refused for its credentials. */
  #unauthorized = false;
  /** What was agreed on with the server of the current connection, or of the one before. */
  opened: Opened | undefined;
  /** What the server said before the end of this connection. */
  bye: Bye | undefined;
  /** Whether the session is not to survive the connection. */
  forgets = false;

  constructor(url: UrlSource, options: ClientOptions, settings: ClientSettings, host: AgreementHost) {
    this.#options = options;
    this.#settings = settings;
    this.#host = host;
    this.#credentials = new Credentials(options.auth, settings.clock, settings.authTimeout);
    this.#refresh = new Refresh({
      clock: settings.clock,
      random: settings.random,
      ask: (signal) => this.#credentials.ask({ attempt: 0, cause: host.past().cause, everOpened: true, signal }),
      tell: (auth) => this.#offer(auth),
      failed: host.failed,
      unauthorized: host.unauthorized,
    });
    this.#address = new AddressSource(url, options.subprotocol === false ? [] : [...settings.protocol.subprotocols]);
  }

  /** The connection, or the attempt, has ended. */
  ended(willReconnect: boolean): void {
    this.#refresh.stop();
    this.bye = undefined;
    if (!willReconnect) this.#unauthorized = this.#refusesBinary = false;
  }

  /** Somebody else is to be spoken for from now on. */
  setAuth(auth: Auth | undefined): void {
    this.#refresh.stop();
    this.#credentials.auth = auth;
    this.#auth = undefined;
    this.#unauthorized = false;
  }

  /** The server wants fresh credentials within so many milliseconds, for the connection that there is. */
  refresh(within: number): void {
    this.#refresh.begin(within);
  }

  /** Where to connect, and as whom. */
  async resolve(context: ProviderContext): Promise<Address> {
    await undefined; // not while the client is being made: the user's functions may want to use it
    if (context.signal.aborted) throw new ClosedError('It was given up before it had begun');
    const [where, credentials] = await Promise.all([this.#address.resolve(context), this.#credentials.ask(context)]);
    const { authIn } = this.#settings;
    if (!context.signal.aborted) this.#auth = authIn ? undefined : credentials;
    return authIn && credentials !== undefined && credentials !== null ? placed(authIn, where, credentials) : where;
  }

  /** Agrees with the server on what is to hold for this connection; undefined where it was given up meanwhile. */
  async open(socket: HandshakeSocket, signal: AbortSignal): Promise<Opened | undefined> {
    const { protocol, messageLimit } = this.#settings;
    const { session, past, declarations, way, violated } = this.#host;
    const { attempt, cause } = past();
    this.bye = undefined;
    this.forgets = false;
    let opened: Opened = { capabilities: protocol.capabilities, limit: Infinity, subscriptions: [], resumed: false };
    try {
      const opening = {
        auth: this.#auth,
        attempt,
        cause: cause && `${cause.kind} ${cause.code}`,
        limit: messageLimit,
        subscriptions: () => declarations(),
        resume: () => session.resume(),
        bye: (frame: Bye) => {
          this.bye = frame;
        },
      };
      if (protocol.open) opened = await protocol.open(socket, opening);
      if (signal.aborted) return undefined; // given up meanwhile: what it agreed on is not heard of
      if (this.#refusesBinary) opened = { ...opened, capabilities: { ...opened.capabilities, binary: false } };
      this.opened = opened;
      session.agree(opened, way(opened), this.#tooLarge);
      this.#tooLarge = false;
    } catch (error) {
      if (error instanceof ProtocolError && !signal.aborted) violated(error);
      throw error;
    }
    return opened;
  }

  /** The server pings, and has to be heard every interval + timeout; asked shortly before, in case its ping is only late (docs/protocol.md, Life). */
  get heartbeat(): HeartbeatRules | undefined {
    const { protocol, probeTimeout } = this.#settings;
    const { interval, timeout } = this.opened?.heartbeat ?? {};
    if (!protocol.pings || interval === undefined || timeout === undefined) return undefined;
    return {
      interval: interval + timeout / 2,
      timeout: timeout / 2,
      probeTimeout,
      answers: true,
      speaks: interval + timeout,
      givesUp: interval + PATIENCE * timeout,
      ...(this.#host.session.exists && { acknowledges: ACK_WITHIN }),
    };
  }

  /** What an ending means, as the protocol and the user say. */
  classify(loss: Loss, { welcomed, ...context }: AttemptContext & { readonly suspects: number; readonly welcomed: boolean }): Ruling {
    const { shouldReconnect } = this.#options;
    const { suspects } = context;
    const { verdict, retryAfter, forget } = this.#settings.protocol.classify({ ...loss, welcomed, bye: this.bye, suspects });
    this.forgets = forget === true;
    const said = this.bye?.code ?? loss.code;
    if (welcomed) this.#tooLarge = TOO_LARGE.includes(said);
    if (welcomed && said === UNSUPPORTED_DATA) this.#refusesBinary ||= !this.#host.session.exists || this.#host.session.hasBinary;
    // A connection that lasted was authorized, whatever became of the credentials; one that was closed at once was not.
    const again = this.#unauthorized && context.attempt > 0;
    this.#unauthorized = verdict === 'reauthorize';
    if (shouldReconnect && guarded(() => shouldReconnect(loss, context)) === false) return { verdict: 'refused' };
    if (verdict === 'reauthorize') return { verdict: again ? 'unauthorized' : 'retry', retryAfter };
    return { verdict, retryAfter };
  }

  /** Hands fresh credentials to the server. */
  #offer(auth: unknown): Promise<unknown> {
    return this.#host.ask({
      name: 'auth',
      what: 'the offer of credentials',
      payload: undefined,
      timeout: this.#settings.authTimeout,
      waiting: { direct: true },
      frame: (id) => ({ type: 'auth', id, ...(auth !== undefined && { auth }) }),
    });
  }
}
