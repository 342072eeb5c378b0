/** What the pages of these tests put on `window`. */

interface Window {
  Holdfast: typeof import('../../src/index.ts');
  ws: InstanceType<typeof import('../../src/index.ts').ReconnectingWebSocket>;
  inspector: import('../../src/index.ts').Inspector;
  log: string[];
}
