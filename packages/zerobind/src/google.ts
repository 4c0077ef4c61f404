// The google.protobuf and google.rpc messages that contracts share; generated code imports them from here.
export * from "@zerobind/core/google";
