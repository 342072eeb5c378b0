/** A plain WebSocket beside the client: same server, same moment, same messages, same faults. Nothing here helps it. */

export interface TwinCounts {
  readonly state: string;
  readonly sent: number;
  readonly arrived: number;
  readonly isClosed: boolean;
}

const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];

export class Twin {
  readonly #url: string;
  readonly #changed: () => void;
  readonly #echoed = new Set<string>();
  #socket: WebSocket;
  #sent = 0;
  #code: number | undefined;

  constructor(url: string, changed: () => void) {
    this.#url = url;
    this.#changed = changed;
    this.#socket = this.#open();
  }

  get counts(): TwinCounts {
    const { readyState } = this.#socket;
    const state = `${STATES[readyState]}${this.#code === undefined ? '' : ` (${this.#code})`}`;
    return { state, sent: this.#sent, arrived: this.#echoed.size, isClosed: readyState === WebSocket.CLOSED };
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
