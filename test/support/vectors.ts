/** The test vectors of the protocol, docs/protocol-vectors.json: what they look like, and what is wrong with them. docs/protocol-vectors.md says what they mean. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDocument, root } from './read-document.ts';

export type Side = 'client' | 'server';
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type Fields = { readonly [name: string]: Json };

/** What is sent as it is: text, bytes, or text with as many x for its `{{pad}}` as make it so long. */
export type Message = string | { readonly base64: string } | { readonly text: string; readonly bytes: number | 'limit' | 'limit+1' };

/** Something that happens before. */
export type Step =
  /** The steps of that name. */
  | string
  /** A frame: sent, or, where it is from the one under test, waited for and compared. */
  | { readonly from: Side; readonly frame: Fields; readonly on?: number }
  /** Some that come in any order, from the one under test. */
  | { readonly from: Side; readonly frames: readonly Fields[]; readonly on?: number }
  | { readonly from: Side; readonly message: Message; readonly on?: number }
  /** What the one under test is to do. */
  | { readonly does: Fields }
  /** The connection is lost without a word, or closed with that code; the next one is made after so many milliseconds, where it says so. */
  | { readonly cut: true; readonly away?: number }
  | { readonly closes: number; readonly away?: number }
  /** The one under test closes it with that code, or one of these. */
  | { readonly closed: number | readonly number[] }
  /** Another connection, beside those there are. */
  | { readonly connects: true }
  /** So many milliseconds pass. */
  | { readonly wait: number };

export interface Expectation {
  /** What is sent back; a list within it comes in any order. */
  readonly frames?: readonly (Fields | readonly Fields[])[];
  /** The connection is closed with that code, or one of these. */
  readonly close?: number | readonly number[];
  /** Nothing is sent back, and the connection goes on. */
  readonly ignored?: true;
  /** Whether a client comes back after its connection has ended. */
  readonly reconnects?: boolean;
  /** The client comes back by itself: not before the first, and not after the second of these milliseconds. */
  readonly returns?: readonly [from: number, to: number];
  /** What is sent first on the next connection. */
  readonly next?: Fields;
  /** The connection before this one is closed with that code. */
  readonly olderCloses?: number;
}

export interface Vector {
  readonly name: string;
  /** A heading of docs/protocol.md. */
  readonly section: string;
  /** Who is under test. */
  readonly to: Side;
  /** What not everybody has. */
  readonly needs?: readonly string[];
  readonly before?: readonly Step[];
  /** What is sent to the one under test; left out where the last step is what it answers to. */
  readonly receives?: Message;
  readonly expects: Expectation;
}

export interface Vectors {
  readonly format: string;
  readonly protocol: number;
  readonly beginnings: Readonly<Record<string, readonly Step[]>>;
  readonly vectors: readonly Vector[];
}

const path = 'docs/protocol-vectors.json';

/** Reads them. */
export function readVectors(): Vectors {
  return JSON.parse(readFileSync(join(root, path), 'utf8')) as Vectors;
}

/** What a vector may need: features, and what has to be set up. */
export const NEEDS: readonly string[] = [
  'calls',
  'channels',
  'binary',
  'resume',
  'recovery',
  'streams',
  'uploads',
  'presence',
  'refresh',
  'idempotency',
  'auth',
  'forbidden',
  'clock',
];
const KINDS = ['text', 'number', 'flag', 'list', 'none', 'absent', 'present'];
/** What the one under test may have to do, and what is said about it. */
const BOTH = { send: ['data'], call: ['params', 'timeout'], cancel: [], publish: ['data'], close: [] };
const DEEDS: Readonly<Record<Side, Readonly<Record<string, readonly string[]>>>> = {
  client: {
    ...BOTH,
    call: [...BOTH.call, 'idempotent'],
    publish: [...BOTH.publish, 'idempotent'],
    stream: ['params', 'buffer'],
    upload: ['params', 'items', 'chunkSize', 'open'],
    subscribe: ['params'],
    unsubscribe: [],
    presence: ['data'],
    shows: ['data'],
    hides: [],
    unwatch: [],
  },
  server: { ...BOTH, shutdown: [] },
};

type Rule = (value: unknown) => boolean;
const text: Rule = (value) => typeof value === 'string' && value !== '';
const number: Rule = (value) => typeof value === 'number';
const whole: Rule = (value) => Number.isInteger(value) && Number(value) >= 0;
const some: Rule = (value) => whole(value) && value !== 0;
const yes: Rule = (value) => value === true;
const flag: Rule = (value) => typeof value === 'boolean';
const side: Rule = (value) => value === 'client' || value === 'server';
const code: Rule = (value) => Number.isInteger(value) && Number(value) >= 1_000 && Number(value) <= 4_999;
const object: Rule = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf =
  (rule: Rule): Rule =>
  (value) =>
    Array.isArray(value) && value.length > 0 && value.every(rule);

const codes: Rule = (value) => code(value) || listOf(code)(value);
const size: Rule = (value) => number(value) || value === 'limit' || value === 'limit+1';
const message: Rule = (value) =>
  typeof value === 'string' || fits(value, { base64: (each) => typeof each === 'string' }) || fits(value, { text, bytes: size });
