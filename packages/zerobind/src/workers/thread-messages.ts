import type { MessagePort } from "node:worker_threads";
import type { AnyMessageType, Contract, HandlerFailure, MethodDescriptor, MethodKind } from "@zerobind/core";

/** One method, as far as a thread has to know it. */
export interface ThreadMethod {
  readonly name: string;
  readonly localName: string;
  readonly kind: MethodKind;
  /** Its handler gets the context of a job. */
  readonly isJob: boolean;
}

/** What a thread is started with. */
export interface ThreadData {
  /** The module with the handler, as a URL. */
  readonly module: string;
  readonly typeName: string;
  readonly methods: readonly ThreadMethod[];
  /** Carries the calls. */
  readonly calls: MessagePort;
  /** Carries everything else: what `ToThread` and `FromThread` say. */
  readonly control: MessagePort;
}

/** `ping` is answered as soon as the thread's event loop turns; after `close` the thread ends by itself. */
export type ToThread = { readonly say: "ping" } | { readonly say: "close" };

/** What a thread tells of itself. */
export type FromThread =
  | { readonly say: "ready" }
  | { readonly say: "failed"; readonly error: unknown }
  | { readonly say: "pong" }
  | { readonly say: "threw"; readonly error: unknown; readonly failure: HandlerFailure };

/** The methods that threads can carry out: calls, and jobs of pipelines. */
export function threadMethods({ methods }: Contract): ThreadMethod[] {
  return methods.flatMap(({ name, localName, kind, options }) => {
    const pattern = options?.pattern?.case ?? "call";
    if (pattern === "event" || pattern === "ticket") return [];
    return [{ name, localName, kind, isJob: pattern === "pipeline" }];
  });
}

/**
 * The contract between a pool and its threads: the methods of the real one, all of them answered calls. Its types have
 * no codec, as the binding's encoder does without.
 */
export function threadContract(typeName: string, methods: readonly ThreadMethod[]): Contract {
  const type = { $type: typeName } as AnyMessageType;
  return {
    typeName,
    methods: methods.map(({ name, localName, kind }): MethodDescriptor => ({
      name,
      localName,
      kind,
      input: type,
      output: type,
    })),
  };
}

/** An answer in an envelope, since a handler may as well give none. */
export interface Answer {
  readonly value: unknown;
}
