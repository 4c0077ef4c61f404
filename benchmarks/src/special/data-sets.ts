import { create, toBinary } from "@bufbuild/protobuf";
import { file_google_protobuf_descriptor, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Tile } from "../gen/benchmarks/v1/data_sets.pb.ts";
import { Payload } from "../gen/benchmarks/v1/echo.pb.ts";
import { small } from "../subject.ts";

/** Encoded messages to measure codecs with, by the full names of their types. */
export function dataSets(): Readonly<Record<string, { title: string; bytes: Uint8Array }>> {
  const files = create(FileDescriptorSetSchema, { file: [file_google_protobuf_descriptor.proto] });
  return {
    "benchmarks.v1.Payload": { title: "small message", bytes: Payload.encode(small).finish() },
    "google.protobuf.FileDescriptorSet": {
      title: "descriptors of descriptor.proto",
      bytes: toBinary(FileDescriptorSetSchema, files),
    },
    "benchmarks.v1.Tile": { title: "vector tile", bytes: Tile.encode(Tile.fromPartial(vectorTile())).finish() },
  };
}

/** Streets of a made-up town: two layers, each of 400 lines with tags and 20 points. The same in each run. */
function vectorTile() {
  let seed = 1;
  const random = (below: number): number => {
    // The generator of Park and Miller.
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const zigzag = (value: number): number => ((value << 1) ^ (value >> 31)) >>> 0;
  const step = (): number[] => [zigzag(random(128) - 64), zigzag(random(128) - 64)];
  const line = (): number[] => [9, zigzag(random(4096)), zigzag(random(4096)), (19 << 3) | 2, ...many(19, step).flat()];
  const layer = (name: string) => ({
    name,
    ...{ version: 2, extent: 4096, keys: ["class", "name", "lanes", "length"] },
    values: many(200, (number) =>
      number % 2 === 0 ? { stringValue: `${name} ${number}` } : { doubleValue: random(1_000_000) / 64 },
    ),
    features: many(400, (number) => ({
      id: BigInt(number),
      tags: [0, random(200), 1, random(200), 3, random(200)],
      type: 2,
      geometry: line(),
    })),
  });
  return { layers: [layer("street"), layer("path")] };
}

function many<T>(count: number, make: (number: number) => T): T[] {
  return Array.from({ length: count }, (_, number) => make(number));
}
