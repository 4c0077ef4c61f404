import { binding, memory } from "@zerobind/core";
import { behaviorSuite } from "./support/behavior-suite.ts";
import { callbackSuite } from "./support/callback-suite.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };

behaviorSuite("memory", under);
callbackSuite("memory", under);
