import { expect, test } from "@jest/globals";
import { RpcError, ServiceHost, Status } from "zerobind";
import type { InterceptedCall, Interceptor } from "zerobind";
import type {
  SimpleResponse,
  StreamingInputCallResponse,
  StreamingOutputCallRequest,
  StreamingOutputCallResponse,
} from "../src/gen/grpc/testing/messages.pb.ts";
import { TestService, UnimplementedService } from "../src/gen/grpc/testing/test.rpc.ts";
import { echoInitialKey, interopHandler } from "../src/interop/handler.ts";
import { interopHost } from "../src/interop/host.ts";
import { allCases, runCases } from "../src/interop/run-cases.ts";
import type { Result } from "../src/interop/run-cases.ts";
import { problems, summary, table } from "../src/interop/table.ts";

type Replies = AsyncIterable<StreamingOutputCallResponse>;
type Requests = AsyncIterable<StreamingOutputCallRequest>;

/** Runs one case against a server that an interceptor spoils, or by a client that one spoils. */
async function problemOf(
  name: string,
  wrong: { host?: ServiceHost; client?: Interceptor },
): Promise<string | undefined> {
  await using host = wrong.host ?? interopHost();
  await host.open("memory://*");
  const cases = allCases.filter((each) => each.name === name);
  const options = wrong.client ? { interceptors: [wrong.client] } : {};
  for await (const { problem } of runCases(host.address, cases, { iterations: 3, concurrent: 3 }, options))
    return problem;
  throw new Error(`there is no case ${name}`);
}

/** Changes what a method of the server does. */
function spoil(method: string, interceptor: Interceptor): ServiceHost {
  const only: Interceptor = (call, next) => (call.method.name === method ? interceptor(call, next) : next(call));
  return interopHost({ interceptors: [only] });
}

const fails =
  (error: RpcError): Interceptor =>
  () =>
    Promise.reject(error);

const wrongByte: Interceptor = async (call, next) => {
  const { payload } = (await next(call)) as SimpleResponse;
  const body = Uint8Array.from(payload?.body ?? []);
  body[body.length - 1] = 1;
  return { payload: { body } };
};

/** Every third call of a server gets nothing. */
function sometimesEmpty(): Interceptor {
  let calls = 0;
  return (call, next) => (++calls % 3 === 0 ? {} : next(call));
}

const shortened: Interceptor = async function* (call, next) {
  for await (const { payload } of next(call) as Replies) yield { payload: { body: payload?.body.subarray(1) } };
};

const oneMore: Interceptor = async function* (call, next) {
  yield* next(call) as Replies;
  yield {};
};

const oneLess: Interceptor = async function* (call, next) {
  let last: StreamingOutputCallResponse | undefined;
  for await (const reply of next(call) as Replies) {
    if (last) yield last;
    last = reply;
  }
};

const hasty: Interceptor = (call, next) => next({ ...call, request: withoutIntervals(call.request) });

function withoutIntervals(request: unknown): unknown {
  const { responseParameters } = request as StreamingOutputCallRequest;
  return {
    ...(request as object),
    responseParameters: responseParameters.map(({ size }) => ({ size, intervalUs: 0 })),
  };
}

/** Answers each request when it comes, as a full duplex call does. */
const early: Interceptor = async function* ({ request }) {
  for await (const { responseParameters } of request as Requests)
    for (const { size } of responseParameters) yield { payload: { body: new Uint8Array(size) } };
};

const hastyDuplex: Interceptor = (call, next) => {
  async function* requests(): AsyncGenerator {
    for await (const request of call.request as Requests) yield withoutIntervals(request);
  }
  return next({ ...call, request: requests() });
};

function spoilEcho({ context }: InterceptedCall, block: "header" | "trailer"): void {
  if (block === "header") context?.setHeader({ [echoInitialKey]: "other" });
  else context?.setTrailer({});
}

const otherEcho = (block: "header" | "trailer"): Interceptor => {
  return (call, next) => {
    const reply = next(call);
    spoilEcho(call, block);
    return reply;
  };
};

const otherDuplexEcho = (block: "header" | "trailer"): Interceptor => {
  return async function* (call, next) {
    for await (const reply of next(call) as Replies) {
      spoilEcho(call, block);
      yield reply;
    }
  };
};

const otherStatus = (change: (error: RpcError) => RpcError): Interceptor => {
  return async (call, next) => {
    try {
      return await next(call);
    } catch (error) {
      throw change(RpcError.from(error));
    }
  };
};

// eslint-disable-next-line require-yield -- it fails before the first response
const otherDuplexStatus: Interceptor = async function* () {
  throw new RpcError(Status.UNKNOWN, "other");
};

const endsWell: Interceptor = async function* () {
  // No response at all, and no error.
};

/** A stream that ends well, whatever happens; the call begins at once. */
const calm: Interceptor = (call, next) => {
  const replies = next(call) as Replies;
  return (async function* () {
    try {
      yield* replies;
    } catch {
      // Nobody is told.
    }
  })();
};

function servingAll(): ServiceHost {
  return new ServiceHost().serve(TestService, Object.assign(interopHandler(), { unimplementedCall: () => ({}) }));
}

