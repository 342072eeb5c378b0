/** The tables of docs/protocol.md: frames and fields, what their values may be, and close codes, held against the code. */

import { describe, expect, it } from 'vitest';
import { FEATURES, holdfast } from '../../src/wire/holdfast.ts';
import { FROM_CLIENT, FROM_SERVER } from '../../src/wire/shapes.ts';
import { tableUnder } from '../support/markdown-tables.ts';
import { readDocument } from '../support/read-document.ts';

const path = 'docs/protocol.md';
type Guard = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Guard>>;

const shapes: Readonly<Record<string, Readonly<Record<string, Shape>>>> = { client: FROM_CLIENT.shapes, server: FROM_SERVER.shapes };
/** Frames of that type, as whoever is named may send them. */
const shapesOf = (from: string, type: string) =>
  (from === 'both' ? ['client', 'server'] : [from]).map((side) => shapes[side]?.[type] as Shape);

/** A field as the table has it: `name` or `name?`, then nothing, `{…}` for an object, or `[…]` for a list of what stands in it. */
interface Field {
  readonly name: string;
  readonly isOptional: boolean;
  /** Of an object. */
  readonly fields?: readonly Field[];
  /** Of a list: objects, or values that go by a name; that of the list itself where there is none. */
  readonly element?: Field;
}

/** The fields of a cell. */
function fieldsIn(cell: string): Field[] {
  return partsOf(cell).map((part) => {
    const [, name = '', optional, open, inside = ''] = /^(\w+)(\?)?(?:([[{])(.*)[\]}])?$/.exec(part) ?? [];
    const field = { name, isOptional: optional === '?' };
    if (open === '{') return { ...field, fields: fieldsIn(inside) };
    if (open !== '[') return name === 'error' ? { ...field, fields: fieldsIn(ERROR) } : field;
    if (inside === 'result') return { ...field, element: { ...field, fields: fieldsIn(RESULT) } };
    const isObject = inside.startsWith('{');
    return { ...field, element: isObject ? { ...field, fields: fieldsIn(inside.slice(1, -1)) } : { ...field, name: inside || name } };
  });
}

/** An error, where the table does not spell it out: that of the frame of this name. */
const ERROR = 'code, message?, data?, retryAfter?';
/** What becomes of a declaration, as the section Opening has it: one of two. */
const RESULT = 'channel, recovered?, epoch?, offset?, error?';

/** What stands between the commas that are in no bracket. */
function partsOf(cell: string): string[] {
  let depth = 0;
  const marked = [...cell].map((sign) => {
    depth += '[{'.includes(sign) ? 1 : ']}'.includes(sign) ? -1 : 0;
    return sign === ',' && depth === 0 ? '\n' : sign;
  });
  return marked
    .join('')
    .split('\n')
    .map((part) => part.trim())
    .filter(Boolean);
}

const rows = tableUnder(path, 'Frames').rows.flatMap(([types = '', from = '', fields = '', numbered = '']) =>
  types.split(', ').map((type) => ({ type, from, fields: fieldsIn(fields), numbered })),
);

