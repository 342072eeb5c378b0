import { defineConfig } from 'vitest/config';

// One run of everything, from fast to real. The browser tests drive an installed browser by playwright-core from Node.
export default defineConfig({
  test: {
    reporters: ['default', './test/support/summary-reporter.ts'],
    coverage: { provider: 'v8', include: ['src/**'] },
    projects: [
      // Nothing here waits for a real clock, but walks and properties are work: a busy machine may take its time.
      {
        test: {
          name: 'core',
          environment: 'node',
          include: ['test/{core,model,wire,client,server,demo,simulation}/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      { test: { name: 'socket', environment: 'happy-dom', include: ['test/socket/**/*.test.ts'] } },
      {
        test: {
          name: 'node',
          environment: 'node',
          include: ['test/{e2e,types,package,docs,chaos,environments}/**/*.test.ts'],
          testTimeout: 180_000, // ten thousand kills take a minute where four others want the same core
          execArgv: ['--expose-gc'],
        },
      },
      { test: { name: 'browser', environment: 'node', include: ['test/browser/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 } },
    ],
  },
});
