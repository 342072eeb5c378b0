/** What clients did to each other and to the server until it was stopped. */

import { describe, expect, it, vi } from 'vitest';
import { CallError } from '../../src/errors.ts';
import { settled } from '../support/fake-clock.ts';
import { hosting, types } from '../support/hosting.ts';

describe('a message that grows on its way', () => {
  it.each([
    ['by the name of its sender', 'x'.repeat(2_000 - '{"type":"publish","id":1,"channel":"a","data":""}'.length)],
    ['because numbers are longer when they are written again', Array.from({ length: 300 }, () => 1e20)],
  ])('%s is refused to its sender, and takes the channel from nobody', async (_, data) => {
    const { welcomed } = hosting({ limits: { message: 2_000 }, nameOf: () => 'somebody' });
    const [reader, writer] = [await welcomed(), await welcomed()];
    await reader.says({ type: 'subscribe', id: 1, channel: 'a' });
    reader.news();
    await writer.says(JSON.stringify({ type: 'publish', id: 1, channel: 'a', data }).replaceAll('100000000000000000000', '1e20'));
    expect(writer.news()).toMatchObject([{ type: 'error', error: { code: 'RESOURCE_EXHAUSTED' } }]);
    await writer.says({ type: 'publish', id: 2, channel: 'a', data: 1 });
    expect(types(reader.news())).toEqual(['message']);
  });
});

describe('a message nested more deeply than it can be written again', () => {
  it('is refused to its sender, and ends nothing', async () => {
    const { welcomed, errors } = hosting();
    const client = await welcomed();
    const data = `${'['.repeat(12_000)}${']'.repeat(12_000)}`;
    await client.says(`{"type":"publish","id":1,"channel":"a","data":${data}}`);
    expect(client.news()).toMatchObject([{ type: 'error', id: 1, error: { code: 'INVALID_ARGUMENT' } }]);
    expect([client.closes, errors]).toEqual([[], []]);
  });
});

describe('publishes of one client', () => {
  it('are as many as it likes, where nothing has to be waited for', async () => {
    const { welcomed } = hosting({ authorize: () => true, limits: { calls: 1 } });
    const client = await welcomed();
    for (let id = 1; id <= 3_000; id++) client.port.receive(JSON.stringify({ type: 'publish', id, channel: 'a', data: id }));
    await settled();
    expect(new Set(types(client.news()))).toEqual(new Set(['response']));
  });
  it('arrive in their order, however long each takes to be authorized', async () => {
    const decisions: ((allow: boolean) => void)[] = [];
    const authorize = ({ action }: { action: string }) =>
      action === 'subscribe' || new Promise<boolean>((resolve) => decisions.push(resolve));
    const { welcomed } = hosting({ authorize });
    const [reader, writer] = [await welcomed(), await welcomed()];
    await reader.says({ type: 'subscribe', id: 1, channel: 'a' });
    reader.news();
    await writer.says(...[1, 2, 3].map((data) => ({ type: 'publish', id: data, channel: 'a', data })));
    decisions[2]?.(true);
    decisions[1]?.(false);
    await settled();
    expect(reader.news()).toEqual([]);
    decisions[0]?.(true);
    await settled();
    expect(reader.news().map(({ data }) => data)).toEqual([1, 3]);
    expect(types(writer.news())).toEqual(['response', 'error', 'response']);
  });

  it('that wait to be authorized are bounded', async () => {
    const { welcomed } = hosting({ authorize: () => new Promise(() => {}), limits: { buffered: 150 } });
    const writer = await welcomed();
    await writer.says(...[1, 2, 3].map((data) => ({ type: 'publish', id: data, channel: 'a', data })));
    expect(writer.news()).toMatchObject([{ type: 'error', id: 3, error: { code: 'RESOURCE_EXHAUSTED' } }]);
  });
});

