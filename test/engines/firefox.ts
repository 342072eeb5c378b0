/** Firefox over WebDriver BiDi. */

import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';
import type { Launcher } from './engine.ts';
import { engineOf, PuppeteerTab } from './puppeteer.ts';

const PATHS = [process.env['FIREFOX_PATH'], '/usr/bin/firefox-esr', '/usr/bin/firefox'];
const found = () => PATHS.find((path) => path && existsSync(path));

export const firefox: Launcher = {
  name: 'Firefox',
  missing: () => (found() ? [] : ['firefox-esr']),
  async launch() {
    const executablePath = found() ?? '';
    const browser = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true, acceptInsecureCerts: true });
    const version = (await browser.version()).replace(/^\w+\//, '');
    return engineOf(browser, 'Firefox', version, (page, whole) => new PuppeteerTab(page, whole));
  },
};
