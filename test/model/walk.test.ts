import assert from 'node:assert/strict';
import { beforeAll, describe, expect, it } from 'vitest';
import { backoff } from '../../src/core/backoff.ts';
import { type Effect, type Event, initial, type Model, type Moment, type Rules, transition } from '../../src/core/machine.ts';
import { events } from '../support/machine.ts';

/** What the shell holds after it has carried out the effects. */
interface Held {
  readonly socket: boolean;
  readonly timer: boolean;
  readonly heartbeat: boolean;
  readonly watching: boolean;
  /** A life has begun and its last close event has not been told. */
  readonly alive: boolean;
}

interface Node {
  readonly model: Model;
  readonly held: Held;
}

const nothing: Held = { socket: false, timer: false, heartbeat: false, watching: false, alive: false };

function carryOut(held: Held, effect: Effect): Held {
  switch (effect.type) {
    case 'openSocket':
      assert.equal(held.socket, false, 'never two sockets');
      return { ...held, socket: true, alive: true };
    case 'closeSocket':
      assert.equal(held.socket, true, 'there is a socket to close');
      return { ...held, heartbeat: false, alive: true };
    case 'dropSocket':
      return { ...held, socket: false, heartbeat: false };
    case 'startTimer':
      return { ...held, timer: true, alive: true };
    case 'stopTimer':
      return { ...held, timer: false };
    case 'startHeartbeat':
      assert.equal(held.socket, true, 'a heartbeat needs a socket');
      assert.equal(held.heartbeat, false, 'never two heartbeats');
      return { ...held, heartbeat: true };
    case 'watch':
      assert.equal(held.watching, false, 'never two watches');
      return { ...held, watching: true };
    case 'unwatch':
      return { ...held, watching: false };
    case 'emitLost':
      assert.equal(held.alive, true, 'nothing is told after the last close event');
      return effect.willReconnect ? held : { ...held, alive: false };
    case 'runHandshake':
    case 'probe':
    case 'emitOpened':
      assert.equal(held.socket, true, `${effect.type} needs a socket`);
      return held;
    default:
      return effect satisfies never;
  }
}

function assertInvariants({ model, held }: Node, rules: Rules): void {
  const { state, memory } = model;
  const { status } = state;
  assert.equal(held.socket, status === 'connecting' || status === 'open' || (status === 'closing' && state.socket), status);
  assert.equal(held.timer, status === 'connecting' || status === 'waiting' || status === 'offline' || status === 'closing', status);
  assert.equal(held.heartbeat, status === 'open', status);
  const over = status === 'idle' || status === 'closed';
  assert.equal(held.alive, !over, status);
  // An idle connection that is closed was never watching; every other life was.
  if (over) assert.deepEqual(held, nothing);
  assert.ok(memory.attempt <= rules.maxRetries);
  assert.ok(memory.suspects < 3);
}

/** Two times that are further apart than every span the machine knows; nobody looks while offline, which is one moment less. */
const moments: Moment[] = [0, 10_000].flatMap((now) => [
  { now, wall: 0, random: 0.5, hidden: false, onLine: true },
  { now, wall: 0, random: 0.5, hidden: true, onLine: false },
]);

/** Every state that can be reached, by any event at any moment, with what is held there. */
function walk(rules: Rules): Map<string, Node> {
  const seen = new Map<string, Node>();
  const todo: Node[] = [{ model: initial, held: nothing }];
  for (let node = todo.pop(); node; node = todo.pop()) {
    const key = keyOf(node);
    if (seen.has(key)) continue;
    seen.set(key, node);
    assertInvariants(node, rules);
    for (const next of successors(node, Object.values(events), rules)) todo.push(next);
  }
  return seen;
}

function successors({ model, held }: Node, possible: readonly Event[], rules: Rules): Node[] {
  return possible
    .filter((event) => canHappen(model, event))
    .flatMap((event) =>
      moments.map((moment) => {
        const [next, effects] = transition(model, event, moment, rules);
        return { model: bounded(next), held: effects.reduce(carryOut, held) };
      }),
    );
}

/** Coarse times, before or after the two moments: otherwise time that never passes would make new states for ever. */
function bounded({ state, memory }: Model): Model {
  const forcedAt = memory.forcedAt > 0 ? 10_000 : memory.forcedAt;
  const retryAt = memory.retryAt > 10_000 ? 20_000 : 10_000;
  return { state: 'retryAt' in state ? { ...state, retryAt } : state, memory: { ...memory, forcedAt, retryAt } };
}

/** A shell cannot report the opening of a socket that was not made yet; everything else can come at any time. */
function canHappen({ state }: Model, { type }: Event): boolean {
  const phase = state.status === 'connecting' ? state.phase : undefined;
  if (type === 'socketOpened' || type === 'handshakeDone') return phase !== 'resolving';
  return true;
}

function keyOf({ model: { state, memory }, held }: Node): string {
  const plain = (_: string, value: unknown) => (value === -Infinity ? 'never' : value);
  return JSON.stringify([state, { ...memory, cause: memory.cause?.code }, held], plain);
}

describe.each([
  ['without a handshake', { handshake: false, maxRetries: 3 }],
  ['with a handshake', { handshake: true, maxRetries: 3 }],
  ['without retries', { handshake: false, maxRetries: 0 }],
])('walking through every state that can be reached, %s', (_, over) => {
  const rules: Rules = { stableAfter: 5_000, connectTimeout: 10_000, closeTimeout: 2_000, delay: backoff, ...over };
  let seen = new Map<string, Node>();
  beforeAll(() => {
    seen = walk(rules);
  }, 60_000);

  it('meets every status, and holds what it should everywhere', () => {
    const met = new Set([...seen.values()].map(({ model }) => model.state.status));
    const expected = ['idle', 'connecting', 'open', 'closing', 'closed', ...(over.maxRetries > 0 ? ['waiting', 'offline'] : [])];
    expect([...met].sort()).toEqual(expected.sort());
    expect(seen.size).toBeGreaterThan(over.maxRetries > 0 ? 500 : 50);
  });

  it('finds a way on from every state that is not final, by nothing but what happens by itself', () => {
    for (const node of seen.values()) {
      const { status } = node.model.state;
      if (status === 'idle' || status === 'closed') continue;
      // The connect timer and a dead link are losses; the other timers are timers.
      const itself: readonly Event[] = status === 'connecting' || status === 'open' ? [events.lost] : [events.timer];
      const next = successors(node, itself, rules).map(({ model }) => model.state.status);
      assert.ok(
        next.every((other) => other !== status),
        `stuck in ${status}`,
      );
    }
  });

  it('can close from everywhere: closing, then closed, with the last close event told once', () => {
    for (const node of seen.values()) {
      const { status } = node.model.state;
      if (status === 'closing' || status === 'closed') continue;
      for (const closing of successors(node, [events.close], rules)) {
        assert.equal(closing.model.state.status, 'closing');
        for (const closed of successors(closing, [events.timer, events.lost], rules)) {
          assert.equal(closed.model.state.status, 'closed');
          assert.deepEqual(closed.held, nothing);
        }
      }
    }
  });

  it('can reconnect from everywhere, at once', () => {
    for (const node of seen.values())
      for (const next of successors(node, [events.reconnect], rules)) assert.equal(next.model.state.status, 'connecting');
  });
});
