/**
 * Watches the channel from outside: each message has to be the next one, and after a cut none may be missing of what was published meanwhile.
 * The library sees to that; this is the proof.
 */

import type { Client } from 'holdfast';
import type { Demo } from './contract.ts';
import { misplaced, recovered } from './words.ts';

export class Watch {
  readonly #log: (line: string, kind: 'good' | 'bad') => void;
  /** Of the last message; undefined where none has come. */
  #last: number | undefined;
  /** Up to where the room was loaded. */
  #loaded: number | undefined;
  /** Up to where everything has to come in. */
  #target = Infinity;
  /** Messages of others since the connection was lost. */
  #news = 0;

  /** @param me whose messages are no news */
  constructor(client: Client<Demo>, me: string, log: (line: string, kind: 'good' | 'bad') => void) {
    this.#log = log;
    const channel = client.channel('room');
    channel.addEventListener('message', ({ data, offset = 0 }) => this.#receive(offset, data.from !== me));
    channel.addEventListener('gap', () => {
      this.#last = this.#loaded = undefined;
    });
    client.addEventListener('statechange', ({ previous }) => {
      if (previous.status !== 'open') return;
      if (this.#target === Infinity) this.#news = 0;
      this.#target = Infinity;
    });
    client.addEventListener('open', async ({ resumed, recovered: isWhole }) => {
      if (!resumed || !isWhole) return;
      this.#target = (await client.call('position').catch(() => undefined)) ?? Infinity;
      this.#settle();
    });
  }

  /** The room was loaded, up to this message. */
  startsAt(offset: number): void {
    this.#loaded = offset;
  }

  #receive(offset: number, isNews: boolean): void {
    const before = this.#last ?? this.#loaded;
    const isNext = this.#last === undefined ? offset <= (before ?? offset) + 1 : offset === this.#last + 1;
    if (!isNext) this.#log(misplaced(offset, before ?? 0), 'bad');
    this.#last = offset;
    if (isNews) this.#news++;
    this.#settle();
  }

  /** Whether everything has come in that had been published when the connection was back. */
  #settle(): void {
    if ((this.#last ?? this.#loaded ?? 0) < this.#target) return;
    if (this.#news > 0) this.#log(recovered(this.#news), 'good');
    this.#news = 0;
    this.#target = Infinity;
  }
}
