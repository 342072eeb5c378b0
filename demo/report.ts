/** What the library saw and did, and why, as a file: to be attached to a complaint. */

import { type Client, inspect } from 'holdfast';
import type { Demo } from './contract.ts';
import { byId, make } from './dom.ts';

export function offerReport(client: Client<Demo>): void {
  const inspector = inspect(client);
  byId('report').addEventListener('click', () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(inspector, undefined, 2)], { type: 'application/json' }));
    make('a', { href: url, download: 'holdfast-report.json' }).click();
    URL.revokeObjectURL(url);
  });
}
