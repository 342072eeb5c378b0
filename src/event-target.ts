/** The base of what dispatches our own events: an EventTarget that knows their names and types. */

import { TypedEventTarget } from 'typescript-event-target';

/** Called with an event; what it returns does not matter, as the DOM has it. */
export type Listener<E> = ((event: E) => unknown) | { handleEvent(event: E): unknown };

/** An EventTarget for the events of a map, by name. */
export interface OurEventTarget<M> {
  addEventListener<K extends keyof M & string>(type: K, listener: Listener<M[K]> | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof M & string>(type: K, listener: Listener<M[K]> | null, options?: boolean | EventListenerOptions): void;
  dispatchEvent(event: Event): boolean;
}

/** The class to extend. Its listeners may return anything, where those of the package it comes from may not: `() => log.push(1)` is fine. */
export const OurEventTarget: new <M>() => OurEventTarget<M> = TypedEventTarget as never;
