import type { CallOptions } from "../call-options.ts";
import type { OperationContext } from "../context.ts";
import { checkContract } from "../contract.ts";
import type { AnyMessageType, Contract, MessageInit } from "../contract.ts";
import { Empty } from "../gen/google/protobuf/empty.pb.ts";
import { pipelineMethods } from "./envelope.ts";

/** Sends messages of pipelines one way, by the names of their methods. */
export type PlainSender<Handlers> = {
  readonly [Name in keyof Handlers]: Handlers[Name] extends (message: infer T, ...rest: never[]) => unknown
    ? (message: MessageInit<T>, options?: CallOptions) => Promise<void>
    : never;
};

/** Takes messages of pipelines that came one way. */
export type PlainTaker<Handlers> = {
  readonly [Name in keyof Handlers]: Handlers[Name] extends (message: infer T, ...rest: never[]) => unknown
    ? (message: T, context: OperationContext) => void | Promise<void>
    : never;
};

/**
 * The jobs of a contract's pipelines as one-way calls, for PUSH and PULL sockets of any language: a channel over such a
 * transport sends them, and a host takes them. Nothing is acknowledged, tried again or told: jobs in the queue of a
 * worker, or in its hands, are lost with it. See `Ventilator` for pipelines that lose nothing.
 */
export function plainJobs<Worker>(
  contract: Contract<unknown, unknown, { readonly worker: Worker }>,
): Contract<PlainSender<Worker>, PlainTaker<Worker>> {
  return oneWay(contract, "input") as Contract<PlainSender<Worker>, PlainTaker<Worker>>;
}

/** The results of a contract's pipelines as one-way calls, from workers to the sink; see `plainJobs`. */
export function plainResults<Sink>(
  contract: Contract<unknown, unknown, { readonly sink: Sink }>,
): Contract<PlainSender<Sink>, PlainTaker<Sink>> {
  return oneWay(contract, "output") as Contract<PlainSender<Sink>, PlainTaker<Sink>>;
}

function oneWay(contract: Contract, side: "input" | "output"): Contract {
  checkContract(contract);
  const methods = pipelineMethods(contract).map(({ descriptor }) => ({
    ...descriptor,
    input: descriptor[side],
    output: Empty as AnyMessageType,
    options: { ...descriptor.options, pattern: { case: "one_way" } as const },
  }));
  return { typeName: contract.typeName, methods };
}
