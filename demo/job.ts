/** A call that takes its time: progress comes as events, and cancelling it stops the server. */

import { type Client, SessionLostError } from 'holdfast';
import type { Demo } from './contract.ts';
import { byId, enable, set } from './dom.ts';

const STEPS = 40;
const BUSY = 'The server is at it.';

export function showJob(client: Client<Demo>): void {
  const start = byId<HTMLButtonElement>('grow');
  const cancel = byId<HTMLButtonElement>('cancel');
  const progress = byId<HTMLProgressElement>('progress');
  const outcome = byId('outcome');
  let current = 0;
  let controller: AbortController | undefined;

  client.on('progress', ({ job, step }) => {
    if (job !== String(current) || !controller) return;
    set(outcome, BUSY);
    progress.value = step / STEPS;
    set(byId('step'), `Step ${step} of ${STEPS}`);
  });
  client.on('stopped', ({ job, step }) => {
    if (job === String(current)) set(outcome, `Cancelled; the server stopped before step ${step}.`);
  });

  start.addEventListener('click', async () => {
    if (controller) return;
    controller = new AbortController();
    const job = String(++current);
    enable(start, false);
    enable(cancel, true);
    progress.value = 0;
    set(byId('step'), '');
    set(outcome, client.state.status === 'open' ? BUSY : 'Waiting for a connection.');
    try {
      set(outcome, `The server says: ${await client.call('grow', { job, steps: STEPS }, { signal: controller.signal })}.`);
    } catch (error) {
      set(outcome, failure(error, outcome.textContent === BUSY));
    }
    controller = undefined;
    enable(start, true);
    enable(cancel, false);
  });
  cancel.addEventListener('click', () => controller?.abort());
}

function failure(error: unknown, wasSent: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError') return wasSent ? 'Cancelled; the server is being told.' : 'Cancelled before it was sent.';
  if (error instanceof SessionLostError) return 'The connection was lost: done or not, nobody can know.';
  return `${error.message}.`;
}
