/** What was said in the room of the demo. It outlives restarts of the server, as a database would. */

import { randomUUID } from 'node:crypto';
import { CallError } from '../src/errors.ts';
import type { Message } from './contract.ts';

const KEPT = 10_000;
const SHOWN = 100;

export class Archive {
  /** Another one after the demo was started anew. */
  readonly id: string = randomUUID();
  readonly #messages = new Map<string, Message>();
  readonly #tallies = new Map<string, number>();

  /** Keeps a message; one that is there already is not kept again. Throws CallError at what is no message. */
  keep(data: unknown): void {
    const message = read(data);
    if (this.#messages.has(message.id)) return;
    this.#messages.set(message.id, message);
    this.#tallies.set(message.from, this.tally(message.from) + 1);
    if (this.#messages.size <= KEPT) return;
    for (const id of this.#messages.keys()) return void this.#messages.delete(id);
  }

  latest(): Message[] {
    return [...this.#messages.values()].slice(-SHOWN);
  }

  arrived(ids: readonly string[]): Message[] {
    return ids.flatMap((id) => this.#messages.get(id) ?? []);
  }

  /** How many messages somebody wrote, ever. */
  tally(from: string): number {
    return this.#tallies.get(from) ?? 0;
  }
}

function read(data: unknown): Message {
  const { id, from, text } = Object(data) as Record<keyof Message, unknown>;
  if (typeof id !== 'string' || typeof from !== 'string' || typeof text !== 'string' || id.length + from.length + text.length > 1_000)
    throw new CallError('INVALID_ARGUMENT', 'A message is { id, from, text }, short strings');
  return { id, from, text };
}
