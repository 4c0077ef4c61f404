import { once } from "node:events";
import { connect as tcpConnect } from "node:net";
import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status, binding, partial } from "@zerobind/core";
import { curveClient, serverCurve, zeromq } from "@zerobind/zeromq";
import { Dealer, Reply, Router } from "zeromq";
import type { SocketOptions } from "zeromq";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { makeKeyPair } from "../src/curve/keys.ts";
import { clientOf, failure, quick, refused, secureHost, zeroKey } from "./curve-support.ts";
import { outcome, pause, raw, runChild, track } from "./support.ts";

const transports = [
  ["tcp", "tcp://127.0.0.1:*"],
  ["ipc", "ipc://*"],
  ["ws", "ws://127.0.0.1:*"],
] as const;

test.each(transports)("%s: whoever has an allowed key is known by it to the handler", async (_name, address) => {
  const host = await secureHost({}, {}, address);
  const { client } = clientOf(host, host.alice);
  expect((await client.echo({ text: "hi" })).text).toBe("hi");
  expect(host.calls).toMatchObject([{ text: "hi", peer: { principal: "alice", roles: ["admin", "buyer"] } }]);
});

test.each(transports)("%s: a key that is not allowed is refused, and others go on", async (_name, address) => {
  const host = await secureHost({}, {}, address);
  const polite = clientOf(host, host.alice).client;
  await polite.echo({ text: "before" });
  const stranger = makeKeyPair();
  const startedMs = performance.now();
  const error = await refused(host, clientOf(host, stranger).client);
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  expect(error.message).toContain(stranger.publicKey);
  await polite.echo({ text: "after" });
  expect(host.calls.map(({ text }) => text)).toEqual(["before", "after"]);
});

test.each(transports)(
  "%s: a client that takes the server for another does not speak with it",
  async (_name, address) => {
    const host = await secureHost({}, {}, address);
    const { client } = clientOf({ ...host, serverKeys: makeKeyPair() }, host.alice);
    expect((await refused(host, client)).message).toContain("serverKey");
  },
);

test.each(transports)("%s: a client without keys is told that it needs some", async (_name, address) => {
  const host = await secureHost({}, {}, address);
  const error = await refused(host, clientOf(host).client);
  expect(error.message).toContain("curve: curveClient({ serverKey, keyPair })");
});

test("a client with keys does not speak with a server that has none", async () => {
  const host = track(new ServiceHost({ binding: binding(zeromq()) }));
  await host.serve(Behavior, partial(Behavior, { echo: ({ text }) => ({ text }) })).open("tcp://127.0.0.1:*");
  const { client } = clientOf({ address: host.address, serverKeys: makeKeyPair() }, makeKeyPair());
  const error = await failure(client.echo({ text: "secret" }));
  expect([error.code, error.message]).toEqual([
    Status.UNAUTHENTICATED,
    expect.stringContaining("nothing would be encrypted"),
  ]);
});

test("a client that is refused asks again more and more rarely", async () => {
  let asked = 0;
  const host = await secureHost({ allow: () => void (asked += 1) });
  const { client } = clientOf(host, makeKeyPair());
  await refused(host, client);
  for (let call = 0; call < 200; call++) {
    expect((await failure(client.echo({ text: "please" }))).code).toBe(Status.UNAUTHENTICATED);
    await pause(5);
  }
  // 200 ms, then 400, 800 and so on, with jitter.
  expect(asked).toBeLessThanOrEqual(5);
});

test("a client that was refused gets in once its key is allowed", async () => {
  const host = await secureHost();
  const bob = makeKeyPair();
  const { client } = clientOf(host, bob);
  await refused(host, client);
  host.curve.allow(bob.publicKey, "bob");
  await client.echo({ text: "now" }, { waitForReady: true });
  expect(host.calls).toMatchObject([{ text: "now", peer: { principal: "bob" } }]);
});

const strange: [string, (serverKey: string) => SocketOptions<Dealer>][] = [
  ["NULL", () => ({})],
  ["PLAIN", () => ({ plainUsername: "alice", plainPassword: "secret" })],
  ["CURVE, all keys zeros", () => ({ curveServerKey: zeroKey, curvePublicKey: zeroKey, curveSecretKey: zeroKey })],
  ["CURVE, its own keys zeros", (key) => ({ curveServerKey: key, curvePublicKey: zeroKey, curveSecretKey: zeroKey })],
];

