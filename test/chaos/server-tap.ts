/**
 * Listens in on the sockets of a server, below everything that is put to the test: which numbers it writes and gets, and that on every
 * connection they go on exactly behind what each side said to have received.
 */

import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { FrameReader } from './frame-reader.ts';
import { framesOf, Numbers, type WireFrame } from './numbers.ts';

export class ServerTap {
  readonly written = new Numbers();
  readonly arrived = new Numbers();
  readonly violations: string[] = [];
  /** Set it to hear of every welcome, with the URL of its connection, before it is written. */
  onwelcome: ((url: string) => void) | undefined;

  /** Listens in on every connection to come; to be called when the server has its own listeners. */
  tap(http: HttpServer): void {
    http.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
      const { hear, write } = this.#connection(request.url ?? '');
      const up = new FrameReader({ http: false, hear });
      const down = new FrameReader({ http: false, hear: write });
      // Before `ws` hears it, which takes the mask away where the bytes lie.
      socket.prependListener('data', (chunk: Buffer) => up.read(chunk));
      const original = socket.write.bind(socket) as (...args: unknown[]) => boolean;
      socket.write = (...args: unknown[]) => {
        const [chunk] = args;
        down.read(typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer));
        return original(...args);
      };
    });
  }

  /** What is written, and what comes in, on one connection. */
  #connection(url: string) {
    const next = { up: 0, down: 0 };
    const goesOn = (way: 'up' | 'down', seq: number | undefined) => {
      if (seq === undefined) return;
      if (seq !== next[way]) this.violations.push(`${url} ${way}: number ${seq} instead of ${next[way]}`);
      next[way] = seq + 1;
    };
    let known = 0;
    const hear = (message: unknown) => {
      for (const { type, seq, resume } of framesOf(message)) {
        if (type === 'hello') known = resume?.received ?? 0;
        goesOn('up', seq);
        this.arrived.see(seq);
      }
    };
    const welcome = ({ resumed, received = 0 }: WireFrame) => {
      this.onwelcome?.(url);
      next.up = (resumed ? received : 0) + 1;
      next.down = (resumed ? known : 0) + 1;
      if (resumed) return;
      this.written.reset();
      this.arrived.reset();
    };
    const write = (message: unknown) => {
      for (const frame of framesOf(message)) {
        if (frame.type === 'welcome') welcome(frame);
        goesOn('down', frame.seq);
        this.written.see(frame.seq);
      }
    };
    return { hear, write };
  }
}
