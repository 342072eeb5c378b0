import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ask, type HeartbeatRules, judge, type Life, type PeerRules, passage, type Question, smooth } from '../../src/core/heartbeat.ts';

const rules: HeartbeatRules = { interval: 15_000, timeout: 5_000, probeTimeout: 3_000 };
const life = (known: Partial<Life> = {}): Life => ({
  heardAt: 0,
  spokeAt: 0,
  asked: undefined,
  unansweredSince: undefined,
  owedSince: undefined,
  inFlight: 0,
  rate: 0,
  expectedUntil: 0,
  roundTrip: 0,
  draining: false,
  doubts: 0,
  looked: false,
  ...known,
});

const question = (until: number): Question => ({ type: 'ping', at: until - 5_000, until, late: false });

describe('a link that was heard of', () => {
  it.each([0, 1, 14_999])('is left alone after %i ms', (now) => {
    expect(judge(life(), now, rules)).toEqual({ type: 'wait', until: 15_000 });
  });

  it.each([15_000, 16_000])('is asked after %i ms', (now) => {
    expect(judge(life(), now, rules)).toEqual({ type: 'ping', at: now, until: now + 5_000, late: false });
  });

  it('is asked with little patience when the timer came late: the page slept', () => {
    expect(judge(life(), 16_001, rules)).toEqual({ type: 'probe', at: 16_001, until: 19_001, late: true });
  });

  it('is counted from the last time it was heard of', () => {
    expect(judge(life({ heardAt: 10_000 }), 24_999, rules)).toEqual({ type: 'wait', until: 25_000 });
  });
});

describe('a link that was asked', () => {
  const asked = (known: Partial<Life> = {}) => life({ asked: question(20_000), ...known });

  it.each([15_000, 19_999])('has until its deadline (now %i)', (now) => {
    expect(judge(asked(), now, rules)).toEqual({ type: 'wait', until: 20_000 });
  });

  it.each([20_000, 21_000])('is lost at its deadline (now %i), once what waits to be read was read', (now) => {
    expect(judge(asked(), now, rules)).toEqual({ type: 'look', until: now });
    expect(judge(asked({ asked: question(now), looked: true }), now, rules)).toEqual({ type: 'lost' });
  });

  it('is asked again when the timer came late: the answer may be waiting to be read', () => {
    expect(judge(asked(), 21_001, rules)).toEqual({ type: 'probe', at: 21_001, until: 24_001, late: true });
  });

  it('is given time while the socket is getting rid of data: slow is not dead', () => {
    expect(judge(asked({ draining: true }), 20_000, rules)).toEqual({ type: 'wait', until: 25_000 });
  });

  it('is asked again rather than waited for when late and draining', () => {
    expect(judge(asked({ draining: true }), 30_000, rules).type).toBe('probe');
  });
});

describe('a link that was doubted twice already', () => {
  it('is lost at its deadline, however late that was noticed: a hidden tab looks once a minute', () => {
    expect(judge(life({ asked: question(20_000), doubts: 1 }), 60_000, rules).type).toBe('probe');
    expect(judge(life({ asked: question(20_000), doubts: 2 }), 60_000, rules)).toEqual({ type: 'look', until: 60_000 });
    expect(judge(life({ asked: question(60_000), doubts: 2, looked: true }), 60_000, rules)).toEqual({ type: 'lost' });
  });
});

describe('patience', () => {
  it.each([
    ['ping', 0, 5_000],
    ['ping', 1_250, 5_000],
    ['ping', 1_300, 5_200],
    ['probe', 0, 3_000],
    ['probe', 750, 3_000],
    ['probe', 2_000, 8_000],
  ] as const)('for a %s with a round trip of %i ms is %i ms', (type, roundTrip, patience) => {
    expect(ask(type, life({ roundTrip }), 100, rules)).toEqual({ type, at: 100, until: 100 + patience, late: false });
  });
});

describe('the smoothed round trip', () => {
  it('starts with the first sample', () => {
    expect(smooth(0, 80)).toBe(80);
  });

  it('moves an eighth of the way towards each sample', () => {
    expect(smooth(80, 160)).toBe(90);
    expect(smooth(80, 0)).toBe(70);
  });
});

describe('a peer that shows what it has received', () => {
  const peer: HeartbeatRules & Partial<PeerRules> = { ...rules, acknowledges: 1_000 };

  it.each([
    [0, 2_000],
    [1_000, 2_000],
    [1_500, 2_500],
    [15_000, 15_000],
  ])('is asked when it has not for long (round trip %i: %i ms), and no later than after silence', (roundTrip, due) => {
    expect(judge(life({ owedSince: 0, roundTrip }), due - 1, peer)).toEqual({ type: 'wait', until: due });
    expect(judge(life({ owedSince: 0, roundTrip }), due, peer)).toMatchObject({ type: due === 15_000 ? 'ping' : 'probe', late: false });
  });

  it('is asked when it owes something for the interval, also where it need not show it and talks of other things', () => {
    expect(judge(life({ heardAt: 14_000, owedSince: 0 }), 14_999, rules)).toEqual({ type: 'wait', until: 15_000 });
    expect(judge(life({ heardAt: 14_000, owedSince: 0 }), 15_000, rules)).toMatchObject({ type: 'probe' });
  });
});

