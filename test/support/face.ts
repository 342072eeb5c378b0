/** A `ReconnectingWebSocket` whose whole world is in the test's hand: sockets, clock, randomness, page. */

import type { Lifecycle, LifecycleSignal } from '../../src/io/lifecycle.ts';
import type { ReconnectingWebSocketOptions } from '../../src/options.ts';
import { ReconnectingWebSocket, type ReconnectingWebSocketEventMap } from '../../src/socket.ts';
import { FakeClock, settled } from './fake-clock.ts';
import { FakeSocket } from './fake-socket.ts';

export class FakeLifecycle implements Lifecycle {
  hidden = false;
  onLine = true;
  readonly listeners = new Set<(signal: LifecycleSignal) => void>();

  watch(listener: (signal: LifecycleSignal) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  says(signal: LifecycleSignal): void {
    for (const listener of [...this.listeners]) listener(signal);
  }
}

/** What TypeScript would not let through, but JavaScript does. */
export function odd(value: unknown): never {
  return value as never;
}

const TYPES = ['open', 'message', 'error', 'close', 'statechange', 'drop'] as const satisfies (keyof ReconnectingWebSocketEventMap)[];
type AnyEvent = ReconnectingWebSocketEventMap[keyof ReconnectingWebSocketEventMap];

export interface World {
  readonly ws: ReconnectingWebSocket;
  readonly clock: FakeClock;
  readonly page: FakeLifecycle;
  /** Every socket made, the newest last. */
  readonly sockets: FakeSocket[];
  /** The newest socket. */
  readonly socket: FakeSocket;
  /** Every event, in order. */
  readonly events: AnyEvent[];
  /** The events but `statechange`, in words: "open", "close 1006 again", "close 1000 final", "message hi", "drop b overflow" … */
  readonly log: string[];
  /** Until nothing more happens without time passing. */
  settle(): Promise<void>;
  /** Lets the current socket open. */
  open(): Promise<void>;
  /** What happened since the last call, as in {@link log}. */
  news(): string[];
}

type Arguments = ConstructorParameters<typeof ReconnectingWebSocket>;

/** Retries wait a second each, unless the test says otherwise. */
export function world(
  options: ReconnectingWebSocketOptions = {},
  url: Arguments[0] = 'wss://example.test/chat',
  protocols?: Arguments[1],
): World {
  const clock = new FakeClock();
  const page = new FakeLifecycle();
  const sockets: FakeSocket[] = [];
  const ws = new ReconnectingWebSocket(url, protocols, {
    clock,
    lifecycle: page,
    random: () => 0.5,
    backoff: () => 1_000,
    createSocket: (...args) => {
      const socket = new FakeSocket(...args);
      sockets.push(socket);
      return socket;
    },
    ...options,
  });
  const events: AnyEvent[] = [];
  const log: string[] = [];
  for (const type of TYPES)
    ws.addEventListener(type, (event: AnyEvent) => {
      events.push(event);
      if (type !== 'statechange') log.push(told(event));
    });
  let read = 0;
  return {
    ws,
    clock,
    page,
    sockets,
    events,
    log,
    get socket() {
      const socket = sockets.at(-1);
      if (!socket) throw new Error('no socket was made yet');
      return socket;
    },
    settle: settled,
    async open() {
      await settled();
      this.socket.accepts();
      await settled();
    },
    news() {
      const news = log.slice(read);
      read = log.length;
      return news;
    },
  };
}

function told(event: AnyEvent): string {
  if ('willReconnect' in event) return `close ${event.code} ${event.willReconnect ? 'again' : 'final'}`;
  if ('bytes' in event) return `drop ${event.data} ${event.reason}`;
  if (event instanceof MessageEvent) return `message ${event.data}`;
  return event.type;
}
