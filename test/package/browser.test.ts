import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ensureBrowser, type World } from '../support/ensure-browser.ts';
import { findBrowser, type Machine } from '../support/find-browser.ts';

/** A machine with nothing on it but these files. */
const machine = (files: string[], more: Partial<Machine> = {}): Machine => ({
  platform: 'linux',
  env: { PATH: '/usr/local/bin:/usr/bin:relative' },
  home: '/home/me',
  exists: (path) => files.includes(path),
  downloaded: () => '/cache/playwright/chrome',
  ...more,
});

test.each<[string, string | undefined, Machine]>([
  ['Chromium on the PATH', '/usr/bin/chromium', machine(['/usr/bin/chromium'])],
  ['Chrome before Chromium, wherever it is', '/usr/bin/google-chrome', machine(['/usr/local/bin/chromium', '/usr/bin/google-chrome'])],
  ['Edge on Linux', '/usr/bin/microsoft-edge', machine(['/usr/bin/microsoft-edge'])],
  ['Chrome in its usual place on Linux', '/opt/google/chrome/chrome', machine(['/opt/google/chrome/chrome'])],
  ['what is installed before what was downloaded', '/usr/bin/chromium', machine(['/usr/bin/chromium', '/cache/playwright/chrome'])],
  ['what was downloaded', '/cache/playwright/chrome', machine(['/cache/playwright/chrome', '/usr/bin/chromium-browser'])],
  ["Ubuntu's chromium-browser, when there is nothing else", '/usr/bin/chromium-browser', machine(['/usr/bin/chromium-browser'])],
  ['nothing by a relative PATH', undefined, machine(['relative/chromium', 'relative/google-chrome'])],
  ['nothing where there is nothing', undefined, machine([])],
  ['nothing where Playwright knows of no download', undefined, machine([], { downloaded: () => undefined })],
  [
    'Chrome on macOS, for all users',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    machine(['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'], { platform: 'darwin' }),
  ],
  [
    'Edge on macOS, for one user',
    '/home/me/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
    machine(['/home/me/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge'], { platform: 'darwin' }),
  ],
  [
    'Edge on Windows',
    'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
    machine(['C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe'], {
      platform: 'win32',
      env: { PROGRAMFILES: 'C:\\Program Files', 'PROGRAMFILES(X86)': 'C:\\Program Files (x86)' },
    }),
  ],
  [
    'what CHROME_PATH names',
    '/my/chrome',
    machine(['/my/chrome', '/usr/bin/chromium'], { env: { CHROME_PATH: '/my/chrome', PATH: '/usr/bin' } }),
  ],
])('finds %s', (_, path, where) => {
  expect(findBrowser(where)).toBe(path);
});

test('a CHROME_PATH that does not exist is an error, whatever else there is', () => {
  const where = machine(['/usr/bin/chromium'], { env: { CHROME_PATH: '/gone', PATH: '/usr/bin' } });
  expect(() => findBrowser(where)).toThrow('CHROME_PATH names a file that does not exist: /gone');
});

/**
 * A world in which the commands that bring a browser are named; anything else fails. What they bring starts unless it is in `broken`.
 * `log` has what was said and run.
 */
function world(brings: Record<string, string>, more: Partial<World> & { broken?: string[]; has?: string } = {}) {
  const { broken = [], has, ...rest } = more;
  const log: string[] = [];
  let path = has;
  const made: World = {
    chosen: false,
    mayInstall: false,
    find: () => path,
    starts: async (candidate) => !broken.includes(candidate) || 'no libnss3.so',
    say: (line) => log.push(`"${line.replace(/:.*/, '')}"`),
    run: (command) => {
      const name = command.filter((word) => /^(install|install-deps|apt-get|update)$/.test(word)).join(' ');
      log.push(name);
      if (name === 'install-deps') broken.length = 0;
      path = brings[name] ?? path;
      return name in brings;
    },
    ...rest,
  };
  return { log, ensured: ensureBrowser(made) };
}

test('a browser that is there and starts is used, and nothing is got', async () => {
  const { log, ensured } = world({}, { has: '/usr/bin/chromium', mayInstall: true });
  expect(await ensured).toBe('/usr/bin/chromium');
  expect(log).toEqual([]);
});

test('where there is none, Playwright downloads one', async () => {
  const { log, ensured } = world({ install: '/cache/chrome' }, { mayInstall: true });
  expect(await ensured).toBe('/cache/chrome');
  expect(log).toEqual(['"no browser found"', 'install']);
});

test('where the download fails, root installs the package', async () => {
  const { log, ensured } = world({ 'apt-get update': '', 'apt-get install': '/usr/bin/chromium' }, { mayInstall: true });
  expect(await ensured).toBe('/usr/bin/chromium');
  expect(log).toEqual(['"no browser found"', 'install', '"still none"', 'apt-get update', 'apt-get install']);
});

test('a download that does not start is not taken for a browser', async () => {
  const { log, ensured } = world(
    { install: '/cache/chrome', 'apt-get update': '/cache/chrome', 'apt-get install': '/usr/bin/chromium' },
    { mayInstall: true, broken: ['/cache/chrome'] },
  );
  expect(await ensured).toBe('/usr/bin/chromium');
  expect(log).toContain('"/cache/chrome does not start"');
});

test('where there is no such package, root installs the libraries that the download needs', async () => {
  const { log, ensured } = world(
    { install: '/cache/chrome', 'apt-get update': '/cache/chrome', 'install-deps': '/cache/chrome' },
    { mayInstall: true, broken: ['/cache/chrome'] },
  );
  expect(await ensured).toBe('/cache/chrome');
  expect(log.slice(-4)).toEqual(['apt-get update', 'apt-get install', '"still none"', 'install-deps']);
});

test('without rights and without a download it says in one sentence what to do', async () => {
  const { log, ensured } = world({});
  await expect(ensured).rejects.toThrow(
    /^The tests need a browser and none could be had: install Chrome, Chromium or Edge, or set CHROME_PATH to one\.$/,
  );
  expect(log).toEqual(['"no browser found"', 'install']);
});

test('without rights, a download that does not start is named', async () => {
  const { log, ensured } = world({ install: '/cache/chrome' }, { broken: ['/cache/chrome'] });
  await expect(ensured).rejects.toThrow('none could be had (/cache/chrome does not start: no libnss3.so): install');
  expect(log.filter((line) => !line.startsWith('"'))).toEqual(['install']);
});

test('a chosen browser that does not start is not replaced by another', async () => {
  const { log, ensured } = world(
    { install: '/cache/chrome' },
    { has: '/my/chrome', chosen: true, broken: ['/my/chrome'], mayInstall: true },
  );
  await expect(ensured).rejects.toThrow('CHROME_PATH does not name one that works (/my/chrome does not start: no libnss3.so).');
  expect(log).toEqual(['"/my/chrome does not start"']);
});

test.each([
  ['that does not exist', '/nowhere/chrome', 'CHROME_PATH names a file that does not exist: /nowhere/chrome'],
  ['that is no browser', process.execPath, 'CHROME_PATH does not name one that works'],
])('the script fails at a CHROME_PATH %s', async (_, path, sentence) => {
  const script = fileURLToPath(new URL('../support/ensure-browser.ts', import.meta.url));
  const outcome = await new Promise((resolve) => {
    const env = { ...process.env, CHROME_PATH: path };
    execFile(process.execPath, ['--import', 'tsx', script], { env }, (error, _out, stderr) => resolve({ code: error?.code, stderr }));
  });
  expect(outcome).toEqual({ code: 1, stderr: expect.stringContaining(sentence) });
});
