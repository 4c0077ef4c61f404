/** Files whose messages the runtime exports from `<runtime>/google`, so that a process has each of them once. */
export const sharedGoogleFiles: ReadonlySet<string> = new Set([
  "google/protobuf/any.proto",
  "google/protobuf/duration.proto",
  "google/protobuf/empty.proto",
  "google/protobuf/field_mask.proto",
  "google/protobuf/struct.proto",
  "google/protobuf/timestamp.proto",
  "google/protobuf/wrappers.proto",
  "google/rpc/error_details.proto",
  "google/rpc/status.proto",
]);

/** Files that others import for their options; nobody wants code for them unless a message is used. */
export function isLibraryFile(name: string): boolean {
  return name === "zerobind/v1/options.proto" || name.startsWith("google/") || name.startsWith("buf/validate/");
}
