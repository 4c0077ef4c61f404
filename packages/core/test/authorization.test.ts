import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, Status, binding, errorDetail, memory } from "@zerobind/core";
import type { AuthorizationCall, AuthorizationRule, PrincipalInit } from "@zerobind/core";
import { FailReason } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Observer, Worker } from "./gen/test/v1/callback.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { DeviceUnderTest } from "./support/device.ts";
import { failureOf } from "./support/failure.ts";
import { Guarded, kinds, proving, requiring } from "./support/guarded.ts";

const admin = { name: "ada", roles: ["admin", "reader"] };
const reader = { name: "rita", roles: ["reader"] };
const everywhere = Object.fromEntries(Behavior.methods.map(({ localName }) => [localName, ["admin"]]));

/** The same principals by tokens. */
const byToken = (token: unknown): PrincipalInit | undefined =>
  token === "Bearer of-ada" ? admin : token === "Bearer of-rita" ? reader : undefined;

describe.each(kinds)("%s", (_kind, method, make, reply) => {
  describe.each(["at once", "later"])("decided %s", (when) => {
    const options = {
      requires: everywhere,
      host: {
        authenticate: ({ metadata }: AuthorizationCall | { metadata: { get(key: string): unknown } }) => {
          const found = byToken(metadata.get("authorization"));
          return when === "at once" ? found : new Promise<typeof found>((resolve) => setImmediate(resolve, found));
        },
      },
    } as const;

    test.each([
      ["nobody", undefined, Status.UNAUTHENTICATED, "unauthenticated"],
      ["rita", "Bearer of-rita", Status.PERMISSION_DENIED, "denied"],
    ])("is refused to %s before its request is decoded", async (_who, authorization, code, decision) => {
      const channel = authorization === undefined ? {} : { callCredentials: { authorization } };
      await using guarded = await Guarded.open({ ...options, channel });
      expect(await failureOf(make(guarded.client))).toMatchObject({ code });
      expect(guarded.decoded).toEqual([]);
      expect(guarded.service.entered.size).toBe(0);
      expect(guarded.verdicts).toEqual([decision]);
      expect(guarded.host.counters).toMatchObject({ [`${decision} call`]: 1 });
      expect(guarded.host.counters["refused call"]).toBeUndefined();
    });

    test("is carried out for who holds the role", async () => {
      const channel = { callCredentials: { authorization: "Bearer of-ada" } };
      await using guarded = await Guarded.open({ ...options, channel });
      expect(await make(guarded.client)).toEqual(reply);
      expect(new Set(guarded.decoded)).toEqual(new Set([method]));
      expect(guarded.decisions).toMatchObject([
        { path: `test.v1.Behavior/${method.replace(/^./, (first) => first.toUpperCase())}`, principal: "ada" },
      ]);
    });
  });

  test("is carried out for whom the connection has proved to hold the role", async () => {
    await using guarded = await Guarded.open({ requires: everywhere, who: admin });
    expect(await make(guarded.client)).toEqual(reply);
    expect(guarded.decisions).toMatchObject([
      { decision: "allowed", principal: "ada", roles: ["admin", "reader"], reason: "it holds admin" },
    ]);
  });
});

