import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GIVEN_UP, type Suspect, Suspects } from '../../src/core/suspects.ts';

const quiet = () => true;
const busy = () => false;
/** After which a connection is old enough for a trial, and a trial of a call over. */
const [STEADY, TRIAL, SOON] = [4_000, 3_000, 10_000];

/** A client whose sessions are lost, one after the other. */
class Lives {
  readonly suspects = new Suspects<Suspect>();
  now = 0;

  /** A session that lasts for so long, with a message in it that is not acknowledged. True when it is given up. */
  lost(message: Suspect, { lasted = 1_000, isAbrupt = true } = {}): boolean {
    this.suspects.opened(this.now, 1);
    this.now += lasted;
    return this.dies(message, isAbrupt);
  }

  /** A connection that has lasted long enough for this one, and has shown a sign of life. */
  steady(message: Suspect): void {
    this.suspects.opened(this.now, 1);
    this.suspects.mayWrite(message, this.now, quiet);
    this.now = this.suspects.wish(this.now) as number;
    this.suspects.wish(this.now);
    this.suspects.signed();
  }

  /** One session in which it is on trial, and which is lost. True when it is given up. */
  tried(message: Suspect, isAbrupt = true): boolean {
    this.steady(message);
    if (!this.suspects.mayWrite(message, this.now, quiet)) throw new Error('it may not be written');
    this.suspects.wrote(message, this.now);
    return this.dies(message, isAbrupt);
  }

  dies(message: Suspect, isAbrupt = true): boolean {
    this.suspects.closed(this.now, isAbrupt, false);
    const isGivenUp = this.suspects.lost(message);
    this.suspects.ended();
    return isGivenUp;
  }
}

/** A message that is a suspect, and the connection after those that it was lost with. */
function suspect(message: Suspect = {}) {
  const lives = new Lives();
  lives.lost(message);
  lives.lost(message);
  return { lives, suspects: lives.suspects, message };
}

const mayWrite = ({ suspects, now }: Lives, message: Suspect, isQuiet = quiet) => suspects.mayWrite(message, now, isQuiet);

describe('a message', () => {
  it.each([0, 1])('that was lost %i times is written like any other, at once', (times) => {
    const lives = new Lives();
    const message = {};
    for (let i = 0; i < times; i++) lives.lost(message);
    lives.suspects.opened(lives.now, 1);
    expect(mayWrite(lives, message, busy)).toBe(true);
    expect(lives.suspects.wrote(message, lives.now)).toBe(false);
  });

  it.each([
    ['in good order, or by silence', { isAbrupt: false }],
    ['a while after it was written', { lasted: SOON + 1 }],
  ])('is no suspect for sessions that were lost %s', (_, how) => {
    const lives = new Lives();
    const message = {};
    for (let i = 0; i < 20; i++) expect(lives.lost(message, how)).toBe(false);
    lives.suspects.opened(lives.now, 1);
    expect(mayWrite(lives, message, busy)).toBe(true);
  });

  it('is no suspect for a connection that was lost, and attempts that failed after it', () => {
    const lives = new Lives();
    const message = {};
    for (let i = 0; i < 20; i++) {
      lives.suspects.opened(lives.now, 1);
      lives.suspects.closed(lives.now, false, false);
      lives.suspects.closed(lives.now, true, false);
      expect(lives.suspects.lost(message)).toBe(false);
    }
    lives.suspects.opened(lives.now, 1);
    expect(mayWrite(lives, message, busy)).toBe(true);
  });
});

