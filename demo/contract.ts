/** What the demo page and its server say to each other. */

/** One line in the room. */
export interface Message {
  /** Made by whoever wrote it, so that a message that was sent twice is still one message. */
  readonly id: string;
  readonly from: string;
  readonly text: string;
}

export type Demo = {
  server: {
    methods: {
      /** The latest messages of the room, the oldest first, and which archive they come from: another one knows nothing of before. */
      history(): { readonly archive: string; readonly messages: Message[] };
      /** Those of these messages that are in the room. */
      arrived(ids: readonly string[]): Message[];
      /** How many messages of this writer there are. */
      tally(from: string): number;
      /** Takes its time, and tells how far it is by the event `progress`. */
      grow(params: { readonly job: string; readonly steps: number }): string;
      echo(value: number): number;
    };
  };
  client: {
    events: {
      progress: { readonly job: string; readonly step: number };
      /** It heard that nobody waits for it any more. */
      stopped: { readonly job: string; readonly step: number };
    };
  };
  channels: { room: Message };
};
