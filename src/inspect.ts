/** A look inside a client or a socket: what happens, why, and how long it takes. */

import { boolean, type Check, Checker, checkOptions, object } from './checks.ts';
import type { Client } from './client.ts';
import type { Connection } from './connection.ts';
import type { Effect, Event } from './core/machine.ts';
import type { State } from './core/state.ts';
import { describe } from './describe.ts';
import type { ClientDropEvent } from './events.ts';
import { type FrameNote, notesOf } from './frame-notes.ts';
import { connectionOf, isClient } from './internals.ts';
import type { WebSocketLike } from './io/web-socket.ts';
import { redacted } from './redacted.ts';
import { guarded } from './report.ts';
import { Samples, type Summary } from './samples.ts';
import type { ReconnectingWebSocket } from './socket.ts';
import type { Tap } from './tap.ts';
import { bytesOf } from './wire/codec.ts';

/** Something that happened. */
export interface LogEntry {
  /** When, in epoch milliseconds. */
  readonly at: number;
  /**
   * `state`: it has another one. `decision`: what was done, or not, about something that happened. `sent`, `received`: a message on the wire.
   * `drop`, `error`: the events of these names.
   */
  readonly type: 'state' | 'decision' | 'sent' | 'received' | 'drop' | 'error';
  /** In words, without credentials. */
  readonly text: string;
  /** Bytes of a message. */
  readonly bytes?: number;
  /** The frames of a message, where they are those of the Holdfast protocol. */
  readonly frames?: readonly FrameNote[];
}

/** Where a log goes as well: the console, and everything like it. Methods that are missing are not called. */
export interface Logger {
  /** Messages. */
  readonly debug?: (text: string, entry: LogEntry) => void;
  /** States and decisions. */
  readonly info?: (text: string, entry: LogEntry) => void;
  /** Losses and drops. */
  readonly warn?: (text: string, entry: LogEntry) => void;
  /** Errors. */
  readonly error?: (text: string, entry: LogEntry) => void;
}

/** What is looked at, and how much of it is kept. */
export interface InspectOptions {
  /** Entries of the log that are kept; the oldest go. @default 500 */
  readonly limit?: number;
  /** Whether the log shows data, parameters and results, up to 1000 characters each. @default false */
  readonly payloads?: boolean;
  /** Where every entry goes as well. @default nowhere */
  readonly logger?: Logger;
}

/** What was counted and measured since `inspect()` was called. */
export interface Metrics {
  /** Messages on the wire. */
  readonly messagesSent: number;
  /** Their bytes, text as UTF-8. */
  readonly bytesSent: number;
  /** Messages on the wire. */
  readonly messagesReceived: number;
  /** Their bytes, text as UTF-8. */
  readonly bytesReceived: number;
  /** Attempts to connect. */
  readonly attempts: number;
  /** Connections that opened. */
  readonly connections: number;
  /** Those of them that went on with the session of the one before. */
  readonly resumed: number;
  /** Connections that were lost, and attempts that failed. */
  readonly losses: number;
  /** Messages that were dropped. */
  readonly drops: number;
  /** From a ping of a `Client` to its pong. */
  readonly roundTrip: Summary;
  /** From the loss of a connection to the next one. */
  readonly reconnect: Summary;
}

const OPTIONS: Record<keyof InspectOptions, Check> = {
  limit: [(value) => Number.isSafeInteger(value) && (value as number) >= 1, 'a whole number, 1 or more'],
  payloads: boolean,
  logger: [object[0], 'an object like console'],
};

/** The levels of a logger. */
const LEVELS: Record<LogEntry['type'], keyof Logger> = {
  state: 'info',
  decision: 'info',
  sent: 'debug',
  received: 'debug',
  drop: 'warn',
  error: 'error',
};

/** All that an {@link Inspector} knows, as JSON. */
export interface InspectorReport {
  /** The state in words. */
  readonly state: string;
  /** What was counted and measured. */
  readonly metrics: Metrics;
  /** What has happened, oldest first. */
  readonly log: readonly LogEntry[];
}

