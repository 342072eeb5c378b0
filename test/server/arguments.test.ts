/** Arguments of a server that would break the protocol, or a timer: a TypeError that names them, and nobody is disturbed. */

import { describe, expect, it, vi } from 'vitest';
import { Host } from '../../src/server/host.ts';
import { hosting } from '../support/hosting.ts';

const odd = [undefined, null, 5, {}] as never[];
const waits = [-1, Number.NaN, '5', Infinity, 2 ** 53] as never[];

describe('a server', () => {
  it('takes names that are texts, and no others', async () => {
    const { host, welcomed } = hosting();
    const peer = await welcomed();
    const [client] = host.clients;
    for (const name of odd) {
      expect(() => host.broadcast(name), String(name)).toThrow('broadcast() takes a name first');
      expect(() => host.publish(name, 1), String(name)).toThrow('publish() takes a name first');
      expect(() => client?.send(name), String(name)).toThrow('send() takes a name first');
      await expect(client?.call(name), String(name)).rejects.toThrow('call() takes a name first');
    }
    expect(peer.closes).toEqual([]);
  });

  it('takes times that a timer can hold, and no others', async () => {
    const { host, welcomed } = hosting();
    await welcomed();
    const [client] = host.clients;
    for (const ms of waits) {
      expect(() => client?.close(4_600, 'x', ms), String(ms)).toThrow('Option "retryAfter" got');
      expect(() => host.close({ drain: ms }), String(ms)).toThrow('Option "drain" got');
      expect(() => host.close({ retryAfter: ms }), String(ms)).toThrow('Option "retryAfter" got');
    }
    for (const ms of [0, -1, Number.NaN, '5'] as never[])
      await expect(client?.call('x', null, { timeout: ms }), String(ms)).rejects.toThrow('Option "timeout" got');
    expect([host.isDraining, host.clients.length]).toEqual([false, 1]);
  });

  it.each([[null], ['proto'], [5], [[]]] as never[][])('takes no %j for its options', (options) => {
    expect(() => new Host(options)).toThrow('Option "options" got');
  });

  it('reports an onerror that rejects, and is not ended by it', async () => {
    const report = vi.spyOn(console, 'error').mockImplementation(() => {});
    const host = new Host({ onerror: (async () => Promise.reject(new Error('mine'))) as never, nameOf: () => 5 as never });
    host.broadcast('a');
    const closed = () => {};
    const port = host.accept(
      { bufferedAmount: 0, send: () => {}, close: closed, terminate: closed },
      { url: '/', headers: {}, address: '' },
    );
    port.receive('{"type":"hello","version":1,"features":["channels"],"limits":{"message":65536,"window":256},"attempt":0}');
    await vi.waitFor(() => expect(host.clients).toHaveLength(1));
    port.receive('{"type":"publish","channel":"a","data":1}');
    await vi.waitFor(() => expect(report).toHaveBeenCalledTimes(2));
    report.mockRestore();
  });
});
