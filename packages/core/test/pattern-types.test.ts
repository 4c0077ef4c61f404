import { expect, test } from "@jest/globals";
import { Prefix, startsWith } from "@zerobind/core";
import type {
  ClientOf,
  Contract,
  EventFilter,
  EventHandlerOf,
  HandlerOf,
  PublisherOf,
  SinkOf,
  SubscriberOf,
  VentilatorOf,
  WorkerOf,
} from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Imaging, Market, Prices } from "./gen/test/v1/patterns.rpc.ts";
import type * as gen from "./gen/test/v1/patterns.rpc.ts";
import type { PriceChange, Trade } from "./gen/test/v1/patterns.pb.ts";

/** True where the types are the same. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the compiler compares functions exactly
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

test("the types of a contract's patterns come out of it", () => {
  const all: [
    Same<PublisherOf<typeof Prices>, gen.PricesPublisher>,
    Same<SubscriberOf<typeof Prices>, gen.PricesSubscriber>,
    Same<EventHandlerOf<typeof Prices>, gen.PricesEventHandler>,
    Same<VentilatorOf<typeof Imaging>, gen.ImagingVentilator>,
    Same<WorkerOf<typeof Imaging>, gen.ImagingWorker>,
    Same<SinkOf<typeof Imaging>, gen.ImagingSink>,
    Same<ClientOf<typeof Market>, gen.MarketClient>,
    Same<HandlerOf<typeof Market>, gen.MarketHandler>,
  ] = [true, true, true, true, true, true, true, true];
  const none: [
    Same<PublisherOf<typeof Imaging>, never>,
    Same<WorkerOf<typeof Prices>, never>,
    Same<SinkOf<typeof Behavior>, never>,
    Same<PublisherOf<Contract>, never>,
  ] = [true, true, true, true];
  const any: Contract[] = [Prices, Imaging, Market, Behavior];
  expect([...all, ...none].every(Boolean) && any.length).toBe(4);
});

test("a filter takes the fields of its topic, strings by what they begin with, too", () => {
  const prefix = startsWith("AC");
  expect(prefix).toBeInstanceOf(Prefix);
  expect(prefix.text).toBe("AC");
  const filters: [EventFilter<PriceChange, "symbol">, EventFilter<Trade, "symbol" | "venue">, object] = [
    { symbol: prefix },
    { venue: 1, symbol: undefined },
    {},
  ];
  expect(filters).toHaveLength(3);
  // @ts-expect-error -- the price is not in the topic
  const foreign: EventFilter<PriceChange, "symbol"> = { price: 1 };
  // @ts-expect-error -- a number has no beginning
  const number: EventFilter<Trade, "venue"> = { venue: prefix };
  // @ts-expect-error -- nothing is in the topic
  const nothing: EventFilter<Trade, never> = { symbol: "a" };
  expect([foreign, number, nothing]).toHaveLength(3);
  expect(() => startsWith(1 as never)).toThrow("a prefix is a string, not number");
});
