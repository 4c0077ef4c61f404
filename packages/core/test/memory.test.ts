import { binding, memory } from "@zerobind/core";
import { behaviorSuite } from "./support/behavior-suite.ts";

behaviorSuite("memory", { binding: binding(memory()), address: () => "memory://*" });
