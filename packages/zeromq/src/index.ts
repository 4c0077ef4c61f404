// For applications.
export { zeromq } from "./transport.ts";
export type { ZeromqOptions } from "./options.ts";
export { EventPublisher } from "./events/publisher.ts";
export type { SubscriberWish } from "./events/publisher.ts";
export { EventSubscriber } from "./events/subscriber.ts";
export type {
  EventFailure,
  EventPublisherOptions,
  EventSubscriberOptions,
  ReplayOptions,
} from "./events/event-options.ts";

// For authors of extensions.
export { schemes as zeromqSchemes } from "./address.ts";