describe("rules", () => {
  const outcome = async (options: Parameters<typeof Guarded.open>[0]): Promise<number> => {
    await using guarded = await Guarded.open(options);
    return await guarded.client.ping({}).then(
      () => Status.OK,
      (error: unknown) => RpcError.from(error).code,
    );
  };
  const { OK, UNAUTHENTICATED, PERMISSION_DENIED } = Status;

  test("that do not exist let everybody in, and tell nobody", async () => {
    await using guarded = await Guarded.open();
    expect(await guarded.client.ping({ sequence: 1 })).toEqual({ sequence: 1 });
    expect(guarded.decisions).toEqual([]);
    expect(guarded.host.counters).toEqual({});
  });

  test.each<[AuthorizationRule, number, number, number]>([
    ["anyone", OK, OK, OK],
    ["authenticated", UNAUTHENTICATED, OK, OK],
    [["reader"], UNAUTHENTICATED, OK, OK],
    [["reader", "admin"], UNAUTHENTICATED, PERMISSION_DENIED, OK],
    [["Admin"], UNAUTHENTICATED, PERMISSION_DENIED, PERMISSION_DENIED],
    [({ principal }) => principal === "ada", UNAUTHENTICATED, PERMISSION_DENIED, OK],
    [({ roles }) => Promise.resolve(roles.includes("reader")), UNAUTHENTICATED, OK, OK],
    [({ principal }) => principal === undefined, OK, PERMISSION_DENIED, PERMISSION_DENIED],
  ])("%p", async (authorize, toNobody, toReader, toAdmin) => {
    const found = [];
    for (const who of [undefined, reader, admin]) found.push(await outcome({ who, serve: { authorize } }));
    expect(found).toEqual([toNobody, toReader, toAdmin]);
  });

  test("of a method go before those of its service, either way", async () => {
    const open = { authorize: ["admin"], methods: { ping: { authorize: "anyone" as const } } };
    expect(await outcome({ serve: open })).toBe(OK);
    const closed = { authorize: "anyone" as const, methods: { ping: { authorize: ["admin"] } } };
    expect(await outcome({ serve: closed })).toBe(UNAUTHENTICATED);
  });

  test("never take away what the contract requires", async () => {
    const requires = { ping: ["admin"] };
    expect(await outcome({ requires, serve: { authorize: "anyone" } })).toBe(UNAUTHENTICATED);
    expect(await outcome({ requires, who: reader, serve: { authorize: () => true } })).toBe(PERMISSION_DENIED);
    expect(await outcome({ requires, who: reader, host: { authorize: () => true } })).toBe(PERMISSION_DENIED);
    expect(await outcome({ requires, who: admin, serve: { authorize: ["reader"] } })).toBe(OK);
  });

  test.each<[string, Parameters<typeof Guarded.open>[0]]>([
    ["a role that another method requires", { requires: { echo: ["admin"] } }],
    ["a rule of another method", { serve: { methods: { echo: { authorize: "anyone" } } } }],
  ])("once there is one (%s), what has none is refused, even to who may anything", async (_what, options) => {
    expect(await outcome({ ...options })).toBe(UNAUTHENTICATED);
    expect(await outcome({ ...options, who: admin })).toBe(PERMISSION_DENIED);
    await using guarded = await Guarded.open({ ...options, who: admin });
    await failureOf(guarded.client.ping({}));
    expect(guarded.decisions).toMatchObject([
      { decision: "denied", reason: expect.stringContaining("nothing is said") },
    ]);
  });

  test("of one service close the others of its host", async () => {
    await using host = new ServiceHost({ binding: binding(memory()) });
    host.serve(Behavior, new BehaviorService());
    host.serve(
      Worker,
      { work: () => ({}), read: () => ({}), hint: () => ({}), wait: () => ({}) },
      { authorize: "anyone" },
    );
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: binding(memory()) });
    expect(await channel.client(Worker).work({})).toEqual({ sequence: 0 });
    expect(await failureOf(channel.client(Behavior).ping({}))).toMatchObject({ code: UNAUTHENTICATED });
  });

  test("the host's function decides about what has none, and has the last word about what has", async () => {
    const asked: string[] = [];
    const authorize = ({ path, principal }: AuthorizationCall): boolean => {
      asked.push(path);
      return principal !== "rita";
    };
    expect(await outcome({ host: { authorize } })).toBe(OK);
    expect(await outcome({ host: { authorize }, who: reader })).toBe(PERMISSION_DENIED);
    expect(await outcome({ host: { authorize }, who: reader, serve: { authorize: "anyone" } })).toBe(PERMISSION_DENIED);
    expect(asked).toEqual(Array.from({ length: 3 }, () => "test.v1.Behavior/Ping"));
    // Who is refused by a rule is not even asked about.
    expect(await outcome({ host: { authorize }, serve: { authorize: ["admin"] } })).toBe(UNAUTHENTICATED);
    expect(asked).toHaveLength(3);
  });

  test("functions see the call, and none of its request", async () => {
    const calls: AuthorizationCall[] = [];
    await using guarded = await Guarded.open({
      who: reader,
      serve: {
        authorize: (call) => {
          calls.push(call);
          expect(guarded.decoded).toEqual([]);
          expect(call.session?.items).toBeDefined();
          return true;
        },
      },
    });
    await guarded.client.ping({}, { metadata: { tenant: "blue" }, timeoutMs: 5_000 });
    const [call] = calls;
    expect(call).toMatchObject({ path: "test.v1.Behavior/Ping", principal: "rita", roles: ["reader"] });
    expect(call!.method.localName).toBe("ping");
    expect(call!.metadata.get("tenant")).toBe("blue");
    expect(call!.peer).toEqual({ address: expect.any(String), principal: "rita", roles: ["reader"] });
    expect(call!.session?.id).toMatch(/^[0-9a-f]{16}$/);
    expect(call!.deadline! - Date.now()).toBeLessThan(5_001);
    expect(call!.signal.aborted).toBe(false);
  });

  test.each<[string, () => never]>([
    [
      "throws",
      () => {
        throw new Error("the secret of the policy store");
      },
    ],
    ["rejects", (() => Promise.reject(new Error("the secret of the policy store"))) as never],
    ["says nothing", (() => undefined) as never],
    ["says something else", (() => "yes") as never],
    ["promises something else", (() => Promise.resolve(1)) as never],
  ])("a function that %s denies, and its error stays here", async (_what, authorize) => {
    await using guarded = await Guarded.open({ who: admin, serve: { authorize } });
    const error = await failureOf(guarded.client.ping({}));
    expect(error.code).toBe(PERMISSION_DENIED);
    expect(error.message).not.toContain("secret");
    const { error: told, failure } = guarded.failures[0]!;
    expect(failure).toMatchObject({ path: "test.v1.Behavior/Ping", step: "authorize" });
    expect(error.message).toContain(failure.id!);
    expect(String(told)).toMatch(/secret|must answer true or false/);
    expect(guarded.verdicts).toEqual(["denied"]);
    expect(guarded.decoded).toEqual([]);
  });

  test("a function that throws an RpcError answers with it", async () => {
    const busy = new RpcError(Status.UNAVAILABLE, "the policy store is away", {
      details: [errorDetail(FailReason, { reason: "store" })],
    });
    await using guarded = await Guarded.open({ serve: { authorize: () => Promise.reject(busy) } });
    const error = await failureOf(guarded.client.ping({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, message: "the policy store is away" });
    expect(error.detail(FailReason)).toEqual({ reason: "store" });
    expect(guarded.failures).toEqual([]);
  });

  test("callers learn no rule, those who decide do", async () => {
    await using guarded = await Guarded.open({ who: reader, serve: { authorize: ["admin", "night-shift"] } });
    expect((await failureOf(guarded.client.ping({}))).message).toBe("test.v1.Behavior/Ping: not permitted");
    expect(guarded.decisions).toMatchObject([
      { decision: "denied", principal: "rita", reason: "it needs admin, night-shift and lacks admin, night-shift" },
    ]);
    await using strange = await Guarded.open({ serve: { authorize: ["admin"] } });
    const { message } = await failureOf(strange.client.ping({}));
    expect(message).toMatch(/^test\.v1\.Behavior\/Ping: .*\bkey\b.*\btoken\b/);
    expect(message).not.toContain("admin");
  });

  test.each([[], [""], [1], "nobody", true, null, {}])("%p is none", (authorize) => {
    const serve = { authorize } as never;
    const host = new ServiceHost({ binding: binding(memory()) });
    expect(() => host.serve(Behavior, new BehaviorService(), serve)).toThrow(
      /authorize must be "anyone", "authenticated"/,
    );
    expect(() => host.serve(Behavior, new BehaviorService(), { methods: { ping: serve } })).toThrow(TypeError);
  });

  test("functions of a host must be functions", () => {
    for (const name of ["authenticate", "authorize", "onAuthorization"])
      expect(() => new ServiceHost({ binding: binding(memory()), [name]: "yes" })).toThrow(
        `${name} must be a function`,
      );
  });

  test("hold for what is called back", async () => {
    const stack = proving(() => ({ name: "server", roles: ["boss"] }));
    await using host = new ServiceHost({ binding: stack });
    const work = async (_request: unknown, context: { callback(contract: typeof Observer): unknown }) => {
      const observer = context.callback(Observer) as { progress(request: object): Promise<{ sequence: number }> };
      return await observer.progress({});
    };
    host.serve(Worker, { work, read: () => ({}), hint: () => ({}), wait: () => ({}) });
    await host.open("memory://*");
    for (const [authorize, code] of [
      [["boss"], OK],
      [["owner"], PERMISSION_DENIED],
    ] as const) {
      await using channel = new Channel(host.address, { binding: stack });
      const observer = { progress: () => ({}), numbers: () => [], hang: () => ({}), hint: () => undefined };
      channel.serve(Observer, observer, { authorize });
      const answer = channel.client(Worker).work({});
      if (code === OK) expect(await answer).toEqual({ sequence: 0 });
      else expect(await failureOf(answer)).toMatchObject({ code });
      expect(channel.counters["denied call"]).toBe(code === OK ? undefined : 1);
    }
  });
});

