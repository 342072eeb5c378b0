/**
 * The imperative shell around the machine: owns one attempt and one timer, feeds `transition()` and carries out its effects.
 * It knows no frame and holds no message of the user's: what goes over the connection is the business of the {@link Link} above.
 *
 * Dispatch is run-to-completion: the state is new and its effects are done before anybody is told, and what is told comes in the
 * order in which it happened, also when a listener closes or reconnects.
 */

import { type Address, Attempt } from './attempt.ts';
import type { Rules as HeartbeatRules } from './core/heartbeat.ts';
import {
  type Effect,
  type Emission,
  type Event,
  HEARTBEAT_LOST,
  initial,
  type Memory,
  type Model,
  type Moment,
  type Rules,
  settled,
  transition,
} from './core/machine.ts';
import type { Ruling } from './core/retry-policy.ts';
import type { CloseRequest, Loss, State } from './core/state.ts';
import { HoldfastError } from './errors.ts';
import type { HandshakeSocket } from './handshake.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Clock } from './io/clock.ts';
import type { Lifecycle, LifecycleSignal } from './io/lifecycle.ts';
import type { CreateSocket, WebSocketLike } from './io/web-socket.ts';
import { guarded } from './report.ts';
import type { Tap } from './tap.ts';

/** What is known when an address is asked for or a close is judged. */
export interface AttemptContext {
  /** Consecutive failures so far; 0 for the first attempt, and after a connection that lasted `stableAfter`. */
  readonly attempt: number;
  /** How the connection or attempt before ended; `undefined` where there was none. */
  readonly cause: Loss | undefined;
  /** Whether any connection ever opened. */
  readonly everOpened: boolean;
}

/** What goes over a connection: the face above it implements this. */
export interface Link {
  /** The address of the next attempt. A {@link HoldfastError} with the code ADDRESS_INVALID is final. */
  resolve(context: AttemptContext & { readonly signal: AbortSignal }): Address | Promise<Address>;
  /** Sets up a socket that was just made. */
  prepare(socket: WebSocketLike): void;
  /** What has to succeed before an open socket is an open connection. */
  handshake?: ((socket: HandshakeSocket, options: { signal: AbortSignal }) => unknown) | undefined;
  /** The close code for a peer that opens and then takes too long for the handshake. @default 1006, and the peer is told nothing */
  readonly timeoutCode?: number;
  /** A message on the open connection; true when it was the answer to a ping. */
  message(event: MessageEvent): boolean;
  /** How to watch over a connection that has just opened; undefined when there is no way to ask its peer. */
  heartbeat(): HeartbeatRules | undefined;
  /** Asks the peer for a sign of life. */
  ping(): void;
  /** Whether a loss may be retried. */
  classifyClose(loss: Loss, context: AttemptContext & Pick<Memory, 'suspects'>): Ruling;
  /** The state is another one. */
  stateChanged(state: State, previous: State): void;
  /** A connection opened or ended; `leftBehind` are the bytes that the socket given up last had accepted and not passed on. */
  emitted(emission: Emission, leftBehind: number): void;
}

/** The world and the rules of a connection. */
export interface ConnectionOptions extends Omit<Rules, 'handshake'> {
  readonly clock: Clock;
  readonly random: () => number;
  readonly lifecycle: Lifecycle;
  readonly createSocket: CreateSocket;
}

export class Connection {
  readonly #link: Link;
  readonly #options: ConnectionOptions;
  readonly #rules: Rules;
  /** Whoever looks on. */
  #tap: Tap | undefined;
  #model: Model = initial;
  #attempt: Attempt | undefined;
  #heartbeat: Heartbeat | undefined;
  #timer: unknown;
  #unwatch: (() => void) | undefined;
  #leftBehind = 0;
  /** When the last phase of the attempt was over, and how long it had taken. */
  #phaseAt = 0;
  #phaseTook = 0;
  /** Events that happened while effects were being carried out. */
  readonly #events: Event[] = [];
  #performing = false;
  /** What is still to be told. */
  readonly #news: (() => void)[] = [];
  #telling = false;

  constructor(link: Link, options: ConnectionOptions) {
    this.#link = link;
    this.#options = options;
    this.#rules = { ...options, handshake: link.handshake !== undefined };
  }

  /** Consecutive failures so far. */
  get attempt(): number {
    return this.#model.memory.attempt;
  }

