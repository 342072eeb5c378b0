// @vitest-environment node
/** Listeners, on an EventTarget that keeps to the standard: happy-dom's calls removed ones too. What Node gets wrong (it calls added ones): test/browser. */

import { describe, expect, it } from 'vitest';
import { world } from '../support/face.ts';

describe('listeners', () => {
  it('may remove others while they are called', async () => {
    const w = world();
    const seen: string[] = [];
    const removed = () => seen.push('removed');
    w.ws.addEventListener('message', () => {
      seen.push('first');
      w.ws.removeEventListener('message', removed);
    });
    w.ws.addEventListener('message', removed);
    w.ws.addEventListener('message', () => seen.push('last'));
    await w.open();
    w.socket.says(1);
    expect(seen).toEqual(['first', 'last']);
  });

  it('of the last close event may begin a new life in it', async () => {
    const w = world({ maxRetries: 0 });
    w.ws.addEventListener('close', ({ willReconnect }) => !willReconnect && w.sockets.length < 3 && w.ws.reconnect());
    for (let i = 0; i < 3; i++) {
      await w.settle();
      w.socket.fails();
    }
    await w.clock.advance(60_000);
    expect(w.sockets).toHaveLength(3);
    expect(w.log.filter((line) => line === 'close 1006 final')).toHaveLength(3);
    expect([w.clock.pending, w.page.listeners.size]).toEqual([0, 0]);
  });
});
