/** Who is there on the channels of a server that shares nothing with others: everything in the memory of one process. */

import type { Member } from '../wire/frames.ts';
import type { MemberChange, Members } from './broker.ts';

type Listener = (change: MemberChange) => void;

interface Place {
  readonly members: Map<string, Member>;
  /** Replaced, never changed. */
  listeners: readonly Listener[];
}

export class MemoryMembers implements Members {
  readonly #places = new Map<string, Place>();
  /** Changes that are being handed on, and those that listeners made meanwhile. */
  #waiting: { readonly listeners: readonly Listener[]; readonly change: MemberChange }[] = [];
  readonly #onerror: (error: unknown) => void;

  constructor(onerror: (error: unknown) => void) {
    this.#onerror = onerror;
  }

  enter(channel: string, member: Member): void {
    const place = this.#placeOf(channel);
    place.members.set(member.id, member);
    this.#tell(place, { set: member });
  }

  leave(channel: string, id: string): void {
    const place = this.#places.get(channel);
    if (!place?.members.delete(id)) return;
    this.#tell(place, { gone: id });
    this.#tidy(channel, place);
  }

  list(channel: string): Member[] {
    return [...(this.#places.get(channel)?.members.values() ?? [])];
  }

  watch(channel: string, listener: Listener): () => void {
    const place = this.#placeOf(channel);
    let isStopped = false;
    const own: Listener = (change) => {
      if (!isStopped) listener(change);
    };
    place.listeners = [...place.listeners, own];
    return () => {
      isStopped = true;
      place.listeners = place.listeners.filter((each) => each !== own);
      this.#tidy(channel, place);
    };
  }

  #placeOf(channel: string): Place {
    const place = this.#places.get(channel) ?? { members: new Map(), listeners: [] };
    this.#places.set(channel, place);
    return place;
  }

  /** What listeners say meanwhile comes after it, so that all have the same order. */
  #tell({ listeners }: Place, change: MemberChange): void {
    this.#waiting.push({ listeners, change });
    if (this.#waiting.length > 1) return;
    for (const { listeners, change } of this.#waiting) for (const listener of listeners) this.#hand(listener, change);
    this.#waiting = [];
  }

  #hand(listener: Listener, change: MemberChange): void {
    try {
      listener(change);
    } catch (error) {
      this.#onerror(error);
    }
  }

  #tidy(channel: string, place: Place): void {
    if (place.members.size === 0 && place.listeners.length === 0 && this.#places.get(channel) === place) this.#places.delete(channel);
  }
}
