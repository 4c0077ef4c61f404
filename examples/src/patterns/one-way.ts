import { deepEqual } from "node:assert/strict";
import { Channel, ServiceHost, binding, pushPull } from "zerobind";
import type { Binding } from "zerobind";
import { Journal } from "../gen/examples/journal/v1/journal.rpc.ts";
import { serveUntilStopped } from "../serve-until-stopped.ts";
import type { Example } from "./example.ts";

/** Without a binding, one-way calls travel like all calls; with this one by PUSH and PULL, which others speak, too. */
const bindings: Readonly<Record<string, { readonly binding?: Binding }>> = {
  call: {},
  push: { binding: binding(pushPull()) },
};

/** Calls that nobody answers. */
export const oneWay: Example = {
  title: "one-way calls: the sender goes on at once, over calls and over PUSH and PULL",

  roles: {
    async journal(way = "") {
      const host = new ServiceHost(bindings[way]).serve(Journal, { note: ({ text }) => console.log(`noted: ${text}`) });
      await serveUntilStopped(host, ["tcp://127.0.0.1:*"]);
    },

    async reporter(way = "", ...addresses: string[]) {
      await using channel = new Channel(addresses, bindings[way]);
      const journal = channel.client(Journal);
      // The first one waits for the connection.
      await journal.note({ text: "one" }, { waitForReady: true });
      const begun = performance.now();
      for (const text of ["two", "three", "four"]) await journal.note({ text });
      console.log(`three more were handed over in ${(performance.now() - begun).toFixed(1)} ms`);
    },
  },

  async play(stage) {
    for (const [way, what] of [
      ["call", "over the connection that calls use"],
      ["push", "over PUSH and PULL"],
    ] as const) {
      stage.tell(what);
      const { program: journal, address } = await stage.serve("journal", "journal", way);
      await using _journal = journal;
      await using reporter = stage.start("reporter", "reporter", way, address);
      await Promise.all(["one", "two", "three", "four"].map((text) => journal.line(new RegExp(`^noted: ${text}$`))));
      await reporter.succeeded();
      await journal.stop();
      deepEqual(journal.lines.slice(1).sort(), ["noted: four", "noted: one", "noted: three", "noted: two"]);
    }
  },
};