const STEPS: readonly (readonly [Fit, Fit?])[] = [
  [{ from: side, frame: object }, { on: number }],
  [{ from: side, frames: listOf(object) }, { on: number }],
  [{ from: side, message }, { on: number }],
  [{ does: object }],
  [{ cut: yes }, { away: some }],
  [{ closes: code }, { away: some }],
  [{ closed: codes }],
  [{ connects: yes }],
  [{ wait: some }],
];

type Fit = Readonly<Record<string, Rule>>;

/** Whether an object has what it must have, and nothing beyond what it may have. */
function fits(value: unknown, must: Fit, may: Fit = {}): boolean {
  if (!object(value)) return false;
  const all = { ...must, ...may };
  const fields = Object.entries(value as object);
  return (
    Object.keys(must).every((name) => Object.hasOwn(value as object, name)) && fields.every(([name, each]) => all[name]?.(each) === true)
  );
}

const EXPECTS: Fit = {
  frames: listOf((each) => frame(each) || (Array.isArray(each) && each.length > 1 && each.every(frame))),
  close: codes,
  ignored: yes,
  reconnects: flag,
  returns: (value) => Array.isArray(value) && value.length === 2 && value.every(whole) && value[0] < value[1],
  next: frame,
  olderCloses: code,
};

function frame(value: unknown): boolean {
  return object(value) && text((value as Fields)['type']);
}

/** What is wrong with the file, in words: nothing where it is as docs/protocol-vectors.md has it. */
export function problems(file: Vectors): string[] {
  const { format, protocol, beginnings, vectors, ...rest } = file;
  const found = Object.keys(rest).map((key) => `nobody knows the key "${key}"`);
  if (typeof format !== 'string' || typeof protocol !== 'number') found.push('"format" or "protocol" is missing');
  const names = new Set<string>();
  const headings = new Set([...readDocument('docs/protocol.md').prose.map((line) => /^## (.+)/.exec(line)?.[1])]);
  for (const [name, steps] of Object.entries(beginnings)) found.push(...stepProblems(steps, name, {}));
  for (const vector of vectors) {
    const { name, section, to } = vector;
    const say = (problem: string) => void found.push(`${name}: ${problem}`);
    if (names.has(name)) say('the name is not unique');
    names.add(name);
    const must = { name: text, section: text, to: side, expects: object };
    if (!fits(vector, must, { needs: listOf((each) => NEEDS.includes(String(each))), before: listOf(() => true), receives: message }))
      say(`a key is missing, unknown or ill: ${Object.keys(vector)}`);
    if (!headings.has(section)) say(`docs/protocol.md has no section ${section}`);
    found.push(...stepProblems(vector.before ?? [], name, beginnings), ...expectationProblems(vector));
    const steps = (vector.before ?? []).flatMap((step) => (typeof step === 'string' ? (beginnings[step] ?? []) : [step]));
    if (takesTime({ ...vector, before: steps }) && !vector.needs?.includes('clock')) say('what takes time needs a clock');
    for (const step of steps)
      if (typeof step === 'object' && 'does' in step && !isDeed(step.does, to)) say(`it cannot do ${JSON.stringify(step.does)}`);
    for (const [key, value] of patternKeys(vector))
      if (!['$is', '$as', '$above', '$by', '$exact', '$base64', '$pad'].includes(key) || (key === '$is' && !KINDS.includes(String(value))))
        say(`nobody knows ${key} ${value}`);
  }
  return found;
}

/** Whether it is about time. */
function takesTime({ before = [], expects }: Vector): boolean {
  return expects.returns !== undefined || before.some((step) => typeof step === 'object' && ('wait' in step || 'away' in step));
}

/** The verb comes first. */
function isDeed(deed: Fields, to: Side): boolean {
  const [verb = '', ...about] = Object.keys(deed);
  const known = Object.hasOwn(DEEDS[to] ?? {}, verb) ? DEEDS[to][verb] : undefined;
  return known !== undefined && about.every((each) => known.includes(each));
}

function stepProblems(steps: readonly Step[], name: string, beginnings: Vectors['beginnings']): string[] {
  return steps.flatMap((step) => {
    const known = typeof step === 'string' ? Object.hasOwn(beginnings, step) : STEPS.some(([must, may]) => fits(step, must, may));
    return known ? [] : [`${name}: nobody knows the step ${JSON.stringify(step)}`];
  });
}

function expectationProblems({ name, to, receives, before = [], expects }: Vector): string[] {
  const found: string[] = [];
  const last = before.at(-1);
  if (Object.keys(expects).length === 0) found.push(`${name}: it expects nothing`);
  if (!fits(expects, {}, EXPECTS)) found.push(`${name}: an expectation is unknown or ill`);
  if (expects.ignored && Object.keys(expects).length > 1) found.push(`${name}: what is ignored has no other consequence`);
  if (to === 'server' && (expects.reconnects !== undefined || expects.returns || expects.next))
    found.push(`${name}: a server does not reconnect`);
  const acts = typeof last === 'object' && ('does' in last || 'cut' in last || 'closes' in last || 'wait' in last);
  if (receives === undefined && !acts) found.push(`${name}: nothing happens that could have consequences`);
  return found;
}

/** Every key of a pattern that begins with $, with its value. */
function patternKeys(value: unknown): [key: string, value: unknown][] {
  const keys: [string, unknown][] = [];
  JSON.stringify(value, (key, each: unknown) => {
    if (key.startsWith('$')) keys.push([key, each]);
    return each;
  });
  return keys;
}