describe('what takes a place', () => {
  it('is a handler for as long as it runs, cancelled or not', async () => {
    let running = 0;
    const { welcomed } = hosting({ limits: { calls: 3 }, handlers: { methods: { hang: () => new Promise(() => running++) } } });
    const client = await welcomed();
    for (let id = 1; id <= 10; id++) await client.says({ type: 'request', id, method: 'hang' }, { type: 'cancel', id });
    expect(running).toBe(3);
    expect(client.news().map(({ error }) => (error as { code: string }).code)).toEqual([
      ...Array(3).fill('CANCELLED'),
      ...Array(7).fill('RESOURCE_EXHAUSTED'),
    ]);
  });

  it('is a subscription that waits to be authorized, of the same channel too', async () => {
    let asked = 0;
    const { welcomed } = hosting({ limits: { subscriptions: 3 }, authorize: () => new Promise(() => asked++) });
    const client = await welcomed();
    for (let id = 1; id <= 10; id++) await client.says({ type: 'subscribe', id, channel: 'a' });
    expect(asked).toBe(6); // twice, since what a welcome did not wait for is asked for again
    expect(types(client.news())).toEqual(Array(4).fill('error'));
  });

  it('is not somebody who was turned away and does not go', async () => {
    const { connect, welcomed, host } = hosting({ limits: { connections: 2, connectionsPerAddress: 1 } });
    await welcomed({}, 'a');
    for (let i = 0; i < 5; i++) {
      const mute = connect('a');
      mute.reach.answersClose = false;
      expect(mute.closes).toEqual([4429]);
    }
    await welcomed({}, 'b');
    expect(host.connections).toBe(2);
  });

  it('is no name without end', async () => {
    const { welcomed } = hosting();
    const client = await welcomed();
    await client.says({ type: 'subscribe', id: 1, channel: 'x'.repeat(1_025) });
    expect(client.news()).toMatchObject([{ type: 'error', error: { code: 'INVALID_ARGUMENT' } }]);
  });
});

describe('a client that is being closed', () => {
  it('is subscribed to nothing any more, and nothing is kept for it', async () => {
    const { host, welcomed } = hosting();
    const client = await welcomed();
    await client.says({ type: 'subscribe', id: 1, channel: 'a' });
    client.reach.answersClose = false;
    host.clients[0]?.close(4600);
    client.news();
    expect(host.publish('a', 1)).toBe(0);
    await settled();
    expect(client.news()).toEqual([]);
  });

  it('by a connection that cannot even be closed is given up', async () => {
    const { host, welcomed, clock } = hosting();
    const client = await welcomed();
    client.reach.failsToClose = true;
    host.clients[0]?.close(4600);
    expect([client.reach.terminated, host.connections, clock.pending]).toEqual([true, 0, 0]);
  });

  it('with the server is waited for; those who come meanwhile are not', async () => {
    const { host, connect, welcomed, clock } = hosting();
    const slow = await welcomed();
    slow.reach.answersClose = false;
    let isClosed = false;
    void host.close().then(() => {
      isClosed = true;
    });
    for (let i = 0; i < 5; i++) {
      connect().reach.answersClose = false;
      await clock.advance(500);
    }
    expect(isClosed).toBe(true);
  });
});

describe('a client that has said goodbye for good', () => {
  it('is subscribed to nothing any more, and cannot be again: the server does not know it', async () => {
    const { host, welcomed } = hosting();
    const client = await welcomed({ features: ['channels', 'resume'] });
    await client.says({ type: 'subscribe', id: 1, channel: 'a' });
    await client.says({ type: 'bye', code: 1_000, reconnect: false, resume: false });
    expect([host.clients, host.publish('a', 1)]).toEqual([[], 0]);
    await client.says({ type: 'subscribe', id: 2, channel: 'a' });
    expect([host.clients, host.publish('a', 2)]).toEqual([[], 0]);
  });
});

describe('a field that means something elsewhere', () => {
  it('means nothing in a frame that does not have it: an event acknowledges nothing', async () => {
    const got: unknown[] = [];
    const { welcomed } = hosting({ handlers: { events: { note: (data) => void got.push(data) } } });
    const client = await welcomed({ features: ['resume'] });
    await client.says({ type: 'event', name: 'note', data: 1, seq: 1, received: 99 });
    expect([got, client.closes]).toEqual([[1], []]);
  });
});