describe("methods that are not there", () => {
  const paths = [
    "test.v1.Behavior/Nothing",
    "test.v1.Behavior/ping",
    "test.v1.behavior/Ping",
    "test.v1.Behavior/Ping ",
    "x/y",
  ];
  const call = async (guarded: Guarded, path: string): Promise<RpcError> => {
    await using raw = binding(memory()).connect(guarded.host.address);
    const { Message } = await import("@zerobind/core");
    return await failureOf(raw.request(new Message(new Uint8Array(), { path })));
  };

  test.each(paths)(
    "%p is UNAUTHENTICATED to strangers, as what is there, and UNIMPLEMENTED to others",
    async (path) => {
      await using strange = await Guarded.open({ serve: { authorize: "authenticated" } });
      expect(await call(strange, path)).toMatchObject({ code: Status.UNAUTHENTICATED });
      await using known = await Guarded.open({ who: reader, serve: { authorize: ["admin"] } });
      expect(await call(known, path)).toMatchObject({ code: Status.UNIMPLEMENTED });
      expect([...strange.decoded, ...known.decoded]).toEqual([]);
    },
  );

  test("are UNIMPLEMENTED to all where there are no rules, even with tokens", async () => {
    await using guarded = await Guarded.open({ host: { authenticate: () => undefined } });
    expect(await call(guarded, "x/y")).toMatchObject({ code: Status.UNIMPLEMENTED });
  });

  test("have a name that harms no log", async () => {
    await using guarded = await Guarded.open({ serve: { authorize: "authenticated" } });
    await call(guarded, `a\n"\u001b[31m/${"b".repeat(900)}`);
    const [{ path } = { path: "" }] = guarded.decisions;
    expect(path).toMatch(/^a\\n\\"\\u001b\[31m\/b+…$/);
    expect(path.length).toBeLessThan(150);
  });
});

describe("authenticate", () => {
  test.each<[string, PrincipalInit | undefined, object]>([
    ["a name", "mary", { principal: "mary", roles: [] }],
    ["a name and roles", { name: "mary", roles: ["a", "b"] }, { principal: "mary", roles: ["a", "b"] }],
    ["nothing", undefined, { principal: "rita", roles: ["reader"] }],
  ])("may give %s, which handlers and interceptors see", async (_what, given, expected) => {
    const seen: object[] = [];
    for (const answer of [given, Promise.resolve(given)]) {
      await using guarded = await Guarded.open({
        who: reader,
        host: {
          authenticate: ({ peer }) => {
            expect(peer).toMatchObject({ principal: "rita", roles: ["reader"] });
            return answer;
          },
          interceptors: [(call, next) => (seen.push(call.context!.peer), next(call))],
        },
      });
      await guarded.client.ping({});
      expect(guarded.decisions).toMatchObject([{ decision: "allowed", reason: "there are no rules", ...expected }]);
    }
    expect(seen).toMatchObject([expected, expected]);
  });

  test("is asked for each call, and its answer holds for that call alone", async () => {
    const seen: unknown[] = [];
    await using guarded = await Guarded.open({
      host: {
        authenticate: ({ metadata }) => byToken(metadata.get("authorization")),
        interceptors: [(call, next) => (seen.push(call.context!.peer.principal), next(call))],
      },
    });
    for (const token of ["of-ada", "of-rita", "of-nobody"])
      await guarded.client.ping({}, { metadata: { authorization: `Bearer ${token}` } });
    await guarded.client.ping({});
    expect(seen).toEqual(["ada", "rita", undefined, undefined]);
  });

  test("is the only way for metadata to make a principal", async () => {
    const metadata = {
      principal: "ada",
      roles: "admin",
      peer: "ada",
      "x-principal": "ada",
      authorization: "Bearer of-ada",
    };
    await using guarded = await Guarded.open({ requires: everywhere });
    expect(await failureOf(guarded.client.ping({}, { metadata }))).toMatchObject({ code: Status.UNAUTHENTICATED });
  });

  test.each<[string, () => never]>([
    [
      "throws",
      () => {
        throw new Error("secret");
      },
    ],
    ["rejects", (() => Promise.reject(new Error("secret"))) as never],
    ["gives null", (() => null) as never],
    ["gives true", (() => true) as never],
    ["gives an empty name", (() => "") as never],
    ["gives no name", (() => ({ roles: ["admin"] })) as never],
    ["gives strange roles", (() => ({ name: "x", roles: "admin" })) as never],
  ])("that %s ends the call UNAUTHENTICATED, whoever the connection has proved", async (_what, authenticate) => {
    await using guarded = await Guarded.open({ who: admin, host: { authenticate } });
    const error = await failureOf(guarded.client.ping({}));
    expect(error.code).toBe(Status.UNAUTHENTICATED);
    expect(error.message).not.toContain("secret");
    expect(guarded.failures).toMatchObject([{ failure: { step: "authenticate", path: "test.v1.Behavior/Ping" } }]);
    expect(guarded.verdicts).toEqual(["unauthenticated"]);
    expect(guarded.decoded).toEqual([]);
  });

  test("may refuse by an RpcError of its own", async () => {
    const expired = new RpcError(Status.UNAUTHENTICATED, "the token has expired", {
      details: [errorDetail(FailReason, { reason: "expired" })],
    });
    await using guarded = await Guarded.open({ host: { authenticate: () => Promise.reject(expired) } });
    const error = await failureOf(guarded.client.ping({}));
    expect(error).toMatchObject({ code: Status.UNAUTHENTICATED, message: "the token has expired" });
    expect(error.detail(FailReason)).toEqual({ reason: "expired" });
    expect(guarded.failures).toEqual([]);
  });

  test("cannot be made to fill the log", async () => {
    await using guarded = await Guarded.open({
      host: {
        authenticate: () => {
          throw new Error("jwt malformed");
        },
      },
    });
    const codes = Array.from({ length: 100 }, async () => (await failureOf(guarded.client.ping({}))).code);
    expect(new Set(await Promise.all(codes))).toEqual(new Set([Status.UNAUTHENTICATED]));
    expect(guarded.failures).toHaveLength(20);
    expect(guarded.host.counters).toMatchObject({ "unauthenticated call": 100, "unreported failure": 80 });
  });

  test("hears the principal of tokens that have passed a device, behind which all keys are the device's", async () => {
    await using under = await DeviceUnderTest.open();
    await under.worker({
      authenticate: ({ metadata }) => byToken(metadata.get("authorization")),
      authorize: ({ principal }) => principal === "ada",
    });
    const client = under.client({ callCredentials: { authorization: "Bearer of-ada" } });
    expect(await client.ping({ sequence: 3 })).toEqual({ sequence: 3 });
    const callCredentials = { authorization: "Bearer of-rita" };
    expect(await failureOf(client.ping({}, { callCredentials }))).toMatchObject({ code: Status.PERMISSION_DENIED });
    expect(await failureOf(client.ping({}, { callCredentials: {} }))).toMatchObject({ code: Status.UNAUTHENTICATED });
  });
});

describe("onAuthorization", () => {
  test.each<[string, () => void]>([
    [
      "throws",
      () => {
        throw new Error("the log is full");
      },
    ],
    ["rejects", () => Promise.reject(new Error("the log is full"))],
  ])("that %s does no harm, and is told of", async (_what, onAuthorization) => {
    await using guarded = await Guarded.open({ who: admin, requires: everywhere, host: { onAuthorization } });
    expect(await guarded.client.ping({ sequence: 2 })).toEqual({ sequence: 2 });
    await new Promise(setImmediate);
    expect(guarded.failures).toMatchObject([
      { failure: { step: "onAuthorization" }, error: { message: "the log is full" } },
    ]);
  });
});

describe("one-way calls", () => {
  test("that are refused are dropped, told of within reason, and make room for others", async () => {
    await using guarded = await Guarded.open({
      requires: { notify: ["admin"] },
      serve: { authorize: "anyone" },
      host: { limits: { maxConcurrentCalls: 8 } },
    });
    for (let turn = 0; turn < 100; turn++) await guarded.client.notify({ text: `notice ${turn}` });
    expect(await guarded.client.ping({ sequence: 5 })).toEqual({ sequence: 5 });
    expect(guarded.decoded).toEqual(["ping"]);
    expect(guarded.failures).toHaveLength(20);
    expect(guarded.failures[0]).toMatchObject({
      failure: { path: "test.v1.Behavior/Notify", id: undefined },
      error: { code: Status.UNAUTHENTICATED },
    });
    expect(guarded.host.counters["unauthenticated call"]).toBe(100);
  });
});

test("callers that are refused take no place of others", async () => {
  await using guarded = await Guarded.open({
    host: {
      maxConcurrentCalls: 1,
      maxQueuedCalls: 0,
      authenticate: ({ metadata }) => byToken(metadata.get("authorization")),
    },
    requires: everywhere,
  });
  const metadata = { authorization: "Bearer of-ada" };
  const controller = new AbortController();
  const entered = guarded.service.next("started");
  const running = failureOf(guarded.client.echo({ delayMs: 60_000 }, { metadata, signal: controller.signal }));
  await entered;
  for (let turn = 0; turn < 20; turn++)
    expect(await failureOf(guarded.client.ping({}))).toMatchObject({ code: Status.UNAUTHENTICATED });
  // Whoever may is told that there is no room, in the words of any other server.
  expect(await failureOf(guarded.client.ping({}, { metadata }))).toMatchObject({
    code: Status.RESOURCE_EXHAUSTED,
    message: expect.stringMatching(/^test\.v1\.Behavior\/Ping: the server runs 1 call at once/),
  });
  controller.abort();
  await running;
  expect(await guarded.client.ping({ sequence: 1 }, { metadata })).toEqual({ sequence: 1 });
});

test("a contract with roles is served as any other", async () => {
  await using host = new ServiceHost({ binding: proving(() => admin) });
  await host.serve(requiring(everywhere), new BehaviorService()).open("memory://*");
  await using channel = new Channel(host.address, { binding: binding(memory()) });
  expect(await channel.client(Behavior).ping({ sequence: 9 })).toEqual({ sequence: 9 });
});
