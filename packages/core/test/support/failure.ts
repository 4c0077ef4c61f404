import { expect } from "@jest/globals";
import { RpcError } from "@zerobind/core";

/** The RpcError that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<RpcError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) throw new Error(`it should have failed, but gave ${String(outcome.value)}`);
  expect(outcome.error).toBeInstanceOf(RpcError);
  return outcome.error as RpcError;
}
