/**
 * Faults to be put into the code, to see that the simulation finds them: `npm run sim:mutations`. Each is one replacement in one file; a copy of
 * the tree is mended (or rather, broken) and simulated until a seed fails.
 */

export interface Mutation {
  /** The rule that is broken. */
  readonly breaks: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const mutations: readonly Mutation[] = [
  {
    breaks: 'a call that was written is given up when its connection is lost',
    file: 'conversation.ts',
    find: 'this.#caller.lost();\n    this.#responder.stop',
    replace: 'this.#responder.stop',
  },
  {
    breaks: 'a call says that it may have been executed',
    file: 'caller.ts',
    find: 'it may have been executed or not`, true)',
    replace: 'it may have been executed or not`, false)',
  },
  {
    breaks: 'a channel that was away has a gap',
    file: 'channel.ts',
    find: 'if (this.#confirmed && !recovered)',
    replace: 'if (this.#confirmed && recovered)',
  },
  {
    breaks: 'what comes right behind the confirmation of a subscription is delivered',
    file: 'channels.ts',
    find: 'done: () => this.#answered(wish, undefined, false),\n        })\n        .catch(failed)',
    replace: '})\n        .then(() => this.#answered(wish, undefined, false), failed)',
  },
  {
    breaks: 'what waits keeps its order',
    file: 'core/outbox.ts',
    find: 'return this.#lanes[0]?.iterator.next().value;',
    replace: 'return [...(this.#lanes[0]?.entries ?? [])].at(-1);',
  },
  {
    breaks: 'nothing is taken from a connection that a handler has replaced',
    file: 'conversation.ts',
    find: "if (this.#connection.socket !== socket || this.state.status !== 'open') break;",
    replace: '',
  },
  {
    breaks: 'a server notices a client that says nothing',
    file: 'server/pulse.ts',
    find: 'if (waiting) return this.#events.silent();',
    replace: 'if (waiting) return this.#wait(interval);',
  },
  {
    breaks: 'a client notices a server that says nothing',
    file: 'conversation.ts',
    find: 'if (!protocol.pings || interval === undefined || timeout === undefined) return undefined;',
    replace: 'if (protocol.pings || interval === undefined || timeout === undefined) return undefined;',
  },
  {
    breaks: 'an attempt does not take for ever',
    file: 'core/machine.ts',
    find: "[{ type: 'startTimer', delay: clampDelay(connectTimeout) }, { type: 'openSocket' }]",
    replace: "[{ type: 'openSocket' }]",
  },
];
