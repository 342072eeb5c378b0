/** The seam: the same client over another protocol, which can do nothing but events. */

import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Client } from '../../src/client.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import { UnsupportedError } from '../../src/errors.ts';
import { NO_CAPABILITIES } from '../../src/wire/protocol.ts';
import { FakeLifecycle } from '../support/face.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { FakeSocket } from '../support/fake-socket.ts';
import { plain } from '../support/plain-protocol.ts';

function plainClient(options: ClientOptions = {}) {
  const clock = new FakeClock();
  const page = new FakeLifecycle();
  const sockets: FakeSocket[] = [];
  const client = new Client('wss://example.test', {
    protocol: plain,
    clock,
    lifecycle: page,
    random: () => 0.5,
    backoff: () => 1_000,
    createSocket: (...args) => {
      const socket = new FakeSocket(...args);
      sockets.push(socket);
      return socket;
    },
    ...options,
  });
  const drops: string[] = [];
  client.addEventListener('drop', ({ kind, name, reason }) => void drops.push(`${kind} ${name} ${reason}`));
  const open = async () => {
    await settled();
    const socket = sockets.at(-1);
    if (!socket) throw new Error('no socket was made');
    socket.accepts('plain');
    await settled();
    return socket;
  };
  return { client, clock, page, sockets, drops, open };
}

describe('a client over a protocol without an opening', () => {
  it('is open as soon as its socket is, offers its subprotocol, and sends what waited, one by one', async () => {
    const { client, open } = plainClient();
    client.send('note', 1, { priority: -1 });
    client.send('note', { a: ['é'] });
    const socket = await open();
    expect(client.state.status).toBe('open');
    expect(client.capabilities).toEqual(NO_CAPABILITIES);
    expect(socket.protocols).toEqual(['plain']);
    client.send('note');
    await settled();
    expect(socket.sent).toEqual(['{"event":"note","data":{"a":["é"]}}', '{"event":"note","data":1}', '{"event":"note","data":null}']);
    expect(client.stats).toMatchObject({ sent: 3, messagesSent: 3, connections: 1 });
  });

  it('hears events, and says what nobody handles', async () => {
    const { client, open } = plainClient();
    const heard = vi.fn();
    const unhandled = vi.fn();
    client.on('note', heard);
    client.addEventListener('unhandled', ({ kind, name }) => unhandled(kind, name));
    const socket = await open();
    socket.says('{"event":"note","data":[1]}');
    socket.says('{"event":"other"}');
    expect(heard.mock.calls).toEqual([[[1]]]);
    expect(unhandled.mock.calls).toEqual([['event', 'other']]);
  });

  it('comes back after a loss, with what waited meanwhile', async () => {
    const { client, clock, open, sockets } = plainClient();
    const first = await open();
    first.fails();
    client.send('note', 'kept');
    await clock.advance(1_000);
    const second = await open();
    expect(sockets).toEqual([first, second]);
    expect(second.sent).toEqual(['{"event":"note","data":"kept"}']);
  });

  it('asks for no sign of life, whatever the time and whoever wakes up', async () => {
    const { client, clock, page, open } = plainClient();
    const socket = await open();
    await clock.advance(3_600_000);
    page.says('visible');
    await clock.advance(60_000);
    expect(socket.sent).toEqual([]);
    expect(client.state.status).toBe('open');
    expect(clock.pending).toBe(0);
  });

  it('closes without the goodbye that it has no word for', async () => {
    const { client, open } = plainClient();
    const socket = await open();
    client.send('note', 'last');
    const closed = client.close({ code: 3_000 });
    expect(socket.sent).toEqual(['{"event":"note","data":"last"}']);
    socket.closed(3_000);
    await closed;
    expect(client.state).toMatchObject({ status: 'closed', code: 3_000 });
  });

  it('judges by the table of its protocol: its own final code, and none of the other', async () => {
    const { client, clock, open } = plainClient();
    for (const code of [4_401, 4_400, 4_800, 4_409]) {
      (await open()).closed(code);
      expect(client.state.status).toBe('waiting');
      await clock.advance(1_000);
    }
    (await open()).closed(4_999);
    expect(client.state).toMatchObject({ status: 'closed', cause: 'refused', code: 4_999 });
  });

  it('takes what it cannot read for a violation: three in a row are final', async () => {
    const { client, clock, open } = plainClient();
    const errors: unknown[] = [];
    client.addEventListener('error', ({ error }) => void errors.push(error));
    for (const nonsense of ['{', 'null', '[]']) {
      const socket = await open();
      socket.says(nonsense);
      expect(socket.closes.at(0)?.[0]).toBe(4_003);
      await clock.advance(1_000);
    }
    expect(client.state).toMatchObject({ status: 'closed', cause: 'refused', code: 4_003 });
    expect(errors).toMatchObject(Array(3).fill({ code: 'PROTOCOL_VIOLATION' }));
  });
});

