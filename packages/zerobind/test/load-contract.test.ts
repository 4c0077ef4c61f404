import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, Status, loadContract } from "zerobind";
import type { ClientOf, Contract, HandlerOf } from "zerobind";
import { BadRequest } from "zerobind/google";
import type { DynamicClient, DynamicHandler } from "../src/dynamic/types.ts";
import { Detail } from "./gen/test/v1/everything.pb.ts";
import { Everything } from "./gen/test/v1/everything.rpc.ts";
import { EverythingService } from "./support/everything-service.ts";
import { everythingProto, folderWith } from "./support/protos.ts";

const load = (): Promise<Contract<DynamicClient, DynamicHandler>> =>
  loadContract(everythingProto, "test.v1.Everything");

/** A host and a client over memory, each with a contract of its own. */
interface Pair<C> extends AsyncDisposable {
  readonly client: ClientOf<C>;
}

async function open<S extends Contract, C extends Contract>(
  served: S,
  handler: HandlerOf<S> & object,
  called: C,
): Promise<Pair<C>> {
  const host = new ServiceHost();
  host.serve(served as Contract<unknown, HandlerOf<S> & object>, handler);
  await host.open("memory://*");
  const channel = new Channel(host.address);
  return {
    client: channel.client(called) as ClientOf<C>,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await host.close();
    },
  };
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

async function failure(call: PromiseLike<unknown>): Promise<RpcError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
}

describe("a dynamic client of a host with generated code", () => {
  const pair = async (): Promise<Pair<Contract<DynamicClient, DynamicHandler>> & { service: EverythingService }> => {
    const service = new EverythingService();
    return Object.assign(await open(Everything, service, await load()), { service });
  };

  test("unary", async () => {
    await using both = await pair();
    const request = {
      stringField: "ä☺",
      int64s: ["9223372036854775807"],
      texts: { a: "b" },
      color: "COLOR_RED",
      text: "t",
    };
    expect(await both.client["echo"]!(request)).toEqual(request);
  });

  test("server stream", async () => {
    await using both = await pair();
    expect(await collect(both.client["repeat"]!({ int32Field: 3 }))).toEqual([
      { int32Field: 3 },
      { int32Field: 3 },
      { int32Field: 3 },
    ]);
  });

  test("leaving a server stream ends the call on the server", async () => {
    await using both = await pair();
    const left = both.service.next("left");
    for await (const message of both.client["repeat"]!({})) {
      expect(message).toEqual({});
      break;
    }
    await left;
  });

  test("client stream", async () => {
    await using both = await pair();
    expect(await both.client["collect"]!([{ stringField: "a" }, { stringField: "b" }])).toEqual({
      stringField: "b",
      int32Field: 2,
    });
  });

  test("bidirectional stream", async () => {
    await using both = await pair();
    const requests = [{ stringField: "a" }, {}, { doubles: [1, "NaN"] }];
    expect(await collect(both.client["relay"]!(requests))).toEqual(requests);
  });

  test("messages whose JSON is no object stand as { value }", async () => {
    await using both = await pair();
    expect(await both.client["moment"]!({ value: "2024-02-29T12:00:00.500Z" })).toEqual({
      value: "2024-02-29T12:00:00.500Z",
    });
    const error = await failure(both.client["moment"]!({ time: "2024-02-29T12:00:00Z" }));
    expect(error.message).toMatch(/a google\.protobuf\.Timestamp stands as \{ value: … \}/);
  });

  test("one-way", async () => {
    await using both = await pair();
    const told = both.service.next("told");
    await both.client["tell"]!({ stringField: "news" });
    expect(await told).toBe("news");
  });

  test("errors have their details, also for the types of the contract", async () => {
    await using both = await pair();
    const error = await failure(both.client["fail"]!({ code: Status.NOT_FOUND, message: "no such thing" }));
    expect(error).toMatchObject({ code: Status.NOT_FOUND, message: "no such thing" });
    expect(error.detail(BadRequest)?.fieldViolations).toHaveLength(1);
    const { methods } = await load();
    const [fault] = methods.find(({ name }) => name === "Fail")!.options!.faults!;
    expect(error.detail(fault!)).toEqual({ reason: "gone", count: "9007199254740993" });
  });

  test("a message that does not fit fails its call with the name of the field, and the channel lives", async () => {
    await using both = await pair();
    const error = await failure(both.client["echo"]!({ nosuch: 1 }));
    expect(error.code).toBe(Status.INTERNAL);
    expect(error.message).toMatch(
      /the test\.v1\.EchoEverything cannot be encoded: test\.v1\.EchoEverything has no field "nosuch"\./,
    );
    expect(await both.client["echo"]!({ int32Field: 1 })).toEqual({ int32Field: 1 });
  });

  test("metadata and options of calls are those of every client", async () => {
    await using both = await pair();
    let trailer: unknown;
    await both.client["echo"]!(
      {},
      { metadata: { key: "value" }, onTrailer: (block) => (trailer = block.get("trailer-key")) },
    );
    expect(trailer).toBe("value");
    expect((await failure(both.client["echo"]!({ stringField: "wait" }, { timeoutMs: 20 }))).code).toBe(
      Status.DEADLINE_EXCEEDED,
    );
  });
});

