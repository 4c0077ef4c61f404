import { once } from "node:events";
import { expect, test } from "@jest/globals";
import { answering, bind, connect, End, native, outcome, pair, pause, runChild } from "./support.ts";

/** What the children share: an end that records little and answers every greeting. */
const prelude = `
  import { zeromq } from "./src/index.ts";
  const native = (text) => Buffer.concat([Buffer.from([0xc5, 1]), Buffer.from(text)]);
  const bind = { mode: "bind", maxFrameBytes: 1e6 };
  const connect = { mode: "connect", maxFrameBytes: 1e6, greeting: native("hello") };
  function end(onMessage = () => {}) {
    return {
      accept(link) {
        return { receive: (frames) => onMessage(link, frames), lost: (reason) => console.log("lost: " + reason) };
      },
      acceptPlain() {},
      trouble() {},
    };
  }
`;

test.each(["tcp://127.0.0.1:0", "ipc://*", "inproc://exit", "ws://127.0.0.1:0"])(
  "%s: a process ends by itself once everything is closed, and nothing is left",
  async (address) => {
    const child = runChild(`${prelude}
      const server = await zeromq().attach("${address}", bind, end((link) => link.send([native("welcome")])));
      const answered = Promise.withResolvers?.() ?? (() => {
        const parts = {};
        parts.promise = new Promise((resolve) => (parts.resolve = resolve));
        return parts;
      })();
      const client = await zeromq().attach(server.address, connect, end(() => answered.resolve()));
      const waiting = await zeromq().attach("${address.startsWith("inproc") ? "inproc://nobody" : "tcp://127.0.0.1:1"}", connect, end());
      await answered.promise;
      await Promise.all([client.close(0), waiting.close(0), server.close(0)]);
      // Handles are closed in the next turn.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      console.log(JSON.stringify(process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap")));
    `);
    expect(await outcome(child)).toEqual({ code: 0, output: "[]\n", errors: "" });
  },
);

test("a process that sent to nobody and closed with a linger time ends after it", async () => {
  const child = runChild(`${prelude}
    const client = await zeromq().attach("tcp://127.0.0.1:1", connect, end());
    await client.close(100);
    console.log("closed");
  `);
  expect(await outcome(child)).toEqual({ code: 0, output: "closed\n", errors: "" });
});

test("ends that nobody keeps a reference to are not collected as garbage", async () => {
  const child = runChild(`${prelude}
    import { setFlagsFromString } from "node:v8";
    import { runInNewContext } from "node:vm";
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc");
    let count = 0;
    const address = (await zeromq().attach("tcp://127.0.0.1:0", bind, end((link) => link.send([native("x")])))).address;
    await zeromq().attach(address, connect, end((link) => {
      collect();
      if (++count < 20) setTimeout(() => (collect(), link.send([native("x")])), 5);
      else process.exit(count);
    }));
  `);
  expect(await outcome(child)).toEqual({ code: 20, output: "", errors: "" });
});

test("a peer whose process is killed is noticed at once", async () => {
  const server = await bind("tcp://127.0.0.1:0", { end: answering() });
  const child = runChild(`${prelude}
    await zeromq().attach("${server.address}", connect, end((link) => link.send([native("ready")])));
  `);
  const link = await server.links.next();
  expect(await link.messages.next()).toBe("hello");
  expect(await link.messages.next()).toBe("ready");
  child.kill("SIGKILL");
  const started = performance.now();
  expect(await link.losses.next()).toBe("the peer disconnected");
  expect(performance.now() - started).toBeLessThan(2_000);
});

test("a server that is killed is noticed at once, and its successor on the same port is found", async () => {
  const child = runChild(`${prelude}
    const server = await zeromq().attach("tcp://127.0.0.1:0", bind, end((link) => link.send([native("welcome")])));
    console.log(server.address);
  `);
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  const client = await connect(line.toString().trim());
  const link = await client.links.next();
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  expect(await link.losses.next()).toBe("the connection was lost");
  await exited;
  await bind(client.address, { end: answering() });
  expect(await (await client.links.next()).messages.next()).toBe("welcome");
});

