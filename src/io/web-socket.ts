/** What the library needs of a WebSocket, and where it gets one. */

/** Data that a WebSocket can send (WHATWG WebSockets, section 3.1). */
export type Data = string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob;

/**
 * The part of a `WebSocket` that is used (WHATWG WebSockets, section 3.1); the browser's own, the `ws` package and test doubles all have
 * it.
 */
export interface WebSocketLike {
  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** Bytes that `send` has accepted and that have not been passed to the network. */
  readonly bufferedAmount: number;
  /** The subprotocol that the server chose, or "". */
  readonly protocol: string;
  /** The extensions that the server chose, or "". */
  readonly extensions: string;
  /** Set to `'blob'` or `'arraybuffer'` before anything is received. */
  binaryType: string;
  // Only ever written: implementations disagree about the types of their events, so these are read as `unknown`.
  /** Set to a function; to be called when the socket is open. */
  onopen: unknown;
  /** Set to a function; to be called with each message, as `event.data`. */
  onmessage: unknown;
  /** Set to a function; to be called when the socket fails. Its `error` or `message` becomes the cause of the error. */
  onerror: unknown;
  /** Set to a function; to be called when the socket is closed, with `code`, `reason` and `wasClean`. */
  onclose: unknown;
  /**
   * Sends a message. Only called while the socket is open.
   *
   * @param data text or bytes
   */
  send(data: Data): void;
  /**
   * Begins the closing handshake.
   *
   * @param code 1000 or 3000 to 4999
   * @param reason up to 123 bytes of UTF-8
   */
  close(code?: number, reason?: string): void;
}

/**
 * Makes a socket that is already connecting. What it throws is a failed attempt; a `SecurityError`,
 * `SyntaxError` or `NotSupportedError` is final.
 *
 * @example
 * // In Node, where WS is the WebSocket of the `ws` package.
 * const createSocket: CreateSocket = (url, protocols) => new WS(url, protocols);
 * const client = new Client('wss://example.com/live', { createSocket });
 */
export type CreateSocket = (url: string, protocols: string[]) => WebSocketLike;

/** `readyState` values (WHATWG WebSockets, section 3.1). */
export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSING = 2;
export const CLOSED = 3;

/** The platform's own WebSocket, looked up when a socket is needed. */
export const nativeSocket: CreateSocket = (url, protocols) => {
  if (typeof WebSocket !== 'function')
    throw new DOMException(
      'This runtime has no WebSocket: pass createSocket: (url, protocols) => new WS(url, protocols)',
      'NotSupportedError',
    );
  return new WebSocket(url, protocols);
};
