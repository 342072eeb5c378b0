/**
 * Chromium over its DevTools protocol. Not by Playwright, as the other tests: under that a page is always visible and cannot be frozen. The
 * flags that keep timers and sockets of hidden pages alive are left out, so that it does what it does to users.
 */

import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { CHROMIUM_FLAGS, findBrowser } from '../support/find-browser.ts';
import type { Launcher } from './engine.ts';
import { engineOf, PuppeteerTab } from './puppeteer.ts';

const UNTRUE = ['--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding'];

export const chromium: Launcher = {
  name: 'Chromium',
  missing: () => (findBrowser() ? [] : ['chromium (or Chrome, or Edge)']),
  async launch() {
    const executablePath = findBrowser();
    if (!executablePath) throw new Error('no browser: run `npm test`, which gets one');
    const browser = await puppeteer.launch({
      executablePath,
      headless: true,
      args: [...CHROMIUM_FLAGS],
      ignoreDefaultArgs: UNTRUE,
      acceptInsecureCerts: true,
    });
    const version = (await browser.version()).replace(/^\w+\//, '');
    return engineOf(browser, 'Chromium', version, (page, whole) => new ChromiumTab(page, whole));
  },
};

class ChromiumTab extends PuppeteerTab {
  readonly #page: Page;

  constructor(page: Page, browser: Browser) {
    super(page, browser);
    this.#page = page;
  }

  override freeze(): Promise<void> {
    return this.#become('frozen');
  }

  override resume(): Promise<void> {
    return this.#become('active');
  }

  /** Sockets are left alone, pages are told. The session stays: what it says ends with it. */
  override async roam(): Promise<void> {
    const session = await this.#page.createCDPSession();
    const figures = { offline: false, latency: 300, downloadThroughput: 90_000, uploadThroughput: -1 };
    await session.send('Network.overrideNetworkState', { ...figures, connectionType: 'cellular3g' });
  }

  /** A page has to be hidden before it can be frozen. */
  async #become(state: 'frozen' | 'active'): Promise<void> {
    const session = await this.#page.createCDPSession();
    await session.send('Page.setWebLifecycleState', { state });
    await session.detach();
  }
}
