import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ask, type HeartbeatRules, judge, type Life, smooth } from '../../src/core/heartbeat.ts';

const rules: HeartbeatRules = { interval: 15_000, timeout: 5_000, probeTimeout: 3_000 };
const life = (known: Partial<Life> = {}): Life => ({
  heardAt: 0,
  deadline: undefined,
  roundTrip: 0,
  draining: false,
  doubts: 0,
  looked: false,
  ...known,
});

describe('a link that was heard of', () => {
  it.each([0, 1, 14_999])('is left alone after %i ms', (now) => {
    expect(judge(life(), now, rules)).toEqual({ type: 'wait', until: 15_000 });
  });

  it.each([15_000, 16_000])('is asked after %i ms', (now) => {
    expect(judge(life(), now, rules)).toEqual({ type: 'ping', until: now + 5_000 });
  });

  it('is asked with little patience when the timer came late: the page slept', () => {
    expect(judge(life(), 16_001, rules)).toEqual({ type: 'probe', until: 19_001 });
  });

  it('is counted from the last time it was heard of', () => {
    expect(judge(life({ heardAt: 10_000 }), 24_999, rules)).toEqual({ type: 'wait', until: 25_000 });
  });
});

describe('a link that was asked', () => {
  const asked = (known: Partial<Life> = {}) => life({ deadline: 20_000, ...known });

  it.each([15_000, 19_999])('has until its deadline (now %i)', (now) => {
    expect(judge(asked(), now, rules)).toEqual({ type: 'wait', until: 20_000 });
  });

  it.each([20_000, 21_000])('is lost at its deadline (now %i), once what waits to be read was read', (now) => {
    expect(judge(asked(), now, rules)).toEqual({ type: 'look', until: now });
    expect(judge(asked({ deadline: now, looked: true }), now, rules)).toEqual({ type: 'lost' });
  });

  it('is asked again when the timer came late: the answer may be waiting to be read', () => {
    expect(judge(asked(), 21_001, rules)).toEqual({ type: 'probe', until: 24_001 });
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
    expect(judge(life({ deadline: 20_000, doubts: 1 }), 60_000, rules).type).toBe('probe');
    expect(judge(life({ deadline: 20_000, doubts: 2 }), 60_000, rules)).toEqual({ type: 'look', until: 60_000 });
    expect(judge(life({ deadline: 60_000, doubts: 2, looked: true }), 60_000, rules)).toEqual({ type: 'lost' });
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
    expect(ask(type, life({ roundTrip }), 100, rules)).toEqual({ type, until: 100 + patience });
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

describe('the judge', () => {
  it('always names a time to come, or a verdict', () => {
    const time = fc.nat(1_000_000);
    fc.assert(
      fc.property(
        time,
        fc.option(time, { nil: undefined }),
        fc.nat(60_000),
        fc.boolean(),
        fc.boolean(),
        time,
        (heardAt, deadline, roundTrip, draining, looked, now) => {
          const beat = judge({ heardAt, deadline, roundTrip, draining, doubts: 0, looked }, now, rules);
          if (beat.type === 'look') expect(looked).toBe(false);
          else if (beat.type !== 'lost') expect(beat.until).toBeGreaterThan(now);
          else expect([looked, (deadline ?? Infinity) <= now]).toEqual([true, true]);
        },
      ),
    );
  });
});
