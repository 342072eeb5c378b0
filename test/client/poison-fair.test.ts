/** Trials are fair: with a real server behind a link that takes its time, what is innocent arrives, and what kills late is found, too. */

import { describe, expect, it } from 'vitest';
import { presence } from '../../src/presence.ts';
import type { Receipt } from '../../src/receipt.ts';
import { stream } from '../../src/stream.ts';
import { StreamItem } from '../../src/streaming.ts';
import { Random } from '../simulation/random.ts';
import { type HandServer, handServer, listens, told } from '../support/hand-server.ts';
import { MortalWorld } from '../support/mortal-world.ts';

/** Four innocent events, which are on their way whenever the server dies. */
const notes = ['a', 'b', 'c', 'd'];
const sendAll = ({ client }: MortalWorld) => notes.map((name) => client.send(name));
/** Until what waits is written; pings are answered. */
async function isWritten(s: HandServer): Promise<void> {
  while (s.client.stats.queuedMessages > 0) {
    for (const { type, nonce } of s.news()) if (type === 'ping') await s.says({ type: 'pong', nonce, received: 0 });
    await s.clock.advance(500);
  }
}

const never = () => new Promise<never>(() => {});

/** Both sessions are lost in which an event is on its way. */
async function becomesSuspect(world: MortalWorld): Promise<void> {
  await world.opens();
  world.client.send('suspect');
  for (let i = 0; i < 2; i++) {
    await world.run(1);
    world.die();
    await world.run(100);
    await world.opens();
  }
}

describe('innocent messages arrive', () => {
  it.each([0, 30, 60, 90, 120, 500, 1_500, 2_900])('where the server dies %i ms after each connection has opened', async (ms) => {
    const world = new MortalWorld();
    const receipts = sendAll(world);
    world.client.addEventListener('open', () => {
      if (world.deaths < 40) void world.wait(ms).then(() => world.die());
    });
    await world.run(300_000);
    expect([world.deaths, world.drops]).toEqual([40, []]);
    expect(receipts.map(({ status }) => status)).toEqual(notes.map(() => 'acknowledged'));
  });

  it.each([500, 2_000, 5_000])('where the server dies 100 times, of others, after %i ms on average', async (mean) => {
    const world = new MortalWorld();
    const random = new Random(mean);
    const live = (): unknown =>
      world.deaths < 100 &&
      world.wait(-mean * Math.log(1 - random.next())).then(() => {
        world.die();
        live();
      });
    live();
    const receipts: Receipt[] = [];
    for (let i = 0; i < 200; i++) {
      receipts.push(world.client.send('note', i));
      await world.run(mean / 2);
    }
    await world.run(200_000);
    expect([world.deaths, world.drops]).toEqual([100, []]);
    expect(receipts.map(({ status }) => status)).toEqual(receipts.map(() => 'acknowledged'));
  });

  it.each<[string, (s: HandServer) => unknown]>([
    ['by the client', (s) => s.client.reconnect()],
    ['by silence', (s) => s.clock.advance(30_000)],
    ['in good order', (s) => s.socket.closed(1001)],
    [
      'after a goodbye',
      async (s) => {
        await s.says({ type: 'bye', code: 4_100, reconnect: true, resume: false });
        s.socket.closed();
      },
    ],
  ])('where each connection leads to another process, and is ended %s', async (_, end) => {
    const s = handServer();
    const receipt = s.client.send('a');
    for (let i = 0; i < 20; i++) {
      await s.welcomes({ session: `session ${i}` });
      await isWritten(s);
      await end(s);
      await s.waits();
    }
    s.news(); // of the sessions before
    await s.welcomes({ session: 'the last' });
    await listens(s);
    expect([receipt.status, s.log.filter((line) => line.startsWith('drop'))]).toEqual(['acknowledged', []]);
  });

  it.each([1, 20, 100])('where what somebody shows of themselves kills the server after %i ms, on every connection', async (ms) => {
    const world: MortalWorld = new MortalWorld(() => ({
      authorize: ({ action }) => {
        if (action === 'presence' && world.deaths < 20) void world.wait(ms).then(() => world.die());
        return true;
      },
    }));
    presence(world.client.channel('room'), { data: 'deadly' });
    await world.opens();
    await world.run(1);
    const receipts = sendAll(world);
    await world.run(120_000);
    expect([world.deaths, world.drops]).toEqual([20, []]);
    expect(receipts.map(({ status }) => status)).toEqual(notes.map(() => 'acknowledged'));
  });

  it('where other frames are on their way all the time: a stream, and calls by the server', async () => {
    const world: MortalWorld = new MortalWorld(() => ({
      handlers: {
        methods: {
          async *prices(_, { cursor = 0, client }) {
            for (let i = Number(cursor) + 1; ; i++) {
              await world.wait(5);
              void client.call('answer').catch(() => {});
              yield new StreamItem(i, i);
            }
          },
        },
      },
    }));
    world.client.handle('answer', () => 'yes');
    let items = 0;
    void (async () => {
      for await (const _ of stream(world.client, 'prices')) items++;
    })();
    await world.opens();
    await world.run(500);
    await becomesSuspect(world);
    const receipt = world.client.send('later');
    const [before, pings] = [items, world.pings];
    await world.run(20_000);
    expect([receipt.status, world.drops, world.client.stats.queuedMessages]).toEqual(['acknowledged', [], 0]);
    expect(items - before).toBeGreaterThan(500);
    expect(world.pings - pings).toBeLessThan(10);
  });
});

