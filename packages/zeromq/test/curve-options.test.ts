import { inspect } from "node:util";
import { expect, test } from "@jest/globals";
import { binding } from "@zerobind/core";
import { curveClient, makeKeyPair, serverCurve, zeromq } from "@zerobind/zeromq";
import type { ZeromqOptions } from "@zerobind/zeromq";
import { bind, connect } from "./support.ts";

const keys = makeKeyPair();
const server = (): ReturnType<typeof serverCurve> => serverCurve({ secretKey: keys, allow: [] });
const client = (): ReturnType<typeof curveClient> => curveClient({ serverKey: keys.publicKey });

/** The error that an address meets, before anything is opened. */
function refusal(address: string, mode: "bind" | "connect", options: ZeromqOptions): string {
  try {
    zeromq(options).check(address, mode);
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return (error as Error).message;
  }
  return "";
}

test.each([
  ["tcp://*:5555", "bind"],
  ["tcp://0.0.0.0:5555", "bind"],
  ["tcp://[::]:5555", "bind"],
  ["tcp://10.0.0.7:5555", "bind"],
  ["tcp://eth0:5555", "bind"],
  ["ws://*:5555/rpc", "bind"],
  ["tcp://10.0.0.7:5555", "connect"],
  ["tcp://server.example.com:5555", "connect"],
  ["ws://server.example.com:5555", "connect"],
] as const)("%s cannot be used to %s without keys, and both ways out are shown", (address, mode) => {
  const message = refusal(address, mode, {});
  expect(message).toContain(mode === "bind" ? "curve: serverCurve({" : "curve: curveClient({");
  expect(message).toContain("insecure: true");
  expect(refusal(address, mode, { insecure: true })).toBe("");
  expect(refusal(address, mode, { curve: [server(), client()] })).toBe("");
});

test.each([
  ["tcp://127.0.0.1:5555", "bind"],
  ["tcp://127.8.9.10:5555", "connect"],
  ["tcp://[::1]:5555", "bind"],
  ["tcp://localhost:5555", "connect"],
  ["ipc:///tmp/x", "bind"],
  ["inproc://x", "bind"],
] as const)("%s needs no keys to %s", (address, mode) => {
  expect(refusal(address, mode, {})).toBe("");
});

test("each side has a protection of its own kind", () => {
  expect(refusal("tcp://127.0.0.1:1", "bind", { curve: client() })).toContain("this end needs curve: serverCurve(");
  expect(refusal("tcp://127.0.0.1:1", "connect", { curve: server() })).toContain("this end needs curve: curveClient(");
  expect(() => zeromq({ curve: [server(), server()] })).toThrow("two for the same side");
  for (const wrong of [{}, "keys", true, [{ kind: "serverCurve" }]])
    expect(() => zeromq({ curve: wrong as never })).toThrow("option curve of zeromq() must be serverCurve(");
});

test("a client may have a key for each of its servers, and needs one for each", () => {
  const curve = curveClient({
    serverKey: { "tcp://10.0.0.1:1": keys.publicKey, "tcp://10.0.0.2:1": makeKeyPair().publicKey },
  });
  expect(refusal("tcp://10.0.0.2:1", "connect", { curve })).toBe("");
  expect(refusal("tcp://10.0.0.3:1", "connect", { curve })).toContain("no serverKey for tcp://10.0.0.3:1");
});

test.each<[string, () => unknown, string]>([
  ["an unknown option", () => serverCurve({ secretKey: keys, alow: [] } as never), 'no option "alow"'],
  ["no secret", () => serverCurve({ allow: [] } as never), "option secretKey of serverCurve()"],
  ["nobody to allow", () => serverCurve({ secretKey: keys } as never), "option allow of serverCurve()"],
  ["a time that cannot be", () => serverCurve({ secretKey: keys, allow: [], allowTimeoutMs: 0 }), "allowTimeoutMs"],
  ["no server", () => curveClient({} as never), "option serverKey of curveClient()"],
  ["an unknown option of clients", () => curveClient({ serverKey: keys.publicKey, keys } as never), 'no option "keys"'],
])("%s is refused", (_name, make, message) => {
  expect(make).toThrow(message);
});

test("CURVE does not go without the notices that tell connections apart", async () => {
  await expect(bind("tcp://127.0.0.1:*", { curve: server(), draftOptions: false })).rejects.toThrow("draftOptions");
});

test("inproc is left as it is", async () => {
  const end = await bind("inproc://curve-options", { curve: server() });
  const other = await connect("inproc://curve-options", { curve: client() });
  await end.links.next();
  await other.close();
});

test("an exposed address is warned of once, an encrypted one is not", async () => {
  const warnings: string[] = [];
  const onWarning = (warning: string): void => void warnings.push(warning);
  await bind("tcp://0.0.0.0:*", { curve: server(), onWarning });
  expect(warnings).toEqual([]);
  await bind("tcp://0.0.0.0:*", { insecure: true, onWarning });
  expect(warnings).toEqual([expect.stringContaining("without encryption or authentication (insecure: true)")]);
});

test("secret keys do not show where things are logged", () => {
  for (const thing of [server(), client(), binding(zeromq({ curve: [server(), client()] }))]) {
    expect(inspect(thing, { depth: 9, showHidden: true })).not.toContain(keys.secretKey);
    expect(JSON.stringify(thing) ?? "").not.toContain(keys.secretKey);
  }
});
