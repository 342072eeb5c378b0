/**
 * The tests of a document's code: what each block is seen to do, and that none is left out.
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

import { describe, expect, test } from 'vitest';
import { type CodeBlock, codeBlock, codeBlocks, where } from './read-document.ts';

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
