/**
 * Sees to it that there is a browser for the tests, and says in one line which. Run before the tests.
 *
 * Where there is none, it gets one: Playwright's download, which needs no rights and goes to the user's cache; as root on Debian and
 * Ubuntu also the packages of the system. What was got counts only if it really starts: a download without the libraries it
 * needs does not.
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { findBrowser } from './find-browser.ts';

/** What getting a browser needs of the world. */
export interface World {
  find(): string | undefined;
  /** Whether a browser starts; if not, why. */
  starts(path: string): Promise<true | string>;
  /** Runs a command to its end; false when it failed or took too long. */
  run(command: readonly string[], minutes: number): boolean;
  say(line: string): void;
  /** The user chose the browser: no other will do. */
  readonly chosen: boolean;
  /** Root on a system with apt-get. */
  readonly mayInstall: boolean;
}

const playwright = join(dirname(createRequire(import.meta.url).resolve('playwright-core/package.json')), 'cli.js');

interface Way {
  readonly says: string;
  readonly commands: readonly (readonly string[])[];
  /** Longest time for each command. */
  readonly minutes: number;
}

const download: Way = {
  says: 'no browser found: downloading Chromium with Playwright, for this user only',
  commands: [[process.execPath, playwright, 'install', '--no-shell', 'chromium']],
  minutes: 3,
};
const packaged: Way = {
  says: 'still none: installing the Chromium of this system with apt-get',
  commands: [
    ['apt-get', 'update'],
    ['apt-get', 'install', '-y', 'chromium'],
  ],
  minutes: 10,
};
/** Ubuntu has no Chromium in a package, only as a snap, but it has the libraries. */
const libraries: Way = {
  says: 'still none: installing the libraries that the download needs with apt-get',
  commands: [[process.execPath, playwright, 'install-deps', 'chromium']],
  minutes: 10,
};

/**
 * Finds a browser or gets one.
 *
 * @returns its path
 * @throws Error that says in one sentence what to do
 */
export async function ensureBrowser(world: World): Promise<string> {
  let broken = '';
  const working = async () => {
    const path = world.find();
    const answer = path === undefined || (await world.starts(path));
    if (answer === true) return path;
    broken = `${path} does not start: ${answer}`;
    world.say(broken);
    return undefined;
  };
  const after = async ({ says, commands, minutes }: Way) => {
    world.say(says);
    return commands.every((command) => world.run(command, minutes)) ? working() : undefined;
  };
  let path = await working();
  if (!path && world.chosen) throw new Error(`The tests need a browser and CHROME_PATH does not name one that works (${broken}).`);
  path ??= await after(download);
  if (world.mayInstall) path ??= await after(packaged);
  if (world.mayInstall && broken) path ??= await after(libraries);
  if (path) return path;
  const why = broken && ` (${broken})`;
  throw new Error(`The tests need a browser and none could be had${why}: install Chrome, Chromium or Edge, or set CHROME_PATH to one.`);
}

/** Whether a browser starts without a window, by really starting it. */
async function starts(executablePath: string): Promise<true | string> {
  try {
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'], timeout: 60_000 });
    await browser.close();
    return true;
  } catch (error) {
    const text = String(error);
    return /error while loading shared libraries: [^\n]*/.exec(text)?.[0] ?? text.split('\n')[0] ?? text;
  }
}

/** stdin is closed: nothing may ask. */
function run([command = '', ...args]: readonly string[], minutes: number): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error } = spawnSync(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'], timeout: minutes * 60_000 });
  return error === undefined && status === 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const say = (line: string) => console.log(`tests: ${line}`);
  const mayInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
  const chosen = Boolean(process.env['CHROME_PATH']);
  try {
    say(`the browser is ${await ensureBrowser({ find: findBrowser, starts, run, say, chosen, mayInstall })}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
