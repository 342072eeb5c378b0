/** The numbers of frames as they go by on the wire, counted without asking anybody: for a page as well as for Node. */

/** A frame, as far as it matters here. */
export interface WireFrame {
  readonly type?: string;
  readonly seq?: number;
  readonly received?: number;
  readonly resumed?: boolean;
  readonly resume?: { readonly received?: number };
}

/** The frames of a message: text, or bytes that begin with the JSON of one frame, which ends before the first 0xFF. */
export function framesOf(message: unknown): WireFrame[] {
  if (typeof message === 'string') {
    const value: unknown = JSON.parse(message);
    return (Array.isArray(value) ? value : [value]) as WireFrame[];
  }
  const bytes = ArrayBuffer.isView(message)
    ? new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
    : new Uint8Array(message as ArrayBuffer);
  return [JSON.parse(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0xff)))) as WireFrame];
}

/** How many numbered frames went by, and how many of them for the second time. */
export class Numbers {
  total = 0;
  again = 0;
  #highest = 0;

  see(seq: number | undefined): void {
    if (seq === undefined) return;
    this.total++;
    if (seq <= this.#highest) this.again++;
    else this.#highest = seq;
  }

  /** Another session begins, whose numbers begin anew. */
  reset(): void {
    this.#highest = 0;
  }
}

/** What is written in the place of a message: to see whether the harness sees what goes wrong. */
export type Meddle = (message: unknown) => unknown[];

/** The part of a WebSocket that is listened in on; that of the platform has it, and that of the `ws` package. */
export interface Tappable {
  send(data: never): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
}

/** The end of the client: what it writes, and what reaches it. */
export class SocketTap {
  readonly written = new Numbers();
  readonly arrived = new Numbers();
  readonly #meddle: Meddle;

  /** @param meddle what is written in the place of a message */
  constructor(meddle: Meddle = (message) => [message]) {
    this.#meddle = meddle;
  }

  /** Listens in on a socket that was just made, before anybody else does. */
  tap(socket: Tappable): Tappable {
    const send = socket.send.bind(socket) as (data: unknown) => void;
    socket.send = (data: unknown) => {
      for (const message of this.#meddle(data)) {
        for (const { seq } of framesOf(message)) this.written.see(seq);
        send(message);
      }
    };
    socket.addEventListener('message', ({ data }) => {
      for (const { type, seq, resumed } of framesOf(data)) {
        if (type === 'welcome' && !resumed) this.#reset();
        this.arrived.see(seq);
      }
    });
    return socket;
  }

  #reset(): void {
    this.written.reset();
    this.arrived.reset();
  }
}
