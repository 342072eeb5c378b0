/**
 * What an application may rely on, judged from outside: the oracle hears what the application did and what its handlers saw, and knows nothing
 * of frames, numbers or acknowledgements. It holds against everybody who claims that messages arrive once and in order.
 */

/** One message from a client to a server: an event. */
interface Upward {
  readonly id: number;
  readonly how: string;
  /** Processes of the server that it has ended, and how many of them the client has seen to end. */
  deaths: number;
  seen: number;
  /** The client said that it will not be sent. */
  dropped: boolean;
  /** The client said that the server has it, or that nobody will know. */
  receipt: 'acknowledged' | 'unknown' | undefined;
  /** The servers' clients (sessions) that handled it, in order, with the count of lost sessions that the client had been told of by then. */
  readonly handled: { readonly session: string; readonly lost: number }[];
}

/** One message from a server to a client, within one session. */
interface Downward {
  readonly sent: number[];
  readonly handled: number[];
}

type Outcome = { readonly kind: 'result' | 'refused' | 'maybe' | 'never' | 'aborted' };

interface Call {
  readonly what: string;
  readonly by: string;
  /** Whether it is to be executed once, also where it is sent again in another session. */
  readonly idempotent: boolean;
  executions: number;
  /** Sessions that the client was told it had lost, by the last execution; and the process of the server that executed. */
  lost: number;
  server: number;
  outcome: Outcome | undefined;
}

interface ChannelLog {
  /** What the subscriber saw since it subscribed: numbers of messages, and gaps. */
  last: number | undefined;
  /** The process of the server that it had the last one from. */
  server: number;
  /** Connections by the last gap: one gap on each is enough. */
  gapAt: number;
  gap: boolean;
  /** Whether it starts from a snapshot, and whether it has one that still holds. */
  loads: boolean;
  loaded: boolean;
  /** Numbers that went out on this connection, and were not heard yet. */
  readonly owed: Set<number>;
}

interface StreamLog {
  readonly count: number;
  readonly cursors: boolean;
  last: number;
  /** Handlers that produce it. */
  producers: number;
  end: string | undefined;
}

/** Processes of the server that a message may end. */
const DEATHS = 5;
/** Messages of a channel that the server keeps. */
const HISTORY = 100;

export class Oracle {
  readonly violations: string[] = [];
  readonly #upward = new Map<number, Upward>();
  /** The last message of the plain kind that each session has handled. */
  readonly #lastPlain = new Map<string, number>();
  readonly #downward = new Map<string, Downward>();
  readonly #calls = new Map<string, Call>();
  readonly #channels = new Map<string, ChannelLog>();
  readonly #streams = new Map<string, StreamLog>();
  readonly #published = new Map<string, number>();
  /** The process of the server that published a message. */
  readonly #publishers = new Map<string, number>();
  #isOpen = false;
  /** What the server has died of just now. */
  #killer: Upward | undefined;
  #opened = 0;
  /** Sessions that the client was told it had lost. */
  #lost = 0;
  /** What the client could be told only by `maybe`: whether unreported losses are forgiven is up to the claim. */
  readonly #claims: { readonly nothingLost: boolean; readonly sessions?: boolean };

  constructor(claims: { readonly nothingLost: boolean; readonly sessions?: boolean }) {
    this.#claims = claims;
  }

