/** The client's side of the conversation: events, calls and publishes up, whatever comes down. Runs in a page as well as in Node. */

import type { Client, ClientDropEvent, Receipt } from '../../src/index.ts';
import type { Random } from '../simulation/random.ts';
import { decodeNote, encodeNote, type Load, Pace } from './load.ts';
import type { ClientWitness } from './witness.ts';

/** Channels that the client listens to. */
export const CHANNELS: readonly string[] = ['news-0', 'news-1'];
/** The channel it publishes on. */
export const TALK = 'talk';

/** How often the client asks how far the server is when it may not send; milliseconds. */
const ASK_EVERY = 5;

/** How a side looks at some moment. */
export interface Sight {
  readonly sent: number;
  readonly handled: number;
  /** Calls and publishes that are not answered. */
  readonly unanswered: number;
  /** Receipts of events that came back as acknowledged. */
  readonly receipts: number;
}

export class ClientSide {
  readonly #client: Client;
  readonly #witness: ClientWitness;
  readonly #random: Random;
  readonly #load: Load;
  readonly #pace: Pace;
  readonly #wait: (ms: number) => Promise<void>;
  /** Numbers of the last event that was sent, of the last that is known to be handled, and of the last that was handled here. */
  #sent = 0;
  #known = 0;
  #seen = 0;
  #handled = 0;
  #calls = 0;
  #unanswered = 0;
  #receipts = 0;
  /** The number of the last volatile event: these count downwards. */
  #volatile = 0;
  #asked = -Infinity;

  constructor(client: Client, witness: ClientWitness, random: Random, load: Load, wait: (ms: number) => Promise<void>) {
    this.#client = client;
    this.#witness = witness;
    this.#random = random;
    this.#load = load;
    this.#pace = new Pace(load);
    this.#wait = wait;
    this.#listen();
  }

  get sight(): Sight {
    return { sent: this.#sent, handled: this.#handled, unanswered: this.#unanswered, receipts: this.#receipts };
  }

  /** Sends what is due. `now` is in milliseconds. */
  tick(now: number): void {
    const count = this.#pace.take(now, this.#sent - this.#known);
    for (let i = 0; i < count; i++) this.#send();
    // Both sides may be waiting to hear how far the other one is.
    if (count > 0 || this.#sent - this.#known < this.#load.inFlight || now < this.#asked + ASK_EVERY) return;
    this.#asked = now;
    this.#sendVolatile();
  }

  /** One of everything, whatever is due. */
  probe(): void {
    this.#send();
    this.#call('add');
    this.#publish();
  }

  #listen(): void {
    const client = this.#client;
    client.addEventListener('open', ({ resumed }) => {
      this.#witness.opened(resumed);
      if (resumed) return;
      // There are no restarts here: the first session is the last one.
      if (client.stats.connections > 1) this.#witness.surprised('a session was lost');
      this.#known = this.#sent; // what was lost is not waited for
    });
    client.addEventListener('close', ({ code }) => this.#witness.closed(code));
    client.addEventListener('drop', (event) => this.#dropped(event));
    client.addEventListener('unhandled', ({ kind, name }) => this.#witness.surprised(`the client has no handler for the ${kind} ${name}`));
    client.on('note', (data) => this.#note(data));
    client.on('told', (seen) => this.#tell(seen as number));
    client.handle('add', (params) => this.#execute(params));
    client.handle('slow', async (params) => {
      const call = this.#execute(params);
      await this.#wait(this.#random.between(0, 30));
      return call;
    });
    for (const name of CHANNELS) {
      const channel = client.channel(name);
      this.#witness.subscribed(name);
      channel.addEventListener('gap', () => this.#witness.gap(name));
      channel.subscribe((data) => this.#witness.heard(name, data as number));
    }
  }

  #dropped({ kind, name, data, reason }: ClientDropEvent): void {
    const note = kind === 'event' && name === 'volatile' ? (data as { id: number }) : undefined;
    if (note) this.#witness.dropped(note.id);
    else this.#witness.surprised(`the ${kind} ${name} was dropped: ${reason}`);
  }

  #note(data: unknown): void {
    const note = decodeNote(data);
    if (!note) return this.#witness.surprised('the client got another message than was sent');
    this.#handled++;
    this.#seen = note.id;
    this.#tell(note.seen);
    this.#witness.clientHandled(note.session, note.id);
  }

  #tell(seen: number): void {
    this.#known = Math.max(this.#known, seen);
  }

  #execute(params: unknown): string {
    const { call } = params as { call: string };
    this.#witness.executed(call);
    return call;
  }

  #send(): void {
    const id = ++this.#sent;
    this.#witness.sent(id, 'plain');
    const receipt = this.#client.send('note', encodeNote(id, '', this.#seen));
    this.#keep(id, receipt);
    if (id % 25 === 0) this.#sendVolatile();
    if (this.#unanswered < this.#load.calls) {
      if (id % 20 === 0) this.#call(this.#random.pick(['add', 'add', 'slow']));
      if (id % 40 === 0) this.#publish();
    }
  }

  #keep(id: number, receipt: Receipt): void {
    receipt.acknowledged.then(
      () => {
        this.#receipts++;
        this.#witness.acknowledged(id);
      },
      () => {
        if (receipt.status !== 'dropped') this.#witness.unknown(id, false);
      },
    );
  }

  /** Now or never, and a word about how far this side is. */
  #sendVolatile(): void {
    const id = --this.#volatile;
    this.#witness.sent(id, 'volatile');
    this.#client.send('volatile', { id, seen: this.#seen }, { volatile: true });
  }

  #call(method: string): void {
    this.#follow(method, (call) => this.#client.call(method, { call }));
  }

  #publish(): void {
    this.#follow('publish', (call) => this.#client.channel(TALK).publish({ call }).acknowledged);
  }

  #follow(what: string, ask: (call: string) => Promise<unknown>): void {
    const call = `${what} ${++this.#calls} by the client`;
    this.#unanswered++;
    this.#witness.called(call, what, 'client');
    ask(call).then(
      (result) => {
        this.#unanswered--;
        this.#witness.settled(call, 'result');
        if (what !== 'publish' && result !== call) this.#witness.surprised(`${call} came back as ${JSON.stringify(result)}`);
      },
      (error: Error) => {
        this.#unanswered--;
        this.#witness.settled(call, 'maybe');
        this.#witness.surprised(`${call} was rejected: ${error.name}`);
      },
    );
  }
}
