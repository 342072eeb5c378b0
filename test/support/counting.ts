/** The world as it is, but counted: what waits, and who listens. */

import type { Clock, Lifecycle, LifecycleSignal } from '../../src/index.ts';
import { systemClock } from '../../src/io/clock.ts';

/** The clock of the platform, which knows how many timers wait. */
export class CountingClock implements Clock {
  readonly #timers = new Set<unknown>();

  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return systemClock.now();
  }

  wall(): number {
    return systemClock.wall();
  }

  setTimeout(callback: () => void, delay: number): unknown {
    const timer = systemClock.setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, delay);
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer);
    systemClock.clearTimeout(timer);
  }
}

/** A page to which nothing happens, which knows how many listen. */
export class CountingLifecycle implements Lifecycle {
  readonly hidden = false;
  readonly onLine = true;
  readonly #listeners = new Set<unknown>();

  get watchers(): number {
    return this.#listeners.size;
  }

  watch(listener: (signal: LifecycleSignal) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** A signal, and how many listen to it. */
export function countingSignal(): { readonly controller: AbortController; readonly signal: AbortSignal; readonly listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<AbortSignal['addEventListener']>) => {
    listeners.add(args[1]);
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<AbortSignal['removeEventListener']>) => {
    listeners.delete(args[1]);
    removeEventListener.apply(signal, args);
  };
  return { controller, signal, listeners: () => listeners.size };
}

/** Bytes in use, once everything that can go has gone: what has just died may need a turn of the loop and a second look. */
export async function heap(): Promise<number> {
  if (!globalThis.gc) throw new Error('run with --expose-gc');
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

/** Connections of this process, both ends counted. */
export const tcpSockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
