import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { defineConfig } from 'vite';

// Two passes of one library (vite builds several formats of several entries only one at a time): ES modules, one file per source
// file, so that a bundler sees what it can leave out, and the script-tag bundle with the global `Holdfast`.
const modules = {
  build: {
    target: 'es2022',
    minify: false,
    sourcemap: true,
    emptyOutDir: false,
    lib: {
      entry: { index: 'src/index.ts', 'server/index': 'src/server/index.ts', 'server/cli': 'src/server/cli.ts' },
      formats: ['es' as const],
    },
    rolldownOptions: {
      // What is not external comes along, so that a page can load the modules as they are, without a bundler or an import map.
      external: [/^node:/, 'ws'],
      output: {
        preserveModules: true,
        preserveModulesRoot: 'src',
        entryFileNames: ({ name }: { name: string }) => `${name.replace(/^.*node_modules\/([^/]*)\/.*$/, 'vendor/$1')}.js`,
      },
    },
  },
};
const BUNDLE = 'holdfast.iife.js';
/** The hash of the bundle, for the `integrity` of a script tag (W3C Subresource Integrity). */
const integrity = {
  name: 'integrity',
  writeBundle({ dir }: { dir?: string | undefined }) {
    const hash = createHash('sha384').update(readFileSync(`${dir}/${BUNDLE}`));
    writeFileSync(`${dir}/integrity.json`, `${JSON.stringify({ [BUNDLE]: `sha384-${hash.digest('base64')}` }, undefined, 2)}\n`);
  },
};
const script = {
  plugins: [integrity],
  build: {
    target: 'es2022',
    sourcemap: true,
    emptyOutDir: false,
    lib: { entry: 'src/index.ts', formats: ['iife' as const], name: 'Holdfast', fileName: () => BUNDLE },
  },
};

export default defineConfig(({ mode }) => (mode === 'iife' ? script : modules));
