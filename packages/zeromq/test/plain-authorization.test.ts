import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { Channel, PlainHeader, ServiceHost, Status, StatusMessage, bearerToken, binding } from "@zerobind/core";
import type { AuthorizationCall, AuthorizationDecision, ServeOptions, ServiceHostOptions } from "@zerobind/core";
import { Dealer, Request } from "zeromq";
import { EchoReply, EchoRequest } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "../../core/test/support/behavior-handler.ts";
import { requiring } from "../../core/test/support/guarded.ts";
import { plainWorkers, pushPull, zeromq } from "../src/index.ts";
import { oneWay } from "./plain-support.ts";
import { raw, track } from "./support.ts";

const path = "test.v1.Behavior/Echo";
const hello = EchoRequest.encode(EchoRequest.fromPartial({ text: "hello" })).finish();

async function serve(options: Partial<ServiceHostOptions> = {}, serveOptions: ServeOptions = {}) {
  const service = new BehaviorService();
  const decoded: string[] = [];
  const decisions: AuthorizationDecision[] = [];
  const host = track(
    new ServiceHost({
      binding: binding(zeromq()),
      onError: () => undefined,
      onAuthorization: (decision) => decisions.push(decision),
      ...options,
    }),
  );
  host.serve(
    requiring({}, (method) => decoded.push(method)),
    service,
    serveOptions,
  );
  await host.open("tcp://127.0.0.1:*");
  return { host, service, decoded, decisions };
}

function req(address: string): Request {
  const socket = raw(new Request());
  socket.connect(address);
  return socket;
}

function header(token: string | undefined, timeoutMs = 0): Uint8Array {
  const value = { $case: "text" as const, value: `Bearer ${token}` };
  const metadata = token === undefined ? [] : [{ key: "authorization", value }];
  return PlainHeader.encode({ timeoutMs, metadata, trailer: [] }).finish();
}

/** What a REQ is answered: the text of the reply, or the status. */
async function ask(socket: Request, to: string, token?: string, body: Uint8Array = hello): Promise<unknown> {
  await socket.send([to, body, header(token)] as Buffer[]);
  const [status, reply] = await socket.receive();
  if (status!.length === 0) return EchoReply.decode(reply!).text;
  const { code, message } = StatusMessage.decode(status!);
  return { code, message };
}

const tokens: Record<string, string[]> = { "Bearer ada": ["admin"], "Bearer rita": ["reader"] };

test.each(["at once", "later"])("a REQ with a token in its header is who the token says, decided %s", async (when) => {
  const found = ({ metadata }: Pick<AuthorizationCall, "metadata">) => {
    const token = metadata.get("authorization") as string;
    const roles = tokens[token];
    return roles && { name: token.slice(7), roles };
  };
  const authenticate: ServiceHostOptions["authenticate"] =
    when === "at once" ? found : async (attempt) => (await delay(1), found(attempt));
  const { host, decoded, decisions } = await serve({ authenticate }, { authorize: ["admin"] });
  const socket = req(host.address);
  expect(await ask(socket, path, "ada")).toBe("hello");
  expect(decoded).toEqual(["echo"]);
  const garbage = Buffer.from([255, 255]);
  expect(await ask(socket, path, "rita", garbage)).toEqual({
    code: Status.PERMISSION_DENIED,
    message: "test.v1.Behavior/Echo: not permitted",
  });
  expect(await ask(socket, path, undefined, garbage)).toMatchObject({ code: Status.UNAUTHENTICATED });
  expect(await ask(socket, path, "nobody", garbage)).toMatchObject({ code: Status.UNAUTHENTICATED });
  // What is not there, and what the profile cannot carry, look the same to strangers.
  for (const to of ["test.v1.Behavior/Nothing", "test.v1.Behavior/Count", "test.v1.Behavior/Notify", "x/y"])
    expect(await ask(socket, to)).toMatchObject({ code: Status.UNAUTHENTICATED });
  expect(await ask(socket, "test.v1.Behavior/Nothing", "rita")).toMatchObject({ code: Status.UNIMPLEMENTED });
  expect(await ask(socket, "test.v1.Behavior/Count", "ada")).toMatchObject({
    code: Status.UNIMPLEMENTED,
    message: expect.stringContaining("streams"),
  });
  expect(decoded).toEqual(["echo"]);
  expect(decisions.slice(0, 4).map(({ decision, principal }) => [decision, principal])).toEqual([
    ["allowed", "ada"],
    ["denied", "rita"],
    ["unauthenticated", undefined],
    ["unauthenticated", undefined],
  ]);
});

