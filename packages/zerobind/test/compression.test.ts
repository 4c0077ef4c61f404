import { randomBytes } from "node:crypto";
import * as zlib from "node:zlib";
import { describe, expect, test } from "@jest/globals";
import { Channel, PushStream, QueueDevice, ServiceHost, Status, binding, gzip, memory, zeromq, zstd } from "zerobind";
import type { CompressionElement, CompressionOptions, MessageInit } from "zerobind";
import { withHead } from "../../core/src/compression.ts";
import { Flag } from "../../core/src/records.ts";
import { EchoRequest } from "../../core/test/gen/test/v1/behavior.pb.ts";
import type { Line } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { Imaging } from "../../core/test/gen/test/v1/patterns.rpc.ts";
import { BehaviorService } from "../../core/test/support/behavior-handler.ts";
import { CountingTransport } from "../../core/test/support/counting-transport.ts";
import { call, path, statusOf, unary } from "../../core/test/support/hostile.ts";
import { collect, openPair } from "../../core/test/support/pair.ts";
import { Pipeline } from "../../core/test/support/pipeline-ends.ts";
import { RawPeer, batch } from "../../core/test/support/raw-peer.ts";
import { Wiretap } from "../../core/test/support/runs.ts";

type Compress = (body: Uint8Array) => Buffer;
const { zstdCompressSync } = zlib as { zstdCompressSync?: Compress };
const MiB = 1024 * 1024;
const lines = Array.from({ length: 120_000 }, (_, index) => `${index}: ${(index * 7919) % 104_729} is no prime\n`);
const text = lines.join("");

/** A node of a version without zstd shows its tests as skipped. */
const kinds: [
  string,
  (options?: CompressionOptions) => CompressionElement,
  Compress | undefined,
  typeof describe.skip,
][] = [
  ["gzip", gzip, (body) => zlib.gzipSync(body), describe],
  ["zstd", zstd, zstdCompressSync, zstdCompressSync ? describe : describe.skip],
];

