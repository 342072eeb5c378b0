/** The fault proxy's faults, each proven on bare TCP and, where it shows, on a WebSocket: the survival tests stand on them. */

import { createServer, connect as dial, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket as WS } from 'ws';
import { once, serveBehindProxy, until } from '../support/e2e.ts';
import { FaultProxy } from '../support/fault-proxy.ts';

/** One end of a connection: what it got, in order, and how it ended. */
interface End {
  readonly socket: Socket;
  text: string;
  bytes: number;
  readonly log: string[];
}

function end(socket: Socket): End {
  const it: End = { socket, text: '', bytes: 0, log: [] };
  socket.on('data', (chunk) => {
    it.bytes += chunk.length;
    if (it.bytes < 1_000) it.text += String(chunk);
  });
  socket.on('end', () => it.log.push('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => it.log.push(error.code ?? error.message));
  socket.on('close', () => it.log.push('close'));
  onTestFinished(() => void socket.destroy());
  return it;
}

/** A proxy in front of a TCP server, and a way to connect through it to both ends. */
async function wire() {
  const accepted: End[] = [];
  const target = createServer((socket) => accepted.push(end(socket)));
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const address = target.address();
  if (typeof address !== 'object' || !address) throw new Error('a TCP server has an address');
  const proxy = await FaultProxy.start(address.port);
  onTestFinished(async () => {
    await proxy.stop();
    await new Promise((resolve) => target.close(resolve));
  });
  const open = async () => {
    const client = end(dial(proxy.port, '127.0.0.1'));
    const count = accepted.length + 1;
    await once(client.socket, 'connect');
    const server = await until(() => {
      expect(accepted.length).toBe(count);
      return accepted.at(-1) as End;
    });
    return { client, server };
  };
  return { proxy, open };
}

describe('without a fault', () => {
  it('passes bytes both ways, in order, and the end of the stream', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    for (const part of ['a', 'b', 'c']) client.socket.write(part);
    server.socket.write('down');
    await until(() => expect([server.text, client.text]).toEqual(['abc', 'down']));
    expect(proxy).toMatchObject({ accepted: 1, open: 1 });
    client.socket.end('last');
    await until(() => expect(server.log).toEqual(['end', 'close']));
    expect(server.text).toBe('abclast');
    await until(() => expect(client.log).toEqual(['end', 'close']));
    await until(() => expect(proxy.open).toBe(0));
  });

  it('passes a closing handshake of a WebSocket', async () => {
    const { proxy, echo } = await serveBehindProxy();
    const socket = new WS(proxy.url());
    await once(socket, 'open');
    socket.close(4000, 'bye');
    expect(await once(socket, 'close')).toEqual([4000, Buffer.from('bye')]);
    await until(() => expect(echo.ended).toEqual([{ code: 4000, reason: 'bye' }]));
  });
});

describe('cut', () => {
  it('fin ends the stream politely on both sides', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy.cut('fin');
    await until(() =>
      expect([client.log, server.log]).toEqual([
        ['end', 'close'],
        ['end', 'close'],
      ]),
    );
    await until(() => expect(proxy.open).toBe(0));
  });

  it('rst resets the connection of the client', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy.cut('rst');
    await until(() => expect(client.log).toEqual(['ECONNRESET', 'close']));
    await until(() => expect(server.log.at(-1)).toBe('close'));
    expect(proxy.open).toBe(0);
  });

  it('lets new connections through', async () => {
    const { proxy, open } = await wire();
    await open();
    proxy.cut();
    const { client, server } = await open();
    client.socket.write('new');
    await until(() => expect(server.text).toBe('new'));
    expect(proxy.accepted).toBe(2);
  });
});

describe('refuse', () => {
  it('has the system refuse new connections, keeps those there are, and accepts again on the same port', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    const { port } = proxy;
    await proxy.refuse();
    const refused = end(dial(port, '127.0.0.1'));
    await until(() => expect(refused.log).toEqual(['ECONNREFUSED', 'close']));
    client.socket.write('still here');
    await until(() => expect(server.text).toBe('still here'));
    await proxy.accept();
    expect(proxy.port).toBe(port);
    await open();
    expect(proxy.accepted).toBe(2);
  });
});

