import { expect, test } from "@jest/globals";
import { Metadata, Status, full } from "@zerobind/core";
import { FailReason } from "../gen/test/v1/behavior.pb.ts";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import { failureOf } from "./failure.ts";
import { openPair } from "./pair.ts";
import type { TransportUnderTest } from "./pair.ts";

/** Calls with one reply. */
export function unaryTests(under: TransportUnderTest): void {
  test("a unary call is answered", async () => {
    await using pair = await openPair(under);
    expect(await pair.client.echo({ text: "hello" })).toEqual({ text: "hello", data: new Uint8Array() });
  });

  test("a thousand calls at once are each answered with their own reply", async () => {
    await using pair = await openPair(under);
    const numbers = Array.from({ length: 1000 }, (_, index) => index);
    const replies = await Promise.all(numbers.map((sequence) => pair.client.ping({ sequence })));
    expect(replies.map(({ sequence }) => sequence)).toEqual(numbers);
  });

  test("more calls than the server's credit wait for their turn", async () => {
    await using pair = await openPair(under, { host: { limits: { maxConcurrentCalls: 10 } } });
    const replies = await Promise.all(Array.from({ length: 200 }, () => pair.client.echo({ text: "x", delayMs: 1 })));
    expect(replies).toHaveLength(200);
  });

  test.each([0, 1, 4095, 4096, 4097, 65_536, 1_048_576, 1_048_577, 3_500_000])(
    "a body of %d bytes comes back as it was",
    async (size) => {
      await using pair = await openPair(under);
      const data = Uint8Array.from({ length: size }, (_, index) => index * 31);
      const reply = await pair.client.echo({ data });
      expect(Buffer.compare(reply.data, data)).toBe(0);
    },
  );

  test("large bodies of several calls at once do not mix", async () => {
    await using pair = await openPair(under);
    const calls = Array.from({ length: 12 }, (_, index) =>
      pair.client.echo({ text: String(index), data: new Uint8Array(3_000_000).fill(index) }),
    );
    for (const [index, reply] of (await Promise.all(calls)).entries()) {
      expect(reply.text).toBe(String(index));
      expect(reply.data.every((byte) => byte === index)).toBe(true);
    }
  });

  test("a message over the receiver's limit fails the call at its sender, and the channel lives", async () => {
    await using pair = await openPair(under, { host: { limits: { maxMessageBytes: 1000 } } });
    const error = await failureOf(pair.client.echo({ data: new Uint8Array(2000) }));
    expect(error.code).toBe(Status.RESOURCE_EXHAUSTED);
    expect(error.message).toMatch(
      /(test\.v1\.EchoRequest|Echo: the request) has 20\d\d bytes encoded, more than the 1000 .* maxMessageBytes/,
    );
    expect((await pair.client.echo({ text: "still there" })).text).toBe("still there");
  });

  test("a reply over the caller's limit fails the call with RESOURCE_EXHAUSTED", async () => {
    await using pair = await openPair(under, { channel: { limits: { maxMessageBytes: 1000 } } });
    const error = await failureOf(pair.client.echo({ data: new Uint8Array(1500) }));
    expect(error.code).toBe(Status.RESOURCE_EXHAUSTED);
    expect((await pair.client.echo({ text: "still there" })).text).toBe("still there");
  });

  test("a handler's RpcError reaches the caller with code, message and details", async () => {
    await using pair = await openPair(under);
    const error = await failureOf(
      pair.client.fail({ code: Status.NOT_FOUND, message: "no such thing ☺", reason: "gone" }),
    );
    expect(error).toMatchObject({ code: Status.NOT_FOUND, codeName: "NOT_FOUND", message: "no such thing ☺" });
    expect(error.detail(FailReason)).toEqual({ reason: "gone" });
  });

  test("any other error of a handler is opaque to the caller and told to the host with the same id", async () => {
    await using pair = await openPair(under);
    const error = await failureOf(pair.client.fail({ message: "secret" }));
    expect(error.code).toBe(Status.UNKNOWN);
    expect(error.message).not.toContain("secret");
    const [report] = pair.failures;
    expect(report?.failure.path).toBe("test.v1.Behavior/Fail");
    expect(error.message).toContain(report?.failure.id);
    expect((report?.error as Error).message).toBe("secret");
  });

  test("metadata, header and trailer travel with the call", async () => {
    await using pair = await openPair(under);
    const bytes = Uint8Array.of(0xab, 0xab, 0xab);
    const metadata = new Metadata([
      ["echo-header", "grüße ☺ 😈"],
      ["echo-trailer-bin", bytes],
    ]);
    const { header, trailer, peer } = await full((options) => pair.client.echo({ text: "x" }, options), { metadata });
    expect(header.get("echo-header")).toBe("grüße ☺ 😈");
    expect(Buffer.compare(trailer.get("echo-trailer-bin") as Uint8Array, bytes)).toBe(0);
    expect(peer.address).not.toBe("");
  });

  test("a one-way call resolves without an answer, and its errors go to the host alone", async () => {
    await using pair = await openPair(under);
    const noticed = pair.service.next("notice");
    await expect(pair.client.notify({ text: "hear, hear" })).resolves.toBeUndefined();
    expect(await noticed).toBe("hear, hear");
    await pair.client.notify({ failWith: "one-way trouble" });
    await pair.client.ping({});
    expect(pair.failures).toMatchObject([{ failure: { path: "test.v1.Behavior/Notify", id: undefined } }]);
  });

  // A device waits for somebody who serves it.
  if (under.device) return;
  test("a method that is not served is UNIMPLEMENTED, each time it is called", async () => {
    await using pair = await openPair(under);
    const other = pair.channel.client({ ...Behavior, typeName: "test.v1.Nowhere" });
    for (let round = 0; round < 3; round++) {
      expect(await failureOf(other.ping({}))).toMatchObject({
        code: Status.UNIMPLEMENTED,
        message: expect.stringContaining("test.v1.Nowhere/Ping"),
      });
    }
  });
}
