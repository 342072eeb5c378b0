/** What the README says in figures and lists, held against where it comes from: a page that was measured, or the code. */

import { readFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { rawVerdict } from '../../src/core/retry-policy.ts';
import type { Position } from '../../src/server/broker.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import { settleHost } from '../../src/server/options.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { tablesOf, tableUnder } from '../support/markdown-tables.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const readme = read('README.md');

/**
 * A table of the README, and what was measured of each of its cells, on another page: a column by how its head there reads, and a row by how
 * it begins there.
 */
function held(heading: string, page: string, columns: Record<string, RegExp>, rows: Record<string, string>) {
  const { head, rows: body } = tableUnder('README.md', heading);
  const measured = tablesOf(page).flatMap(({ head, rows }) =>
    rows.flatMap(([row = '', ...cells]) => cells.map((cell, i) => ({ row, column: head[i + 1] ?? '', cell }))),
  );
  const found = (row: string, column: string) =>
    measured.filter((each) => each.row.startsWith(rows[row] ?? '?') && columns[column]?.test(each.column)).map(({ cell }) => cell);
  const cells = body.flatMap(([row = '', ...texts]) => texts.map((text, i) => [row, head[i + 1] ?? '', text] as const));
  it('has all its rows and columns', () => {
    expect(head.slice(1)).toEqual(Object.keys(columns));
    expect(body.map(([row]) => row)).toEqual(Object.keys(rows));
    expect(cells).toHaveLength(Object.keys(columns).length * Object.keys(rows).length);
  });
  return { cells, found };
}

describe('how it compares', () => {
  const columns: Record<string, RegExp> = {
    '`WebSocket`': /^`WebSocket` of `ws` [\d.]+$/,
    partysocket: /^partysocket [\d.]+$/,
    'socket.io-client': /^socket\.io-client [\d.]+$/,
    'graphql-ws': /^graphql-ws [\d.]+$/,
    'drop-in, with heartbeat': /^Holdfast `ReconnectingWebSocket` [\d.]+<br>`heartbeat/,
    '`Client`': /^Holdfast `Client` [\d.]+$/,
  };
  const rows: Record<string, string> = {
    '100 messages written while the server is gone for 2 s': '100 messages written while the server is gone',
    '100 written into a connection that is dead already': '100 messages written into a connection that is dead',
    'the same, but they arrive, and only the answers are lost': 'the same, but they arrive',
    'a call that is cut while it is executed': 'a call is being executed',
    'a link goes dead without a word: noticed': 'a link goes dead',
    'a channel, of 5 messages while the server was gone': 'a channel, after',
    'a server that cuts at once: connections in 20 s': 'a server that cuts every connection at once',
    'size, min + brotli': 'size, min + brotli',
  };
  const { cells, found } = held('How it compares', 'bench/COMPARISON.md', columns, rows);

  it.each(cells)('%s, %s: %s', (row, column, text) => {
    expect(found(row, column)).toEqual([expect.stringContaining(text)]);
  });
});

describe('how soon it is back', () => {
  const columns: Record<string, RegExp> = {
    partysocket: /^partysocket [\d.]+$/,
    'socket.io-client': /^socket\.io-client [\d.]+$/,
    centrifuge: /^centrifuge [\d.]+$/,
    'drop-in, with heartbeat': /^Holdfast `ReconnectingWebSocket` [\d.]+<br>`heartbeat/,
    '`Client`': /^Holdfast `Client` [\d.]+$/,
  };
  const rows: Record<string, string> = {
    'its link goes dead, a message every second': 'the link goes dead, a message every second',
    'its link goes dead, nothing is written': 'the link goes dead, nothing is written',
    'its link is dead, and the page hears `online`': 'the link goes dead, 3 s later the page hears',
    'its link died while the page was hidden': 'the link goes dead while the page is hidden',
    'the page was frozen for 30 s': 'the page is hidden and frozen',
    'the page comes out of the back-forward cache': 'the user goes to another page',
    'the computer slept, and its link is dead': 'the computer sleeps for 45 s, the link goes dead',
    'the server was away for 5 s': 'the server restarts, away for 5 s',
    'for 30 s no upgrade was answered': 'the link is cut, and for 30 s no upgrade',
  };
  const { cells, found } = held('How soon it is back', 'bench/RECOVERY.md', columns, rows);

  it.each(cells)('%s, %s: %s', (row, column, text) => {
    expect(text).toMatch(/^(not within \d+ s|\d+\.\d s)$/);
    expect(found(row, column)).toEqual([expect.stringMatching(new RegExp(`^${text}`))]);
  });
});

describe('the first lines', () => {
  const [results] = tablesOf('bench/RESULTS.md');
  const result = (name: string) => results?.rows.find(([row]) => row?.includes(name)) ?? [];

  it('have the figures of bench/RESULTS.md', () => {
    const [, bytes, outage, deadLink] = result('holdfast');
    const said = readme.split('```')[0] ?? '';
    expect(outage).toBe('100 of 100, in order');
    expect(said).toContain('100 of 100 messages written into a two-second outage arrived, in order; a bare socket delivered 0.');
    expect(result('native')[2]).toBe('0 of 100');
    expect(said).toContain(
      `it replaced the connection to a server that fell silent after ${deadLink}; without a heartbeat nobody notices within 40 s.`,
    );
    expect(['native', 'partysocket', 'reconnecting-websocket'].map((name) => result(name)[3])).toEqual(Array(3).fill('not within 40 s'));
    expect(said).toContain(`${(Number(bytes) / 1_000).toFixed(1)} kB with brotli`);
  });

  it('and the weight of the script tag, as it is built now', () => {
    const script = readFileSync(new URL('../../dist/holdfast.iife.js', import.meta.url));
    expect(readme).toContain(`weighs ${Math.round(brotliCompressSync(script).length / 1_000)} kB with brotli`);
  });

  it('have code before line 15', () => {
    expect(readme.split('\n').findIndex((line) => line.startsWith('```'))).toBeLessThan(15);
  });
});

describe('what a server keeps unless it is told otherwise', () => {
  const said = readme.replaceAll('\n', ' ');

  it('of sessions', () => {
    const { ttl, capacity, perPrincipal, bytes } = Object(settleHost({}).sessions);
    expect(bytes).toBe(64 * 1_024 * 1_024);
    expect(said).toContain(`sessions: { ttl: ${ttl}, capacity: ${capacity}, perPrincipal: ${perPrincipal}, bytes: 64 MiB }`);
    expect(ttl).toBe(2 * 60_000);
    expect(said).toContain('Two minutes after the server has noticed the loss');
  });

  it('of who is there, and of uploads', () => {
    const { presence, limits } = settleHost({});
    const { grace, members, bytes } = Object(presence);
    expect(said).toContain(`presence: { grace: ${grace}, members: ${members}, bytes: ${bytes} }`);
    expect(grace).toBe(10_000);
    expect(said).toContain('is there for 10 s more');
    expect(said).toContain(`and \`uploads\` ${limits.uploads} at once`);
  });

  it('of channels, and of idempotent calls', () => {
    const [, size, ttl, idempotency] =
      /history: { size: (\d+), bytes, ttl: (\d+) }, idempotency: { ttl: (\d+),/.exec(said)?.map(Number) ?? [];
    const clock = new FakeClock();
    const broker = new MemoryBroker({ clock });
    for (let i = 0; i <= Number(size); i++) broker.publish('room', { payload: '1' });
    const { epoch } = broker.history('room').position as Position;
    const kept = (offset: number) => broker.history('room', { epoch, offset }).missed?.length;
    expect([kept(0), kept(1)]).toEqual([undefined, size]);
    clock.sleep(Number(ttl) - 1);
    expect(kept(1)).toBe(size);
    clock.sleep(1);
    expect(kept(1)).toBeUndefined();
    expect(broker.idempotency).toBe(idempotency);
    expect(said).toContain('the last 100 messages of 5 minutes');
    expect([size, ttl]).toEqual([100, 5 * 60_000]);
  });
});

describe('the table of errors', () => {
  const { rows } = tableUnder('README.md', 'Errors');
  const source = read('src/errors.ts');

  it('names every code, and no other', () => {
    const [, union = ''] = /export type ErrorCode =([^;]+);/.exec(source) ?? [];
    const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code);
    const said = rows.flatMap(([cell = '']) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, code]) => code));
    expect(said.sort()).toEqual(codes.sort());
  });

  it('names every class', () => {
    const classes = [...source.matchAll(/class (\w+) extends HoldfastError/g)].map(([, name]) => `\`${name}\``);
    expect(
      rows
        .map(([, name]) => name)
        .filter(Boolean)
        .sort(),
    ).toEqual(classes.sort());
  });
});

describe('the table of close codes', () => {
  const { rows } = tableUnder('README.md', 'Close codes');
  const own = rows.flatMap(([cell = '']) => cell.match(/4[0-4]\d\d/g) ?? []);

  it('has the codes of docs/protocol.md, but those of applications', () => {
    const { rows } = tableUnder('docs/protocol.md', 'Close codes');
    const codes = rows.flatMap(([cell = '']) => cell.match(/4[0-4]\d\d/g) ?? []);
    expect(own.sort()).toEqual(codes.sort());
  });

  it('are all retried by the drop-in, as the text says', () => {
    expect(own.map((code) => rawVerdict(Number(code)))).toEqual(own.map(() => 'retry'));
  });
});
