/**
 * The laws of `src/`, checked by machine: who may import whom, no cycles, and a core that depends on nothing but its arguments.
 *
 * The import law is about values. A type import leaves nothing in the program, so files above the leaves may name each other's types
 * freely; for the core and the leaves it holds for types too, because they must make sense without the rest. What the core may not
 * touch in the way of globals (DOM, timers, console) is the compiler's business: its tsconfig knows only the language.
 */

import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path/posix';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

/** Sources by their path inside `src`, with forward slashes: `core/queue.ts`. */
export type Sources = ReadonlyMap<string, string>;

/** What a file, or a folder (with a slash at the end), may import. */
const LAW: Readonly<Record<string, readonly string[]>> = {
  'index.ts': [
    'auth-place.ts',
    'describe.ts',
    'endpoints.ts',
    'inspect.ts',
    'presence.ts',
    'upload.ts',
    'socket.ts',
    'client.ts',
    'channel.ts',
    'queued.ts',
    'stream.ts',
    'streaming.ts',
    'options.ts',
    'errors.ts',
    'events.ts',
    'core/',
    'io/',
    'wire/',
  ],
  'client.ts': [
    'conversation.ts',
    'calling.ts',
    'draining.ts',
    'channels.ts',
    'client-options.ts',
    'close-arguments.ts',
    'checks.ts',
    'outcome.ts',
    'outgoing-event.ts',
    'keys.ts',
    'internals.ts',
    'event-handlers.ts',
    'receipt.ts',
    'errors.ts',
    'events.ts',
    'report.ts',
    'core/',
    'wire/',
    'event-target.ts',
  ],
  'agreement.ts': ['address.ts', 'auth-place.ts', 'credentials.ts', 'refresh.ts', 'errors.ts', 'report.ts', 'wire/'],
  'calling.ts': ['client-options.ts', 'wire/'],
  'draining.ts': [],
  'conversation.ts': [
    'agreement.ts',
    'confirmation.ts',
    'connection.ts',
    'caller.ts',
    'responder.ts',
    'transmitter.ts',
    'client-session.ts',
    'line.ts',
    'errors.ts',
    'report.ts',
    'core/',
    'wire/',
    'close-arguments.ts',
  ],
  'client-session.ts': ['line.ts', 'errors.ts', 'core/'],
  'line.ts': ['errors.ts', 'core/', 'wire/'],
  'trials.ts': ['core/'],
  'loader.ts': ['core/'],
  'keys.ts': [],
  'internals.ts': [],
  'queued.ts': ['internals.ts', 'wire/'],
  'channels.ts': ['channel.ts', 'publishing.ts', 'errors.ts', 'core/', 'wire/'],
  'publishing.ts': ['client-options.ts', 'receipt.ts', 'errors.ts', 'wire/'],
  'channel.ts': [
    'iterator.ts',
    'loader.ts',
    'outcome.ts',
    'checks.ts',
    'errors.ts',
    'events.ts',
    'report.ts',
    'core/',
    'wire/',
    'event-target.ts',
  ],
  'iterator.ts': [],
  'presence.ts': ['channel.ts', 'crowd.ts', 'checks.ts', 'outcome.ts', 'errors.ts', 'wire/', 'event-target.ts'],
  'crowd.ts': ['errors.ts', 'events.ts'],
  'inspect.ts': [
    'internals.ts',
    'checks.ts',
    'describe.ts',
    'frame-notes.ts',
    'redacted.ts',
    'samples.ts',
    'report.ts',
    'core/',
    'io/',
    'wire/',
  ],
  'describe.ts': ['core/'],
  'frame-notes.ts': ['wire/'],
  'samples.ts': [],
  'redacted.ts': [],
  'tap.ts': ['core/', 'io/'],
  'endpoints.ts': ['address.ts', 'checks.ts', 'io/'],
  'upload.ts': ['internals.ts', 'sending.ts', 'upload-source.ts', 'checks.ts', 'errors.ts', 'wire/'],
  'sending.ts': ['errors.ts', 'core/', 'wire/'],
  'upload-source.ts': ['checks.ts', 'errors.ts', 'wire/'],
  'transmitter.ts': ['trials.ts', 'errors.ts', 'report.ts', 'core/', 'io/', 'wire/'],
  'caller.ts': ['errors.ts', 'core/', 'io/', 'wire/'],
  'responder.ts': ['errors.ts', 'core/', 'io/', 'wire/'],
  'uploading.ts': ['errors.ts', 'iterator.ts', 'core/'],
  'streaming.ts': ['errors.ts', 'core/', 'wire/'],
  'stream.ts': ['internals.ts', 'iterator.ts', 'checks.ts', 'errors.ts', 'core/', 'wire/'],
  'receipt.ts': ['outcome.ts', 'errors.ts'],
  'outgoing-event.ts': ['receipt.ts', 'errors.ts', 'core/'],
  'outcome.ts': [],
  'confirmation.ts': [],
  'auth-place.ts': ['address.ts', 'checks.ts', 'errors.ts'],
  'credentials.ts': ['errors.ts', 'core/', 'wire/'],
  'refresh.ts': ['errors.ts', 'core/'],
  'event-handlers.ts': ['checks.ts', 'report.ts'],
  'event-target.ts': ['typescript-event-target'],
  'client-types.ts': [],
  'client-options.ts': ['options.ts', 'checks.ts', 'wire/'],
  'contract.ts': [],
  'server/': [
    'server/',
    'caller.ts',
    'responder.ts',
    'streaming.ts',
    'uploading.ts',
    'line.ts',
    'checks.ts',
    'close-arguments.ts',
    'errors.ts',
    'core/',
    'io/',
    'wire/',
    'ws',
    'node:',
  ],
  'wire/': ['wire/', 'core/', 'errors.ts'],
  'socket.ts': [
    'address.ts',
    'close-arguments.ts',
    'connection.ts',
    'options.ts',
    'send-queue.ts',
    'data.ts',
    'events.ts',
    'handlers.ts',
    'internals.ts',
    'report.ts',
    'core/',
    'io/',
  ],
  'send-queue.ts': ['data.ts', 'events.ts', 'errors.ts', 'report.ts', 'core/', 'io/'],
  'options.ts': ['checks.ts', 'report.ts', 'core/', 'io/'],
  'checks.ts': ['core/'],
  'close-arguments.ts': ['core/'],
  'connection.ts': ['attempt.ts', 'heartbeat.ts', 'errors.ts', 'report.ts', 'core/', 'io/'],
  'attempt.ts': ['checks.ts', 'handshake.ts', 'errors.ts', 'report.ts', 'core/', 'io/'],
  'heartbeat.ts': ['core/', 'io/'],
  'address.ts': ['checks.ts', 'data.ts', 'errors.ts', 'redacted.ts'],
  'data.ts': ['core/'],
  'handshake.ts': ['errors.ts', 'io/'],
  'events.ts': [],
  'handlers.ts': [],
  'errors.ts': [],
  'report.ts': [],
  'core/': ['core/', 'errors.ts'],
  'io/': ['io/'],
};