for (const [name, make, compressWith, describeKind] of kinds) {
  const compress = (body: Uint8Array): Buffer => compressWith!(body);

  describeKind(`${name} over tcp`, () => {
    const address = (): string => "tcp://127.0.0.1:*";

    test("carries calls of all kinds, large and small, in a fraction of their size", async () => {
      const transport = new CountingTransport(zeromq());
      const stack = binding(make(), transport.binding.stack.transport);
      await using pair = await openPair({ binding: stack, address });
      const { client, service } = pair;
      const sent = await transport.during(async () => {
        expect((await client.echo({ text })).text).toBe(text);
      });
      expect(text.length).toBeGreaterThan(2 * 1088 * 1024);
      expect(sent.client.bytes).toBeLessThan(text.length * 0.4);
      expect(sent.server.bytes).toBeLessThan(text.length * 0.4);
      expect((await client.echo({ text: "short" })).text).toBe("short");
      const streamed = ["short", text.slice(0, 2 * MiB), "", text.slice(0, 5000)].map((each) => ({ text: each }));
      expect((await collect(client.relay(streamed))).map((line) => line.text)).toEqual(
        streamed.map((line) => line.text),
      );
      const noticed = service.next("notice");
      await client.notify({ text });
      expect(await noticed).toBe(text);
      // Noise does not get smaller; it is told from what was compressed.
      const data = new Uint8Array(randomBytes(2 * MiB));
      expect(Buffer.compare((await client.echo({ data })).data, data)).toBe(0);
    });

    test("carries a stream of many times its window", async () => {
      const stack = binding(make({ thresholdBytes: 100 }), zeromq());
      const limits = { streamWindowBytes: 64 * 1024, streamWindowMessages: 16 };
      await using pair = await openPair({ binding: stack, address }, { host: { limits }, channel: { limits } });
      const source = Array.from({ length: 500 }, (_, number) => ({
        number,
        text: text.slice(0, (number * 7919) % 30_000),
      }));
      const replies = await collect(pair.client.relay(source));
      expect(replies.map((line) => line.text.length)).toEqual(source.map((line) => line.text.length));
    });
  });

  describeKind(`${name} in a binding`, () => {
    test("compresses as its call and its handler say", async () => {
      const tap = new Wiretap();
      const stack = tap.binding(make());
      const service = new BehaviorService();
      const echo = service.echo.bind(service);
      service.echo = (request, context) => (context.setCompression(request.delayMs === 1), echo(request, context));
      await using host = new ServiceHost({ binding: stack }).serve(Behavior, service);
      await host.open("memory://*");
      await using channel = new Channel(host.address, { binding: stack });
      const client = channel.client(Behavior);
      const [long, short] = [text.slice(0, 1500), "a".repeat(500)];
      for (const [value, options, delayMs] of [
        [long, {}, 0],
        [long, { compress: false }, 0],
        [short, {}, 1],
        [short, { compress: true }, 1],
      ] as const)
        expect((await client.echo({ text: value, delayMs }, options)).text).toBe(value);
      expect(tap.flags).toEqual({ client: [true, false, false, true], server: [false, false, true, true] });
    });

    test("goes well with pipelines", async () => {
      const tap = new Wiretap();
      const stack = tap.binding(make());
      await using pipeline = new Pipeline();
      await pipeline.sink({ binding: stack } as never);
      await pipeline.worker(({ id, pixels }) => ({ id, pixels: BigInt(pixels.length), worker: "w".repeat(2000) }), {
        binding: stack,
      } as never);
      const ventilator = pipeline.ventilator({ binding: stack } as never);
      const jobs = [1, 2, 3].map((id) => ({ id, pixels: new Uint8Array(5000 * id) }));
      const report = await ventilator.ventilator(Imaging).resize(jobs).finished;
      expect(report).toMatchObject({ done: 3, failed: 0 });
      expect(pipeline.results.map(({ result }) => Number(result.pixels)).sort()).toEqual([10_000, 15_000, 5000]);
      expect([...tap.client, ...tap.server].filter(({ flags }) => (flags & Flag.COMPRESSED) !== 0)).toHaveLength(6);
    });

    test("is used where both ends have it, with the one that the sender has first", async () => {
      const other = { ...gzip(), name: "other" };
      for (const [server, client, compressed] of [
        [[make()], [], false],
        [[], [make()], false],
        [[make()], [other], false],
        [[other, make()], [make(), other], true],
      ] as [CompressionElement[], CompressionElement[], boolean][]) {
        const tap = new Wiretap();
        await using host = new ServiceHost({ binding: tap.binding(...server) }).serve(Behavior, new BehaviorService());
        await host.open("memory://*");
        await using channel = new Channel(host.address, { binding: tap.binding(...client) });
        const long = text.slice(0, 5000);
        expect((await channel.client(Behavior).echo({ text: long })).text).toBe(long);
        expect(tap.flags).toEqual({ client: [compressed], server: [compressed] });
      }
    });

    test("is not used through a queue device, and calls pass", async () => {
      const element = make();
      let compressed = 0;
      const spied = { ...element, compress: (body: Uint8Array) => (compressed++, element.compress(body)) };
      const stack = binding(spied, zeromq());
      const [frontend, backend] = ["tcp://127.0.0.1:*", "tcp://127.0.0.1:*"];
      await using device = new QueueDevice({ frontend, backend, binding: stack });
      await device.open();
      await using host = new ServiceHost({ binding: stack }).serve(Behavior, new BehaviorService());
      await host.open({ address: device.addresses.backend[0]!, attach: "connect" });
      await using channel = new Channel(device.addresses.frontend[0]!, { binding: stack });
      expect((await channel.client(Behavior).echo({ text }, { compress: true })).text).toBe(text);
      expect(compressed).toBe(0);
    });

    test.each([
      [{ thresholdBytes: -1 }, "thresholdBytes must be a whole number, 0 or more"],
      [{ thresholdBytes: "1k" }, "thresholdBytes must be a whole number"],
      [{ level: 0 }, "level must be a whole number from 1 to"],
      [{ level: 20 }, "level must be a whole number from 1 to"],
      [{ level: 1.5 }, "level must be a whole number from 1 to"],
      [{ threshold: 1 }, `there is no ${name} option "threshold"; is thresholdBytes meant?`],
      [null, `${name} options must be an object, not null`],
    ])("takes no options such as %j", (options, why) => {
      expect(() => make(options as never)).toThrow(new TypeError(why).constructor);
      expect(() => make(options as never)).toThrow(why);
    });
  });

  describeKind(`a host with ${name} that gets`, () => {
    const zeros = EchoRequest.encode(EchoRequest.fromPartial({ data: new Uint8Array(64 * MiB) })).finish();
    const small = EchoRequest.encode(EchoRequest.fromPartial({ text: text.slice(0, 3000) })).finish();
    const cases: [string, () => Uint8Array, number, RegExp][] = [
      [
        "a bomb that says what it is",
        () => withHead(0, zeros.length, compress(zeros)),
        Status.RESOURCE_EXHAUSTED,
        /at least 67108869 bytes, more than the 4194304 that are accepted/,
      ],
      [
        "a bomb that lies",
        () => withHead(0, 4 * MiB, compress(zeros)),
        Status.INTERNAL,
        /it has more than the 4194304 bytes that it says/,
      ],
      [
        "a bomb that says to be small",
        () => withHead(0, 60_000, compress(zeros)),
        Status.INTERNAL,
        /it has more than the 60000 bytes/,
      ],
      [
        "what is cut off",
        () => withHead(0, small.length, compress(small).subarray(0, -9)),
        Status.INTERNAL,
        /cannot be decoded/,
      ],
      [
        "nothing behind the head",
        () => withHead(0, small.length, new Uint8Array()),
        Status.INTERNAL,
        /cannot be decoded/,
      ],
      ["garbage", () => withHead(0, small.length, randomBytes(500)), Status.INTERNAL, /cannot be decoded/],
      [
        "something behind the end",
        () => withHead(0, small.length, Buffer.concat([compress(small), Buffer.from("and more")])),
        Status.INTERNAL,
        /cannot be decoded/,
      ],
      [
        "zeros behind the end",
        () => withHead(0, small.length, Buffer.concat([compress(small), Buffer.alloc(8)])),
        Status.INTERNAL,
        /8 bytes stand behind its end/,
      ],
      [
        "two in one",
        () => withHead(0, small.length, Buffer.concat([compress(small), compress(small)])),
        Status.INTERNAL,
        /cannot be decoded/,
      ],
      [
        "another compression",
        () => withHead(0, small.length, zlib.deflateRawSync(small)),
        Status.INTERNAL,
        /cannot be decoded/,
      ],
      [
        "a compression that was not agreed on",
        () => withHead(1, small.length, compress(small)),
        Status.UNIMPLEMENTED,
        new RegExp(`\\(number 1\\); the receiver can undo ${name}`),
      ],
    ];

    test.each(cases)("%s ends that call alone", async (_, body, code, why) => {
      const service = new BehaviorService();
      await using host = new ServiceHost({ binding: binding(make(), memory()) }).serve(Behavior, service);
      await host.open("memory://*");
      await using peer = await RawPeer.open("connect", host.address);
      const tag = await peer.greet();
      const flags = unary | Flag.COMPRESSED;
      peer.send(batch(tag, call(1, path("Echo"), { flags, body: body() }), call(3, path("Ping"))));
      expect(await statusOf(peer, 1)).toEqual({ code, message: expect.stringMatching(why) });
      expect((await statusOf(peer, 3)).code).toBe(Status.OK);
      peer.send(batch(tag, call(5, path("Echo"), { flags, body: withHead(0, small.length, compress(small)) })));
      expect((await statusOf(peer, 5)).code).toBe(Status.OK);
      expect(service.entered.get("echo")).toBe(1);
    });

    test("a stream with a bomb in it ends that call, after what came before", async () => {
      await using host = new ServiceHost({ binding: binding(make(), memory()) }).serve(Behavior, new BehaviorService());
      await host.open("memory://*");
      await using peer = await RawPeer.open("connect", host.address);
      const tag = await peer.greet();
      const data = { type: 5, callId: 1, flags: Flag.MESSAGE | Flag.COMPRESSED };
      const fine = withHead(0, small.length, compress(small));
      const bomb = withHead(0, 4 * MiB, compress(zeros));
      peer.send(batch(tag, call(1, path("Sum"), { flags: 0 }), { ...data, body: fine }, { ...data, body: bomb }));
      expect(await statusOf(peer, 1)).toMatchObject({ code: Status.INTERNAL });
    });
  });
}

