// The program that measures codecs alone: `codec.js ROUNDS SLICE_MS` writes what it found as one line of JSON.
import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import protobufjs from "protobufjs";
import { Tile } from "../gen/benchmarks/v1/data_sets.pb.ts";
import { Payload } from "../gen/benchmarks/v1/echo.pb.ts";
import { FileDescriptorSet } from "../gen/google/protobuf/descriptor.pb.ts";
import { TileSchema } from "../subjects/gen/es/benchmarks/v1/data_sets_pb.ts";
import { PayloadSchema } from "../subjects/gen/es/benchmarks/v1/echo_pb.ts";
import { dataSets } from "./data-sets.ts";

/** One way to turn messages of one type into bytes and back. */
interface Codec {
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly encode: (message: never) => Uint8Array;
}

/** The sample of a round. */
export interface CodecSample {
  readonly dataSet: string;
  readonly codec: string;
  readonly metric: "encode" | "decode";
  readonly bytesPerSecond: number;
}

const generated = { "benchmarks.v1.Payload": Payload, "benchmarks.v1.Tile": Tile } as const;
const schemas: Readonly<Record<string, DescMessage>> = {
  "benchmarks.v1.Payload": PayloadSchema,
  "benchmarks.v1.Tile": TileSchema,
  "google.protobuf.FileDescriptorSet": FileDescriptorSetSchema,
};

function zerobindCodec(typeName: string): Codec {
  const type = { ...generated, "google.protobuf.FileDescriptorSet": FileDescriptorSet }[typeName]!;
  return { decode: (bytes) => type.decode(bytes), encode: (message) => type.encode(message).finish() };
}

function protobufEsCodec(typeName: string): Codec {
  const schema = schemas[typeName]!;
  return { decode: (bytes) => fromBinary(schema, bytes), encode: (message) => toBinary(schema, message) };
}

function protobufjsCodecs(): (typeName: string) => Codec {
  const protos = join(import.meta.dirname, "../../../protos");
  const google = dirname(createRequire(import.meta.url).resolve("protobufjs/package.json"));
  const root = new protobufjs.Root();
  root.resolvePath = (_, name) => join(name.startsWith("google/") ? google : protos, name);
  root.loadSync(["benchmarks/v1/echo.proto", "benchmarks/v1/data_sets.proto"]);
  return (typeName) => {
    const type = root.lookupType(typeName);
    return { decode: (bytes) => type.decode(bytes), encode: (message) => type.encode(message).finish() };
  };
}

/** How many bytes a second the work gets through. */
function speed(work: () => unknown, bytes: number, sliceMs: number): number {
  const begun = performance.now();
  let count = 0;
  while (performance.now() - begun < sliceMs) {
    // The clock costs as much as a small message.
    for (let repeat = 0; repeat < 50; repeat++) work();
    count += 50;
  }
  return (count * bytes * 1000) / (performance.now() - begun);
}

const [rounds = NaN, sliceMs = NaN] = process.argv.slice(2).map(Number);
const makers = {
  "ts-proto on zerobind/wire": zerobindCodec,
  protobufjs: protobufjsCodecs(),
  "protobuf-es": protobufEsCodec,
};
const samples: CodecSample[] = [];
for (const [typeName, { title, bytes }] of Object.entries(dataSets())) {
  const works = Object.entries(makers).flatMap(([codec, make]) => {
    const { decode, encode } = make(typeName);
    const message = decode(bytes) as never;
    // Not the same to the byte: ts-proto leaves out fields of proto2 that have their default value.
    const part = encode(message).length / bytes.length;
    if (part < 0.9 || part > 1) throw new Error(`${codec} wrote ${part} of the bytes of ${title}`);
    return [
      { codec, metric: "encode" as const, work: () => encode(message) },
      { codec, metric: "decode" as const, work: () => decode(bytes) },
    ];
  });
  for (const { work } of works) speed(work, bytes.length, sliceMs);
  for (let round = 0; round < rounds; round++)
    for (const { codec, metric, work } of works)
      samples.push({ dataSet: title, codec, metric, bytesPerSecond: speed(work, bytes.length, sliceMs) });
}
console.log(JSON.stringify(samples));
