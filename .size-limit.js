// What the library weighs, brotli. `npm run size` fails above the limits; they are raised only with a reason in the changelog.
import { fileURLToPath } from 'node:url';

const stub = (name) => fileURLToPath(new URL(`test/support/size/${name}`, import.meta.url));

/** Bundles as if heartbeat and page lifecycle did not exist: what wrappers without them are to be compared with. */
const withoutExtras = (config) => ({
  ...config,
  plugins: [
    {
      name: 'stubs',
      setup(build) {
        build.onResolve({ filter: /^\.\/heartbeat\.js$/ }, ({ importer }) =>
          /connection\.js$/.test(importer) ? { path: stub('heartbeat.js') } : undefined,
        );
        build.onResolve({ filter: /\/lifecycle\.js$/ }, () => ({ path: stub('lifecycle.js') }));
      },
    },
  ],
});

export default [
  { name: '{ ReconnectingWebSocket }', path: 'dist/index.js', import: '{ ReconnectingWebSocket }', limit: '9.9 kB' },
  {
    name: '{ ReconnectingWebSocket } without heartbeat and page lifecycle',
    path: 'dist/index.js',
    import: '{ ReconnectingWebSocket }',
    modifyEsbuildConfig: withoutExtras,
    limit: '8.7 kB',
  },
  { name: '{ Client }', path: 'dist/index.js', import: '{ Client }', limit: '26.8 kB' },
  { name: '{ Client, stream }', path: 'dist/index.js', import: '{ Client, stream }', limit: '27.5 kB' },
  { name: '{ Client, presence }', path: 'dist/index.js', import: '{ Client, presence }', limit: '28 kB' },
  { name: '{ Client, upload }', path: 'dist/index.js', import: '{ Client, upload }', limit: '28 kB' },
  { name: '{ Client, inspect }', path: 'dist/index.js', import: '{ Client, inspect }', limit: '28.8 kB' },
  { name: 'script tag', path: 'dist/holdfast.iife.js', disablePlugins: ['@size-limit/esbuild'], limit: '33.9 kB' },
];