test.each<[name: string, problem: RegExp, host: () => ServiceHost]>([
  ["empty_unary", /^UNAVAILABLE: no$/, () => spoil("EmptyCall", fails(new RpcError(Status.UNAVAILABLE, "no")))],
  ["large_unary", /bytes other than zero/, () => spoil("UnaryCall", wrongByte)],
  ["large_unary", /has no payload/, () => spoil("UnaryCall", () => ({}))],
  [
    "client_streaming",
    /74923 bytes, not 74922/,
    () =>
      spoil("StreamingInputCall", async (call, next) => {
        const { aggregatedPayloadSize } = (await next(call)) as StreamingInputCallResponse;
        return { aggregatedPayloadSize: aggregatedPayloadSize + 1 };
      }),
  ],
  ["server_streaming", /response 1 has 31414 bytes, not 31415/, () => spoil("StreamingOutputCall", shortened)],
  ["server_streaming", /after the 4 that were asked for/, () => spoil("StreamingOutputCall", oneMore)],
  ["server_streaming", /ended where response 4 should be/, () => spoil("StreamingOutputCall", oneLess)],
  ["ping_pong", /response 1 has 31414 bytes/, () => spoil("FullDuplexCall", shortened)],
  ["ping_pong", /after the 4 that were asked for/, () => spoil("FullDuplexCall", oneMore)],
  ["empty_stream", /after the 0 that were asked for/, () => spoil("FullDuplexCall", oneMore)],
  ["half_duplex", /before the client had sent its last request/, () => spoil("HalfDuplexCall", early)],
  ["half_duplex", /ended where response 4 should be/, () => spoil("HalfDuplexCall", oneLess)],
  ["interval", /response 2 came after .* not after 40 ms or later/, () => spoil("StreamingOutputCall", hasty)],
  ["interval", /response 2 came after .* not after 40 ms or later/, () => spoil("FullDuplexCall", hastyDuplex)],
  ["custom_metadata", /header of the unary call .*"other"/, () => spoil("UnaryCall", otherEcho("header"))],
  ["custom_metadata", /trailer of the unary call .* = ""/, () => spoil("UnaryCall", otherEcho("trailer"))],
  ["custom_metadata", /header of the duplex call .*"other"/, () => spoil("FullDuplexCall", otherDuplexEcho("header"))],
  ["custom_metadata", /trailer of the duplex call .* = ""/, () => spoil("FullDuplexCall", otherDuplexEcho("trailer"))],
  [
    "status_code_and_message",
    /the status is 10 .* not 2 \(UNKNOWN\)/,
    () =>
      spoil(
        "UnaryCall",
        otherStatus(() => new RpcError(Status.ABORTED, "test status message")),
      ),
  ],
  [
    "status_code_and_message",
    /the status message is "other", not "test status message"/,
    () => spoil("FullDuplexCall", otherDuplexStatus),
  ],
  ["status_code_and_message", /the call succeeded/, () => spoil("FullDuplexCall", endsWell)],
  [
    "special_status_message",
    /the status message is "test with whitespace.*, not "\\t\\ntest/,
    () =>
      spoil(
        "UnaryCall",
        otherStatus(({ message }) => new RpcError(Status.UNKNOWN, message.trim())),
      ),
  ],
  ["unimplemented_method", /the call succeeded, and should have ended with 12/, () => servingAll()],
  [
    "unimplemented_service",
    /the call succeeded, and should have ended with 12/,
    () => interopHost().serve(UnimplementedService, { unimplementedCall: () => ({}) }),
  ],
  ["concurrent_large_unary", /1 of 3 calls failed, .* no payload/, () => spoil("UnaryCall", sometimesEmpty())],
  ["rpc_soak", /1 of 3 calls failed, .* no payload/, () => spoil("UnaryCall", sometimesEmpty())],
  ["channel_soak", /1 of 3 calls failed, .* no payload/, () => spoil("UnaryCall", sometimesEmpty())],
])("%s fails against a server that is wrong: %s", async (name, problem, host) => {
  expect(await problemOf(name, { host: host() })).toMatch(problem);
});

test.each<[name: string, problem: RegExp, client: Interceptor]>([
  [
    "cancel_after_begin",
    /succeeded, and should have ended with 1 /,
    () => Promise.resolve({ aggregatedPayloadSize: 0 }),
  ],
  ["cancel_after_first_response", /succeeded, and should have ended with 1 /, calm],
  ["timeout_on_sleeping_server", /succeeded, and should have ended with 4 /, endsWell],
])("%s fails when the call does not end so: %s", async (name, problem, client) => {
  expect(await problemOf(name, { client })).toMatch(problem);
});

test("a case that hangs fails when its time is up, and the next one is run", async () => {
  await using host = interopHost();
  await host.open("memory://*");
  const hanging = { name: "hanging", limitMs: 50, run: () => new Promise<never>(() => undefined) };
  const passing = { name: "passing", limitMs: 5_000, run: () => Promise.resolve() };
  const results: Result[] = [];
  for await (const result of runCases(host.address, [hanging, passing], { iterations: 1, concurrent: 1 }))
    results.push(result);
  expect(results.map(({ name, problem }) => [name, problem])).toEqual([
    ["hanging", "it was not done after 0.05 s"],
    ["passing", undefined],
  ]);
});

test("the table has a row for what only one transport has, and all failures are told and counted", () => {
  const passed = { name: "ping_pong", tookMs: 3.14, problem: undefined };
  const columns = [
    { transport: "tcp", results: [passed] },
    {
      transport: "ws",
      results: [
        { ...passed, tookMs: 1234 },
        { name: "end", tookMs: 1, problem: "it broke" },
      ],
    },
  ];
  expect(table(columns)).toEqual([
    "case        tcp       ws ",
    "ping_pong  3.1 ✓  1,234 ✓",
    "end                 1.0 ✗",
  ]);
  expect(problems(columns)).toEqual(["✗ ws end: it broke"]);
  expect(summary(columns)).toBe("interop: 2 passed, 1 failed");
});
