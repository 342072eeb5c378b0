/**
 * A long job as a stream: each step is an item. It goes on after a cut where it was, also on a server that was restarted, since each item has
 * its place. Cancelling it stops the server.
 */

import { type Client, queued, SessionLostError, stream } from 'holdfast';
import type { Demo } from './contract.ts';
import { byId, enable, set } from './dom.ts';
import { job as words } from './words.ts';

const STEPS = 40;

export function showJob(client: Client<Demo>): void {
  const start = byId<HTMLButtonElement>('grow');
  const cancel = byId<HTMLButtonElement>('cancel');
  const outcome = byId('outcome');
  let current = 0;
  let controller: AbortController | undefined;
  /** The last step that has come. */
  let last = 0;
  /** How many connections it took so far. */
  let connections = 0;

  client.on('stopped', ({ job, step }) => {
    if (job === String(current)) set(outcome, words.stopped(step));
  });
  client.addEventListener('statechange', ({ previous }) => {
    if (controller && previous.status === 'open' && last > 0) set(outcome, words.cut(last));
  });
  client.addEventListener('open', () => connections++);

  function show(step: number): void {
    if (outcome.textContent === words.cut(last)) set(outcome, words.wentOn(step));
    else if (outcome.textContent === words.waiting) set(outcome, words.busy);
    last = step;
    byId<HTMLProgressElement>('progress').value = step / STEPS;
    set(byId('step'), step === 0 ? '' : `Step ${step} of ${STEPS}`);
  }

  async function run(signal: AbortSignal): Promise<string> {
    const isOpen = client.state.status === 'open';
    show(0);
    set(outcome, isOpen ? words.busy : words.waiting);
    connections = isOpen ? 1 : 0;
    for await (const step of stream(client, 'grow', { job: String(++current), steps: STEPS }, { signal })) {
      if (step !== last + 1) return words.misplaced(step, last);
      show(step);
    }
    return words.done(last, connections);
  }

  start.addEventListener('click', async () => {
    if (controller) return;
    controller = new AbortController();
    enable(start, false);
    enable(cancel, true);
    try {
      set(outcome, await run(controller.signal));
    } catch (error) {
      set(outcome, error instanceof SessionLostError ? words.lost : error instanceof Error ? `${error.message}.` : String(error));
    }
    controller = undefined;
    enable(start, true);
    enable(cancel, false);
  });
  cancel.addEventListener('click', () => {
    const waits = queued(client).some(({ name }) => name === 'grow');
    controller?.abort(waits ? words.takenBack : words.cancelled);
  });
}
