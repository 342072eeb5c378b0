/** Who is there, in the memory of one process: what only this promises beside what every broker does (broker.test.ts): all at once. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import type { MemberChange } from '../../src/server/broker.ts';
import { MemoryMembers } from '../../src/server/members.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';

describe('members in memory', () => {
  it('are told to all who watch when enter and leave return, and listed in the order in which they came', () => {
    const members = new MemoryMembers(() => {});
    const told: MemberChange[] = [];
    const stop = members.watch('a', (change) => told.push(change));
    const [first, second] = [
      { id: '1', data: 1 },
      { id: '2', data: 2 },
    ];
    members.enter('a', second);
    members.enter('a', first);
    members.enter('a', { ...second, data: 3 });
    expect(members.list('a')).toEqual([{ id: '2', data: 3 }, first]);
    members.leave('a', '2');
    expect([told, members.list('a')]).toEqual([[{ set: second }, { set: first }, { set: { id: '2', data: 3 } }, { gone: '2' }], [first]]);
    stop();
    members.leave('a', '1');
    expect([told.length, members.list('a')]).toEqual([4, []]);
  });

  it('may be told to who comes back after everybody had left', () => {
    const members = new MemoryMembers(() => {});
    const told: MemberChange[] = [];
    const stop = members.watch('a', () => told.push({ gone: 'never' }));
    stop();
    members.enter('a', { id: '1', data: 1 });
    members.leave('a', '1');
    members.watch('a', (change) => told.push(change));
    stop(); // again, and in vain
    members.enter('a', { id: '2', data: 2 });
    expect(told).toEqual([{ set: { id: '2', data: 2 } }]);
  });

  it('report what a listener throws, as the rest of the broker does', () => {
    const onerror = vi.fn();
    const { members } = new MemoryBroker({ onerror });
    const failure = new Error('no');
    members.watch('a', () => {
      throw failure;
    });
    members.enter('a', { id: '1', data: 1 });
    members.leave('a', '1');
    expect(onerror.mock.calls).toEqual(Array(2).fill([failure, 'a listener of the broker']));
  });

  it('take no memory for channels that everybody has left', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const members = new MemoryMembers(() => {});
    const used = () => {
      gc();
      return process.memoryUsage().heapUsed;
    };
    const before = used();
    for (let i = 0; i < 50_000; i++) {
      const stop = members.watch(`watched ${i}`, () => {});
      for (const channel of [`watched ${i}`, `other ${i}`]) members.enter(channel, { id: '1', data: i });
      if (i % 2 === 0) stop();
      for (const channel of [`watched ${i}`, `other ${i}`]) members.leave(channel, '1');
      if (i % 2 === 1) stop();
    }
    expect(used() - before).toBeLessThan(2_000_000);
    members.enter('a', { id: '1', data: 1 }); // which lives until here
    expect(members.list('a')).toHaveLength(1);
  }, 30_000);
});
