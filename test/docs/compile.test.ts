/** What the documents say holds: their code compiles, the commands, files and headings that they name exist. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compile } from '../support/compile-blocks.ts';
import { type Check, commands, comments, json, languages, links, pageFiles, tests } from '../support/document-checks.ts';
import { broken, type Document, readDocument, root } from '../support/read-document.ts';

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