describe("a generated client of a host with a dynamic contract", () => {
  const handler: DynamicHandler = {
    echo: (request) => request,
    *repeat(request) {
      for (let n = 0; n < Number(request["int32Field"]); n++) yield request;
    },
    async collect(requests) {
      const all = await collect(requests);
      return { ...all.at(-1), int32Field: all.length };
    },
    relay: (requests) => requests,
    moment: ({ value }) => ({ value: `at ${JSON.stringify(value)}` }),
    fail({ code, message }): never {
      throw new RpcError(code as typeof Status.NOT_FOUND, message as string);
    },
    tell: () => undefined,
    toString$: () => ({}),
  };
  const pair = async (): Promise<Pair<typeof Everything>> => open(await load(), handler, Everything);

  test("unary", async () => {
    await using both = await pair();
    const reply = await both.client.echo({
      stringField: "x",
      int64Field: 5n,
      bytesField: Uint8Array.of(1, 2),
      longs: new Map([[1n, 2n]]),
    });
    expect(reply).toMatchObject({ stringField: "x", int64Field: 5n, longs: new Map([[1n, 2n]]) });
    expect([...reply.bytesField]).toEqual([1, 2]);
  });

  test("server stream", async () => {
    await using both = await pair();
    expect(await collect(both.client.repeat({ int32Field: 2 }))).toHaveLength(2);
  });

  test("client stream", async () => {
    await using both = await pair();
    expect(await both.client.collect([{ stringField: "a" }, { stringField: "b" }])).toMatchObject({
      stringField: "b",
      int32Field: 2,
    });
  });

  test("bidirectional stream", async () => {
    await using both = await pair();
    expect(
      (await collect(both.client.relay([{ stringField: "a" }, { stringField: "b" }]))).map(
        ({ stringField }) => stringField,
      ),
    ).toEqual(["a", "b"]);
  });

  test("messages whose JSON is no object, errors, one-way and names that objects have", async () => {
    await using both = await pair();
    expect(await both.client.moment({ seconds: 0n })).toEqual({ value: 'at "1970-01-01T00:00:00Z"' });
    expect(await failure(both.client.fail({ code: Status.ABORTED, message: "m" }))).toMatchObject({
      code: Status.ABORTED,
      message: "m",
    });
    await both.client.tell({});
    expect(await both.client.toString$({})).toEqual({});
  });

  test("a reply that does not fit is INTERNAL", async () => {
    await using both = await open(await load(), { ...handler, echo: () => ({ nosuch: 1 }) }, Everything);
    expect((await failure(both.client.echo({}))).code).toBe(Status.INTERNAL);
  });

  test("a handler that lacks methods is refused", async () => {
    const contract = await load();
    expect(() => new ServiceHost().serve(contract, { echo: handler["echo"]! })).toThrow(
      /has no method repeat, collect, relay, moment, fail, tell, toString\$/,
    );
  });
});

describe("the contract", () => {
  test("says the same as generated code", async () => {
    const plain = ({ typeName, methods }: Contract): unknown => ({
      typeName,
      methods: methods.map(({ name, localName, kind, input, output, options: { faults, ...options } = {} }) => ({
        ...{ name, localName, kind, input: input.$type, output: output.$type },
        ...{ options, faults: faults?.map(({ $type }) => $type) },
      })),
    });
    expect(plain(await load())).toEqual(plain(Everything));
  });

  test("has one message type for each type", async () => {
    const { methods } = await load();
    expect(methods[0]!.input).toBe(methods[0]!.output);
    expect(methods.find(({ name }) => name === "Priced")!.input.$type).toBe(Detail.$type);
  });

  test("may be had by the last part of its name, and with types that one knows", async () => {
    interface Client {
      echo(request: { stringField?: string }): Promise<{ stringField?: string }>;
    }
    interface Handler {
      echo(request: { stringField?: string }): { stringField?: string };
    }
    const contract = await loadContract<Client, Handler>([everythingProto], "Everything");
    class Echo implements Handler {
      echo = ({ stringField = "" }) => ({ stringField: `${stringField}!` });
    }
    const host = new ServiceHost();
    expect(() => host.serve<Handler>(contract, new Echo())).toThrow(/has no method repeat/);
    await using both = await open(Everything, new EverythingService(), contract);
    const { stringField } = await both.client.echo({ stringField: "typed" });
    expect(stringField).toBe("typed");
  });

  test("gives whole messages on request", async () => {
    const contract = await loadContract(everythingProto, "test.v1.Everything", { emitDefaults: true });
    await using both = await open(Everything, new EverythingService(), contract);
    expect(await both.client["echo"]!({})).toMatchObject({ int32Field: 0, stringField: "", doubles: [], texts: {} });
  });
});

test("roles that a loaded contract requires are checked", async () => {
  await using folder = await folderWith({
    "vault.proto": `
      syntax = "proto3";
      package vault.v1;
      import "zerobind/v1/options.proto";
      message Key { string name = 1; }
      service Vault {
        rpc Take(Key) returns (Key) { option (zerobind.v1.operation) = { requires: ["keeper", "adult"] }; }
        rpc Look(Key) returns (Key);
      }`,
  });
  const vault = await loadContract(join(folder.path, "vault.proto"), "vault.v1.Vault");
  await using host = new ServiceHost({
    authenticate: ({ metadata }) => {
      const roles = metadata.getAll("role") as string[];
      return roles.length > 0 ? { name: "somebody", roles } : undefined;
    },
  });
  host.serve(vault, { take: (key: unknown) => key, look: (key: unknown) => key } as never);
  await host.open("memory://*");
  await using channel = new Channel(host.address);
  const client = channel.client(vault);
  const as = (...role: string[]) => ({ metadata: { role } });
  expect(await client["take"]!({ name: "gold" }, as("keeper", "adult"))).toEqual({ name: "gold" });
  expect((await failure(client["take"]!({}, as("keeper")) as Promise<unknown>)).code).toBe(Status.PERMISSION_DENIED);
  expect((await failure(client["take"]!({}) as Promise<unknown>)).code).toBe(Status.UNAUTHENTICATED);
  // Nothing is said of it, so nobody may.
  expect((await failure(client["look"]!({}, as("keeper")) as Promise<unknown>)).code).toBe(Status.PERMISSION_DENIED);
});
