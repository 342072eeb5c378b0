/** The arguments of a run. */

import { parseArgs } from 'node:util';
import type { ChaosOptions } from './chaos.ts';

/** What the arguments say, with the defaults for the rest. */
export function optionsFrom(args: string[]): ChaosOptions & { readonly bundle: string } {
  const { values } = parseArgs({
    args,
    options: {
      messages: { type: 'string', default: '100000' },
      cuts: { type: 'string', default: '500' },
      holes: { type: 'string', default: '0' },
      stalls: { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '1000' },
      burst: { type: 'string' },
      inflight: { type: 'string', default: '500' },
      calls: { type: 'string', default: '100' },
      resent: { type: 'string' },
      bundle: { type: 'string', default: 'dist/holdfast.iife.js' },
    },
  });
  const number = (name: keyof typeof values) => {
    const value = values[name] === 'max' ? Infinity : Number(values[name]);
    if (Number.isNaN(value)) throw new TypeError(`--${name} is a number, but got ${values[name]}`);
    return value;
  };
  // What is under way at a cut is written again: on a line that is full, or leads into a hole, that has no bound that is known beforehand.
  const isBounded = number('holes') + number('stalls') === 0 && number('rate') <= 1_000 && values.burst === undefined;
  return {
    messages: number('messages'),
    cuts: number('cuts'),
    holes: number('holes'),
    stalls: number('stalls'),
    seed: number('seed'),
    rate: number('rate'),
    burst: values.burst === undefined ? (number('rate') === Infinity ? 2 : 1) : number('burst'),
    inFlight: number('inflight'),
    bundle: values.bundle,
    calls: number('calls'),
    resent: (values.resent === undefined ? (isBounded ? 1 : 100) : number('resent')) / 100,
  };
}
