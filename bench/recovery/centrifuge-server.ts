/**
 * As much of a server for centrifuge as the measurement needs: connect, subscribe, publish, send and rpc of its JSON protocol, and its
 * pings: the first after half to all of the interval, closed with 3012 where 8 s bring no pong. These are the numbers of Centrifugo.
 */

import { createServer } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Serve } from './stage.ts';

const PONG_TIMEOUT = 8_000;
const NO_PONG = 3012;

interface Command {
  readonly id?: number;
  readonly connect?: object;
  readonly subscribe?: object;
  readonly unsubscribe?: object;
  readonly publish?: { readonly data: { readonly text: string } };
  readonly rpc?: object;
  readonly send?: object;
}

/** @param interval milliseconds between its pings */
export const centrifugeServer =
  (interval: number): Serve =>
  (receive) => {
    const http = createServer((_request, response) => response.writeHead(426).end());
    const wss = new WebSocketServer({ server: http });
    wss.on('connection', (ws) => {
      const pings = new Pings(ws, interval);
      ws.on('error', () => {});
      ws.on('close', () => pings.stop());
      ws.on('message', (data) => {
        const commands = String(data)
          .split('\n')
          .filter(Boolean)
          .map((line): Command => JSON.parse(line));
        const replies = commands.flatMap((command) => answer(command, receive, pings));
        if (replies.length > 0) ws.send(replies.map((reply) => JSON.stringify(reply)).join('\n'));
      });
    });
    return { http, stop: () => wss.close() };
  };

function answer(command: Command, receive: (text: string) => void, pings: Pings): object[] {
  const { id } = command;
  if (id === undefined) {
    if (!command.send) pings.answered();
    return [];
  }
  if (command.connect) {
    pings.start();
    return [{ id, connect: { client: `${Math.random()}`, version: '0.0.0', ping: pings.interval / 1_000, pong: true } }];
  }
  if (command.publish) receive(command.publish.data.text);
  const kind = (['subscribe', 'unsubscribe', 'publish', 'rpc'] as const).find((each) => command[each]);
  return [kind ? { id, [kind]: {} } : { id, error: { code: 104, message: 'method not found' } }];
}

/** The pings on one connection. */
class Pings {
  readonly interval: number;
  readonly #ws: WebSocket;
  #next: NodeJS.Timeout | undefined;
  #overdue: NodeJS.Timeout | undefined;

  constructor(ws: WebSocket, interval: number) {
    this.#ws = ws;
    this.interval = interval;
  }

  start(): void {
    this.#schedule((this.interval * (1 + Math.random())) / 2);
  }

  answered(): void {
    clearTimeout(this.#overdue);
  }

  stop(): void {
    clearTimeout(this.#next);
    clearTimeout(this.#overdue);
  }

  #schedule(delay: number): void {
    this.#next = setTimeout(() => {
      this.#ws.send('{}');
      this.#overdue = setTimeout(() => this.#ws.close(NO_PONG, 'no pong'), PONG_TIMEOUT);
      this.#schedule(this.interval);
    }, delay);
  }
}
