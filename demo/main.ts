/** The demo page: one Holdfast client, what it does drawn as it does it, and a plain WebSocket beside it that gets the same treatment. */

import { Client } from 'holdfast';
import type { Demo } from './contract.ts';
import { drawMachine } from './diagram.ts';
import { byId, drawer, enable, isEnabled, make, set, sync } from './dom.ts';
import { showHere } from './here.ts';
import { showJob } from './job.ts';
import { offerReport } from './report.ts';
import { Room } from './room.ts';
import { SessionStory } from './session.ts';
import { showRoundTrips } from './sparkline.ts';
import { type Entry, judge, type Tally, tally, type Verdict } from './tally.ts';
import { Twin } from './twin.ts';
import { Watch } from './watch.ts';
import { count, detail, names, reasonOf } from './words.ts';

const SHOWN = 60;
const query = new URLSearchParams(location.search);
/** How long connections are refused, and the link is slow; shorter in tests. */
const times: Record<string, number> = { refuse: Number(query.get('refuse') ?? 10_000), slow: Number(query.get('slow') ?? 15_000) };

const server = location.origin.replace('http', 'ws');
const client = new Client<Demo>(`${server}/live`);
const show = drawer(draw);
const room = new Room(client, {
  changed: show,
  log,
  loaded: (offset) => watch.startsAt(offset),
  restarted() {
    log('The server had restarted.');
    story.restarted();
  },
  startedOver() {
    log('This is another server, which knows nothing of before: the room starts anew.');
    twin.forget();
  },
});
const watch = new Watch(client, room.me, log);
const story = new SessionStory(client, room, (line) => log(line, 'good'));
const twin = new Twin(`${server}/echo`, show);
const light = drawMachine();
light(client.state.status);
showHere(client, room.me);
showJob(client);
offerReport(client);
showRoundTrips(client);

/** What the page says of itself; also for the console, and for tests. */
function verdict(): Tally & Verdict {
  room.look();
  const { shown, counted, again } = room;
  const counts = tally(room.entries.values(), room.messages.size, again + client.stats.resent);
  return { ...counts, ...judge(counts, { shown, counted, isOpen: client.state.status === 'open', mayRepeat: again > 0 }) };
}

// What happened, and why.
client.addEventListener('statechange', ({ state, previous }) => {
  light(state.status); // each, however short
  if (state.status === 'waiting' || state.status === 'offline') {
    const seconds = ((state.retryAt - Date.now()) / 1_000).toFixed(1);
    log(
      `${reasonOf(state.cause)}. Attempt ${state.attempt} in ${seconds} s${state.status === 'offline' ? ', or when the network is back' : ''}.`,
      'wait',
    );
  } else if (state.status === 'connecting' && previous.status === 'open') {
    log('Replaced, because you asked for a new connection (code 4001).', 'wait');
  } else if (state.status === 'closed') log(detail(state, Date.now()), 'bad');
  show();
});
client.addEventListener('drop', ({ kind, name, reason }) => {
  if (kind === 'publish') log(`Dropped: ${kind} "${name}" (${reason}).`, 'bad');
});
client.addEventListener('error', ({ error }) => {
  if (client.state.status === 'open') log(`${error.message}.`, 'bad');
});

// Drawing.
const text = byId<HTMLInputElement>('text');

function draw(): void {
  const { state } = client;
  const { kind, sentence, ...counts } = verdict();
  set(byId('state'), names[state.status], { status: state.status });
  set(byId('verdict'), sentence, { verdict: kind });
  set(byId('connect'), state.status === 'closed' || state.status === 'closing' ? 'Connect' : 'Close');
  for (const [name, value] of Object.entries(counts)) set(byId(`count-${name}`), String(value));
  drawTwin(counts);
  drawOutbox([...room.entries.values()].filter(({ fate }) => fate === 'queued'));
  drawRoom();
  tick();
}

function drawTwin(counts: Tally): void {
  const { state, sent, arrived, isClosed } = twin.counts;
  set(byId('ours-state'), names[client.state.status]);
  set(byId('ours-sent'), String(room.given));
  set(byId('ours-arrived'), String(counts.acknowledged));
  set(byId('ours-missing'), String(counts.typed - counts.acknowledged));
  set(byId('twin-state'), state, { closed: String(isClosed) });
  set(byId('twin-sent'), String(sent));
  set(byId('twin-arrived'), String(arrived));
  set(byId('twin-missing'), String(sent - arrived), { lost: String(sent > arrived) });
  enable(byId<HTMLButtonElement>('reopen'), isClosed);
}

