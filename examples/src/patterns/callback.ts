import { equal } from "node:assert/strict";
import { RpcError, ServiceHost } from "zerobind";
import { deployer } from "../callback/deployer.ts";
import { deploy } from "../callback/operator.ts";
import { Deployer } from "../gen/examples/callback/v1/deploy.rpc.ts";
import { serveUntilStopped } from "../serve-until-stopped.ts";
import type { Example } from "./example.ts";

/** A server that asks its caller while it works: what the server and the client do is in ../callback. */
export const callback: Example = {
  title: "a server asks its caller back over the connection that the call came by",

  roles: {
    server: () => serveUntilStopped(new ServiceHost().serve(Deployer, deployer), ["tcp://127.0.0.1:*"]),

    async operator(address = "", answer = "") {
      const desk = {
        decide(question: string) {
          console.log(`${question} ${answer}`);
          return Promise.resolve(answer === "yes");
        },
        tell: (text: string) => console.log(text),
      };
      try {
        const { machines } = await deploy(address, "1.2", desk);
        console.log(`done: ${machines.join(", ")}`);
      } catch (error) {
        const { codeName, message } = RpcError.from(error);
        console.log(`${codeName}: ${message}`);
      }
    },
  },

  async play(stage) {
    const { program: server, address } = await stage.serve("server", "server");
    await using _server = server;
    for (const [name, answer, last] of [
      ["Ada", "yes", "done: north, south, west"],
      ["Grace", "no", "ABORTED: the operator said no"],
    ] as const) {
      stage.tell(`${name} wants version 1.2 deployed, and will say ${answer}`);
      await using operator = stage.start(name, "operator", address, answer);
      await operator.succeeded();
      equal(operator.lines.at(-1), last);
    }
    await server.stop();
  },
};
