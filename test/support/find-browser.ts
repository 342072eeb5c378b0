/** Which browser the tests drive: an installed Chrome, Chromium or Edge, or the one that Playwright has downloaded. */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { posix, win32 } from 'node:path';
import { chromium } from 'playwright-core';

/** What a Chromium that is driven by a program does without: a sandbox, which root has none of, a screen, and talks of its own. */
export const CHROMIUM_FLAGS: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The variables that have a say. */
export interface Environment {
  readonly CHROME_PATH?: string | undefined;
  readonly PATH?: string | undefined;
  readonly PROGRAMFILES?: string | undefined;
  readonly 'PROGRAMFILES(X86)'?: string | undefined;
  readonly LOCALAPPDATA?: string | undefined;
}

/** What there is to know about a machine. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Environment;
  readonly home: string;
  exists(path: string): boolean;
  /** Where Playwright's own download is, or would be. */
  downloaded(): string | undefined;
}

/** This one. */
export const thisMachine: Machine = {
  platform: process.platform,
  env: process.env,
  home: homedir(),
  exists: existsSync,
  downloaded: () => chromium.executablePath(),
};

const LINUX = ['google-chrome', 'google-chrome-stable', 'chromium', 'microsoft-edge', 'microsoft-edge-stable'];
const MAC = ['Google Chrome', 'Chromium', 'Microsoft Edge'];
const WINDOWS = [
  'Google\\Chrome\\Application\\chrome.exe',
  'Chromium\\Application\\chrome.exe',
  'Microsoft\\Edge\\Application\\msedge.exe',
];

/**
 * The path of a browser, or undefined where there is none.
 *
 * @throws Error when CHROME_PATH names a file that does not exist
 */
export function findBrowser(machine: Machine = thisMachine): string | undefined {
  const wanted = machine.env.CHROME_PATH;
  if (wanted && !machine.exists(wanted)) throw new Error(`CHROME_PATH names a file that does not exist: ${wanted}`);
  return wanted || candidates(machine).find((path) => machine.exists(path));
}

function candidates(machine: Machine): string[] {
  const downloaded = machine.downloaded();
  // On Ubuntu chromium-browser may be a mere script that asks for a snap: the last resort.
  return [...installed(machine), ...(downloaded ? [downloaded] : []), ...onPath(machine, ['chromium-browser'])];
}

function installed(machine: Machine): string[] {
  const { platform, env, home } = machine;
  if (platform === 'darwin') {
    const places = ['/Applications', `${home}/Applications`];
    return [...MAC.flatMap((name) => places.map((place) => `${place}/${name}.app/Contents/MacOS/${name}`)), ...onPath(machine, LINUX)];
  }
  if (platform === 'win32') {
    const places = [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA].filter((place) => place !== undefined);
    return WINDOWS.flatMap((name) => places.map((place) => win32.join(place, name)));
  }
  return [...onPath(machine, LINUX), '/opt/google/chrome/chrome', '/snap/bin/chromium'];
}

/** By name first: Chrome anywhere comes before Chromium. */
function onPath({ platform, env }: Machine, names: readonly string[]): string[] {
  if (platform === 'win32') return [];
  const folders = (env.PATH ?? '').split(posix.delimiter).filter((folder) => posix.isAbsolute(folder));
  return names.flatMap((name) => folders.map((folder) => posix.join(folder, name)));
}
