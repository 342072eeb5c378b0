/**
 * A client and a server over real sockets, both talking all the time, while the proxy between them cuts the connection at byte after byte: the
 * oracle of the simulation judges what their applications saw, and the taps count what was on the wire. Where the client runs is up to the
 * {@link Setting}: in Node (node-end.ts) or in a page (page-end.ts).
 */

import type { Oracle } from '../simulation/oracle.ts';
import { Random } from '../simulation/random.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { type EndSight, UNSEEN } from './client-end.ts';
import { Cutter, type Dose } from './cutter.ts';
import type { Load } from './load.ts';
import type { Meddle } from './numbers.ts';
import { type Report, wayReport } from './report.ts';
import { ServerSide } from './server-side.ts';
import { ServerTap } from './server-tap.ts';
import type { ServerWitness } from './witness.ts';

export interface ChaosOptions extends Load, Dose {
  readonly seed: number;
  /** The share of numbered frames that may be written again, from 0 to 1. */
  readonly resent: number;
  /** What the client's sockets write in the place of a message, where the harness itself is put to the test; in Node only. */
  readonly meddle?: Meddle;
}

/** The client, wherever it runs. */
export interface End {
  look(): EndSight | Promise<EndSight>;
  /** One of everything, whatever is due. */
  probe(): void | Promise<void>;
  /** Stops sending. */
  rest(): void | Promise<void>;
  close(): Promise<void>;
}

/** Where the client runs, and how the oracle hears of it. */
export interface Setting {
  readonly oracle: Oracle;
  readonly serverWitness: ServerWitness;
  /** The server is about to write a welcome on the connection with that URL. */
  welcomed(url: string): void;
  connect(url: string, seed: number, options: ChaosOptions): End | Promise<End>;
  /** Nothing more will be told. */
  conclude(): void;
}

/** A run in which nothing happens for so long is stuck; milliseconds. */
const STUCK = 20_000;
/** The same once nothing is cut any more: acknowledgements may take a second. */
const CALM = 3_000;
/** How often it is looked whether all is done; milliseconds. */
const LOOK = 5;

export async function chaos(options: ChaosOptions, setting: Setting): Promise<Report> {
  const { oracle } = setting;
  const stage = await build(options, setting);
  const { serverSide, serverTap, proxy, cutter, end } = stage;
  const start = performance.now();
  await perform(options, stage, oracle);
  const seconds = (performance.now() - start) / 1_000;
  setting.conclude();
  const { sight } = stage;
  const { status, queued, pending } = sight;
  oracle.finish({ session: serverSide.session, queued, pending, status });
  const counts = judged(sight, serverSide, serverTap, options, oracle);
  await end.close();
  await serverSide.server.close({ drain: 0 });
  await proxy.stop();
  const violations = [...oracle.violations, ...serverTap.violations];
  const { met, strays } = cutter;
  return { ...counts, seed: options.seed, seconds, violations, met, cuts: cutter.count('cut'), strays };
}

/** Everybody who takes part, connected; `sight` is what was seen of the client last. */
async function build(options: ChaosOptions, setting: Setting) {
  const random = new Random(options.seed);
  const serverSide = new ServerSide(setting.serverWitness, random.fork(), options);
  const { server } = serverSide;
  await server.listening;
  const serverTap = new ServerTap();
  serverTap.onwelcome = (url) => setting.welcomed(url);
  serverTap.tap(server.http);
  const proxy = await FaultProxy.start(server.port);
  const seen = { sight: UNSEEN };
  const sent = () => Math.min(serverSide.sight.sent, seen.sight.sent);
  // Before the first connection is made.
  const cutter = new Cutter(proxy, random.fork(), options, () => Math.max(0, 1 - sent() / options.messages));
  const end = await setting.connect(proxy.url('/'), random.between(1, 1e9), options);
  return Object.assign(seen, { serverSide, serverTap, proxy, cutter, end, sent });
}

type Stage = Awaited<ReturnType<typeof build>>;

/** Cuts and cuts until everything has been sent, and waits until all of it has arrived. */
async function perform(options: ChaosOptions, stage: Stage, oracle: Oracle): Promise<void> {
  const { serverSide, proxy, cutter, end, sent } = stage;
  const look = async () => {
    stage.sight = await end.look();
    const { sent: ours, handled, receipts, unanswered } = stage.sight;
    return JSON.stringify([ours, handled, receipts, unanswered, serverSide.sight, proxy.accepted]);
  };
  const until = waiter(look, (sign) => oracle.surprised(`stuck: ${sign}`));
  serverSide.start();
  // A session of which the server has not heard a word yet ends with its connection (docs/protocol.md, section Opening).
  await until(() => serverSide.sight.handled > 0, STUCK);
  cutter.start();
  await until(() => sent() >= options.messages && cutter.pending === 0, STUCK);
  serverSide.stop();
  await end.rest();
  cutter.stop();
  const isQuiet = () => isAtRest(stage.sight, serverSide);
  const isWell = await until(isQuiet, CALM);
  // One of everything, which has to work, and has to be acknowledged.
  await end.probe();
  serverSide.probe();
  const isTold = () => stage.sight.receipts === stage.sight.sent || !stage.sight.resumes;
  if (isWell) await until(() => isQuiet() && isTold(), CALM);
}

/** Whether everything that was sent is handled, and everything answered. */
function isAtRest(ours: EndSight, { sight: theirs }: ServerSide): boolean {
  const open = ours.unanswered + theirs.unanswered + ours.queued + ours.pending;
  return open === 0 && ours.handled === theirs.sent && theirs.handled === ours.sent && ours.status === 'open';
}

/** What the counts come to. */
function judged(sight: EndSight, serverSide: ServerSide, serverTap: ServerTap, options: ChaosOptions, oracle: Oracle) {
  const up = wayReport(sight, serverSide.sight, sight.written, serverTap.arrived);
  const down = wayReport(serverSide.sight, sight, serverTap.written, sight.arrived);
  for (const [way, { sent, handled }] of Object.entries({ up, down }))
    if (sent !== handled) oracle.surprised(`${way}: ${handled} of ${sent} events were handled`);
  const resent = (up.again + down.again) / Math.max(1, up.frames + down.frames);
  if (resent > options.resent) oracle.surprised(`${(100 * resent).toFixed(2)} % of the numbered frames were written again`);
  const { receipts, connections, resent: clientResent } = sight;
  // It may count what it gave to a socket that was closing by then.
  if (clientResent !== undefined && clientResent < up.again)
    oracle.surprised(`the client says that it wrote ${clientResent} frames again, and ${up.again} were seen`);
  return { up, down, resent, receipts, connections, clientResent };
}

/** Waits until something is so; gives up, and returns false, when there is no sign of life any more. */
function waiter(look: () => Promise<string>, stuck: (sign: string) => void) {
  return async (isSo: () => boolean, patience: number): Promise<boolean> => {
    let [sign, since] = [await look(), performance.now()];
    while (!isSo()) {
      await new Promise((resolve) => setTimeout(resolve, LOOK));
      const now = await look();
      if (now !== sign) [sign, since] = [now, performance.now()];
      else if (performance.now() - since > patience) {
        stuck(sign);
        return false;
      }
    }
    return true;
  };
}
