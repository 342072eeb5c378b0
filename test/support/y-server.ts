/** A real y-websocket server, small: one document a room, synced and passed on to everybody in it, awareness included. */

import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { WebSocket } from 'ws';
import { Awareness, applyAwarenessUpdate } from 'y-protocols/awareness';
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync';
import { Doc } from 'yjs';
import { type SocketHost, startSocketHost } from './socket-host.ts';

const SYNC = 0;
const AWARENESS = 1;

class Room {
  readonly doc = new Doc();
  readonly #awareness = new Awareness(this.doc);
  readonly #members = new Set<WebSocket>();

  constructor() {
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      this.#tell(
        message(SYNC, (encoder) => writeUpdate(encoder, update)),
        origin,
      );
    });
  }

  enter(ws: WebSocket): void {
    this.#members.add(ws);
    ws.on('close', () => this.#members.delete(ws));
    ws.on('message', (data: ArrayBuffer) => this.#hear(ws, new Uint8Array(data)));
    ws.send(message(SYNC, (encoder) => writeSyncStep1(encoder, this.doc)));
  }

  leave(): void {
    this.#awareness.destroy();
    this.doc.destroy();
  }

  #hear(ws: WebSocket, data: Uint8Array): void {
    const decoder = decoding.createDecoder(data);
    const type = decoding.readVarUint(decoder);
    if (type === AWARENESS) {
      applyAwarenessUpdate(this.#awareness, decoding.readVarUint8Array(decoder), ws);
      this.#tell(data, ws);
    } else if (type === SYNC) {
      const answer = message(SYNC, (encoder) => readSyncMessage(decoder, encoder, this.doc, ws));
      if (answer.length > 1) ws.send(answer);
    }
  }

  #tell(data: Uint8Array, origin: unknown): void {
    for (const member of this.#members) if (member !== origin) member.send(data);
  }
}

function message(type: number, write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, type);
  write(encoder);
  return encoding.toUint8Array(encoder);
}

export interface YServer {
  readonly host: SocketHost;
  /** The document of a room, as the server has it. */
  doc(room: string): Doc;
  stop(): Promise<void>;
}

/** Runs it on a port of its own. */
export async function startYServer(): Promise<YServer> {
  const rooms = new Map<string, Room>();
  const roomOf = (name: string): Room => {
    const room = rooms.get(name) ?? new Room();
    rooms.set(name, room);
    return room;
  };
  const host = await startSocketHost((wss) => {
    wss.on('connection', (ws, request) => {
      ws.binaryType = 'arraybuffer';
      ws.on('error', () => {});
      roomOf(new URL(request.url ?? '/', 'http://localhost').pathname.slice(1)).enter(ws);
    });
  });
  return {
    host,
    doc: (room) => roomOf(room).doc,
    stop() {
      for (const room of rooms.values()) room.leave();
      return host.stop();
    },
  };
}
