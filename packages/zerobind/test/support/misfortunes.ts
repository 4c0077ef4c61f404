import { EventEmitter } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { Channel, RpcError, ServiceHost, Status, binding, errorDetail, zeromq } from "zerobind";
import type { AttachmentListener, ChannelOptions, ServiceHostOptions } from "zerobind";
import { RetryInfo } from "zerobind/google";
import type { DynamicContract } from "../../src/dynamic/types.ts";
import { Cable, OpenGreeter, aborted, hanging } from "./greeter.ts";
import type { GreeterOptions } from "./greeter.ts";

type Misfortune = (contract: DynamicContract) => Promise<unknown>;

/** What throws at once, as a promise that rejects. */
const attempt = (make: () => unknown): Promise<unknown> => Promise.resolve().then(make);

const ada = { name: "Ada" };

/** An address at which nobody listens. */
async function freeAddress(contract: DynamicContract): Promise<string> {
  await using greeter = await OpenGreeter.open({ contract });
  return greeter.host.address;
}

/** Greets at an address. */
async function greetAt(address: string, contract: DynamicContract, channelOptions: ChannelOptions, options = {}) {
  await using channel = new Channel(address, channelOptions);
  return await channel.client(contract)["sayHello"]!(ada, options);
}

/** Greets a server that is not there. */
async function greetNobody(contract: DynamicContract, channelOptions: ChannelOptions, options = {}) {
  return await greetAt(await freeAddress(contract), contract, channelOptions, options);
}

/** Takes messages and says nothing. */
const deaf: AttachmentListener = {
  accept: () => ({ receive: () => undefined, lost: () => undefined }),
  acceptPlain: () => undefined,
  trouble: () => undefined,
};

/** Greets once. */
async function greetOnce(given: GreeterOptions, request: object = ada, options = {}) {
  await using greeter = await OpenGreeter.open(given);
  return await greeter.client["sayHello"]!(request as typeof ada, options);
}

/** Greets while calls run that fill the server. */
async function greetBusy(contract: DynamicContract, options: Partial<GreeterOptions>, callOptions = {}) {
  const { sayHello, entered } = hanging();
  await using greeter = await OpenGreeter.open({ contract, sayHello, ...options });
  const first = greeter.client["sayHello"]!(ada, { timeoutMs: Infinity });
  first.catch(() => undefined);
  await entered;
  return await greeter.client["sayHello"]!(ada, callOptions);
}

/** Greets, and something happens while the handler runs. */
async function greetAnd(
  contract: DynamicContract,
  happens: (greeter: OpenGreeter) => void,
  options: Partial<GreeterOptions> = {},
  callOptions = {},
) {
  const { sayHello, entered } = hanging();
  await using greeter = await OpenGreeter.open({ contract, sayHello, ...options });
  const call = greeter.client["sayHello"]!(ada, callOptions);
  call.catch(() => undefined);
  await entered;
  happens(greeter);
  return await call;
}

/** Greets, and the connection is lost each time that the handler runs. */
async function cutCable(contract: DynamicContract, called: DynamicContract, channelOptions: ChannelOptions = {}) {
  const entered = new EventEmitter();
  const sayHello = (_request: unknown, { signal }: { signal: AbortSignal }) => {
    entered.emit("entered");
    return aborted(signal);
  };
  await using greeter = await OpenGreeter.open({ contract, sayHello });
  await using cable = await Cable.to(greeter.host.address);
  entered.on("entered", () => cable.cut());
  await using channel = new Channel(cable.address, { drainTimeoutMs: 0, ...channelOptions });
  return await channel.client(called)["sayHello"]!(ada);
}

/** Greets through a server whose handler asks another one, which does not answer. */
async function greetThrough(contract: DynamicContract, end: (controller: AbortController) => void, callOptions = {}) {
  const { sayHello, entered } = hanging();
  await using back = await OpenGreeter.open({ contract, sayHello });
  let asked: Promise<unknown> | undefined;
  let seen!: (error: unknown) => void;
  const inner = new Promise((resolve) => (seen = resolve));
  await using front = await OpenGreeter.open({
    contract,
    sayHello: () => {
      asked = back.client["sayHello"]!(ada);
      asked.catch(seen);
      return asked;
    },
  });
  // Both are connected before the time begins to run.
  for (const { client } of [back, front]) await client["countdown"]!({ from: 0 }).next();
  const controller = new AbortController();
  front.client["sayHello"]!(ada, { signal: controller.signal, ...callOptions }).catch(() => undefined);
  await entered;
  end(controller);
  throw await inner;
}