test("a stream that nobody reads keeps what came, and takes no more than its window", async () => {
  const stack = binding(gzip(), zeromq());
  await using pair = await openPair({ binding: stack, address: () => "tcp://127.0.0.1:*" });
  const source = new PushStream<MessageInit<Line>>();
  const stream = pair.client.relay(source);
  for (let number = 0; number < 100; number++) void source.push({ number, text: "a".repeat(100_000) });
  source.end();
  await pair.client.ping({});
  await pair.client.ping({});
  // Two windows of 1 MiB hold about 11 messages each, however small they are on their way.
  expect(source.size).toBeGreaterThan(60);
  expect(await collect(stream)).toHaveLength(100);
});

(zstdCompressSync ? test.skip : test)("zstd says so where Node.js has none", () => {
  expect(() => zstd()).toThrow(
    `this Node.js, ${process.version}, has no zstd; it came with 22.15 and 23.8. Use gzip()`,
  );
});

(zstdCompressSync ? test : test.skip)("a frame of zstd that asks for a large window is refused", () => {
  const { constants } = zlib as unknown as { constants: Record<string, number> };
  const compress = zstdCompressSync as unknown as (body: Uint8Array, options: object) => Buffer;
  const zeros = Buffer.alloc(64 * MiB);
  const wide = compress(zeros, { params: { [constants["ZSTD_c_windowLog"]!]: 27 } });
  expect(() => zstd().decompress(wide, zeros.length)).toThrow("too much memory");
});
