/** How somebody looks on at a connection: only what is looked at costs anything. */

import type { Effect, Event } from './core/machine.ts';
import type { State } from './core/state.ts';
import type { WebSocketLike } from './io/web-socket.ts';

export interface Tap {
  /** The machine has taken a step. */
  stepped(event: Event, previous: State, state: State, effects: readonly Effect[]): void;
  /** A socket was made; nothing has happened on it. */
  made(socket: WebSocketLike): void;
  /** A message came in, before anybody makes anything of it. */
  received(data: unknown): void;
}
