/** What is answered late, or asked without a connection: what presence makes of it. */

import { describe, expect, it } from 'vitest';
import { presence } from '../../src/presence.ts';
import { crowded, heard, shown } from '../support/crowd.ts';
import { lose } from './support.ts';

describe('an answer', () => {
  it('is no refusal where the channel is asked for again meanwhile', async () => {
    const pending: ((yes: boolean) => void)[] = [];
    const door = { isSlow: false };
    const authorize = () => !door.isSlow || new Promise<boolean>((resolve) => pending.push(resolve));
    const { channel, p, settle, members, said } = crowded({}, { authorize });
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    door.isSlow = true;
    people.update('busy');
    await p.settle();
    p.socket.deliver('{"type":"unsubscribe","channel":"a","resubscribe":true}');
    await p.settle();
    door.isSlow = false;
    pending[0]?.(true); // of the presence
    await p.settle();
    pending[1]?.(true); // of the subscription
    await settle();
    await settle();
    expect([pending.length, p.log, said(), members.shown(), shown(people)]).toEqual([
      2,
      ['open'],
      ['show ida', 'show busy', 'show busy'],
      ['busy'],
      ['busy'],
    ]);
  });

  it('is of the one that came later, where one was closed without a connection', async () => {
    const { channel, p, settle, said, members } = crowded();
    channel.subscribe();
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    p.socket.cut();
    people.close();
    await p.settle();
    const again = presence(channel, { data: 'ida 2' });
    const log = heard(again);
    await lose(p);
    await settle();
    expect([said(), members.shown(), shown(again), log.length > 0]).toEqual([['show ida 2'], ['ida 2'], ['ida 2'], true]);
  });
});