test("a plain request whose decision does not come ends with its time", async () => {
  const calls: AuthorizationCall[] = [];
  const authorize = (call: AuthorizationCall) => (calls.push(call), new Promise<boolean>(() => undefined));
  const { host, decoded } = await serve({ authorize });
  const socket = req(host.address);
  await socket.send([path, hello, header(undefined, 50)] as Buffer[]);
  const [status] = await socket.receive();
  expect(StatusMessage.decode(status!)).toMatchObject({
    code: Status.DEADLINE_EXCEEDED,
    message: expect.stringContaining("decided"),
  });
  expect(calls[0]!.signal.aborted).toBe(true);
  expect(decoded).toEqual([]);
});

test("one whose caller goes meanwhile is not carried out, and a host that closes ends the others", async () => {
  const calls: AuthorizationCall[] = [];
  const asked: (() => void)[] = [];
  const authorize = (call: AuthorizationCall): Promise<boolean> => {
    calls.push(call);
    for (const tell of asked.splice(0)) tell();
    return new Promise(() => undefined);
  };
  const { host, decoded } = await serve({ authorize, drainTimeoutMs: 50 });
  const next = (): Promise<void> => new Promise((resolve) => asked.push(resolve));
  const dealer = raw(new Dealer());
  dealer.connect(host.address);
  const first = next();
  await dealer.send(["", path, hello] as Buffer[]);
  await first;
  const aborted = once(calls[0]!.signal, "abort");
  dealer.close();
  await aborted;
  const socket = req(host.address);
  const second = next();
  await socket.send([path, hello] as Buffer[]);
  await second;
  const closing = host.close();
  const [status] = await socket.receive();
  expect(StatusMessage.decode(status!)).toMatchObject({ code: Status.UNAVAILABLE });
  await closing;
  expect(decoded).toEqual([]);
});

test("one-way calls over PUSH bring their token, and without it are not carried out", async () => {
  const heard: string[] = [];
  const dropped: unknown[] = [];
  const host = track(
    new ServiceHost({
      binding: binding(pushPull()),
      onError: (error) => dropped.push(error),
      onTrouble: (problem) => dropped.push(problem),
      authenticate: ({ metadata }) => (metadata.get("authorization") === "Bearer ada" ? "ada" : undefined),
    }),
  );
  host.serve(oneWay, { notify: ({ text }: { text: string }) => void heard.push(text) } as never, {
    authorize: "authenticated",
  });
  await host.open("tcp://127.0.0.1:*");
  const channel = track(new Channel(host.address, { binding: binding(pushPull()) }));
  const client = channel.client(oneWay);
  await client.notify({ text: "without" });
  await client.notify({ text: "with" }, { callCredentials: bearerToken("ada") });
  while (heard.length === 0) await delay(2);
  expect(heard).toEqual(["with"]);
  expect(host.counters["unauthenticated call"]).toBe(1);
  expect(dropped.length).toBeGreaterThan(0);
});

test("REP sockets get the credentials of a channel in their header", async () => {
  const channel = track(
    new Channel("tcp://127.0.0.1:*", {
      binding: binding(plainWorkers()),
      attach: "bind",
      callCredentials: bearerToken("ada"),
    }),
  );
  await channel.open();
  const { Reply } = await import("zeromq");
  const rep = raw(new Reply());
  rep.connect(channel.address);
  const unary = { ...Behavior, methods: Behavior.methods.filter(({ name }) => name === "Echo") };
  const reply = (channel.client(unary) as { echo(request: object): Promise<unknown> }).echo({ text: "x" });
  const [name, , frame] = await rep.receive();
  expect(name!.toString()).toBe(path);
  expect(PlainHeader.decode(frame!).metadata).toMatchObject([{ key: "authorization" }]);
  await rep.send([Buffer.alloc(0), Buffer.from(EchoReply.encode({ text: "y", data: Buffer.alloc(0) }).finish())]);
  expect(await reply).toMatchObject({ text: "y" });
});
