import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";

/** Runs a module of its own in a process that resolves the built package. */
async function runModule(source: string): Promise<{ stdout: string; elapsedMs: number }> {
  const started = performance.now();
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", source], {
    cwd: new URL("..", import.meta.url),
    timeout: 10_000,
  });
  return { stdout: stdout.trim(), elapsedMs: performance.now() - started };
}

const contract = `
  import { Channel, RpcError, ServiceHost, binding, memory } from "@zerobind/core";
  import { Empty } from "@zerobind/core/google";
  const method = (name, kind) => ({ name, localName: name, kind, input: Empty, output: Empty });
  const contract = { typeName: "t.T", methods: [method("one", "unary"), method("never", "unary"), method("many", "server_stream")] };
  const host = new ServiceHost({ binding: binding(memory()) });
  host.serve(contract, { one: () => ({}), never: () => new Promise(() => {}), *many() { for (;;) yield {}; } });
  await host.open("memory://x");
  const channel = new Channel("memory://x", { binding: binding(memory()) });
  const client = channel.client(contract);
  const left = () => console.log(JSON.stringify(process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY|FSReq/.test(name))));
`;

test("nothing is left after close, and the process exits by itself", async () => {
  const { stdout, elapsedMs } = await runModule(`${contract}
    await client.one({});
    for await (const _ of client.many({})) break;
    await channel.close();
    await host.close();
    left();
  `);
  expect(stdout).toBe("[]");
  expect(elapsedMs).toBeLessThan(5_000);
});

test("an idle channel and host over memory keep no process alive", async () => {
  const { elapsedMs } = await runModule(`${contract} await client.one({});`);
  expect(elapsedMs).toBeLessThan(5_000);
});

test("an open call keeps the process alive until its deadline", async () => {
  const { stdout } = await runModule(
    `${contract} await client.never({}, { timeoutMs: 200 }).catch((error) => console.log(error.codeName));`,
  );
  expect(stdout).toBe("DEADLINE_EXCEEDED");
});

test("abort frees everything at once", async () => {
  const { stdout } = await runModule(`${contract}
    const outcome = client.never({}).catch((error) => error.codeName);
    await client.one({});
    channel.abort(); host.abort();
    await Promise.all([channel.closed, host.closed]);
    console.log(await outcome);
    left();
  `);
  expect(stdout.split("\n")).toEqual(["CANCELLED", "[]"]);
});
