import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { test } from "@jest/globals";
import { track } from "./support.ts";

export const python: string = "/usr/bin/python3";

/** Runs where Python has ZeroMQ, which continuous integration sees to. */
export const withPython = spawnSync(python, ["-c", "import zmq"]).status === 0 ? test : test.skip;

const protoc = "/usr/bin/protoc";

/** Runs where Python also has protobuf, and its compiler is there. */
export const withMessages =
  spawnSync(python, ["-c", "import zmq, google.protobuf"]).status === 0 && spawnSync(protoc, ["--version"]).status === 0
    ? test
    : test.skip;

/** Begins a script that uses the messages of patterns.proto, as `pb`. */
export const patterns: string = `
import os, subprocess, sys, tempfile
out = tempfile.mkdtemp()
protos = "${fileURLToPath(new URL("../../../protos", import.meta.url))}"
subprocess.check_call(["${protoc}", "-I", protos, "--python_out", out, "test/v1/patterns.proto", "zerobind/v1/options.proto", "zerobind/v1/events.proto"], cwd=protos)
for name in ["test", "test/v1"]:
    # Python has a package of that name.
    open(os.path.join(out, name, "__init__.py"), "w").close()
sys.path.insert(0, out)
from test.v1 import patterns_pb2 as pb
`;

const prelude = `
import sys, time, zmq
context = zmq.Context.instance()
def say(*words):
    print(*words, flush=True)
`;

/** A process in Python, with \`zmq\`, a \`context\`, and \`say\` for lines that are read here. */
export class PythonPeer {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(script: string) {
    this.child = spawn(python, ["-c", prelude + script], { stdio: ["ignore", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** What it says next. */
  async line(): Promise<string> {
    const next = await this.#lines.next();
    return next.done === true ? "" : next.value;
  }

  /** Ends at once, as a process that crashes. */
  async close(): Promise<void> {
    const { exitCode, signalCode } = this.child;
    if (exitCode !== null || signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }
}

export function pythonPeer(script: string): PythonPeer {
  return track(new PythonPeer(script));
}
