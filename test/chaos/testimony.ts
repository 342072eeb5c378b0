/**
 * What both sides told, written down where it happened, and told to the oracle later in an order in which it can have happened: a page and a
 * server have no clock in common, but nothing is handled before it was sent, and nothing opens before it was welcomed.
 */

import type { Oracle } from '../simulation/oracle.ts';
import type { ClientWitness, ServerWitness } from './witness.ts';

/** One thing that was told: a method of the oracle, and what it was told. Plain data. */
export type Entry = readonly [what: string, ...details: unknown[]];

/** A client's witness that writes down. `attempt` says which connection is the one of now. */
export function clientRecorder(write: (entry: Entry) => void, attempt: () => number): ClientWitness {
  const told =
    (what: keyof ClientWitness) =>
    (...details: unknown[]) =>
      write([what, ...details]);
  return {
    opened: (resumed) => write(['opened', resumed, attempt()]),
    closed: told('closed'),
    sent: told('sent'),
    dropped: told('dropped'),
    acknowledged: told('acknowledged'),
    unknown: told('unknown'),
    clientHandled: told('clientHandled'),
    called: told('called'),
    executed: told('executed'),
    settled: told('settled'),
    subscribed: told('subscribed'),
    gap: told('gap'),
    heard: told('heard'),
    surprised: told('surprised'),
  };
}

/** A server's witness that writes down. */
export function serverRecorder(write: (entry: Entry) => void): ServerWitness {
  const told =
    (what: keyof ServerWitness) =>
    (...details: unknown[]) =>
      write([what, ...details]);
  const published = new Map<string, number>();
  return {
    handled: told('handled'),
    serverSent: told('serverSent'),
    called: told('called'),
    executed: told('executed'),
    settled: told('settled'),
    surprised: told('surprised'),
    published(channel, publish) {
      const number = (published.get(channel) ?? 0) + 1;
      published.set(channel, number);
      write(['published', channel, number, publish(number)]);
    },
  };
}

/** What has to have been told before an entry can be; undefined where it depends on nothing. */
function needOf([what, ...details]: Entry): string | undefined {
  const [first, second] = details;
  if (what === 'handled') return `sent ${first}`;
  if (what === 'acknowledged') return `handled ${first}`;
  if (what === 'clientHandled') return `serverSent ${first} ${second}`;
  if (what === 'executed') return `called ${first}`;
  if (what === 'settled') return second === 'result' ? `executed ${first}` : undefined;
  if (what === 'heard') return `published ${first} ${second}`;
  if (what === 'opened') return `welcomed ${second}`;
  return undefined;
}

/** By which name others need it. */
function nameOf([what, first, second]: Entry): string {
  return ['serverSent', 'published'].includes(what) ? `${what} ${first} ${second}` : `${what} ${first}`;
}

/** Puts what two sides told in one order. */
export class Testimony {
  readonly #oracle: Oracle;
  readonly #client: Queue = { entries: [], next: 0 };
  readonly #server: Queue = { entries: [], next: 0 };
  readonly #told = new Set<string>();

  constructor(oracle: Oracle) {
    this.#oracle = oracle;
  }

  /** What the server's side tells. */
  server(entry: Entry): void {
    this.#server.entries.push(entry);
  }

  /**
   * What the client's side has told since the last time. Everything on which it depends must have been told by the server's side by now. The
   * client is heard first wherever both could be.
   */
  client(entries: readonly Entry[]): void {
    for (const entry of entries) this.#client.entries.push(entry);
    for (;;) {
      if (this.#step(this.#client) || this.#step(this.#server)) continue;
      if (!this.#isDeadlock()) return;
      this.#force(this.#server);
    }
  }

  /** Nothing more will be told: what depends on something that never was is told as it is. */
  conclude(): void {
    this.client([]);
    for (const queue of [this.#server, this.#client]) {
      while (queue.next < queue.entries.length) {
        this.#force(queue);
        this.client([]);
      }
    }
  }

  /** Each side waits for the other: something was handled that was never sent, for instance. */
  #isDeadlock(): boolean {
    return [this.#client, this.#server].every((queue) => {
      const head = queue.entries[queue.next];
      return head && !this.#isReady(head);
    });
  }

  #isReady(entry: Entry): boolean {
    const need = needOf(entry);
    return need === undefined || this.#told.has(need);
  }

  #step(queue: Queue): boolean {
    const head = queue.entries[queue.next];
    if (!head || !this.#isReady(head)) return false;
    this.#force(queue);
    return true;
  }

  #force(queue: Queue): void {
    const entry = queue.entries[queue.next++] as Entry;
    if (queue.next === ENOUGH) queue.next -= queue.entries.splice(0, ENOUGH).length;
    this.#told.add(nameOf(entry));
    const [what, ...details] = entry;
    if (what === 'welcomed') return;
    if (what === 'published') return this.#oracle.published(String(details[0]), () => Number(details[2]));
    const tell = this.#oracle[what as keyof ClientWitness | keyof ServerWitness] as (...details: unknown[]) => void;
    tell.apply(this.#oracle, details);
  }
}

/** So many entries that were told are forgotten at once. */
const ENOUGH = 10_000;

interface Queue {
  readonly entries: Entry[];
  next: number;
}