describe('stall', () => {
  it('reads nothing, so that the sender is left with what it wants to send, and goes on with every byte', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy.up = 'stall';
    const size = 32 * 1_024 * 1_024; // more than the system's buffers hold
    client.socket.write(Buffer.alloc(size));
    server.socket.write('the other way is free');
    await until(() => expect(client.text).toBe('the other way is free'));
    expect(client.socket.writableLength).toBeGreaterThan(0);
    expect(server.bytes).toBe(0);
    proxy.up = 'pass';
    await until(() => expect(server.bytes).toBe(size));
  });

  it('works downwards too', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy.down = 'stall';
    server.socket.write('held');
    client.socket.write('up');
    await until(() => expect(server.text).toBe('up'));
    expect(client.text).toBe('');
    proxy.down = 'pass';
    await until(() => expect(client.text).toBe('held'));
  });
});

describe('delay', () => {
  it('holds every chunk back, both ways, and keeps the order, also when it is taken away meanwhile', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy.delay = 30;
    const parts = Array.from({ length: 10 }, (_, i) => `${i}`);
    const started = performance.now();
    client.socket.write(parts[0] ?? '');
    await until(() => expect(server.text).toBe('0'));
    expect(performance.now() - started).toBeGreaterThan(28);
    for (const part of parts.slice(1, 5)) client.socket.write(part);
    server.socket.write('down');
    proxy.delay = 0;
    for (const part of parts.slice(5)) client.socket.write(part);
    await until(() => expect([server.text, client.text]).toEqual([parts.join(''), 'down']));
  });

  it('holds the end of the stream back behind the bytes before it', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy.delay = 30;
    client.socket.end('last words');
    await until(() => expect(server.log[0]).toBe('end'));
    expect(server.text).toBe('last words');
  });
});

describe('hole', () => {
  it.each([
    ['up', { server: '', client: 'down' }],
    ['down', { server: 'up', client: '' }],
  ] as const)('%s swallows that way and passes the other', async (way, expected) => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy[way] = 'hole';
    client.socket.write('up');
    server.socket.write('down');
    await until(() => expect({ server: server.text, client: client.text }).toEqual(expected));
    // What was swallowed does not come back; what is sent later arrives after it would have.
    proxy[way] = 'pass';
    client.socket.write('!');
    server.socket.write('!');
    await until(() =>
      expect({ server: server.text, client: client.text }).toEqual({ server: `${expected.server}!`, client: `${expected.client}!` }),
    );
    expect([client.log, server.log]).toEqual([[], []]);
  });

  it('of the connections there are leaves new ones alone', async () => {
    const { proxy, open } = await wire();
    const old = await open();
    proxy.hole();
    const fresh = await open();
    old.client.socket.write('lost');
    old.server.socket.write('lost');
    fresh.client.socket.write('up');
    fresh.server.socket.write('down');
    await until(() => expect([fresh.server.text, fresh.client.text]).toEqual(['up', 'down']));
    expect([old.server.text, old.client.text]).toEqual(['', '']);
  });

  it('swallows the end of the stream too, until the connection is cut', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy.hole();
    client.socket.destroy();
    const { client: witness, server: other } = await open();
    witness.socket.end('later');
    await until(() => expect(other.log).toEqual(['end', 'close']));
    expect(server.log).toEqual([]);
    expect(proxy.open).toBeGreaterThanOrEqual(1);
    proxy.cut();
    await until(() => expect(server.log.at(-1)).toBe('close'));
  });
});

describe('rate', () => {
  it('lets bytes up slowly, each of them, while the sender still holds the rest', async () => {
    const { proxy, open } = await wire();
    const { client, server } = await open();
    proxy.rate = 32 * 1_024 * 1_024;
    const size = 16 * 1_024 * 1_024;
    const started = performance.now();
    client.socket.write(Buffer.alloc(size));
    await until(() => expect(server.bytes).toBeGreaterThan(0));
    expect(server.bytes).toBeLessThan(size);
    await until(() => expect(server.bytes).toBe(size));
    expect(performance.now() - started).toBeGreaterThan(400); // nominally 500; unhindered it takes a tenth of that
  });
});
