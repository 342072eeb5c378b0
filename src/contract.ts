/**
 * The types of a conversation: each side lists what can be sent to it. Interfaces and type aliases are both welcome; what is left out is
 * empty, and without a contract every name is allowed and every value is `unknown`.
 */

/** What one side of a {@link Contract} takes. What is left out is empty: nothing can be sent there. */
export interface Side {
  /** Events by name, each with the type of its data; `undefined` where there is none. */
  readonly events?: object;
  /** Methods by name, each a function from its parameters (one value, or none) to its result; a promise of it counts as the result. */
  readonly methods?: object;
}

/**
 * The types of a conversation: each side lists what can be sent to it. Give the same contract to `Client` and `createServer`. It exists
 * for the compiler only: what comes over the wire is not checked against it. Interfaces and type aliases are both welcome.
 *
 * Signatures take it apart with helpers that are not exported: `Events<C, 'server'>` and `Methods<C, 'server'>` are the members of a
 * side, `Channels<C>` is the channels, `Name<M>` the names in one of these, `Params<M, K>` and `Result<M, K>` are what a method takes and
 * returns. `Optional<V, Options>` is the arguments after a name, `[value, options?]`; a value that may be `undefined` may be left out.
 *
 * @example
 * interface Message {
 *   readonly text: string;
 * }
 * type Chat = {
 *   server: { events: { typing: { room: string } }; methods: { history(params: { before: number }): Message[] } };
 *   client: { events: { notice: string }; methods: { confirm(question: string): boolean } };
 *   channels: { [room: `room:${string}`]: Message };
 * };
 * const client = new Client<Chat>('wss://example.com/live');
 * const messages = await client.call('history', { before: 100 }); // Message[]
 */
export interface Contract {
  /** What the server takes: `client.send` and `client.call`. */
  readonly server?: Side;
  /** What the client takes: `client.on` and `client.handle`. */
  readonly client?: Side;
  /** Channels by name, with what is published on them: `client.channel`. Template literals make families of names. */
  readonly channels?: object;
}

/** The contract where none is given: every name is allowed, and every value is `unknown`. */
export interface Anything extends Contract {
  readonly server: { readonly events: Record<string, unknown>; readonly methods: Record<string, (params?: unknown) => unknown> };
  readonly client: { readonly events: Record<string, unknown>; readonly methods: Record<string, (params?: unknown) => unknown> };
  readonly channels: Record<string, unknown>;
}

type Get<T, K extends PropertyKey> = K extends keyof T ? NonNullable<T[K]> : Record<never, never>;

/** The events that a side takes. */
export type Events<C, S extends 'server' | 'client'> = Get<Get<C, S>, 'events'>;
/** The methods that a side takes. */
export type Methods<C, S extends 'server' | 'client'> = Get<Get<C, S>, 'methods'>;
/** The channels. */
export type Channels<C> = Get<C, 'channels'>;
/**
 * The names of a map.
 *
 * @inline
 */
export type Name<M> = keyof M & string;

/** The parameter of a method; a method with two has none that could be given. */
export type Params<M, K extends keyof M> = M[K] extends (...args: infer A) => unknown
  ? A extends []
    ? undefined
    : A extends [unknown?]
      ? A[0]
      : never
  : unknown;
/** What a method results in. */
export type Result<M, K extends keyof M> = M[K] extends (...args: never[]) => infer R ? Awaited<R> : unknown;

/** Arguments after the name: a value that may be undefined may be left out. */
export type Optional<V, Options> = undefined extends V ? [value?: V, options?: Options] : [value: V, options?: Options];
