// @vitest-environment node
/** Uploads over real sockets: bytes in and out, cuts at any byte, slow ways and slow handlers. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SessionLostError, upload } from '../../src/index.ts';
import type { HandlerContext } from '../../src/server/index.ts';
import { seeded, until } from '../support/e2e.ts';
import type { Passage } from '../support/fault-proxy.ts';
import { heard, join, startServer, startService } from '../support/service.ts';
import { led, numbered, someBytes, stalled } from '../support/uploads.ts';

const NO_SESSIONS = { sessions: false } as const;
const KIB = 1_024;

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Reads everything, and says how much it was and what its hash is; `reads` and `ends` are noted. */
function hashing() {
  const seen = { begun: 0, ended: [] as unknown[] };
  const store = async (_: unknown, { upload: items }: HandlerContext) => {
    seen.begun++;
    const hash = createHash('sha256');
    let bytes = 0;
    try {
      for await (const item of items) {
        hash.update(item as Uint8Array);
        bytes += (item as Uint8Array).length;
      }
      seen.ended.push('done');
    } catch (error) {
      seen.ended.push((error as { code: string }).code);
      throw error;
    }
    return { bytes, hash: hash.digest('hex') };
  };
  return { store, seen };
}

describe('an upload over real sockets', () => {
  it('arrives as it is, and is told of to the end', async () => {
    const { store } = hashing();
    const { url, errors } = await startServer({ handlers: { methods: { store } } });
    const { client, log } = join(url());
    const bytes = someBytes(3_000 * KIB + 7);
    const steps: number[] = [];
    const file = new File([bytes], 'kelp.bin');
    const told = await upload(client, 'store', { name: file.name }, file, { onprogress: (progress) => steps.push(progress.bytes) });
    expect(told).toEqual({ bytes: bytes.length, hash: hashOf(bytes) });
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
    expect([steps.at(-1), log, errors]).toEqual([bytes.length, ['open'], []]);
  });

  it('comes out of a file as Node reads it', async () => {
    const { store } = hashing();
    const { url } = await startServer({ handlers: { methods: { store } } });
    const { client } = join(url());
    const path = fileURLToPath(import.meta.url);
    const file = await readFile(path);
    expect(await upload(client, 'store', undefined, createReadStream(path), { chunkSize: 777 })).toEqual({
      bytes: file.length,
      hash: hashOf(file),
    });
  });

  it('is stopped by its signal: the handler is told, and the source is left', async () => {
    const { store, seen } = hashing();
    const { url } = await startServer({ handlers: { methods: { store, echo: (params) => params } } });
    const { client } = join(url());
    const { source, feed, cancelled } = stalled();
    const abort = new AbortController();
    const outcome = upload(client, 'store', undefined, source, { signal: abort.signal }).catch((error: unknown) => error);
    feed.give(someBytes(5));
    await until(() => expect(seen.begun).toBe(1));
    abort.abort('enough');
    expect(await outcome).toBe('enough');
    expect(await client.call('echo', 1)).toBe(1); // behind the cancel
    expect([seen.ended, cancelled.length]).toEqual([['CANCELLED'], 1]);
  });

  it('shares the way: calls are answered while it goes on', async () => {
    const { store } = hashing();
    const { proxy, url } = await startService({ handlers: { methods: { store, echo: (params) => params } } });
    proxy.rate = 4_000 * KIB;
    const { client, written } = join(url);
    let isDone = false;
    const stored = upload(client, 'store', undefined, someBytes(1_500 * KIB)).finally(() => {
      isDone = true;
    });
    await until(() => expect(written.flat().filter(({ type }) => type === 'chunk').length).toBeGreaterThan(0));
    for (let i = 0; i < 5; i++) expect([await client.call('echo', i), isDone]).toEqual([i, false]);
    expect(await stored).toMatchObject({ bytes: 1_500 * KIB });
  });

  it('waits for a handler that is slow: no more than 16 items are on their way', async () => {
    const { handler, calls } = led();
    const { url } = await startServer({ handlers: { methods: { hold: handler, echo: (params) => params } } });
    const { client, written } = join(url());
    const { source, seen } = numbered(5_000);
    const stored = upload(client, 'hold', undefined, source);
    await until(() => expect(calls).toHaveLength(1));
    for (let i = 1; i <= 20; i++) expect(await calls[0]?.read(1)).toEqual([i]);
    await until(() => expect(seen.read).toBe(33));
    for (let i = 0; i < 10; i++) await client.call('echo', i); // there would have been time for more
    expect([seen.read, written.flat().filter(({ type }) => type === 'chunk').length]).toEqual([33, 32]);
    calls[0]?.answer('enough');
    expect(await stored).toBe('enough');
    await until(() => expect(seen.left).toBe(1));
  });
});

