/** Who is in the room: this tab under its name, and the others. A tab that is cut off for a moment never leaves. */

import { type Client, presence } from 'holdfast';
import type { Demo } from './contract.ts';
import { byId, set } from './dom.ts';
import { here } from './words.ts';

export function showHere(client: Client<Demo>, me: string): void {
  const people = presence<{ readonly name: string }>(client.channel('room'), { data: { name: me } });
  people.addEventListener('change', () => {
    const names = [...people.members].map(([id, { data }]) => (id === people.me ? `${data.name} (you)` : data.name));
    set(byId('here'), here(names));
  });
}