describe('a suspect', () => {
  it.each([0, 0.5, 1])('waits until the connection has lasted between two and four seconds (%d)', (random) => {
    const { suspects, lives, message } = suspect();
    suspects.opened(lives.now, random);
    const steady = lives.now + 2_000 * (1 + random);
    expect([mayWrite(lives, message), suspects.wish(lives.now)]).toEqual([false, steady]);
    lives.now = steady - 1;
    expect([mayWrite(lives, message), suspects.wish(lives.now)]).toEqual([false, steady]);
    lives.now = steady;
    expect([mayWrite(lives, message), suspects.wish(lives.now)]).toEqual([false, 'sign']);
    expect([mayWrite(lives, message), suspects.wish(lives.now)]).toEqual([false, undefined]); // it was asked for
    suspects.signed();
    expect([mayWrite(lives, message, busy), mayWrite(lives, message)]).toEqual([false, true]);
  });

  it('is written on a sign of life that was asked for, not on any', () => {
    const { suspects, lives, message } = suspect();
    suspects.opened(lives.now, 1);
    lives.now += STEADY;
    suspects.signed();
    expect(mayWrite(lives, message)).toBe(false);
  });

  it('lets others pass until it is on trial, and nobody then until the server is seen to have lived on', () => {
    const { suspects, lives, message } = suspect();
    lives.steady(message);
    expect(mayWrite(lives, {}, busy)).toBe(true);
    expect(suspects.wrote(message, lives.now)).toBe(true);
    expect([mayWrite(lives, {}), suspects.wish(lives.now)]).toEqual([false, 'sign']);
    expect([mayWrite(lives, {}), suspects.wish(lives.now)]).toEqual([false, lives.now + TRIAL]);
    suspects.signed();
    expect(mayWrite(lives, {}, busy)).toBe(false); // it lives, and has not got it yet
    expect(mayWrite(lives, {})).toBe(true);
  });

  it('is none any more when it is acquitted', () => {
    const { suspects, lives, message } = suspect();
    lives.steady(message);
    suspects.wrote(message, lives.now);
    suspects.wish(lives.now);
    suspects.signed();
    expect(mayWrite(lives, message, quiet)).toBe(true);
    expect(suspects.wrote(message, lives.now)).toBe(false);
  });

  it.each([true, false])('that is a call is on trial until it is answered, or for three seconds (a sign of life: %s)', (isSigned) => {
    const call = { isPending: true };
    const { suspects, lives } = suspect(call);
    lives.steady(call);
    suspects.wrote(call, lives.now);
    suspects.wish(lives.now);
    if (isSigned) suspects.signed();
    lives.now += TRIAL - 1;
    expect(mayWrite(lives, {})).toBe(false);
    call.isPending = false;
    expect(mayWrite(lives, {})).toBe(isSigned);
    call.isPending = true;
    lives.now += 1;
    expect(mayWrite(lives, {})).toBe(true);
  });

  it('is given up after five sessions, the last three of which it was on trial in', () => {
    const { lives, message } = suspect();
    expect([lives.tried(message), lives.tried(message), lives.tried(message)]).toEqual([false, false, true]);
  });

  it('is not given up for trials that end in good order, or by silence', () => {
    const { lives, message } = suspect();
    for (let i = 0; i < 20; i++) expect(lives.tried(message, false)).toBe(false);
  });

  it('is not given up for any number of sessions that were lost before its trial, or after its acquittal', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 30 }), (acquitted) => {
        const { suspects, lives, message } = suspect();
        for (const isAcquitted of acquitted) {
          lives.steady(message);
          if (isAcquitted && suspects.wrote(message, lives.now)) {
            suspects.wish(lives.now);
            suspects.signed();
            suspects.closed(lives.now, true, true);
          }
          expect(lives.dies(message)).toBe(false);
        }
      }),
    );
  });

  it('waits twice as long after each trial that was lost', () => {
    const { lives, suspects, message } = suspect();
    const waits: number[] = [];
    for (let i = 0; i < 3; i++) {
      suspects.opened(lives.now, 1);
      mayWrite(lives, message);
      waits.push((suspects.wish(lives.now) as number) - lives.now);
      lives.tried(message);
    }
    expect(waits).toEqual([STEADY, 2 * STEADY, 4 * STEADY]);
  });

  it.each([true, false])('has an alibi where two connections in a row die while it waits, and nothing is on its way (%s)', (isQuiet) => {
    const { lives, suspects, message } = suspect();
    for (let i = 0; i < 2; i++) {
      suspects.opened(lives.now, 1);
      expect(mayWrite(lives, message)).toBe(false);
      suspects.closed(lives.now + 100, true, isQuiet);
      suspects.ended();
    }
    suspects.opened(lives.now, 1);
    expect(mayWrite(lives, message)).toBe(isQuiet);
  });

  it.each<[string, (suspects: Suspects<Suspect>, now: number) => void]>([
    ['the session went on', (suspects, now) => suspects.closed(now, true, true)],
    [
      'that was no death',
      (suspects, now) => {
        suspects.closed(now, false, true);
        suspects.ended();
      },
    ],
  ])('has no alibi where %s', (_, end) => {
    const { lives, suspects, message } = suspect();
    for (let i = 0; i < 5; i++) {
      suspects.opened(lives.now, 1);
      expect(mayWrite(lives, message)).toBe(false);
      end(suspects, lives.now + 100);
    }
  });

  it('has no alibi where it did not wait, or where there was a trial between', () => {
    const { lives, suspects, message } = suspect();
    for (let i = 0; i < 5; i++) {
      suspects.opened(lives.now, 1);
      suspects.closed(lives.now + 100, true, true);
      suspects.ended();
    }
    for (let i = 0; i < 2; i++) {
      suspects.opened(lives.now, 1);
      expect(mayWrite(lives, message)).toBe(false);
      suspects.closed(lives.now + 100, true, true);
      suspects.ended();
      if (i === 0) lives.tried(message);
    }
    suspects.opened(lives.now, 1);
    expect(mayWrite(lives, message)).toBe(false);
  });

  it('is not alone any more when something else is written all the same', () => {
    const { lives, suspects, message } = suspect();
    for (let i = 0; i < 10; i++) {
      lives.steady(message);
      suspects.wrote(message, lives.now);
      suspects.disturbed();
      expect(lives.dies(message)).toBe(false);
    }
  });

  it('was on trial in its session alone', () => {
    const { lives, message } = suspect();
    lives.tried(message);
    for (let i = 0; i < GIVEN_UP; i++) expect(lives.lost(message)).toBe(false);
    lives.suspects.opened(lives.now, 1);
    expect(mayWrite(lives, {})).toBe(true);
  });

  it('is on trial still where its session goes on, over a connection that has shown nothing yet', () => {
    const { suspects, lives, message } = suspect();
    lives.steady(message);
    suspects.wrote(message, lives.now);
    suspects.closed(lives.now, true, false);
    suspects.opened(lives.now, 1);
    expect([mayWrite(lives, {}), suspects.wish(lives.now)]).toEqual([false, 'sign']);
    suspects.signed();
    expect(mayWrite(lives, {})).toBe(true);
  });
});
