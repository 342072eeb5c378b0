/** Dead links are replaced in seconds, slow ones are not (docs/protocol.md, Life). */

import { describe, expect, it } from 'vitest';
import { type Pair, pair } from '../support/link.ts';
import { NO_SESSIONS } from './support.ts';

/** A pair that is open, and whose link takes so long each way. */
async function far(ms: number): Promise<Pair> {
  const p: Pair = pair();
  p.reachable = false;
  await p.settle();
  const { socket, clock } = p;
  const { onmessage } = socket;
  const send = socket.send.bind(socket);
  socket.send = (message) => void clock.setTimeout(() => send(message), ms);
  socket.onmessage = (event: unknown) => void clock.setTimeout(() => (onmessage as (event: unknown) => void).call(socket, event), ms);
  socket.accept(p.host as never);
  await clock.advance(2 * ms);
  expect(p.client.state.status).toBe('open');
  return p;
}

/** The link goes up at so many bytes a millisecond from now on: what is written waits its turn, where `bufferedAmount` does not show it. */
function slow({ socket, clock }: Pair, rate: number): void {
  const send = socket.send.bind(socket);
  let free = clock.now();
  socket.send = (message) => {
    free = Math.max(free, clock.now()) + (typeof message === 'string' ? message.length : message.byteLength) / rate;
    clock.setTimeout(() => send(message), free - clock.now());
  };
}

describe('a dead link', () => {
  it.each(['visible', 'online', 'offline', 'network'] as const)('is found within 3 s of "%s"', async (signal) => {
    const p = pair();
    await p.clock.advance(10_000);
    p.socket.vanish();
    p.page.says(signal);
    await p.clock.advance(2_999);
    expect(p.client.state.status).toBe('open');
    await p.clock.advance(1);
    expect(p.log.at(-1)).toBe('close 4000 again');
  });

  it('is found within 5 s while something small is not acknowledged, and within 20 s when idle', async () => {
    const [busy, idle] = [pair(), pair()];
    for (const p of [busy, idle]) {
      await p.settle();
      p.socket.vanish();
    }
    busy.client.send('note', 'small');
    await busy.clock.advance(4_999);
    expect(busy.client.state.status).toBe('open');
    await busy.clock.advance(1);
    expect(busy.log.at(-1)).toBe('close 4000 again');
    await idle.clock.advance(19_999);
    expect(idle.client.state.status).toBe('open');
    await idle.clock.advance(1);
    expect(idle.log.at(-1)).toBe('close 4000 again');
  });

  it('is found within 5 s while a call is not acknowledged, and the call goes on over the next one', async () => {
    const p = pair({}, { handlers: { methods: { echo: (params) => params } } });
    await p.settle();
    const first = p.socket;
    first.vanish();
    const call = p.client.call('echo', 1);
    await p.clock.advance(5_000 + 1_000);
    first.serverGone();
    await p.settle();
    expect(await call).toBe(1);
  });

  it('is found within 20 s while something small is not acknowledged, also where the opening took 10 s: the credentials had to be checked', async () => {
    let admit = () => {};
    const checked = new Promise<void>((resolve) => {
      admit = resolve;
    });
    const p = pair({ connectTimeout: 20_000 }, { authenticate: () => checked, helloTimeout: 20_000 });
    await p.clock.advance(9_999);
    admit();
    await p.settle();
    expect(p.client.state.status).toBe('open');
    p.socket.vanish();
    p.client.send('note', 'small');
    await p.clock.advance(20_000);
    expect(p.log.at(-1)).toBe('close 4000 again');
  });

  it('is not looked for in what is acknowledged: a busy link is never asked', async () => {
    const p = pair();
    await p.settle();
    for (let i = 0; i < 100; i++) {
      p.client.send('note', i);
      await p.clock.advance(500);
    }
    expect(p.frames().filter(({ type }) => type === 'ping')).toEqual([]);
    expect(p.log.filter((line) => line.startsWith('close'))).toEqual([]);
  });

  it('without sessions is found within 20 s, whatever is sent', async () => {
    const p = pair({}, NO_SESSIONS);
    await p.settle();
    p.socket.vanish();
    for (let i = 0; i < 20; i++) {
      expect(p.client.state.status).toBe('open');
      p.client.send('note', i);
      await p.clock.advance(1_000);
    }
    expect(p.log.at(-1)).toBe('close 4000 again');
  });

  it('after a sleep that no server waits out is asked for form, and replaced within a second', async () => {
    const p = pair();
    await p.clock.advance(1_000);
    const first = p.socket;
    first.vanish();
    p.clock.jump(60_000);
    p.page.says('visible');
    await p.clock.advance(499);
    expect(p.client.state.status).toBe('open');
    await p.clock.advance(1 + 250);
    await p.settle();
    expect(p.sockets).toHaveLength(2);
    expect(p.client.state).toMatchObject({ status: 'open', resumed: true });
  });
});

describe('a dead link after all', () => {
  it('is not put off because something that was written with the question has left the buffer', async () => {
    const p = pair();
    await p.settle();
    p.socket.vanish();
    p.client.send('note', 'small');
    await p.clock.advance(1_999);
    p.socket.bufferedAmount = 54;
    await p.clock.advance(1);
    p.socket.bufferedAmount = 0;
    await p.clock.advance(3_000);
    expect(p.log.at(-1)).toBe('close 4000 again');
  });

  it('after a sleep that only a late timer tells of is replaced within a second', async () => {
    const p = pair({ random: () => 1 });
    await p.clock.advance(1_000);
    p.socket.vanish();
    p.clock.jump(60_000);
    await p.clock.advance(500 + 250);
    await p.settle();
    expect(p.sockets).toHaveLength(2);
    expect(p.client.state).toMatchObject({ status: 'open', resumed: true });
  });
});

