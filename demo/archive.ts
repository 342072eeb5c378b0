/** What was said in the room of the demo, and how often it came. It outlives restarts of the server, as a database would. */

import { randomUUID } from 'node:crypto';
import { CallError } from '../src/errors.ts';
import type { Arrivals, Message } from './contract.ts';

const KEPT = 10_000;
const NOTHING: Arrivals & { readonly latest: number } = { messages: 0, again: 0, late: 0, latest: 0 };

export class Archive {
  /** Another one after the demo was started anew. */
  readonly id: string = randomUUID();
  readonly #messages = new Map<string, Message>();
  /** By writer; `latest` is the highest number so far. */
  readonly #arrivals = new Map<string, typeof NOTHING>();

  /** Throws CallError at what is no message. */
  check(data: unknown): void {
    read(data);
  }

  /** Counts a message that was published, and keeps it; one that is there already is not kept again. */
  keep(data: unknown): void {
    const message = read(data);
    const { id, from, number } = message;
    const before = this.#arrivals.get(from) ?? NOTHING;
    if (this.#messages.has(id)) return void this.#arrivals.set(from, { ...before, again: before.again + 1 });
    const { messages, late, latest } = before;
    const isLate = number !== undefined && number < latest;
    this.#arrivals.set(from, {
      ...before,
      messages: messages + 1,
      late: isLate ? late + 1 : late,
      latest: Math.max(latest, number ?? 0),
    });
    this.#messages.set(id, message);
    if (this.#messages.size <= KEPT) return;
    for (const oldest of this.#messages.keys()) return void this.#messages.delete(oldest);
  }

  /** The oldest first. */
  get messages(): readonly Message[] {
    return [...this.#messages.values()];
  }

  /** What has come from one writer, ever. */
  arrivals(from: string): Arrivals {
    const { messages, again, late } = this.#arrivals.get(from) ?? NOTHING;
    return { messages, again, late };
  }
}

function read(data: unknown): Message {
  const { id, from, text, number } = Object(data) as Record<keyof Message, unknown>;
  if (typeof id !== 'string' || typeof from !== 'string' || typeof text !== 'string' || id.length + from.length + text.length > 1_000)
    throw new CallError('INVALID_ARGUMENT', 'A message is { id, from, text, number? }, short strings');
  return { id, from, text, ...(typeof number === 'number' && { number }) };
}
