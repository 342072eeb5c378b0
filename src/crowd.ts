/** All that one client knows of who is there on one channel, and shows there; several watch it, each on its own. */

import type { Channel, ChannelListener } from './channel.ts';
import { CallError, ClosedError, SessionLostError, TimeoutError } from './errors.ts';
import { MemberEvent } from './events.ts';
import type { Presence } from './presence.ts';
import type { Member, ServerFrame } from './wire/frames.ts';

type Change<T> = ['join' | 'update' | 'leave', Member<T>, Member<T> | undefined];

export class Crowd<T> implements ChannelListener<unknown> {
  members: ReadonlyMap<string, Member<T>> = new Map();
  me: string | undefined;
  readonly #channel: Channel;
  /** What each shows, the one that spoke last at the end. */
  readonly #shown = new Map<Presence<T>, string | undefined>();
  #unlisten: (() => void) | undefined;
  /** Part of a snapshot; the rest follows. */
  #arriving: Map<string, Member<T>> | undefined;
  #isKnown = false;
  /** What the server was told on this connection, and whether it has not answered yet. */
  #told: string | undefined;
  #asking: object | undefined;
  /** The server may think that this client is here. */
  #mayBeHere = false;
  /** What the server has taken last of what is shown. */
  #accepted: string | undefined;
  /** What the server refuses to show, on this connection: the last that it took stands in its place until somebody asks again. */
  #refusedPayload: string | undefined;
  /** The server said no to watching too. */
  #isRefused = false;
  #scheduled = false;

  /** The one of a channel, from the first that watches to the last. */
  static of<T>(channel: Channel): Crowd<T> {
    return (crowds.get(channel) ?? new Crowd(channel)) as Crowd<T>;
  }

  private constructor(channel: Channel) {
    this.#channel = channel;
  }

  get isCurrent(): boolean {
    return this.#isKnown && this.#channel.state.status === 'subscribed';
  }

