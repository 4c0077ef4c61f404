import { binding, memory } from "@zerobind/core";
import { behaviorSuite } from "../support/behavior-suite.ts";

behaviorSuite("through a queue device over memory", {
  binding: binding(memory()),
  address: () => "memory://*",
  device: true,
});
