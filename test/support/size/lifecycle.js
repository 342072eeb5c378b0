// Stands for src/io/lifecycle.ts where the size without it is measured. Never run.
export const browserLifecycle = { hidden: false, onLine: true, watch: () => () => {} };
