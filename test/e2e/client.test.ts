/** A client and its server over real sockets: what they say to each other, and how large, how binary and how wrong it may be. */

import { describe, expect, it } from 'vitest';
import type { MessageTooLargeError } from '../../src/index.ts';
import { until } from '../support/e2e.ts';
import { HELLO, heard, join, raw, startServer } from '../support/service.ts';

describe('a client and a server', () => {
  it('send events both ways, kept from before the connection and in order', async () => {
    const taken: unknown[] = [];
    const { server, url } = await startServer({
      handlers: { events: { note: (data, { client }) => taken.push(data) && client.send('noted', data) } },
    });
    const { client, log } = join(url());
    const noted: unknown[] = [];
    client.on('noted', (data) => noted.push(data));
    for (let i = 0; i < 200; i++) client.send('note', i);
    await client.connect();
    for (let i = 200; i < 400; i++) client.send('note', i);
    const all = Array.from({ length: 400 }, (_, i) => i);
    await until(() => expect(noted).toEqual(all));
    expect(taken).toEqual(all);
    server.broadcast('nobody waits for this', 1);
    await heard(client, 'unhandled');
    expect(log).toEqual(['open', 'unhandled event nobody waits for this']);
    expect(client.stats).toMatchObject({ sent: 400, received: 401, dropped: 0, queuedMessages: 0, connections: 1 });
  });

  it('call each other, each answer to its own question, whatever the order of the answers', async () => {
    const { server, errors, url } = await startServer({
      handlers: {
        methods: {
          later: (params) => new Promise((resolve) => setTimeout(() => resolve(params), 20 - Number(params))),
          relay: (params, { client }) => client.call('double', params),
          fail: () => {
            throw new Error('the secret of the server');
          },
        },
      },
    });
    const { client } = join(url());
    client.handle('double', (value) => Number(value) * 2);
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    expect(await Promise.all(numbers.map((n) => client.call('later', n)))).toEqual(numbers);
    expect(await Promise.all(numbers.map((n) => client.call('relay', n)))).toEqual(numbers.map((n) => n * 2));
    const failure = await client.call('fail').catch((error: Error) => error);
    expect(failure).toMatchObject({ name: 'CallError', code: 'INTERNAL', message: expect.not.stringContaining('secret') });
    await expect(client.call('nothing')).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    await expect(server.clients[0]?.call('nothing')).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    expect(errors).toEqual(['the handler of fail: the secret of the server']);
    expect(client.stats.pendingCalls).toBe(0);
  });

  it('stop what nobody waits for any more: the handler hears of an abort, and of a timeout, at the other end', async () => {
    const ends: unknown[] = [];
    const { url } = await startServer({
      handlers: {
        methods: {
          hang: (_, { signal }) => new Promise(() => signal.addEventListener('abort', () => ends.push(signal.reason.code))),
        },
      },
    });
    const { client } = join(url());
    await client.connect();
    const abort = new AbortController();
    const aborted = client.call('hang', 1, { signal: abort.signal, timeout: Infinity });
    await until(() => expect(client.stats.pendingCalls).toBe(1));
    abort.abort(new Error('changed my mind'));
    await expect(aborted).rejects.toThrow('changed my mind');
    await until(() => expect(ends).toEqual(['CANCELLED']));
    await expect(client.call('hang', 2, { timeout: 30 })).rejects.toMatchObject({ name: 'TimeoutError', maybeExecuted: true });
    await until(() => expect(ends).toHaveLength(2));
    expect(client.stats.pendingCalls).toBe(0);
  });

  it('publish to everybody on a channel but to nobody who left, in order, and say who may not', async () => {
    const { server, url } = await startServer({
      authorize: ({ channel, action, params }) => channel !== 'secret' && (action === 'subscribe' || params !== 'guest'),
      nameOf: (client) => `client ${client.id}`,
    });
    const [alice, bob] = [join(url()).client, join(url()).client];
    const received: Record<string, unknown[]> = { alice: [], bob: [] };
    const atAlice = alice.channel('news').subscribe((data, { from }) => received['alice']?.push([data, from]));
    const atBob = bob.channel('news').subscribe((data) => received['bob']?.push(data));
    await Promise.all([atAlice.ready, atBob.ready]);
    for (let i = 0; i < 50; i++) alice.channel('news').publish(i);
    await alice.channel('news').publish(50).acknowledged;
    await until(() => expect(received['bob']).toHaveLength(51));
    expect(received['bob']).toEqual(Array.from({ length: 51 }, (_, i) => i));
    expect(received['alice']).toHaveLength(51);
    atBob.unsubscribe();
    await until(() => expect(server.publish('news', 'the end')).toBe(1));
    await until(() => expect(received['alice']?.at(-1)).toEqual(['the end', undefined]));
    expect(received['bob']).toHaveLength(51);
    await expect(bob.channel('secret').subscribe().ready).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(bob.channel('secret').publish('x').acknowledged).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect([alice.state.status, bob.state.status]).toEqual(['open', 'open']);
  });

  it('publish as much at once as they like: the limit of calls that run at the same time is none for messages', async () => {
    const { url } = await startServer();
    const { client, log } = join(url());
    const received: unknown[] = [];
    await client.channel('news').subscribe((data) => received.push(data)).ready;
    const receipts = Array.from({ length: 300 }, (_, i) => client.channel('news').publish(i));
    await Promise.allSettled(receipts.map(({ acknowledged }) => acknowledged));
    expect(received).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(log).toEqual(['open']);
  });

  it('part in order: close() with a drain lets a call finish, says why, and the server has nobody left', async () => {
    const waiting: ((result: string) => void)[] = [];
    const { server, url } = await startServer({
      handlers: {
        methods: {
          wait: () =>
            new Promise<string>((resolve) => {
              waiting.push(resolve);
            }),
        },
      },
    });
    const { client, log } = join(url());
    const call = client.call('wait');
    await until(() => expect(waiting).toHaveLength(1));
    const closed = client.close({ code: 3001, reason: 'done', drain: 5_000 });
    waiting[0]?.('in time');
    expect(await call).toBe('in time');
    await closed;
    expect(log).toEqual(['open', 'close 3001 final']);
    await until(() => expect(server.connections).toBe(0));
  });
});

