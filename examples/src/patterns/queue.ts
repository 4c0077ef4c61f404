import { deepEqual, ok } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Channel, QueueDevice, ServiceHost } from "zerobind";
import { Renderer } from "../gen/examples/render/v1/render.rpc.ts";
import { untilStopped } from "../until-stopped.ts";
import type { Example } from "./example.ts";

/** How long a worker has for one frame. */
const renderMs = 300;

/** Requests wait in the middle, and whichever worker is free takes the next one. */
export const queue: Example = {
  title: "a queue device: workers come and go, requests wait for one that is free",

  roles: {
    async device() {
      const stopped = untilStopped();
      await using device = new QueueDevice({ frontend: "tcp://127.0.0.1:*", backend: "tcp://127.0.0.1:*" });
      await device.open();
      const { frontend, backend } = device.addresses;
      console.log(`clients at ${frontend[0]}, workers at ${backend[0]}`);
      await stopped;
    },

    // A service host like any other, but it connects, and takes one call at a time.
    async worker(backend = "", name = "") {
      const stopped = untilStopped();
      await using host = new ServiceHost({ limits: { maxConcurrentCalls: 1 } }).serve(Renderer, {
        async render({ number }) {
          await sleep(renderMs);
          console.log(`frame ${number}`);
          return { number, worker: name };
        },
      });
      await host.open({ address: backend, attach: "connect" });
      await stopped;
    },

    async client(frontend = "", frames = "") {
      await using channel = new Channel(frontend);
      const renderer = channel.client(Renderer);
      const begun = performance.now();
      const render = (_: unknown, number: number) => renderer.render({ number }, { waitForReady: true });
      const pictures = await Promise.all(Array.from({ length: Number(frames) }, render));
      const workers = [...new Set(pictures.map(({ worker }) => worker))].sort();
      console.log(
        `${pictures.length} frames by ${workers.join(" and ")} in ${Math.round(performance.now() - begun)} ms`,
      );
    },
  },

  async play(stage) {
    await using device = stage.start("device", "device");
    const [, frontend = "", backend = ""] = await device.line(/^clients at (.+), workers at (.+)$/);

    stage.tell("a client asks for six frames, and no worker is there yet");
    await using client = stage.start("client", "client", frontend, "6");
    stage.tell("two workers come, each renders one frame at a time");
    await using ada = stage.start("Ada", "worker", backend, "Ada");
    await using grace = stage.start("Grace", "worker", backend, "Grace");
    await client.succeeded();
    ok(client.lines.at(-1)?.startsWith("6 frames by Ada and Grace"));

    stage.tell("Grace is killed in the middle of a frame; Ada renders it anew");
    await using second = stage.start("client", "client", frontend, "4");
    await grace.line(/^frame/);
    await sleep(renderMs * 1.5);
    await grace[Symbol.asyncDispose]();
    await second.succeeded();
    deepEqual(second.lines.at(-1)?.split(" ").slice(0, 2), ["4", "frames"]);
    await ada.stop();
    await device.stop();
  },
};