  /** What ended the connection or attempt before. */
  get cause(): Loss | undefined {
    return this.#model.memory.cause;
  }

  get state(): State {
    return this.#model.state;
  }

  /** The socket of the current attempt, if it has one. Its owner is this connection: send on it while open, nothing else. */
  get socket(): WebSocketLike | undefined {
    return this.#attempt?.socket;
  }

  /** Bytes that the current socket has accepted and not passed on. */
  get bufferedAmount(): number {
    return this.socket?.bufferedAmount ?? 0;
  }

  /** Smoothed round-trip time in milliseconds; 0 while it is unknown. */
  get roundTrip(): number {
    return this.#heartbeat?.roundTrip ?? 0;
  }

  /** Monotonic milliseconds. */
  get now(): number {
    return this.#options.clock.now();
  }

  /** Epoch milliseconds. */
  get wall(): number {
    return this.#options.clock.wall();
  }

  /**
   * Lets somebody look on.
   *
   * @throws TypeError where somebody does already
   */
  watch(tap: Tap): void {
    if (this.#tap) throw new TypeError('It is inspected already: stop() the inspector first');
    this.#tap = tap;
  }

  unwatch(tap: Tap): void {
    if (this.#tap === tap) this.#tap = undefined;
  }

  /** Starts, if there is nothing going on. */
  connect(): void {
    this.#dispatch({ type: 'connectRequested' });
  }

  /** Makes a new connection now, whatever the state. */
  reconnect(reason: string): void {
    this.#dispatch({ type: 'reconnectRequested', reason });
  }

  /** Ends it for good. */
  close(request: CloseRequest): void {
    this.#dispatch({ type: 'closeRequested', ...request });
  }

  /** Gives up what there is for a reason found above: the loss is judged like any other. */
  fail(loss: Loss): void {
    this.#lose(loss);
  }

  /**
   * Something was written to the socket.
   *
   * @param owes whether the peer will show that it has received it
   */
  wrote(bytes: number, owes: boolean): void {
    this.#heartbeat?.wrote(bytes, owes);
  }

  /** The peer has received all but so many bytes of what was written. */
  confirmed(rest: number): void {
    this.#heartbeat?.confirmed(rest);
  }

  /** The peer says that a message of so many bytes is on its way. */
  expect(bytes: number): void {
    this.#heartbeat?.expect(bytes);
  }

  #dispatch(event: Event): void {
    this.#events.push(event);
    if (this.#performing) return;
    this.#performing = true;
    try {
      for (let next = this.#events.shift(); next; next = this.#events.shift()) this.#step(next);
    } finally {
      this.#performing = false;
    }
    this.#tell();
  }

  #step(event: Event): void {
    const { clock, random, lifecycle } = this.#options;
    const { hidden, onLine } = lifecycle;
    const moment: Moment = {
      now: clock.now(),
      wall: clock.wall(),
      random: guarded(random) || 0,
      hidden: hidden === true,
      onLine: onLine !== false,
    };
    const previous = this.#model.state;
    const [model, effects] = transition(this.#model, event, moment, this.#rules);
    const { state } = model;
    this.#model = model;
    this.#tap?.stepped(event, previous, state, effects);
    if (state !== previous) this.#news.push(() => this.#link.stateChanged(state, previous));
    for (const effect of effects) this.#perform(effect);
  }

  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    for (let next = this.#news.shift(); next; next = this.#news.shift()) guarded(next);
    this.#telling = false;
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'openSocket':
        return this.#open();
      case 'runHandshake':
        return void this.#attempt?.runHandshake(this.#link.handshake as NonNullable<Link['handshake']>);
      case 'closeSocket':
        this.#stopHeartbeat();
        return guarded(() => this.#attempt?.close(effect.code, effect.reason));
      case 'dropSocket':
        return this.#drop(effect.loss);
      case 'startTimer':
        return this.#startTimer(effect.delay);
      case 'stopTimer':
        return this.#options.clock.clearTimeout(this.#timer);
      case 'startHeartbeat':
        return this.#startHeartbeat();
      case 'probe':
        return this.#heartbeat?.probe();
      case 'watch':
        this.#unwatch = this.#options.lifecycle.watch((signal) => this.#woke(signal));
        return;
      case 'unwatch':
        return this.#unwatch?.();
      default: {
        const leftBehind = this.#leftBehind;
        this.#news.push(() => this.#link.emitted(effect, leftBehind));
      }
    }
  }

  #open(): void {
    const { clock, createSocket } = this.#options;
    const { attempt, everOpened, cause } = this.#model.memory;
    this.#attempt = new Attempt({
      clock,
      createSocket,
      resolve: (signal) => this.#link.resolve({ attempt, everOpened, cause, signal }),
      prepare: (socket) => {
        this.#tap?.made(socket);
        this.#link.prepare(socket);
      },
      heard: (data) => this.#tap?.received(data),
      happened: (event) => {
        this.#phaseTook = clock.now() - this.#phaseAt;
        this.#phaseAt += this.#phaseTook;
        this.#dispatch(event);
      },
      received: (event) => this.#received(event),
      lost: (loss, permanent) => this.#lose(loss, permanent),
    });
    void this.#attempt.start();
  }

