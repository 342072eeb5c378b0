/** Chaos with the client in Node: everything in one process, and the oracle hears it at once. */

import { WebSocket as WS } from 'ws';
import { Client } from '../../src/index.ts';
import { Oracle } from '../simulation/oracle.ts';
import { type ChaosOptions, chaos } from './chaos.ts';
import { ClientEnd } from './client-end.ts';
import type { Report } from './report.ts';

export function chaosInNode(options: ChaosOptions): Promise<Report> {
  const oracle = new Oracle({ nothingLost: true });
  return chaos(options, {
    oracle,
    serverWitness: oracle,
    welcomed: () => {},
    connect: (url, seed) => {
      const platform = { Client, open: (where: string, protocols: string[]) => new WS(where, protocols), meddle: options.meddle };
      return new ClientEnd(url, seed, options, platform, () => oracle);
    },
    conclude: () => {},
  });
}
