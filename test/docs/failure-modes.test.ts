/** docs/failure-modes.md has every entry, and every test that it names is there under that very name. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { type MarkdownTable, tablesOf } from '../support/markdown-tables.ts';
import { root } from '../support/read-document.ts';

const path = 'docs/failure-modes.md';
const HEAD = ['', 'situation', 'what Holdfast does', 'shown by'];
const ENTRIES = Array.from({ length: 61 }, (_, i) => `F${String(i + 1).padStart(2, '0')}`);

/** A file and the title of a test or a scenario in it; the cell is one of these, or several with a semicolon between. */
const REFERENCE = /`(test\/(?:[\w./-]+\.test|engines\/scenarios\/[\w-]+)\.ts)`: `([^`]+)`/g;
/** What has to be said where no test shows it: that it is a gap, whose business it is, or where nobody has looked. */
const EXCUSE = /\bnot yet\b|\bup to the (application|server|platform)\b|\bnot seen on\b/i;

/** What is wrong with the tables, each with the entry it is about. */
function problems(tables: readonly MarkdownTable[]): string[] {
  const rows = tables.flatMap((table) => table.rows);
  const numbers = rows.map(([number = '']) => number);
  return [
    ...tables.filter(({ head }) => head.join('|') !== HEAD.join('|')).map(({ heading }) => `${heading}: another head`),
    ...ENTRIES.filter((entry) => !numbers.includes(entry)).map((entry) => `${entry} is missing`),
    ...numbers.flatMap((number, i) => (number === ENTRIES[i] ? [] : [`${number} stands in the place of ${ENTRIES[i] ?? 'nothing'}`])),
    ...rows.flatMap(wrongIn),
  ];
}

function wrongIn(row: string[]): string[] {
  const [number = '', , does = '', shown = ''] = row;
  const said = (what: string) => `${number} ${what}`;
  if (row.length !== HEAD.length || row.includes('')) return [said('has not four cells with something in them')];
  if (shown === '-') return EXCUSE.test(does) ? [] : [said('is shown by nothing, and does not say why')];
  const references = [...shown.matchAll(REFERENCE)];
  if (references.map(([whole]) => whole).join('; ') !== shown) return [said(`has something else than references: ${shown}`)];
  return references.flatMap(([, file = '', title = '']) => {
    if (!existsSync(join(root, file))) return [said(`names a file that does not exist: ${file}`)];
    return titlesIn(file).has(title) ? [] : [said(`names a test that is not in ${file}: ${title}`)];
  });
}

const read = new Map<string, ReadonlySet<string>>();

/** The titles of the tests in a file, as they stand in the source; not those of what is skipped. */
function titlesIn(file: string): ReadonlySet<string> {
  const known = read.get(file);
  if (known) return known;
  const titles = new Set<string>();
  const visit = (node: ts.Node): void => {
    const [title] = ts.isCallExpression(node) && isTest(node.expression) ? node.arguments : [];
    if (title && ts.isStringLiteralLike(title)) titles.add(title.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest));
  read.set(file, titles);
  return titles;
}

/** `it`, `test` and `scenario`, and what their `each` returns. */
function isTest(callee: ts.Expression): boolean {
  const isNamed = (node: ts.Expression) => ts.isIdentifier(node) && /^(it|test|scenario)$/.test(node.text);
  if (!ts.isCallExpression(callee)) return isNamed(callee);
  const { expression } = callee;
  return ts.isPropertyAccessExpression(expression) && expression.name.text === 'each' && isNamed(expression.expression);
}

describe(path, () => {
  it('has every entry once and in order, and names tests that there are', () => {
    expect(problems(tablesOf(path))).toEqual([]);
  });

  const good = '`test/core/backoff.test.ts`: `is not patient unless it is told to be`';
  const tableOf = (rows: string[][]): MarkdownTable => ({ heading: 'All', head: HEAD, rows });
  const fine = ENTRIES.map((entry) => [entry, 'It breaks', 'It is mended', good]);

  it.each<[string, string, RegExp?]>([
    ['a test that is there', good],
    ['two of them', `${good}; ${good}`],
    ['a scenario', '`test/engines/scenarios/dead-links.ts`: `the drop-in with a heartbeat replaces a dead link, too`'],
    [
      'a scenario that is not there',
      '`test/engines/scenarios/dead-links.ts`: `the drop-in replaces nothing`',
      /^F07 names a test that is not in test\/engines\/scenarios\/dead-links\.ts/,
    ],
    ['a test that is not there', good.replace('told', 'asked'), /^F07 names a test that is not in test\/core\/backoff\.test\.ts/],
    ['a group of tests', good.replace(/is not.*be/, 'clampDelay'), /^F07 names a test that is not in/],
    ['a file that is not there', good.replace('backoff', 'backon'), /^F07 names a file that does not exist/],
    ['the second of two tests', `${good}; ${good.replace('told', 'asked')}`, /^F07 names a test that is not in/],
    ['words in the place of a test', `${good} and so on`, /^F07 has something else/],
    ['an empty cell', '', /^F07 has not four cells/],
    ['a dash without a word', '-', /^F07 is shown by nothing/],
  ])('is judged by its references: %s', (_, shown, problem) => {
    const rows = fine.map((row) => (row[0] === 'F07' ? ['F07', 'It breaks', 'It is mended', shown] : row));
    expect(problems([tableOf(rows)])).toEqual(problem ? [expect.stringMatching(problem)] : []);
  });

  it.each(['Not yet: that.', 'It is up to the server.', 'Not seen on Safari.'])('may show nothing where it says: %s', (does) => {
    expect(problems([tableOf(fine.map((row) => (row[0] === 'F07' ? ['F07', 'It breaks', does, '-'] : row)))])).toEqual([]);
  });

  it.each<[string, (rows: string[][]) => string[][], string]>([
    ['without a row', (rows) => rows.filter(([entry]) => entry !== 'F07'), 'F07 is missing'],
    ['with a row twice', (rows) => rows.flatMap((row) => (row[0] === 'F07' ? [row, row] : [row])), 'F07 stands in the place of F08'],
    ['in another order', (rows) => rows.toReversed(), 'F61 stands in the place of F01'],
    ['with a row too many', (rows) => [...rows, ['F62', 'It breaks', 'It is mended', good]], 'F62 stands in the place of nothing'],
  ])('is found out %s', (_, change, problem) => {
    expect(problems([tableOf(change(fine))])).toContain(problem);
  });

  it('is found out with another head', () => {
    expect(problems([{ ...tableOf(fine), head: ['', 'trigger', 'what Holdfast does', 'shown by'] }])).toEqual(['All: another head']);
  });
});
