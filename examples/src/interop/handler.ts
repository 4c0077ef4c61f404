import { setTimeout } from "node:timers/promises";
import { RpcError, Status, partial } from "zerobind";
import type { MessageInit, OperationContext, StatusCode } from "zerobind";
import { PayloadType } from "../gen/grpc/testing/messages.pb.ts";
import type {
  EchoStatus,
  Payload,
  SimpleRequest,
  SimpleResponse,
  StreamingInputCallRequest,
  StreamingInputCallResponse,
  StreamingOutputCallRequest,
  StreamingOutputCallResponse,
} from "../gen/grpc/testing/messages.pb.ts";
import type { Empty } from "../gen/grpc/testing/empty.pb.ts";
import { TestService } from "../gen/grpc/testing/test.rpc.ts";
import type { TestServiceHandler } from "../gen/grpc/testing/test.rpc.ts";
import { zeros } from "./zeros.ts";

/** Metadata that the server sends back, in the header block and in the trailer. */
export const echoInitialKey = "x-grpc-test-echo-initial";
export const echoTrailingKey = "x-grpc-test-echo-trailing-bin";

/** gRPC's test server: all methods but the one that every server leaves out. */
class InteropService implements Omit<TestServiceHandler, "unimplementedCall"> {
  emptyCall(): Empty {
    return {};
  }

  unaryCall(request: SimpleRequest, context: OperationContext): MessageInit<SimpleResponse> {
    echoMetadata(context);
    refuseUncompressed(request.expectCompressed?.value);
    echoStatus(request.responseStatus);
    return { payload: payload(request.responseType, request.responseSize) };
  }

  cacheableUnaryCall(_request: SimpleRequest, context: OperationContext): MessageInit<SimpleResponse> {
    context.setHeader({ "cache-control": "max-age=60, public" });
    const nanoseconds = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1_000)) * 1_000n;
    return { payload: { body: new TextEncoder().encode(String(nanoseconds)) } };
  }

  async *streamingOutputCall(
    request: StreamingOutputCallRequest,
    context: OperationContext,
  ): AsyncGenerator<MessageInit<StreamingOutputCallResponse>> {
    echoMetadata(context);
    yield* replies(request, new Pace(context.signal));
  }

  async streamingInputCall(
    requests: AsyncIterable<StreamingInputCallRequest>,
  ): Promise<MessageInit<StreamingInputCallResponse>> {
    let aggregatedPayloadSize = 0;
    for await (const request of requests) {
      refuseUncompressed(request.expectCompressed?.value);
      aggregatedPayloadSize += request.payload?.body.length ?? 0;
    }
    return { aggregatedPayloadSize };
  }

  async *fullDuplexCall(
    requests: AsyncIterable<StreamingOutputCallRequest>,
    context: OperationContext,
  ): AsyncGenerator<MessageInit<StreamingOutputCallResponse>> {
    echoMetadata(context);
    const pace = new Pace(context.signal);
    for await (const request of requests) yield* replies(request, pace);
  }

  async *halfDuplexCall(
    requests: AsyncIterable<StreamingOutputCallRequest>,
    context: OperationContext,
  ): AsyncGenerator<MessageInit<StreamingOutputCallResponse>> {
    echoMetadata(context);
    const all: StreamingOutputCallRequest[] = [];
    for await (const request of requests) all.push(request);
    const pace = new Pace(context.signal);
    for (const request of all) yield* replies(request, pace);
  }
}

/** The handler to serve `TestService` with. */
export function interopHandler(): TestServiceHandler {
  return partial(TestService, new InteropService());
}

/** Makes sure that there is time between replies: each pause is counted from the reply before, or from the beginning. */
class Pace {
  readonly #signal: AbortSignal;
  #lastMs: number = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  async pause(intervalUs: number): Promise<void> {
    const untilMs = this.#lastMs + intervalUs / 1_000;
    // A timer may go off a little early.
    for (let leftMs = untilMs - performance.now(); leftMs > 0; leftMs = untilMs - performance.now())
      await setTimeout(Math.ceil(leftMs), undefined, { signal: this.#signal });
    this.#lastMs = performance.now();
  }
}

async function* replies(
  { responseType, responseParameters, responseStatus }: StreamingOutputCallRequest,
  pace: Pace,
): AsyncGenerator<MessageInit<StreamingOutputCallResponse>> {
  echoStatus(responseStatus);
  for (const { size, intervalUs } of responseParameters) {
    await pace.pause(intervalUs);
    yield { payload: payload(responseType, size) };
  }
}

function payload(type: PayloadType, size: number): MessageInit<Payload> {
  if (type !== PayloadType.COMPRESSABLE)
    throw new RpcError(Status.INVALID_ARGUMENT, `there are no payloads of type ${type}, only of type 0 (COMPRESSABLE)`);
  if (size < 0) throw new RpcError(Status.INVALID_ARGUMENT, `a payload cannot have ${size} bytes`);
  return { type, body: zeros(size) };
}

/** Sends back what the caller asks to get back. */
function echoMetadata(context: OperationContext): void {
  const initial = context.metadata.getAll(echoInitialKey);
  if (initial.length > 0) context.setHeader({ [echoInitialKey]: initial });
  const trailing = context.metadata.getAll(echoTrailingKey);
  if (trailing.length > 0) context.setTrailer({ [echoTrailingKey]: trailing });
}

/** Ends the call with the status that the caller asks for; OK is what it has anyway. */
function echoStatus(status: EchoStatus | undefined): void {
  if (status !== undefined && status.code !== Status.OK) throw new RpcError(status.code as StatusCode, status.message);
}

/** Handlers do not see whether a request came compressed, and the bindings of these tests compress nothing. */
function refuseUncompressed(expectCompressed: boolean | undefined): void {
  if (expectCompressed === true) throw new RpcError(Status.INVALID_ARGUMENT, "the request did not come compressed");
}
