/** Waiting until what was sent has left and arrived: there is no event for that, so it is looked at again and again. */

import type { Conversation } from './conversation.ts';
import type { Clock } from './io/clock.ts';

/** How often; milliseconds. */
const LOOK_EVERY = 25;

export class Draining {
  readonly #conversation: Conversation;
  readonly #clock: Clock;

  constructor(conversation: Conversation, clock: Clock) {
    this.#conversation = conversation;
    this.#clock = clock;
  }

  /** Until everything that is unfinished now has left and is acknowledged, where that is done, or it is over. */
  drained(isOver: () => boolean): Promise<void> {
    let left = new Set(this.#conversation.unfinished);
    return this.#until(() => {
      const now = new Set(this.#conversation.unfinished);
      left = new Set([...left].filter((posting) => now.has(posting)));
      return isOver() || (left.size === 0 && this.#conversation.bufferedAmount === 0);
    });
  }

  /** Until nothing waits, nothing is unacknowledged and nothing unanswered, it is closed, or so many milliseconds are over. */
  finished(limit: number): Promise<void> {
    const end = this.#clock.now() + limit;
    return this.#until(() => {
      const { unfinished, pendingCalls, bufferedAmount, state } = this.#conversation;
      const busy = unfinished.length > 0 || pendingCalls > 0 || bufferedAmount > 0;
      return !busy || this.#clock.now() >= end || state.status === 'closed';
    });
  }

  /** The server is asked how far it is, since it may take its time to say so. */
  #until(isDone: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (asks: boolean) => {
        if (isDone()) return resolve();
        const waits = this.#conversation.queued.messages > 0;
        if (asks && !waits) this.#conversation.hasten();
        this.#clock.setTimeout(() => look(waits), LOOK_EVERY);
      };
      look(true);
    });
  }
}