describe('a slow link whose acknowledgements come together', () => {
  it.each([2_000, 3_000])(
    'after %i ms in which nothing came down is not taken for a dead one: how fast it is cannot be told from that',
    async (stall) => {
      const p: Pair = pair();
      await p.settle();
      slow(p, 2);
      for (let i = 0; i < 10; i++) {
        p.client.send('note', 'x'.repeat(1_500));
        await p.clock.advance(1_000);
      }
      const { socket, clock } = p;
      const { onmessage } = socket;
      const held: unknown[] = [];
      socket.onmessage = (event: unknown) => void held.push(event);
      for (let i = 0; i < stall / 500; i++) {
        p.client.send('note', 'x'.repeat(700));
        await clock.advance(500);
      }
      socket.onmessage = onmessage;
      for (const event of held) (onmessage as (event: unknown) => void).call(socket, event);
      p.client.send('large', 'x'.repeat(200_000));
      await clock.advance(120_000);
      expect(p.log.filter((line) => line.startsWith('close'))).toEqual([]);
    },
  );
});

describe('a link that is dead one way', () => {
  it('up, is given up by the server within 35 s, and the client hears of it, whatever comes down', async () => {
    const p = pair();
    await p.settle();
    const { socket } = p;
    socket.send = () => {};
    for (let i = 0; i < 35; i++) {
      expect(p.sockets).toHaveLength(1);
      p.peer.send('news', i);
      await p.clock.advance(1_000);
    }
    expect(socket.serverClose).toMatchObject({ code: 4_408 });
    await p.clock.advance(1_000);
    expect(p.client.state).toMatchObject({ status: 'open', resumed: true });
  });

  it.each([
    ['3 s of a doubt', 3_000, (p: Pair) => p.page.says('online')],
    ['5 s of something that is not acknowledged', 5_000, (p: Pair) => p.client.send('note', 1)],
  ])('up, is found within %s, while nothing comes down', async (_what, ms, begin) => {
    const p: Pair = pair();
    await p.settle();
    p.socket.send = () => {};
    begin(p);
    await p.clock.advance(ms - 1);
    expect(p.client.state.status).toBe('open');
    await p.clock.advance(1);
    expect(p.log.at(-1)).toBe('close 4000 again');
  });

  it('down, is found within 20 s, though the server hears the client', async () => {
    const p = pair();
    await p.settle();
    p.socket.onmessage = null;
    await p.clock.advance(20_000);
    expect(p.log.at(-1)).toBe('close 4000 again');
  });
});

describe('a slow link', () => {
  it.each([
    ['one message', [200_000]],
    ['many', Array.from({ length: 200 }, () => 1_000)],
  ])('at 2 kB/s is not taken for a dead one while 200 kB go up: %s', async (_what, sizes) => {
    const got: number[] = [];
    const p = pair({}, { handlers: { events: { note: (text) => void got.push(String(text).length) } } });
    await p.settle();
    slow(p, 2);
    for (const size of sizes) p.client.send('note', 'x'.repeat(size));
    // Bytes that come in are life to a server that sees them come, as one over real sockets does.
    for (let i = 0; i < 120; i++) {
      await p.clock.advance(1_000);
      p.socket.hears();
    }
    expect(p.log).toEqual(['open']);
    expect(got).toEqual(sizes);
    expect(p.client.stats.connections).toBe(1);
  });

  it('with 4 s each way drops nothing, in an hour of traffic and silence', async () => {
    const p = await far(4_000);
    for (let i = 0; i < 60; i++) {
      if (i % 3 === 0) p.client.send('note', i);
      if (i % 4 === 0) p.peer.send('news', i);
      if (i % 7 === 0) p.page.says('visible');
      await p.clock.advance(60_000);
    }
    expect(p.log.filter((line) => !line.startsWith('unhandled'))).toEqual(['open']);
    expect(p.client.stats.roundTrip).toBe(8_000);
  });

  it('brings a large message in peace: the server has announced it', async () => {
    const got: unknown[] = [];
    const p = pair();
    await p.settle();
    p.client.on('news', (text) => got.push(String(text).length));
    const { socket, clock } = p;
    const { onmessage } = socket;
    let free = 0;
    socket.onmessage = (event: MessageEvent) => {
      free = Math.max(free, clock.now()) + String(event.data).length / 2;
      clock.setTimeout(() => (onmessage as (event: unknown) => void).call(socket, event), free - clock.now());
    };
    p.peer.send('news', 'x'.repeat(150_000));
    await clock.advance(80_000);
    expect(got).toEqual([150_000]);
    expect(p.log).toEqual(['open']);
  });

  it('does not spoil what is known of the round trip', async () => {
    const p = pair();
    await p.settle();
    slow(p, 2);
    p.client.send('note', 'x'.repeat(60_000));
    await p.clock.advance(60_000);
    expect(p.log).toEqual(['open']);
    expect(p.client.stats.roundTrip).toBeLessThan(100);
  });
});
