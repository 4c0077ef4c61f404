import type { DescMessage } from "@bufbuild/protobuf";

/** Which sides of a method stream. */
type MethodKind = "unary" | "server_stream" | "client_stream" | "bidi_stream";

/** One method, with all that generated code says of it. */
export interface MethodModel {
  readonly name: string;
  readonly localName: string;
  readonly kind: MethodKind;
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly operation: OperationModel;
  readonly idempotency: "no_side_effects" | "idempotent" | undefined;
  readonly deprecated: boolean;
  readonly comment: readonly string[];
}

/** One service. */
export interface ServiceModel {
  readonly typeName: string;
  /** The name of the constant, and what the names of the interfaces begin with. */
  readonly localName: string;
  readonly methods: readonly MethodModel[];
  readonly callback: string | undefined;
  readonly deprecated: boolean;
  readonly comment: readonly string[];
}

/** What `option (zerobind.v1.operation)` says of a method. */
export interface OperationModel {
  readonly pattern: Pattern;
  readonly timeoutMs: number | undefined;
  readonly requires: readonly string[];
  readonly faults: readonly DescMessage[];
  /** Empty if the option does not name one. */
  readonly localName: string;
}

export type Pattern =
  { readonly case: "call" | "one_way" | "pipeline" | "ticket" } | { readonly case: "event"; readonly topic: string };