describe('a slow link', () => {
  it.each([
    [0, 0],
    [8_192, 0],
    [10_192, 1_000],
    [208_192, 100_000],
    [10 ** 9, 120_000],
  ])('takes time for %i bytes: %i ms', (bytes, ms) => {
    expect(passage(bytes)).toBe(ms);
  });

  it('is no slower than it has shown itself lately', () => {
    expect(passage(108_192, 100)).toBe(1_000);
    expect(passage(108_192, 1)).toBe(50_000);
    expect(ask('probe', life({ inFlight: 208_192, rate: 200 }), 0, rules).until).toBe(3_000 + 1_000);
  });

  it('is given that time for an answer behind what was written', () => {
    expect(ask('probe', life({ inFlight: 208_192 }), 0, rules).until).toBe(3_000 + 100_000);
  });

  it('is not where the peer says something by itself, which is on no way that is full', () => {
    expect(ask('probe', life({ inFlight: 208_192 }), 0, { ...rules, speaks: 20_000 }).until).toBe(3_000 + 20_000);
  });

  it('is given the time that a large message takes on its way in', () => {
    const waiting = { asked: question(20_000), spokeAt: 15_000, expectedUntil: 50_000 };
    expect(judge(life(waiting), 29_999, rules)).toEqual({ type: 'wait', until: 30_000 });
    expect(judge(life(waiting), 30_000, rules)).toMatchObject({ type: 'ping', until: 35_000 }); // the peer has to hear something
    expect(judge(life({ ...waiting, spokeAt: 45_000 }), 45_000, rules)).toEqual({ type: 'wait', until: 50_000 });
    expect(judge(life({ ...waiting, spokeAt: 45_000 }), 50_000, rules)).toEqual({ type: 'look', until: 50_000 });
  });

  it('is talked to also where it talks all the time, if the peer wants that', () => {
    expect(judge(life({ heardAt: 14_000 }), 15_000, { ...rules, speaks: 20_000 })).toMatchObject({ type: 'ping' });
    expect(judge(life({ heardAt: 14_000 }), 15_000, rules)).toEqual({ type: 'wait', until: 29_000 });
  });
});

describe('a peer that has given up for certain', () => {
  it('is asked for form: only what is there already is waited for', () => {
    const peer = { ...rules, givesUp: 35_000 };
    expect(ask('probe', life(), 35_000, peer).until).toBe(38_000);
    expect(ask('probe', life(), 35_001, peer).until).toBe(35_501);
  });
});

describe('an answer that does not come, while other things do', () => {
  it('means a link that is dead one way, after a minute', () => {
    const known = { heardAt: 61_000, unansweredSince: 1_000 };
    expect(judge(life(known), 60_999, rules)).toEqual({ type: 'wait', until: 61_000 });
    expect(judge(life(known), 61_000, rules)).toEqual({ type: 'look', until: 61_000 });
    expect(judge(life({ ...known, looked: true }), 61_000, rules)).toEqual({ type: 'lost' });
  });

  it('is waited for longer behind a lot of data', () => {
    expect(judge(life({ heardAt: 61_000, unansweredSince: 1_000, inFlight: 28_192 }), 61_000, rules)).toEqual({
      type: 'wait',
      until: 71_000,
    });
  });
});

describe('the judge', () => {
  it('always names a time to come, or a verdict', () => {
    const time = fc.nat(1_000_000);
    const maybe = fc.option(time, { nil: undefined });
    fc.assert(
      fc.property(
        fc.record({
          heardAt: time,
          spokeAt: time,
          until: maybe,
          unansweredSince: maybe,
          owedSince: maybe,
          inFlight: time,
          expectedUntil: time,
        }),
        fc.nat(60_000),
        fc.boolean(),
        fc.boolean(),
        time,
        ({ until, ...known }, roundTrip, draining, looked, now) => {
          const asked = until === undefined ? undefined : question(until);
          const beat = judge(life({ ...known, asked, roundTrip, draining, looked }), now, { ...rules, acknowledges: 1_000 });
          if (beat.type === 'look') expect(looked).toBe(false);
          else if (beat.type !== 'lost') expect(beat.until).toBeGreaterThan(now);
          else expect(looked && (until ?? known.unansweredSince ?? Infinity) <= now).toBe(true);
        },
      ),
    );
  });
});