describe('an upload over connections that are cut', () => {
  it.each([1, 2, 3])('at any byte, again and again: it arrives as it is, once (seed %i)', async (seed) => {
    const random = seeded(seed);
    const { store, seen } = hashing();
    const { proxy, url, errors } = await startService({ handlers: { methods: { store, echo: (params) => params } } });
    const { client, log } = join(url, { backoff: () => random() * 3 });
    await client.call('echo'); // who never said a word would not be waited for
    let cuts = 0;
    const cutLater = (passage: Passage) => {
      if (cuts++ < 25)
        passage.after(1 + Math.floor(random() * 60 * KIB), 'up', {
          kind: 'cut',
          client: random() < 0.5 ? 'fin' : 'rst',
          server: random() < 0.5 ? 'fin' : 'rst',
        });
    };
    proxy.onpassage = cutLater;
    proxy.cut();
    const bytes = someBytes(900 * KIB + 1);
    const steps: number[] = [];
    const stored = upload(client, 'store', undefined, new Blob([bytes]), { onprogress: (progress) => steps.push(progress.bytes) });
    expect(await stored).toEqual({ bytes: bytes.length, hash: hashOf(bytes) });
    expect([seen, errors]).toEqual([{ begun: 1, ended: ['done'] }, []]);
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
    expect(steps.at(-1)).toBe(bytes.length);
    const { resumed, connections, resent } = client.stats;
    expect([resumed, connections > 10, resent > 0]).toEqual([connections - 1, true, true]);
    expect(log.filter((line) => !/^(open|close 1006 again|error CONNECTION_FAILED)$/.test(line))).toEqual([]);
  });

  it('where there are no sessions rejects with SessionLostError; the handler is told, and the next upload is one of its own', async () => {
    const { store, seen } = hashing();
    const { proxy, url } = await startService({ ...NO_SESSIONS, handlers: { methods: { store } } });
    const { client, written } = join(url);
    const { source, feed, cancelled } = stalled();
    const outcome = upload(client, 'store', undefined, source).catch((error: unknown) => error);
    feed.give(someBytes(5));
    await until(() => expect(seen.begun).toBe(1));
    proxy.cut();
    expect(await outcome).toBeInstanceOf(SessionLostError);
    await until(() => expect(seen.ended).toEqual(['CANCELLED']));
    const bytes = someBytes(100 * KIB);
    expect(await upload(client, 'store', undefined, bytes)).toEqual({ bytes: bytes.length, hash: hashOf(bytes) });
    expect([cancelled.length, written[1]?.find(({ type }) => type === 'request')?.['upload']]).toEqual([1, true]);
  });

  it('to a server that is started anew rejects with SessionLostError, and another one is taken', async () => {
    const { store } = hashing();
    const first = await startServer({ handlers: { methods: { store, echo: (params) => params } } });
    const { port } = first.server;
    const { client, written } = join(first.url());
    await client.call('echo');
    const { source, feed } = stalled();
    const outcome = upload(client, 'store', undefined, source).catch((error: unknown) => error);
    feed.give(someBytes(5));
    await until(() => expect(written[0]?.some(({ type }) => type === 'chunk')).toBe(true));
    const closed = heard(client, 'close');
    await first.server.close({ drain: 0, retryAfter: 0 });
    await closed;
    const { store: again, seen } = hashing();
    await startServer({ port, handlers: { methods: { store: again } } });
    expect(await outcome).toBeInstanceOf(SessionLostError);
    expect(seen.begun).toBe(0);
    expect(await upload(client, 'store', undefined, someBytes(5))).toMatchObject({ bytes: 5 });
  });
});
