/** What becomes of the session from connection to connection: told in the timeline, and in short under the state. */

import type { Client } from 'holdfast';
import type { Demo } from './contract.ts';
import type { Room } from './room.ts';
import type { Entry } from './tally.ts';
import { opened, restarted, sessionOf } from './words.ts';

export class SessionStory {
  /** How the connection of now came by its session; "" for the first one. */
  summary = '';
  readonly #room: Room;
  /** When the connection was lost; undefined while there is one, and where there is no session to go on with. */
  #lostAt: number | undefined;
  /** Frames written again, before this connection. */
  #again = 0;
  /** Messages that are there when a connection opens, before anything is written: how many were never written, and which were. */
  #waiting = 0;
  #open: readonly Entry[] = [];

  constructor(client: Client<Demo>, room: Room, log: (line: string) => void) {
    this.#room = room;
    client.addEventListener('statechange', ({ state: { status }, previous }) => {
      if (status === 'open') this.#look();
      else if (status === 'closing' || status === 'closed') this.#lostAt = undefined;
      else if (previous.status === 'open') this.#lostAt = Date.now();
    });
    client.addEventListener('open', ({ resumed }) => {
      const now = Date.now();
      const [isFirst, away] = [this.#lostAt === undefined, now - (this.#lostAt ?? now)];
      const again = client.stats.resent - this.#again;
      if (!isFirst && !resumed) room.sentAgain(this.#open);
      this.summary = isFirst ? '' : sessionOf(resumed, again);
      log(opened({ resumed: isFirst ? undefined : resumed, away, again, open: this.#open.length, waiting: this.#waiting }));
      this.#again = client.stats.resent;
      this.#lostAt = undefined;
    });
  }

  /** The server has said that it is another run. */
  restarted(): void {
    if (this.summary) this.summary = restarted;
  }

  #look(): void {
    this.#room.look();
    const entries = [...this.#room.entries.values()];
    this.#waiting = entries.filter(({ fate }) => fate === 'queued').length;
    this.#open = entries.filter(({ fate }) => fate === 'sent');
  }
}
