import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { temporaryProject, tsc } from '../support/tsc.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const strictest = [
  '--exactOptionalPropertyTypes',
  '--noUncheckedIndexedAccess',
  '--noPropertyAccessFromIndexSignature',
  '--verbatimModuleSyntax',
];

describe.concurrent('the built package', () => {
  test.each<[string, string, ...string[]]>([
    ['a strict page', './browser'],
    ['a page with every further check', './browser', ...strictest],
    ["a page, by Node's own resolution", './browser', '--module', 'nodenext', '--moduleResolution', 'nodenext'],
    ['a page with the newest library types', './browser', '--lib', 'esnext,dom,dom.iterable,dom.asynciterable'],
    ['a worker', './worker'],
    ["Node, by Node's own resolution, with the sockets of ws and mock-socket", './node'],
    ["Node without the DOM's types", './bare-node'],
  ])('compiles in %s', async (_, project, ...options) => {
    expect(await tsc(here(project), ...options)).toEqual({ code: 0, output: '' });
  });

  test('does not compile where it is misused, nor where a mistake that is expected is none', async ({ onTestFinished }) => {
    const project = await temporaryProject(
      {
        extends: here('./browser/tsconfig.json'),
        compilerOptions: { paths: { holdfast: [here('../../dist/index.d.ts')] } },
        include: ['.'],
      },
      {
        'broken.ts': [
          "import { ReconnectingWebSocket } from 'holdfast';",
          "const ws = new ReconnectingWebSocket('wss://example.com');",
          'ws.send(5);',
          '// @ts-expect-error: there is none',
          "ws.send('x');",
        ].join('\n'),
        'broken-contract.ts': [
          "import { Client } from 'holdfast';",
          "const client = new Client<{ server: { events: { note: string } } }>('wss://example.com');",
          "client.send('note', 5);",
          '// @ts-expect-error: there is none',
          "client.send('note', 'x');",
        ].join('\n'),
      },
    );
    onTestFinished(() => rm(dirname(project), { recursive: true }));
    const { code, output } = await tsc(project);
    expect(code).not.toBe(0);
    expect(output.match(/broken[-\w]*\.ts\(\d+,\d+\): error TS\d+/g)).toEqual([
      'broken-contract.ts(3,21): error TS2345',
      'broken-contract.ts(4,1): error TS2578',
      'broken.ts(3,9): error TS2345',
      'broken.ts(4,1): error TS2578',
    ]);
  });
});
