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
const script = {
  build: {
    target: 'es2022',
    sourcemap: true,
    emptyOutDir: false,
    lib: { entry: 'src/index.ts', formats: ['iife' as const], name: 'Holdfast', fileName: () => 'holdfast.iife.js' },
  },
};

export default defineConfig(({ mode }) => (mode === 'iife' ? script : modules));
