import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binding } from "@zerobind/core";
import { curveClient, serverCurve, zeromq } from "@zerobind/zeromq";
import { behaviorSuite } from "../../core/test/support/behavior-suite.ts";
import { makeKeyPair } from "../src/curve/keys.ts";
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

const [serverKeys, clientKeys] = [makeKeyPair(), makeKeyPair()];
const curve = [
  serverCurve({ secretKey: serverKeys, allow: [clientKeys.publicKey] }),
  curveClient({ serverKey: serverKeys.publicKey, keyPair: clientKeys }),
];
const encrypted = binding(zeromq({ curve }));

behaviorSuite("tcp with CURVE", { binding: encrypted, address: addresses.tcp });
callbackSuite("tcp with CURVE", { binding: encrypted, address: addresses.tcp });

behaviorSuite("through a queue device over tcp", { binding: stack, address: addresses.tcp, device: true });
behaviorSuite("through a queue device over inproc", { binding: stack, address: addresses.inproc, device: true });
behaviorSuite("through a queue device over tcp with CURVE", {
  binding: encrypted,
  address: addresses.tcp,
  device: true,
});