describe('a second subscribe', () => {
  it('replaces the first, also when it is refused', async () => {
    const answers = [true, false];
    const { host, welcomed } = hosting({ authorize: () => answers.shift() === true });
    const client = await welcomed();
    await client.says({ type: 'subscribe', id: 1, channel: 'a' });
    expect(host.publish('a', 1)).toBe(1);
    await client.says({ type: 'subscribe', id: 2, channel: 'a' });
    expect(host.publish('a', 2)).toBe(0);
    expect(types(client.news())).toEqual(['response', 'message', 'error']);
  });
});

describe('settings that the wire cannot carry', () => {
  it.each([
    { limits: { message: Infinity } },
    { limits: { message: 2_000.5 } },
    { heartbeat: { interval: 100.5 } },
    { heartbeat: { timeout: Infinity } },
  ])('are refused: %j', (options) => {
    expect(() => hosting(options)).toThrow(TypeError);
  });

  it('and times that no timer can hold are the longest ones', async () => {
    const { connect, clock } = hosting({ helloTimeout: Infinity });
    const client = connect();
    await clock.advance(1_000_000);
    expect(client.closes).toEqual([]);
  });
});

describe('hooks that are wrong', () => {
  it('a permission that is a thenable is waited for, not taken for a yes', async () => {
    // What some query builders are: no Promise, but something to await.
    // biome-ignore lint/suspicious/noThenProperty: that is what is tested
    const authorize = () => ({ then: (resolve: (allowed: boolean) => void) => resolve(false) }) as never;
    const { welcomed } = hosting({ authorize });
    const client = await welcomed();
    await client.says({ type: 'subscribe', id: 1, channel: 'a' }, { type: 'publish', id: 2, channel: 'a', data: 1 });
    expect(client.news().map(({ error }) => (error as { code: string }).code)).toEqual(['PERMISSION_DENIED', 'PERMISSION_DENIED']);
  });

  it('a name that is no text is reported, and the message goes out without it', async () => {
    const { welcomed, errors } = hosting({ nameOf: () => 5 as never });
    const client = await welcomed();
    await client.says({ type: 'subscribe', id: 1, channel: 'a' }, { type: 'publish', id: 2, channel: 'a', data: 1 });
    expect(client.news()).toContainEqual({ type: 'message', channel: 'a', data: 1, offset: 1 });
    expect(errors).toEqual([expect.stringMatching(/nameOf returned 5/)]);
  });

  it('a close code that nobody may use is refused before anything happens', async () => {
    const { host, welcomed } = hosting();
    await welcomed();
    expect(() => host.clients[0]?.close(999)).toThrow(expect.objectContaining({ name: 'InvalidAccessError' }));
    expect(host.clients).toHaveLength(1);
  });

  it('an error code that is no text becomes one', async () => {
    const fail = () => {
      throw new CallError(5 as never, undefined, { retryAfter: 'soon' as never });
    };
    const { welcomed } = hosting({ handlers: { methods: { fail } } });
    const client = await welcomed();
    await client.says({ type: 'request', id: 1, method: 'fail' });
    expect(client.news()).toEqual([{ type: 'error', id: 1, error: { code: 'INTERNAL', message: '5' } }]);
  });

  it('onerror that fails ends nothing', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
    const onerror = () => {
      throw new Error('no reporter');
    };
    const { welcomed } = hosting({ onerror, handlers: { events: { note: () => Promise.reject(new Error('no')) } } });
    const client = await welcomed();
    await client.says({ type: 'event', name: 'note', data: 1 });
    expect(logged).toHaveBeenCalledTimes(2);
    expect(client.closes).toEqual([]);
    logged.mockRestore();
  });

  it('an event without a handler is told', async () => {
    const unhandled: unknown[] = [];
    const { welcomed } = hosting({ onunhandled: (name, data) => unhandled.push([name, data]) });
    const client = await welcomed();
    await client.says({ type: 'event', name: 'constructor', data: 1 });
    expect(unhandled).toEqual([['constructor', 1]]);
  });
});
