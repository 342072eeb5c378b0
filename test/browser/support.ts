/** A page whose complaints are written down. */

import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';

export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings in the console, and uncaught exceptions. */
  readonly complaints: string[];
}

/** Opens `url` in a context of its own, or in the one given. Messages in the console that match `expected` are no complaints. */
export async function openWatched(
  browser: Browser,
  url: string,
  expected: RegExp,
  options: BrowserContextOptions | BrowserContext = {},
): Promise<WatchedPage> {
  const context = 'newPage' in options ? options : await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    const text = message.text();
    if (['error', 'warning'].includes(message.type()) && !expected.test(text)) complaints.push(text);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, complaints };
}
