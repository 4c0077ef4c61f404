import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binding } from "@zerobind/core";
import { zeromq } from "@zerobind/zeromq";
import { behaviorSuite } from "../../core/test/support/behavior-suite.ts";
import { callbackSuite } from "../../core/test/support/callback-suite.ts";

const stack = binding(zeromq());

const addresses = {
  tcp: () => "tcp://127.0.0.1:*",
  ipc: () => `ipc://${join(tmpdir(), `zerobind-${randomUUID()}`)}`,
  inproc: () => `inproc://${randomUUID()}`,
  ws: () => "ws://127.0.0.1:*",
};

for (const [name, address] of Object.entries(addresses)) {
  behaviorSuite(name, { binding: stack, address });
  callbackSuite(name, { binding: stack, address });
}

behaviorSuite("through a queue device over tcp", { binding: stack, address: addresses.tcp, device: true });
behaviorSuite("through a queue device over inproc", { binding: stack, address: addresses.inproc, device: true });