  /** Only codes that a page may send are sent: WebSocket.close() throws at others. */
  #drop({ code, reason }: Loss): void {
    this.#stopHeartbeat();
    this.#leftBehind = this.bufferedAmount;
    if (code < 3000) this.#attempt?.drop(undefined, '');
    else this.#attempt?.drop(code, reason);
    this.#attempt = undefined;
  }

  /** Native WebSocket delivers nothing once `close()` was called, and nothing before it is open; other sockets may. */
  #received(event: MessageEvent): void {
    if (this.#model.state.status !== 'open') return;
    const heartbeat = this.#heartbeat;
    heartbeat?.heard();
    if (this.#link.message(event)) heartbeat?.answered();
  }

  /** The verdict is asked for first: it is user code, which may well have closed or replaced the connection itself. */
  #lose(loss: Loss, permanent = false): void {
    const attempt = this.#attempt;
    const { state } = this.#model;
    const memory = settled(this.#model, { now: this.#options.clock.now() }, this.#rules);
    const classify = () => guarded(() => this.#link.classifyClose(loss, memory)) ?? { verdict: 'retry' };
    const ruling: Ruling = permanent || state.status === 'closing' ? { verdict: 'refused' } : classify();
    if (attempt === this.#attempt) this.#dispatch({ type: 'lost', loss, ...ruling });
  }

  #startTimer(delay: number): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#timer);
    const start = () => {
      const buffered = this.bufferedAmount;
      this.#timer = clock.setTimeout(() => {
        const { state } = this.#model;
        if (state.status === 'connecting') return this.#lose(timedOut(delay, state.phase, this.#link.timeoutCode));
        // A slow link is not a dead one: while the last messages are leaving, closing may take its time.
        if (this.bufferedAmount < buffered) return this.#startTimer(delay);
        this.#dispatch({ type: 'timerFired' });
      }, delay);
    };
    // What was written in this task counts as buffered in Chromium, and has left a task later, on a dead link too: that is no progress.
    if (this.bufferedAmount > 0) this.#timer = clock.setTimeout(start, 0);
    else start();
  }

  #startHeartbeat(): void {
    const rules = this.#link.heartbeat();
    if (!rules) return;
    this.#heartbeat = new Heartbeat({
      clock: this.#options.clock,
      rules,
      opening: this.#phaseTook,
      ping: () => guarded(() => this.#link.ping()),
      overslept: () => this.#dispatch({ type: 'wokeUp' }),
      bufferedAmount: () => this.bufferedAmount,
      lost: () => {
        const error = new HoldfastError('HEARTBEAT_LOST', 'No answer to a ping: the link is dead');
        this.#lose({ kind: 'heartbeat', code: HEARTBEAT_LOST, reason: 'heartbeat lost', wasClean: false, error });
      },
    });
  }

  #stopHeartbeat(): void {
    this.#heartbeat?.stop();
    this.#heartbeat = undefined;
  }

  #woke(signal: LifecycleSignal): void {
    if (signal === 'offline' || signal === 'network') return this.#heartbeat?.probe();
    this.#dispatch({ type: 'wokeUp' });
    if (signal === 'thawed' && this.state.status === 'open')
      this.#lose({ kind: 'frozen', code: 1006, reason: 'page was frozen', wasClean: false });
  }
}

function timedOut(timeout: number, phase: string, handshakeCode = 1006): Loss {
  const error = new HoldfastError('CONNECT_TIMEOUT', `No connection within ${timeout} ms (still ${phase})`);
  const code = phase === 'handshaking' ? handshakeCode : 1006;
  return { kind: 'timeout', code, reason: '', wasClean: false, error };
}
