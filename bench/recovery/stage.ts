/** Where one client of one library meets its server: what is between them can be hurt, and what arrives is written down. */

import type { Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { FaultProxy } from '../../test/support/fault-proxy.ts';
import { SlowLink } from './slow-link.ts';

/** A library's server, which does not listen by itself. */
export interface Backend {
  readonly http: HttpServer;
  stop(): void;
}
/** @param receive is told every message, in the order in which they come */
export type Serve = (receive: (text: string) => void) => Backend;

export interface Receipt {
  readonly text: string;
  /** By `Date.now()`, as everything that is compared with the clock of a page. */
  readonly at: number;
}

export class Stage {
  readonly receipts: Receipt[] = [];
  readonly proxy: FaultProxy;
  /** Another way in, where there is no proxy. */
  readonly slow: SlowLink;
  readonly #door: Server;
  readonly #guests = new Set<Socket>();
  readonly #serve: Serve;
  #backend: Backend;

  private constructor(door: Server, proxy: FaultProxy, slow: SlowLink, serve: Serve) {
    this.#door = door;
    this.proxy = proxy;
    this.slow = slow;
    this.#serve = serve;
    this.#backend = this.#begin();
    door.on('connection', (guest: Socket) => {
      this.#guests.add(guest);
      guest.on('error', () => {});
      guest.on('close', () => this.#guests.delete(guest));
      this.#backend.http.emit('connection', guest);
    });
  }

  static async build(serve: Serve): Promise<Stage> {
    const door = createServer();
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    const { port } = door.address() as AddressInfo;
    return new Stage(door, await FaultProxy.start(port), await SlowLink.start(port), serve);
  }

  /** Another server process: what the old one knew of its clients is gone. */
  restart(): void {
    for (const guest of this.#guests) guest.resetAndDestroy();
    this.#backend.stop();
    this.#backend = this.#begin();
  }

  /** When the message arrived that the page writes on a new connection, at that moment or later. */
  back(moment: number): number | undefined {
    return this.receipts.find(({ text, at }) => at >= moment && text.startsWith('open ') && text !== 'open 1')?.at;
  }

  /** The numbers of the numbered messages, as they came. */
  get notes(): number[] {
    return this.receipts.flatMap(({ text }) => (text.startsWith('note ') ? [Number.parseInt(text.slice(5), 10)] : []));
  }

  async close(): Promise<void> {
    this.slow.stop();
    await this.proxy.stop();
    this.#backend.stop();
    this.#door.close();
    for (const guest of this.#guests) guest.destroy();
  }

  #begin(): Backend {
    return this.#serve((text) => this.receipts.push({ text, at: Date.now() }));
  }
}