/** A look inside; made by {@link inspect}. */
export interface Inspector {
  /** What has happened, oldest first: a copy. */
  readonly log: readonly LogEntry[];
  /** What was counted and measured: a copy. */
  readonly metrics: Metrics;
  /**
   * For `JSON.stringify`: an export, to be attached to a report.
   *
   * @returns the state in words, the metrics and the log
   */
  toJSON(): InspectorReport;
  /** Ends it: from now on nothing is looked at, and nothing costs anything. What is there stays. */
  stop(): void;
}

class Observation implements Inspector, Tap {
  readonly #target: Client | ReconnectingWebSocket;
  readonly #connection: Connection;
  readonly #limit: number;
  readonly #payloads: boolean;
  readonly #logger: Logger | undefined;
  #log: LogEntry[] = [];
  readonly #counts = {
    messagesSent: 0,
    bytesSent: 0,
    messagesReceived: 0,
    bytesReceived: 0,
    attempts: 0,
    connections: 0,
    resumed: 0,
    losses: 0,
    drops: 0,
  };
  readonly #roundTrips = new Samples();
  readonly #reconnects = new Samples();
  #lostAt: number | undefined;
  /** When the ping went out that is not answered, and its nonce. */
  #asked: { readonly at: number; readonly nonce: number } | undefined;
  /** Whether its messages are frames of ours: those of a drop-in are nobody's business. */
  readonly #knowsFrames: boolean;
  #unwrap = (): void => {};
  #isStopped = false;

  constructor(target: Client | ReconnectingWebSocket, connection: Connection, { limit = 500, payloads = false, logger }: InspectOptions) {
    this.#target = target;
    this.#connection = connection;
    this.#limit = limit;
    this.#payloads = payloads;
    this.#logger = logger;
    this.#knowsFrames = isClient(target);
  }

  begin(): void {
    if (this.#connection.socket) this.made(this.#connection.socket);
    (this.#target as EventTarget).addEventListener('drop', this.#dropped);
    (this.#target as EventTarget).addEventListener('error', this.#failed);
  }

  get log(): readonly LogEntry[] {
    return this.#log.slice(-this.#limit);
  }

  get metrics(): Metrics {
    return { ...this.#counts, roundTrip: this.#roundTrips.summary, reconnect: this.#reconnects.summary };
  }

  toJSON(): InspectorReport {
    return { state: redacted(describe(this.#target.state)), metrics: this.metrics, log: this.log };
  }

  stop(): void {
    this.#isStopped = true;
    this.#connection.unwatch(this);
    (this.#target as EventTarget).removeEventListener('drop', this.#dropped);
    (this.#target as EventTarget).removeEventListener('error', this.#failed);
    this.#unwrap();
  }

  stepped(event: Event, previous: State, state: State, effects: readonly Effect[]): void {
    const counts = this.#counts;
    const now = this.#connection.now;
    for (const effect of effects) {
      if (effect.type === 'openSocket') counts.attempts++;
      if (effect.type === 'emitLost') counts.losses++;
    }
    if (previous.status === 'open' && state.status !== 'open') this.#lostAt = now;
    if (state.status === 'open' && previous.status !== 'open') {
      counts.connections++;
      if (state.resumed) counts.resumed++;
      if (this.#lostAt !== undefined) this.#reconnects.add(now - this.#lostAt);
      this.#lostAt = undefined;
    }
    if (event.type === 'wokeUp') this.#note('decision', `the page woke up: ${wakened(effects)}`);
    if (state === previous) return;
    const delay = effects.flatMap((effect) => (effect.type === 'startTimer' ? [effect.delay] : []))[0];
    const isWaiting = state.status === 'waiting' || state.status === 'offline';
    const next = isWaiting && delay !== undefined ? `; the next attempt in ${Math.round(delay)} ms` : '';
    this.#note('state', `${describe(state)}${next}`, {}, isWaiting || state.status === 'closed' ? 'warn' : 'info');
  }

  made(socket: WebSocketLike): void {
    const { url } = socket as { readonly url?: unknown };
    if (typeof url === 'string') this.#note('decision', `a socket to ${url}`);
    const { send } = socket;
    socket.send = (data) => {
      this.#sent(data);
      send.call(socket, data);
    };
    const { send: noted } = socket;
    this.#unwrap = () => {
      if (socket.send === noted) socket.send = send;
    };
  }

  received(data: unknown): void {
    const bytes = bytesOf(data);
    this.#counts.messagesReceived++;
    this.#counts.bytesReceived += bytes;
    const frames = this.#message('received', data, bytes);
    if (!this.#asked || !frames.some(({ type, nonce }) => type === 'pong' && nonce === this.#asked?.nonce)) return;
    this.#roundTrips.add(this.#connection.now - this.#asked.at);
    this.#asked = undefined;
  }

  #sent(data: unknown): void {
    if (this.#isStopped) return;
    const bytes = bytesOf(data);
    this.#counts.messagesSent++;
    this.#counts.bytesSent += bytes;
    const frames = this.#message('sent', data, bytes);
    // One that announces a large message has the nonce 0, and says nothing about the way.
    const { nonce } = frames.find(({ type, nonce }) => type === 'ping' && nonce) ?? {};
    if (nonce) this.#asked = { at: this.#connection.now, nonce };
  }

  #message(type: 'sent' | 'received', data: unknown, bytes: number): readonly FrameNote[] {
    const frames = this.#knowsFrames ? notesOf(data, this.#payloads) : [];
    const what = frames.length > 0 ? frames.map(inShort).join(', ') : typeof data === 'string' ? 'a text' : 'a binary message';
    this.#note(type, `${what} (${bytes} bytes)`, { bytes, ...(frames.length > 0 && { frames }) });
    return frames;
  }

  readonly #dropped = (event: unknown) => {
    this.#counts.drops++;
    const { kind, name, reason } = event as Partial<ClientDropEvent>;
    this.#note('drop', kind === undefined ? `a message was dropped: ${reason}` : `${kind} ${name} was dropped: ${reason}`);
  };

  readonly #failed = (event: unknown) => {
    const { error } = event as { readonly error?: { readonly message?: unknown } };
    this.#note('error', String(error?.message ?? error));
  };

  #note(type: LogEntry['type'], text: string, more: Partial<LogEntry> = {}, level: keyof Logger = LEVELS[type]): void {
    if (this.#isStopped) return;
    const entry: LogEntry = { at: this.#connection.wall, type, text: redacted(text), ...more };
    this.#log.push(entry);
    if (this.#log.length > 2 * this.#limit) this.#log = this.#log.slice(-this.#limit);
    guarded(() => this.#logger?.[level]?.(entry.text, entry));
  }
}

/**
 * Looks inside a client or socket from now on: a bounded log of states, decisions and messages (types and sizes, no payloads unless asked
 * for, never credentials), and counters with the times of round trips and of reconnecting. It costs something while it looks: each message is
 * parsed once more.
 *
 * @param target a {@link Client} or {@link ReconnectingWebSocket}
 * @param options `limit`, `payloads` and `logger`
 * @returns the log, the metrics, and how to end it
 * @throws `TypeError` at anything else, at a bad option, and where somebody looks already
 *
 * @example
 * const inspector = inspect(client, { logger: console });
 * document.querySelector('button')?.addEventListener('click', () => fetch('/reports', { method: 'POST', body: JSON.stringify(inspector) }));
 */
export function inspect(target: Pick<Client, 'state'> | ReconnectingWebSocket, options: InspectOptions = {}): Inspector {
  checkOptions(options);
  const checker = new Checker();
  const given = checker.given(options, OPTIONS);
  const connection = connectionOf(target, 'inspect');
  checker.warn();
  const inspector = new Observation(target as Client, connection, given);
  connection.watch(inspector);
  inspector.begin();
  return inspector;
}

function inShort({ type, seq, name }: FrameNote): string {
  return `${type}${name === undefined ? '' : ` ${name}`}${seq === undefined ? '' : ` #${seq}`}`;
}

function wakened(effects: readonly Effect[]): string {
  const types = effects.map(({ type }) => type);
  if (types.includes('probe')) return 'the peer is asked for a sign of life';
  if (types.includes('openSocket')) return 'the attempt is begun anew';
  const timer = effects.find((effect) => effect.type === 'startTimer');
  return timer ? `the next attempt is in ${Math.round((timer as { delay: number }).delay)} ms` : 'nothing is to be done';
}
