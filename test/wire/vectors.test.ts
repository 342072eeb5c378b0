/** The test vectors of docs/protocol-vectors.json, replayed against the server and the client of this library. */

import { describe, expect, it } from 'vitest';
import { FROM_CLIENT, FROM_SERVER } from '../../src/wire/shapes.ts';
import { codeBlocks } from '../support/read-document.ts';
import { replay } from '../support/replay.ts';
import { gaps } from '../support/vector-gaps.ts';
import { subject } from '../support/vector-subjects.ts';
import { type Expectation, problems, readVectors, type Vector, type Vectors } from '../support/vectors.ts';

const file = readVectors();
const { vectors, beginnings } = file;
const sides = ['server', 'client'] as const;
const run = (vector: Vector) => replay(vector, beginnings, subject(vector.to));

describe.each(sides)('the %s', (side) => {
  it.each(vectors.filter(({ to }) => to === side).map((vector) => [vector.name, vector] as const))('%s', (_, vector) => run(vector));
});

describe('the vectors', () => {
  it('are as their format has them', () => {
    expect(problems(file)).toEqual([]);
  });

  it('are shown in their document as they are', () => {
    const shown = codeBlocks('docs/protocol-vectors.md').map(({ code }) => JSON.parse(code) as Vector);
    expect(shown.map(({ name }) => vectors.find((vector) => vector.name === name))).toEqual(shown);
  });

  it.each([
    ['client', FROM_SERVER.shapes],
    ['server', FROM_CLIENT.shapes],
  ] as const)('have each field that a %s may receive missing, ill and null', (to, shapes) => {
    expect(gaps(vectors, to, shapes)).toEqual([]);
  });

  it('have their teeth: each fails with any other expectation', { timeout: 120_000 }, async () => {
    const passed: string[] = [];
    for (const vector of vectors)
      for (const [what, expects] of sabotaged(vector))
        await run({ ...vector, expects }).then(
          () => passed.push(`${vector.name}: ${what}`),
          () => {},
        );
    expect(passed).toEqual([]);
  });
});

/** The same vector with another expectation, in each of the ways in which it can be another one. */
function* sabotaged({ expects }: Vector): Generator<[what: string, expects: Expectation]> {
  const { frames, close, reconnects, returns, next, olderCloses, ignored } = expects;
  const nothing = { type: 'nothing of the kind' };
  if (ignored) yield ['it closes', { close: 4_999 }];
  if (ignored) yield ['it says something', { frames: [nothing] }];
  for (const i of frames?.keys() ?? []) yield [`frame ${i} is another one`, { ...expects, frames: frames?.with(i, nothing) ?? [] }];
  if (frames) yield ['there is one more frame', { ...expects, frames: [...frames, nothing] }];
  const last = frames?.at(-1);
  const counts = last !== undefined && !['ack', 'bye', 'ping'].includes(String([last].flat()[0]?.['type']));
  if (counts && reconnects === undefined) yield ['there is one frame less', { ...expects, frames: frames?.slice(0, -1) ?? [] }];
  if (close) yield ['the close has another code', { ...expects, close: 4_999 }];
  if (close) yield ['it is ignored', { ignored: true }];
  if (returns) yield ['the client comes back later', { ...expects, returns: [returns[1] + 1, returns[1] + 2] }];
  if (returns?.[0]) yield ['the client comes back sooner', { ...expects, returns: [0, returns[0] - 1] }];
  if (reconnects !== undefined) yield ['the client does the opposite', { ...expects, reconnects: !reconnects }];
  if (next) yield ['the next connection begins otherwise', { ...expects, next: nothing }];
  if (olderCloses) yield ['the older connection is closed with another code', { ...expects, olderCloses: 4_999 }];
}

describe('a broken vector is found out:', () => {
  const good: Vector = {
    name: 'good',
    section: 'Frames',
    to: 'server',
    before: ['server'],
    receives: '{"type":"ping"}',
    expects: { frames: [{ type: 'pong' }] },
  };
  const withVectors = (...broken: object[]): Vectors => ({ ...file, vectors: broken as unknown as Vector[] });

  it('as long as it is whole, it is not', async () => {
    expect(problems(withVectors(good))).toEqual([]);
    await run(good);
  });

  it.each<[string, object, RegExp]>([
    ['a name that comes twice', { name: 'good' }, /not unique/],
    ['a key that nobody knows', { name: 'x', recieves: '' }, /x: a key is missing, unknown or ill/],
    ['nobody to receive it', { name: 'x', to: 'proxy' }, /x: a key/],
    ['a section that protocol.md does not have', { name: 'x', section: 'Weather' }, /x: docs\/protocol\.md has no section Weather/],
    ['a need that nobody has', { name: 'x', needs: ['luck'] }, /x: a key/],
    ['no expectation', { name: 'x', expects: {} }, /x: it expects nothing/],
    ['an expectation of no frames', { name: 'x', expects: { frames: [] } }, /x: an expectation is unknown or ill/],
    ['an expectation that nobody knows', { name: 'x', expects: { closes: 4400 } }, /x: an expectation is unknown or ill/],
    ['two expectations that exclude each other', { name: 'x', expects: { ignored: true, close: 4400 } }, /x: what is ignored/],
    ['a server that comes back', { name: 'x', expects: { reconnects: true } }, /x: a server does not reconnect/],
    ['nothing that happens', { name: 'x', receives: undefined }, /x: nothing happens/],
    ['a beginning that nobody knows', { name: 'x', before: ['sever'] }, /x: nobody knows the step "sever"/],
    ['a step that nobody knows', { name: 'x', before: [{ form: 'client', frame: {} }] }, /x: nobody knows the step/],
    ['a deed that is not for this side', { name: 'x', before: ['server', { does: { subscribe: 'a' } }] }, /x: it cannot do/],
    ['a deed with something that nobody knows', { name: 'x', before: ['server', { does: { call: 'a', parms: 1 } }] }, /x: it cannot do/],
    ['a wait without a clock', { name: 'x', before: ['server', { wait: 1 }] }, /x: what takes time needs a clock/],
    ['an absence without a clock', { name: 'x', before: ['server', { cut: true, away: 1 }] }, /x: what takes time needs a clock/],
    ['a wait for nothing', { name: 'x', needs: ['clock'], before: ['server', { wait: 0 }] }, /x: nobody knows the step/],
    ['a return that ends before it begins', { name: 'x', needs: ['clock'], expects: { returns: [2, 1] } }, /x: an expectation is unknown/],
    ['a server that comes back in time', { name: 'x', needs: ['clock'], expects: { returns: [0, 1] } }, /x: a server does not reconnect/],
    ['frames in any order that are none', { name: 'x', before: ['server', { from: 'server', frames: [] }] }, /x: nobody knows the step/],
    [
      'a pattern that nobody knows',
      { name: 'x', expects: { frames: [{ type: 'pong', nonce: { $si: 'number' } }] } },
      /x: nobody knows \$si/,
    ],
    [
      'a kind that nobody knows',
      { name: 'x', expects: { frames: [{ type: 'pong', nonce: { $is: 'numeral' } }] } },
      /x: nobody knows \$is numeral/,
    ],
  ])('%s', (_, change, problem) => {
    const broken = JSON.parse(JSON.stringify({ ...good, ...change })) as object;
    expect(problems(withVectors(good, broken)).join('\n')).toMatch(problem);
  });
});
