/** The libraries as a page uses them. Each is handed in: it is bundled with the page, and need not be installed for the type check. */

import type { Client, ReconnectingWebSocket } from '../../src/index.ts';
import type { Connect } from './page.ts';

interface SocketLike {
  addEventListener(type: 'open' | 'close', listener: () => void): void;
  send(data: string): unknown;
}

/** The platform's interface, with nothing of ours on the way. */
export const socket =
  (make: (url: string) => SocketLike): Connect =>
  (url, ear) => {
    const socket = make(url);
    socket.addEventListener('open', ear.opened);
    socket.addEventListener('close', ear.lost);
    return { send: (text) => void socket.send(text) };
  };

export const dropIn =
  (make: (url: string) => ReconnectingWebSocket): Connect =>
  (url, ear) => {
    let made: ReconnectingWebSocket | undefined;
    const link = socket((address) => {
      made = make(address);
      return made;
    })(url, ear);
    made?.addEventListener('drop', ({ data }) => ear.refused(String(data)));
    return link;
  };

interface IoSocket {
  on(event: string, listener: () => void): void;
  emit(event: string, text: string, answer?: (error?: unknown) => void): void;
}

/** @param isAnswered whether the server's answer is asked for, as `retries` needs it */
export const socketIo =
  (make: (url: string) => IoSocket, isAnswered: boolean): Connect =>
  (url, ear) => {
    const socket = make(url.replace('ws:', 'http:'));
    socket.on('connect', ear.opened);
    socket.on('disconnect', ear.lost);
    return {
      send(text) {
        if (isAnswered) socket.emit('note', text, (error) => error && ear.refused(text));
        else socket.emit('note', text);
      },
    };
  };

interface Centrifuge {
  on(event: string, listener: () => void): void;
  publish(channel: string, data: unknown): Promise<unknown>;
  connect(): void;
}

export const centrifuge =
  (make: (url: string) => Centrifuge): Connect =>
  (url, ear) => {
    const client = make(`${url}connection/websocket`);
    let isConnected = false;
    client.on('connected', () => {
      isConnected = true;
      ear.opened();
    });
    client.on('connecting', () => {
      if (isConnected) ear.lost();
      isConnected = false;
    });
    client.connect();
    return { send: (text) => void client.publish('notes', { text }).catch(() => ear.refused(text)) };
  };

export const client =
  (make: (url: string) => Client): Connect =>
  (url, ear) => {
    const client = make(url);
    client.addEventListener('open', ear.opened);
    client.addEventListener('close', ear.lost);
    client.addEventListener('drop', ({ data }) => ear.refused(String(data)));
    return { send: (text) => void client.send('note', text) };
  };
