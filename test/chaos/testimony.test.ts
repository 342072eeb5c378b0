import { describe, expect, it } from 'vitest';
import { Oracle } from '../simulation/oracle.ts';
import { clientRecorder, type Entry, serverRecorder, Testimony } from './testimony.ts';

/** Both sides as they write down what happens, and when the client's side is asked for it. */
function sides() {
  const oracle = new Oracle({ nothingLost: true });
  const testimony = new Testimony(oracle);
  let written: Entry[] = [];
  const attempts = { count: 0 };
  const client = clientRecorder(
    (entry) => written.push(entry),
    () => attempts.count,
  );
  const server = serverRecorder((entry) => testimony.server(entry));
  const ask = () => {
    // As it comes over from a page.
    testimony.client(structuredClone(written));
    written = [];
  };
  const open = (resumed: boolean) => {
    testimony.server(['welcomed', ++attempts.count]);
    client.opened(resumed);
  };
  const end = { session: '1', queued: 0, pending: 0, status: 'open' };
  return { oracle, testimony, client, server, ask, open, end };
}

describe('what two sides tell', () => {
  it('is heard in an order in which it can have happened, whenever the client is asked', () => {
    const { oracle, testimony, client, server, ask, open, end } = sides();
    open(false);
    client.sent(1, 'plain');
    server.handled(1, '1');
    server.serverSent('1', 1);
    ask();
    client.clientHandled('1', 1);
    client.called('add 1', 'add', 'client');
    server.executed('add 1');
    client.settled('add 1', 'result');
    client.acknowledged(1);
    client.sent(2, 'plain');
    server.handled(2, '1');
    client.acknowledged(2);
    expect(oracle.violations).toEqual([]);
    ask();
    testimony.conclude();
    oracle.finish(end);
    expect(oracle.violations).toEqual([]);
  });

  it('that nobody sent is told as it is, in the end', () => {
    const { oracle, testimony, server, ask, open } = sides();
    open(false);
    server.handled(1, '1');
    ask();
    expect(oracle.violations).toEqual([]);
    testimony.conclude();
    expect(oracle.violations).toEqual(['event 1 was handled, and never sent']);
  });

  it('where each waits for the other is told at once', () => {
    const { oracle, client, server, ask, open } = sides();
    open(false);
    client.clientHandled('1', 7);
    client.sent(1, 'plain');
    server.handled(1, '1');
    server.serverSent('1', 7);
    ask();
    expect(oracle.violations).toEqual(['event 1 was handled, and never sent']);
  });

  it('does not blame the client for what went out on the connection before', () => {
    const { oracle, testimony, client, server, ask, open, end } = sides();
    open(false);
    client.subscribed('news');
    ask();
    server.published('news', () => 1); // into a connection that is gone
    client.closed(1006);
    client.gap('news');
    open(true);
    server.published('news', () => 1);
    client.heard('news', 2);
    ask();
    testimony.conclude();
    oracle.finish(end);
    expect(oracle.violations).toEqual([]);
  });

  it('does blame it for what went out on this one', () => {
    const { oracle, testimony, client, server, ask, open, end } = sides();
    open(false);
    client.subscribed('news');
    ask();
    server.published('news', () => 1);
    ask();
    testimony.conclude();
    oracle.finish(end);
    expect(oracle.violations).toEqual(['news: 1 went out and was never heard', 'news ended with undefined of 1']);
  });

  it('is forgotten when there is much of it, and goes on', () => {
    const { oracle, testimony, client, server, ask, open, end } = sides();
    open(false);
    for (let id = 1; id <= 25_000; id++) {
      client.sent(id, 'plain');
      server.handled(id, '1');
      client.acknowledged(id);
      if (id % 7_001 === 0) ask();
    }
    ask();
    testimony.conclude();
    oracle.finish(end);
    expect(oracle.violations).toEqual([]);
  });
});
