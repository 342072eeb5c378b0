import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Allowance, Budget, MAX_CREDIT } from '../../src/core/credit.ts';

describe('a budget', () => {
  it('is what was asked with, and what is granted after, less what is spent', () => {
    const budget = new Budget(2);
    expect(budget.left).toBe(2);
    budget.spend();
    budget.spend();
    expect(budget.left).toBe(0);
    expect([budget.grant(3), budget.left]).toEqual([true, 3]);
    budget.spend();
    expect([budget.grant(1), budget.left]).toEqual([true, 3]);
  });

  it('may begin with nothing', () => {
    const budget = new Budget(0);
    expect([budget.left, budget.grant(1), budget.left]).toEqual([0, true, 1]);
  });

  it('refuses more than 65536 outstanding, and counts what was spent', () => {
    const budget = new Budget(MAX_CREDIT - 1);
    expect([MAX_CREDIT, budget.grant(1), budget.grant(1)]).toEqual([65_536, true, false]);
    const spent = new Budget(MAX_CREDIT);
    spent.spend();
    expect([spent.grant(1), spent.grant(1)]).toEqual([true, false]);
    expect(new Budget(0).grant(MAX_CREDIT + 1)).toBe(false);
  });
});

describe('an allowance', () => {
  const opened = (room: number, arrivals = 0) => {
    const allowance = new Allowance(room);
    const granted = allowance.open();
    for (let i = 0; i < arrivals; i++) expect(allowance.arrive()).toBe(true);
    return { allowance, granted };
  };

  it('grants all its room in the beginning', () => {
    expect(opened(32).granted).toBe(32);
  });

  it('takes what it has granted, and nothing else', () => {
    expect(new Allowance(4).arrive()).toBe(false);
    expect(opened(4, 4).allowance.arrive()).toBe(false);
  });

  it('tops up when half of it is free, and only then', () => {
    const { allowance } = opened(4, 4);
    expect([1, 2, 3, 4].map(() => allowance.consume())).toEqual([0, 2, 0, 2]);
  });

  it('needs the larger half where it is odd', () => {
    const { allowance } = opened(5, 5);
    expect([1, 2, 3, 4, 5].map(() => allowance.consume())).toEqual([0, 0, 3, 0, 0]);
  });

  it('counts as taken what is granted and has not come', () => {
    const { allowance } = opened(4, 2);
    expect([allowance.consume(), allowance.consume()]).toEqual([0, 2]);
  });

  it('of one grants each item by itself', () => {
    const { allowance } = opened(1);
    for (let i = 0; i < 3; i++) expect([allowance.arrive(), allowance.arrive(), allowance.consume()]).toEqual([true, false, 1]);
  });

  it('that begins anew forgets what was granted, and leaves room for what is held', () => {
    const { allowance } = opened(4, 3);
    expect(allowance.open()).toBe(1);
    expect([allowance.arrive(), allowance.arrive()]).toEqual([true, false]);
    expect(allowance.open()).toBe(0);
  });
});

type Deed = 'produce' | 'item' | 'consume' | 'credit' | 'anew';
const deeds = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom<Deed>('produce', 'item', 'consume', 'credit') },
    { weight: 1, arbitrary: fc.constant<Deed>('anew') },
  ),
  { maxLength: 300 },
);

/** Both ends of a stream, and what is under way between them; what should never happen is in `faults`. */
class BothEnds {
  readonly faults: string[] = [];
  readonly #room: number;
  readonly #allowance: Allowance;
  #budget: Budget;
  /** Under way. */
  #items = 0;
  #credits: number[] = [];
  /** As somebody counts who sees what is granted, what comes and what is read. */
  #held = 0;
  #outstanding: number;

  constructor(room: number) {
    this.#room = room;
    this.#allowance = new Allowance(room);
    this.#outstanding = this.#allowance.open();
    this.#budget = new Budget(this.#outstanding);
  }

  get left(): number {
    return this.#budget.left;
  }

  /** Does one thing, where that is possible. Returns whether it was. */
  does(deed: Deed): boolean {
    const done = this.#do(deed);
    if (this.#held + this.#outstanding > this.#room) this.faults.push(`${this.#held} held, ${this.#outstanding} to come`);
    return done;
  }

  #do(deed: Deed): boolean {
    switch (deed) {
      case 'produce':
        if (this.#budget.left === 0) return false;
        this.#budget.spend();
        this.#items++;
        return true;
      case 'item':
        if (this.#items === 0) return false;
        if (!this.#allowance.arrive()) this.faults.push('an item had no credit');
        this.#items--;
        this.#outstanding--;
        this.#held++;
        return true;
      case 'consume':
        if (this.#held === 0) return false;
        this.#held--;
        return this.#grants(this.#allowance.consume());
      case 'credit':
        if (this.#credits.length === 0) return false;
        if (!this.#budget.grant(this.#credits.shift() ?? 0)) this.faults.push('that was too much credit');
        return true;
      case 'anew': // with what is held, and nothing under way
        this.#items = 0;
        this.#credits = [];
        this.#outstanding = this.#allowance.open();
        this.#budget = new Budget(this.#outstanding);
        return true;
    }
  }

  #grants(count: number): true {
    this.#outstanding += count;
    if (count > 0) this.#credits.push(count);
    return true;
  }
}

describe('both ends together', () => {
  it('never have more held and to come than the room, and never stand still while the consumer reads, whatever the order', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), deeds, (room, deeds) => {
        const ends = new BothEnds(room);
        for (const deed of deeds) ends.does(deed);
        // All that is under way arrives, and all is read: the producer has credit for more than half of the room.
        while (ends.does('item') || ends.does('consume') || ends.does('credit'));
        expect(ends.faults).toEqual([]);
        expect([ends.left > room / 2 - 1, ends.left <= room, ends.left > 0]).toEqual([true, true, true]);
      }),
    );
  });
});
