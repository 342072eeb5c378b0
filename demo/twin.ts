/**
 * A plain WebSocket beside the client: same server, same messages, same faults. Nothing here helps it, but that a new one is opened by hand, or
 * before the next fault, so that it gets that one too.
 */

import { remember } from './memory.ts';

export interface TwinCounts {
  readonly state: string;
  readonly sent: number;
  readonly arrived: number;
  readonly isClosed: boolean;
}

/** How long to wait for a new one, in milliseconds, before a fault. */
const PATIENCE = 1_000;
const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];

export class Twin {
  readonly #url: string;
  readonly #changed: () => void;
  readonly #echoed = new Set<string>();
  #socket: WebSocket;
  #sent: number;
  /** Echoes that came before the page was reloaded. */
  #before: number;
  #code: number | undefined;

  constructor(url: string, changed: () => void) {
    this.#url = url;
    this.#changed = changed;
    const stored = remember<{ sent: number; arrived: number }>('twin', () => ({ sent: this.#sent, arrived: this.counts.arrived }));
    this.#sent = stored?.sent ?? 0;
    this.#before = stored?.arrived ?? 0;
    this.#socket = this.#open();
  }

  get counts(): TwinCounts {
    const { readyState } = this.#socket;
    const state = `${STATES[readyState]}${this.#code === undefined ? '' : ` (${this.#code})`}`;
    return { state, sent: this.#sent, arrived: this.#before + this.#echoed.size, isClosed: readyState === WebSocket.CLOSED };
  }

  /** The server is another one. */
  forget(): void {
    this.#sent = this.#before = 0;
    this.#echoed.clear();
  }

  send(text: string): void {
    this.#sent++;
    try {
      this.#socket.send(`${this.#sent} ${text}`);
    } catch {
      // It is still connecting, and throws: that message is lost.
    }
    this.#changed();
  }

  /** Opens a new one where there is none, and waits for it, though not for long: the server may be away. */
  async ready(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) this.reopen();
    const socket = this.#socket;
    if (socket.readyState !== WebSocket.CONNECTING) return;
    await new Promise((resolve) => {
      for (const type of ['open', 'close']) socket.addEventListener(type, resolve, { once: true });
      setTimeout(resolve, PATIENCE);
    });
  }

  /** What an application would have to do itself, at the right moment, with the right delay. */
  reopen(): void {
    this.#socket.close();
    this.#socket = this.#open();
    this.#changed();
  }

  #open(): WebSocket {
    const socket = new WebSocket(this.#url);
    this.#code = undefined;
    const current = () => socket === this.#socket;
    socket.addEventListener('open', () => this.#changed());
    socket.addEventListener('message', ({ data }) => {
      this.#echoed.add(String(data));
      this.#changed();
    });
    socket.addEventListener('close', ({ code }) => {
      if (current()) this.#code = code;
      this.#changed();
    });
    return socket;
  }
}
