/** What clients did to each other and to the server until it was stopped. */

import { describe, expect, it } from 'vitest';
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

describe('publishes of one client', () => {
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
    const { welcomed } = hosting({ authorize: () => new Promise(() => {}), limits: { calls: 2 } });
    const writer = await welcomed();
    await writer.says(...[1, 2, 3].map((data) => ({ type: 'publish', id: data, channel: 'a', data })));
    expect(writer.news()).toMatchObject([{ type: 'error', id: 3, error: { code: 'RESOURCE_EXHAUSTED' } }]);
  });
});

describe('hooks that are wrong', () => {
  it('a name that is no text is reported, and the message goes out without it', async () => {
    const { welcomed, errors } = hosting({ nameOf: () => 5 as never });
    const client = await welcomed();
    await client.says({ type: 'subscribe', id: 1, channel: 'a' }, { type: 'publish', id: 2, channel: 'a', data: 1 });
    expect(client.news()).toContainEqual({ type: 'message', channel: 'a', data: 1 });
    expect(errors).toEqual([expect.stringMatching(/nameOf returned 5/)]);
  });

  it('a close code that nobody may use is refused before anything happens', async () => {
    const { host, welcomed } = hosting();
    await welcomed();
    expect(() => host.clients[0]?.close(999)).toThrow(expect.objectContaining({ name: 'InvalidAccessError' }));
    expect(host.clients).toHaveLength(1);
  });

  it('an event without a handler is told', async () => {
    const unhandled: unknown[] = [];
    const { welcomed } = hosting({ onunhandled: (name, data) => unhandled.push([name, data]) });
    const client = await welcomed();
    await client.says({ type: 'event', name: 'constructor', data: 1 });
    expect(unhandled).toEqual([['constructor', 1]]);
  });
});
