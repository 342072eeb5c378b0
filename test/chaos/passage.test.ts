/** What the fault proxy does at a byte position, on bare TCP: the chaos stands on it. */

import { createServer, connect as dial, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/e2e.ts';
import { type End, FaultProxy, type Passage } from '../support/fault-proxy.ts';

interface Side {
  readonly socket: Socket;
  text: string;
  readonly log: string[];
}

function side(socket: Socket): Side {
  const it: Side = { socket, text: '', log: [] };
  socket.on('data', (chunk) => {
    it.text += String(chunk);
  });
  socket.on('end', () => it.log.push('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => it.log.push(error.code ?? error.message));
  socket.on('close', () => it.log.push('close'));
  onTestFinished(() => void socket.destroy());
  return it;
}

/** Both ends of a connection through a proxy, and the connection as the proxy knows it. */
async function wire() {
  const accepted: Side[] = [];
  const target = createServer((socket) => accepted.push(side(socket)));
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const address = target.address();
  if (typeof address !== 'object' || !address) throw new Error('a TCP server has an address');
  const proxy = await FaultProxy.start(address.port);
  onTestFinished(async () => {
    await proxy.stop();
    await new Promise((resolve) => target.close(resolve));
  });
  const passages: Passage[] = [];
  proxy.onpassage = (passage) => passages.push(passage);
  const client = side(dial(proxy.port, '127.0.0.1'));
  const [passage, server] = await until(() => {
    expect([passages.length, accepted.length]).toEqual([1, 1]);
    return [passages[0] as Passage, accepted[0] as Side];
  });
  return { proxy, passage, client, server };
}

const HEARD: Record<End, string[]> = { fin: ['end', 'close'], rst: ['ECONNRESET', 'close'] };
const ENDS: readonly [End, End][] = [
  ['fin', 'fin'],
  ['fin', 'rst'],
  ['rst', 'fin'],
  ['rst', 'rst'],
];

describe('a cut at a byte position', () => {
  it.each(ENDS)('lets only the part before it through, then tells the client by %s and the server by %s', async (toClient, toServer) => {
    const { proxy, passage, client, server } = await wire();
    const met: string[] = [];
    passage.onover = () => met.push('over');
    passage.after(7, 'up', { kind: 'cut', client: toClient, server: toServer }, () => met.push('met'));
    client.socket.write('1234');
    await until(() => expect(server.text).toBe('1234'));
    client.socket.write('5678901234');
    await until(() => expect(client.log).toEqual(HEARD[toClient]));
    // Right behind data Node tells of a reset as of an end.
    await until(() => expect(server.log.at(-1)).toBe('close'));
    expect(server.text).toBe('1234567');
    expect(met).toEqual(['met', 'over']);
    expect(passage).toMatchObject({ isOver: true, passed: { up: 7, down: 0 } });
    await until(() => expect(proxy.open).toBe(0));
  });

  it.each(ENDS)('works downwards too, and tells the client by %s and the server by %s', async (toClient, toServer) => {
    const { passage, client, server } = await wire();
    passage.after(3, 'down', { kind: 'cut', client: toClient, server: toServer });
    server.socket.write('12345');
    await until(() => expect(server.log).toEqual(HEARD[toServer]));
    await until(() => expect(client.log.at(-1)).toBe('close'));
    expect(client.text).toBe('123');
  });

  it('counts from now on, one way, to the very end of a chunk', async () => {
    const { passage, client, server } = await wire();
    client.socket.write('before');
    server.socket.write('before');
    await until(() => expect([server.text, client.text]).toEqual(['before', 'before']));
    passage.after(3, 'down', { kind: 'cut', client: 'fin', server: 'fin' });
    client.socket.write('the other way');
    await until(() => expect(server.text).toBe('beforethe other way'));
    server.socket.write('123');
    await until(() => expect(client.log).toEqual(['end', 'close']));
    expect(client.text).toBe('before123');
  });

  it('hears of every byte that passes, and of none after it', async () => {
    const { passage, client, server } = await wire();
    let heard = '';
    passage.onbytes = (way, chunk) => {
      heard += `${way} ${chunk};`;
    };
    passage.after(2, 'up', { kind: 'cut', client: 'fin', server: 'fin' });
    client.socket.write('abc');
    await until(() => expect(server.log).toEqual(['end', 'close']));
    expect(heard).toBe('up ab;');
  });

  it('comes in its turn where chunks are held back', async () => {
    const { proxy, passage, client, server } = await wire();
    proxy.delay = 20;
    passage.after(5, 'up', { kind: 'cut', client: 'rst', server: 'fin' });
    client.socket.write('abc');
    client.socket.write('def');
    await until(() => expect(server.log).toEqual(['end', 'close']));
    expect(server.text).toBe('abcde');
  });
});

describe('a hole at a byte position', () => {
  it('swallows what follows, in the ways named, and keeps both sides open', async () => {
    const { passage, client, server } = await wire();
    const met = new Promise<void>((resolve) => passage.after(4, 'up', { kind: 'hole', ways: ['down'] }, resolve));
    client.socket.write('12345');
    await met;
    server.socket.write('swallowed');
    client.socket.write('6');
    await until(() => expect(server.text).toBe('123456'));
    expect(client.text).toBe('');
    expect([client.log, server.log, passage.isOver]).toEqual([[], [], false]);
  });

  it('may begin in the middle of a chunk', async () => {
    const { passage, client, server } = await wire();
    const met = new Promise<void>((resolve) => passage.after(4, 'up', { kind: 'hole', ways: ['up'] }, resolve));
    client.socket.write('123456');
    await met;
    server.socket.write('free');
    await until(() => expect([server.text, client.text]).toEqual(['1234', 'free']));
  });

  it('is over when the proxy ends it', async () => {
    const { proxy, passage, client } = await wire();
    const met = new Promise<void>((resolve) => passage.after(1, 'up', { kind: 'hole', ways: ['up', 'down'] }, resolve));
    client.socket.write('1');
    await met;
    const over = new Promise<void>((resolve) => {
      passage.onover = resolve;
    });
    proxy.cut();
    await over;
  });
});

describe('a stall at a byte position', () => {
  it('holds what follows that way until it goes on, with every byte', async () => {
    const { passage, client, server } = await wire();
    const met = new Promise<void>((resolve) => passage.after(4, 'up', { kind: 'stall' }, resolve));
    client.socket.write('123456');
    await met;
    client.socket.write('78');
    server.socket.write('free');
    await until(() => expect([server.text, client.text]).toEqual(['1234', 'free']));
    passage.resume();
    await until(() => expect(server.text).toBe('12345678'));
  });

  it('may be followed by a cut, which comes at its own byte', async () => {
    const { passage, client, server } = await wire();
    const met = new Promise<void>((resolve) => passage.after(4, 'up', { kind: 'stall' }, resolve));
    client.socket.write('123456');
    await met;
    passage.after(1, 'up', { kind: 'cut', client: 'fin', server: 'fin' });
    passage.resume();
    await until(() => expect(server.log).toEqual(['end', 'close']));
    expect(server.text).toBe('12345');
  });
});
