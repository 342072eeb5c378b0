/**
 * Reads a document: its code blocks, with what they are given, and its prose.
 *
 * A block has the language `js`, `ts`, `tsx`, `html`, `sh` or `json`; one without is plain text. What the reader's application has and
 * the block does not show stands in an HTML comment right before the fence, and so does why a block cannot be run:
 *
 *     <!-- given: import { ReconnectingWebSocket } from 'holdfast'; declare const token: string -->
 *     <!-- not run: needs an identity provider -->
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));

export interface CodeBlock {
  /** Path from the root: `docs/recipes.md`. */
  readonly document: string;
  /** Line of the opening fence. */
  readonly line: number;
  /** The heading it stands under, as it is written; empty before the first. */
  readonly heading: string;
  /** 1 for the first under that heading; blocks of every language count. */
  readonly number: number;
  /** Heading and number, as tables of tests have it: `A chat #1`. */
  readonly name: string;
  /** Empty for plain text. */
  readonly language: string;
  readonly code: string;
  /** What the reader has, as TypeScript; empty where nothing is said. */
  readonly given: string;
  /** Why it is not run; undefined when it is. */
  readonly notRun: string | undefined;
  /** `given` and `code` on the very lines that they have in the document, and nothing else. */
  readonly source: string;
}

export interface Document {
  readonly path: string;
  readonly blocks: readonly CodeBlock[];
  /** Its lines; those of blocks and comments are empty. */
  readonly prose: readonly string[];
  /** What stands in no relation to a block but was meant to, as `path:line: what to do`. */
  readonly problems: readonly string[];
}

/** The blocks of a document, in order. */
export function codeBlocks(path: string): readonly CodeBlock[] {
  return readDocument(path).blocks;
}

/** One block by its name, `A chat #1`; for a test that needs more than one. */
export function codeBlock(path: string, name: string): CodeBlock {
  const blocks = codeBlocks(path);
  const found = blocks.find((block) => block.name === name);
  if (found) return found;
  throw new Error(`${path} has no block '${name}': it has ${blocks.map((block) => `'${block.name}' (line ${block.line})`).join(', ')}`);
}

/** Where a block is, for messages: `README.md:13`. */
export function where({ document, line }: CodeBlock): string {
  return `${document}:${line}`;
}

interface Comment {
  readonly line: number;
  readonly text: string;
}

/** Reads a document; without `text` from the file. */
export function readDocument(path: string, text: string = readFileSync(join(root, path), 'utf8')): Document {
  const lines = text.split(/\r?\n/);
  const blocks: CodeBlock[] = [];
  const prose = lines.map(() => '');
  const problems: string[] = [];
  const counts = new Map<string, number>();
  let heading = '';
  let comments: Comment[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? '';
    const fence = /^( *)(`{3,}|~{3,}) *([^\s`]*)/.exec(line);
    if (line.trimStart().startsWith('<!--')) {
      const end = lines.findIndex((each, at) => at >= i && each.includes('-->'));
      if (end < 0) throw new Error(`${path}:${i + 1}: the comment is not closed`);
      comments.push({ line: i + 1, text: lines.slice(i, end + 1).join('\n') });
      i = end;
    } else if (fence) {
      const [, indent = '', ticks = '', language = ''] = fence;
      const end = lines.findIndex((each, at) => at > i && each.trim().startsWith(ticks) && /^(`+|~+)$/.test(each.trim()));
      if (end < 0) throw new Error(`${path}:${i + 1}: the code block is not closed`);
      const number = (counts.get(heading) ?? 0) + 1;
      counts.set(heading, number);
      const code = lines.slice(i + 1, end);
      const place = { document: path, line: i + 1, heading, number, name: `${heading} #${number}`, language };
      const source = [...above(comments, i), '', ...code].join('\n');
      blocks.push({ ...place, code: code.map((each) => withoutIndent(each, indent.length)).join('\n'), ...said(comments), source });
      comments = [];
      i = end;
    } else {
      problems.push(...strays(path, comments));
      comments = [];
      prose[i] = line;
      heading = headingOf(line) ?? heading;
    }
  }
  problems.push(...strays(path, comments));
  return { path, blocks, prose, problems };
}

/** A document that is not there, `docs/broken.md`: for tests of what is found in documents. */
export function broken(lines: readonly string[]): Document {
  return readDocument('docs/broken.md', lines.join('\n'));
}

/** What a line says as a heading; undefined where it is none. */
export function headingOf(line: string): string | undefined {
  return /^#{1,6} +(.*?)(?: +#+)? *$/.exec(line)?.[1];
}

function withoutIndent(line: string, indent: number): string {
  return line.slice(0, indent).trim() === '' ? line.slice(indent) : line;
}

const COMMENT = /<!--(\s*)([\s\S]*?)-->/g;

/** What the comments right before a block say of it. */
function said(comments: readonly Comment[]): Pick<CodeBlock, 'given' | 'notRun'> {
  const all = comments.flatMap(({ text }) => [...text.matchAll(COMMENT)].map(([, , body = '']) => body.trim()));
  const of = (word: string) => all.filter((body) => body.startsWith(word)).map((body) => body.slice(word.length).trim());
  return { given: of('given:').join('\n'), notRun: of('not run:')[0] };
}

/** The lines before a block, with nothing left but what is given. */
function above(comments: readonly Comment[], count: number): string[] {
  const lines = Array.from({ length: count }, () => '');
  for (const { line, text } of comments) {
    const given = text.replace(COMMENT, (all, space: string, body: string) =>
      body.startsWith('given:') ? `    ${space}      ${body.slice('given:'.length)};  ` : all.replace(/[^\n]/g, ' '),
    );
    for (const [at, each] of given.split('\n').entries()) lines[line - 1 + at] = each;
  }
  return lines;
}

/** The comments that were meant for a block and stand before none. */
function strays(path: string, comments: readonly Comment[]): string[] {
  return comments
    .filter(({ text }) => /<!--\s*(given|not[ -]?run)\b/i.test(text))
    .map(
      ({ line, text }) => `${path}:${line}: ${text.split('\n')[0]} belongs to no block: put it right before a fence, without an empty line`,
    );
}
