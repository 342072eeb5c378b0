/** Compares what came over the wire with the patterns of the test vectors. */

import type { Fields, Json } from './vectors.ts';

/** A frame, and its payload where that came in bytes. */
export interface Received {
  readonly frame: Fields;
  readonly payload?: Uint8Array;
}

const KINDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string' && value !== '',
  number: (value) => typeof value === 'number',
  flag: (value) => typeof value === 'boolean',
  list: Array.isArray,
  none: (value) => value === undefined || value === null || (Array.isArray(value) && value.length === 0),
  absent: (value) => value === undefined || value === null,
  present: (value) => value !== undefined,
};

/**
 * Whether a frame is as the pattern has it: undefined, or what is not.
 *
 * @param captured where values with a name go, and come from
 */
export function match({ frame, payload }: Received, pattern: Fields, captured: Map<string, Json>): string | undefined {
  const field = Object.keys(pattern).find((name) => isBytes(pattern[name]));
  if (payload && field === undefined) return 'the payload came in bytes';
  const { [field ?? '']: wanted, ...rest } = pattern;
  if (field !== undefined) {
    const came = payload && Buffer.from(payload).toString('base64');
    if (came !== (wanted as Fields)['$base64']) return `${field} is ${came ?? 'no bytes'}`;
  }
  return misfit(frame, field === undefined ? pattern : rest, captured, 'the frame');
}

function isBytes(value: Json | undefined): boolean {
  return isObject(value) && typeof value['$base64'] === 'string';
}

function isObject(value: Json | undefined): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function misfit(value: Json | undefined, pattern: Json, captured: Map<string, Json>, where: string): string | undefined {
  const wrong = `${where} is ${JSON.stringify(value)}`;
  if (Array.isArray(pattern)) {
    if (!Array.isArray(value) || value.length !== pattern.length) return wrong;
    return first(pattern.map((each: Json, i) => misfit(value[i], each, captured, `${where}[${i}]`)));
  }
  if (!isObject(pattern)) return value === named(pattern, captured) ? undefined : wrong;
  if ('$exact' in pattern) return same(value, pattern['$exact'] as Json) ? undefined : wrong;
  if ('$is' in pattern) {
    if (!KINDS[String(pattern['$is'])]?.(value)) return wrong;
    if (typeof pattern['$as'] === 'string' && value !== undefined) captured.set(pattern['$as'], value);
    return undefined;
  }
  if ('$above' in pattern) {
    const by = Number(value) - Number(captured.get(String(pattern['$above'])));
    return ('$by' in pattern ? by === pattern['$by'] : by > 0) ? undefined : wrong;
  }
  if (!isObject(value)) return wrong;
  return first(Object.keys(pattern).map((name) => misfit(own(value, name), pattern[name] as Json, captured, name)));
}

function first(misfits: readonly (string | undefined)[]): string | undefined {
  return misfits.find((each) => each !== undefined);
}

function own(value: Fields, name: string): Json | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

/** `{{name}}` stands for what was captured. */
function named(pattern: Json, captured: ReadonlyMap<string, Json>): Json | undefined {
  const name = typeof pattern === 'string' ? /^\{\{(\w+)\}\}$/.exec(pattern)?.[1] : undefined;
  return name === undefined ? pattern : captured.get(name);
}

function same(a: Json | undefined, b: Json): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const keys = Object.keys(a);
  if (Array.isArray(a) !== Array.isArray(b) || keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && same((a as Fields)[key], (b as Fields)[key] as Json));
}
