/** What the documents say holds: their code compiles, the commands, files and headings that they name exist. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Server as HttpServer } from 'node:http';
import { basename, dirname, join, normalize } from 'node:path/posix';
import { transformSync } from 'esbuild';
import ts from 'typescript';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Client } from '../../src/index.ts';
import type { Server } from '../../src/server/index.ts';
import { type CodeBlock, codeBlock, type Document, leftOut, readDocument, root, run, runs, start, where } from '../support/code-blocks.ts';
import { until } from '../support/e2e.ts';
import { startEchoServer } from '../support/echo-server.ts';

/** Every check returns what is wrong as `path:line: what`, and where it is not plain, what to do. */
type Check = (documents: readonly Document[]) => string[];

const LANGUAGES = ['js', 'ts', 'tsx', 'html', 'sh', 'json', ''];

const languages: Check = (documents) =>
  blocksOf(documents, (language) => !LANGUAGES.includes(language)).map(
    (block) => `${where(block)}: nobody knows the language ${block.language}: say js, ts, tsx, html, sh or json, or none for plain text`,
  );

const comments: Check = (documents) => documents.flatMap(({ problems }) => problems);

function blocksOf(documents: readonly Document[], wanted: (language: string) => boolean): CodeBlock[] {
  return documents.flatMap(({ blocks }) => blocks.filter(({ language }) => wanted(language)));
}

/** A module as the compiler sees it, on the lines of its document. */
interface Unit {
  readonly document: string;
  readonly language: string;
  /** With what is given. */
  readonly source: string;
  /** Without. */
  readonly own: string;
}

type Range = readonly [start: number, end: number];

