import { expect, it } from 'vitest';
import { type Effect, transition } from '../../src/core/machine.ts';
import { at, type EventName, events, moment, rules } from '../support/machine.ts';

const told = (effect: Effect): string => {
  if (effect.type === 'startTimer') return `startTimer(${effect.delay})`;
  if (effect.type === 'emitLost') return `emitLost(${effect.loss.code}, ${effect.willReconnect ? 'will reconnect' : 'final'})`;
  if (effect.type === 'dropSocket') return `dropSocket(${effect.loss.code})`;
  return effect.type;
};

it('every state answers every event as it always has', async () => {
  const rows: string[] = [];
  for (const [name, model] of Object.entries(at)) {
    rows.push(`${name}`);
    for (const event of Object.keys(events) as EventName[]) {
      const [next, effects] = transition(model, events[event], moment, rules);
      const { state } = next;
      const same = state === model.state && effects.length === 0;
      const where = state.status === 'connecting' ? `connecting ${state.phase} #${state.attempt}` : state.status;
      rows.push(`  ${event.padEnd(10)} ${same ? '-' : `${where}: ${effects.map(told).join(', ') || 'nothing to do'}`}`);
    }
  }
  await expect(`${rows.join('\n')}\n`).toMatchFileSnapshot('matrix.golden.txt');
});