  add(one: Presence<T>, payload: string | undefined): void {
    this.#shown.set(one, payload);
    crowds.set(this.#channel, this as Crowd<unknown>);
    if (this.isCurrent) one.settle();
    else if (this.#channel.host.isOver) one.settle(new ClosedError());
    this.#demand();
  }

  show(one: Presence<T>, payload: string | undefined): void {
    this.#shown.delete(one);
    this.#shown.set(one, payload);
    this.#demand();
  }

  remove(one: Presence<T>): void {
    this.#shown.delete(one);
    this.#schedule();
  }

  message(): void {}

  ready(): void {
    this.#isKnown = false;
    this.#told = this.#asking = this.#arriving = this.me = this.#refusedPayload = undefined;
    this.#schedule();
  }

  presence({ set, gone, snapshot, more }: Extract<ServerFrame, { type: 'presence' }>): void {
    const entries = (set ?? []).map((member) => [member.id, { ...member, from: member.from ?? undefined } as Member<T>] as const);
    if (!snapshot) {
      this.#arriving = undefined;
      const next = new Map([...this.members, ...entries]);
      for (const id of gone ?? []) next.delete(id);
      return this.#become(next);
    }
    this.#arriving = new Map([...(this.#arriving ?? []), ...entries]);
    if (more) return;
    const all = this.#arriving;
    this.#arriving = undefined;
    const isNews = !this.#isKnown;
    this.#isKnown = true;
    this.#become(all, isNews);
    for (const one of [...this.#shown.keys()]) one.settle();
  }

  failed(error: unknown): void {
    for (const one of [...this.#shown.keys()]) one.settle(error);
  }

  closed(error: Error | undefined): void {
    this.failed(error ?? new ClosedError());
  }

  /** Whoever was here is gone, and is not shown as somebody else. */
  forgotten(): void {
    this.#become(new Map());
    for (const one of [...this.#shown.keys()]) one.close();
    this.#shown.clear();
    this.#isKnown = false;
    this.#told = this.#asking = this.#arriving = this.me = this.#refusedPayload = this.#accepted = undefined;
    this.#end();
  }

  /** Tells what is different from before. */
  #become(next: ReadonlyMap<string, Member<T>>, isNews = false): void {
    const before = this.members;
    const changes: Change<T>[] = [];
    for (const [id, member] of before) if (!next.has(id)) changes.push(['leave', member, undefined]);
    for (const [id, member] of next) {
      const previous = before.get(id);
      if (!previous) changes.push(['join', member, undefined]);
      else if (previous !== member && JSON.stringify(previous) !== JSON.stringify(member)) changes.push(['update', member, previous]);
    }
    if (changes.length > 0) this.members = next;
    else if (!isNews) return;
    for (const one of [...this.#shown.keys()]) {
      const events = changes.map((change) => new MemberEvent(...change));
      for (const event of [...events, new Event('change')]) if (this.#shown.has(one)) one.dispatchEvent(event);
    }
  }

  /** Somebody wants something: what was refused is asked for again. */
  #demand(): void {
    if (this.#isRefused || this.#refusedPayload !== undefined) this.#told = this.#refusedPayload = undefined;
    if (this.#channel.state.status === 'failed') this.#unlisten?.();
    if (!this.#unlisten || this.#channel.state.status === 'failed') this.#unlisten = this.#channel.listen(this);
    this.#schedule();
  }

  /** At the end of the task: what comes and goes in it is never told. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#tell();
    });
  }

  /** The server is told what is different from what it was told last, one after the other. */
  #tell(): void {
    if (this.#asking) return;
    const isWatched = this.#shown.size > 0;
    const wanted = [...this.#shown.values()].filter((each) => each !== undefined).at(-1);
    const payload = wanted !== undefined && wanted === this.#refusedPayload ? this.#accepted : wanted;
    const wish = JSON.stringify([isWatched, payload]);
    const { state, isShared } = this.#channel;
    const known = this.#told ?? (this.#mayBeHere ? undefined : NOTHING);
    if (state.status === 'subscribed' && wish !== known) this.#ask(wish, isWatched, payload);
    // While others keep the channel it is said when that can be said.
    else if (!isWatched && !(this.#mayBeHere && isShared && state.status === 'subscribing')) this.#end();
  }

  #end(): void {
    if (crowds.get(this.#channel) === (this as Crowd<unknown>)) crowds.delete(this.#channel);
    this.#unlisten?.();
    this.#unlisten = undefined;
    this.#mayBeHere = false;
  }

  #ask(wish: string, watch: boolean, payload: string | undefined): void {
    const { name, host } = this.#channel;
    this.#isRefused = false;
    const unsupported = host.unsupported('presence');
    if (unsupported) return this.#refused(unsupported);
    this.#told = wish;
    if (payload !== undefined) this.#mayBeHere = true;
    const asking = {};
    this.#asking = asking;
    const shown = payload === undefined ? { here: false } : { here: true, data: JSON.parse(payload) as unknown };
    const isCurrent = () => this.#asking === asking;
    const done = (result: unknown) => {
      const { member } = Object(result) as { readonly member?: unknown };
      if (!isCurrent()) return;
      this.me = typeof member === 'string' ? member : undefined;
      this.#mayBeHere = payload !== undefined;
      this.#accepted = payload;
    };
    const failed = (error: unknown) => {
      if (!isCurrent() || this.#channel.state.status !== 'subscribed') return; // it is going to be asked anew
      if (error instanceof SessionLostError || error instanceof ClosedError) return;
      this.#refused(asCallError(error), payload);
      if (error instanceof TimeoutError) this.#told = undefined; // whatever became of it, it is asked again
    };
    host
      .ask(name, {
        what: `the presence on ${name}`,
        frame: (id) => ({ type: 'presence', id, channel: name, watch, ...shown }),
        done,
      })
      .catch(failed)
      .then(() => {
        if (!isCurrent()) return;
        this.#asking = undefined;
        this.#tell(); // what has changed meanwhile
      });
  }

  /** @param payload what it was that the server does not want to show; where it shows something, watching may still be allowed */
  #refused(error: Error, payload?: string): void {
    this.#isRefused = payload === undefined;
    if (payload !== undefined && !(error instanceof CallError && error.code === 'DEADLINE_EXCEEDED')) {
      this.#refusedPayload = payload;
      if (this.#accepted === payload) this.#accepted = undefined;
    }
    for (const [one, shown] of [...this.#shown]) if (this.#isRefused || shown === payload) one.settle(error);
    // Where it was watching that is refused as well, that was told.
    if (payload !== undefined || this.#refusedPayload === undefined) this.#channel.host.failed(error);
  }
}

/** Of channels that somebody watches. */
const crowds = new WeakMap<object, Crowd<unknown>>();
/** Nobody watches, and nothing is shown. */
const NOTHING = JSON.stringify([false, undefined]);

function asCallError(error: unknown): Error {
  if (error instanceof TimeoutError) return new CallError('DEADLINE_EXCEEDED', error.message);
  return error instanceof Error ? error : new CallError('ABORTED', String(error));
}
