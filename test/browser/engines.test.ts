/** The scenarios of all engines, in Chromium, as far as they are quick; `npm run test:engines` runs all of them in every engine. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { chromium } from '../engines/chromium.ts';
import type { Engine } from '../engines/engine.ts';
import { attempt } from '../engines/scenario.ts';
import { scenarios } from '../engines/scenarios.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await chromium.launch();
});
afterAll(() => engine.close());

it.each(scenarios.filter(({ lane }) => lane === 'quick'))('$title', async (scenario) => {
  await expect(attempt(scenario, engine)).resolves.toBeUndefined();
});