test.each(strange)("a foreign peer with %s gets nothing through", async (_name, options) => {
  const host = await secureHost();
  const dealer = raw(new Dealer({ ...options(host.serverKeys.publicKey), handshakeInterval: 500 }));
  const told = once(dealer.events as never, "handshake:error:protocol").catch(() => undefined);
  dealer.connect(host.address);
  void dealer.send(["", "test.v1.Behavior/Echo", Buffer.from([10, 1, 65])]);
  await Promise.race([told, pause(1_000)]);
  await clientOf(host, host.alice).client.echo({ text: "polite" });
  expect(host.calls.map(({ text }) => text)).toEqual(["polite"]);
});

test("messages that come before the handshake get nowhere", async () => {
  const host = await secureHost();
  const { port } = new URL(host.address.replace("tcp", "http"));
  const socket = tcpConnect(Number(port), "127.0.0.1");
  const mechanism = Buffer.alloc(20);
  mechanism.write("CURVE");
  const greeting = Buffer.concat([
    Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]),
    mechanism,
    Buffer.alloc(32),
  ]);
  // Two frames of a message, as if the handshake were over.
  socket.write(Buffer.concat([greeting, Buffer.from([1, 0, 0, 3, 10, 1, 65])]));
  socket.resume();
  await once(socket, "close");
  await clientOf(host, host.alice).client.echo({ text: "polite" });
  expect(host.calls).toHaveLength(1);
});

const undecided: [string, () => never | Promise<never>][] = [
  [
    "throws",
    () => {
      throw new Error("the database is down: password hunter2");
    },
  ],
  ["rejects", () => Promise.reject(new Error("the database is down"))],
  ["never answers", () => new Promise(() => undefined)],
  ["gives something else", () => Promise.resolve(true as never)],
];

test.each(undecided)(
  "an allow function that %s lets nobody in, and says why at the server only",
  async (_name, allow) => {
    const host = await secureHost({ allow, allowTimeoutMs: 200 });
    const error = await refused(host, clientOf(host, host.alice).client);
    expect(error.message).toContain("could not decide");
    expect(error.message).not.toContain("database");
    expect(host.troubles.join()).toMatch(/could not be decided|was not decided within 200 ms/);
  },
);

test("an allow function says who a key belongs to, and may take its time", async () => {
  const allow = async (key: string): Promise<{ name: string; roles: string[] }> => {
    await pause(50);
    return { name: `the one with ${key}`, roles: ["guest"] };
  };
  const host = await secureHost({ allow });
  const anybody = makeKeyPair();
  await clientOf(host, anybody).client.echo({ text: "hi" });
  expect(host.calls[0]?.peer).toMatchObject({ principal: `the one with ${anybody.publicKey}`, roles: ["guest"] });
});

test("a revoked key ends its session in the middle of its calls, and nobody else's", async () => {
  const bob = makeKeyPair();
  const [serverKeys, alice] = [makeKeyPair(), makeKeyPair()];
  const host = await secureHost({ secretKey: serverKeys, allow: [alice.publicKey, bob.publicKey] });
  const clients = {
    alice: clientOf({ ...host, serverKeys }, alice).client,
    bob: clientOf({ ...host, serverKeys }, bob).client,
  };
  const failures = { alice: [] as unknown[], bob: [] as { code: number }[] };
  let isOver = false;
  const load = (["alice", "bob"] as const).map(async (who) => {
    while (!isOver)
      await Promise.all(
        Array.from({ length: 20 }, () =>
          clients[who].echo({ text: who }).catch((error: unknown) => void failures[who].push(error as never)),
        ),
      );
  });
  await pause(200);
  host.curve.revoke(bob.publicKey);
  // What had been received by then is answered or cut off at once; nothing comes after it.
  const atRevocation = host.calls.filter(({ text }) => text === "bob").length;
  await pause(300);
  expect(host.calls.filter(({ text }) => text === "bob")).toHaveLength(atRevocation);
  isOver = true;
  await Promise.all(load);
  expect(atRevocation).toBeGreaterThan(0);
  expect(failures.alice).toEqual([]);
  expect(failures.bob.length).toBeGreaterThan(0);
  expect((await failure(clients.bob.echo({ text: "bob" }))).code).toBe(Status.UNAUTHENTICATED);
  host.curve.allow(bob.publicKey);
  await clients.bob.echo({ text: "again" }, { waitForReady: true });
});

