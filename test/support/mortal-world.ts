/** A real client and real servers on the simulated network: a server that dies takes its sessions with it, and the next one is there at once. */

import { Client } from '../../src/client.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import { Host } from '../../src/server/host.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { Network } from '../simulation/network.ts';
import { Random } from '../simulation/random.ts';
import { SimClock, Timeline } from '../simulation/time.ts';
import { FakeLifecycle } from './face.ts';
import { framesIn } from './link.ts';

export class MortalWorld {
  readonly client: Client;
  /** Drops, as "event a poison". */
  readonly drops: string[] = [];
  readonly network: Network;
  deaths = 0;
  /** Pings that the client has written. */
  pings = 0;
  readonly #timeline = new Timeline();
  readonly #server: (world: MortalWorld) => HostOptions;
  #clock = new SimClock(this.#timeline);

  /** @param server what each process is made of */
  constructor(server: (world: MortalWorld) => HostOptions = () => ({}), options: ClientOptions = {}) {
    this.#server = server;
    const page = new SimClock(this.#timeline);
    this.network = new Network(this.#timeline, new Random(1), page, () => {});
    this.network.latency = 30;
    this.client = new Client('wss://example.test/live', {
      clock: page,
      lifecycle: new FakeLifecycle(),
      random: () => 0.5,
      backoff: () => 1_000,
      createSocket: () => this.#connect(),
      ...options,
    });
    this.client.addEventListener('drop', ({ kind, name, reason }) => void this.drops.push(`${kind} ${name} ${reason}`));
    this.#begin();
  }

  /** A process dies, and all connections with it. */
  die(): void {
    this.deaths++;
    this.#clock.freeze();
    for (const link of [...this.network.links]) link.cut({ client: true, server: false, inFlight: 0 });
    this.#begin();
  }

  /** Resolves after so many milliseconds of the life of this process: never, where it dies before. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimeout(resolve, ms));
  }

  async run(ms: number): Promise<void> {
    const end = this.#timeline.now + ms;
    await new Promise(setImmediate);
    while (this.#timeline.step(end)) await new Promise(setImmediate);
  }

  /** Until the client is connected. */
  async opens(): Promise<void> {
    while (this.client.state.status !== 'open') await this.run(1);
  }

  #begin(): void {
    const clock = new SimClock(this.#timeline);
    this.#clock = clock;
    const host = new Host({ ...this.#server(this), clock });
    this.network.destination = { clock, accept: (peer) => host.accept(peer, { url: '/', headers: {}, address: '10.0.0.1' }) };
  }

  #connect() {
    const socket = this.network.connect();
    const send = socket.send.bind(socket);
    socket.send = (message) => {
      this.pings += framesIn(message as string).filter(({ type }) => type === 'ping').length;
      send(message);
    };
    return socket;
  }
}
