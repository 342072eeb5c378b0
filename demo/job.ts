/** A call that takes its time: progress comes as events, and cancelling it stops the server. */

import { type Client, SessionLostError } from 'holdfast';
import type { Demo } from './contract.ts';
import { byId, set } from './dom.ts';

const STEPS = 40;

export function showJob(client: Client<Demo>): void {
  const start = byId<HTMLButtonElement>('grow');
  const cancel = byId<HTMLButtonElement>('cancel');
  const progress = byId<HTMLProgressElement>('progress');
  const outcome = byId('outcome');
  let current = 0;
  let controller: AbortController | undefined;

  client.on('progress', ({ job, step }) => {
    if (job !== String(current)) return;
    progress.value = step / STEPS;
    set(outcome, `Step ${step} of ${STEPS}.`);
  });
  client.on('stopped', ({ job, step }) => {
    if (job === String(current)) set(outcome, `Cancelled; the server stopped before step ${step}.`);
  });

  start.addEventListener('click', async () => {
    const job = String(++current);
    controller = new AbortController();
    start.disabled = true;
    cancel.disabled = false;
    progress.value = 0;
    set(outcome, client.state.status === 'open' ? 'Asked.' : 'Waiting for a connection.');
    try {
      set(outcome, `The server says: ${await client.call('grow', { job, steps: STEPS }, { signal: controller.signal })}.`);
    } catch (error) {
      set(outcome, failure(error));
    }
    const hadFocus = document.activeElement === cancel;
    start.disabled = false;
    cancel.disabled = true;
    if (hadFocus) start.focus();
  });
  cancel.addEventListener('click', () => controller?.abort());
}

function failure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError') return 'Cancelled; the server is told.';
  if (error instanceof SessionLostError) return 'The connection was lost: it may have been done or not, and nobody pretends to know.';
  return `${error.message}.`;
}
