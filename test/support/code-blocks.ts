/**
 * The code blocks of the documents: which there are, what they are given, and how to run one.
 *
 * A block has the language `js`, `ts`, `tsx`, `html`, `sh` or `json`; one without is plain text. What the reader's application has and
 * the block does not show stands in an HTML comment right before the fence, and so does why a block cannot be run:
 *
 *     <!-- given: import { ReconnectingWebSocket } from 'holdfast'; declare const token: string -->
 *     <!-- not run: needs an identity provider -->
 *
 * A test file per document, `test/docs/recipes.test.ts` say, has a table of what each block is seen to do. Its keys are the heading
 * and the number of the block under it, blocks of every language counted:
 *
 * @example
 * everyBlockIsRun('docs/recipes.md', {
 *   'A chat #1': async (block) => {
 *     const { echo, url } = await serve(); // test/support/e2e.ts: ends with the test
 *     const show = vi.fn();
 *     const { socket } = await run<{ socket: ReconnectingWebSocket }>(block, {
 *       replace: { 'wss://example.com/chat': url() }, // each has to occur in the block
 *       globals: { token: 'secret', show }, // what `given` declares
 *     });
 *     await next(socket, 'open');
 *     echo.broadcast('hello');
 *     await until(() => expect(show).toHaveBeenCalledWith('hello'));
 *   }, // what the block opened is closed now
 * });
 */

import { readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import ts from 'typescript';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket as WS } from 'ws';

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
      problems.push(...comments.filter(({ text }) => meantForBlock(text)).map((comment) => stray(path, comment)));
      comments = [];
      prose[i] = line;
      heading = /^#{1,6} +(.*?)(?: +#+)? *$/.exec(line)?.[1] ?? heading;
    }
  }
  problems.push(...comments.filter(({ text }) => meantForBlock(text)).map((comment) => stray(path, comment)));
  return { path, blocks, prose, problems };
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

const meantForBlock = (text: string) => /<!--\s*(given|not[ -]?run)\b/i.test(text);

function stray(path: string, { line, text }: Comment): string {
  return `${path}:${line}: ${text.split('\n')[0]} belongs to no block: put it right before a fence, without an empty line`;
}

/** Where a block is, for messages: `README.md:13`. */
export function where({ document, line }: CodeBlock): string {
  return `${document}:${line}`;
}

/** What a document's tests see each block do. */
export type Table = Readonly<Record<string, (block: CodeBlock) => Promise<void> | void>>;

/** Runs the table of a document, and sees to it that no block is left out: see above for an example. */
export function everyBlockIsRun(document: string, table: Table): void {
  describe(document, () => {
    test('has no block that is neither run nor says why', () => {
      expect(leftOut(codeBlocks(document), Object.keys(table))).toEqual([]);
    });
    for (const [name, check] of Object.entries(table)) test(name, () => runs(codeBlock(document, name), check));
  });
}

/** Runs what a table says of a block. A check that never looks at the code checks nothing. */
export async function runs(block: CodeBlock, check: Table[string]): Promise<void> {
  let used = false;
  const watched = new Proxy(block, {
    get(target, key: keyof CodeBlock) {
      used ||= key === 'code' || key === 'source';
      return target[key];
    },
  });
  await check(watched);
  if (!used) throw new Error(`${where(block)}: the test of '${block.name}' does not run its code`);
}

const RUNNABLE = ['js', 'ts', 'tsx', 'html'];

/** What is wrong between the blocks of a document and the names in its table, as `path:line: what to do`. */
export function leftOut(blocks: readonly CodeBlock[], names: readonly string[]): string[] {
  return blocks.flatMap((block) => {
    const { name, language, notRun } = block;
    const listed = names.includes(name);
    if (listed && notRun !== undefined) return [`${where(block)}: '${name}' is run by a test: remove its <!-- not run: --> comment`];
    if (notRun === '') return [`${where(block)}: '${name}' does not say why: <!-- not run: reason -->`];
    if (listed || notRun !== undefined || !RUNNABLE.includes(language)) return [];
    return [`${where(block)}: nobody runs '${name}': add it to the table of its test, or put <!-- not run: reason --> before it`];
  });
}

export interface RunOptions {
  /** Globals for as long as the test lasts: all that `given` declares. `WebSocket` is that of ws, unless it stands here. */
  readonly globals?: Readonly<Record<string, unknown>>;
  /** Texts in the block (and in what is given) and what to put in their place. Each has to occur. */
  readonly replace?: Readonly<Record<string, string>>;
}

