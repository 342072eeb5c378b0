/** The code blocks of documents are read, told apart and run as the tests of the documents take for granted. */

import type { Server as HttpServer } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Client } from '../../src/index.ts';
import type { Server } from '../../src/server/index.ts';
import { leftOut, runs } from '../support/code-blocks.ts';
import { until } from '../support/e2e.ts';
import { startEchoServer } from '../support/echo-server.ts';
import { broken, type CodeBlock, codeBlock } from '../support/read-document.ts';
import { run, start } from '../support/run-block.ts';

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
