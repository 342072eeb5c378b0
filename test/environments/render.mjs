// A program that renders on a server. Arguments: the path of dist, where to connect, and what to do while rendering. Says what is left of
// it as JSON on stdout; then nothing but what it made keeps its process alive.

const globals = Reflect.ownKeys(globalThis);
const resources = () => process.getActiveResourcesInfo().filter((name) => !/^(Pipe|TTY|FS)/.test(name));

const [dist, url, how] = process.argv.slice(2);
const { Client, ReconnectingWebSocket } = await import(`${dist}/index.js`);
const { createElement } = await import('react');
const { renderToString } = await import('react-dom/server');
const before = resources();

const made = [];
const ways = {
  closed: () => [new Client(url, { startClosed: true }), new ReconnectingWebSocket(url, { startClosed: true })],
  opens: () => [new Client(url)],
  drops: () => [new ReconnectingWebSocket(url)],
  leaves: () => {
    const [client, socket] = [new Client(url), new ReconnectingWebSocket(url)];
    client.close();
    socket.close();
    return [client, socket];
  },
};
function Page() {
  made.push(...ways[how]());
  return createElement('p', null, made.map(({ state }) => state.status).join());
}
const html = renderToString(createElement(Page));
const said = made.map((each) => new Promise((resolve) => each.addEventListener('error', ({ error }) => resolve(error.message))));
const opened = made.map((each) => new Promise((resolve) => each.addEventListener('open', () => resolve('open'))));
const connects = made.every(({ state }) => state.status === 'connecting');
const news = connects ? await Promise.all(made.map((_, i) => Promise.race([said[i], opened[i]]))) : [];

console.log(
  JSON.stringify({
    html,
    news,
    states: made.map(({ state }) => state.cause ?? state.status),
    globals: Reflect.ownKeys(globalThis)

      .filter((key) => !globals.includes(key))
      .map(String),
    resources: resources().filter((name) => !before.includes(name)),
  }),
);
