import { RpcError, statusName } from "zerobind";
import type { MessageInit, ResponseStream, StatusCode } from "zerobind";
import type {
  Payload,
  SimpleRequest,
  SimpleResponse,
  StreamingOutputCallRequest,
  StreamingOutputCallResponse,
} from "../gen/grpc/testing/messages.pb.ts";
import type { TestServiceClient } from "../gen/grpc/testing/test.rpc.ts";
import { isZeros, zeros } from "./zeros.ts";

/** The payloads of the streams that gRPC's cases send, and of those that they get. */
export const requestSizes = [27_182, 8, 1_828, 45_904] as const;
export const responseSizes = [31_415, 9, 2_653, 58_979] as const;

const largeRequestSize = 271_828;
export const largeResponseSize = 314_159;

/** Throws if a condition does not hold; `problem` says what was found. */
export function check(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new Error(problem);
}

/** A payload of zeros must have come, and exactly so many. */
function checkPayload(payload: Payload | undefined, size: number, what: string): void {
  check(payload !== undefined, `${what} has no payload, but should have ${size} bytes`);
  check(payload.body.length === size, `${what} has ${payload.body.length} bytes, not ${size}`);
  check(isZeros(payload.body), `${what} has bytes other than zero`);
}

export function largeRequest(): MessageInit<SimpleRequest> {
  return { responseSize: largeResponseSize, payload: { body: zeros(largeRequestSize) } };
}

export function checkLargeResponse(response: SimpleResponse): void {
  checkPayload(response.payload, largeResponseSize, "the response");
}

/** What `large_unary` is, and what others do many times. */
export async function largeUnary(client: TestServiceClient, signal?: AbortSignal): Promise<void> {
  checkLargeResponse(await client.unaryCall(largeRequest(), signal && { timeoutMs: Infinity, signal }));
}

/** A request of a duplex stream: so many bytes, for a response of so many. */
export function exchange(requestSize: number, responseSize: number): MessageInit<StreamingOutputCallRequest> {
  return { responseParameters: [{ size: responseSize }], payload: { body: zeros(requestSize) } };
}

/** The next response must come, with a payload of the given size. */
export async function checkNext(
  responses: ResponseStream<StreamingOutputCallResponse>,
  size: number,
  what: string,
): Promise<void> {
  const result = await responses.next();
  check(result.done !== true, `the stream ended where ${what} should be`);
  checkPayload(result.value.payload, size, what);
}

/** The stream must end here, and well. */
export async function checkEnd(
  responses: ResponseStream<StreamingOutputCallResponse>,
  received: number,
): Promise<void> {
  const { done } = await responses.next();
  check(done === true, `a response came after the ${received} that were asked for`);
}

/** The call must fail with this status, and with this message if one is given. */
export async function checkStatus(call: Promise<unknown>, code: StatusCode, message?: string): Promise<void> {
  const error = await failureOf(call, code);
  check(
    error.code === code,
    `the status is ${error.code} (${error.codeName}: ${error.message}), not ${code} (${statusName(code)})`,
  );
  if (message !== undefined)
    check(
      error.message === message,
      `the status message is ${JSON.stringify(error.message)}, not ${JSON.stringify(message)}`,
    );
}

async function failureOf(call: Promise<unknown>, code: StatusCode): Promise<RpcError> {
  try {
    await call;
  } catch (error) {
    return RpcError.from(error);
  }
  throw new Error(`the call succeeded, and should have ended with ${code} (${statusName(code)})`);
}

/** An error in words. */
export function describe(error: unknown): string {
  const { codeName, message } = RpcError.from(error);
  return error instanceof RpcError ? `${codeName}: ${message}` : message;
}