describe('the table of frames', () => {
  it('has every frame of both sides, and no other', () => {
    for (const side of ['client', 'server']) {
      const said = rows.filter(({ from }) => from === side || from === 'both').map(({ type }) => type);
      expect(said.sort()).toEqual(Object.keys(shapes[side] ?? {}).sort());
    }
  });

  it.each(rows)('$type, from $from: its fields, and which of them may be missing', ({ type, from, fields }) => {
    for (const shape of shapesOf(from, type)) {
      const checked = Object.keys(shape).filter((name) => name !== 'seq');
      const isOptional = (name: string) => fields.find((field) => field.name === name)?.isOptional;
      expect(fields.map(({ name }) => name)).toEqual(expect.arrayContaining(checked));
      for (const name of checked) expect([name, shape[name]?.(undefined)]).toEqual([name, isOptional(name)]);
      // What is not checked may be anything, and be missing.
      for (const { name } of fields.filter((each) => !checked.includes(each.name))) expect([name, isOptional(name)]).toEqual([name, true]);
    }
  });

  it.each(rows)('$type, from $from: whether it has a number ($numbered)', ({ type, from, numbered }) => {
    for (const { seq } of shapesOf(from, type)) expect(seq?.(1)).toBe(numbered !== 'no');
  });

  it('is followed by every feature', () => {
    const [, list = ''] = /Features: ([\s\S]*?)A feature is there/.exec(readDocument(path).prose.join('\n')) ?? [];
    expect([...list.matchAll(/`(\w+)` \(/g)].map(([, name]) => name)).toEqual([...FEATURES]);
  });
});

/** Whose fields stand in a field. */
const OWNERS: Readonly<Record<string, string>> = { error: 'an error', set: 'a member', gone: 'a member' };
/** Fields that are something else than the fields of frames that have their names. */
const OTHERWISE: readonly string[] = ['error.code', 'set.id', 'gone.id'];

describe('the table of values', () => {
  /** A value of each kind, and those that each line of the table takes. */
  const values = { '-1': -1, '0': 0, '1': 1, '1.5': 1.5, most: 2 ** 53 - 1, 'more than that': 2 ** 53, text: 'x', true: true, list: [] };
  const takes: Record<string, readonly string[]> = {
    'whole numbers from 1 to 2^53-1; 1.0 is 1': ['1', 'most'],
    'the same, or 0': ['0', '1', 'most'],
    'numbers, 0 or more': ['0', '1', '1.5', 'most', 'more than that'],
    'true or false': ['true'],
    'anything, null too, but it has to be there': Object.keys(values),
    anything: Object.keys(values),
    text: ['text'],
  };
  const lines = tableUnder(path, 'Messages').rows;
  const lineOf = (isIt: (name: string) => boolean) => lines.find(([names = '']) => names.split(', ').some(isIt))?.[1];
  /** What the table says of a field of a frame, or of one that is inside of another. */
  const said = (type: string, name: string, within = ''): string => {
    const owner = OWNERS[within];
    const own = lineOf((each) => each === `\`${within}.${name}\`` || (owner !== undefined && each === `\`${name}\` of ${owner}`));
    if (own !== undefined || OTHERWISE.includes(`${within}.${name}`)) return own ?? 'text';
    const names = [`\`${name}\``, `\`${name}\` of ${type}`, `\`${name}\` of a ${type}`];
    return lineOf((each) => names.includes(each)) ?? 'text';
  };

  /** Values that a field may have and others, by what the two tables say of it. */
  function* samples(type: string, { name, fields, element }: Field, within = ''): Generator<[value: unknown, isTaken: boolean]> {
    if (element) {
      const good = goodOf(type, element, name);
      yield [[], true];
      yield [[good, good], true];
      for (const [value, isTaken] of samples(type, element, name)) yield [[good, value], isTaken];
      for (const value of ['x', 1, true, {}]) yield [value, false];
    } else if (fields) {
      const whole = goodOf(type, { name, isOptional: false, fields });
      yield [whole, true];
      for (const field of fields) {
        const { [field.name]: _, ...rest } = whole as Record<string, unknown>;
        yield [rest, field.isOptional];
        if (field.isOptional) yield [{ ...rest, [field.name]: null }, true];
        for (const [value, isTaken] of samples(type, field, name)) yield [{ ...rest, [field.name]: value }, isTaken];
      }
      for (const value of ['x', 1, true, []]) yield [value, false];
    } else {
      const taken = takes[said(type, name, within)] ?? [];
      for (const [key, value] of Object.entries(values)) yield [value, taken.includes(key)];
    }
  }

  /** One that is taken. */
  function goodOf(type: string, { name, fields, element }: Field, within = ''): unknown {
    if (element) return [];
    if (fields) return Object.fromEntries(fields.map((field) => [field.name, goodOf(type, field, name)]));
    return values[(takes[said(type, name, within)] ?? [])[0] as keyof typeof values];
  }

  const all = rows.flatMap(({ type, from, fields }) =>
    shapesOf(from, type).flatMap((shape) => {
      const checked = fields.flatMap((field) => ({ type, from, field, name: field.name, guard: shape[field.name] as Guard }));
      const numbers = [{ type, from, field: { name: 'seq', isOptional: true }, name: 'seq', guard: shape['seq'] as Guard }];
      return [...checked.filter(({ guard }) => guard), ...(shape['seq']?.(1) ? numbers : [])];
    }),
  );

  it.each(all)('$type, from $from: $name', ({ type, field, guard }) => {
    const found = [...samples(type, field)];
    expect(found.some(([, isTaken]) => isTaken)).toBe(true);
    for (const [value, isTaken] of found) expect([value, guard(value)]).toEqual([value, isTaken]);
  });

  it('has each field that is checked', () => {
    const named = all.map(({ type, name }) => `${type} ${name}`);
    for (const side of Object.values(shapes))
      for (const [type, shape] of Object.entries(side))
        for (const [name, guard] of Object.entries(shape)) if (name !== 'seq' || guard(1)) expect(named).toContain(`${type} ${name}`);
  });

  it.each([
    ['limits', { message: 1, window: 0 }, [{ message: 0, window: 0 }, { message: 1, window: -1 }, { message: 1 }]],
    ['heartbeat', { interval: 1, timeout: 1 }, [{ interval: 0, timeout: 1 }, { interval: 1, timeout: 0 }, { interval: 1 }]],
  ])('welcome: %s', (field, good, bad) => {
    const guard = FROM_SERVER.shapes['welcome']?.[field] as Guard;
    expect([good, ...bad].map(guard)).toEqual([true, ...bad.map(() => false)]);
  });

  it.each([
    [
      'set',
      [{ id: 'a', data: null }],
      [[{ id: 1, data: null }], [{ id: 'a' }], [{ data: null }], [{ id: 'a', from: 1, data: null }], [[]]],
    ],
    ['gone', ['a'], [[1], [null], [['a']], 'a']],
  ])('presence: %s', (field, good, bad) => {
    const guard = FROM_SERVER.shapes['presence']?.[field] as Guard;
    expect([good, ...bad].map(guard)).toEqual([true, ...bad.map(() => false)]);
  });
});

describe('the table of close codes', () => {
  const rows = tableUnder(path, 'Close codes').rows.filter(([code]) => code !== '1000 with bye, asked for');
  const codesIn = (cell: string) =>
    [...cell.matchAll(/(\d{4})(?: to (\d{4}))?/g)].flatMap(([, from, to = from]) =>
      Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i),
    );

  it.each(rows)('%s: what becomes of the session', (cell = '', _from, _meaning, _back, session) => {
    const kind = cell === '4003' ? 'violation' : 'closed';
    for (const code of codesIn(cell)) {
      const ending = { kind, code, bye: undefined, suspects: 0 };
      expect([code, holdfast.classify({ ...ending, welcomed: true }).forget]).toEqual([code, session?.startsWith('over')]);
      expect([code, holdfast.classify({ ...ending, welcomed: false }).forget]).toEqual([code, false]);
      for (const resume of [true, false]) {
        const bye = { type: 'bye', code, reconnect: true, resume } as const;
        expect(holdfast.classify({ ...ending, welcomed: true, bye }).forget).toBe(!resume);
      }
    }
  });

  it.each(rows)('%s: whether the client comes back (%s, %s: %s)', (cell = '', _from, _meaning, back = '') => {
    const kind = cell === '4003' ? 'violation' : 'closed';
    for (const code of codesIn(cell)) {
      const [first, second] = [0, 1].map((suspects) => holdfast.classify({ kind, code, bye: undefined, welcomed: true, suspects }).verdict);
      const comes: Record<string, boolean> = {
        no: !['retry', 'suspect', 'reauthorize'].includes(first ?? ''),
        'with backoff': first === 'retry' && code !== 4_001,
        'at once': first === 'retry' && code === 4_001,
        'once, then no': first === 'suspect' && second === 'refused',
        'three times': first === 'suspect' && second === 'suspect',
        'once, with a fresh token': first === 'reauthorize',
      };
      expect([code, comes[back]]).toEqual([code, true]);
    }
  });
});
