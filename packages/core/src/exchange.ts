import { checkStack } from "./binding.ts";
import type { BindingLike, BindingStack, StackParts } from "./binding.ts";
import type { CallOptions } from "./call-options.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import type { CallStarter } from "./client.ts";
import { clientMethod } from "./client-method.ts";
import type { ClientMethod } from "./client-method.ts";
import type { Contract, MethodDescriptor, MethodKind } from "./contract.ts";
import { Message, rawType } from "./message.ts";
import { Metadata } from "./metadata.ts";
import { PushStream } from "./push-stream.ts";
import { ReplyChannel } from "./reply-channel.ts";
import type { ReplyChannelOptions } from "./reply-channel.ts";
import type { Inbound } from "./stream.ts";
import { now } from "./timer-wheel.ts";

/**
 * A binding: how messages travel, from the outermost message element down to the transport.
 * `binding(zeromq())` is the least; the transport comes last, which the types check.
 */
export class Binding implements BindingLike {
  readonly stack: StackParts;

  /** TypeError for a stack that is not in order. */
  constructor(stack: readonly unknown[]) {
    this.stack = checkStack(stack);
  }

  /** Opens an address for channel-level programs: requests come as contexts, undecoded. Rejects if it cannot be bound. */
  async listen(address: string, options: ReplyChannelOptions = {}): Promise<ReplyChannel> {
    const channel = new ReplyChannel(address, this, options);
    await channel.open();
    return channel;
  }

  /** A channel for messages whose bodies are already encoded. It connects when first used. */
  connect(address: string, options: ChannelOptions = {}): RequestChannel {
    return new RequestChannel(new Channel(address, { ...options, binding: this }));
  }
}

/** Makes a binding of its elements: message elements, at most one encoder, and the transport last. */
export function binding(...stack: BindingStack): Binding {
  return new Binding(stack);
}

/** Options of a call, but for what the message says itself. */
export type ExchangeOptions = Omit<CallOptions, "metadata">;

/** The calling end for programs that handle messages themselves. It owns its channel. */
export class RequestChannel implements AsyncDisposable {
  readonly #channel: Channel;
  readonly #calls: CallStarter;
  readonly #methods = new Map<string, ClientMethod>();

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#calls = Channel.starterOf(channel);
  }

  get address(): string {
    return this.#channel.address;
  }

  /** Sends a request to the method named by `message.path` and resolves with its reply; rejects with RpcError. */
  request(message: Message, options: ExchangeOptions = {}): Promise<Message> {
    const { method, given } = this.#prepare(message, "unary", options);
    let headers = new Metadata();
    const onHeader = (header: Metadata): void => {
      headers = header;
      options.onHeader?.(header);
    };
    return new Promise((resolve, reject) => {
      const settle = {
        resolve: (body: unknown) => resolve(new Message(body as Uint8Array, { path: message.path, headers })),
        reject,
      };
      this.#calls.start(method, { ...given, request: message.body, options: { ...options, onHeader } }, settle);
    });
  }

  /** Opens an exchange of any number of messages both ways with the method named by `path`. */
  exchange(path: string, options: CallOptions = {}): Exchange {
    const { method, given } = this.#prepare(
      { path, headers: Metadata.from(options.metadata ?? {}) },
      "bidi_stream",
      options,
    );
    const outgoing = new PushStream<Uint8Array>();
    const call = this.#calls.start(method, { ...given, request: outgoing });
    return new Exchange(outgoing, call.responses as Inbound<Uint8Array>, path);
  }

  async close(): Promise<void> {
    await this.#channel.close();
  }

  abort(): void {
    this.#channel.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #prepare({ path, headers }: { path: string; headers: Metadata }, kind: MethodKind, options: CallOptions) {
    const key = `${kind} ${path}`;
    const method = this.#methods.get(key) ?? rawMethod(path, kind);
    // Paths are the caller's own; a program that makes up new ones all the time only loses the cache.
    if (this.#methods.size < 1000) this.#methods.set(key, method);
    const metadata = headers.size > 0 ? headers.clone() : undefined;
    const startedMs = now();
    const deadlineMs = this.#calls.deadlineOf(method, options, startedMs);
    return { method, given: { options, metadata, startedMs, deadlineMs } };
  }
}

/** The caller's half of a call at the level of messages: send, end, and iterate over what comes back. */
export class Exchange implements AsyncIterable<Message>, AsyncDisposable {
  readonly #outgoing: PushStream<Uint8Array>;
  readonly #incoming: Inbound<Uint8Array>;
  readonly #path: string;

  constructor(outgoing: PushStream<Uint8Array>, incoming: Inbound<Uint8Array>, path: string) {
    this.#outgoing = outgoing;
    this.#incoming = incoming;
    this.#path = path;
  }

  /** Sends a message; resolves when the peer's credit has let it go. Rejects CANCELLED when the call is over. */
  send(message: Message): Promise<void> {
    return this.#outgoing.push(message.body);
  }

  /** Says that no more messages will come. */
  end(): void {
    this.#outgoing.end();
  }

  /** Ends the call on both ends. */
  cancel(reason?: unknown): void {
    this.#incoming.cancel(reason);
  }

  /** The replies; leaving the loop cancels the call, and a status other than OK is thrown after the last one. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void> {
    for await (const body of this.#incoming) yield new Message(body, { path: this.#path });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#incoming[Symbol.asyncDispose]();
  }
}

function rawMethod(path: string, kind: MethodKind): ClientMethod {
  const [service = "", name = "", ...more] = path.split("/");
  if (service === "" || name === "" || more.length > 0)
    throw new TypeError(`"${path}" is no path of a method, which look like package.Service/Method`);
  const descriptor: MethodDescriptor = { name, localName: name, kind, input: rawType, output: rawType };
  const contract: Contract = { typeName: service, methods: [descriptor] };
  return clientMethod(contract, descriptor);
}
