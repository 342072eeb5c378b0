/** A small dose of chaos for the built bundle in a real Chromium; `npx tsx test/chaos/browser.ts` gives a large one. */

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { chaosInPage } from '../chaos/page-end.ts';
import { launch } from '../support/pages.ts';

const DOSE = { messages: 2_000, cuts: 25, holes: 0, stalls: 4, rate: 1_000, burst: 5, inFlight: 500, calls: 100, resent: 1 };

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

it.each([1, 2])(
  'in a page nothing is lost, doubled, out of order or unanswered while it is cut at byte after byte (seed %i)',
  async (seed) => {
    const { violations, cuts, met, up, down } = await chaosInPage({ ...DOSE, seed }, browser, 'dist/holdfast.iife.js');
    expect(violations).toEqual([]);
    expect(cuts).toBe(25);
    expect(met.cut.frame + met.cut.opening).toBeGreaterThanOrEqual(15);
    expect(Math.min(up.handled, down.handled)).toBeGreaterThanOrEqual(2_000);
    expect(up.again + down.again).toBeGreaterThan(0);
  },
);
