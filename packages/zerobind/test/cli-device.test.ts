import { expect, test } from "@jest/globals";
import { Channel, ServiceHost } from "zerobind";
import { EchoEverything } from "./gen/test/v1/everything.pb.ts";
import { Everything } from "./gen/test/v1/everything.rpc.ts";
import { runHere, startHere, startProcess } from "./support/cli.ts";
import type { Running } from "./support/cli.ts";
import { EverythingService } from "./support/everything-service.ts";

const anywhere = "tcp://127.0.0.1:*";

/** The addresses that a device prints once it listens. */
async function listening(running: Running, count = 2): Promise<string[]> {
  const lines: string[] = [];
  while (lines.length < count) lines.push((await running.line()) ?? "nothing");
  expect(lines.map((line) => line.replace(/ tcp:\/\/127\.0\.0\.1:\d+ /, " "))).toEqual(
    ["listening (frontend)", "listening (backend)", "listening (backend)"].slice(0, count),
  );
  return lines.map((line) => line.split(" ")[1]!);
}

/** A host behind the device and a client in front of it. */
async function openEnds(frontend: string, backend: string) {
  const host = new ServiceHost({ zeromq: { reconnectMinMs: 20, reconnectMaxMs: 100 } });
  host.serve(Everything, new EverythingService());
  await host.open({ address: backend, attach: "connect" });
  const channel = new Channel(frontend, { zeromq: { reconnectMinMs: 20, reconnectMaxMs: 100 } });
  return {
    client: channel.client(Everything),
    async [Symbol.asyncDispose]() {
      await Promise.all([channel.close(), host.close()]);
    },
  };
}

const request = EchoEverything.fromPartial({ stringField: "through the device" });

test("a device says where it listens, carries calls, and ends with status 0 when it is asked to", async () => {
  const device = startProcess(["device", "queue", "--frontend", anywhere, "-b", anywhere, "-b", anywhere]);
  const [frontend = "", , backend = ""] = await listening(device, 3);
  {
    await using ends = await openEnds(frontend, backend);
    expect((await ends.client.echo(request)).stringField).toBe("through the device");
  }
  device.signal("SIGTERM");
  const { status, stderr } = await device.outcome;
  expect(status).toBe(0);
  expect(stderr).toMatch(/^worker joined: .* \(test\.v1\.Everything; 1000 calls at once\)\nworker left: .*\n$/);
});

test("a device that was killed and started again is found by both sides", async () => {
  const first = startProcess(["device", "queue", "-f", anywhere, "-b", anywhere]);
  const [frontend = "", backend = ""] = await listening(first);
  await using ends = await openEnds(frontend, backend);
  await ends.client.echo(request);
  first.signal("SIGKILL");
  await first.outcome;
  const waiting = ends.client.echo(request, { waitForReady: true, timeoutMs: 10_000 });
  const second = startProcess(["device", "queue", "-f", frontend, "-b", backend]);
  await listening(second);
  expect((await waiting).stringField).toBe("through the device");
  second.interrupt();
  expect((await second.outcome).status).toBe(0);
});

test("Ctrl-C twice ends it at once, whatever is open", async () => {
  const device = startHere(["device", "queue", "-f", anywhere, "-b", anywhere]);
  const [frontend = "", backend = ""] = await listening(device);
  await using ends = await openEnds(frontend, backend);
  const items = ends.client.repeat(request)[Symbol.asyncIterator]();
  await items.next();
  device.interrupt();
  await new Promise((resolve) => setImmediate(resolve));
  device.interrupt();
  expect((await device.outcome).status).toBe(0);
  await expect(
    (async () => {
      while (!(await items.next()).done);
    })(),
  ).rejects.toMatchObject({ codeName: "UNAVAILABLE" });
});

test.each<[string[], number, RegExp]>([
  [["device"], 64, /Usage: zerobind device/],
  [["device", "queue", "-f", anywhere], 64, /required option '-b, --backend <address>' not specified/],
  [["device", "queue", "-f", "nowhere", "-b", anywhere], 64, /"nowhere" is no address/],
  [["device", "queue", "-f", "tcp://0.0.0.0:*", "-b", anywhere], 64, /--insecure/],
  [["device", "queue", "-f", "ipc:///no/such/folder/x", "-b", anywhere], 1, /ipc:\/\/\/no\/such\/folder\/x/],
])("%j fails with %i", async (args, status, message) => {
  const outcome = await runHere(args);
  expect(outcome).toMatchObject({ status, stdout: "" });
  expect(outcome.stderr).toMatch(message);
});
