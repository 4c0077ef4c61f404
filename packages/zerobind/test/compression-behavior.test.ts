import { binding, gzip, zeromq } from "zerobind";
import { behaviorSuite } from "../../core/test/support/behavior-suite.ts";
import { callbackSuite } from "../../core/test/support/callback-suite.ts";

const under = { binding: binding(gzip({ thresholdBytes: 0 }), zeromq()), address: () => "tcp://127.0.0.1:*" };

behaviorSuite("tcp, compressed", under);
callbackSuite("tcp, compressed", under);
behaviorSuite("through a queue device, compressed on no hop", { ...under, device: true });