describe('binary payloads', () => {
  const samples = [
    new Uint8Array(0),
    new Uint8Array([0xff]),
    new Uint8Array([0, 0xff, 0xff, 0x7b, 0x7d]),
    Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) % 256),
  ];

  it.each(samples.map((bytes) => [bytes.length, bytes] as const))(
    'of %i bytes go both ways intact, in everything that carries one',
    async (_, bytes) => {
      const taken: unknown[] = [];
      const { url } = await startServer({
        handlers: {
          methods: { echo: (params) => params },
          events: { blob: (data, { client }) => taken.push(data) && client.send('blob', data) },
        },
      });
      const { client } = join(url());
      const event = new Promise((resolve) => client.on('blob', resolve));
      client.send('blob', bytes);
      expect(await event).toEqual(bytes);
      expect(taken).toEqual([bytes]);
      expect(await client.call('echo', bytes)).toEqual(bytes);
      expect(await client.call('echo', bytes.slice().buffer)).toEqual(bytes);
      const message = new Promise((resolve) => client.channel('c').subscribe(resolve));
      await client.channel('c').subscribe().ready;
      client.channel('c').publish(bytes);
      expect(isSame(await message, bytes)).toBe(true);
    },
  );

  it('keep their place among texts', async () => {
    const taken: unknown[] = [];
    const { url } = await startServer({ handlers: { events: { x: (data) => taken.push(data) } } });
    const { client } = join(url());
    await client.connect();
    const sent = Array.from({ length: 200 }, (_, i) => (i % 3 === 0 ? new Uint8Array([i]) : i));
    for (const data of sent) client.send('x', data);
    await until(() => expect(taken).toHaveLength(200));
    expect(taken).toEqual(sent);
  });
});

