/** An HTTP server of its own with a `ws` server on it: what the test servers that speak a library's protocol have in common. */

import { createServer } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';

export interface SocketHost {
  /** `ws://host:port`, without a path. */
  readonly origin: string;
  readonly wss: WebSocketServer;
  /** Connections that are open now. */
  readonly clients: Set<WebSocket>;
  /** Connections so far. */
  readonly accepted: number;
  /** Cuts every connection without a word. */
  cut(): void;
  stop(): Promise<void>;
}

/** Runs it on a free port; `attach` sets up the `ws` server before anybody can connect. */
export async function startSocketHost(attach: (wss: WebSocketServer) => void): Promise<SocketHost> {
  const http = createServer();
  const wss = new WebSocketServer({ server: http });
  let accepted = 0;
  wss.on('connection', () => accepted++);
  attach(wss);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const address = http.address();
  if (typeof address !== 'object' || !address) throw new Error('an HTTP server has an address');
  const cut = () => {
    for (const client of wss.clients) client.terminate();
  };
  return {
    origin: `ws://127.0.0.1:${address.port}`,
    wss,
    clients: wss.clients,
    get accepted() {
      return accepted;
    },
    cut,
    stop: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        cut();
        http.closeAllConnections();
      }),
  };
}
