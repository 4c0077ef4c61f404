import { memory } from "@zerobind/core";
import { trafficSuite } from "./support/traffic-suite.ts";

trafficSuite("memory", memory(), () => "memory://*");
