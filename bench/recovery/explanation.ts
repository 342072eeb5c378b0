/** How it is measured, in words: the end of the page. */

import { LATEST, REPEATED } from './faults.ts';

/** By how many milliseconds timers were late at most: in the process that measures, and in pages that nobody stops, freezes or hides. */
export interface Lateness {
  readonly process: number;
  readonly pages: number;
}

export function explanation(limit: number, late: Lateness): string {
  return `## How it is measured

- **The clock.** Each page writes one message whenever its library says that it is connected, and the time is over when the server has that message on a new connection.
  Nothing else is written but where the row says so, and no server says anything of its own but the pings and answers of its library's protocol, so that the measuring keeps no link alive
  and tells nobody that one is dead. It begins at the fault, or where the row says.
- **A message every second** is written from the fault until 3 s after the return. How many of them arrived is counted over all repetitions, those that came again are doubled; of those that are refused the library says, by an
  event or a rejected promise, that they are not sent.
- **Repetitions.** The median, and the least to the most in brackets, of ${REPEATED}. Chance decides when the next attempt is made, so read the range. A connection is ${LATEST[0]} s old when it is hurt; ${LATEST.join(', ')} s where a link goes dead for a
  heartbeat to find, which is met at different moments in this way. Nobody waits longer than ${limit} s, and who was not back the first time is not asked again.
- **The pages** are in one Chromium for each row, each in a window and a process of its own, with a proxy and a server of its own in the Node process that measures. At most four rows are played at the same time.
  That process was at most ${late.process.toFixed(0)} ms late, the timers of pages that run all the time ${late.pages.toFixed(0)} ms.
- **Dead** is a link whose bytes the proxy swallows while both sides believe it to be open; new connections pass. Up is from the page to the server. **Cut** is by RST to both sides, or by FIN to the client. A server that **restarts** resets its connections and refuses new ones;
  the one that comes after it knows nothing of any session. Where no **upgrade** is answered, TCP connections are accepted, and those attempts are never answered.
- **Sleep** is SIGSTOP to every process of the browser, and SIGCONT; the clocks go on meanwhile, as they do not on every system that sleeps, and nothing but late
  timers tells the page. **Hidden** is a minimized window, **frozen** a minimized one that is told to freeze by the
  DevTools protocol (what the page hears on return is \`resume\`, then \`visibilitychange\`, and Chromium ends its sockets a moment later). \`online\` without anything before is an event made by hand, **offline** is the emulation of the DevTools protocol.
- **The servers.** For sockets a plain one, which answers \`ping\` by \`pong\` and says nothing else: partysocket and reconnecting-websocket have no heartbeat to switch on. socket.io and Holdfast have their own.
  The server for centrifuge is not Centrifugo but ours and minimal: JSON, no history, no recovery, pings every 25 s (the first after half to all of that) and closing with 3012 after 8 s without a pong, as Centrifugo does by default.
- socket.io begins with HTTP requests and goes over to a WebSocket, where it is not told otherwise; so do its new connections.
- Loopback is no network, and these faults are made by hand: read the differences between columns rather than how long it takes.`;
}
