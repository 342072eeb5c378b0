/** The public surface as its declarations have it: a change of it is a decision, and shows in the diff of the golden file. */

import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const entry = fileURLToPath(new URL('../../dist/index.d.ts', import.meta.url));

/** Every exported name with its declarations, comments removed. */
function surface(path: string): string {
  const program = ts.createProgram([path], { lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'], strict: true });
  const checker = program.getTypeChecker();
  const printer = ts.createPrinter({ removeComments: true });
  const module = checker.getSymbolAtLocation(program.getSourceFile(path) as ts.SourceFile);
  const names = module ? checker.getExportsOfModule(module) : [];
  const textOf = (node: ts.Declaration) => {
    // The declaration of a constant is the statement around it.
    const whole = ts.isVariableDeclaration(node) ? node.parent.parent : node;
    return printer.printNode(ts.EmitHint.Unspecified, whole, node.getSourceFile());
  };
  return names
    .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((symbol) => (symbol.declarations ?? []).map(textOf).join('\n'))
    .join('\n\n');
}

test('the public declarations are those of the golden file', async () => {
  await expect(`${surface(entry)}\n`).toMatchFileSnapshot('./surface.golden.txt');
});
