/** Time, as the library sees it. Inject your own to test without waiting. */

/**
 * Everything that depends on time goes through this. Give one of your own to test without waiting.
 *
 * @example
 * let now = 0;
 * const timers = new Set<{ at: number; callback: () => void }>();
 * const clock: Clock = {
 *   now: () => now,
 *   wall: () => now,
 *   setTimeout(callback, delay) {
 *     const timer = { at: now + delay, callback };
 *     timers.add(timer);
 *     return timer;
 *   },
 *   clearTimeout: (timer) => void timers.delete(timer as { at: number; callback: () => void }),
 * };
 * const socket = new ReconnectingWebSocket('wss://example.com/chat', { clock });
 */
export interface Clock {
  /**
   * Monotonic milliseconds: for durations. A change of the system's time does not move it.
   *
   * @returns milliseconds since any fixed moment
   */
  now(): number;
  /**
   * Epoch milliseconds: for display only.
   *
   * @returns milliseconds since 1970, as `Date.now()`
   */
  wall(): number;
  /**
   * Calls back once, unless cleared.
   *
   * @param callback what to call
   * @param delay milliseconds from now
   * @returns what `clearTimeout` takes
   */
  setTimeout(callback: () => void, delay: number): unknown;
  /**
   * Clears a timer. One that has called back, and `undefined`, are no mistake.
   *
   * @param timer what `setTimeout` returned
   */
  clearTimeout(timer: unknown): void;
}

/** The clock of the platform; globals are read when used, so that fake timers installed later work. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimeout: (callback, delay) => setTimeout(callback, delay),
  clearTimeout: (timer) => clearTimeout(timer as number),
};