function unitsOf({ document, language, line, source }: CodeBlock): Unit[] {
  const start = source.split('\n').slice(0, line).join('\n').length;
  if (['js', 'ts', 'tsx'].includes(language)) return [{ document, language, source, own: only(source, [[start, source.length]]) }];
  if (language !== 'html') return [];
  const { classic, modules } = inlineScripts(source);
  // What a page reaches by its path is the package that a program reaches by its name.
  const named = source.replace(/(['"])[./]*node_modules\/holdfast\/dist\/index\.js\1/g, (all) => "'holdfast'".padEnd(all.length));
  // A page has one scope for all its classic scripts and one for each module.
  return [classic, ...modules.map((range) => [range])]
    .filter((ranges) => ranges.length > 0)
    .map((ranges) => ({
      document,
      language: 'js',
      source: `${only(named, [[0, start], ...ranges])}\ndeclare const Holdfast: typeof import('holdfast');`,
      own: only(source, ranges),
    }));
}

/** Where the inline scripts of a page are. */
function inlineScripts(html: string): { readonly classic: Range[]; readonly modules: Range[] } {
  const scripts = { classic: [] as Range[], modules: [] as Range[] };
  for (const { index, 1: opening = '', 2: attributes = '', 3: code = '' } of html.matchAll(/(<script\b([^>]*)>)([\s\S]*?)<\/script>/gi)) {
    const start = index + opening.length;
    const type = /\btype=["']?([^"'\s>]+)/.exec(attributes)?.[1];
    if (type === 'module') scripts.modules.push([start, start + code.length]);
    else if (type === undefined && !/\bsrc=/.test(attributes)) scripts.classic.push([start, start + code.length]);
  }
  return scripts;
}

/** The text with blanks for everything outside the ranges. */
function only(text: string, ranges: readonly Range[]): string {
  const inside = (at: number) => ranges.some(([start, end]) => at >= start && at < end);
  return text.replace(/[^\n]/g, (char, at: number) => (inside(at) ? char : ' '));
}

/** Compiled once for all programs. */
const parsed = new Map<string, ts.SourceFile | undefined>();

const compile: Check = (documents) => {
  const units = documents.flatMap(({ blocks }) => blocks.flatMap(unitsOf));
  const js = units.filter(({ language }) => language === 'js');
  const other = units.filter(({ language }) => language !== 'js');
  return [...js.flatMap(plain), ...typed(js, { strict: false, noImplicitAny: false }), ...typed(other, { strict: true })];
};

/** What is no JavaScript in a block that says it is. */
function plain({ document, own }: Unit): string[] {
  try {
    transformSync(own, { loader: 'js', logLevel: 'silent', target: 'es2022' });
    return [];
  } catch (error) {
    const { errors } = error as { errors: { text: string; location: { line: number } | null }[] };
    return errors.map(({ text, location }) => `${document}:${location?.line}: this is no JavaScript: ${text}`);
  }
}

const GIVEN = ' What the reader has goes before the fence: <!-- given: ... -->';
/** What to do, by the code of a diagnostic. */
const HINTS: Readonly<Record<number, string>> = {
  2304: GIVEN,
  2552: GIVEN,
  18004: GIVEN,
  2339: ' A field that a constructor sets has to be declared in its class.',
};

function typed(units: readonly Unit[], strictness: ts.CompilerOptions): string[] {
  const base = root.replaceAll('\\', '/');
  const { config } = ts.readConfigFile(join(base, 'tsconfig.json'), ts.sys.readFile);
  const { target, module, moduleResolution, lib, types, skipLibCheck, noEmit, jsx, paths, allowImportingTsExtensions } =
    config.compilerOptions;
  const wanted = { target, module, moduleResolution, lib, types, skipLibCheck, noEmit, jsx, paths, allowImportingTsExtensions };
  const { options } = ts.parseJsonConfigFileContent({ compilerOptions: wanted, files: [] }, ts.sys, base, {
    ...strictness,
    moduleDetection: ts.ModuleDetectionKind.Force,
  });
  const files = new Map(units.map((unit, i) => [join(base, `${unit.document}.${i}.${unit.language === 'tsx' ? 'tsx' : 'ts'}`), unit]));
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path)?.source ?? readFile(path);
  host.getSourceFile = (path, target, ...rest) => {
    const unit = files.get(path);
    if (unit) return ts.createSourceFile(path, unit.source, target);
    if (!parsed.has(path)) parsed.set(path, getSourceFile(path, target, ...rest));
    return parsed.get(path);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files].flatMap(([path, { document }]) => {
    const file = program.getSourceFile(path) as ts.SourceFile;
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].flatMap((diagnostic) => {
      const { line, character } = (diagnostic.file ?? file).getLineAndCharacterOfPosition(diagnostic.start ?? 0);
      const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ');
      if (!options.strict && /type 'unknown'/.test(text)) return []; // JavaScript has no way to say what it is
      return [`${document}:${line + 1}:${character + 1}: TS${diagnostic.code}: ${text}${HINTS[diagnostic.code] ?? ''}`];
    });
  });
}

const json: Check = (documents) =>
  blocksOf(documents, (language) => language === 'json').flatMap((block) => {
    try {
      JSON.parse(block.code);
      return [];
    } catch (error) {
      return [`${where(block)}: ${error instanceof Error ? error.message : error}`];
    }
  });

interface Manifest {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
}

function manifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
}

/** Commands in sh blocks, and in the text between backticks. */
const commands: Check = (documents) =>
  documents.flatMap(({ path, blocks, prose }) => {
    const shell = blocks.filter(({ language }) => language === 'sh');
    const inBlocks = shell.flatMap(({ line, code }) => code.split('\n').map((text, i) => ({ line: line + 1 + i, text })));
    const inText = prose.flatMap((text, i) => [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => ({ line: i + 1, text: code })));
    return [...inBlocks, ...inText].flatMap(({ line, text }) =>
      unknownCommands(text.replace(/(^|\s)#.*/, '')).map((problem) => `${path}:${line}: ${problem}`),
    );
  });

function unknownCommands(line: string): string[] {
  return line.split(/&&|\|\||[;|]/).flatMap((command) => {
    const npm = /^\s*(?:\$ )?(?:\w+=\S* )*npm (?:--prefix (\S+) )?(run |start\b|test\b)(\S*)/.exec(command);
    const npx = /^\s*(?:\$ )?(?:\w+=\S* )*npx (?:-\S+ )*(\S+)/.exec(command);
    if (npm) {
      const [, folder = '.', word = '', name] = npm;
      const script = word === 'run ' ? name : word;
      return manifest(folder).scripts?.[script ?? ''] ? [] : [`there is no script ${script} in package.json`];
    }
    const program = npx?.[1] ?? '';
    return !npx || manifest('.').bin?.[program] || existsSync(join(root, 'node_modules/.bin', program))
      ? []
      : [`there is no command ${program}: not in "bin" of package.json, and not installed`];
  });
}

/** Files that pages load. */
const pageFiles: Check = (documents) =>
  blocksOf(documents, (language) => language === 'html').flatMap((block) =>
    block.code.split('\n').flatMap((line, i) =>
      [...line.matchAll(/<(?:script|link|img)\b[^>]*\b(?:src|href)=["']?([^"'\s>]+)/gi)]
        .map(([, path = '']) => path)
        .filter((path) => !/^[a-z]+:|^\/\//i.test(path))
        .filter((path) => !existsSync(join(root, path.replace(/^[./]*node_modules\/holdfast\//, ''))))
        .map((path) => `${block.document}:${block.line + 1 + i}: there is no file ${path}, neither here nor in the package`),
    ),
  );

/** Relative links and images, and headings that links go to. */
const links: Check = (documents) => {
  const known = new Map(documents.map((document) => [document.path, document]));
  const headings = (path: string) => anchors(known.get(path) ?? readDocument(path));
  return documents.flatMap(({ path, prose }) =>
    linksIn(prose).flatMap(({ line, target }) => {
      const [to = '', anchor] = target.split('#').map(decodeURIComponent);
      const file = to === '' ? path : normalize(to.startsWith('/') ? to.slice(1) : join(dirname(path), to));
      const at = `${path}:${line}:`;
      if (!existsSync(join(root, file)) && !known.has(file)) return [`${at} the link ${target} goes to ${file}, which does not exist`];
      if (anchor === undefined || (!file.endsWith('.md') && /^L\d+/.test(anchor))) return [];
      if (!file.endsWith('.md')) return [`${at} the link ${target} goes to a heading of what is no document`];
      if (headings(file).has(anchor)) return [];
      return [`${at} ${file} has no heading #${anchor}: it has ${[...headings(file)].map((each) => `#${each}`).join(' ')}`];
    }),
  );
};

function linksIn(prose: readonly string[]): { readonly line: number; readonly target: string }[] {
  const blank = (code: string) => code.replace(/[^\n]/g, ' ');
  const text = prose.join('\n').replace(/(`+)[^`][\s\S]*?\1/g, blank);
  const forms = [
    /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g,
    /^\[[^\]]+\]:\s*<?([^\s>]+)/gm,
    /<(?:img|a)\b[^>]*\b(?:src|href)="([^"]+)"/g,
  ];
  return forms
    .flatMap((form) => [...text.matchAll(form)])
    .map(({ index, 1: target = '' }) => ({ line: text.slice(0, index).split('\n').length, target }))
    .filter(({ target }) => !/^[a-z][a-z+.-]*:|^\/\//i.test(target));
}

/** The anchors of a document as GitHub makes them: of headings, numbered where they repeat, and those made by hand. */
function anchors({ prose }: Document): Set<string> {
  const slugs = new Set<string>();
  for (const line of prose) {
    const heading = /^#{1,6} +(.*?)(?: +#+)? *$/.exec(line)?.[1];
    if (heading !== undefined) {
      const slug = slugOf(heading);
      let numbered = slug;
      for (let i = 1; slugs.has(numbered); i++) numbered = `${slug}-${i}`;
      slugs.add(numbered);
    }
    for (const [, id = ''] of line.matchAll(/<a (?:id|name)="([^"]+)"/g)) slugs.add(id);
  }
  return slugs;
}

function slugOf(heading: string): string {
  const text = heading
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1') // links
    .replace(/<[^>]*>/g, '')
    .replace(/\*+([^*]+)\*+/g, '$1');
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-');
}

/** Documents with code that nobody runs, for want of a test file: `test/docs/recipes.test.ts` for `docs/recipes.md`. */
const tests: Check = (documents) =>
  documents.flatMap(({ path, blocks }) => {
    const some = blocks.find(({ language, notRun }) => ['js', 'ts', 'tsx', 'html'].includes(language) && notRun === undefined);
    if (!some) return [];
    const file = `test/docs/${basename(path, '.md').toLowerCase()}.test.ts`;
    const text = existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '';
    if (text.includes(`'${path}'`) && text.includes('\neveryBlockIsRun(')) return [];
    return [`${where(some)}: no test runs the code of ${path}: write ${file}, with everyBlockIsRun('${path}', { ... })`];
  });

const inDocs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const all = ['README.md', 'CHANGELOG.md', ...inDocs.map((name) => `docs/${name}`)].map((path) => readDocument(path));
/** The reference of the API is made from the sources. */
const written = all.filter(({ path }) => !path.startsWith('docs/api'));

describe('the documents', () => {
  it.each<[string, Check, readonly Document[]]>([
    ['know the languages of their code', languages, written],
    ['have no given and no reason that belongs to no code', comments, written],
    ['have code that compiles', compile, written],
    ['have JSON that parses', json, written],
    ['name commands that exist', commands, written],
    ['name files that a page can load', pageFiles, written],
    ['have tests that run their code', tests, written],
    ['link to files and headings that exist', links, all],
  ])('%s', (_, check, documents) => {
    expect(check(documents)).toEqual([]);
  });

  it('are all there', () => {
    expect(written.map(({ path }) => path)).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'docs/protocol.md']));
    expect(written.flatMap(({ blocks }) => blocks).length).toBeGreaterThan(10);
  });
});

describe('a broken document is found out:', () => {
  it.each<[string, Check, string[], string[]]>([
    [
      'a language that nobody knows',
      languages,
      ['```javascript', 'x', '```', '```', 'plain', '```'],
      ['docs/broken.md:1: nobody knows the language javascript: say js, ts, tsx, html, sh or json, or none for plain text'],
    ],
    [
      'something given to no block',
      comments,
      ['<!-- given: declare const x: 1 -->', '', '```js', '```', '<!-- not run: because -->', '<!-- a remark -->'],
      [
        'docs/broken.md:1: <!-- given: declare const x: 1 --> belongs to no block: put it right before a fence, without an empty line',
        'docs/broken.md:5: <!-- not run: because --> belongs to no block: put it right before a fence, without an empty line',
      ],
    ],
    [
      'JSON that does not parse',
      json,
      ['# A file', '```json', '{ "a": 1 }', '```', '```json', '{ a: 1 }', '```'],
      [expect.stringMatching(/^docs\/broken\.md:5: .*JSON/)],
    ],
    [
      'a command that does not exist, in a block and in the text',
      commands,
      ['```sh', 'npm ci && npm run biuld  # npm run nothing', 'npx holdfast-sever | npm start', '```', 'Use `npm run sise` or `npm test`.'],
      [
        'docs/broken.md:2: there is no script biuld in package.json',
        'docs/broken.md:3: there is no command holdfast-sever: not in "bin" of package.json, and not installed',
        'docs/broken.md:5: there is no script sise in package.json',
      ],
    ],
    [
      'a file that a page does not find',
      pageFiles,
      [
        '```html',
        '<script src="node_modules/holdfast/dist/holdfast.iife.js"></script><script src="https://example.com/x.js"></script>',
        '<script src="node_modules/holdfast/dist/holdfast.js"></script>',
        '```',
      ],
      ['docs/broken.md:3: there is no file node_modules/holdfast/dist/holdfast.js, neither here nor in the package'],
    ],
    [
      'links to nothing',
      links,
      [
        '# What `it` is, and [why](https://example.com)?',
        '# Again',
        '# Again',
        '[itself](#what-it-is-and-why) [second](#again-1) [other](../README.md#the-client) [`source`](/src/index.ts#L3) `[code](nowhere)`',
        '[no file](gone.md), ![no picture](../demo/gone.png "a picture")',
        '[no heading](#again-2), [nor there](protocol.md#gone)',
        '[a reference]: gone.md',
        '<img src="gone.png">',
        '```',
        '[in a block](gone.md)',
        '```',
      ],
      [
        'docs/broken.md:5: the link gone.md goes to docs/gone.md, which does not exist',
        'docs/broken.md:5: the link ../demo/gone.png goes to demo/gone.png, which does not exist',
        'docs/broken.md:6: docs/broken.md has no heading #again-2: it has #what-it-is-and-why #again #again-1',
        expect.stringContaining('docs/broken.md:6: docs/protocol.md has no heading #gone: it has #the-holdfast-protocol-version-1 '),
        'docs/broken.md:7: the link gone.md goes to docs/gone.md, which does not exist',
        'docs/broken.md:8: the link gone.png goes to docs/gone.png, which does not exist',
      ],
    ],
    [
      'code that nobody runs',
      tests,
      ['<!-- not run: needs a bank -->', '```js', 'pay();', '```', '```js', 'x();', '```'],
      [
        "docs/broken.md:5: no test runs the code of docs/broken.md: write test/docs/broken.test.ts, with everyBlockIsRun('docs/broken.md', { ... })",
      ],
    ],
  ])('%s', (_, check, lines, problems) => {
    expect(check([broken(lines)])).toEqual(problems);
  });

  it('code that does not compile, each on its own line', () => {
    const lines = [
      '<!-- given: import { Client } from "holdfast"; declare const url: string;',
      'declare const missing: NoSuchType -->',
      '```js',
      'const client = new Client(url);',
      'client.sned("x");',
      'client.on("x", ({ name }) => console.log(name.length)); // of a type that JavaScript cannot say',
      'export const { client: again } = { client: undeclared };',
      '```',
      '```js',
      'const x: number = 5;',
      '```',
      '- in a list',
      '  ```ts',
      "  import { Client } from 'holdfast';",
      "  const client = new Client<{ server: { events: { typing: string } } }>('wss://example.com');",
      "  client.send('typing', 5);",
      '  let strict: string = null;',
      '  ```',
      '```tsx',
      "import { createServer } from 'holdfast/server';",
      'export const page = <p title={createServer}>no</p>;',
      '```',
      '```html',
      '<script>const socket = new Holdfast.ReconnectingWebSoket("wss://example.com");</script>',
      '<script>socket.send("x"); gone();</script>',
      '<script type="module">import { Clinet } from "./node_modules/holdfast/dist/index.js";',
      'socket.send("x");</script>',
      '<script type="application/json">{}</script>',
      '```',
    ];
    expect(compile([broken(lines)]).map((problem) => /^[^:]*:(\d+):.*?(TS\d+|no JavaScript)/.exec(problem)?.slice(1))).toEqual([
      ['10', 'no JavaScript'],
      ['2', 'TS2552'],
      ['5', 'TS2339'],
      ['7', 'TS2304'],
      ['24', 'TS2551'],
      ['25', 'TS2304'],
      ['26', 'TS2724'],
      ['27', 'TS2304'],
      ['16', 'TS2345'],
      ['17', 'TS2322'],
      ['21', 'TS2322'],
    ]);
  });
});

/** A document that is not there. */
function broken(lines: readonly string[]): Document {
  return readDocument('docs/broken.md', lines.join('\n'));
}

describe('a block', () => {
  const block = (...lines: string[]) => broken(lines).blocks[0] as CodeBlock;

  it('is known by its heading and its number under it', () => {
    const document = ['```', '```', '# One', '```js', '```', '## Two ##', '~~~sh', '```', '~~~', '```js', '```', '# One', '```js', '```'];
    expect(broken(document).blocks.map(({ name, line, language, code }) => [name, line, language, code])).toEqual([
      [' #1', 1, '', ''],
      ['One #1', 4, 'js', ''],
      ['Two #1', 7, 'sh', '```'],
      ['Two #2', 10, 'js', ''],
      ['One #2', 13, 'js', ''],
    ]);
  });

  it('has what is given and why it is not run from the comments before it', () => {
    const { given, notRun, code } = block(
      '<!-- given: declare const a: 1;',
      '  declare const b: 2 -->',
      '<!-- remark --> <!-- not run: needs a bank -->',
      '  ```ts',
      '  a;',
      '    b;',
      '  ```',
    );
    expect({ given, notRun, code }).toEqual({
      given: 'declare const a: 1;\n  declare const b: 2',
      notRun: 'needs a bank',
      code: 'a;\n  b;',
    });
  });

  it('that is not closed is an error', () => {
    expect(() => broken(['', '```js'])).toThrow('docs/broken.md:2: the code block is not closed');
    expect(() => broken(['<!-- given:'])).toThrow('docs/broken.md:1: the comment is not closed');
  });

  it('has to be in the table of its test, or to say why not', () => {
    const { blocks } = broken([
      '# A',
      '```js',
      '```',
      '```sh',
      '```',
      '<!-- not run: x -->',
      '```html',
      '```',
      '<!-- not run: -->',
      '```ts',
      '```',
    ]);
    expect(leftOut(blocks, [])).toEqual([
      "docs/broken.md:2: nobody runs 'A #1': add it to the table of its test, or put <!-- not run: reason --> before it",
      "docs/broken.md:10: 'A #4' does not say why: <!-- not run: reason -->",
    ]);
    expect(leftOut(blocks, ['A #1', 'A #3', 'A #4'])).toEqual([
      "docs/broken.md:7: 'A #3' is run by a test: remove its <!-- not run: --> comment",
      "docs/broken.md:10: 'A #4' is run by a test: remove its <!-- not run: --> comment",
    ]);
    expect(() => codeBlock('docs/../README.md', 'Gone #1')).toThrow("README.md has no block 'Gone #1': it has 'Holdfast #1' (line");
  });

  it('has to be run by what the table says of it', async () => {
    const idle = block('# A', '```js', '```');
    await expect(runs(idle, () => {})).rejects.toThrow("docs/broken.md:2: the test of 'A #1' does not run its code");
    await runs(idle, async (block) => void (await run(block)));
  });

  it('is run with what is given and replaced, and gives what it declares', async () => {
    const program = block(
      "<!-- given: import { type Client, ClosedError } from 'holdfast'; declare const secret: string; const half = 21 -->",
      '```tsx',
      "import { createServer, Host } from 'holdfast/server';",
      "import { createElement } from 'react';",
      'interface Shape { readonly size: number }',
      'export const element = <p>{secret}</p>;',
      'const { size, list: [first] }: Shape & { list: string[] } = { size: half * 2, list: ["a"] };',
      'let client: Client | undefined;',
      'function make() { return new ClosedError("here"); }',
      'class Own extends Host {}',
      'const own = new Own();',
      'const isReal = [own instanceof Host, createElement("b").type, typeof createServer];',
      '```',
    );
    await expect(run(program)).rejects.toThrow("docs/broken.md:2: ' #1' is given secret: pass it in globals");
    const bindings = await run(program, { globals: { secret: 'x' }, replace: { '"here"': '"there"', 'half * 2': 'half * 4' } });
    expect(bindings).toMatchObject({
      half: 21,
      element: { type: 'p', props: { children: 'x' } },
      size: 84,
      first: 'a',
      isReal: [true, 'b', 'function'],
      client: undefined,
    });
    expect(Object.keys(bindings).sort()).toEqual(['Own', 'client', 'element', 'first', 'half', 'isReal', 'make', 'own', 'size']);
    await expect(run(program, { globals: { secret: 'x' }, replace: { gone: '' } })).rejects.toThrow("there is no gone in ' #1' to replace");
  });

  it('that throws is named', async () => {
    await expect(run(block('```js', 'await null;', 'gone();', '```'))).rejects.toThrow(
      "docs/broken.md:1: ' #1' threw: gone is not defined",
    );
    await expect(run(block('```js', '', 'const = 5;', '```'))).rejects.toThrow('docs/broken.md:3:6: ERROR');
  });

  it('is over with the test: everything is closed, and then the globals are as before', async () => {
    const ended: unknown[] = [];
    const server = await startEchoServer();
    const before = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
    let service: Server | undefined;
    let page: HttpServer | undefined;
    // In the opposite order: these see what is left when the block is gone.
    onTestFinished(() => server.stop());
    onTestFinished(async () => {
      expect(ended.toSorted()).toEqual(['client', 'loop', 'socket']);
      await until(() => expect([...server.echo.clients, ...(service?.clients ?? [])]).toEqual([]));
      expect(page?.listening).toBe(false);
      expect([Object.getOwnPropertyDescriptor(globalThis, 'WebSocket'), 'url' in globalThis]).toEqual([before, false]);
    });
    const program = block(
      '<!-- given: declare const url: string; declare const ended: unknown[] -->',
      '```js',
      "import { Client, ReconnectingWebSocket } from 'holdfast';",
      "import { createServer } from 'holdfast/server';",
      "import { createServer as http } from 'node:http';",
      'const server = createServer({ port: 0 });',
      'await server.listening;',
      "const client = new Client('ws://127.0.0.1:' + server.port);",
      'await client.connect();',
      'const open = () => new Promise((resolve) => {',
      '  const socket = new ReconnectingWebSocket(url);',
      "  socket.addEventListener('open', resolve);",
      "  socket.addEventListener('close', () => ended.push('socket'));",
      '});',
      'await open();',
      "client.addEventListener('close', () => ended.push('client'));",
      'const page = http().listen(0);',
      'setInterval(() => {}, 5);',
      'for await (const message of client.channel("x")) console.log(message);',
      'ended.push("loop");',
      '```',
    );
    const { bindings } = await start<{ server: Server; client: Client; page: HttpServer }>(program, {
      globals: { url: server.url(), ended },
    });
    await until(() => expect(bindings.client.channel('x').state.status).toBe('subscribed'));
    ({ server: service, page } = bindings);
    expect([ended, server.echo.clients.size, service.clients.length, 'url' in globalThis]).toEqual([[], 1, 1, true]);
  });
});
