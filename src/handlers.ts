/** Event handler attributes (HTML, section 8.1.8.1): `onmessage` and its like, on any EventTarget. */

interface Slot {
  value: unknown;
  readonly listener: (event: Event) => unknown;
}

/** A handler keeps its place among the listeners while it is replaced, and loses it when it is set to null. */
export class Handlers {
  readonly #target: EventTarget;
  readonly #slots = new Map<string, Slot>();

  constructor(target: EventTarget) {
    this.#target = target;
  }

  get(type: string): unknown {
    return this.#slots.get(type)?.value ?? null;
  }

  /** Anything but a function or an object is as good as null; an object that cannot be called is kept and never called. */
  set(type: string, value: unknown): void {
    const slot = this.#slots.get(type);
    const usable = typeof value === 'function' || (typeof value === 'object' && value !== null);
    if (slot && usable) slot.value = value;
    else if (slot) {
      this.#slots.delete(type);
      this.#target.removeEventListener(type, slot.listener);
    } else if (usable) {
      const added: Slot = { value, listener: (event) => typeof added.value === 'function' && added.value.call(this.#target, event) };
      this.#slots.set(type, added);
      this.#target.addEventListener(type, added.listener);
    }
  }
}
