/** Holdfast's Client, with its own server. */

import type * as Holdfast from '../../src/index.ts';
import type * as HoldfastServer from '../../src/server/index.ts';
import { type Backend, build, describe, type Ear, type Frontend, here, load, type Peer, QuietSocket, sleep, WORK } from './peer.ts';

const DIST = '../../dist/index.js';
const { Client } = await load<typeof Holdfast>(DIST);
const { createServer } = await load<typeof HoldfastServer>('../../dist/server/index.js');

const CHANNEL = 'news';
const NOTES = 'notes';

async function serve(): Promise<Backend> {
  const house = await build();
  const received: number[] = [];
  let executed = 0;
  const note = (message: unknown) => void received.push(Number(message));
  const server = createServer({
    server: house.http,
    handlers: {
      events: { note },
      methods: {
        note,
        slow: async () => {
          executed++;
          await sleep(WORK);
          return 'done';
        },
      },
    },
    authorize: ({ action, channel, data }) => {
      if (action === 'publish' && channel === NOTES) note(data);
      return true;
    },
    authenticate: () => void backend.welcomed(), // for every connection: a client that comes back is not a new one
  });
  const backend: Backend = {
    ...house,
    received,
    get executed() {
      return executed;
    },
    welcomed: () => {},
    publish: (message) => void server.publish(CHANNEL, message),
    stop() {
      void server.close({ drain: 0 });
      house.shut();
    },
  };
  return backend;
}

const SEND = '`send`';
const CALL = '`call`';
const PUBLISH = '`publish`';

async function connect(url: string, ear: Ear): Promise<Frontend> {
  const client = new Client(url, {
    createSocket: (address, protocols) => new QuietSocket(address, protocols),
  });
  client.addEventListener('open', () => ear.opened());
  client.addEventListener('close', () => ear.lost());
  client.addEventListener('drop', ({ data, reason }) => ear.told(Number(data), `reported by a \`drop\` event (${reason})`));
  const rejected = (message: number, what: string) => (error: unknown) => ear.told(message, `${what} (${describe(error)})`);
  let promised = 0;
  return {
    send(message, way) {
      if (way === SEND) client.send('note', message);
      else if (way === CALL) client.call('note', message).catch(rejected(message, 'rejected'));
      else {
        const receipt = client.channel(NOTES).publish(message);
        receipt.acknowledged.catch((error) => {
          promised++;
          rejected(message, 'rejected by their receipts')(error);
        });
      }
    },
    call: () => client.call('slow'),
    subscribe(hear) {
      const channel = client.channel(CHANNEL);
      channel.subscribe((message) => hear(Number(message)));
      channel.addEventListener('gap', () => ear.gap('`gap` event'));
    },
    reconnect: () => client.reconnect(),
    // What a receipt has told already is not told again by the counter.
    doubts: () => ({ '`stats.unconfirmed`': client.stats.unconfirmed - promised }),
    close: () => void client.close(),
  };
}

export const holdfast: readonly Peer[] = [
  {
    name: 'Holdfast `Client`',
    options: '',
    kind: 'client',
    manifest: here('../../package.json'),
    module: `export { Client } from '${here(DIST)}'`,
    ways: { send: [SEND, CALL, PUBLISH], call: [''], subscribe: [''] },
    serve,
    connect,
  },
];