function drawOutbox(waiting: readonly Entry[]): void {
  const { queuedBytes } = client.stats;
  set(byId('outbox-size'), waiting.length === 0 ? 'empty' : `${count(waiting.length, 'message')}, ${queuedBytes} bytes`);
  sync(
    byId('outbox'),
    waiting,
    ({ id }) => id,
    ({ id, text: said }, row) => {
      if (row.firstChild) return;
      const button = make('button', { type: 'button', onclick: () => room.takeBack(id) }, 'Take back');
      button.setAttribute('aria-label', `Take back: ${said}`);
      row.append(make('span', { className: 'said' }, said), make('span', { className: 'fate' }, 'queued'), button);
    },
  );
}

/** The newest first. */
function drawRoom(): void {
  const onTheWay = [...room.entries.values()].filter(({ id, fate }) => !room.messages.has(id) && fate !== 'queued' && fate !== 'dropped');
  const shown = [...room.messages.values(), ...onTheWay.map(({ id, text: said }) => ({ id, from: room.me, text: said }))];
  sync(
    byId('messages'),
    shown.slice(-SHOWN).reverse(),
    ({ id }) => id,
    ({ id, from, text: said }, row) => {
      const mine = from === room.me;
      if (!row.firstChild) row.append(...['from', 'said', 'fate'].map((className) => make('span', { className })));
      const [who, what, fate] = row.children as HTMLCollectionOf<HTMLElement>;
      row.dataset['from'] = mine ? 'you' : 'other';
      for (const [element, words] of [
        [who, mine ? 'you' : from],
        [what, said],
        [fate, fateOf(room.entries.get(id))],
      ] as const)
        if (element) set(element, words);
    },
  );
}

function fateOf(entry: Entry | undefined): string {
  if (!entry) return '';
  return entry.fate === 'sent' && entry.again ? 'sent again' : entry.fate;
}

function log(line: string, kind: 'good' | 'wait' | 'bad' | 'note' = 'note'): void {
  const list = byId('timeline');
  const item = make('li', {}, make('time', {}, new Date().toLocaleTimeString('en-GB')), make('span', {}, line));
  item.dataset['kind'] = kind;
  list.prepend(item);
  while (list.children.length > SHOWN) list.lastElementChild?.remove();
}

/** What changes by itself: the countdown, and for how long it has been open. */
function tick(): void {
  const { state } = client;
  const isWaiting = state.status === 'waiting' || state.status === 'offline';
  const left = isWaiting ? Math.max(0, state.retryAt - Date.now()) / 1_000 : 0;
  set(byId('detail'), detail(state, Date.now(), story.summary));
  set(byId('countdown'), isWaiting ? `next attempt in ${left.toFixed(1)} s` : '\u00a0');
}
setInterval(tick, 100);

// The controls.
byId('form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (text.value.trim()) say(text.value.trim());
  text.value = '';
});
byId('ten').addEventListener('click', () => {
  for (let i = 1; i <= 10; i++) say(`${i} of ten`);
});
byId('reconnect').addEventListener('click', () => client.reconnect());
byId('connect').addEventListener('click', () => {
  const { status } = client.state;
  void (status === 'closed' || status === 'closing' ? client.connect() : client.close());
});
byId<HTMLButtonElement>('reopen').addEventListener('click', ({ currentTarget }) => {
  if (isEnabled(currentTarget as HTMLButtonElement)) twin.reopen();
});

function say(said: string): void {
  room.say(said);
  twin.send(said);
}

for (const button of document.querySelectorAll<HTMLButtonElement>('[data-order]')) {
  const { order = '' } = button.dataset;
  const ms = times[order];
  const span = button.querySelector('span');
  if (span && ms !== undefined) set(span, `${ms / 1_000}\u00a0s`);
  let over: ReturnType<typeof setTimeout> | undefined;
  button.addEventListener('click', async () => {
    log(`You pressed “${button.textContent}”.`);
    await twin.ready(); // it gets the same treatment, each time
    const asked = await fetch(`/control/${order}?ms=${ms ?? 0}`, { method: 'POST' }).catch(() => undefined);
    if (!asked?.ok) return log('The server could not be told: it is away.', 'bad');
    clearTimeout(over);
    if (ms !== undefined) over = setTimeout(() => log(`“${button.textContent}” is over.`), ms);
  });
}

set(byId('me'), room.me);
/** For the console: demo.client.reconnect(), say. */
export type DemoHandle = { readonly client: Client<Demo>; readonly room: Room; readonly twin: Twin; verdict(): Tally & Verdict };
Object.assign(window, { demo: { client, room, twin, verdict } satisfies DemoHandle });
show();
