// Serves, in one process with a peer that keeps to no rule, and tells by how much memory grows while 1,000 bombs come.
import * as zlib from "node:zlib";
import { ServiceHost, binding, gzip, memory, zstd } from "zerobind";

const [name, kind] = process.argv.slice(2);
const count = 1000;
const MiB = 1024 * 1024;
/** Requests are looked at and not taken apart; replies are empty. */
const type = {
  $type: "test.Bytes",
  encode: (_, writer) => writer,
  decode(reader, length) {
    const end = reader.pos + length;
    const bytes = reader.buf.subarray(reader.pos, end);
    reader.pos = end;
    return { bytes };
  },
  fromPartial: (value) => value,
};
const methods = [{ name: "Take", localName: "take", kind: "unary", input: type, output: type }];
const host = new ServiceHost({ binding: binding(name === "zstd" ? zstd() : gzip(), memory()) });
let entered = 0;
let held = 0;
let mostHeld = 0;
const handler = {
  async take({ bytes }) {
    entered += 1;
    if (kind !== "held") return {};
    held += bytes.byteLength;
    mostHeld = Math.max(mostHeld, held);
    await new Promise((resolve) => setTimeout(resolve, 200));
    held -= bytes.byteLength;
    return {};
  },
};
host.serve({ typeName: "test.Bombs", methods }, handler);
await host.open("memory://*");

const compress = name === "zstd" ? zlib.zstdCompressSync : zlib.gzipSync;
/** What it says to have, and what it has. */
const [said, has] = {
  honest: [64 * MiB, 64 * MiB],
  lying: [4 * MiB, 64 * MiB],
  allowed: [4 * MiB, 4 * MiB],
  held: [4 * MiB, 4 * MiB],
}[kind];
const packed = compress(Buffer.alloc(has));
const body = Buffer.concat([Buffer.alloc(5), packed]);
body.writeUInt32LE(said, 1);

function batch(tag, type, flags, callId, meta, payload) {
  const head = Buffer.alloc(24);
  head.set([0xc5, 1, 1, 0]);
  head.writeUInt32LE(tag, 4);
  head.writeUInt32LE(meta.length + payload.length, 8);
  head.set([type, flags], 12);
  head.writeUInt16LE(meta.length, 14);
  head.writeUInt32LE(callId, 16);
  return Buffer.concat([head, meta, payload]);
}

const none = Buffer.alloc(0);
const path = Buffer.from("\x12\x0ftest.Bombs/Take");
const codes = {};
let answered = 0;
let tell;
const all = new Promise((resolve) => (tell = resolve));
let tag = 0;
let greeted;
const welcome = new Promise((resolve) => (greeted = resolve));
let link;
const receiver = {
  receive([frame]) {
    const view = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    tag = view.readUInt32LE(4);
    for (let at = 8, left = view.readUInt16LE(2); left > 0; left--, at += 16 + view.readUInt32LE(at)) {
      if (view[at + 4] === 2) greeted();
      if (view[at + 4] !== 6) continue;
      const code = view.readUInt32LE(at + 12);
      codes[code] = (codes[code] ?? 0) + 1;
      if (++answered === count) tell();
    }
  },
  lost: (reason) => console.log("lost", reason),
};
const listener = { accept: (made) => ((link = made), receiver), trouble: () => undefined };
const attachment = await memory().attach(host.address, { mode: "connect", maxFrameBytes: 1 << 30 }, listener);
while (!link) await new Promise(setImmediate);
link.send([batch(0, 1, 0, 0, Buffer.from([8, 1, 16, 1]), none)]);
await welcome;
globalThis.gc?.();
const before = process.memoryUsage().rss;
let most = before;
const look = () => (most = Math.max(most, process.memoryUsage().rss));
const started = performance.now();
for (let index = 0; index < count; index++) link.send([batch(tag, 4, 0x89, 2 * index + 1, path, body)]);
const timer = setInterval(look, 5);
await all;
look();
clearInterval(timer);
console.log(
  JSON.stringify({
    codes,
    entered,
    mostHeldMiB: Math.round(mostHeld / MiB),
    sentMiB: Math.round((1000 * body.length) / MiB),
    grownMiB: Math.round((most - before) / MiB),
    ms: Math.round(performance.now() - started),
  }),
);
await attachment.close(0);
await host.close();
