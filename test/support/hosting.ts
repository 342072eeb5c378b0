/** A server without sockets, and peers by hand, one frame at a time. */

import { expect } from 'vitest';
import { Host } from '../../src/server/host.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { FakeClock, settled } from './fake-clock.ts';
import { type Frame, framesIn } from './link.ts';

export const HELLO = {
  type: 'hello',
  version: 1,
  features: ['calls', 'channels', 'binary'],
  limits: { message: 65_536, window: 256 },
  attempt: 0,
};

/** A host with a clock of its own; what it reports is in `errors`. */
export function hosting(options: HostOptions = {}) {
  const clock = new FakeClock();
  const errors: string[] = [];
  const host = new Host({ clock, onerror: (error, where) => errors.push(`${where}: ${error}`), ...options });

  /** A connection by hand. */
  const connect = (address = '10.0.0.1') => {
    const received: Frame[] = [];
    const closes: number[] = [];
    const reach = { bufferedAmount: 0, answersClose: true, terminated: false, failsToSend: false, failsToClose: false };
    const port = host.accept(
      {
        get bufferedAmount() {
          return reach.bufferedAmount;
        },
        send: (message) => {
          if (reach.failsToSend) throw new Error('the socket is broken');
          received.push(...framesIn(message));
        },
        close: (code) => {
          if (reach.failsToClose) throw new Error('the socket is broken');
          closes.push(code);
          if (reach.answersClose) queueMicrotask(() => port.closed());
        },
        terminate: () => {
          reach.terminated = true;
          port.closed();
        },
      },
      { url: '/', headers: {}, address },
    );
    const says = async (...frames: unknown[]) => {
      for (const frame of frames) port.receive(typeof frame === 'object' && !ArrayBuffer.isView(frame) ? JSON.stringify(frame) : frame);
      await settled();
    };
    /** What came since the last time it was asked. */
    const news = () => received.splice(0);
    return { port, received, closes, reach, says, news };
  };

  /** A connection with its welcome behind it. */
  const welcomed = async (hello: object = {}, address?: string) => {
    const peer = connect(address);
    await peer.says({ ...HELLO, ...hello });
    expect(peer.news()).toMatchObject([{ type: 'welcome' }]);
    return peer;
  };
  return { host, clock, errors, connect, welcomed };
}

/** The types of frames, in order. */
export const types = (frames: Frame[]) => frames.map(({ type }) => type);
