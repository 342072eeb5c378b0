/** What the library needs of a WebSocket, and where it gets one. */

/** Data that a WebSocket can send. */
export type Data = string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob;

/** The part of a WebSocket that is used; the browser's own, the `ws` package and test doubles all have it. */
export interface WebSocketLike {
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly protocol: string;
  readonly extensions: string;
  binaryType: string;
  // Only ever written: implementations disagree about the types of their events, so these are read as `unknown`.
  onopen: unknown;
  onmessage: unknown;
  onerror: unknown;
  onclose: unknown;
  send(data: Data): void;
  close(code?: number, reason?: string): void;
}

/** Makes a socket that is already connecting. */
export type CreateSocket = (url: string, protocols: string[]) => WebSocketLike;

/** `readyState` values (WHATWG WebSockets, section 3.1). */
export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSING = 2;
export const CLOSED = 3;

/** The platform's own WebSocket, looked up when a socket is needed. */
export const nativeSocket: CreateSocket = (url, protocols) => {
  if (typeof WebSocket !== 'function')
    throw new TypeError('This runtime has no WebSocket: pass createSocket: (url, protocols) => new WS(url, protocols)');
  return new WebSocket(url, protocols);
};
