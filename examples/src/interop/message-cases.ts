import { PushStream, full } from "zerobind";
import type { Metadata, MessageInit } from "zerobind";
import type { StreamingOutputCallRequest } from "../gen/grpc/testing/messages.pb.ts";
import type { Case, Target } from "./case.ts";
import {
  check,
  checkEnd,
  checkLargeResponse,
  checkNext,
  exchange,
  largeRequest,
  largeResponseSize,
  largeUnary,
  requestSizes,
  responseSizes,
} from "./expect.ts";
import { echoInitialKey, echoTrailingKey } from "./handler.ts";
import { zeros } from "./zeros.ts";

const limitMs = 10_000;

const echoed = "test_initial_metadata_value";

/** What arrives, in each of the four kinds of call. */
export const messageCases: readonly Case[] = [
  { name: "empty_unary", run: emptyUnary, limitMs },
  { name: "large_unary", run: ({ client }) => largeUnary(client), limitMs },
  { name: "client_streaming", run: clientStreaming, limitMs },
  { name: "server_streaming", run: serverStreaming, limitMs },
  { name: "ping_pong", run: pingPong, limitMs },
  { name: "empty_stream", run: emptyStream, limitMs },
  { name: "half_duplex", run: halfDuplex, limitMs },
  { name: "interval", run: interval, limitMs },
  { name: "custom_metadata", run: customMetadata, limitMs },
];

async function emptyUnary({ client }: Target): Promise<void> {
  const response: unknown = await client.emptyCall({});
  check(typeof response === "object" && response !== null, `the response is ${String(response)}`);
}

async function clientStreaming({ client }: Target): Promise<void> {
  const { aggregatedPayloadSize } = await client.streamingInputCall(
    requestSizes.map((size) => ({ payload: { body: zeros(size) } })),
  );
  check(aggregatedPayloadSize === 74_922, `the server counted ${aggregatedPayloadSize} bytes, not 74922`);
}

async function serverStreaming({ client }: Target): Promise<void> {
  const responses = client.streamingOutputCall({ responseParameters: responseSizes.map((size) => ({ size })) });
  for (const [index, size] of responseSizes.entries()) await checkNext(responses, size, `response ${index + 1}`);
  await checkEnd(responses, responseSizes.length);
}

/** Each request is sent when the response to the one before has come. */
async function pingPong({ client }: Target): Promise<void> {
  const requests = new PushStream<MessageInit<StreamingOutputCallRequest>>();
  await using responses = client.fullDuplexCall(requests);
  for (const [index, size] of responseSizes.entries()) {
    await requests.push(exchange(requestSizes[index]!, size));
    await checkNext(responses, size, `response ${index + 1}`);
  }
  requests.end();
  await checkEnd(responses, responseSizes.length);
}

async function emptyStream({ client }: Target): Promise<void> {
  await checkEnd(client.fullDuplexCall([]), 0);
}

/**
 * Nothing may come before the last request was sent. A server that answered at once would have done so by then: another
 * call goes there and back after each request.
 */
async function halfDuplex({ client }: Target): Promise<void> {
  const requests = new PushStream<MessageInit<StreamingOutputCallRequest>>();
  await using responses = client.halfDuplexCall(requests);
  let received = false;
  const first = checkNext(responses, responseSizes[0], "response 1").finally(() => (received = true));
  first.catch(() => undefined);
  for (const [index, size] of responseSizes.entries()) {
    await requests.push(exchange(requestSizes[index]!, size));
    await client.emptyCall({});
    check(!received, "a response came before the client had sent its last request");
  }
  requests.end();
  await first;
  for (const [index, size] of responseSizes.entries())
    if (index > 0) await checkNext(responses, size, `response ${index + 1}`);
  await checkEnd(responses, responseSizes.length);
}

/** Only too early is wrong: how late a response may come is not said. */
async function interval({ client }: Target): Promise<void> {
  const intervalsUs = [0, 40_000, 500, 60_000];
  const request = { responseParameters: intervalsUs.map((intervalUs, index) => ({ size: index, intervalUs })) };
  for (const call of [() => client.streamingOutputCall(request), () => client.fullDuplexCall([request])]) {
    const startMs = performance.now();
    let earliestMs = 0;
    const responses = call();
    for (const [index, intervalUs] of intervalsUs.entries()) {
      await checkNext(responses, index, `response ${index + 1}`);
      earliestMs += intervalUs / 1_000;
      const tookMs = performance.now() - startMs;
      check(
        tookMs >= earliestMs,
        `response ${index + 1} came after ${tookMs.toFixed(1)} ms, not after ${earliestMs} ms or later`,
      );
    }
    await checkEnd(responses, intervalsUs.length);
  }
}

async function customMetadata({ client }: Target): Promise<void> {
  const metadata = {
    [echoInitialKey]: echoed,
    [echoTrailingKey]: Uint8Array.of(0xab, 0xab, 0xab),
  };
  const unary = await full((options) => client.unaryCall(largeRequest(), options), { metadata });
  checkLargeResponse(unary.message);
  checkEchoes(unary.header, unary.trailer, "the unary call");

  let header: Metadata | undefined;
  let trailer: Metadata | undefined;
  const responses = client.fullDuplexCall([exchange(271_828, largeResponseSize)], {
    metadata,
    onHeader: (block) => (header = block),
    onTrailer: (block) => (trailer = block),
  });
  await checkNext(responses, largeResponseSize, "the response of the duplex call");
  await checkEnd(responses, 1);
  checkEchoes(header, trailer, "the duplex call");
}

function checkEchoes(header: Metadata | undefined, trailer: Metadata | undefined, what: string): void {
  const initial = JSON.stringify(header?.getAll(echoInitialKey) ?? []);
  check(initial === `["${echoed}"]`, `the header of ${what} has ${echoInitialKey} = ${initial}`);
  const values = trailer?.getAll(echoTrailingKey) ?? [];
  const hex = values.map((value) => (typeof value === "string" ? value : Buffer.from(value).toString("hex"))).join();
  check(hex === "ababab", `the trailer of ${what} has ${echoTrailingKey} = "${hex}", in hexadecimal`);
}
