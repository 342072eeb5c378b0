/** What one end of a connection says, for whoever replays the vectors. */

import { type FakeClock, settled } from './fake-clock.ts';
import type { Heard } from './replay.ts';
import type { Fields, Json } from './vectors.ts';

/** How long the next that is said is waited for, and how often it is looked for; milliseconds. */
const PATIENCE = 1_000;
const LOOK = 250;

/** Everything that follows without waiting, and what is due within a millisecond. */
export async function settle(clock: FakeClock): Promise<void> {
  await clock.advance(1);
  for (let i = 0; i < 5; i++) await settled();
}

/** What one end of a connection said. */
export class Inbox {
  readonly #heard: Heard[] = [];
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  message(message: string | Uint8Array): void {
    this.#heard.push(...heardIn(message));
  }

  closed(code: number): void {
    this.#heard.push({ close: code });
  }

  /** The next that was said, or is said soon. */
  async next(): Promise<Heard | undefined> {
    await settle(this.#clock);
    for (let waited = 0; this.#heard.length === 0 && waited < PATIENCE; waited += LOOK) {
      await this.#clock.advance(LOOK);
      await settle(this.#clock);
    }
    return this.#heard.shift();
  }
}

/** The frames of a message, each with its payload where that came in bytes. */
export function heardIn(message: string | Uint8Array): Heard[] {
  if (typeof message === 'string') return [JSON.parse(message) as Json].flat().map((frame) => ({ frame: frame as Fields }));
  const end = message.indexOf(0xff);
  return [{ frame: JSON.parse(Buffer.from(message.subarray(0, end)).toString()) as Fields, payload: message.slice(end + 1) }];
}
