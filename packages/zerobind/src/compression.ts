import * as zlib from "node:zlib";
import { checkOptions, isCount, kindOf } from "@zerobind/core";
import type { Check, Checks, CompressionElement } from "@zerobind/core";

/** How messages are compressed. */
export interface CompressionOptions {
  /**
   * Messages of fewer bytes are sent as they are, unless `compress: true` is said of their call. Default 1,024: below
   * it, what is saved is less than what it costs on networks that are not slow. Infinity: only what is asked for.
   */
  readonly thresholdBytes?: number | undefined;
  /**
   * How hard to try. gzip: 1 to 9, default 1, which takes a third of the time of 6 for messages that become a tenth
   * larger. zstd: 1 to 19, default 3.
   */
  readonly level?: number | undefined;
}

const defaultThresholdBytes = 1024;
/** Output is allocated in pieces of at most so much: a message that lies about its size must not cost what it says. */
const pieceBytes = 1024 * 1024;
/** What decoders of zstd have to allow, 8 MiB, and more than levels up to 19 ask for: frames with larger windows are refused. */
const maxWindowLog = 23;

/**
 * Compresses messages with gzip, for peers that can undo it: a part of `binding(...)`, before the transport. The work is
 * done in the thread of the event loop, about 10 ms for a MiB. TypeError for options that cannot be.
 *
 * Do not compress what holds a secret beside text that others choose: the size gives the secret away. See
 * `compress: false` of calls, and `context.setCompression(false)`.
 */
export function gzip(options: CompressionOptions = {}): CompressionElement {
  checkOptions("gzip option", options, checksUpTo(9));
  const { thresholdBytes = defaultThresholdBytes, level = 1 } = options;
  return {
    kind: "compression",
    name: "gzip",
    thresholdBytes,
    compress: (body) => zlib.gzipSync(body, { level }),
    decompress: (compressed, bytes) =>
      inflated(compressed, bytes, (options) => zlib.gunzipSync(compressed, options) as unknown as Inflated),
  };
}

/**
 * Compresses messages with zstd: smaller than gzip at the same speed, where messages are not small. As `gzip` in all
 * else. Only where Node.js has it, from 22.15 and 23.8 on; Error elsewhere. A binding may have both, the preferred one
 * first: `binding(zstd(), gzip(), zeromq())`.
 */
export function zstd(options: CompressionOptions = {}): CompressionElement {
  checkOptions("zstd option", options, checksUpTo(19));
  const { zstdCompressSync, zstdDecompressSync, constants } = zlib as unknown as Partial<Zstd>;
  if (!zstdCompressSync || !zstdDecompressSync || !constants)
    throw new Error(`this Node.js, ${process.version}, has no zstd; it came with 22.15 and 23.8. Use gzip()`);
  const { thresholdBytes = defaultThresholdBytes, level = 3 } = options;
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const limits = { [constants.ZSTD_d_windowLogMax]: maxWindowLog };
  return {
    kind: "compression",
    name: "zstd",
    thresholdBytes,
    compress: (body) => zstdCompressSync(body, { params, pledgedSrcSize: body.byteLength }),
    decompress: (compressed, bytes) =>
      inflated(compressed, bytes, (options) => zstdDecompressSync(compressed, { ...options, params: limits })),
  };
}

function checksUpTo(maxLevel: number): Checks {
  const isLevel: Check = (name, value) => {
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= maxLevel) return;
    throw new TypeError(`${name} must be a whole number from 1 to ${maxLevel}, not ${kindOf(value)}`);
  };
  return { thresholdBytes: isCount, level: isLevel };
}

/** The parts of `node:zlib` that some versions have. */
interface Zstd {
  zstdCompressSync(body: Uint8Array, options: object): Uint8Array;
  zstdDecompressSync(body: Uint8Array, options: object): Inflated;
  readonly constants: { readonly ZSTD_c_compressionLevel: number; readonly ZSTD_d_windowLogMax: number };
}

/** What the functions of zlib give where `info` is asked for. */
interface Inflated {
  readonly buffer: Uint8Array;
  readonly engine: { readonly bytesWritten: number };
}

/** How much may come out at most, and in which pieces. */
interface Inflating {
  readonly maxOutputLength: number;
  readonly chunkSize: number;
  readonly info: true;
}

/** Undoes a compression; ends as soon as there is more than the message may have, and takes nothing that stands behind it. */
function inflated(compressed: Uint8Array, bytes: number, inflate: (options: Inflating) => Inflated): Uint8Array {
  const chunkSize = Math.min(Math.max(bytes + 1, 64), pieceBytes);
  let result: Inflated;
  try {
    result = inflate({ maxOutputLength: Math.max(bytes, 1), chunkSize, info: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") throw error;
    throw new Error(`it has more than the ${bytes} bytes that it says`, { cause: error });
  }
  const behind = compressed.byteLength - result.engine.bytesWritten;
  if (behind > 0) throw new Error(`${behind} bytes stand behind its end`);
  return result.buffer;
}
