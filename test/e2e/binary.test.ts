/** Every kind of message, sent at once and from the queue: intact, in order, and as it was when it was sent. */

import { beforeEach, describe, expect, it } from 'vitest';
import type { Data, ReconnectingWebSocket } from '../../src/index.ts';
import { connect, next, type Observed, seeded, serve, until } from '../support/e2e.ts';
import type { Running } from '../support/echo-server.ts';

/** 64 bytes, no two alike, so that a wrong offset or length shows. */
const bytes = () => Uint8Array.from({ length: 64 }, (_, i) => (i * 37) % 256);
const views = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;

interface Case {
  readonly name: string;
  readonly data: Data;
  /** What the server has to receive. */
  readonly wire: string | Buffer;
}

const text = (name: string, data: string, wire = data): Case => ({ name, data, wire });
const binary = (name: string, data: Data, wire: Uint8Array): Case => ({ name, data, wire: Buffer.from(wire) });

const cases: Case[] = [
  text('text', 'hello'),
  text('an empty text', ''),
  text('text of two, three and four bytes a character', 'ä€𝄞\u0000\u007f\u0080\u07ff\u0800\uffff\u{10ffff}'),
  text('lone surrogates', 'a\ud800b\udc00c\udc00\ud800', 'a\ufffdb\ufffdc\ufffd\ufffd'),
  text('1 MB of text', 'x'.repeat(1_024 * 1_024)),
  text('1 MB of text beyond ASCII', '€'.repeat(350_000)),
  binary('an ArrayBuffer', bytes().buffer, bytes()),
  binary('an empty ArrayBuffer', new ArrayBuffer(0), new Uint8Array(0)),
  ...views.map((View) =>
    binary(`a ${View.name} in the middle of its buffer`, new View(bytes().buffer, 16, 16 / View.BYTES_PER_ELEMENT), bytes().slice(16, 32)),
  ),
  ...views.map((View) => binary(`an empty ${View.name}`, new View(bytes().buffer, 16, 0), new Uint8Array(0))),
  binary('a DataView in the middle of its buffer', new DataView(bytes().buffer, 5, 7), bytes().slice(5, 12)),
  binary('a Buffer out of a pool', Buffer.from('pooled'), Buffer.from('pooled')),
  binary('a Blob', new Blob([bytes(), 'and text'], { type: 'image/png' }), Buffer.concat([bytes(), Buffer.from('and text')])),
  binary('an empty Blob', new Blob([]), new Uint8Array(0)),
  binary('a slice of a Blob', new Blob([bytes()]).slice(3, 9), bytes().slice(3, 9)),
  binary('1 MB of bytes', new Uint8Array(1_024 * 1_024).fill(7), new Uint8Array(1_024 * 1_024).fill(7)),
];

let server: Running;
beforeEach(async () => {
  server = await serve();
});

/** Open, with `arraybuffer` for what comes in. */
async function opened(options = {}): Promise<Observed> {
  const observed = connect(server.url(), options);
  observed.ws.binaryType = 'arraybuffer';
  await next(observed.ws, 'open');
  return observed;
}

function arrived(count: number): Promise<void> {
  return until(() => expect(server.echo.received).toHaveLength(count));
}

/** As the server would have received it. */
async function read(data: unknown): Promise<string | Buffer> {
  if (typeof data === 'string') return data;
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  if (data instanceof Blob) return Buffer.from(await data.arrayBuffer());
  throw new TypeError(`a message of an unknown kind: ${Object.prototype.toString.call(data)}`);
}

function same(a: string | Buffer | undefined, b: string | Buffer): boolean {
  return typeof a === 'string' || typeof b === 'string' ? a === b : a !== undefined && Buffer.compare(a, b) === 0;
}

describe('each kind of message', () => {
  it.each(cases)('$name: sent at once, and echoed', async ({ data, wire }) => {
    const { ws, messages } = await opened();
    ws.send(data);
    await arrived(1);
    expect(same(server.echo.received[0]?.data, wire)).toBe(true);
    await until(() => expect(messages).toHaveLength(1));
    expect(same(await read(messages[0]), wire)).toBe(true);
    expect(ws.bufferedAmount).toBe(0);
  });

  it.each(cases)('$name: kept in the queue, counted in UTF-8 bytes', async ({ data, wire }) => {
    const { ws } = connect(server.url());
    ws.send(data);
    expect(ws.bufferedAmount).toBe(typeof wire === 'string' ? Buffer.byteLength(wire) : wire.length);
    await arrived(1);
    expect(same(server.echo.received[0]?.data, wire)).toBe(true);
    await until(() => expect(ws.bufferedAmount).toBe(0));
  });
});