describe('a protocol that fails', () => {
  it('at saying what an ending means is reported, and another attempt follows', async () => {
    const report = vi.spyOn(console, 'error').mockImplementation(() => {});
    onTestFinished(() => report.mockRestore());
    const classify = () => {
      throw new Error('no idea');
    };
    const { client, clock, sockets, open } = plainClient({ protocol: { ...plain, classify } });
    (await open()).closed();
    expect(client.state).toMatchObject({ status: 'waiting', cause: { code: 1_006 } });
    await clock.advance(1_000);
    expect(sockets).toHaveLength(2);
    expect(report).toHaveBeenCalledWith(expect.objectContaining({ message: 'no idea' }));
  });
});

describe('what the protocol does not offer', () => {
  const everyState = ['before the first connection', 'on an open one'];

  it.each(everyState)('is an UnsupportedError where it is asked for, %s', async (when) => {
    const { client, clock, drops, open } = plainClient();
    const socket = when === 'on an open one' ? await open() : undefined;
    const channel = client.channel('room');
    await expect(client.call('add')).rejects.toBeInstanceOf(UnsupportedError);
    expect(() => channel.publish('x')).toThrow(UnsupportedError);
    expect(() => client.send('note', new Uint8Array([1]))).toThrow(UnsupportedError);
    const subscribed = channel.subscribe();
    const settledReady = subscribed.ready.catch((error: unknown) => error);
    const later = socket ?? (await open());
    await clock.advance(60_000);
    expect(await Promise.race([settledReady, settled()])).toBeInstanceOf(UnsupportedError);
    expect(channel.state.status).toBe('failed');
    expect(later.sent).toEqual([]);
    expect(client.state.status).toBe('open');
    expect(drops).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('ends a loop over a channel with the same error', async () => {
    const { client, clock, open } = plainClient();
    await open();
    const next = client
      .channel('room')
      [Symbol.asyncIterator]()
      .next()
      .catch((error: unknown) => error);
    await clock.advance(60_000);
    expect(await Promise.race([next, settled()])).toBeInstanceOf(UnsupportedError);
  });

  it('rejects the confirmation of an event, which is sent all the same', async () => {
    const { client, open } = plainClient();
    const receipt = client.send('note', 1);
    const socket = await open();
    await expect(receipt.acknowledged).rejects.toBeInstanceOf(UnsupportedError);
    expect(receipt.status).toBe('sent');
    expect(socket.sent).toHaveLength(1);
  });

  it('drops a call that waited for a server that turns out to have none', async () => {
    const capabilities = { ...NO_CAPABILITIES, calls: true };
    const opened = { capabilities: NO_CAPABILITIES, limit: Infinity, subscriptions: [], resumed: false };
    const { client, open } = plainClient({ protocol: { ...plain, capabilities, open: async () => opened } });
    const call = client.call('add');
    const socket = await open();
    await expect(call).rejects.toBeInstanceOf(UnsupportedError);
    expect(socket.sent).toEqual([]);
    expect(client.stats.pendingCalls).toBe(0);
  });
});
