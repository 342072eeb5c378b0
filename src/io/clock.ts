/** Time, as the library sees it. Inject your own to test without waiting. */

/** Everything that depends on time goes through this. */
export interface Clock {
  /** Monotonic milliseconds: for durations. A change of the system's time does not move it. */
  now(): number;
  /** Epoch milliseconds: for display only. */
  wall(): number;
  /** Calls back once after `delay` milliseconds, unless cleared. */
  setTimeout(callback: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The clock of the platform; globals are read when used, so that fake timers installed later work. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimeout: (callback, delay) => setTimeout(callback, delay),
  clearTimeout: (timer) => clearTimeout(timer as number),
};
