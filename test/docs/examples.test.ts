/** The examples in the comments of `src/`: every one of them compiles, and whatever has to be shown is shown. */

import { dirname, join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url)).replaceAll('\\', '/');

/** What examples may use without showing where it comes from. */
const GIVEN: Readonly<Record<string, string>> = {
  app: 'EventTarget',
  bytes: 'Uint8Array<ArrayBuffer>',
  client: "import('holdfast').Client",
  file: 'File',
  host: "import('holdfast/server').Host",
  input: 'HTMLInputElement',
  people: "import('holdfast').Presence<{ name: string; typing?: boolean }>",
  server: "import('holdfast/server').Server",
  socket: "import('holdfast').ReconnectingWebSocket",
  token: 'string',
  webSocketServer: "import('ws').WebSocketServer",
  WS: "typeof import('ws').WebSocket",
};

/** Methods that say nothing that the method beside them does not show. */
const NOT_SHOWN: readonly string[] = ['ReconnectingWebSocket.removeEventListener'];

interface Example {
  /** Where it begins: `src/client.ts:12`. */
  readonly where: string;
  readonly code: string;
}

/** A comment and what it is about. */
interface Comment {
  readonly node: ts.Node;
  readonly examples: readonly Example[];
}

const paths = ts.sys.readDirectory(`${root}src`, ['.ts']).sort();
const sources = paths.map((path) => ts.createSourceFile(path, ts.sys.readFile(path) ?? '', ts.ScriptTarget.Latest, true));
const examples = sources.flatMap((source) => commentsIn(source).flatMap(({ examples }) => examples));

function commentsIn(source: ts.SourceFile): Comment[] {
  const found: Comment[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) found.push({ node: node.parent, examples: examplesIn(node, source) });
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  return found;
}

/** What stands under each `@example`, up to the next tag: line by line, as whoever reads the comment takes it. */
function examplesIn(comment: ts.JSDoc, source: ts.SourceFile): Example[] {
  const first = source.getLineAndCharacterOfPosition(comment.getStart(source)).line + 1;
  const lines = comment.getText(source).split('\n');
  const found: { where: string; lines: string[] }[] = [];
  let current: string[] | undefined;
  for (const [i, line] of lines.entries()) {
    const text = line.replace(/^\s*(\/\*\*|\*\/|\* ?)/, '').replace(/\s*\*\/$/, '');
    if (/^@example\b/.test(text)) {
      current = [text.replace(/^@example\s*/, '')];
      found.push({ where: `${source.fileName.slice(root.length)}:${first + i}`, lines: current });
    } else if (/^@\w/.test(text)) current = undefined;
    else current?.push(text);
  }
  return found.map(({ where, lines }) => ({ where, code: lines.join('\n').trim() }));
}

interface Export {
  readonly isType: boolean;
  /** The file that it comes from. */
  readonly path: string;
}

/** The names that a module exports. */
function exportsOf(path: string): Map<string, Export> {
  const source = sources.find(({ fileName }) => fileName === `${root}${path}`);
  const names = new Map<string, Export>();
  for (const statement of source?.statements ?? []) {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause || !ts.isNamedExports(statement.exportClause)) continue;
    const { text: from } = statement.moduleSpecifier as ts.StringLiteral;
    for (const { name, isTypeOnly } of statement.exportClause.elements)
      names.set(name.text, { isType: isTypeOnly || statement.isTypeOnly, path: `${root}${join(dirname(path), from)}` });
  }
  return names;
}

const packages = { holdfast: exportsOf('src/index.ts'), 'holdfast/server': exportsOf('src/server/index.ts') };
type Package = keyof typeof packages;

/** The names in a piece of code, and those that it declares or imports itself. */
function namesIn(code: string): { readonly used: Set<string>; readonly own: Set<string> } {
  const used = new Set<string>();
  const own = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) used.add(node.text);
    const { name } = node as Partial<ts.NamedDeclaration>;
    const declares = ts.isVariableDeclaration(node) || ts.isBindingElement(node) || ts.isParameter(node) || ts.isImportSpecifier(node);
    if ((declares || ts.isFunctionDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isInterfaceDeclaration(node)) && name)
      own.add(name.getText());
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('example.ts', code, ts.ScriptTarget.Latest, true));
  return { used, own };
}

