/** What the pages of these tests put on `window`. */

interface Window {
  Holdfast: typeof import('../../src/index.ts');
  ws: InstanceType<typeof import('../../src/index.ts').ReconnectingWebSocket>;
  log: string[];
}
