/** What the server refuses of presence: it is told once, and asked again when somebody wants something. */

import { describe, expect, it } from 'vitest';
import { presence } from '../../src/presence.ts';
import type { Authorization, HostOptions } from '../../src/server/options.ts';
import { crowded, fate, shown } from '../support/crowd.ts';
import { lose } from './support.ts';

/** A server that may be there only for those whom the test lets in. */
function guarded(options: HostOptions = {}) {
  const door = { isOpen: false };
  const authorize = ({ action }: Authorization) => action !== 'presence' || door.isOpen;
  return { door, ...crowded({}, { authorize, ...options }) };
}

describe('a refusal', () => {
  it('is an error event, and is not repeated; the next connection asks again', async () => {
    const { door, channel, p, settle, said, members } = guarded();
    const people = presence(channel, { data: 'ida' });
    await expect(people.ready).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    for (let i = 0; i < 5; i++) await settle();
    expect([said(), p.log]).toEqual([
      ['show ida', 'watch'],
      ['open', 'error PERMISSION_DENIED'],
    ]);
    door.isOpen = true;
    await lose(p);
    expect([said(), people.isCurrent, members.shown(), shown(people)]).toEqual([['show ida'], true, ['ida'], ['ida']]);
  });

  it.each<[string, (people: ReturnType<typeof presence>, again: () => void) => void]>([
    ['an update', (people) => people.update('ida')],
    ['another one', (_people, again) => again()],
  ])('is followed by another question at %s', async (_what, ask) => {
    const { door, channel, settle, said, members } = guarded();
    const people = presence<unknown>(channel, { data: 'ida' });
    await settle();
    door.isOpen = true;
    const others: ReturnType<typeof presence>[] = [];
    ask(people, () => others.push(presence(channel)));
    await settle();
    expect([said(), members.shown(), people.isCurrent]).toEqual([['show ida', 'watch', 'show ida'], ['ida'], true]);
    for (const { ready } of others) expect(await ready).toBeUndefined();
  });

  it('of the channel is followed by another question at another one', async () => {
    const door = { isOpen: false };
    const { channel, settle, members } = crowded({}, { authorize: () => door.isOpen });
    const first = fate(presence(channel, { data: 'ida' }).ready);
    await settle();
    door.isOpen = true;
    await presence(channel).ready;
    expect([first.now, members.shown()]).toEqual(['PERMISSION_DENIED', ['ida']]);
  });

  it('of the channel is followed by another question at an update', async () => {
    const door = { isOpen: false };
    const { channel, settle, members } = crowded({}, { authorize: () => door.isOpen });
    const people = presence(channel, { data: 'ida' });
    await settle();
    door.isOpen = true;
    people.update('ida');
    await settle();
    expect([members.shown(), shown(people)]).toEqual([['ida'], ['ida']]);
  });

  it('for want of an answer in time is none: it is asked again until there is one', async () => {
    const { channel, p, clock, settle, members } = crowded({ callTimeout: 1_000 }, {}, { delays: { enter: 2_500 } });
    const people = presence(channel, { data: 'ida' });
    await expect(Promise.all([people.ready, clock.advance(1_000)])).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await clock.advance(5_000);
    await settle();
    expect([shown(people), members.shown(), people.members.has(people.me ?? '')]).toEqual([['ida'], ['ida'], true]);
    const errors = p.log.length;
    await clock.advance(10_000);
    expect(p.log.length).toBe(errors);
  });

  it.each<[string, HostOptions, string]>([
    ['of too much', { presence: { bytes: 10 } }, 'x'.repeat(20)],
    ['of what the client may not show', { authorize: ({ data }) => data !== 'rude' }, 'rude'],
    ['of what is too large for any frame', { limits: { message: 1_024 } }, 'x'.repeat(2_000)],
  ])('%s leaves what was shown, and all that is heard', async (_what, server, data) => {
    const { channel, members, p, settle, said } = crowded({}, server);
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    people.update(data);
    await settle();
    members.comes('ann');
    await settle();
    expect([shown(people), people.isCurrent, p.log.length]).toEqual([['ida', 'ann'], true, 2]);
    people.update('anna');
    await settle();
    expect([shown(people), said().at(-1)]).toEqual([['anna', 'ann'], 'show anna']);
  });

  it('of what is shown leaves who only watches alone, and lasts no longer than its connection', async () => {
    const { channel, members, p, settle } = crowded({}, { presence: { bytes: 10 } });
    const [watcher, big] = [presence(channel), presence(channel, { data: 'x'.repeat(20) })];
    await expect(big.ready).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await watcher.ready;
    await lose(p);
    await settle();
    members.comes('ann');
    await settle();
    expect([watcher.isCurrent, shown(watcher), p.log.filter((line) => line.startsWith('error')).length]).toEqual([true, ['ann'], 2]);
  });

  it('of something new leaves what was shown last, also after an outage', async () => {
    const { channel, members, p, settle } = crowded({}, { presence: { bytes: 10 } });
    const people = presence(channel, { data: 'ida' });
    await people.ready;
    people.update('x'.repeat(20));
    await settle();
    await lose(p);
    await settle();
    expect([members.shown(), people.isCurrent, shown(people)]).toEqual([['ida'], true, ['ida']]);
  });

  it('of one more where there are too many members', async () => {
    const { channel, p } = crowded({}, { presence: { members: 0 } });
    await expect(presence(channel, { data: 'ida' }).ready).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(p.log).toEqual(['open', 'error RESOURCE_EXHAUSTED']);
  });
});