describe('200 messages of mixed kinds', () => {
  const random = seeded(11);
  const mixed = Array.from({ length: 200 }, (_, i): Case => {
    const wire = Buffer.from(`message ${i} ${'x'.repeat(random() * 3_000)}`);
    const copy = new Uint8Array(wire); // with a buffer of its own
    const kind = Math.floor(random() * 4);
    if (kind === 0) return text('', String(wire));
    return { name: '', data: kind === 1 ? copy.buffer : kind === 2 ? copy : new Blob([copy]), wire };
  });

  const inOrder = async (observed: Observed) => {
    await until(() => expect(observed.messages).toHaveLength(mixed.length));
    const wrong = (data: readonly (string | Buffer)[]) => mixed.findIndex(({ wire }, i) => !same(data[i], wire));
    expect(server.echo.received).toHaveLength(mixed.length);
    expect(wrong(server.echo.received.map(({ data }) => data))).toBe(-1);
    expect(wrong(await Promise.all(observed.messages.map(read)))).toBe(-1);
  };

  it('sent at once stay in order, a Blob included', async () => {
    const observed = await opened();
    for (const { data } of mixed) observed.ws.send(data);
    await inOrder(observed);
  });

  it('from the queue stay in order', async () => {
    const observed = connect(server.url());
    for (const { data } of mixed) observed.ws.send(data);
    await inOrder(observed);
  });

  it('half from the queue and half from an open listener stay in order', async () => {
    const observed = connect(server.url());
    for (const { data } of mixed.slice(0, 100)) observed.ws.send(data);
    observed.ws.addEventListener('open', () => {
      for (const { data } of mixed.slice(100)) observed.ws.send(data);
    });
    await inOrder(observed);
  });
});

describe('a buffer written to again after send()', () => {
  const overwrite = (ws: ReconnectingWebSocket) => {
    const buffer = bytes().buffer;
    const view = bytes();
    const dataView = new DataView(bytes().buffer, 8, 8);
    for (const data of [buffer, view, dataView]) ws.send(data);
    for (const target of [buffer, view.buffer, dataView.buffer]) new Uint8Array(target).fill(0);
  };
  const asSent = [Buffer.from(bytes()), Buffer.from(bytes()), Buffer.from(bytes().slice(8, 16))];

  it('changes nothing about what waits in the queue', async () => {
    const { ws } = connect(server.url());
    overwrite(ws);
    await arrived(3);
    expect(server.echo.received.map(({ data }) => data)).toEqual(asSent);
  });

  it('changes nothing about what was sent at once', async () => {
    const { ws } = await opened();
    overwrite(ws);
    await arrived(3);
    expect(server.echo.received.map(({ data }) => data)).toEqual(asSent);
  });

  it('may be given away altogether: the queue has its own copy', async () => {
    const { ws } = connect(server.url());
    const { buffer } = bytes();
    ws.send(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    expect(buffer.byteLength).toBe(0);
    await arrived(1);
    expect(server.echo.received[0]?.data).toEqual(Buffer.from(bytes()));
  });
});

describe('binaryType', () => {
  const kinds = (messages: unknown[]) => messages.map((data) => Object.prototype.toString.call(data).slice(8, -1));

  it('is "blob" at first, as native has it', async () => {
    const { ws, messages } = connect(server.url());
    expect(ws.binaryType).toBe('blob');
    ws.send(bytes());
    await next(ws, 'message');
    expect(kinds(messages)).toEqual(['Blob']);
    expect(await read(messages[0])).toEqual(Buffer.from(bytes()));
  });

  it('may be changed while open, and is kept across reconnects; text is text', async () => {
    const { ws, messages } = connect(server.url());
    await next(ws, 'open');
    ws.binaryType = 'arraybuffer';
    ws.send(bytes());
    await next(ws, 'message');
    server.echo.drop();
    await next(ws, 'open');
    ws.send(bytes());
    ws.send('text');
    await until(() => expect(messages).toHaveLength(3));
    ws.binaryType = 'blob';
    ws.reconnect();
    ws.send(bytes());
    await until(() => expect(messages).toHaveLength(4));
    expect(kinds(messages)).toEqual(['ArrayBuffer', 'ArrayBuffer', 'String', 'Blob']);
  });

  it('is what the handshake receives, too', async () => {
    const received: unknown[] = [];
    const { ws } = connect(server.url(), {
      handshake: async (socket) => {
        socket.send(bytes());
        received.push(await socket.receive());
      },
    });
    ws.binaryType = 'arraybuffer';
    await next(ws, 'open');
    expect(kinds(received)).toEqual(['ArrayBuffer']);
  });
});
