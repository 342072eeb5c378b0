/** What goes wrong in a user's callback: told to the world, and kept from doing harm. */

/** Tells the world about an exception in a user's callback, without letting it do harm. */
export function report(error: unknown): void {
  if (typeof reportError === 'function') reportError(error);
  else console.error(error);
}

/** Runs a user's callback; an exception is reported and counts as `undefined`, and so is a promise that rejects. */
export function guarded<T>(callback: () => T): T | undefined {
  try {
    const result = callback();
    if (result instanceof Promise) result.catch(report);
    return result;
  } catch (error) {
    report(error);
    return undefined;
  }
}
