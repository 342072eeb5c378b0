/** Runs a code block of a document as its reader would: as a program of its own, with the built package. */

import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import ts from 'typescript';
import { onTestFinished } from 'vitest';
import { WebSocket as WS } from 'ws';
import { type CodeBlock, root, where } from './read-document.ts';

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
