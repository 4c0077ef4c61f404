// For applications.
export { plainWorkers, zeromq } from "./transport.ts";
export type { ZeromqOptions } from "./options.ts";

// For authors of extensions.
export { schemes as zeromqSchemes } from "./address.ts";
