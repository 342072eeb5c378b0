/** The base of what dispatches our own events: an EventTarget that knows their names and types. */

import { TypedEventTarget } from 'typescript-event-target';

/**
 * Called with an event; what it returns does not matter, as the DOM has it.
 *
 * @inline
 */
export type Listener<E> = ((event: E) => unknown) | { handleEvent(event: E): unknown };

/** An EventTarget for the events of a map, by name. */
export interface OurEventTarget<M> {
  /**
   * Listens to the events of a name, as every `EventTarget` does (DOM, section 2.7). What a listener throws is reported by the platform and
   * harms no other listener; in Node that report ends the process.
   *
   * @param type the name of the event
   * @param listener called with each event
   * @param options `once`, `signal`, `capture` and `passive`, as the DOM has them
   */
  addEventListener<K extends keyof M & string>(type: K, listener: Listener<M[K]> | null, options?: boolean | AddEventListenerOptions): void;
  /**
   * Takes a listener away, as every `EventTarget` does (DOM, section 2.7).
   *
   * @param type the name of the event
   * @param listener what was given to `addEventListener`
   * @param options `capture`, where it was given to `addEventListener`
   */
  removeEventListener<K extends keyof M & string>(type: K, listener: Listener<M[K]> | null, options?: boolean | EventListenerOptions): void;
  /**
   * Calls the listeners with an event of your own, as every `EventTarget` does (DOM, section 2.7).
   *
   * @param event any event
   * @returns `false` when it was cancelable and a listener has called `preventDefault()`
   */
  dispatchEvent(event: Event): boolean;
}

/** The class to extend. Its listeners may return anything, where those of its package may not: `() => log.push(1)` is fine. */
export const OurEventTarget: new <M>() => OurEventTarget<M> = TypedEventTarget as never;
