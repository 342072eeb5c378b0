/** The servers of the others: a plain one for sockets, socket.io's, and Holdfast's. */

import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import type * as HoldfastServer from '../../src/server/index.ts';
import { load } from '../compare/peer.ts';
import type { Serve } from './stage.ts';

interface IoSocket {
  on(event: 'note', listener: (text: string, answer?: () => void) => void): void;
}
interface IoServer {
  on(event: 'connection', listener: (socket: IoSocket) => void): void;
  close(): Promise<void>;
}

const { createServer: createHoldfast } = await load<typeof HoldfastServer>('../../dist/server/index.js');
const { Server: Io } = await load<{ Server: new (http: object, options: object) => IoServer }>('../node_modules/socket.io/wrapper.mjs');

const build = () => createServer((_request, response) => response.writeHead(426).end());

/** It answers "ping" by "pong", and says nothing else: what is received tells nobody that the link is alive. */
export const plain: Serve = (receive) => {
  const http = build();
  const wss = new WebSocketServer({ server: http });
  wss.on('connection', (ws) => {
    ws.on('error', () => {});
    ws.on('message', (data) => {
      if (String(data) === 'ping') ws.send('pong');
      else receive(String(data));
    });
  });
  return { http, stop: () => wss.close() };
};

export const ioServer =
  (options: object): Serve =>
  (receive) => {
    const http = createServer();
    const io = new Io(http, { cors: { origin: '*' }, ...options });
    io.on('connection', (socket) => {
      socket.on('note', (text, answer) => {
        receive(text);
        answer?.();
      });
    });
    return { http, stop: () => void io.close().catch(() => {}) };
  };

export const holdfastServer: Serve = (receive) => {
  const http = build();
  const server = createHoldfast({ server: http, handlers: { events: { note: (text: unknown) => receive(String(text)) } } });
  return { http, stop: () => void server.close({ drain: 0 }) };
};
