/** What can be wrong with a document: languages, comments, JSON, commands, files, links, and code that nobody runs. */

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path/posix';
import { type CodeBlock, type Document, headingOf, readDocument, root, where } from './read-document.ts';

/** Every check returns what is wrong as `path:line: what`, and where it is not plain, what to do. */
export type Check = (documents: readonly Document[]) => string[];

const LANGUAGES = ['js', 'ts', 'tsx', 'html', 'sh', 'json', ''];

export const languages: Check = (documents) =>
  blocksOf(documents, (language) => !LANGUAGES.includes(language)).map(
    (block) => `${where(block)}: nobody knows the language ${block.language}: say js, ts, tsx, html, sh or json, or none for plain text`,
  );

export const comments: Check = (documents) => documents.flatMap(({ problems }) => problems);

function blocksOf(documents: readonly Document[], wanted: (language: string) => boolean): CodeBlock[] {
  return documents.flatMap(({ blocks }) => blocks.filter(({ language }) => wanted(language)));
}

export const json: Check = (documents) =>
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
export const commands: Check = (documents) =>
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
export const pageFiles: Check = (documents) =>
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
export const links: Check = (documents) => {
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
    const heading = headingOf(line);
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
export const tests: Check = (documents) =>
  documents.flatMap(({ path, blocks }) => {
    const some = blocks.find(({ language, notRun }) => ['js', 'ts', 'tsx', 'html'].includes(language) && notRun === undefined);
    if (!some) return [];
    const file = `test/docs/${basename(path, '.md').toLowerCase()}.test.ts`;
    const text = existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '';
    if (text.includes(`'${path}'`) && text.includes('\neveryBlockIsRun(')) return [];
    return [`${where(some)}: no test runs the code of ${path}: write ${file}, with everyBlockIsRun('${path}', { ... })`];
  });