test("a peer that stands still is cut off by heartbeats", async () => {
  const server = new End();
  server.onLink = (recorded) => void recorded.link.send([native("welcome")]);
  await bind("tcp://127.0.0.1:0", { end: server, heartbeatIntervalMs: 100, heartbeatTimeoutMs: 300 });
  const child = runChild(`${prelude}
    await zeromq().attach("${server.address}", connect, end((link) => link.send([native("ready")])));
  `);
  const link = await server.links.next();
  await link.messages.find((text) => text === "ready");
  child.kill("SIGSTOP");
  expect(await link.losses.next()).toBe("the peer disconnected");
});

test("a REQ peer that is killed disturbs nobody", async () => {
  const server = await bind("tcp://127.0.0.1:0", { end: answering() });
  const child = runChild(`
    import { Request } from "zeromq";
    const socket = new Request();
    socket.connect("${server.address}");
    await socket.send(["a.B/C", "x"]);
    await socket.receive();
  `);
  const request = await server.plain.next();
  const isGone = new Promise((resolve) => request.onGone(resolve));
  child.kill("SIGKILL");
  await once(child, "exit");
  await isGone;
  expect(request.reply(Buffer.alloc(0), undefined, undefined)).toBe(false);
  await (await connect(server.address)).links.next();
});

test("inproc reaches into worker threads, which may end", async () => {
  const child = runChild(`${prelude}
    import { Worker } from "node:worker_threads";
    const server = await zeromq().attach("inproc://across-threads", bind, end((link) => link.send([native("welcome")])));
    const code = \`
      import { workerData } from "node:worker_threads";
      import { Dealer } from "zeromq";
      const socket = new Dealer({ linger: 0 });
      socket.connect("inproc://across-threads");
      await socket.send(["", Buffer.from(workerData)]);
      await socket.receive();
      socket.close();
    \`;
    const worker = new Worker(code, { eval: true, workerData: native("hello") });
    const [status] = await import("node:events").then(({ once }) => once(worker, "exit"));
    await server.close(0);
    console.log("worker ended with " + status);
  `);
  const { code, output, errors } = await outcome(child);
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  expect(output).toContain("worker ended with 0");
});

test.each(["tcp://127.0.0.1:0", "ipc://*", "ws://127.0.0.1:0"])(
  "without draft options, %s: losses show by events and by sending",
  async (address) => {
    const { server, client, atServer, atClient } = await pair(address, { draftOptions: false });
    atClient.send("there");
    atServer.send("back");
    expect(await atServer.messages.next()).toBe("there");
    expect(await atClient.messages.next()).toBe("back");
    atClient.link.close();
    const [newAtServer, newAtClient] = [await server.links.next(), await client.links.next()];
    expect(await newAtServer.messages.next()).toBe("hello");
    // Nothing told the server that the first connection is gone, until it sends.
    expect(atServer.losses.all).toEqual([]);
    expect(atServer.send("are you there?")).toBe(true);
    expect(await atServer.losses.next()).toBe("the peer cannot be reached any more");
    await server.close();
    expect(await newAtClient.losses.next()).toBe("the connection was lost");
    await bind(server.address, { end: answering(), draftOptions: false });
    await client.links.next();
  },
);

test("without draft options, a plain request whose peer is gone is answered into the void", async () => {
  const server = await bind("tcp://127.0.0.1:0", { draftOptions: false });
  const { Request } = await import("zeromq");
  const socket = new Request({ linger: 0 });
  socket.connect(server.address);
  await socket.send(["a.B/C", "x"]);
  const request = await server.plain.next();
  socket.close();
  await pause(50);
  expect(request.reply(Buffer.alloc(0), undefined, undefined)).toBe(true);
  await pause(10);
  expect(server.troubles.all).toEqual([]);
});