test("without a ZAP handler nobody gets in, and those that are in stay", async () => {
  const [serverKeys, alice] = [makeKeyPair(), makeKeyPair()];
  const { CurveServer } = await import("../src/curve/server-curve.ts");
  const curve = new CurveServer({ secretKey: serverKeys, allow: [alice.publicKey] });
  const leave = await curve.enter({ revoked: () => undefined, trouble: () => undefined });
  const router = raw(new Router({ ...curve.socketOptions, handshakeInterval: 500 }));
  await router.bind("tcp://127.0.0.1:*");
  const dealerOf = (): Dealer => {
    const keys = {
      curveServerKey: serverKeys.publicKey,
      curvePublicKey: alice.publicKey,
      curveSecretKey: alice.secretKey,
    };
    const dealer = raw(new Dealer(keys));
    dealer.connect(router.lastEndpoint!);
    return dealer;
  };
  const first = dealerOf();
  await first.send("before");
  expect(String((await router.receive())[1])).toBe("before");
  await leave();
  await dealerOf().send("nobody");
  await pause(700);
  await first.send("after");
  expect(String((await router.receive())[1])).toBe("after");
});

test("a foreign ZAP handler in the process keeps a host from opening, with a word why", async () => {
  const foreign = raw(new Reply());
  await foreign.bind("inproc://zeromq.zap.01");
  await expect(secureHost()).rejects.toThrow(/another library, or another thread of this process, has one/);
  foreign.close();
  const host = await secureHost();
  await clientOf(host, host.alice).client.echo({ text: "hi" });
});

/** A server in a process of its own, whose ZAP handler answers in a way of its own. */
const answers: [string, string, number][] = [
  ["200", 'reply("200")', Status.UNAVAILABLE],
  ["300", 'reply("300")', Status.UNAVAILABLE],
  ["400", 'reply("400")', Status.UNAUTHENTICATED],
  ["500", 'reply("500")', Status.UNAUTHENTICATED],
  ["nothing that makes sense", 'zap.send([route, "", "what?"])', Status.UNAUTHENTICATED],
  ["nothing", "undefined", Status.UNAVAILABLE],
];

test.each(answers)(
  "a client learns what comes of a server whose ZAP handler answers %s",
  async (name, answer, code) => {
    const serverKeys = makeKeyPair();
    const child = runChild(`
    import { Router } from "zeromq";
    const zap = new Router();
    await zap.bind("inproc://zeromq.zap.01");
    const server = new Router({ curveServer: true, curveSecretKey: ${JSON.stringify(serverKeys.secretKey)}, zapDomain: "x", zapEnforceDomain: true, handshakeInterval: 300 });
    await server.bind("tcp://127.0.0.1:*");
    void server.receive().then(() => console.log("got something"));
    console.log(server.lastEndpoint);
    for (;;) {
      const [route, , , id] = await zap.receive();
      const reply = (status) => zap.send([route, "", "1.0", id, status, "", "", ""]);
      await ${answer};
    }
  `);
    const address = String(((await once(child.stdout!, "data")) as unknown[])[0]).trim();
    const output = outcome(child);
    const { channel, client } = clientOf({ address, serverKeys }, makeKeyPair());
    const error = await failure(
      client.echo({ text: "secret" }, { timeoutMs: 8_000 }).catch((reason: unknown) => Promise.reject(reason)),
    );
    expect([Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.UNAUTHENTICATED]).toContain(error.code);
    if (code === Status.UNAUTHENTICATED) expect(error.code).toBe(code);
    await channel.close();
    child.kill("SIGKILL");
    expect((await output).output).toBe(name === "200" ? "got something\n" : "");
  },
);

test("either end may be the one that binds: a host that connects is let in by its key", async () => {
  const [serverKeys, workerKeys] = [makeKeyPair(), makeKeyPair()];
  const allow = [{ key: workerKeys.publicKey, name: "worker" }];
  const channel = track(
    new Channel("tcp://127.0.0.1:*", {
      attach: "bind",
      binding: binding(zeromq({ ...quick, curve: serverCurve({ secretKey: serverKeys, allow }) })),
    }),
  );
  await channel.open();
  const seen: (string | undefined)[] = [];
  const hostOf = (keyPair: ReturnType<typeof makeKeyPair>): ServiceHost => {
    const curve = curveClient({ serverKey: serverKeys.publicKey, keyPair });
    const host = track(new ServiceHost({ binding: binding(zeromq({ ...quick, curve })) }));
    return host.serve(
      Behavior,
      partial(Behavior, {
        echo: ({ text }, { peer }) => {
          seen.push(peer.principal);
          return { text };
        },
      }),
    );
  };
  await hostOf(makeKeyPair()).open({ address: channel.address, attach: "connect" });
  await pause(200);
  expect(seen).toEqual([]);
  await hostOf(workerKeys).open({ address: channel.address, attach: "connect" });
  await channel.client(Behavior).echo({ text: "work" });
  // The end that connects knows the other by the key that it was given for it.
  expect(seen).toEqual([serverKeys.publicKey]);
});
