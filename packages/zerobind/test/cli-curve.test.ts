import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { serverCurve } from "zerobind";
import { runHere } from "./support/cli.ts";
import { everythingHost } from "./support/everything-host.ts";

let folder = "";
const at = (...names: string[]): string => join(folder, ...names);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "zerobind-curve-"));
  for (const name of ["server", "ada", "bob"]) await runHere(["keygen", "--out", folder, "--name", name]);
  mkdirSync(at("clients"));
  copyFileSync(at("ada.cert"), at("clients", "ada.cert"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (): ReturnType<typeof everythingHost> =>
  everythingHost("tcp://127.0.0.1:*", {
    zeromq: { curve: serverCurve({ secretKey: { file: at("server.cert_secret") }, allow: at("clients") }) },
  });

describe("call", () => {
  test("certificates encrypt a call, and open the door", async () => {
    await using host = await open();
    const call = host.callOf("Echo", '{"int32Field":1}');
    const keys = ["--server-key", at("server.cert"), "--keys"];
    expect(await runHere([...call, ...keys, at("ada.cert_secret")])).toEqual({
      status: 0,
      stdout: '{"int32Field":1}\n',
      stderr: "",
    });
    const refused = await runHere([...call, ...keys, at("bob.cert_secret")]);
    expect([refused.status, refused.stdout]).toEqual([16, ""]);
    expect(refused.stderr).toMatch(/^UNAUTHENTICATED: .* does not let this one in/);
  });

  test.each<[string[], RegExp]>([
    [["--keys", "ada.cert_secret"], /--keys needs --server-key with it/],
    [["--server-key", "nowhere.cert"], /nowhere\.cert/],
    [["--server-key", "server.cert", "--keys", "ada.cert"], /ada\.cert is a public certificate/],
    [[], /Encrypt it with --server-key and --keys .*, or say --insecure/],
  ])("%j is refused, with a word why", async (flags, message) => {
    await using host = await open();
    const files = flags.map((flag) => (flag.startsWith("--") ? flag : at(flag)));
    const call = host.callOf("Echo", "{}").map((word) => (word.startsWith("tcp:") ? "tcp://192.0.2.1:5555" : word));
    const { status, stderr } = await runHere([...call, ...files]);
    expect([status, stderr]).toEqual([64, expect.stringMatching(message)]);
  });
});
