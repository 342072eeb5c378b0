/** Who handles the named events of the other side. */

import { show } from './checks.ts';
import { guarded } from './report.ts';

/** Names that belong to the lifecycle of a client. */
const LIFECYCLE: readonly string[] = ['open', 'close', 'error', 'statechange', 'drop', 'unhandled'];

type Handler = (data: unknown) => unknown;

/** Handlers by name, called in the order in which they came. */
export class EventHandlers {
  readonly #handlers = new Map<string, Set<Handler>>();

  /** Adds a handler, and returns how to take it away. */
  add(name: string, handler: Handler, signal: AbortSignal | undefined): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    const added: Handler = (data) => handler(data); // the same function twice is two handlers
    const off = () => {
      handlers.delete(added);
      if (handlers.size === 0 && this.#handlers.get(name) === handlers) this.#handlers.delete(name);
      signal?.removeEventListener('abort', off);
    };
    if (signal?.aborted) return off;
    this.#handlers.set(name, handlers.add(added));
    signal?.addEventListener('abort', off);
    return off;
  }

  /** Calls the handlers of that name; false when there is none. One that fails is reported, and harms no other. */
  deliver(name: string, data: unknown): boolean {
    const handlers = this.#handlers.get(name);
    for (const handler of [...(handlers ?? [])]) if (handlers?.has(handler)) guarded(() => handler(data));
    return handlers !== undefined;
  }
}

/** Throws TypeError at what is no name of an event, or one that is spoken for. */
export function checkName(name: unknown): void {
  if (typeof name !== 'string' || name === '') throw new TypeError(`An event has a name, but got ${show(name)}`);
  if (LIFECYCLE.includes(name)) throw new TypeError(`"${name}" belongs to the lifecycle of the client: use addEventListener('${name}', …)`);
}
