/** The whole end of the client: the client itself, its side of the conversation, and the tap on its sockets. In a page as well as in Node. */

import type { Client, ClientOptions } from '../../src/index.ts';
import { Random } from '../simulation/random.ts';
import { ClientSide, type Sight } from './client-side.ts';
import type { Load } from './load.ts';
import { type Meddle, type Numbers, SocketTap, type Tappable } from './numbers.ts';
import { keepTicking } from './ticker.ts';
import type { ClientWitness } from './witness.ts';

/** Everything about the client's end that can be read off from outside. */
export interface EndSight extends Sight {
  readonly status: string;
  readonly queued: number;
  readonly pending: number;
  readonly connections: number;
  /** Whether the server offers sessions. */
  readonly resumes: boolean;
  /** What the client says it has written again; undefined where it does not say. */
  readonly resent: number | undefined;
  readonly written: Count;
  readonly arrived: Count;
}

/** Nothing has happened yet. */
export const UNSEEN: EndSight = {
  sent: 0,
  handled: 0,
  unanswered: 0,
  receipts: 0,
  status: 'idle',
  queued: 0,
  pending: 0,
  connections: 0,
  resumes: false,
  resent: undefined,
  written: { total: 0, again: 0 },
  arrived: { total: 0, again: 0 },
};

/** The counts of {@link Numbers}, as data. */
export type Count = Pick<Numbers, 'total' | 'again'>;

/** What differs between a page and Node. */
export interface Platform<S extends Tappable> {
  readonly Client: new (url: (context: object) => string, options: ClientOptions) => Client;
  open(url: string, protocols: string[]): S;
  readonly meddle?: Meddle | undefined;
}

/** How long one attempt may take: it may lead into a hole; milliseconds. */
const CONNECT_TIMEOUT = 2_000;
/** How long the client waits before an attempt, at most; milliseconds. */
const BACKOFF = 3;

export class ClientEnd {
  readonly #client: Client;
  readonly #side: ClientSide;
  readonly #tap: SocketTap;
  readonly #stop: () => void;

  /**
   * @param url where to connect; each attempt adds its number as a query
   * @param witness hears what happens
   */
  constructor(url: string, seed: number, load: Load, platform: Platform<Tappable>, witness: (attempt: () => number) => ClientWitness) {
    const random = new Random(seed);
    const backoff = random.fork();
    let attempts = 0;
    this.#tap = new SocketTap(platform.meddle);
    this.#client = new platform.Client(() => `${url}?${++attempts}`, {
      backoff: () => backoff.between(0, BACKOFF),
      connectTimeout: CONNECT_TIMEOUT,
      createSocket: (where, protocols) => this.#tap.tap(platform.open(where, protocols)) as never,
    });
    const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    this.#side = new ClientSide(
      this.#client,
      witness(() => attempts),
      random.fork(),
      load,
      wait,
    );
    this.#stop = keepTicking(load, (now) => this.#side.tick(now));
  }

  look(): EndSight {
    const { stats, state, capabilities } = this.#client;
    const { queuedMessages: queued, pendingCalls: pending, connections } = stats;
    const { resent } = stats as { readonly resent?: number };
    const { written, arrived } = this.#tap;
    return {
      ...this.#side.sight,
      status: state.status,
      queued,
      pending,
      connections,
      resumes: capabilities.resume,
      resent,
      written: { total: written.total, again: written.again },
      arrived: { total: arrived.total, again: arrived.again },
    };
  }

  probe(): void {
    this.#side.probe();
  }

  rest(): void {
    this.#stop();
  }

  close(): Promise<void> {
    this.#stop();
    return this.#client.close();
  }
}
