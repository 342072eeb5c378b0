/** Compiles the code blocks of documents, and the scripts in their pages, each as a module of its own. */

import { join } from 'node:path/posix';
import { transformSync } from 'esbuild';
import ts from 'typescript';
import type { Check } from './document-checks.ts';
import { type CodeBlock, root } from './read-document.ts';

/** A module as the compiler sees it, on the lines of its document. */
interface Unit {
  readonly document: string;
  readonly language: string;
  /** With what is given. */
  readonly source: string;
  /** Without. */
  readonly own: string;
}

/** What is wrong with the code of documents, where they have it. */
export const compile: Check = (documents) => {
  const units = documents.flatMap(({ blocks }) => blocks.flatMap(unitsOf));
  const js = units.filter(({ language }) => language === 'js');
  const other = units.filter(({ language }) => language !== 'js');
  return [...js.flatMap(plain), ...typed(js, { strict: false, noImplicitAny: false }), ...typed(other, { strict: true })];
};

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

/** Compiled once for all programs. */
const parsed = new Map<string, ts.SourceFile | undefined>();

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
