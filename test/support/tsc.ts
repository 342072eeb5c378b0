/** Runs the TypeScript compiler, as a user does. */

import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Compiled {
  /** 0 when there was nothing to complain about. */
  readonly code: number;
  /** The complaints. */
  readonly output: string;
}

/** Compiles the project of a tsconfig, with further options as on the command line. */
export function tsc(project: string, ...options: string[]): Promise<Compiled> {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [compiler, '-p', project, '--pretty', 'false', ...options], (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), output: stdout + stderr });
    });
  });
}

/** A project of its own in the folder for temporary files: path of its tsconfig.json. */
export async function temporaryProject(tsconfig: object, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-types-'));
  const contents = { 'tsconfig.json': JSON.stringify(tsconfig), ...files };
  await Promise.all(Object.entries(contents).map(([name, text]) => writeFile(join(folder, name), text)));
  return join(folder, 'tsconfig.json');
}
