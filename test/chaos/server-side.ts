/** The server's side of the conversation: events, calls and channel messages down, whatever comes up. */

import { createServer, type Server, type ServerClient } from '../../src/server/index.ts';
import type { Random } from '../simulation/random.ts';
import { CHANNELS, type Sight } from './client-side.ts';
import { decodeNote, encodeNote, type Load, Pace } from './load.ts';
import { keepTicking } from './ticker.ts';
import type { ServerWitness } from './witness.ts';

/** Short, so that a hole is noticed soon; milliseconds. */
const HEARTBEAT = { interval: 700, timeout: 500 };

export class ServerSide {
  readonly server: Server;
  readonly #witness: ServerWitness;
  readonly #random: Random;
  readonly #load: Load;
  readonly #pace: Pace;
  /**
   * The client, as the server knows it: with sessions it is the same one after every cut. Known by its first event: a client that never said a
   * word may not have heard of its session.
   */
  #peer: ServerClient | undefined;
  #sent = 0;
  #known = 0;
  #seen = 0;
  #handled = 0;
  #calls = 0;
  #unanswered = 0;

  constructor(witness: ServerWitness, random: Random, load: Load) {
    this.#witness = witness;
    this.#random = random;
    this.#load = load;
    this.#pace = new Pace(load);
    this.server = createServer({
      port: 0,
      hostname: '127.0.0.1',
      heartbeat: HEARTBEAT,
      helloTimeout: 1_000,
      onerror: (error, where) => this.#witness.surprised(`${where} failed: ${error instanceof Error ? error.stack : error}`),
      onunhandled: (name) => this.#witness.surprised(`the server has no handler for ${name}`),
      authorize: ({ action, data }) => {
        if (action === 'publish') this.#execute(data);
        return true;
      },
      handlers: {
        events: {
          note: (data, { client }) => this.#note(data, client),
          volatile: (data, { client }) => this.#volatile(data as { id: number; seen: number }, client),
        },
        methods: {
          add: (params) => this.#execute(params),
          slow: async (params) => {
            const call = this.#execute(params);
            await new Promise((resolve) => setTimeout(resolve, this.#random.between(0, 30)));
            return call;
          },
        },
      },
    });
  }

  get sight(): Sight {
    return { sent: this.#sent, handled: this.#handled, unanswered: this.#unanswered, receipts: 0 };
  }

  /** The name of the session there is now. */
  get session(): string {
    return this.#peer?.id ?? '';
  }

  /** The number of the last event that was handled: those of one session are handled in order. */
  get seen(): number {
    return this.#seen;
  }

  /** Begins to send. */
  start(): void {
    this.stop = keepTicking(this.#load, (now) => this.#tick(now));
  }

  /** Stops sending. */
  stop: () => void = () => {};

  #tick(now: number): void {
    const count = this.#pace.take(now, this.#sent - this.#known);
    for (let i = 0; i < count && this.#peer?.isOpen; i++) this.#send(this.#peer);
  }

  /** One of everything, whatever is due. */
  probe(): void {
    for (const channel of CHANNELS) this.#publish(channel);
    if (!this.#peer?.isOpen) return this.#witness.surprised('the client is not there in the end');
    this.#send(this.#peer);
    this.#call(this.#peer, 'add');
  }

  #note(data: unknown, client: ServerClient): void {
    const note = decodeNote(data);
    if (!note) return this.#witness.surprised('the server got another message than was sent');
    if (client !== this.#peer) this.#known = this.#sent; // what was lost is not waited for
    this.#peer = client;
    this.#handled++;
    this.#seen = note.id;
    this.#known = Math.max(this.#known, note.seen);
    this.#witness.handled(note.id, client.id);
  }

  #volatile({ id, seen }: { id: number; seen: number }, client: ServerClient): void {
    this.#known = Math.max(this.#known, seen);
    this.#witness.handled(id, client.id);
    client.send('told', this.#seen, { volatile: true });
  }

  #execute(params: unknown): string {
    const { call } = params as { call: string };
    this.#witness.executed(call);
    return call;
  }

  #send(peer: ServerClient): void {
    const id = ++this.#sent;
    this.#witness.serverSent(peer.id, id);
    if (!peer.send('note', encodeNote(id, peer.id, this.#seen))) this.#witness.surprised('an open client refused an event');
    if (id % 10 === 0) this.#publish(this.#random.pick(CHANNELS));
    if (id % 20 === 0 && this.#unanswered < this.#load.calls) this.#call(peer, this.#random.pick(['add', 'add', 'slow']));
  }

  #publish(channel: string): void {
    this.#witness.published(channel, (number) => this.server.publish(channel, number));
  }

  #call(peer: ServerClient, method: string): void {
    const call = `${method} ${++this.#calls} by the server`;
    this.#unanswered++;
    this.#witness.called(call, method, 'server');
    peer.call(method, { call }).then(
      (result) => {
        this.#unanswered--;
        this.#witness.settled(call, 'result');
        if (result !== call) this.#witness.surprised(`${call} came back as ${JSON.stringify(result)}`);
      },
      (error: Error) => {
        this.#unanswered--;
        this.#witness.settled(call, 'maybe');
        this.#witness.surprised(`${call} was rejected: ${error.name}`);
      },
    );
  }
}
