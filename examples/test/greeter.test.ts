import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { Channel } from "zerobind";
import { Greeter } from "../src/gen/examples/greeter/v1/greeter.rpc.ts";
import { start, startServer } from "./support/programs.ts";

describe("the greeter's server", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`ends by itself within two seconds of ${signal}, clients or not, with exit code 0`, async () => {
      const { server, address } = await startServer("greeter/server.js");
      await using _server = server;
      await using channel = new Channel(address);
      const greeter = channel.client(Greeter);
      expect(await greeter.sayHello({ name: "Ada" })).toEqual({ text: "Hello, Ada" });
      const ticks = greeter.countdown({ from: 1, intervalMs: 60_000 });
      expect(await ticks.next()).toEqual({ done: false, value: { n: 1 } });
      const ended = expect(ticks.next()).rejects.toMatchObject({ codeName: "UNAVAILABLE" });
      const startMs = performance.now();
      await server.stop(signal);
      expect(performance.now() - startMs).toBeLessThan(2_000);
      await ended;
    });
  }

  test("listens on several addresses", async () => {
    const path = join(tmpdir(), `zerobind-greeter-${process.pid}.sock`);
    await using server = start("greeter/server.js", "--address", "tcp://127.0.0.1:*", "--address", `ipc://${path}`);
    for (const pattern of [/^listening (tcp:.+)$/, /^listening (ipc:.+)$/]) {
      const [, address = ""] = await server.line(pattern);
      await using channel = new Channel(address);
      expect(await channel.client(Greeter).sayHello({ name: address })).toEqual({ text: `Hello, ${address}` });
    }
    await server.stop();
  });

  test("says in one line what is wrong with an address, and exits with code 1", async () => {
    await using occupant = createServer();
    await new Promise<void>((resolve) => occupant.listen(0, "127.0.0.1", resolve));
    const { port } = occupant.address() as AddressInfo;
    for (const [address, complaint] of [
      [`tcp://127.0.0.1:${port}`, String(port)],
      ["tcp://0.0.0.0:0", "insecure"],
      ["127.0.0.1:5555", "tcp://"],
    ] as const) {
      await using server = start("greeter/server.js", "--address", address);
      expect(await server.exit).toEqual({ code: 1, signal: null });
      expect(server.lines).toEqual([expect.stringContaining(complaint)]);
    }
  });
});

describe("the greeter's client", () => {
  test("makes each kind of call", async () => {
    const { server, address } = await startServer("greeter/server.js");
    await using _server = server;
    await using client = start("greeter/client.js", "--address", address, "Ada", "Grace");
    await client.succeeded();
    const chat = ["Ada", "Grace"].map((name) => `greeter: ${name} said: good morning`);
    expect(client.lines).toEqual(["Hello, Ada", "Hello, Grace", "3", "2", "1", "0", "Hello, Ada, Grace", ...chat]);
  });

  test("shows the code of an error and the field that is wrong", async () => {
    const { server, address } = await startServer("greeter/server.js");
    await using _server = server;
    await using client = start("greeter/client.js", "--address", address, "");
    expect(await client.exit).toEqual({ code: 1, signal: null });
    expect(client.lines).toEqual(["INVALID_ARGUMENT: there is nobody to greet", "  name must not be empty"]);
  });
});
