import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { loadKeyPair, loadPublicKey } from "zerobind";
import { runHere, runProcess } from "./support/cli.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "zerobind-keygen-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a key pair is written to two files, and its secret key is told nowhere else", async () => {
  const out = join(folder, "new", "keys");
  const made = await runHere(["keygen", "--out", out, "--name", "ada", "--role", "admin", "-r", "audit"]);
  const [publicFile, secretFile] = [join(out, "ada.cert"), join(out, "ada.cert_secret")];
  const { publicKey, secretKey } = loadKeyPair(secretFile);
  expect(made).toEqual({
    status: 0,
    stdout: `public ${publicFile}\nsecret ${secretFile}\npublic-key ${publicKey}\n`,
    stderr: "",
  });
  expect(loadPublicKey(publicFile)).toBe(publicKey);
  expect(statSync(secretFile).mode & 0o777).toBe(0o600);
  const text = readFileSync(publicFile, "utf8");
  expect(text).toContain('\nmetadata\n    roles = "admin, audit"\ncurve\n');
  expect(text).not.toContain(secretKey);
});

test("the command makes server.cert in the current directory", async () => {
  const { status } = await runProcess(["keygen"], { cwd: folder });
  expect(status).toBe(0);
  expect(readdirSync(folder).toSorted()).toEqual(["server.cert", "server.cert_secret"]);
});

test("files that are there are replaced only by force", async () => {
  const args = ["keygen", "--out", folder, "--name", "ada"];
  await runHere(args);
  const before = loadPublicKey(join(folder, "ada.cert"));
  const refused = await runHere(args);
  expect(refused).toMatchObject({ status: 1, stdout: "" });
  expect(refused.stderr).toMatch(/^error: .*ada\.cert is there already; .*--force\n$/);
  expect(loadPublicKey(join(folder, "ada.cert"))).toBe(before);
  expect((await runHere([...args, "--force"])).status).toBe(0);
  expect(loadPublicKey(join(folder, "ada.cert"))).not.toBe(before);
});

test.each<[string[], number, RegExp]>([
  [["--name", "../ada"], 64, /"\.\.\/ada" is no name for a key pair/],
  [["--name", ""], 64, /"" is no name/],
  [["--role", "a,b"], 64, /--role takes one role, without commas, not "a,b"/],
  [["--role", " "], 64, /--role takes one role/],
  [["--role", 'a"b'], 64, /metadata "roles" .* without quotes/],
  [["--nam", "x"], 64, /unknown option '--nam'/],
])("keygen %j fails with %i", async (args, status, message) => {
  const outcome = await runHere(["keygen", "--out", folder, ...args]);
  expect(outcome).toMatchObject({ status, stdout: "" });
  expect(outcome.stderr).toMatch(message);
  expect(readdirSync(folder)).toEqual([]);
});

test("a folder that is none is told", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  const outcome = await runHere(["keygen", "--out", file]);
  expect(outcome).toMatchObject({ status: 1, stdout: "" });
  expect(outcome.stderr).toContain(file);
});
