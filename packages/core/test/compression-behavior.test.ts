import { binding, memory } from "@zerobind/core";
import { behaviorSuite } from "./support/behavior-suite.ts";
import { callbackSuite } from "./support/callback-suite.ts";
import { runs } from "./support/runs.ts";

const under = { binding: binding(runs(), memory()), address: () => "memory://*" };

behaviorSuite("memory, all compressed", under);
callbackSuite("memory, all compressed", under);