/**
 * Runs a js, ts or tsx block as a module of its own, with the built package, until its last statement.
 *
 * @returns what it declares at the top level. In js what it imports is among it too.
 * @throws Error that names the block, with what it threw as `cause`
 */
export async function run<T extends object = Record<string, unknown>>(block: CodeBlock, options: RunOptions = {}): Promise<T> {
  const { bindings, finished } = await start<T>(block, options);
  await finished;
  return bindings;
}

export interface Started<T extends object> {
  /** Read when used. What is not declared yet is a ReferenceError. */
  readonly bindings: T;
  /** When the last statement is through. */
  readonly finished: Promise<void>;
}

/** The same for a block that has no end of its own, such as one with a loop over messages: resolves when it has begun. */
export async function start<T extends object = Record<string, unknown>>(
  block: CodeBlock,
  { globals = {}, replace = {} }: RunOptions = {},
): Promise<Started<T>> {
  const source = replaced(block, replace);
  const { declared, ambient } = names(block, source);
  const unset = ambient.filter((name) => !(name in globals) && !(name in globalThis));
  if (unset.length > 0) throw new Error(`${where(block)}: '${block.name}' is given ${unset.join(', ')}: pass it in globals`);
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-docs-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  setGlobals(globals);
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
  const files = {
    'load.cjs': 'module.exports = (name) => import(name);',
    'run.mjs': RUN,
    'holdfast.mjs': watched('index'),
    'server.mjs': watched('server/index'),
    'block.mjs': await compiled(block, source, declared),
  };
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));

  const { opened, begun } = (await importNatively(folder, 'run.mjs')) as Run<T>;
  let bindings: T | undefined;
  onTestFinished(() => closeAll([...opened, ...others(bindings, opened)]));
  const finished = importNatively(folder, 'block.mjs').then(
    () => {},
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${where(block)}: '${block.name}' threw: ${message}`, { cause: error });
    },
  );
  bindings = await Promise.race([begun, finished.then(() => begun)]);
  finished.catch(() => {}); // whoever waits for it hears of it
  return { bindings, finished };
}

function replaced(block: CodeBlock, replace: Readonly<Record<string, string>>): string {
  return Object.entries(replace).reduce((source, [from, to]) => {
    if (!source.includes(from)) throw new Error(`${where(block)}: there is no ${from} in '${block.name}' to replace`);
    return source.replaceAll(from, () => to);
  }, block.source);
}

/** What a block declares at its top level, and what it is given without a value. */
function names({ language, line }: CodeBlock, source: string): { readonly declared: string[]; readonly ambient: string[] } {
  const kind = language === 'tsx' ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
  const file = ts.createSourceFile('block', source, ts.ScriptTarget.Latest, true, kind);
  const declared: string[] = [];
  const ambient: string[] = [];
  for (const statement of file.statements) {
    const own = file.getLineAndCharacterOfPosition(statement.getStart()).line >= line;
    if (language === 'js' && own && ts.isImportDeclaration(statement)) declared.push(...imported(statement));
    const to = isAmbient(statement) ? ambient : declared;
    if (ts.isVariableStatement(statement)) to.push(...statement.declarationList.declarations.flatMap(({ name }) => bound(name)));
    else if (isNamed(statement) && statement.name) to.push(statement.name.text);
  }
  return { declared: [...new Set(declared)], ambient };
}

function isNamed(statement: ts.Statement): statement is ts.FunctionDeclaration | ts.ClassDeclaration | ts.EnumDeclaration {
  return ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement) || ts.isEnumDeclaration(statement);
}

function isAmbient(statement: ts.Statement): boolean {
  const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword) === true;
}

function bound(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? bound(element.name) : []));
}

function imported({ importClause }: ts.ImportDeclaration): string[] {
  const named = importClause?.namedBindings;
  const several = named === undefined ? [] : ts.isNamespaceImport(named) ? [named] : named.elements;
  return [importClause, ...several].flatMap((each) => (each?.name ? [each.name.text] : []));
}

/** The program of a block: types stripped, `holdfast` replaced by the watched one, its bindings offered before anything else. */
async function compiled(block: CodeBlock, source: string, declared: readonly string[]): Promise<string> {
  const offer = `import { offer as $offer } from './run.mjs'; $offer({ ${declared.map((name) => `get ${name}() { return ${name}; }`)} });`;
  const own: Record<string, string> = { holdfast: './holdfast.mjs', 'holdfast/server': './server.mjs' };
  const { outputFiles } = await build({
    stdin: { contents: `${offer}${source}`, loader: block.language === 'tsx' ? 'tsx' : 'ts', sourcefile: block.document },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    jsx: 'automatic',
    logLevel: 'silent',
    tsconfigRaw: {},
    plugins: [
      {
        name: 'holdfast',
        setup: ({ onResolve }) => onResolve({ filter: /.*/ }, ({ path }) => ({ path: own[path] ?? path, external: true })),
      },
    ],
  });
  return outputFiles[0]?.text ?? '';
}

interface Run<T> {
  /** Everything that the block made with the package. */
  readonly opened: readonly object[];
  readonly begun: Promise<T>;
}

/** What a block and the runner have in common. */
const RUN = `
export const opened = [];
export let offer;
export const begun = new Promise((resolve) => { offer = resolve; });
export const watched = (Class) => new Proxy(Class, {
  construct(...args) {
    const made = Reflect.construct(...args);
    opened.push(made);
    return made;
  },
  apply(...args) {
    const made = Reflect.apply(...args);
    opened.push(made);
    return made;
  },
});
`;

/** A module of the built package; what is made with it is written down. */
function watched(module: 'index' | 'server/index'): string {
  const makers = module === 'index' ? ['ReconnectingWebSocket', 'Client'] : ['createServer', 'Host'];
  const real = JSON.stringify(pathToFileURL(join(root, `dist/${module}.js`)).href);
  return [
    `import { watched } from './run.mjs';`,
    `import * as real from ${real};`,
    `export * from ${real};`,
    ...makers.map((name) => `export const ${name} = watched(real.${name});`),
  ].join('\n');
}

/** Past Vitest, which would make modules of its own of them. */
function importNatively(folder: string, name: string): Promise<unknown> {
  const load = createRequire(join(folder, 'load.cjs'))('./load.cjs') as (name: string) => Promise<unknown>;
  return load(`./${name}`);
}

/** Sets globals until the test is over, when the sockets made with `WebSocket` are cut, and the intervals are over. */
function setGlobals(globals: Readonly<Record<string, unknown>>): void {
  const sockets: WS[] = [];
  const timers: NodeJS.Timeout[] = [];
  const startInterval = globalThis.setInterval;
  const setInterval = (...args: Parameters<typeof startInterval>) => {
    const timer = startInterval(...args);
    timers.push(timer);
    return timer;
  };
  class WebSocket extends WS {
    constructor(...args: ConstructorParameters<typeof WS>) {
      super(...args);
      sockets.push(this);
    }
  }
  for (const [name, value] of Object.entries({ WebSocket, setInterval, ...globals })) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true, enumerable: true });
    onTestFinished(() => {
      if (before) Object.defineProperty(globalThis, name, before);
      else Reflect.deleteProperty(globalThis, name);
    });
  }
  onTestFinished(() => {
    for (const socket of sockets) socket.terminate();
    for (const timer of timers) clearInterval(timer);
  });
}

interface Closable {
  close?(options?: object): unknown;
  closeAllConnections?(): void;
}

/** Top-level values that may have to be closed, such as an HTTP server. */
function others(bindings: object | undefined, opened: readonly object[]): object[] {
  return Object.keys(bindings ?? {}).flatMap((name) => {
    try {
      const value: unknown = bindings?.[name as keyof typeof bindings];
      return typeof value === 'object' && value !== null && !opened.includes(value) ? [value] : [];
    } catch {
      return []; // not declared yet
    }
  });
}

/** Closes everything, and waits until the last event is through: what the block does then still needs its globals. */
async function closeAll(values: readonly Closable[]): Promise<void> {
  const closings = values.map(async (value) => {
    const ended = finalClose(value);
    const isServer = 'broadcast' in value;
    if (typeof value.close === 'function') await (isServer ? value.close({ drain: 0, retryAfter: 0 }) : value.close());
    value.closeAllConnections?.();
    await ended;
  });
  await Promise.allSettled(closings);
}

/** The end of a socket; at once for anything else. */
async function finalClose(value: object): Promise<void> {
  if (!(value instanceof EventTarget && 'readyState' in value)) return;
  while (value.readyState !== WS.CLOSED) await new Promise((resolve) => value.addEventListener('close', resolve, { once: true }));
}
