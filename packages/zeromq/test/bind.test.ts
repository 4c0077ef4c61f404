import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { Reply, Router } from "zeromq";
import { zeromq } from "../src/index.ts";
import { answering, bind, connect, End, maxFrameBytes, outcome, pause, raw, runChild, track } from "./support.ts";

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "zerobind-test-"));
  track({ close: () => rm(path, { recursive: true }) });
  return path;
}

test("the real address is told, with the port that a wildcard stood for", async () => {
  expect((await bind("tcp://127.0.0.1:*")).address).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d+$/);
  expect((await bind("tcp://127.0.0.1:0")).address).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d+$/);
  expect((await bind("ws://127.0.0.1:0")).address).toMatch(/^ws:\/\/127\.0\.0\.1:[1-9]\d+$/);
  expect((await bind("ws://127.0.0.1:*/rpc")).address).toMatch(/^ws:\/\/127\.0\.0\.1:[1-9]\d+\/rpc$/);
  expect((await bind("ipc://*")).address).toMatch(/^ipc:\/\/.*\.sock$/);
  expect((await bind("inproc://real")).address).toBe("inproc://real");
});

test.each(["tcp://127.0.0.1:0", "ws://127.0.0.1:0", "ipc://*", "ipc://@zerobind-test-in-use", "inproc://in-use"])(
  "a second bind of the same address fails and leaves the first alone: %s",
  async (address) => {
    const first = await bind(address, { end: answering() });
    await expect(bind(first.address)).rejects.toThrow(
      `cannot bind ${first.address}: it is in use by another process, or elsewhere in this one`,
    );
    await expect(bind(first.address)).rejects.toMatchObject({ code: "EADDRINUSE" });
    await (await connect(first.address)).links.next();
  },
);

test("an ipc path that a killed process left behind can be bound again, one that is in use by a process cannot", async () => {
  const path = join(await directory(), "left.sock");
  const child = runChild(`
    import { zeromq } from "./src/index.ts";
    await zeromq().attach("ipc://${path}", { mode: "bind", maxFrameBytes: 1024 }, { accept() {}, trouble() {} });
    console.log("bound");
  `);
  await once(child.stdout!, "data");
  await expect(bind(`ipc://${path}`)).rejects.toMatchObject({ code: "EADDRINUSE" });
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(existsSync(path)).toBe(true);
  const again = await bind(`ipc://${path}`, { end: answering() });
  await (await connect(again.address)).links.next();
  await again.close();
  expect(existsSync(path)).toBe(false);
});

test("a file that is no socket is not removed to bind an ipc path", async () => {
  const path = join(await directory(), "precious");
  await writeFile(path, "text");
  await expect(bind(`ipc://${path}`)).rejects.toThrow(
    "there is a file that is no socket; choose another path (EEXIST)",
  );
  expect(existsSync(path)).toBe(true);
});

test("errors of bind name the address and what to do", async () => {
  await expect(bind("ipc:///no/such/directory/x.sock")).rejects.toThrow("its directory does not exist; make it first");
  await expect(bind("tcp://192.0.2.1:5555", { insecure: true, onWarning: () => undefined })).rejects.toThrow(
    "cannot bind tcp://192.0.2.1:5555: this machine has no such network address",
  );
  await expect(bind("tcp://nosuchinterface:5555", { insecure: true, onWarning: () => undefined })).rejects.toThrow(
    /cannot bind tcp:\/\/nosuchinterface:5555: .*127\.0\.0\.1 is this machine only/,
  );
});

test("attach rejects with the TypeError that check throws", async () => {
  const attach = zeromq().attach("tcp://127.0.0.1", { mode: "connect", maxFrameBytes }, new End());
  await expect(attach).rejects.toMatchObject({ name: "TypeError" });
});

