import { deepEqual, equal } from "node:assert/strict";
import { EventPublisher, EventSubscriber } from "zerobind";
import { Market } from "../gen/examples/market/v1/market.rpc.ts";
import type { Example } from "./example.ts";

const prices = [
  ["ACME", 12.5],
  ["INIT", 80],
  ["ACME", 12.75],
  ["ACMEX", 3],
  ["ACME", 13],
] as const;

/** A publisher that knows nothing of its subscribers, and subscribers that choose by topic. */
export const events: Example = {
  title: "events: each subscriber hears what it asked for, and misses nothing once it is ready",

  roles: {
    // Waits for its subscribers, so that none of them misses the first price.
    async market(subscribers = "") {
      await using outlet = new EventPublisher("tcp://127.0.0.1:*");
      const market = outlet.publisher(Market);
      await outlet.open();
      console.log(`listening ${outlet.address}`);
      await outlet.waitForSubscribers({ count: Number(subscribers) });
      for (const [symbol, price] of prices) market.priceChanged({ symbol, price });
      market.dayEnded({ changes: prices.length });
      console.log(`${prices.length} prices are published`);
    },

    // Without a symbol, it wants all of them.
    async trader(address = "", symbol = "") {
      await using inbox = new EventSubscriber(address);
      const market = inbox.subscriber(Market);
      const changes = market.priceChanged(symbol === "" ? {} : { symbol });
      const end = market.dayEnded();
      await inbox.ready;
      console.log(symbol === "" ? "listens to all prices" : `listens to ${symbol}`);
      void (async () => {
        for await (const _ of end) break;
        await changes.close();
      })();
      for await (const { event, info } of changes.entries())
        console.log(`${event.symbol} ${event.price.toFixed(2)} (event ${info.sequence} of ${info.topic})`);
    },
  },

  async play(stage) {
    const { program: market, address } = await stage.serve("market", "market", "2");
    await using _market = market;
    await using ada = stage.start("Ada", "trader", address, "ACME");
    await using grace = stage.start("Grace", "trader", address);
    await Promise.all([market.succeeded(), ada.succeeded(), grace.succeeded()]);
    const heard = (lines: readonly string[]): string[] => lines.slice(1).map((line) => line.split(" (")[0] ?? "");
    deepEqual(heard(ada.lines), ["ACME 12.50", "ACME 12.75", "ACME 13.00"]);
    equal(grace.lines.length, 1 + prices.length);
  },
};
