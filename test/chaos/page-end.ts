/** Chaos with the client in a page of a real browser, with the built bundle; server, proxy and oracle are in Node. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { Oracle } from '../simulation/oracle.ts';
import { type ChaosOptions, chaos, type End } from './chaos.ts';
import type { EndSight } from './client-end.ts';
import type * as pageModule from './page.ts';
import type { Report } from './report.ts';
import { serverRecorder, Testimony } from './testimony.ts';

declare global {
  interface Window {
    chaos: typeof pageModule;
  }
}

/** How often the page is asked what has happened; milliseconds. */
const ASK = 50;

/**
 * @param browser a browser that is running
 * @param bundle the path of the built script-tag bundle
 */
export async function chaosInPage(options: ChaosOptions, browser: Browser, bundle: string): Promise<Report> {
  const oracle = new Oracle({ nothingLost: true });
  const testimony = new Testimony(oracle);
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on('pageerror', (error) => oracle.surprised(`the page: ${error.message}`));
  await page.addScriptTag({ content: await readFile(bundle, 'utf8') });
  await page.addScriptTag({ content: await pageScript() });
  const report = await chaos(options, {
    oracle,
    serverWitness: serverRecorder((entry) => testimony.server(entry)),
    welcomed: (url) => testimony.server(['welcomed', Number(url.split('?')[1])]),
    connect: async (url, seed, { messages, rate, burst, inFlight, calls }) => {
      // Infinity is no JSON, but goes over to a page.
      await page.evaluate(([url, seed, load]) => window.chaos.connect(url, seed, load), [
        url,
        seed,
        { messages, rate, burst, inFlight, calls },
      ] as const);
      return new PageEnd(page, testimony);
    },
    conclude: () => testimony.conclude(),
  });
  await context.close();
  return report;
}

class PageEnd implements End {
  readonly #page: Page;
  readonly #testimony: Testimony;
  #sight: EndSight | undefined;
  #askedAt = -Infinity;

  constructor(page: Page, testimony: Testimony) {
    this.#page = page;
    this.#testimony = testimony;
  }

  async look(): Promise<EndSight> {
    const now = performance.now();
    if (this.#sight && now < this.#askedAt + ASK) return this.#sight;
    this.#askedAt = now;
    const { sight, entries } = await this.#page.evaluate(() => window.chaos.look());
    this.#testimony.client(entries);
    if (!sight) throw new Error('the page has no client');
    this.#sight = sight;
    return sight;
  }

  async probe(): Promise<void> {
    await this.#page.evaluate(() => window.chaos.probe());
    this.#askedAt = -Infinity;
  }

  async rest(): Promise<void> {
    await this.#page.evaluate(() => window.chaos.rest());
    this.#askedAt = -Infinity;
  }

  async close(): Promise<void> {
    await this.#page.evaluate(() => window.chaos.close());
  }
}

/** The client's end as a script for the page. */
async function pageScript(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./page.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'chaos',
    target: 'es2022',
  });
  return outputFiles[0]?.text ?? '';
}
