/** A program: a server that tells its parent which notes it hears, and dies of poison. Its argument is the port, 0 for any. */

import { createServer } from '../../src/server/index.ts';

const server = createServer({
  port: Number(process.argv[2]),
  hostname: '127.0.0.1',
  handlers: {
    events: {
      note: (data) => void process.send?.({ note: data }),
      poison: () => process.exit(7),
    },
  },
});
await server.listening;
process.send?.({ port: server.port });
