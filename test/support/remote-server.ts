/** A server under test by the vectors, over real sockets. */

import { onTestFinished } from 'vitest';
import { WebSocket as WS } from 'ws';
import { once } from './e2e.ts';
import type { Heard, Subject, Wire } from './replay.ts';
import { heardIn } from './vector-subjects.ts';

/** A server that is somewhere else, and that nobody can tell what to do. */
export function remoteServer(url: string): Subject {
  return {
    connect: async () => wire(await open(url)),
    does: () => {
      throw new Error('nobody can tell it what to do');
    },
  };
}

async function open(url: string): Promise<WS> {
  const socket = new WS(url);
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

/** Generous: reached only when something is broken. */
const PATIENCE = 5_000;

function wire(socket: WS): Wire {
  const inbox: Heard[] = [];
  const waiting: ((heard: Heard | undefined) => void)[] = [];
  const arrived = (heard: Heard) => {
    const next = waiting.shift();
    if (next) next(heard);
    else inbox.push(heard);
  };
  socket.on('message', (data: Buffer, isBinary) => heardIn(isBinary ? data : data.toString()).forEach(arrived));
  socket.on('close', (close) => arrived({ close }));
  return {
    send: (message) => socket.send(message),
    end: () => socket.terminate(),
    next: () => {
      const heard = inbox.shift();
      if (heard) return Promise.resolve(heard);
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, PATIENCE, undefined);
        waiting.push((next) => {
          clearTimeout(timer);
          resolve(next);
        });
      });
    },
  };
}
