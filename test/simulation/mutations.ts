/**
 * Faults to be put into the code, to see that the simulation finds them: `npm run sim:mutations`. A copy of the tree is broken, by one
 * replacement in one file and perhaps another one elsewhere, and simulated until a seed fails.
 */

interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutation extends Edit {
  /** The rule that is broken. */
  readonly breaks: string;
  /** What has to be replaced as well. */
  readonly and?: readonly Edit[];
}

export const mutations: readonly Mutation[] = [
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
    find: 'done: (result) => this.#confirmed(wish, Object(result) as Confirmed),\n      }).catch(failed)',
    replace: '}).then((result) => this.#confirmed(wish, Object(result) as Confirmed), failed)',
  },
  {
    breaks: 'what waits keeps its order',
    file: 'core/outbox.ts',
    find: 'return lane && firstOf(lane);',
    replace: 'return lane && [...lane.entries].at(-1);',
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
    find: 'if (now >= verdict) return this.#events.silent();',
    replace: 'if (now >= verdict) return void (this.#timer = this.#clock.setTimeout(() => this.#look(), interval));',
  },
  {
    breaks: 'a client notices a server that says nothing',
    file: 'agreement.ts',
    find: 'if (!protocol.pings || interval === undefined || timeout === undefined) return undefined;',
    replace: 'if (protocol.pings || interval === undefined || timeout === undefined) return undefined;',
  },
  {
    breaks: 'an attempt does not take for ever',
    file: 'core/machine.ts',
    find: "[{ type: 'startTimer', delay: clampDelay(delay) }, { type: 'openSocket' }]",
    replace: "[{ type: 'openSocket' }]",
  },
  // Sessions.
  {
    breaks: 'the watermark goes with the hello',
    file: 'client-session.ts',
    find: 'received: this.#line.received };',
    replace: 'received: 0 };',
  },
  {
    breaks: 'the watermark is kept when another connection goes on',
    file: 'core/session.ts',
    find: '    this.#told = this.#received; // the other',
    replace: '    this.#received = 0;\n    this.#told = this.#received; // the other',
  },
  {
    breaks: 'what was received is counted when it is handed on, not on arrival',
    file: 'conversation.ts',
    find: 'for (const frame of decode()) {',
    replace:
      'const all = [...decode()];\n for (const { seq } of all as { seq?: number }[]) if (seq) this.#session.early(seq);\n for (const frame of all) {',
    and: [
      { file: 'client-session.ts', find: 'return this.#line.receive(seq, bytes);', replace: 'return true;' },
      {
        file: 'client-session.ts',
        find: '  /** Returns what was written and is not acknowledged. */',
        replace: '  early(seq: number): void {\n    this.#line?.receive(seq, 0);\n  }\n',
      },
    ],
  },
  {
    breaks: 'the same on the server',
    file: 'server/connection.ts',
    find: 'for (const frame of decodeFrames(message, FROM_CLIENT)) {',
    replace:
      'const all = [...decodeFrames(message, FROM_CLIENT)];\n for (const { seq } of all as { seq?: number }[]) if (seq) this.#client?.early(seq);\n for (const frame of all) {',
    and: [
      { file: 'server/client.ts', find: 'if (this.#line) return this.#line.receive(seq, bytes);', replace: 'if (this.#line) return true;' },
      {
        file: 'server/client.ts',
        find: '  /** @internal It has said something, and perhaps how far it has received. */',
        replace: '  early(seq: number): void {\n    this.#line?.receive(seq, 0);\n  }\n',
      },
    ],
  },
  {
    breaks: 'what was received is counted before its handler runs, not after',
    file: 'core/session.ts',
    find: '    this.#received = seq;',
    replace: '    queueMicrotask(() => {\n      this.#received = seq;\n    });',
  },
  {
    breaks: 'a frame that was received before is not handled again',
    file: 'core/session.ts',
    find: "if (seq <= this.#received) return 'again';",
    replace: "if (seq <= this.#received) return 'next';",
    // Nobody sends what was received, as long as the watermark is right.
    and: [
      {
        file: 'core/session.ts',
        find: 'this.acknowledge(received) : undefined;',
        replace: 'this.acknowledge(this.#acknowledged) : undefined;',
      },
      { file: 'core/session.ts', find: 'this.#cursor = received + 1;', replace: 'this.#cursor = this.#log[0]?.seq ?? received + 1;' },
    ],
  },
  {
    breaks: 'a missing frame is noticed',
    file: 'core/session.ts',
    find: "if (seq !== this.#received + 1) return 'gap';",
    replace: '',
    and: [{ file: 'core/session.ts', find: 'this.#cursor = received + 1;', replace: 'this.#cursor = received + 2;' }],
  },
  {
    breaks: 'what is written again keeps its order',
    file: 'line.ts',
    find: 'for (let tracked = this.#session.next(); tracked; tracked = this.#session.next()) {',
    replace:
      'const all: Tracked<Item>[] = [];\n for (let tracked = this.#session.next(); tracked; tracked = this.#session.next()) all.unshift(tracked);\n for (const tracked of all) {',
  },
  {
    breaks: 'a hello that comes late does not replace a newer connection',
    file: 'server/client.ts',
    find: 'return generation > this.#generation && ',
    replace: 'return ',
  },
  {
    breaks: 'a connection that was replaced has no say any more',
    file: 'server/client.ts',
    find: 'if (connection !== this.#connection) return;\n    this.#connection = undefined;',
    replace: 'this.#connection = undefined;',
  },
  {
    breaks: 'the numbers go on',
    file: 'core/session.ts',
    find: '    this.#window = window;\n    this.#told',
    replace: '    this.#window = window;\n    this.#last = 0;\n    this.#told',
  },
  {
    breaks: 'only what is acknowledged leaves the log',
    file: 'core/session.ts',
    find: 'const count = Math.max(0, this.#indexOf(received) + 1);',
    replace: 'const count = Math.max(0, this.#indexOf(this.#cursor - 1) + 1);',
  },
  {
    breaks: 'what the other end has not received is written again',
    file: 'core/session.ts',
    find: '    this.#cursor = received + 1;',
    replace: '',
  },
  {
    breaks: 'a frame is acknowledged when it has been received, not when it is written',
    file: 'line.ts',
    find: '    posting?.sent();\n    return undefined;',
    replace: '    posting?.sent();\n    posting?.acknowledged?.();\n    return undefined;',
  },
  {
    breaks: 'what was received is acknowledged sooner or later',
    file: 'line.ts',
    find: '    return this.#session.tell();',
    replace: '    return this.#session.tell() && 0;',
  },
  {
    breaks: 'what is taken back gives its place to a skip',
    file: 'line.ts',
    find: 'if (tracked) this.#session.replace(tracked.seq, undefined, 0);',
    replace: 'if (tracked) this.#session.drop(tracked.seq);',
    and: [
      {
        file: 'core/session.ts',
        find: '  /** Whether a frame was written before',
        replace:
          '  drop(seq: number): void {\n    this.#log = this.#log.filter((each) => each.seq !== seq);\n  }\n\n  /** Whether a frame was written before',
      },
    ],
  },
  {
    breaks: 'what was not acknowledged in a lost session is sent again',
    file: 'client-session.ts',
    find: 'back.push(posting);',
    replace: 'continue;',
  },
  {
    breaks: 'it is sent again ahead of everything else',
    file: 'core/outbox.ts',
    find: 'priority: Infinity,',
    replace: 'priority: 0,',
  },
  {
    breaks: 'the calls of a lost session settle',
    file: 'client-session.ts',
    find: 'const asked = host.lost(mayAsk);',
    replace: 'const asked: Posting[] = [];',
  },
  {
    breaks: 'the client is told that its session is lost',
    file: 'client-session.ts',
    find: '    if (this.#line) this.lose(!isStranger);\n',
    replace: '',
  },
  {
    breaks: 'a session survives its connection',
    file: 'conversation.ts',
    find: 'if (!this.#session.exists || !willReconnect || this.#agreement.forgets) this.#session.lose(willReconnect);',
    replace: 'this.#session.lose(willReconnect);',
  },
  {
    breaks: 'the server does not wait for ever',
    file: 'server/sessions.ts',
    find: "const timer = this.#clock.setTimeout(() => client.end('expired'), ttl);",
    replace: 'const timer = this.#clock.setTimeout(() => {}, ttl);',
  },
  {
    breaks: 'a session that is over is over at both ends',
    file: 'wire/holdfast.ts',
    find: 'const forget = bye ? !bye.resume :',
    replace: 'const forget = bye ? false :',
    and: [{ file: 'server/sessions.ts', find: '    if (!this.#sessions.delete(session)) return;', replace: '    if (session) return;' }],
  },
  {
    breaks: 'what is sent while the window is full goes out when it is not',
    file: 'line.ts',
    find: 'this.#parked = this.#numberAll(this.#parked);',
    replace: '',
  },
  {
    breaks: 'handlers of the server go on while the client is away',
    file: 'server/client.ts',
    find: '    this.#line?.detach();\n    if (!this.#line)',
    replace: '    this.#line?.detach();\n    this.#dispatcher.stop();\n    if (!this.#line)',
  },
  {
    breaks: 'a client that was closed begins anew, with handlers that know nothing of before',
    file: 'conversation.ts',
    find: '    this.#endAnswers();\n    this.#perform();',
    replace: '',
  },
  // Idempotent calls.
  {
    breaks: 'an idempotent call that is sent again while it runs joins the run',
    file: 'server/once.ts',
    find: 'await this.#ask(() => this.#broker.begin(name, fingerprint)).catch(',
    replace: "await Promise.resolve({ status: 'new' } as Begun).catch(",
  },
  // Channels.
  {
    breaks: 'a message of a subscription before this one is not delivered',
    file: 'core/subscriptions.ts',
    find: "if (wanted?.state.status !== 'subscribed') return 'stale';",
    replace: "if (!wanted) return 'stale';",
  },
  {
    breaks: 'the client says how far it knows a channel',
    file: 'channels.ts',
    find: '...(params !== undefined && { params }), ...position };',
    replace: '...(params !== undefined && { params }), ...(position && {}) };',
  },
  {
    breaks: 'what was missed comes before what is live',
    file: 'server/room.ts',
    find: '[...(missed ?? []), ...fresh]',
    replace: '[...fresh, ...(missed ?? [])].reverse()',
  },
  {
    breaks: 'who comes gets what it has missed',
    file: 'server/room.ts',
    find: '[...(missed ?? []), ...fresh]',
    replace: 'fresh',
  },
  {
    breaks: 'messages wait for the snapshot',
    file: 'loader.ts',
    find: 'if (!this.#waiting) return this.#host.message(data, info);',
    replace: 'this.#host.message(data, info);\n    if (!this.#waiting) return;',
  },
  {
    breaks: 'after a gap there is another snapshot',
    file: 'channel.ts',
    find: "loader.begin('reconnected');",
    replace: '',
  },
  // Streams.
  {
    breaks: 'credit that is used up is granted anew',
    file: 'stream.ts',
    find: 'if (granted > 0 && !this.#isOver)',
    replace: 'if (granted > 1_000 && !this.#isOver)',
  },
  {
    breaks: 'credit survives its connection',
    file: 'conversation.ts',
    find: '  answer(frame: Outgoing): void {\n    this.#transmitter.answer(frame);',
    replace: '  answer(frame: Outgoing): void {\n    if (this.isOpen) this.#transmitter.answer(frame);',
  },
  {
    breaks: 'a stream that is asked for once more goes on where it was',
    file: 'stream.ts',
    find: '...(at !== undefined && { cursor: at }),',
    replace: '',
  },
  {
    breaks: 'a stream without cursors is not asked for once more',
    file: 'stream.ts',
    find: 'again: () => (items.hasCursor ? Infinity : undefined),',
    replace: 'again: () => Infinity,',
  },
  {
    breaks: 'the handler of a stream that nobody reads is stopped',
    file: 'responder.ts',
    find: 'running.streaming?.stop();',
    replace: '',
  },
  // Uploads.
  {
    breaks: 'an upload is granted no more than there is room',
    file: 'uploading.ts',
    find: 'const ROOM = 16;',
    replace: 'const ROOM = 32;',
  },
  {
    breaks: 'an upload is granted nothing before its handler reads',
    file: 'uploading.ts',
    find: '    this.#grant = grant;',
    replace: '    this.#grant = grant;\n    this.#hasBegun = true;\n    grant(this.#allowance.open());',
  },
  {
    breaks: 'an upload whose items were taken is granted more',
    file: 'uploading.ts',
    find: 'if (granted > 0 && !this.#isOver) this.#grant(granted);',
    replace: 'if (granted > 1_000 && !this.#isOver) this.#grant(granted);',
  },
  {
    breaks: 'what an upload is granted while there is no connection is not lost',
    file: 'server/dispatcher.ts',
    find: 'new Uploading(grant)',
    replace: 'new Uploading((count) => client.isConnected && grant(count))',
  },
  {
    breaks: 'the items of an upload have numbers',
    file: 'sending.ts',
    find: "      kind: 'upload',",
    replace: "      kind: 'upload',\n      volatile: true,",
  },
  {
    breaks: 'an item of an upload that was received before is dropped',
    file: 'server/client.ts',
    find: 'if (this.#line) return this.#line.receive(seq, bytes);',
    replace: "if (this.#line) return this.#line.receive(seq, bytes) || type === 'chunk';",
    // Nobody sends what was received, as long as the watermark is right.
    and: [
      {
        file: 'core/session.ts',
        find: 'this.acknowledge(received) : undefined;',
        replace: 'this.acknowledge(this.#acknowledged) : undefined;',
      },
      { file: 'core/session.ts', find: 'this.#cursor = received + 1;', replace: 'this.#cursor = this.#log[0]?.seq ?? received + 1;' },
    ],
  },
  {
    breaks: 'an upload ends when its source fails',
    file: 'sending.ts',
    find: '      this.#host.failed(error);\n    }\n  }\n\n  #woken',
    replace: '    }\n  }\n\n  #woken',
  },
  {
    breaks: 'an upload is cancelled when its source fails',
    file: 'caller.ts',
    find: "isPending && id !== undefined) this.#host.write({ type: 'cancel', id });",
    replace: "isPending && id !== undefined && !this.#question.granted) this.#host.write({ type: 'cancel', id });",
  },
  {
    breaks: 'the end of an upload comes behind its last item',
    file: 'sending.ts',
    find: "await this.#post({ type: 'chunk', id: this.#id }, value);",
    replace: "void this.#post({ type: 'chunk', id: this.#id }, value);",
    and: [{ file: 'upload.ts', find: '{ priority })', replace: '{ priority: posting.payload === undefined ? 1 : priority })' }],
  },
  {
    breaks: 'an upload has an end',
    file: 'responder.ts',
    find: 'this.#uploadingOf(id)?.finish();',
    replace: '',
  },
  {
    breaks: 'the source of an upload that is over is left',
    file: 'sending.ts',
    find: '    this.#items.leave();',
    replace: '',
  },
  {
    breaks: 'the handler of an upload that is over is told',
    file: 'responder.ts',
    find: "running.uploading?.stop(new CallError('CANCELLED', 'Nobody waits for the answer any more'));",
    replace: '',
  },
  {
    breaks: 'an upload that is done has made all of its progress',
    file: 'upload.ts',
    find: '    sending.answered();',
    replace: '',
  },
  // Presence.
  {
    breaks: 'presence: who is away for a moment is still there',
    file: 'server/channels.ts',
    find: 'this.#presence?.paused(connection, channel);',
    replace: 'if (connection.client) this.#presence?.left(connection.client, channel);',
  },
  {
    breaks: 'presence: who is away for long is not there any more',
    file: 'server/presence.ts',
    find: 'setTimeout(() => this.left(client, channel), limits.grace)',
    replace: 'setTimeout(() => {}, limits.grace)',
  },
  {
    breaks: 'presence: who is back in time has another grace the next time',
    file: 'server/presence.ts',
    find: '    settings.clock.clearTimeout(before?.timer);',
    replace: '',
  },
  {
    breaks: 'presence: nobody is told who is there before that is known',
    file: 'server/presence.ts',
    find: '      await roster.known;',
    replace: '',
  },
  {
    breaks: 'presence: who says goodbye is not there any more',
    file: 'server/host.ts',
    find: '        this.#channels.ended(client);',
    replace: '',
  },
  {
    breaks: 'presence: a client says that it is there on every connection',
    file: 'crowd.ts',
    find: 'this.#told = this.#asking = this.#arriving = this.me = this.#refusedPayload = undefined;',
    replace: 'this.#asking = this.#arriving = this.me = this.#refusedPayload = undefined;',
  },
  {
    breaks: 'presence: what a client shows while it asks is told afterwards',
    file: 'crowd.ts',
    find: '        this.#tell(); // what has changed meanwhile',
    replace: '',
  },
  {
    breaks: 'presence: a snapshot replaces what was known',
    file: 'crowd.ts',
    find: 'const all = this.#arriving;',
    replace: 'const all = new Map([...this.members, ...this.#arriving]);',
  },
  {
    breaks: 'presence: a snapshot in several frames is one',
    file: 'crowd.ts',
    find: '    if (more) return;',
    replace: '',
  },
  {
    breaks: 'presence: whoever is gone is gone for who watches',
    file: 'crowd.ts',
    find: 'for (const id of gone ?? []) next.delete(id);',
    replace: '',
  },
  {
    breaks: 'presence: what changes while a snapshot is taken is not lost',
    file: 'server/roster.ts',
    find: 'for (const change of since) this.#apply(change);',
    replace: '',
  },
  {
    breaks: 'presence: where changes were left out there is another snapshot',
    file: 'server/roster.ts',
    find: 'if (told.length === 0) return;\n    const frames = this.#snapshot();',
    replace: 'if (told.length >= 0) return;\n    const frames = this.#snapshot();',
  },
  {
    breaks: 'presence: what changes closely behind is told as well',
    file: 'server/roster.ts',
    find: 'this.#timer = clock.setTimeout(() => this.#tell(), TOGETHER);',
    replace: 'this.#timer = clock.setTimeout(() => {\n      this.#timer = undefined;\n    }, TOGETHER);',
  },
  {
    breaks: 'presence: whoever watches again gets another snapshot',
    file: 'server/roster.ts',
    find: 'if (this.#watchers.delete(connection) && this.#watchers.size === 0) this.#end();',
    replace: 'if (this.#watchers.has(connection) && this.#watchers.size === 1) this.#end();',
  },
  {
    breaks: 'presence: a channel that is asked for again has nobody who watches it',
    file: 'server/channels.ts',
    find: '    this.#leave(connection, channel);\n    const demand = {};',
    replace: '    this.#rooms.get(channel)?.leave(connection);\n    const demand = {};',
    and: [
      {
        file: 'server/channels.ts',
        find: '    this.#channels.get(connection)?.delete(channel);\n    this.#leave(connection, channel);',
        replace: '    this.#channels.get(connection)?.delete(channel);\n    this.#rooms.get(channel)?.leave(connection);',
      },
    ],
  },
  {
    breaks: 'presence: what a member shows is told when it is something else',
    file: 'server/presence.ts',
    find: 'const isSame = before?.json === json && before.from === from;',
    replace: 'const isSame = before !== undefined;',
  },
  {
    breaks: 'presence: what is left and entered in one task was never left',
    file: 'crowd.ts',
    find: '  remove(one: Presence<T>): void {\n    this.#shown.delete(one);\n    this.#schedule();',
    replace: '  remove(one: Presence<T>): void {\n    this.#shown.delete(one);\n    this.#tell();',
  },
  {
    breaks: 'poison: what has ended five sessions is given up',
    file: 'core/suspects.ts',
    find: 'return counts && before + 1 >= GIVEN_UP;',
    replace: 'return counts && before >= GIVEN_UP;',
  },
  {
    breaks: 'poison: what is not on trial is not to blame',
    file: 'core/suspects.ts',
    find: 'const counts = before === 0 || (before < SUSPECT ? isSoon : message === this.#trial?.message);',
    replace: 'const counts = before >= 0 || isSoon;',
    and: [
      {
        file: 'core/suspects.ts',
        find: "return now >= this.#steadyAt && this.#sign === 'here' && isQuiet();",
        replace: 'return true;',
      },
      { file: 'core/suspects.ts', find: '    if (this.#trial) return false;\n', replace: '' },
    ],
  },
];