/** For these the law holds for types as well. */
const STRICT: readonly string[] = ['core/', 'io/', 'errors.ts'];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly line: number;
  readonly typeOnly: boolean;
}

/** Every violation, as `path:line what`. Empty when all is well. */
export function violations(sources: Sources): string[] {
  const files = [...sources].map(([path, text]) => ({ path, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true) }));
  const imports = files.flatMap(({ path, tree }) => importsOf(path, tree));
  return [
    ...files.filter(({ path }) => !roomOf(path)).map(({ path }) => `${path}:1 has no place in the import law: give it one`),
    ...imports
      .filter((each) => !allowed(each))
      .map(({ from, to, line, typeOnly }) => `${from}:${line} may not import ${typeOnly ? 'a type of ' : ''}${to}`),
    ...cycles(imports.filter(({ typeOnly }) => !typeOnly)),
    ...files.filter(({ path }) => path.startsWith('core/')).flatMap(({ path, tree }) => impurities(path, tree)),
  ];
}

function roomOf(path: string): string | undefined {
  return Object.keys(LAW).find((room) => matches(path, room));
}

function matches(path: string, room: string): boolean {
  return /[/:]$/.test(room) ? path.startsWith(room) : path === room;
}

/** A package is a violation unless the law names it. */
function allowed({ from, to, typeOnly }: Import): boolean {
  const room = roomOf(from);
  if (room === undefined) return true; // reported already
  if (typeOnly && !STRICT.includes(room) && roomOf(to) !== undefined) return true;
  return LAW[room]?.some((target) => matches(to, target)) === true;
}

function importsOf(path: string, tree: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean) => {
    const name = specifier && ts.isStringLiteralLike(specifier) ? specifier.text : '(computed)';
    const to = name.startsWith('.') ? normalize(join(dirname(path), name)) : name;
    found.push({ from: path, to, line: lineOf(tree, node), typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypeOnly(node.importClause));
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node, node.moduleSpecifier, isTypeOnly(node));
    else if (ts.isImportTypeNode(node)) add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node, node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** `import type …` and `export type …`. An import whose names are all types still loads the module (verbatimModuleSyntax). */
function isTypeOnly(clause: ts.ImportClause | ts.ExportDeclaration | undefined): boolean {
  if (!clause) return false;
  return ts.isExportDeclaration(clause) ? clause.isTypeOnly : clause.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

/** Each cycle once, as a path that ends where it began. */
function cycles(imports: readonly Import[]): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) found.push(`${path}:1 is in a cycle: ${[...trail.slice(start), path].join(' -> ')}`);
    if (start >= 0 || done.has(path)) return;
    for (const { to } of imports.filter(({ from }) => from === path)) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const { from } of imports) visit(from, []);
  return found;
}

/** The ways in which the language itself reaches for the time, for chance and for everything else. */
const IMPURE: Readonly<Record<string, string>> = {
  Date: 'the time',
  globalThis: 'the world',
  eval: 'the world',
  Function: 'the world',
  Intl: 'the place',
};

function impurities(path: string, tree: ts.SourceFile): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && isReference(node)) {
      const what = Object.hasOwn(IMPURE, node.text) ? IMPURE[node.text] : isChance(node) ? 'chance' : undefined;
      if (what) found.push(`${path}:${lineOf(tree, node)} is pure: it may not depend on ${what} (${node.parent.getText(tree)})`);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** `Math` by a way on which it cannot be seen that it is not `Math.random`. */
function isChance({ text, parent }: ts.Identifier): boolean {
  return text === 'Math' && !(ts.isPropertyAccessExpression(parent) && parent.name.text !== 'random');
}

/** A name that stands for itself, not for a member of something or a key. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isPropertySignature(parent)) return parent.name !== node;
  return !((ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent)) && parent.name === node);
}

function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
}

/** The sources as they are. */
export function readSources(): Sources {
  const root = fileURLToPath(new URL('../../src', import.meta.url));
  const paths = ts.sys.readDirectory(root, ['.ts']).map((path) => path.replaceAll('\\', '/'));
  return new Map(paths.map((path) => [relative(root.replaceAll('\\', '/'), path), readFileSync(path, 'utf8')]));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = violations(readSources());
  for (const violation of found) console.error(`src/${violation}`);
  if (found.length > 0) process.exitCode = 1;
  else console.log('src/ keeps its laws: imports, cycles, purity of the core');
}
