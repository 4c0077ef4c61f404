import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { startServer } from "./support/programs.ts";

/** Debian's own, for which python3-zmq and python3-protobuf are installed. */
const python = "/usr/bin/python3";
const protoc = "protoc";
const examples = join(import.meta.dirname, "..");

/** Why the client cannot run here; undefined if it can. */
function whatIsMissing(): string | undefined {
  try {
    execFileSync(python, ["-c", "import zmq, google.protobuf"], { stdio: "ignore" });
  } catch {
    return `${python} has no zmq or no protobuf (Debian: python3-zmq, python3-protobuf)`;
  }
  try {
    execFileSync(protoc, ["--version"], { stdio: "ignore" });
  } catch {
    return "there is no protoc (Debian: protobuf-compiler)";
  }
  return undefined;
}

const missing = whatIsMissing();

(missing === undefined ? describe : describe.skip)(
  `a Python client${missing === undefined ? "" : `, skipped: ${missing}`}`,
  () => {
    let generated = "";

    beforeAll(() => {
      generated = mkdtempSync(join(tmpdir(), "zerobind-python-"));
      const protos = join(examples, "../protos/examples/greeter/v1");
      execFileSync(protoc, [`--proto_path=${protos}`, `--python_out=${generated}`, "greeter.proto"]);
    });
    afterAll(() => rmSync(generated, { recursive: true, force: true }));

    test("gets its greeting over a REQ socket", async () => {
      const { server, address } = await startServer("greeter/server.js");
      await using _server = server;
      const env = { ...process.env, PYTHONPATH: generated, PYTHONDONTWRITEBYTECODE: "1" };
      const client = join(examples, "plain-client/greeter_client.py");
      const { stdout } = await promisify(execFile)(python, [client, address], { env, timeout: 10_000 });
      expect(stdout.trim()).toBe("Hello, Ada");
    });
  },
);
