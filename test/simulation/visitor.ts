/** Somebody who is in a room, or only looks into it, by a real client; what it sees has to make sense. */

import type { Client } from '../../src/client.ts';
import type { MemberEvent } from '../../src/events.ts';
import { type Presence, presence } from '../../src/presence.ts';

/** What everybody shows: a number that only rises. */
export interface Shown {
  readonly by: string;
  readonly n: number;
  readonly padding?: string;
}

export interface VisitorHost {
  readonly name: string;
  readonly room: string;
  readonly client: Client;
  /** How often a member was gone by now, in truth. */
  gone(id: string): number;
  log(line: string): void;
  violated(text: string): void;
}

/** What is done with the presence of a client. */
export type Deed = 'show' | 'watch' | 'leave' | 'close' | 'reopen';

export class Visitor {
  readonly #host: VisitorHost;
  #presence: Presence<Shown> | undefined;
  /** The last number that it has shown. */
  #shown = 0;
  #isHere = false;
  /** The last number that it had shown when it left: what shows no more than that may be gone. */
  #left = 0;
  /** Who is there, by what the events said: the number that each shows. */
  #known = new Map<string, number>();
  /** How often it was told that a member left. */
  readonly #leaves = new Map<string, number>();

  constructor(host: VisitorHost) {
    this.#host = host;
  }

  /** What it has to be seen with; undefined where it does not want to be there. */
  get wanted(): number | undefined {
    return this.#isHere ? this.#shown : undefined;
  }

  get isWatching(): boolean {
    return this.#presence !== undefined;
  }

  /** Whether it is said to know who is there. */
  get isCurrent(): boolean {
    return this.#presence?.isCurrent === true;
  }

  /** Whether it knows that it is there. */
  get isConfirmed(): boolean {
    return this.isCurrent && this.#presence?.me !== undefined;
  }

  /** Whether it has left since it showed that. */
  hasLeft(n: number): boolean {
    return n <= this.#left;
  }

  perform(deed: Deed): void {
    const before = this.#presence;
    switch (deed) {
      case 'show':
        if (before) before.update(this.#show());
        else this.#open(true);
        break;
      case 'watch':
        if (!before) this.#open(false);
        break;
      case 'leave':
        before?.leave();
        this.#leave();
        break;
      case 'close':
        before?.close();
        this.#presence = undefined;
        this.#leave();
        break;
      case 'reopen': // in one task: nobody is to notice
        before?.close();
        this.#open(this.#isHere);
        break;
      default:
        deed satisfies never;
    }
  }

  #show(): Shown {
    this.#isHere = true;
    return { by: this.#host.name, n: ++this.#shown };
  }

  #leave(): void {
    this.#isHere = false;
    this.#left = this.#shown;
  }

  #open(isHere: boolean): void {
    const { client, room } = this.#host;
    const opened = presence<Shown>(client.channel(room), isHere ? { data: this.#show() } : {});
    this.#presence = opened;
    this.#known = new Map([...opened.members].map(([id, { data }]) => [id, data.n]));
    const heard = (event: MemberEvent<Shown>) => {
      if (this.#presence === opened) this.#heard(event);
      else this.#violated(`heard of a ${event.type} after it was closed`);
    };
    opened.addEventListener('join', heard);
    opened.addEventListener('update', heard);
    opened.addEventListener('leave', heard);
    opened.addEventListener('change', () => this.#compare(opened, this.#known, 'what it was told'));
  }

  #heard({ type, member: { id, data } }: MemberEvent<Shown>): void {
    const before = this.#known.get(id);
    if ((type === 'join') !== (before === undefined)) this.#violated(`heard of a ${type} of ${id}, who was ${before ? '' : 'not '}there`);
    if (type === 'update' && before !== undefined && data.n < before) this.#violated(`saw ${id} go back from ${before} to ${data.n}`);
    if (type !== 'leave') return void this.#known.set(id, data.n);
    this.#known.delete(id);
    const leaves = (this.#leaves.get(id) ?? 0) + 1;
    this.#leaves.set(id, leaves);
    if (leaves > this.#host.gone(id)) this.#violated(`saw ${id} leave, who is there`);
  }

  /** It has to see what is so. */
  check(truth: ReadonlyMap<string, number>): void {
    const opened = this.#presence;
    if (!opened) return;
    if (!opened.isCurrent) this.#violated('does not know who is there');
    else this.#compare(opened, truth, 'what is so');
    const me = opened.me === undefined ? undefined : opened.members.get(opened.me)?.data;
    if (this.wanted !== me?.n) this.#violated(`shows ${this.wanted}, and sees itself with ${me?.n}`);
    else if (me && me.by !== this.#host.name) this.#violated(`takes itself for ${me.by}`);
  }

  #compare({ members }: Presence<Shown>, truth: ReadonlyMap<string, number>, what: string): void {
    const text = (all: Iterable<readonly [string, number]>) =>
      [...all]
        .map(([id, n]) => `${id}: ${n}`)
        .sort()
        .join(', ');
    const [seen, so] = [text([...members].map(([id, { data }]) => [id, data.n] as const)), text(truth)];
    if (seen !== so) this.#violated(`sees {${seen}}, and ${what} is {${so}}`);
  }

  #violated(text: string): void {
    this.#host.violated(`${this.#host.name} ${text}`);
  }
}
