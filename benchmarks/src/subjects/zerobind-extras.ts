import { setImmediate } from "node:timers/promises";
import { Channel } from "zerobind";
import type { CallOptions, Contract, Interceptor, ServiceHost } from "zerobind";
import { unary } from "../driver.ts";
import { Echo } from "../gen/benchmarks/v1/echo.rpc.ts";
import type { EchoClient, EchoHandler } from "../gen/benchmarks/v1/echo.rpc.ts";
import { small } from "../subject.ts";
import type { Answer, Client, Serving } from "../subject.ts";

type Unary = Pick<EchoHandler, "call">;
type Extras = NonNullable<Client["extras"]>;

/** The same unary method in a service of another name, so that a host can serve it in another way. */
function echoAs(typeName: string): Contract<Pick<EchoClient, "call">, Unary> {
  return { ...Echo, typeName, methods: Echo.methods.slice(0, 1) };
}

const Held = echoAs("benchmarks.v1.Held");
const Tagged = echoAs("benchmarks.v1.Tagged");
const Intercepted = echoAs("benchmarks.v1.Intercepted");
const Full = echoAs("benchmarks.v1.Full");

const largeMethods = 1_000;
/** A contract of many methods. */
const Large: Contract<Record<string, EchoClient["call"]>, Record<string, Unary["call"]>> = {
  typeName: "benchmarks.v1.Large",
  methods: Array.from({ length: largeMethods }, (_, number) => ({
    ...Echo.methods[0]!,
    name: `Call${number}`,
    localName: `call${number}`,
  })),
};

const echo: Unary["call"] = (request) => request;
/** Reads what it was sent along, as a handler that gets metadata does. */
const taggedEcho: Unary["call"] = (request, { metadata }) => (metadata.get("tenant") === "acme" ? request : {});
const passOn: Interceptor = (call, next) => next(call);
const metadata = { tenant: "acme", "request-id": "c0ffee-4711", locale: "en-GB", "x-feature": "on" };

/** Serves what the extra commands of the client need, and tells how many calls it holds open. */
export function serveExtras(host: ServiceHost): NonNullable<Serving["extras"]> {
  let held: (() => void)[] = [];
  host.serve(Held, { call: (request) => new Promise((resolve) => held.push(() => resolve(request))) });
  host.serve(Tagged, { call: taggedEcho });
  host.serve(Intercepted, { call: echo }, { interceptors: [passOn] });
  host.serve(Full, { call: taggedEcho }, { interceptors: [passOn] });
  host.serve(Large, Object.fromEntries(Large.methods.map(({ localName }) => [localName, echo])));
  return {
    async held(wanted): Promise<Answer> {
      while (held.length < Number(wanted)) await setImmediate();
      return { held: held.length };
    },
    release() {
      const count = held.length;
      for (const reply of held) reply();
      held = [];
      return Promise.resolve({ count });
    },
  };
}

/** Commands of the zerobind client alone: what features cost, many connections and methods, and calls held open. */
export function clientExtras(address: string): Extras {
  return { ...featureCommands(address), ...memoryCommands(address), ...breadthCommands(address) };
}

/** `feature NAME MS`: 100 calls at once with what a feature adds; `none` has not even a deadline. */
function featureCommands(address: string): Extras {
  const channel = new Channel(address);
  const client = channel.client(Echo);
  const tagged = channel.client(Tagged);
  const intercepted = channel.client(Intercepted, { interceptors: [passOn] });
  const full = channel.client(Full, { interceptors: [passOn] });
  const forever: CallOptions = { timeoutMs: Infinity };
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    none: () => client.call(small, forever),
    deadline: () => client.call(small, { timeoutMs: 5_000 }),
    metadata: () => tagged.call(small, { timeoutMs: Infinity, metadata }),
    interceptors: () => intercepted.call(small, forever),
    all: () => full.call(small, { timeoutMs: 5_000, metadata }),
  };
  return {
    feature(name = "", sliceMs) {
      const call = calls[name];
      if (!call) throw new Error(`there is no feature ${name}`);
      return unary(call, 100, Number(sliceMs));
    },
  };
}

/** `connections N MS`: 1,000 calls at once over so many connections. `methods N MS`: 100 at once over so many methods. */
function breadthCommands(address: string): Extras {
  const channels: Channel[] = [];
  const methods = new Channel(address).client(Large);
  return {
    async connections(wanted, sliceMs) {
      while (channels.length < Number(wanted)) channels.push(new Channel(address));
      const clients = channels.slice(0, Number(wanted)).map((channel) => channel.client(Echo));
      await Promise.all(clients.map((client) => client.call(small)));
      let turn = 0;
      return unary(() => clients[turn++ % clients.length]!.call(small), 1000, Number(sliceMs));
    },
    methods(wanted, sliceMs) {
      const calls = Large.methods.slice(0, Number(wanted)).map(({ localName }) => methods[localName]!);
      let turn = 0;
      return unary(() => calls[turn++ % calls.length]!(small), 100, Number(sliceMs));
    },
  };
}

/** A session lets 1,000 calls be open at once by default. */
const callsPerChannel = 1_000;

/** `open N` opens channels that stay, `hold N` begins calls over them that stay until `released`. */
function memoryCommands(address: string): Extras {
  const clients: Pick<EchoClient, "call">[] = [];
  let calls: Promise<unknown>[] = [];
  return {
    async open(wanted) {
      const more = Array.from({ length: Number(wanted) }, () => new Channel(address).client(Held));
      const warm = more.map((client) => client.call(small));
      clients.push(...more);
      calls.push(...warm);
      return Promise.resolve({ clients: clients.length });
    },
    hold(wanted) {
      for (let begun = 0; begun < Number(wanted); begun++)
        calls.push(clients[Math.floor(begun / callsPerChannel) % clients.length]!.call(small));
      return Promise.resolve({ begun: calls.length });
    },
    async released() {
      const count = (await Promise.all(calls)).length;
      calls = [];
      return { count };
    },
  };
}
