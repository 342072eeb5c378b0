/** The socket as a handshake sees it: send, and receive one message after the other. What it does not take is delivered after it. */

import { HoldfastError } from './errors.ts';
import type { Data, WebSocketLike } from './io/web-socket.ts';

/**
 * What a `handshake` works with, between the opening of the socket and the opening of the connection.
 *
 * @example
 * const socket = new ReconnectingWebSocket('wss://example.com/chat', {
 *   handshake: async (socket) => {
 *     socket.send(token);
 *     const reply = await socket.receive();
 *     if (reply !== 'welcome') throw new Error(`refused: ${reply}`);
 *   },
 * });
 */
export interface HandshakeSocket {
  /** The subprotocol that the server chose, or "". */
  readonly protocol: string;
  /**
   * Sends at once, ahead of everything in the queue.
   *
   * @param data text or bytes
   */
  send(data: Data): void;
  /**
   * The next message. Messages that are never taken are delivered as events once the connection is open. Rejects with a
   * {@link HoldfastError} with the code HANDSHAKE_FAILED when the connection ends first.
   *
   * @returns text, or bytes as the `binaryType` has them
   */
  receive(): Promise<string | ArrayBuffer | Blob>;
}

/** The inbox of one handshake. */
export class Handshake implements HandshakeSocket {
  readonly protocol: string;
  readonly #socket: WebSocketLike;
  readonly #inbox: MessageEvent[] = [];
  readonly #waiting: Waiter[] = [];
  #ended = false;

  constructor(socket: WebSocketLike) {
    this.#socket = socket;
    this.protocol = socket.protocol;
  }

  send(data: Data): void {
    this.#socket.send(data);
  }

  receive(): Promise<string | ArrayBuffer | Blob> {
    const received = new Promise<string | ArrayBuffer | Blob>((resolve, reject) => {
      const event = this.#inbox.shift();
      if (event) resolve(event.data);
      else if (this.#ended) reject(ended());
      else this.#waiting.push({ resolve, reject });
    });
    received.catch(() => {}); // one that nobody waits for must not become an unhandled rejection
    return received;
  }

  /** A message came in. */
  deliver(event: MessageEvent): void {
    const next = this.#waiting.shift();
    if (next) next.resolve(event.data);
    else this.#inbox.push(event);
  }

  /** The handshake is over, well or badly: nobody waits any more, and what was not taken is handed back. */
  end(): MessageEvent[] {
    this.#ended = true;
    for (const { reject } of this.#waiting.splice(0)) reject(ended());
    return this.#inbox.splice(0);
  }
}

interface Waiter {
  resolve(data: string | ArrayBuffer | Blob): void;
  reject(error: Error): void;
}

function ended(): Error {
  return new HoldfastError('HANDSHAKE_FAILED', 'The connection ended before the handshake received another message');
}
