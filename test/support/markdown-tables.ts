/** The tables of a document: what its tests compare with what they measure. */

import { headingOf, readDocument } from './read-document.ts';

export interface MarkdownTable {
  /** The heading it stands under; empty before the first. */
  readonly heading: string;
  /** The cells of its first line, as they are written. */
  readonly head: string[];
  /** Those of the lines below the rule. */
  readonly rows: string[][];
}

/** All tables of a document, in order; those in its code blocks are none. */
export function tablesOf(path: string): MarkdownTable[] {
  const { prose } = readDocument(path);
  const tables: MarkdownTable[] = [];
  let heading = '';
  for (const [i, line] of prose.entries()) {
    heading = headingOf(line) ?? heading;
    if (!/^\|(?: *:?-+:? *\|)+$/.test(line)) continue;
    const end = prose.findIndex((each, at) => at > i && !each.startsWith('|'));
    const rows = prose.slice(i + 1, end < 0 ? undefined : end).map(cellsOf);
    tables.push({ heading, head: cellsOf(prose[i - 1] ?? ''), rows });
  }
  return tables;
}

/** One table by the heading above it and its number there; 1 is the first. */
export function tableUnder(path: string, heading: string, number = 1): MarkdownTable {
  const found = tablesOf(path).filter((table) => table.heading === heading)[number - 1];
  if (found) return found;
  throw new Error(`${path} has no table ${number} under "${heading}"`);
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}
