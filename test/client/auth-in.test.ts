/** Credentials in other places than the hello, for servers that look for them there. */

import { describe, expect, it } from 'vitest';
import type { ClientOptions } from '../../src/client-options.ts';
import { Client, inQuery, inSubprotocol } from '../../src/index.ts';
import { odd } from '../support/face.ts';
import { pair } from '../support/link.ts';
import { hello } from './support.ts';

/** Where a client goes with these options, and what its hello says. */
async function goes(options: ClientOptions) {
  const p = pair(options);
  const errors: string[] = [];
  p.client.addEventListener('error', ({ error }) => errors.push(`${(error as { code?: string }).code} ${error.message}`));
  await p.settle();
  const { url, protocols } = p.sockets.at(-1) ?? {};
  return { p, url, protocols, auth: p.client.state.status === 'open' ? hello(p)?.['auth'] : undefined, errors };
}

const V1 = 'holdfast.v1.json';

describe('credentials', () => {
  it('are in the hello by default, and nowhere else', async () => {
    expect(await goes({ auth: () => 'secret' })).toMatchObject({ url: 'wss://example.test/live', protocols: [V1], auth: 'secret' });
  });

  it('may be a parameter of the URL, behind what is there, and are not in the hello then', async () => {
    const seen = await goes({ auth: () => 'a b&c=d/é', authIn: inQuery('access token') });
    expect(seen).toMatchObject({ url: 'wss://example.test/live?access+token=a+b%26c%3Dd%2F%C3%A9', protocols: [V1] });
    expect(seen.auth).toBeUndefined();
  });

  it('may be a subprotocol, behind the one that the server chooses', async () => {
    const seen = await goes({ auth: () => 'c2VjcmV0', authIn: inSubprotocol('bearer.') });
    expect(seen).toMatchObject({ url: 'wss://example.test/live', protocols: [V1, 'bearer.c2VjcmV0'] });
    expect(seen.auth).toBeUndefined();
  });

  it.each([inQuery('token'), inSubprotocol('bearer.')])('that are none leave the address as it is', async (authIn) => {
    expect(await goes({ auth: () => null, authIn })).toMatchObject({ url: 'wss://example.test/live', protocols: [V1] });
    expect(await goes({ auth: () => undefined, authIn })).toMatchObject({ url: 'wss://example.test/live', protocols: [V1] });
    expect(await goes({ authIn })).toMatchObject({ url: 'wss://example.test/live', protocols: [V1] });
  });

  it.each([
    ['room=1', 'room=1&token=new'],
    ['token=old&room=1', 'token=new&room=1'],
  ])('go into a query that is there, in the place of a parameter of that name: %s', async (query, expected) => {
    const urls: string[] = [];
    const other = new Client(() => `wss://example.test/live?${query}`, {
      auth: () => 'new',
      authIn: inQuery('token'),
      createSocket: (url) => {
        urls.push(url);
        throw new DOMException('no', 'SecurityError');
      },
    });
    await new Promise((resolve) => other.addEventListener('close', resolve));
    expect(urls).toEqual([`wss://example.test/live?${expected}`]);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a text', 'wss://example.test/?token=secret'],
    ['a bad URL', { url: 'nonsense secret', protocols: [] }],
    ['a bad subprotocol', { url: 'wss://example.test/', protocols: ['se cret'] }],
  ])('fail the attempt where a function of yours returns %s, and are not quoted', async (_what, address) => {
    const { p, errors } = await goes({ auth: () => 'secret', authIn: () => odd(address) });
    await p.clock.advance(0);
    expect(p.sockets).toHaveLength(0);
    expect(errors).toEqual(['AUTH_FAILED Option "authIn" threw, or did not return an address: { url, protocols }']);
    expect(JSON.stringify(p.client.state)).not.toContain('secret');
  });

  it('are asked for on every attempt, and go where the option says each time', async () => {
    let token = 0;
    const p = pair({ auth: () => `t${++token}`, authIn: inQuery('token') });
    await p.settle();
    p.socket.cut();
    await p.clock.advance(5_000);
    expect(p.sockets.map(({ url }) => url)).toEqual(['wss://example.test/live?token=t1', 'wss://example.test/live?token=t2']);
  });

  it.each([
    ['a query', inQuery('token'), { user: 'ida' }, /text.*object/],
    ['a subprotocol', inSubprotocol('bearer.'), 7, /text.*number/],
    ['a subprotocol', inSubprotocol('bearer.'), 'two words', /HTTP token/],
    ['a subprotocol', inSubprotocol('bearer.'), 'a,b', /HTTP token/],
  ] as const)('that do not fit (%s, %j) fail the attempt, and are not quoted', async (_place, authIn, credentials, message) => {
    const { errors, p } = await goes({ auth: () => credentials, authIn });
    expect(p.sockets).toHaveLength(0);
    await p.clock.advance(0);
    expect(errors).toEqual([expect.stringMatching(/^AUTH_FAILED /)]);
    expect(errors[0]).toMatch(message);
    expect(errors[0]).not.toContain(String(credentials));
    expect(p.client.state.status).toBe('waiting');
  });

  it('may go where a function of yours puts them; what it throws fails the attempt', async () => {
    const seen = await goes({
      auth: () => ({ user: 'ida' }),
      authIn: ({ url }, who) => ({ url: `${url}/${(who as { user: string }).user}`, protocols: [] }),
    });
    expect(seen).toMatchObject({ url: 'wss://example.test/live/ida', protocols: [] });
    const { p, errors } = await goes({
      auth: () => 'x',
      authIn: () => {
        throw new Error('no place');
      },
    });
    await p.clock.advance(0);
    expect(errors).toEqual(['AUTH_FAILED Option "authIn" threw, or did not return an address: { url, protocols }']);
  });

  it.each([
    ['inQuery', () => inQuery(odd(''))],
    ['inQuery', () => inQuery(odd(1))],
    ['inSubprotocol', () => inSubprotocol(odd(undefined))],
    ['inSubprotocol', () => inSubprotocol('a b')],
    ['"authIn"', () => pair({ authIn: odd('query') })],
  ])('go nowhere else: %s says what it takes', (name, make) => {
    expect(make).toThrow(expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(name) }));
  });
});
