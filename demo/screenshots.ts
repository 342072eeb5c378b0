/** Takes the pictures of the README: `npm run screenshots`. They show the real page over the built bundle, so they stay true. */

import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { DemoPage } from '../test/support/demo-page.ts';
import { launch } from '../test/support/pages.ts';
import { startDemo } from './serve.ts';

const folder = fileURLToPath(new URL('../docs/images/', import.meta.url));

interface Picture {
  readonly name: string;
  readonly options: BrowserContextOptions;
  /** What happens before it is taken. */
  act(page: DemoPage): Promise<void>;
}

const pictures: Picture[] = [
  {
    name: 'demo-waiting',
    options: { viewport: { width: 1440, height: 1180 }, colorScheme: 'dark' },
    async act(page) {
      await page.type('Is the reef still there?');
      await page.verdict('good', 'Your message arrived, once.');
      await page.press('refuse');
      await page.state('Waiting to retry');
      await page.type('Written while the server was gone.');
      await page.sendTen();
      await page.verdict('wait', '11 messages wait for a connection.');
    },
  },
  {
    name: 'demo-open',
    options: { viewport: { width: 1440, height: 1180 }, colorScheme: 'light' },
    async act(page) {
      await page.type('Is the reef still there?');
      await page.verdict('good', 'Your message arrived, once.');
      await page.press('mute');
      await page.sendTen();
      await page.verdict('good', 'All 11 messages arrived, each once, in order.');
      await page.page.click('#grow');
      await page.says('step', 'Step 20 of 40');
    },
  },
  {
    name: 'demo-phone',
    options: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: 'dark' },
    async act(page) {
      await page.type('Hello from the tube.');
      await page.verdict('good', 'Your message arrived, once.');
    },
  },
];

/** A server of its own for each: what one has hurt must not be seen in the next. */
async function take(browser: Browser, { name, options, act }: Picture): Promise<void> {
  const demo = await startDemo({ port: 0 });
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce' });
  const page = new DemoPage(await context.newPage());
  await page.page.goto(`${demo.url}?refuse=60000`);
  await page.state('Connected');
  await act(page);
  await page.page.evaluate(() => scrollTo(0, 0));
  await page.page.screenshot({ path: `${folder}${name}.png` });
  await context.close();
  await demo.stop();
  console.log(`docs/images/${name}.png`);
}

await mkdir(folder, { recursive: true });
const browser = await launch();
for (const picture of pictures) await take(browser, picture);
await browser.close();
