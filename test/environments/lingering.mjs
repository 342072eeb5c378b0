// A program whose link is dead when it closes. Arguments: the path of dist, `global` or `ws`, the URL of a proxy, and one that is asked to
// lead the link into a black hole. Says so when it is closed; then only its socket keeps the process alive.

import { createRequire } from 'node:module';

const [dist, kind, url, kill] = process.argv.slice(2);
const { Client } = await import(`${dist}/index.js`);
const { WebSocket: Ws } = kind === 'ws' ? createRequire(import.meta.url)('ws') : {};
const client = new Client(url, Ws ? { createSocket: (address, protocols) => new Ws(address, protocols) } : {});
await client.connect();
await (await fetch(kill)).text();
await client.close();
console.log('closed');
