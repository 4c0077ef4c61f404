// For applications.
export { plainWorkers, zeromq } from "./transport.ts";
export { pushPull } from "./push-pull.ts";
export type { PushPullOptions } from "./push-pull.ts";
export { ForwarderDevice } from "./device/forwarder.ts";
export type { ForwarderOptions } from "./device/forwarder.ts";
export { StreamerDevice } from "./device/streamer.ts";
export type { StreamerOptions } from "./device/streamer.ts";
export type { DeviceSide, PumpAddresses, PumpOptions } from "./device/pump-device.ts";
export type { ZeromqOptions } from "./options.ts";
export { serverCurve } from "./curve/server-curve.ts";
export type { ServerCurve, ServerCurveOptions } from "./curve/server-curve.ts";
export { curveClient } from "./curve/client-curve.ts";
export type { ClientCurve, CurveClientOptions } from "./curve/client-curve.ts";
export type { CurveOption } from "./curve/secured.ts";
export { EventPublisher } from "./events/publisher.ts";
export type { SubscriberWish } from "./events/publisher.ts";
export type { AuthorizeEvents, EventAuthorization } from "./events/event-rules.ts";
export { EventSubscriber } from "./events/subscriber.ts";
export type {
  EventFailure,
  EventPublisherOptions,
  EventSubscriberOptions,
  ReplayOptions,
} from "./events/event-options.ts";
export { loadKeyPair, loadPublicKey, makeKeyPair } from "./curve/keys.ts";
export type { CurveKeyPair, KeyFile, KeyVariable, PublicKeySource, SecretKeySource } from "./curve/keys.ts";
export { saveKeyPair } from "./curve/save-keys.ts";
export type { SaveKeyPairOptions } from "./curve/save-keys.ts";
export type { Allow, AllowFunction, AllowedKey, KeyHolder } from "./curve/allow-list.ts";
export type { PrincipalInit } from "./curve/principal.ts";

// For authors of extensions.
export { schemes as zeromqSchemes } from "./address.ts";
