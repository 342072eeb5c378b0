/**
 * What an application may rely on, judged from outside: the oracle hears what the application did and what its handlers saw, and knows nothing
 * of frames, numbers or acknowledgements. It holds against everybody who claims that messages arrive once and in order.
 */

/** One message from a client to a server: an event. */
interface Upward {
  readonly id: number;
  readonly how: string;
  /** The client said that it will not be sent. */
  dropped: boolean;
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
  executions: number;
  outcome: Outcome | undefined;
}

interface ChannelLog {
  /** What the subscriber saw since it subscribed: numbers of messages, and gaps. */
  last: number | undefined;
  gap: boolean;
  /** Numbers that went out on this connection, and were not heard yet. */
  readonly owed: Set<number>;
}

export class Oracle {
  readonly violations: string[] = [];
  readonly #upward = new Map<number, Upward>();
  /** The last message of the plain kind that each session has handled. */
  readonly #lastPlain = new Map<string, number>();
  readonly #downward = new Map<string, Downward>();
  readonly #calls = new Map<string, Call>();
  readonly #channels = new Map<string, ChannelLog>();
  readonly #published = new Map<string, number>();
  #isOpen = false;
  /** Sessions that the client was told it had lost. */
  #lost = 0;
  /** What the client could be told only by `maybe`: whether unreported losses are forgiven is up to the claim. */
  readonly #claims: { readonly nothingLost: boolean };

  constructor(claims: { readonly nothingLost: boolean }) {
    this.#claims = claims;
  }

  #violated(text: string): void {
    this.violations.push(text);
  }

  /** The client opened a connection, and says whether its session goes on. */
  opened(resumed: boolean): void {
    this.#isOpen = true;
    if (!resumed) this.#lost++;
    for (const log of this.#channels.values()) log.owed.clear();
  }

  /** The client says that its connection is gone: nothing of it may come any more. */
  closed(): void {
    this.#isOpen = false;
  }

  sent(id: number, how: string): void {
    this.#upward.set(id, { id, how, dropped: false, handled: [] });
  }

  dropped(id: number): void {
    const message = this.#upward.get(id);
    if (!message) return this.#violated(`event ${id} was dropped, and never sent`);
    if (message.dropped) this.#violated(`event ${id} was reported as dropped twice`);
    message.dropped = true;
    if (message.handled.length > 0) this.#violated(`event ${id} was handled, and then reported as dropped`);
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

  called(call: string, what: string, by: string): void {
    this.#calls.set(call, { what, by, executions: 0, outcome: undefined });
  }

  /** A caller has died, and waits for nothing any more. */
  died(by: string): void {
    for (const call of this.#calls.values()) if (call.by === by) call.outcome ??= { kind: 'maybe' };
  }

  executed(call: string): void {
    const known = this.#calls.get(call);
    if (!known) return this.#violated(`${call} was executed, and never called`);
    known.executions++;
    if (known.executions > 1) this.#violated(`${call} (${known.what}) was executed ${known.executions} times`);
    if (known.outcome?.kind === 'never') this.#violated(`${call} was executed after the caller was told that it never would be`);
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
  published(channel: string, publish: (number: number) => number): void {
    const number = (this.#published.get(channel) ?? 0) + 1;
    this.#published.set(channel, number);
    if (publish(number) > 0) this.#channels.get(channel)?.owed.add(number);
  }

  subscribed(channel: string): void {
    this.#channels.set(channel, { last: undefined, gap: false, owed: new Set() });
  }

  unsubscribed(channel: string): void {
    this.#channels.delete(channel);
  }

  gap(channel: string): void {
    const log = this.#channels.get(channel);
    if (!log) return;
    if (log.gap) return; // told twice that something may be missing, with nothing between
    log.gap = true;
  }

  heard(channel: string, number: number): void {
    const log = this.#channels.get(channel);
    if (!log) return this.#violated(`${channel} delivered ${number}, and nobody is subscribed`);
    if (log.last !== undefined) {
      if (number <= log.last) this.#violated(`${channel} delivered ${number} after ${log.last}`);
      else if (number > log.last + 1 && !log.gap) this.#violated(`${channel} delivered ${number} after ${log.last} without a gap`);
    }
    log.last = number;
    log.gap = false;
    log.owed.delete(number);
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
      for (const { id, how, dropped, handled } of this.#upward.values())
        if (!dropped && handled.length === 0 && how !== 'volatile') this.#violated(`event ${id} (${how}) was lost without a word`);
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
