/** What the demo page and its server say to each other. */

/** One line in the room. */
export interface Message {
  /** Made by whoever wrote it, so that a message that was sent twice is still one message. */
  readonly id: string;
  readonly from: string;
  readonly text: string;
  /** The writer's own count of its messages, so that the server can tell whether they come in order; left out by who does not count. */
  readonly number?: number;
}

/** A part of what was said in the room. */
export interface History {
  /** Where it is kept: another archive knows nothing of before. */
  readonly archive: string;
  /** Of the server: another one after every restart. */
  readonly run: string;
  /** Up to where this, with the parts after it, knows the channel; undefined while nothing was published. */
  readonly offset: number | undefined;
  /** The oldest first. */
  readonly messages: readonly Message[];
}

/** What has come in from one writer. */
export interface Arrivals {
  /** How many messages. */
  readonly messages: number;
  /** How many of them came again, each time counted. */
  readonly again: number;
  /** How many came after one that was written later. */
  readonly late: number;
}

/** @typeParam Step what the server makes of a step of the job: it gives each a cursor beside it */
export type Talk<Step> = {
  server: {
    methods: {
      /** All that was said in the room, in parts. */
      history(): AsyncIterable<History>;
      /** Where the channel stands. */
      position(): number | undefined;
      arrivals(from: string): Arrivals;
      /** Takes its time: the number of each step, as it is done. */
      grow(params: { readonly job: string; readonly steps: number }): AsyncIterable<Step>;
    };
    /** To be sent back at once. */
    events: { ping: number };
  };
  client: {
    events: {
      pong: number;
      /** It heard that nobody waits for the job any more. */
      stopped: { readonly job: string; readonly step: number };
    };
  };
  channels: { room: Message };
};

export type Demo = Talk<number>;