  #violated(text: string): void {
    this.violations.push(text);
  }

  /** The client opened a connection, and says whether its session goes on. */
  opened(resumed: boolean): void {
    this.#isOpen = true;
    this.#opened++;
    if (!resumed) this.#lost++;
    for (const log of this.#channels.values()) log.owed.clear();
  }

  /** The client says that its connection is gone: nothing of it may come any more. */
  closed(code: number): void {
    const killer = this.#isOpen && code === 1006 ? this.#killer : undefined; // else the client was not there to see it
    this.#killer = undefined;
    if (killer && ++killer.seen > DEATHS) this.#violated(`event ${killer.id} has killed ${killer.seen} times`);
    this.#isOpen = false;
  }

  sent(id: number, how: string): void {
    this.#upward.set(id, { id, how, deaths: 0, seen: 0, dropped: false, receipt: undefined, handled: [] });
  }

  /** A process of the server has read it, and has died of it. */
  killed(id: number): void {
    const message = this.#upward.get(id);
    if (!message) return this.#violated(`event ${id} has killed, and was never sent`);
    if (message.dropped) this.#violated(`event ${id} was reported as dropped, and then killed`);
    message.deaths++;
    this.#killer = message;
  }

  dropped(id: number, reason?: string): void {
    const message = this.#upward.get(id);
    if (!message) return this.#violated(`event ${id} was dropped, and never sent`);
    if (reason === 'poison' && message.deaths === 0) this.#violated(`event ${id} was dropped as poison, and is innocent`);
    if (message.dropped) this.#violated(`event ${id} was reported as dropped twice`);
    message.dropped = true;
    if (message.handled.length > 0) this.#violated(`event ${id} was handled, and then reported as dropped`);
  }

  /** The client says that the server has it. */
  acknowledged(id: number): void {
    const message = this.#upward.get(id);
    if (!message || message.handled.length === 0) return this.#violated(`event ${id} was acknowledged, and not handled`);
    if (message.dropped) this.#violated(`event ${id} was reported as dropped, and then acknowledged`);
    message.receipt = 'acknowledged';
  }

  /** The client says that nobody will know what became of it, which is no surprise when it is closed. */
  unknown(id: number, isClosed: boolean): void {
    const message = this.#upward.get(id);
    if (!message) return this.#violated(`event ${id} is unknown, and was never sent`);
    if (message.receipt || message.dropped) this.#violated(`event ${id} is unknown, after it was known`);
    if (!isClosed && this.#claims.nothingLost) this.#violated(`event ${id} (${message.how}) is unknown, and the client is not closed`);
    message.receipt = 'unknown';
  }

  handled(id: number, session: string): void {
    const message = this.#upward.get(id);
    if (!message) return this.#violated(`event ${id} was handled, and never sent`);
    if (message.dropped) this.#violated(`event ${id} was reported as dropped, and then handled`);
    const before = message.handled.at(-1);
    if (before?.session === session) this.#violated(`event ${id} was handled twice in one session`);
    else if (before && before.lost === this.#lost) this.#violated(`event ${id} was handled twice, though no session was lost between`);
    if (before && message.how === 'volatile') this.#violated(`volatile event ${id} was handled twice`);
    message.handled.push({ session, lost: this.#lost });
    if (message.how !== 'plain') return;
    const last = this.#lastPlain.get(session) ?? -1;
    if (id < last) this.#violated(`event ${id} was handled after event ${last}`);
    this.#lastPlain.set(session, Math.max(last, id));
  }

  serverSent(session: string, id: number): void {
    const way = this.#downward.get(session) ?? { sent: [], handled: [] };
    this.#downward.set(session, way);
    way.sent.push(id);
  }

  clientHandled(session: string, id: number): void {
    if (!this.#isOpen) this.#violated(`the client handled message ${id}, though its connection is gone`);
    const way = this.#downward.get(session);
    const expected = way?.sent[way.handled.length];
    if (!way || expected === undefined) return this.#violated(`the client handled message ${id} once more than it was sent`);
    if (expected !== id) this.#violated(`the client handled message ${id} instead of ${expected}`);
    way.handled.push(id);
  }

  called(call: string, what: string, by: string, idempotent = false): void {
    this.#calls.set(call, { what, by, idempotent, executions: 0, lost: this.#lost, server: 0, outcome: undefined });
  }

  /** A server has died, and its handlers with it. */
  perished(): void {
    for (const stream of this.#streams.values()) stream.producers = 0;
  }

  /** A caller has died, and waits for nothing any more. */
  died(by: string): void {
    for (const call of this.#calls.values()) if (call.by === by) call.outcome ??= { kind: 'maybe' };
  }

  /** `server` is the process that executes it: another one remembers nothing of what was idempotent. */
  executed(call: string, server = 0): void {
    const known = this.#calls.get(call);
    if (!known) return this.#violated(`${call} was executed, and never called`);
    const sentAgain = known.idempotent
      ? known.server !== server || (known.what === 'throws' && known.lost !== this.#lost)
      : known.what === 'publish' && known.lost !== this.#lost;
    known.executions = sentAgain ? 1 : known.executions + 1;
    known.lost = this.#lost;
    known.server = server;
    if (known.executions > 1) this.#violated(`${call} (${known.what}) was executed ${known.executions} times`);
    if (known.outcome?.kind === 'never') this.#violated(`${call} was executed after the caller was told that it never would be`);
  }

  /** A call took too long, though there was a connection all the time. */
  unanswered(call: string): void {
    const known = this.#calls.get(call);
    if (known && known.executions > 0) this.#violated(`${call} (${known.what}) was executed, and never answered`);
  }

  settled(call: string, kind: Outcome['kind']): void {
    const known = this.#calls.get(call);
    if (!known) return this.#violated(`${call} settled, and was never called`);
    if (known.outcome) return this.#violated(`${call} settled twice`);
    known.outcome = { kind };
    if ((kind === 'result' || (kind === 'refused' && known.what !== 'missing')) && known.executions !== 1)
      this.#violated(`${call} (${known.what}) came back as ${kind}, and was executed ${known.executions} times`);
    if (kind === 'never' && known.executions > 0) this.#violated(`${call} was executed, and the caller is told that it was not`);
  }

  /** The server publishes the next message on a channel; `publish` says to how many it went. */
  published(channel: string, publish: (number: number) => number, server = 0): void {
    const number = (this.#published.get(channel) ?? 0) + 1;
    this.#published.set(channel, number);
    this.#publishers.set(`${channel} ${number}`, server);
    if (publish(number) > 0) this.#channels.get(channel)?.owed.add(number);
  }

  subscribed(channel: string, loads = false): void {
    this.#channels.set(channel, { last: undefined, server: 0, gapAt: -1, gap: false, loads, loaded: false, owed: new Set() });
  }

  unsubscribed(channel: string): void {
    this.#channels.delete(channel);
  }

  /** The subscriber is told that something may be missing. */
  gap(channel: string, server = 0): void {
    const log = this.#channels.get(channel);
    if (!log) return;
    const missing = (this.#published.get(channel) ?? 0) - (log.last ?? 0);
    if (log.last !== undefined && log.server === server && missing <= HISTORY && this.#claims.nothingLost)
      this.#violated(`${channel} has a gap after ${log.last}, and the server has everything since`);
    if (log.gapAt === this.#opened) this.#violated(`${channel} has two gaps on one connection`);
    log.gapAt = this.#opened;
    log.gap = true;
    log.loaded = false;
  }

  /** How many messages of a channel were published. */
  count(channel: string): number {
    return this.#published.get(channel) ?? 0;
  }

  /** The subscriber has taken in a snapshot that knows the first so many. */
  loaded(channel: string, number: number): void {
    const log = this.#channels.get(channel);
    if (!log) return;
    if (log.last !== undefined && number < log.last && log.server === this.#publishers.get(`${channel} ${number}`))
      this.#violated(`${channel} got a snapshot up to ${number} after ${log.last}`);
    log.loaded = true;
    for (const each of log.owed) if (each <= number) log.owed.delete(each);
    log.last = number;
    log.server = this.#publishers.get(`${channel} ${number}`) ?? 0;
    log.gap = false;
  }

  heard(channel: string, number: number): void {
    const log = this.#channels.get(channel);
    if (!log) return this.#violated(`${channel} delivered ${number}, and nobody is subscribed`);
    if (log.loads && !log.loaded) this.#violated(`${channel} delivered ${number} before a snapshot`);
    if (log.last !== undefined) {
      if (number <= log.last) this.#violated(`${channel} delivered ${number} after ${log.last}`);
      else if (number > log.last + 1 && !log.gap) this.#violated(`${channel} delivered ${number} after ${log.last} without a gap`);
    }
    log.last = number;
    log.server = this.#publishers.get(`${channel} ${number}`) ?? 0;
    log.gap = false;
    log.owed.delete(number);
  }

  /** A stream of the numbers 1 to `count` is asked for. */
  reads(stream: string, count: number, cursors: boolean): void {
    this.#streams.set(stream, { count, cursors, last: 0, producers: 0, end: undefined });
  }

  read(stream: string, item: number): void {
    const known = this.#streams.get(stream);
    if (!known) return this.#violated(`${stream} gave ${item}, and nobody reads`);
    if (known.end) this.#violated(`${stream} gave ${item}, and is over`);
    if (item !== known.last + 1) this.#violated(`${stream} gave ${item} after ${known.last}`);
    known.last = item;
  }

  /** A handler begins, or ends, to produce a stream. */
  producing(stream: string, change: number): void {
    const known = this.#streams.get(stream);
    if (known) known.producers += change;
  }

  left(stream: string, how: 'ended' | 'broken' | 'lost' | 'failed'): void {
    const known = this.#streams.get(stream);
    if (!known) return;
    known.end = how;
    if (how === 'ended' && known.last !== known.count) this.#violated(`${stream} ended after ${known.last} of ${known.count}`);
    if (how === 'failed') this.#violated(`${stream} failed`);
  }

  /** A handler or a hook failed that was not told to, or something else that must not be. */
  surprised(text: string): void {
    this.#violated(text);
  }

  /** Faults have stopped long ago: nothing may be under way any more. `session` is the one that the server has now. */
  finish({ session, queued, pending, status }: { session: string; queued: number; pending: number; status: string }): void {
    if (status !== 'open') this.#violated(`it is ${status} in the end`);
    if (queued > 0) this.#violated(`${queued} messages wait in the end`);
    if (pending > 0) this.#violated(`${pending} calls are pending in the end`);
    if (this.#claims.nothingLost)
      for (const { id, how, dropped, receipt, handled } of this.#upward.values()) {
        if (dropped || receipt !== undefined || how === 'volatile') continue;
        if (handled.length === 0) this.#violated(`event ${id} (${how}) was lost without a word`);
        else if (this.#claims.sessions !== false) this.#violated(`event ${id} (${how}) was never acknowledged`);
      }
    for (const [stream, { end, producers }] of this.#streams) {
      if (!end) this.#violated(`${stream} never ended`);
      if (producers > 0) this.#violated(`${stream} is over, and ${producers} handlers still produce it`);
    }
    for (const [call, { outcome, what }] of this.#calls) if (!outcome) this.#violated(`${call} (${what}) never settled`);
    const current = this.#downward.get(session);
    if (current && current.handled.length < current.sent.length)
      this.#violated(`the client handled ${current.handled.length} of ${current.sent.length} messages of its session`);
    for (const [channel, { last, gap, owed }] of this.#channels) {
      if (owed.size > 0) this.#violated(`${channel}: ${[...owed].join(', ')} went out and was never heard`);
      const published = this.#published.get(channel);
      if (published !== undefined && last !== published)
        this.#violated(`${channel} ended with ${last} of ${published}${gap ? ' and a gap' : ''}`);
    }
  }
}
