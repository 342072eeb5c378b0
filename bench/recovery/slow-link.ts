/** A link that lets bytes up no faster than it is told: in small pieces, as a slow link does, and with room for what waits before it. */

import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';

/** Pieces a second. */
const PIECES = 20;

export class SlowLink {
  /** Bytes a second that go up; 0 for as they come. */
  rate = 0;
  readonly #server = createServer((client) => this.#splice(client));
  readonly #sockets = new Set<Socket>();
  readonly #target: number;

  private constructor(target: number) {
    this.#target = target;
  }

  static async start(target: number): Promise<SlowLink> {
    const link = new SlowLink(target);
    await new Promise<void>((resolve) => link.#server.listen(0, '127.0.0.1', resolve));
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #splice(client: Socket): void {
    const server = dial({ port: this.#target, host: '127.0.0.1' });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    server.pipe(client);
    client.on('data', async (chunk) => {
      client.pause();
      await this.#trickle(chunk, server);
      client.resume();
    });
  }

  async #trickle(chunk: Buffer, to: Socket): Promise<void> {
    for (let sent = 0; sent < chunk.length && !to.destroyed; ) {
      const size = this.rate > 0 ? Math.ceil(this.rate / PIECES) : chunk.length;
      to.write(chunk.subarray(sent, sent + size));
      sent += size;
      if (this.rate > 0) await new Promise((resolve) => setTimeout(resolve, 1_000 / PIECES));
    }
  }
}
