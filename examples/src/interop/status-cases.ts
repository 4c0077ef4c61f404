import { PushStream, Status } from "zerobind";
import type { MessageInit } from "zerobind";
import type { StreamingInputCallRequest, StreamingOutputCallRequest } from "../gen/grpc/testing/messages.pb.ts";
import { UnimplementedService } from "../gen/grpc/testing/test.rpc.ts";
import type { Case, Target } from "./case.ts";
import { checkNext, checkStatus, exchange, requestSizes, responseSizes } from "./expect.ts";
import { zeros } from "./zeros.ts";

const limitMs = 10_000;

/** How calls end that do not end well. */
export const statusCases: readonly Case[] = [
  { name: "status_code_and_message", run: statusCodeAndMessage, limitMs },
  { name: "special_status_message", run: specialStatusMessage, limitMs },
  { name: "unimplemented_method", run: unimplementedMethod, limitMs },
  { name: "unimplemented_service", run: unimplementedService, limitMs },
  { name: "cancel_after_begin", run: cancelAfterBegin, limitMs },
  { name: "cancel_after_first_response", run: cancelAfterFirstResponse, limitMs },
  { name: "timeout_on_sleeping_server", run: timeoutOnSleepingServer, limitMs },
];

async function statusCodeAndMessage({ client }: Target): Promise<void> {
  const responseStatus = { code: Status.UNKNOWN, message: "test status message" };
  await checkStatus(client.unaryCall({ responseStatus }), responseStatus.code, responseStatus.message);
  const duplex = client.fullDuplexCall([{ responseStatus }]);
  await checkStatus(duplex.next(), responseStatus.code, responseStatus.message);
}

async function specialStatusMessage({ client }: Target): Promise<void> {
  const message = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n";
  const responseStatus = { code: Status.UNKNOWN, message };
  await checkStatus(client.unaryCall({ responseStatus }), responseStatus.code, message);
}

async function unimplementedMethod({ client }: Target): Promise<void> {
  await checkStatus(client.unimplementedCall({}), Status.UNIMPLEMENTED);
}

async function unimplementedService({ channel }: Target): Promise<void> {
  await checkStatus(channel.client(UnimplementedService).unimplementedCall({}), Status.UNIMPLEMENTED);
}

/** Once in the same breath as the call, and once when the call, but nothing of its stream, is on its way. */
async function cancelAfterBegin({ client }: Target): Promise<void> {
  for (const whenSent of [false, true]) {
    const controller = new AbortController();
    const call = client.streamingInputCall(new PushStream<MessageInit<StreamingInputCallRequest>>(), {
      signal: controller.signal,
      onPeer: () => whenSent && controller.abort(),
    });
    if (!whenSent) controller.abort();
    await checkStatus(call, Status.CANCELLED);
  }
}

/** Once by the signal that was given with the call, and once by the stream that the call gave. */
async function cancelAfterFirstResponse({ client }: Target): Promise<void> {
  for (const bySignal of [true, false]) {
    const controller = new AbortController();
    const requests = new PushStream<MessageInit<StreamingOutputCallRequest>>();
    const responses = client.fullDuplexCall(requests, { signal: controller.signal });
    await requests.push(exchange(requestSizes[0], responseSizes[0]));
    await checkNext(responses, responseSizes[0], "the response");
    if (bySignal) controller.abort();
    else responses.cancel();
    await checkStatus(responses.next(), Status.CANCELLED);
  }
}

/** The server sleeps: it was asked for no response, and waits for the next request. */
async function timeoutOnSleepingServer({ client }: Target): Promise<void> {
  const requests = new PushStream<MessageInit<StreamingOutputCallRequest>>();
  void requests.push({ payload: { body: zeros(requestSizes[0]) } });
  await checkStatus(client.fullDuplexCall(requests, { timeoutMs: 1 }).next(), Status.DEADLINE_EXCEEDED);
}