test("an address beyond this machine is refused, with the way out", async () => {
  const refused = /reaches beyond this machine.*(?:serverCurve|curveClient)\(.*zeromq: \{ insecure: true \}/;
  await expect(bind("tcp://0.0.0.0:0")).rejects.toThrow(refused);
  await expect(bind("tcp://*:0")).rejects.toThrow(refused);
  await expect(bind("ws://0.0.0.0:0")).rejects.toThrow(refused);
  await expect(connect("tcp://192.0.2.1:5555")).rejects.toThrow(refused);
  expect(() => zeromq().check("tcp://192.0.2.1:5555", "connect")).toThrow(refused);
});

test("with insecure it is allowed, and warned of once per address", async () => {
  const warnings: string[] = [];
  const transport = zeromq({ insecure: true, onWarning: (warning) => warnings.push(warning) });
  for (let round = 0; round < 2; round++) {
    transport.check("tcp://0.0.0.0:0", "bind");
    const end = new End();
    end.attachment = await transport.attach("tcp://0.0.0.0:0", { mode: "bind", maxFrameBytes }, end);
    expect(end.address).toMatch(/^tcp:\/\/0\.0\.0\.0:[1-9]/);
    await end.close();
  }
  expect(warnings).toEqual([
    expect.stringMatching(/^tcp:\/\/0\.0\.0\.0:0 is open beyond this machine without encryption/),
  ]);
  await (await transport.attach("tcp://127.0.0.1:0", { mode: "bind", maxFrameBytes }, new End())).close(0);
  expect(warnings).toHaveLength(1);
});

test("without onWarning the process warns", async () => {
  const child = runChild(`
    import { zeromq } from "./src/index.ts";
    const options = { mode: "bind", maxFrameBytes: 1024 };
    const attachment = await zeromq({ insecure: true }).attach("tcp://0.0.0.0:0", options, { accept() {}, trouble() {} });
    await attachment.close(0);
  `);
  const { errors } = await outcome(child);
  expect(errors).toContain("[ZEROBIND_INSECURE] Warning: tcp://0.0.0.0:0 is open beyond this machine");
});

test("nobody there is a trouble that is told once, and over when somebody is", async () => {
  const gone = await bind("tcp://127.0.0.1:0");
  await gone.close();
  const client = await connect(gone.address);
  expect(await client.troubles.next()).toBe(
    `${gone.address}: connection refused, nobody is listening or the host cannot be found; trying again`,
  );
  await pause(300);
  expect(client.troubles.all).toHaveLength(1);
  const server = await bind(gone.address, { end: answering() });
  await client.links.next();
  await server.close();
  await client.troubles.next();
  expect(client.troubles.all).toHaveLength(2);
});

test("a host that cannot be found is a trouble", async () => {
  const client = await connect("tcp://nobody.invalid:5555", { insecure: true, onWarning: () => undefined });
  expect(await client.troubles.next()).toContain("the host cannot be found");
});

test("an ipc path without a listener is a trouble", async () => {
  const client = await connect(`ipc://${join(await directory(), "none.sock")}`);
  expect(await client.troubles.next()).toContain("nobody listens at this path; trying again");
});

test("a server that says nothing, or speaks HTTP, is a trouble, and tried again", async () => {
  for (const greeting of ["", "HTTP/1.1 400 Bad Request\r\n\r\n"]) {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on("error", () => undefined);
      socket.write(greeting);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    track(server);
    const { port } = server.address() as { port: number };
    const client = await connect(`tcp://127.0.0.1:${port}`, { handshakeTimeoutMs: 100, answerTimeoutMs: 500 });
    // A text that does not begin as ZeroMQ's greeting does is taken for the oldest version of its protocol.
    const problem = greeting === "" ? "does not speak ZeroMQ as this one does" : "nobody answered within 500 ms";
    expect(await client.troubles.next()).toContain(problem);
    while (connections < 2) await pause(10);
    expect(client.links.all).toEqual([]);
    await client.close();
  }
});

test("a peer that does not complete the handshake is a trouble of the bound end, and harms nobody", async () => {
  const server = await bind("tcp://127.0.0.1:0", { end: answering(), handshakeTimeoutMs: 100 });
  const { connect: dial } = await import("node:net");
  const socket = dial(Number(server.address.split(":").at(-1)), "127.0.0.1");
  track({ close: () => socket.destroy() });
  socket.on("error", () => undefined);
  expect(await server.troubles.next()).toContain("a peer that connected does not speak ZeroMQ");
  await (await connect(server.address)).links.next();
});

test("a peer that is not let in is told, and tries again on a new connection", async () => {
  // Authentication by ZAP, whose handler sits at a well-known name in the process.
  const handler = raw(new Reply());
  await handler.bind("inproc://zeromq.zap.01");
  let asked = 0;
  void (async () => {
    for await (const [version, id] of handler) {
      asked++;
      await handler.send([version!, id!, "400", "no", "", ""]);
    }
  })();
  const router = raw(new Router({ zapDomain: "test" }));
  await router.bind("tcp://127.0.0.1:*");
  const client = await connect(router.lastEndpoint!);
  expect(await client.troubles.next()).toContain("the other end does not let this one in (400); trying again");
  while (asked < 3) await pause(10);
  expect(client.links.all).toEqual([]);
});
