import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binding } from "@zerobind/core";
import { zeromq } from "@zerobind/zeromq";
import { behaviorSuite } from "../../core/test/support/behavior-suite.ts";

const stack = binding(zeromq());

behaviorSuite("tcp", { binding: stack, address: () => "tcp://127.0.0.1:*" });
behaviorSuite("ipc", { binding: stack, address: () => `ipc://${join(tmpdir(), `zerobind-${randomUUID()}`)}` });
behaviorSuite("inproc", { binding: stack, address: () => `inproc://${randomUUID()}` });
behaviorSuite("ws", { binding: stack, address: () => "ws://127.0.0.1:*" });
