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

/** The fields of a cell, `name` or `name?`, without what is inside them. */
function fieldsIn(cell: string): Map<string, boolean> {
  const flat = cell.replace(/\[?\{[^}]*\}\]?/g, '').replace(/\[\w*\]/g, '');
  const names = flat.split(', ').filter(Boolean);
  return new Map(names.map((name) => [name.replace('?', ''), name.endsWith('?')]));
}

describe('the table of frames', () => {
  const rows = tableUnder(path, 'Frames').rows.flatMap(([types = '', from = '', fields = '', numbered = '']) =>
    types.split(', ').map((type) => ({ type, from, fields: fieldsIn(fields), numbered })),
  );

  it('has every frame of both sides, and no other', () => {
    for (const side of ['client', 'server']) {
      const said = rows.filter(({ from }) => from === side || from === 'both').map(({ type }) => type);
      expect(said.sort()).toEqual(Object.keys(shapes[side] ?? {}).sort());
    }
  });

  it.each(rows)('$type, from $from: its fields, and which of them may be missing', ({ type, from, fields }) => {
    for (const shape of shapesOf(from, type)) {
      const checked = Object.keys(shape).filter((name) => name !== 'seq');
      expect([...fields.keys()]).toEqual(expect.arrayContaining(checked));
      for (const name of checked) expect([name, shape[name]?.(undefined)]).toEqual([name, fields.get(name)]);
      // What is not checked may be anything, and be missing.
      for (const name of [...fields.keys()].filter((each) => !checked.includes(each)))
        expect([name, fields.get(name)]).toEqual([name, true]);
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
  const rows = tableUnder(path, 'Messages').rows;
  /** What the table says of a field of a frame. */
  const said = (type: string, field: string) =>
    rows.find(([names = '']) => names.split(', ').some((each) => each === `\`${field}\`` || each === `\`${field}\` of ${type}`))?.[1] ??
    rows.find(([names = '']) => names.startsWith(`\`${field}\` of a ${type}`))?.[1] ??
    'text';
  const flat = Object.values(shapes).flatMap((side) =>
    Object.entries(side).flatMap(([type, shape]) => Object.entries(shape).map(([field, guard]) => ({ type, field, guard }))),
  );
  const structured = ['features', 'subscriptions', 'limits', 'heartbeat', 'error'];
  const simple = flat.filter(({ type, field, guard }) => {
    const isStructure = structured.includes(field) || (type === 'hello' && field === 'resume');
    return !isStructure && !(field === 'seq' && !guard(1));
  });

  it.each(simple)('$type: $field', ({ type, field, guard }) => {
    const taken = Object.entries(values).filter(([, value]) => guard(value));
    expect(taken.map(([name]) => name).sort()).toEqual([...(takes[said(type, field)] ?? [])].sort());
  });

  it.each([
    ['limits', { message: 1, window: 0 }, [{ message: 0, window: 0 }, { message: 1, window: -1 }, { message: 1 }]],
    ['heartbeat', { interval: 1, timeout: 1 }, [{ interval: 0, timeout: 1 }, { interval: 1, timeout: 0 }, { interval: 1 }]],
  ])('welcome: %s', (field, good, bad) => {
    const guard = FROM_SERVER.shapes['welcome']?.[field] as Guard;
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
