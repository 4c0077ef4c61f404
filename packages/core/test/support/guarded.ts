import { EventEmitter, once } from "node:events";
import { Channel, ServiceHost, binding, memory } from "@zerobind/core";
import type {
  AnyMessageType,
  AuthorizationDecision,
  BindingLike,
  ChannelOptions,
  HandlerFailure,
  Principal,
  ServeOptions,
  ServiceHostOptions,
  TransportElement,
} from "@zerobind/core";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "../gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./behavior-handler.ts";
import { collect } from "./pair.ts";

type Contract = typeof Behavior;

/** A transport whose links have proved who the peer is: whoever the test says when the link comes. */
export function proving(who: () => Principal | undefined, transport: TransportElement = memory()): BindingLike {
  return binding({
    ...transport,
    attach: (address, options, listener) =>
      transport.attach(address, options, {
        ...(listener.acceptPlain && { acceptPlain: (request) => listener.acceptPlain?.(request) }),
        accept: (link) =>
          listener.accept({
            remoteAddress: link.remoteAddress,
            principal: who(),
            send: (frames) => link.send(frames),
            retire: () => link.retire(),
            close: () => link.close(),
          }),
        trouble: (problem) => listener.trouble(problem),
      }),
  });
}

/** What a test wants to be different. */
export interface GuardedOptions {
  readonly who?: Principal | undefined;
  readonly host?: Omit<ServiceHostOptions, "binding">;
  readonly serve?: ServeOptions;
  readonly channel?: Omit<ChannelOptions, "binding">;
  /** Roles that the contract requires, by the names of methods. */
  readonly requires?: Readonly<Record<string, readonly string[]>>;
}

/** Behavior with roles that its methods require; `onDecode` is told of each request that is decoded. */
export function requiring(
  requires: Readonly<Record<string, readonly string[]>>,
  onDecode: (method: string) => void = () => undefined,
): Contract {
  return {
    ...Behavior,
    methods: Behavior.methods.map((method) => ({
      ...method,
      options: { ...method.options, requires: requires[method.localName] ?? [] },
      input: spied(method.input, () => onDecode(method.localName)),
    })),
  };
}

function spied(type: AnyMessageType, onDecode: () => void): AnyMessageType {
  return {
    ...type,
    decode(input, length) {
      onDecode();
      return type.decode(input, length) as unknown;
    },
  };
}

/** A host of Behavior and a channel to it, over links that have proved who the client is. */
export class Guarded implements AsyncDisposable {
  readonly service = new BehaviorService();
  readonly decisions: AuthorizationDecision[] = [];
  readonly failures: { error: unknown; failure: HandlerFailure }[] = [];
  /** Methods whose requests were decoded, in their order. */
  readonly decoded: string[] = [];
  readonly binding: BindingLike;
  readonly host: ServiceHost;
  channel!: Channel;
  client!: BehaviorClient;

  private constructor({ who, host, serve, requires = {} }: GuardedOptions) {
    this.binding = proving(() => who);
    this.host = new ServiceHost({
      binding: this.binding,
      onError: (error, failure) => this.failures.push({ error, failure }),
      onAuthorization: (decision) => this.decisions.push(decision),
      ...host,
    });
    this.host.serve(
      requiring(requires, (method) => this.decoded.push(method)),
      this.service,
      serve,
    );
  }

  static async open(options: GuardedOptions = {}): Promise<Guarded> {
    const guarded = new Guarded(options);
    await guarded.host.open("memory://*");
    guarded.channel = new Channel(guarded.host.address, { binding: guarded.binding, retry: false, ...options.channel });
    guarded.client = guarded.channel.client(Behavior);
    return guarded;
  }

  /** What was decided so far, in short. */
  get verdicts(): string[] {
    return this.decisions.map(({ decision }) => decision);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel.abort();
    await this.channel.closed;
    this.host.abort();
    await this.host.closed;
  }
}

/** One call of each kind, with what it gives when all is well. */
export const kinds: readonly (readonly [string, string, (client: BehaviorClient) => Promise<unknown>, unknown])[] = [
  ["a unary call", "echo", (client) => client.echo({ text: "hello" }), { text: "hello", data: new Uint8Array() }],
  [
    "a stream of replies",
    "count",
    (client) => collect(client.count({ count: 3 })),
    [{ value: 0n }, { value: 1n }, { value: 2n }],
  ],
  [
    "a stream of requests",
    "sum",
    (client) => client.sum([1n, 2n, 3n].map((value) => ({ value }))),
    { total: 6n, count: 3 },
  ],
  [
    "a stream both ways",
    "relay",
    (client) => collect(client.relay(["a", "b"].map((text, number) => ({ text, number })))),
    [
      { text: "a", number: 0, data: new Uint8Array() },
      { text: "b", number: 1, data: new Uint8Array() },
    ],
  ],
];

/** Something that a test lets go on when it likes. */
export class Gate<T> {
  readonly #events = new EventEmitter();
  readonly #open: ((value: T) => void)[] = [];
  /** How often somebody came to it. */
  came = 0;

  /** Waits until it is opened. */
  pass(): Promise<T> {
    this.came += 1;
    const passed = new Promise<T>((resolve) => this.#open.push(resolve));
    this.#events.emit("came");
    return passed;
  }

  /** Waits until so many have come in all. */
  async visitors(count: number): Promise<void> {
    while (this.came < count) await once(this.#events, "came");
  }

  open(value: T): void {
    for (const go of this.#open.splice(0)) go(value);
  }
}