describe('a message that is too large', () => {
  const large = 'x'.repeat(1_000_000);

  it('is refused on the spot, with both sizes, and harms nothing', async () => {
    const { server, url } = await startServer({ handlers: { methods: { echo: (params) => params } } });
    const { client, log } = join(url());
    await client.connect();
    const facts = { name: 'MessageTooLargeError', bytes: 1_000_002, limit: 262_144 };
    expect(() => client.send('x', large)).toThrow(expect.objectContaining(facts));
    await expect(client.call('echo', large)).rejects.toMatchObject(facts);
    expect(() => client.send('x', new Uint8Array(1_000_000))).toThrow(expect.objectContaining({ bytes: 1_000_000 }));
    // By its bytes, not by its characters.
    expect(() => client.send('x', '€'.repeat(100_000))).toThrow(expect.objectContaining({ bytes: 300_002 }));
    expect(await client.call('echo', 'still here')).toBe('still here');
    expect([server.connections, client.stats.queuedMessages, client.stats.pendingCalls]).toEqual([1, 0, 0]);
    expect(log).toEqual(['open']);
  });

  it('is refused on the spot by publish(), too, as it says', async () => {
    const { url } = await startServer();
    const { client, log } = join(url());
    await client.connect();
    expect(() => client.channel('c').publish(large)).toThrow(expect.objectContaining({ name: 'MessageTooLargeError', limit: 262_144 }));
    expect([log, client.stats.dropped]).toEqual([['open'], 0]);
  });

  it('that was accepted before the limit was known is told as a drop, a rejection, and nothing else goes with it', async () => {
    const taken: unknown[] = [];
    const { url } = await startServer({ handlers: { events: { x: (data) => taken.push(data) }, methods: { echo: (params) => params } } });
    const { client, log } = join(url());
    const before = client.send('x', 'before');
    const receipt = client.send('x', large);
    const after = client.send('x', 'after');
    const call = client.call('echo', large).catch((error: MessageTooLargeError) => error.code);
    client.channel('c').publish(large);
    await client.connect();
    expect(await call).toBe('MESSAGE_TOO_LARGE');
    await until(() => expect(taken).toEqual(['before', 'after']));
    expect([before.status, receipt.status, after.status]).toEqual(['sent', 'dropped', 'sent']);
    expect([...log].sort()).toEqual(['drop event x too-large', 'drop publish c too-large', 'open']);
  });

  it('by its envelope alone is caught before the wire, too', async () => {
    const { server, url } = await startServer();
    const { client, log } = join(url());
    await client.connect();
    client.send('x', 'x'.repeat(262_144 - 10)); // with quotes 8 bytes below the limit, with the frame above it
    await heard(client, 'drop');
    expect(log).toEqual(['open', 'drop event x too-large']);
    expect(server.connections).toBe(1);
  });

  it('as a result is an error of the call, in either direction', async () => {
    const { server, url } = await startServer({ handlers: { methods: { large: () => large } } });
    const { client } = join(url(), { messageLimit: 100_000 });
    client.handle('large', () => large);
    await expect(client.call('large')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await expect(server.clients[0]?.call('large')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(() => server.clients[0]?.send('x', 'x'.repeat(100_000))).toThrow(expect.objectContaining({ limit: 100_000 }));
    expect(client.state.status).toBe('open');
  });
});

describe('a peer that sends garbage', () => {
  const ping = '{"type":"ping"}';
  it.each<[string, string, (string | Uint8Array)[]]>([
    ['what is not JSON', '', ['hello?']],
    ['a number', '', ['1']],
    ['an empty batch', HELLO, ['[]']],
    ['a batch of a million frames', HELLO, [`[${'{},'.repeat(80_000)}{}]`]],
    ['a frame before hello', '', [ping]],
    ['two hellos', HELLO, [HELLO]],
    ['a frame without a type', HELLO, ['{"name":"x"}']],
    ['a fractional id', HELLO, ['{"type":"request","id":1.5,"method":"x"}']],
    ['a negative id', HELLO, ['{"type":"request","id":-1,"method":"x"}']],
    ['a huge id', HELLO, ['{"type":"request","id":1e300,"method":"x"}']],
    ['an id twice', HELLO, ['{"type":"request","id":1,"method":"x"}', '{"type":"request","id":1,"method":"x"}']],
    ['binary without a separator', HELLO, [new Uint8Array([1, 2, 3])]],
    ['binary with a broken head', HELLO, [new Uint8Array([0xc0, 0xff, 1])]],
    ['nesting without end', HELLO, ['['.repeat(100_000)]],
  ])('namely %s, is closed with 4400, and others are unharmed', async (_, hello, messages) => {
    const { server, errors, url } = await startServer({ handlers: { methods: { echo: (params) => params } } });
    const { client, log } = join(url());
    await client.connect();
    const { ws, ended, frames } = await raw(url());
    if (hello) {
      ws.send(hello);
      await until(() => expect(frames[0]?.type).toBe('welcome'));
    }
    for (const message of messages) ws.send(message);
    expect((await ended)[0]).toBe(4400);
    expect(frames.at(-1)).toMatchObject({ type: 'bye', code: 4400, reconnect: false });
    expect(await client.call('echo', 'fine')).toBe('fine');
    expect(log).toEqual(['open']);
    await until(() => expect(server.connections).toBe(1));
    expect(errors).toEqual([]);
  });

  it('that is well-formed but odd is borne: unknown types, unknown keys, ids that are not there, deep data', async () => {
    const { errors, url } = await startServer({ handlers: { methods: { echo: (params) => params } } });
    const { ws, frames } = await raw(url(), { hello: true });
    await until(() => expect(frames[0]?.type).toBe('welcome'));
    for (const frame of ['{"type":"from the future","id":"x"}', '{"type":"cancel","id":99}', '{"type":"response","id":99}']) ws.send(frame);
    ws.send('[{"type":"event","name":"__proto__","data":{"__proto__":{"polluted":1}}},{"type":"event","name":"constructor","data":1}]');
    ws.send('{"type":"request","id":1,"method":"toString"}');
    ws.send(`{"type":"request","id":2,"method":"echo","params":${'['.repeat(500)}${']'.repeat(500)},"more":{"a":1}}`);
    await until(() => expect(frames).toHaveLength(3));
    expect(frames.slice(1)).toEqual([
      expect.objectContaining({ type: 'error', id: 1, error: expect.objectContaining({ code: 'UNIMPLEMENTED' }) }),
      expect.objectContaining({ type: 'response', id: 2 }),
    ]);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    expect(errors).toEqual([]);
  });
});

/** Whether it is an array of just these bytes: a comparison by value takes seconds for large ones. */
function isSame(data: unknown, bytes: Uint8Array): boolean {
  return data instanceof Uint8Array && Buffer.compare(data, bytes) === 0;
}
