/** A scripted socket: it does what the test says, in any order, also what no standard allows. */

import type { Data, WebSocketLike } from '../../src/io/web-socket.ts';

type Listener = ((event: unknown) => void) | null;

export class FakeSocket implements WebSocketLike {
  readonly url: string;
  readonly protocols: string[];
  readyState = 0;
  bufferedAmount = 0;
  protocol = '';
  extensions = '';
  binaryType = 'blob';
  onopen: Listener = null;
  onmessage: Listener = null;
  onerror: Listener = null;
  onclose: Listener = null;
  readonly sent: Data[] = [];
  /** Arguments of every `close()`. */
  readonly closes: [code?: number, reason?: string][] = [];

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
  }

  send(data: Data): void {
    if (this.readyState === 0) throw new DOMException('still connecting', 'InvalidStateError');
    this.sent.push(data);
  }

  close(...args: [code?: number, reason?: string]): void {
    const [code, reason = ''] = args;
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) throw new DOMException('bad code', 'InvalidAccessError');
    if (new TextEncoder().encode(reason).length > 123) throw new DOMException('bad reason', 'SyntaxError');
    this.closes.push(args);
    if (this.readyState < 2) this.readyState = 2;
  }

  /** The server accepts. */
  accepts(protocol = ''): void {
    this.readyState = 1;
    this.protocol = protocol;
    this.onopen?.({ type: 'open' });
  }

  says(data: unknown): void {
    this.onmessage?.({ data, origin: 'ws://test' });
  }

  /** The `close` event alone, as after a closing handshake or a FIN. */
  closed(code = 1006, reason = '', wasClean = code !== 1006): void {
    this.readyState = 3;
    this.onclose?.({ code, reason, wasClean });
  }

  /** The `error` event alone. */
  errs(message?: string): void {
    this.onerror?.({ type: 'error', message });
  }

  /** As a browser does when a connection cannot be made or breaks. */
  fails(): void {
    this.readyState = 3;
    this.errs();
    this.closed();
  }
}
