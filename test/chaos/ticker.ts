/** Calls something again and again, in a page as well as in Node. */

import type { Load } from './load.ts';

/** Every millisecond, or as often as the platform lets it; without a rate as often as it goes. Returns how to stop. */
export function keepTicking({ rate }: Load, tick: (now: number) => void): () => void {
  let isOver = false;
  const later = rate === Infinity ? asSoonAsPossible() : (again: () => void) => void setTimeout(again, 1);
  const again = () => {
    if (isOver) return;
    tick(performance.now());
    later(again);
  };
  later(again);
  return () => {
    isOver = true;
  };
}

/** Behind what has come in meanwhile, but without the pause that pages make between timers. */
function asSoonAsPossible(): (next: () => void) => void {
  if (typeof setImmediate === 'function') return (next) => void setImmediate(next);
  const { port1, port2 } = new MessageChannel();
  return (next) => {
    port1.onmessage = next;
    port2.postMessage(undefined);
  };
}