/** The example as a module of its own, with what it needs of the package imported on its first line. */
function moduleOf({ where, code }: Example): string {
  const { used, own } = namesIn(code);
  const order: Package[] = where.startsWith('src/server/') ? ['holdfast/server', 'holdfast'] : ['holdfast', 'holdfast/server'];
  const needed = [...used].filter((name) => !own.has(name));
  const imports = order.map((name, i) => {
    const earlier = i > 0 ? packages[order[0] as Package] : new Map();
    const taken = needed.filter((each) => packages[name].has(each) && !earlier.has(each));
    return `import { ${taken.map((each) => (packages[name].get(each)?.isType ? `type ${each}` : each)).join(', ')} } from '${name}';`;
  });
  return `${imports.join(' ')} export {};\n${code}\n`;
}

/** What the compiler says to each example, as `line: complaint` with the line in the example. */
function complaints(modules: readonly string[]): string[][] {
  const config = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile).config as { compilerOptions: object };
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, noUnusedLocals: false, noUnusedParameters: false },
    root,
  );
  const files = new Map(modules.map((text, i) => [`${root}test/docs/example-${i}.ts`, text]));
  const given = Object.entries(GIVEN).map(([name, type]) => `declare const ${name}: ${type};`);
  files.set(`${root}test/docs/given.d.ts`, given.join('\n'));
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.getSourceFile = (path, target, ...rest) => {
    const text = files.get(path);
    return text === undefined ? getSourceFile(path, target, ...rest) : ts.createSourceFile(path, text, target);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return modules.map((_, i) => {
    const source = program.getSourceFile(`${root}test/docs/example-${i}.ts`);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ messageText, start = 0 }) =>
        `${source?.getLineAndCharacterOfPosition(start).line ?? 0}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  });
}

/** The classes and functions that a package exports, and the methods of the classes, each with whether an example shows it. */
function shown(): Map<string, boolean> {
  const found = new Map<string, boolean>();
  const exported = [...packages.holdfast, ...packages['holdfast/server']].map(([name, { path }]) => `${path}:${name}`);
  for (const { node, examples } of sources.flatMap(commentsIn)) {
    const isMethod = ts.isMethodDeclaration(node) && ts.isClassDeclaration(node.parent) && !ts.isPrivateIdentifier(node.name);
    const top = isMethod ? node.parent : node;
    const isShowable = ts.isClassDeclaration(top) || ts.isFunctionDeclaration(top);
    const isInternal = ts.getJSDocTags(node).some(({ tagName }) => tagName.text === 'internal');
    if (!isShowable || isInternal || !exported.includes(`${node.getSourceFile().fileName}:${nameOf(top)}`)) continue;
    found.set(isMethod ? `${nameOf(top)}.${nameOf(node)}` : nameOf(node), examples.length > 0);
  }
  return found;
}

function nameOf(node: ts.Node): string {
  return (node as Partial<ts.NamedDeclaration>).name?.getText() ?? '';
}

describe('the examples in the comments of src/', () => {
  const modules = examples.map(moduleOf);
  let said: string[][] | undefined;

  it.each(examples.map(({ where }, i) => [where, i] as const))('%s compiles', (_, i) => {
    said ??= complaints(modules);
    expect(said[i]).toEqual([]);
  });

  it('are compiled, not only read: a mistake in one is a complaint with its line', () => {
    const wrong = { where: 'src/client.ts:1', code: "const client = new Client('wss://example.com');\nclient.send(5);\nclient.sned();" };
    expect(complaints([moduleOf(wrong)])).toEqual([
      [expect.stringMatching(/^2: Argument of type 'number'/), expect.stringMatching(/^3: Property 'sned' does not exist/)],
    ]);
  });

  it('show every class, function and method', () => {
    const all = shown();
    expect(all.size).toBeGreaterThan(50);
    expect([...all].filter(([name, isShown]) => !isShown && !NOT_SHOWN.includes(name))).toEqual([]);
  });

  it('are given nothing that none of them needs', () => {
    const needed = new Set(examples.flatMap(({ code }) => [...namesIn(code).used]));
    expect(Object.keys(GIVEN).filter((name) => !needed.has(name))).toEqual([]);
  });
});
