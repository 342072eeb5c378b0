/** WebKitGTK by its MiniBrowser: the engine of Safari in a browser that is not Safari, with a network layer of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cannot, type Engine, type Launcher, type Tab } from './engine.ts';
import { WebDriver } from './webdriver.ts';

const DRIVER = '/usr/bin/WebKitWebDriver';
const XVFB = '/usr/bin/xvfb-run';
/** The folder is named after the processor. */
const miniBrowser = () =>
  readdirSync('/usr/lib')
    .map((folder) => `/usr/lib/${folder}/webkit2gtk-4.1/MiniBrowser`)
    .find((path) => existsSync(path));

export const webkit: Launcher = {
  name: 'WebKitGTK',
  missing: () => [...(existsSync(DRIVER) && miniBrowser() ? [] : ['webkit2gtk-driver']), ...(existsSync(XVFB) ? [] : ['xvfb'])],
  async launch() {
    const port = await freePort();
    // In a group of its own, so that the display goes with it.
    const process = spawn(XVFB, ['-a', DRIVER, `--port=${port}`], { stdio: 'ignore', detached: true });
    const driver = await begun(`http://127.0.0.1:${port}`);
    return new WebKit(process, driver);
  },
};

/** A session, once the driver listens. */
async function begun(address: string): Promise<WebDriver> {
  const options = { binary: miniBrowser(), args: ['--automation'] };
  for (let attempt = 1; ; attempt++) {
    try {
      return await WebDriver.begin(address, { 'webkitgtk:browserOptions': options, acceptInsecureCerts: true });
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(100);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

class WebKit implements Engine {
  readonly name = 'WebKitGTK';
  readonly version: string;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #driver: WebDriver;

  constructor(process: ChildProcess, driver: WebDriver) {
    this.#process = process;
    this.#driver = driver;
    this.version = driver.version;
    this.pid = process.pid ?? 0;
  }

  async open(url: string): Promise<Tab> {
    const handle = await this.#driver.newWindow('window');
    await this.#driver.goto(handle, url);
    return new WebKitTab(this.#driver, handle);
  }

  async close(): Promise<void> {
    await this.#driver.end();
    const ended = once(this.#process, 'exit');
    process.kill(-this.pid);
    await ended;
  }
}

class WebKitTab implements Tab {
  readonly #driver: WebDriver;
  readonly #handle: string;

  constructor(driver: WebDriver, handle: string) {
    this.#driver = driver;
    this.#handle = handle;
  }

  goto(url: string): Promise<void> {
    return this.#driver.goto(this.#handle, url);
  }

  evaluate<A extends unknown[], R>(run: (...args: A) => R | Promise<R>, ...args: A): Promise<R> {
    return this.#driver.evaluate(this.#handle, String(run), args) as Promise<R>;
  }

  back(): Promise<void> {
    return this.#driver.order(this.#handle, '/back');
  }

  /** By a window that is minimized: one that another covers stays visible there. */
  hide(): Promise<void> {
    return this.#driver.order(this.#handle, '/window/minimize');
  }

  show(): Promise<void> {
    return this.#driver.order(this.#handle, '/window/rect', { x: 0, y: 0, width: 800, height: 600 });
  }

  async freeze(): Promise<void> {
    throw new Cannot('it has no way to freeze a page from outside');
  }

  async resume(): Promise<void> {
    throw new Cannot('it has no way to freeze a page from outside');
  }

  async offline(): Promise<void> {
    throw new Cannot('its driver has no way to take a page offline');
  }

  async online(): Promise<void> {
    throw new Cannot('its driver has no way to take a page offline');
  }

  async roam(): Promise<void> {
    throw new Cannot('it tells no page what kind of network there is');
  }

  close(): Promise<void> {
    return this.#driver.closeWindow(this.#handle);
  }
}
