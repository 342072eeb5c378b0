/** A client whose server is the test: every frame it hears is written by hand, every frame it writes can be read. */

import { Client } from '../../src/client.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import { FakeLifecycle } from './face.ts';
import { FakeClock, settled } from './fake-clock.ts';
import { FakeSocket } from './fake-socket.ts';
import { type Frame, framesIn } from './link.ts';

/** A welcome that begins a session; a test changes what it is about. */
export const WELCOME = {
  type: 'welcome',
  version: 1,
  features: ['calls', 'channels', 'binary', 'resume'],
  resumed: false,
  session: 'first',
  key: 'secret',
  received: 0,
  ttl: 120_000,
  heartbeat: { interval: 15_000, timeout: 5_000 },
  limits: { message: 65_536, window: 256 },
};

/** The session before goes on, and the server has so much of it. */
export const resumed = (received: number, more: object = {}) => ({ resumed: true, received, ...more });
/** It does not: this is another one. */
export const another = (more: object = {}) => ({ session: 'second', key: 'other', ...more });

export interface HandServer {
  readonly client: Client;
  readonly clock: FakeClock;
  /** Lifecycle events of the client in words: "close 1006 again", "drop event a session-lost". */
  readonly log: string[];
  /** Every socket the client made, the newest last. */
  readonly sockets: FakeSocket[];
  /** The newest socket. */
  readonly socket: FakeSocket;
  /** The newest hello. */
  readonly hello: Frame | undefined;
  /** The `resume` of the newest hello. */
  readonly asked: unknown;
  /** Accepts the newest socket and answers its hello. */
  welcomes(welcome?: object): Promise<void>;
  /** Says frames, each in a message of its own; an array is a batch. */
  says(...frames: object[]): Promise<void>;
  /** What the client wrote since the last time it was asked, hellos left out. */
  news(): Frame[];
  /** Cuts the link; the client comes back a second later, and its hello waits for an answer. */
  cuts(code?: number): Promise<void>;
  /** Until the next attempt, whose hello waits for an answer. */
  waits(): Promise<void>;
}

/** A client and its server, not yet connected. Retries wait a second each. */
export function handServer(options: ClientOptions = {}): HandServer {
  const clock = new FakeClock();
  const sockets: FakeSocket[] = [];
  const log: string[] = [];
  const read = new Map<FakeSocket, number>();
  const client = new Client('wss://example.test/live', {
    clock,
    lifecycle: new FakeLifecycle(),
    random: () => 0.5,
    backoff: () => 1_000,
    createSocket: (...args) => {
      const socket = new FakeSocket(...args);
      sockets.push(socket);
      return socket;
    },
    ...options,
  });
  client.addEventListener('close', ({ code, willReconnect }) => void log.push(`close ${code} ${willReconnect ? 'again' : 'final'}`));
  client.addEventListener('drop', ({ kind, name, reason }) => void log.push(`drop ${kind} ${name} ${reason}`));
  const settle = async () => {
    for (let i = 0; i < 5; i++) await settled();
  };
  const accept = async (socket: FakeSocket) => {
    await settle();
    if (socket.readyState === 0) socket.accepts();
    await settle();
  };
  return {
    client,
    clock,
    log,
    sockets,
    get socket() {
      const socket = sockets.at(-1);
      if (!socket) throw new Error('no socket was made yet');
      return socket;
    },
    get hello() {
      return this.socket.sent.flatMap((message) => framesIn(message as string))[0];
    },
    get asked() {
      return this.hello?.['resume'];
    },
    async welcomes(welcome = {}) {
      await settle();
      await accept(this.socket);
      await this.says({ ...WELCOME, ...welcome });
    },
    async says(...frames) {
      for (const frame of frames) this.socket.says(JSON.stringify(frame));
      await settle();
    },
    news() {
      return sockets.flatMap((socket) => {
        const all = socket.sent.flatMap((message) => framesIn(message as string)).filter(({ type }) => type !== 'hello');
        const from = read.get(socket) ?? 0;
        read.set(socket, all.length);
        return all.slice(from);
      });
    },
    async cuts(code = 1006) {
      this.socket.closed(code);
      await this.waits();
    },
    async waits() {
      await clock.advance(1_000);
      await accept(this.socket);
    },
  };
}

/**
 * Answers pings, calls and publishes, as a server does that handles every frame at once, until nothing more is said for so long that
 * a trial could have begun, or ended.
 *
 * @param isEnd whether it hears no more after this frame, which it does not handle
 * @returns what it heard, in words, and whether it heard everything
 */
export async function listens(s: HandServer, isEnd: (frame: Frame) => boolean = () => false): Promise<{ heard: string[]; all: boolean }> {
  const heard: string[] = [];
  let received = 0;
  for (let silences = 0; silences < 5; await s.clock.advance(3_000)) {
    silences++;
    for (let frames = s.news(); frames.length > 0; frames = s.news())
      for (const frame of frames) {
        const { type, id, nonce, seq } = frame;
        silences = 0;
        heard.push(...told([frame]));
        if (isEnd(frame)) return { heard, all: false };
        if (seq !== undefined) received++;
        if (type === 'ping') await s.says({ type: 'pong', nonce, received });
        if (type === 'request' || type === 'publish') await s.says({ type: 'response', seq: received, id, result: null });
      }
    await s.says({ type: 'ack', received });
  }
  return { heard, all: true };
}

/** Frames in words: "event a #1", "request add #2", "ack 3", "skip #4". */
export function told(frames: readonly Frame[]): string[] {
  return frames.map(({ type, name, method, channel, id, seq, received, error }) => {
    const what = name ?? method ?? channel ?? (type === 'ack' ? received : undefined);
    const code = (error as { code?: string } | undefined)?.code;
    const answers = type === 'response' || type === 'error' || type === 'cancel' ? id : undefined;
    return [type, what, answers, code, seq === undefined ? undefined : `#${seq}`].filter((word) => word !== undefined).join(' ');
  });
}
