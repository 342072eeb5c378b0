import { defineConfig } from 'vitest/config';

// What Stryker runs for every mutant of the core: its own tests and nothing that needs a network, a browser or time.
export default defineConfig({ test: { environment: 'node', include: ['test/{core,model}/**/*.test.ts'] } });
