/** Chromium and Firefox, as far as one library drives both. */

import type { Browser, Page } from 'puppeteer-core';
import { Cannot, type Engine, type EngineName, type Tab } from './engine.ts';

type MakeTab = (page: Page, browser: Browser) => Tab;

export function engineOf(browser: Browser, name: EngineName, version: string, tabOf: MakeTab): Engine {
  const { pid } = browser.process() ?? {};
  if (pid === undefined) throw new Error(`${name} has no process`);
  return {
    name,
    version,
    pid,
    async open(url) {
      const page = await browser.newPage({ type: 'window' });
      await page.goto(url);
      return tabOf(page, browser);
    },
    close: () => browser.close(),
  };
}

export class PuppeteerTab implements Tab {
  protected readonly page: Page;
  readonly #browser: Browser;
  /** What is in front, while it is hidden. */
  #front: Page | undefined;

  constructor(page: Page, browser: Browser) {
    this.page = page;
    this.#browser = browser;
  }

  async goto(url: string): Promise<void> {
    await this.page.goto(url);
  }

  evaluate<A extends unknown[], R>(run: (...args: A) => R | Promise<R>, ...args: A): Promise<R> {
    return this.page.evaluate(run as (...args: unknown[]) => R, ...args) as Promise<R>;
  }

  /** Not by `goBack`, which waits for a `load` that does not come where the page was kept. */
  async back(): Promise<void> {
    await this.page.evaluate(() => void setTimeout(() => history.back()));
  }

  async hide(): Promise<void> {
    await this.page.bringToFront();
    this.#front = await this.#browser.newPage();
    await this.#front.bringToFront();
  }

  async show(): Promise<void> {
    await this.page.bringToFront();
    await this.#front?.close();
  }

  freeze(): Promise<void> {
    throw new Cannot('it has no way to freeze a page from outside');
  }

  resume(): Promise<void> {
    throw new Cannot('it has no way to freeze a page from outside');
  }

  offline(): Promise<void> {
    return this.page.setOfflineMode(true);
  }

  online(): Promise<void> {
    return this.page.setOfflineMode(false);
  }

  roam(): Promise<void> {
    throw new Cannot('it tells no page what kind of network there is');
  }

  close(): Promise<void> {
    return this.page.close();
  }
}
