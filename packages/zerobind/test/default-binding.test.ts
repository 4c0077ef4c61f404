import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, defaultBindings } from "zerobind";
import { Everything } from "./gen/test/v1/everything.rpc.ts";
import { EverythingService } from "./support/everything-service.ts";

test.each([
  ["tcp://127.0.0.1:5555", "zeromq"],
  ["TCP://127.0.0.1:5555", "zeromq"],
  ["ipc:///tmp/x", "zeromq"],
  ["memory://x", "memory"],
])("%s is of the transport %s", (address, name) => {
  expect(defaultBindings()(address).stack.transport.name).toBe(name);
});

test.each(["", "127.0.0.1:5555", "http://127.0.0.1", "://x", "constructor://x"])(
  "%j is of none, and the error tells what there is",
  (address) => {
    const message =
      /is no address that a default binding is known for; addresses begin with tcp:\/\/.*memory:\/\/, for example tcp:\/\/127\.0\.0\.1:5555$/;
    expect(() => defaultBindings()(address)).toThrow(message);
    expect(() => new Channel(address)).toThrow(message);
  },
);

test("a host refuses such addresses when it is opened, and an address that its transport cannot use", async () => {
  const host = new ServiceHost();
  host.serve(Everything, new EverythingService());
  await expect(host.open("nowhere")).rejects.toThrow(/is no address that a default binding is known for/);
  await expect(host.open("tcp://127.0.0.1")).rejects.toThrow(TypeError);
  await host.open("memory://*");
  await host.close();
});

test("a binding that was given counts for all addresses", () => {
  expect(() => new Channel("tcp://127.0.0.1:5555", { binding: defaultBindings()("memory://x") })).toThrow(
    /is no address of the memory transport/,
  );
});

test("a channel finds its host over tcp", async () => {
  const host = new ServiceHost();
  host.serve(Everything, new EverythingService());
  const [address = ""] = await host.open("tcp://127.0.0.1:*");
  const channel = new Channel(address);
  expect(await channel.client(Everything).echo({ stringField: "there" })).toMatchObject({ stringField: "there" });
  await channel.close();
  await host.close();
});

test("options of the default transport are given to a host or channel", () => {
  expect(() => new Channel("tcp://192.0.2.1:5555")).toThrow("insecure: true");
  expect(() => new Channel("tcp://192.0.2.1:5555", { zeromq: { insecure: true } })).not.toThrow();
  expect(() => new ServiceHost({ zeromq: { heartbeatIntervalMs: -1 } })).toThrow(TypeError);
});

test("an option of the transport in the wrong place is sent to the right one", () => {
  expect(() => new Channel("tcp://10.0.0.1:5555", { insecure: true } as never)).toThrow(
    "insecure is an option of the transport: write zeromq: { insecure: true }",
  );
});