describe('what kills its server a while after it was received', () => {
  it.each([0, 20, 100, 1_000, 2_500])('is found, and given up: a call, after %i ms', async (ms) => {
    const world: MortalWorld = new MortalWorld(() => ({
      handlers: {
        methods: {
          render: async () => {
            await world.wait(ms);
            world.die();
            return never();
          },
        },
      },
    }));
    await world.opens();
    const failure = world.client.call('render', undefined, { idempotent: true, timeout: Infinity }).catch((error: unknown) => error);
    const receipts = sendAll(world);
    await world.run(120_000);
    expect(await failure).toMatchObject({ name: 'SessionLostError', maybeExecuted: true });
    expect([world.deaths, world.drops, world.client.state.status]).toEqual([5, [], 'open']);
    expect(receipts.map(({ status }) => status)).toEqual(notes.map(() => 'acknowledged'));
  });

  it('is found, and given up: a stream that would be asked for again', async () => {
    const world: MortalWorld = new MortalWorld(() => ({
      handlers: {
        methods: {
          async *lines() {
            await world.wait(20);
            world.die();
            yield await never();
          },
        },
      },
    }));
    await world.opens();
    const failure = (async () => {
      for await (const _ of stream(world.client, 'lines', undefined, { cursor: 5 }));
    })().catch((error: unknown) => error);
    const receipts = sendAll(world);
    await world.run(120_000);
    expect(await failure).toMatchObject({ name: 'SessionLostError' });
    expect([world.deaths, world.drops]).toEqual([5, []]);
    expect(receipts.map(({ status }) => status)).toEqual(notes.map(() => 'acknowledged'));
  });
});

it('a server that closes with 1011 has failed, and may have failed at the message', async () => {
  const s = handServer();
  s.client.send('a');
  for (let i = 0; i < 5; i++) {
    await s.welcomes({ session: `session ${i}` });
    await isWritten(s);
    await s.cuts(1011);
  }
  await s.welcomes({ session: 'the last' });
  expect(s.log.filter((line) => line.startsWith('drop'))).toEqual(['drop event a poison']);
});

describe('a suspect', () => {
  it('is written at once to a server that has no sessions', async () => {
    const s = handServer();
    s.client.send('a');
    for (const session of ['first', 'second']) {
      await s.welcomes({ session });
      await s.cuts();
    }
    s.news();
    await s.welcomes({ features: ['calls', 'channels', 'binary'], session: undefined, key: undefined });
    expect(told(s.news())).toEqual(['event a']);
  });

  it('that is published is in doubt for whoever signs in, and not dropped: it may have arrived', async () => {
    const s = handServer();
    const receipt = s.client.channel('room').publish('a');
    const outcome = receipt.acknowledged.catch((error: unknown) => error);
    for (const session of ['first', 'second']) {
      await s.welcomes({ session });
      await s.cuts();
    }
    await s.welcomes({ session: 'third' });
    s.client.setAuth(() => 'somebody else');
    expect(await outcome).toMatchObject({ code: 'CLIENT_CLOSED' });
    expect([receipt.status, s.log.filter((line) => line.startsWith('drop'))]).toEqual(['sent', []]);
  });

  it('costs two signs of life, where the server acknowledges by itself alone', async () => {
    const s = handServer();
    s.client.send('a');
    s.client.send('b');
    for (const session of ['first', 'second']) {
      await s.welcomes({ session });
      await s.cuts();
    }
    s.news();
    await s.welcomes({ session: 'third' });
    await s.clock.advance(3_000);
    const written: string[] = [];
    for (let round = 1; round <= 100; round++) {
      for (const frame of s.news()) {
        written.push(...told([frame]));
        if (frame.type === 'ping') await s.says({ type: 'pong', nonce: frame['nonce'] });
      }
      if (round === 50) await s.says({ type: 'ack', received: 1 });
    }
    expect(written).toEqual(['ping', 'event a #1', 'ping', 'event b #2', 'ping']);
  });

  it('that is a stream holds nobody up for longer than until its next item', async () => {
    const world: MortalWorld = new MortalWorld(() => ({
      handlers: {
        methods: {
          async *ticks(_, { cursor = 0 }) {
            for (let i = Number(cursor) + 1; ; i++) {
              await world.wait(100);
              yield new StreamItem(i, i);
            }
          },
        },
      },
    }));
    await world.opens();
    for (let i = 0; i < 10; i++)
      void (async () => {
        for await (const _ of stream(world.client, 'ticks'));
      })();
    await world.run(1_000);
    for (let i = 0; i < 2; i++) {
      world.die();
      await world.run(100);
      await world.opens();
      await world.run(500);
    }
    world.die();
    await world.run(100);
    await world.opens();
    const receipt = world.client.send('behind them');
    await world.run(7_000); // 3 s until the connection has lasted, and a tenth of a second each
    expect([receipt.status, world.drops]).toEqual(['acknowledged', []]);
  });

  it('is forgotten with who it belongs to: nobody waits for it any more', async () => {
    const world = new MortalWorld();
    await becomesSuspect(world);
    await world.run(3_000); // it is on trial now
    world.client.setAuth(() => 'somebody else');
    await world.opens();
    const [receipt, pings] = [world.client.send('theirs'), world.pings];
    await world.run(200);
    expect([receipt.status, world.pings, world.drops]).toEqual(['sent', pings, []]);
  });

  it('is written with all others by flush(), since there may be no other time', async () => {
    const world = new MortalWorld();
    await becomesSuspect(world);
    world.client.send('later');
    world.client.flush();
    expect(world.client.stats).toMatchObject({ queuedMessages: 0, unacknowledgedMessages: 2 });
  });
});
