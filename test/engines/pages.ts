/** The pages of the scenarios, beside those that all browser tests have. */

import type { Sheet } from '../support/pages.ts';

const BUNDLE = '<script src="/dist/holdfast.iife.js"></script><script src="/here.js"></script>';

/** A component that is mounted, unmounted and mounted in one task, as React does it while developing, in each of two scripts. */
const TWICE = (name: string) => `<script type="module">
  import { mount } from '/mount.js';
  mount('${name}')();
  mount('${name}');
</script>`;

export const PAGES: Record<string, Sheet> = {
  '/page': { html: BUNDLE },
  '/page-forbidden': { html: BUNDLE, policy: "connect-src 'self'" },
  '/page-strict': {
    html: BUNDLE,
    policy:
      "default-src 'none'; script-src 'self'; connect-src ws:; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'",
  },
  '/twice': { html: TWICE('first') + TWICE('second') },
  /** One client for all that is mounted. The address is in the query of the page. */
  '/mount.js': {
    script: `import { Client } from '/dist/index.js';
let client;
let mounted = 0;
window.told = [];
export function mount(name) {
  if (mounted++ === 0) client = new Client(new URLSearchParams(location.search).get('server'));
  const { unsubscribe } = client.channel('room').subscribe((message) => window.told.push(name + ' ' + message));
  return () => {
    unsubscribe();
    if (--mounted === 0) client.close();
  };
}`,
  },
  /** A dedicated, shared or service worker with a client in it: \`answer\` to whoever asks, with how often it has connected. */
  '/worker.js': {
    script: `importScripts('/dist/holdfast.iife.js');
const client = new Holdfast.Client(new URLSearchParams(location.search).get('server'));
const serve = async ({ data, ports: [port] }) => {
  const result = await client.call('echo', data);
  port.postMessage({ result, connections: client.stats.connections });
};
self.onmessage = serve;
self.onconnect = ({ ports: [page] }) => {
  page.onmessage = serve;
};
self.oninstall = () => self.skipWaiting();
self.onactivate = (event) => event.waitUntil(self.clients.claim());`,
  },
};
