/** As much of WebDriver as the scenarios need, by fetch. */

interface Session {
  readonly sessionId: string;
  readonly capabilities: { readonly browserVersion: string };
}

export class WebDriver {
  readonly version: string;
  readonly #session: string;
  /** The window that is there from the beginning, and stays. */
  readonly #first: string;
  /** Settles when the last order was carried out: an order is for the window that was switched to before it. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(session: string, version: string, first: string) {
    this.#session = session;
    this.version = version;
    this.#first = first;
  }

  static async begin(address: string, capabilities: object): Promise<WebDriver> {
    const body = { capabilities: { alwaysMatch: capabilities } };
    const { sessionId, capabilities: actual } = (await ask('POST', `${address}/session`, body)) as Session;
    const session = `${address}/session/${sessionId}`;
    return new WebDriver(session, actual.browserVersion, (await ask('GET', `${session}/window`)) as string);
  }

  async newWindow(type: 'window' | 'tab'): Promise<string> {
    const made = await this.#at(this.#first, '/window/new', { type });
    return (made as { handle: string }).handle;
  }

  async goto(handle: string, url: string): Promise<void> {
    await this.order(handle, '/url', { url });
  }

  /** What the function returns, or what its promise resolves to. */
  async evaluate(handle: string, run: string, args: unknown[]): Promise<unknown> {
    const script = `const done = arguments[1];
      Promise.resolve().then(() => (${run}).apply(null, arguments[0])).then((result) => done({ result }), (error) => done({ error: String(error) }));`;
    const outcome = await this.#at(handle, '/execute/async', { script, args: [args] });
    const { result, error } = outcome as { result?: unknown; error?: string };
    if (error !== undefined) throw new Error(error);
    return result;
  }

  async order(handle: string, path: string, body: object = {}): Promise<void> {
    await this.#at(handle, path, body);
  }

  async closeWindow(handle: string): Promise<void> {
    await this.#next(async () => {
      await this.#switch(handle);
      await ask('DELETE', `${this.#session}/window`);
    });
  }

  async end(): Promise<void> {
    await this.#next(() => ask('DELETE', this.#session));
  }

  #at(handle: string, path: string, body: object): Promise<unknown> {
    return this.#next(async () => {
      await this.#switch(handle);
      return ask('POST', this.#session + path, body);
    });
  }

  #switch(handle: string): Promise<unknown> {
    return ask('POST', `${this.#session}/window`, { handle });
  }

  #next<T>(deed: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(deed);
    this.#turn = done.catch(() => {});
    return done;
  }
}

async function ask(method: string, url: string, body?: object): Promise<unknown> {
  const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
  const { value } = (await response.json()) as { value: unknown };
  if (response.ok) return value;
  const { error, message } = value as { error: string; message: string };
  throw new Error(`${error}: ${message}`);
}
