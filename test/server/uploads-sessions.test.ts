/** Uploads in sessions, of clients by hand that come back: what is handled once, what comes again, and what is over. */

import { describe, expect, it } from 'vitest';
import { settled } from '../support/fake-clock.ts';
import { asking, SESSION_HELLO, sessionHost } from '../support/session-host.ts';
import { upTo } from '../support/streams.ts';
import { led, storing } from '../support/uploads.ts';

const request = (id: number) => ({ type: 'request', id, method: 'hold', upload: true });
const chunk = (id: number, data: unknown) => ({ type: 'chunk', id, data });
const finish = (id: number) => ({ type: 'finish', id });
const settle = async () => {
  for (let i = 0; i < 10; i++) await settled();
};

describe('a session', () => {
  const numbered = (seq: number, frame: object) => ({ ...frame, seq });
  const features = { features: [...SESSION_HELLO.features, 'uploads'] };

  it('that goes on on another connection goes on with its uploads: nothing is handled twice, and grants come again', async () => {
    const { handler, seen } = storing();
    const h = sessionHost({ handlers: { methods: { hold: handler } } });
    const first = await h.comes(features);
    await first.says(numbered(1, request(1)), numbered(2, chunk(1, 'a')));
    expect(first.news()).toMatchObject([{ type: 'grant', count: 16, seq: 1 }]);
    first.port.closed();
    const second = await h.comes({ ...features, ...asking(first.welcome) });
    await settle();
    expect([second.welcome, ...second.rest, ...second.news()]).toMatchObject([
      { resumed: true, received: 2 },
      { type: 'grant', seq: 1 },
    ]);
    await second.says(...[numbered(2, chunk(1, 'a')), numbered(3, chunk(1, 'b')), numbered(3, chunk(1, 'b')), numbered(4, finish(1))]);
    expect([seen.items, seen.ended]).toEqual([['a', 'b'], 1]);
    expect(second.news().filter(({ type }) => type === 'response')).toMatchObject([{ id: 1, result: 2, seq: 2 }]);
  });

  it('whose window is full lets grants go before answers', async () => {
    const { handler, calls } = led();
    const h = sessionHost({ handlers: { methods: { hold: handler, echo: (params) => params } } });
    const peer = await h.comes({ ...features, limits: { message: 65_536, window: 1 } });
    await peer.says(numbered(1, request(1)));
    const all = calls[0]?.read(8);
    await settle();
    expect(peer.news()).toMatchObject([{ type: 'grant', seq: 1 }]);
    await peer.says(numbered(2, { type: 'request', id: 2, method: 'echo' }));
    await peer.says(...upTo(8).map((i) => numbered(i + 2, chunk(1, i))));
    await all;
    await settle();
    await peer.says({ type: 'ack', received: 1 });
    await peer.says({ type: 'ack', received: 2 });
    expect(peer.news()).toMatchObject([
      { type: 'grant', count: 8, seq: 2 },
      { type: 'response', id: 2, seq: 3 },
    ]);
  });

  it('that is over takes its uploads with it: the loop throws, and the next session knows nothing of them', async () => {
    const { handler, seen } = storing();
    const h = sessionHost({ handlers: { methods: { hold: handler } }, sessions: { ttl: 500 } });
    const first = await h.comes(features);
    await first.says(numbered(1, request(1)), numbered(2, chunk(1, 'a')));
    first.port.closed();
    await h.clock.advance(500);
    expect(seen).toMatchObject({ items: ['a'], thrown: ['CANCELLED'], aborts: ['SESSION_LOST'] });
    const second = await h.comes({ ...features, ...asking(first.welcome) });
    await second.says(numbered(1, chunk(1, 'b')), numbered(2, finish(1)), numbered(3, request(1)));
    expect([seen.begun, seen.items, second.closes]).toEqual([2, ['a'], []]);
  });
});
