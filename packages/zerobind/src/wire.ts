// Generated messages import their reader and writer from here.
export * from "@zerobind/core/wire";
