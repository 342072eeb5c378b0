/** Who is put to the test. */

import type { Client } from '../../src/client.ts';
import { upload } from '../../src/upload.ts';
import type { Subject } from './world.ts';

export type { Subject };

/** The client, which has to keep every promise. */
export const client: Subject = { name: 'client', nothingLost: true, sessions: true, wrap: (each) => each };

/** At a server without sessions: it may lose what it had written, and has to keep every other promise. */
export const forgetful: Subject = { name: 'forgetful', nothingLost: false, sessions: false, wrap: (each) => each };

/** The same, which says that it loses nothing. */
export const boastful: Subject = { ...forgetful, name: 'boastful', nothingLost: true };

/** What people write themselves: remember what was sent in the last seconds, and send it again after every reconnect. */
export const naive: Subject = {
  name: 'naive',
  nothingLost: true,
  sessions: false,
  wrap(client: Client) {
    const log: { name: string; data: unknown }[] = [];
    let opened = 0;
    client.addEventListener('open', () => {
      if (opened++ > 0) for (const { name, data } of [...log]) client.send(name, data);
    });
    return {
      send(name, data, options = {}) {
        log.push({ name, data });
        if (log.length > 20) log.shift();
        return client.send(name, data, options);
      },
    };
  },
};

/** Says that nobody notices who is away for a moment, and waits for nobody. */
export const graceless: Subject = { ...client, name: 'graceless', grace: 1_000 };

/** Says that it reads no more than is wanted, and reads everything at once. */
export const hasty: Subject = {
  ...client,
  name: 'hasty',
  upload: (to, method, params, source, options) =>
    upload(to, method, params, Symbol.iterator in source && !ArrayBuffer.isView(source) ? [...source] : source, options),
};