const idempotent = (contract: DynamicContract): DynamicContract => ({
  ...contract,
  methods: contract.methods.map((method) => ({
    ...method,
    options: { ...method.options, idempotency: "no_side_effects" as const },
  })),
});

const withElement = (name: string): ServiceHostOptions => ({
  binding: binding({ kind: "message", name, outgoing: (message) => message, incoming: (message) => message }, zeromq()),
});

const full = { maxConcurrentCalls: 1, maxQueuedCalls: 0 };

/** What can go wrong, by the names that docs/semantics.md has for it; each ends in the error that it prints. */
export const misfortunes: Readonly<Record<string, Misfortune>> = {
  "nobody there": (contract) => greetNobody(contract, { connectTimeoutMs: 500 }),
  "nobody there, waiting for ready": (contract) => greetNobody(contract, {}, { waitForReady: true, timeoutMs: 500 }),
  "too many waiting": (contract) => greetNobody(contract, { maxQueuedCalls: 0 }),

  "something else there": async (contract) => {
    const server = createServer((socket) => socket.on("error", () => undefined));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      return await greetAt(address, contract, { zeromq: { handshakeTimeoutMs: 50 }, connectTimeoutMs: 500 });
    } finally {
      server.close();
    }
  },
  "another program of ZeroMQ there": async (contract) => {
    const mute = await zeromq().attach("tcp://127.0.0.1:*", { mode: "bind", maxFrameBytes: 65_536 }, deaf);
    try {
      return await greetAt(mute.address, contract, { zeromq: { answerTimeoutMs: 50 }, connectTimeoutMs: 500 });
    } finally {
      await mute.close(0);
    }
  },

  "scheme misspelt": () => attempt(() => new Channel("tpc://127.0.0.1:5555")),
  "scheme missing": () => attempt(() => new Channel("127.0.0.1:5555")),
  "port missing": () => attempt(() => new Channel("tcp://127.0.0.1")),
  "wildcard to connect to": () => attempt(() => new Channel("tcp://*:5555")),
  "address beyond this machine": () => attempt(() => new Channel("tcp://10.0.0.7:5555")),
  "address in use": async (contract) => {
    await using greeter = await OpenGreeter.open({ contract });
    return await OpenGreeter.open({ contract, address: greeter.host.address });
  },
  "bindings differ": async (contract) => {
    const host = withElement("seal");
    await using greeter = await OpenGreeter.open({ contract, host });
    return await greeter.client["sayHello"]!(ada);
  },

  "package misspelt": async (contract) => {
    await using greeter = await OpenGreeter.open({ contract });
    const wrong = { ...contract, typeName: "greeter.v2.Greeter" };
    return await greeter.channel.client(wrong)["sayHello"]!(ada);
  },
  "handler incomplete": (contract) => attempt(() => new ServiceHost().serve(contract, { sayHello: () => ({}) })),
  "option misspelt": (contract) => greetOnce({ contract }, ada, { timeout: 500 }),
  "option of the wrong kind": (contract) => greetOnce({ contract }, ada, { timeoutMs: "500" }),
  "request missing": async (contract) => {
    await using greeter = await OpenGreeter.open({ contract });
    return await (greeter.client["sayHello"] as unknown as () => Promise<unknown>)();
  },
  "request of the wrong kind": (contract) => greetOnce({ contract }, "Ada" as unknown as object),
  "field of the wrong type": (contract) => greetOnce({ contract }, { name: 7 }),
  "metadata with a line break": (contract) => greetOnce({ contract }, ada, { metadata: { note: "a\nb" } }),
  "metadata with a reserved key": (contract) => greetOnce({ contract }, ada, { metadata: { "zb-trace": "1" } }),
  "metadata too large": (contract) =>
    greetOnce({ contract, host: { limits: { maxMetadataBytes: 100 } } }, ada, { metadata: { note: "x".repeat(200) } }),

  "deadline passed before": (contract) => greetOnce({ contract }, ada, { timeoutMs: 0 }),
  "deadline, in the handler": (contract) => greetBusy(contract, {}, { timeoutMs: 50 }),
  "deadline, waiting at the caller": (contract) =>
    greetBusy(contract, { host: { limits: { maxConcurrentCalls: 1 } } }, { timeoutMs: 50 }),
  "deadline, waiting at the server": (contract) =>
    greetBusy(contract, { host: { maxConcurrentCalls: 1 } }, { timeoutMs: 50 }),
  "deadline of the parent": (contract) => greetThrough(contract, () => undefined, { timeoutMs: 200 }),

  "request too large": (contract) =>
    greetOnce({ contract, host: { limits: { maxMessageBytes: 1000 } } }, { name: "x".repeat(2000) }),
  "reply too large": (contract) =>
    greetOnce({ contract, channel: { limits: { maxMessageBytes: 1000 } } }, { name: "x".repeat(1000) }),

  "overload of the host": (contract) => greetBusy(contract, { host: full }),
  "overload of the host, with a queue": async (contract) => {
    const { sayHello, entered } = hanging();
    await using greeter = await OpenGreeter.open({
      contract,
      sayHello,
      host: { maxConcurrentCalls: 2, maxQueuedCalls: 2 },
    });
    // Calls of one session arrive in their order: two run, two wait, the last is one too many.
    const calls = Array.from({ length: 5 }, () => greeter.client["sayHello"]!(ada));
    for (const call of calls) call.catch(() => undefined);
    await entered;
    return await calls.at(-1);
  },
  "overload of a service": (contract) => greetBusy(contract, { serve: { throttle: full } }),
  "overload of a method": (contract) => greetBusy(contract, { serve: { methods: { sayHello: { throttle: full } } } }),
  "too many streams": async (contract) => {
    await using greeter = await OpenGreeter.open({ contract, host: { maxStreamsPerSession: 1 } });
    const first = greeter.client["countdown"]!({ from: 10_000 });
    await first.next();
    return await greeter.client["countdown"]!({ from: 3 }).next();
  },
  "too many sessions": async (contract) => {
    await using greeter = await OpenGreeter.open({ contract, host: { maxSessions: 1 } });
    await greeter.client["sayHello"]!(ada);
    await using second = new Channel(greeter.host.address, { connectTimeoutMs: 500 });
    return await second.client(contract)["sayHello"]!(ada);
  },

  "connection lost": (contract) => cutCable(contract, contract),
  "connection lost, tried again": (contract) => cutCable(contract, idempotent(contract), { retry: { maxAttempts: 2 } }),
  "server closed": (contract) => greetAnd(contract, ({ host }) => host.abort()),
  "channel closed before": async (contract) => {
    await using greeter = await OpenGreeter.open({ contract });
    await greeter.channel.close();
    return await greeter.client["sayHello"]!(ada);
  },
  "channel closed meanwhile": (contract) =>
    greetAnd(contract, ({ channel }) => void channel.close(), { channel: { drainTimeoutMs: 50 } }),
  "channel aborted": (contract) => greetAnd(contract, ({ channel }) => channel.abort()),

  cancelled: (contract) => {
    const controller = new AbortController();
    return greetAnd(contract, () => controller.abort(), {}, { signal: controller.signal });
  },
  "cancelled with a reason": (contract) => {
    const controller = new AbortController();
    const reason = new Error("the user has left the page");
    return greetAnd(contract, () => controller.abort(reason), {}, { signal: controller.signal });
  },
  "cancelled with its parent": (contract) => greetThrough(contract, (controller) => controller.abort()),

  "a stranger": (contract) => greetOnce({ contract, serve: { authorize: "authenticated" } }),
  "not permitted": (contract) =>
    greetOnce({ contract, host: { authenticate: () => "ada" }, serve: { authorize: ["admin"] } }),
  "the token cannot be checked": (contract) =>
    greetOnce({ contract, host: { authenticate: () => Promise.reject(new Error("jwt malformed")) } }),
  "no credentials": (contract) =>
    greetOnce({ contract, channel: { callCredentials: () => Promise.reject(new Error("the vault is sealed")) } }),

  "handler threw": (contract) =>
    greetOnce({
      contract,
      sayHello: () => {
        throw new Error("no such table: greetings");
      },
    }),
  "handler threw an RpcError": (contract) =>
    greetOnce({
      contract,
      sayHello: () => {
        throw new RpcError(Status.INVALID_ARGUMENT, "a name must not be empty");
      },
    }),
  "handler returned nothing": (contract) => greetOnce({ contract, sayHello: () => undefined }),
  "handler asks for a pause beyond the deadline": (contract) =>
    greetOnce(
      {
        contract: idempotent(contract),
        sayHello: () => {
          const details = [errorDetail(RetryInfo, { retryDelay: { seconds: 60n, nanos: 0 } })];
          throw new RpcError(Status.UNAVAILABLE, "moving house", { details });
        },
      },
      ada,
      { timeoutMs: 10_000 },
    ),
};
