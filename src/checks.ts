/** Checking options: as tables, so that every error names the option, what it got and what it takes. */

import { MAX_DELAY } from './core/backoff.ts';

/** Whether a value is accepted, and what is, in words. */
export type Check = readonly [accepts: (value: unknown) => boolean, takes: string];

/** A number, in some unit, not below a bound. */
export const atLeast = (least: number, takes: string): Check => [
  (value) => typeof value === 'number' && value >= least,
  `${takes}, ${least} or more`,
];
/** An object with methods of these names. */
export const has = (...names: string[]): Check => [
  (value) => names.every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function'),
  `an object with ${names.join(', ')}`,
];
export const duration: Check = atLeast(0, 'milliseconds');
export const period: Check = atLeast(1, 'milliseconds');
export const count: Check = [
  (value) => value === Infinity || (Number.isInteger(value) && (value as number) >= 0),
  'a whole number or Infinity',
];
export const callback: Check = [(value) => typeof value === 'function', 'a function'];
export const object: Check = [(value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'an object'];
export const boolean: Check = [(value) => typeof value === 'boolean', 'true or false'];

/** Checks options, and warns once about all the names that no table knows. */
export class Checker {
  readonly #unknown: string[] = [];

  /** The options that are given (undefined means the default), each one checked. Throws TypeError at a bad one. */
  given<T extends object>(values: T | undefined, table: Record<string, Check>, prefix = ''): T {
    const known = Object.entries(values ?? {}).filter(([name, value]) => {
      const check = Object.hasOwn(table, name) ? table[name] : undefined;
      if (!check) this.#unknown.push(`"${prefix}${name}"`);
      else if (value !== undefined && !check[0](value))
        throw new TypeError(`Option "${prefix}${name}" got ${show(value)}; it takes ${check[1]}`);
      return check && value !== undefined;
    });
    return Object.fromEntries(known) as T;
  }

  warn(): void {
    if (this.#unknown.length > 0) console.warn(`Holdfast does not know the option ${this.#unknown.join(', ')}; it is ignored`);
  }
}

/** @throws TypeError at what is no time to wait that a timer can hold */
export function checkWait(ms: unknown, name: string): void {
  const isFine = ms === undefined || (typeof ms === 'number' && ms >= 0 && ms <= MAX_DELAY);
  if (!isFine) throw new TypeError(`Option "${name}" got ${show(ms)}; it takes milliseconds, 0 to ${MAX_DELAY}`);
}

/** @throws TypeError at options that are no object */
export function checkOptions(options: unknown): void {
  if (!object[0](options)) throw new TypeError(`Option "options" got ${show(options)}; it takes an object`);
}

/** @throws TypeError at a name that is no text */
export function checkText(name: unknown, where: string): void {
  if (typeof name !== 'string') throw new TypeError(`${where}() takes a name first, but got ${show(name)}`);
}

/** A value, short enough for an error message. */
export function show(value: unknown): string {
  if (value instanceof Promise) return 'a Promise';
  return typeof value === 'object' && value ? 'an object' : typeof value === 'string' ? `'${value}'` : String(value);
}
