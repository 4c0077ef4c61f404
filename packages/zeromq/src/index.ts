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

// For authors of extensions.
export { schemes as zeromqSchemes } from "./address.ts";
