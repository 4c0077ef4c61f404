import { RpcError } from "@zerobind/core";
import type { CallOptions } from "@zerobind/core";
import { ProtoTypes } from "../dynamic/proto-types.ts";
import type { JsonObject } from "../dynamic/types.ts";
import { Channel } from "../ends.ts";
import { requestOf } from "./call-input.ts";
import { findMethod } from "./call-method.ts";
import type { FoundMethod } from "./call-method.ts";
import { describeError, describeMetadata } from "./call-report.ts";
import { metadataOf, timeoutOf } from "./call-settings.ts";
import type { CallFlags } from "./call-settings.ts";
import { securityOf, usable } from "./security-flags.ts";
import { Output, printable } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import { ExitStatus, UsageError } from "./usage-error.ts";

/** What `zerobind call` was given. */
export interface CallCommand {
  readonly address: string;
  readonly path: string;
  readonly json: string | undefined;
  readonly flags: CallFlags;
}

/** Carries out one call and gives the exit status. Throws UsageError, and ProtoError. */
export async function runCall(command: CallCommand, terminal: Terminal): Promise<number> {
  const output = new Output(terminal.stdout);
  const interrupted = new AbortController();
  const ended = AbortSignal.any([interrupted.signal, output.gone]);
  const quiet = terminal.onInterrupt(() => interrupted.abort());
  try {
    const status = await callOnce(command, { terminal, output, ended });
    return interrupted.signal.aborted ? ExitStatus.INTERRUPTED : status;
  } finally {
    quiet();
    // What is left of the input is not wanted, and would keep the process alive.
    terminal.stdin.destroy();
  }
}

/** What a call needs of the process it runs in. */
interface Surroundings {
  readonly terminal: Terminal;
  readonly output: Output;
  /** Aborted when nobody wants the answer any more. */
  readonly ended: AbortSignal;
}

async function callOnce({ address, path, json, flags }: CallCommand, around: Surroundings): Promise<number> {
  const { stdin, stderr } = around.terminal;
  const options = callOptions(flags, around);
  const types = await ProtoTypes.load(flags.proto, { protoPaths: flags.protoPath, emitDefaults: flags.emitDefaults });
  const found = findMethod(types, path);
  const channel = openChannel(address, flags);
  const input = new Input();
  try {
    const request = await unlessEnded(requestOf(found, { json, stdin }), around.ended);
    if (request === undefined) return ExitStatus.OK;
    await exchange(channel, found, { request: input.watch(request), options, lines: around.output });
    await channel.close();
    return ExitStatus.OK;
  } catch (error) {
    if (around.ended.aborted) return ExitStatus.OK;
    if (input.error) throw input.error;
    if (!(error instanceof RpcError)) throw error;
    stderr.write(`${describeError(error, types)}\n`);
    return error.code;
  } finally {
    channel.abort();
    await channel.closed;
  }
}

function callOptions(flags: CallFlags, { terminal: { stderr }, ended }: Surroundings): CallOptions {
  const timeoutMs = timeoutOf(flags);
  return {
    signal: ended,
    metadata: metadataOf(flags.metadata ?? []),
    waitForReady: flags.wait ?? false,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(flags.showMetadata && {
      onHeader: (block) => void stderr.write(`${describeMetadata("header", block)}\n`),
      onTrailer: (block) => void stderr.write(`${describeMetadata("trailer", block)}\n`),
    }),
  };
}

function openChannel(address: string, flags: CallFlags): Channel {
  const zeromq = securityOf(flags);
  return usable(() => new Channel(address, { zeromq }));
}

/** Makes the call and prints what comes back, as it comes. */
async function exchange(
  channel: Channel,
  { contract, method, output }: FoundMethod,
  given: { request: JsonObject | AsyncIterable<JsonObject>; options: CallOptions; lines: Output },
): Promise<void> {
  const print = (message: JsonObject): Promise<void> =>
    given.lines.line(printable(JSON.stringify(output.unbox(message))));
  const stub = channel.client(contract)[method.localName]!;
  const reply = stub(given.request, given.options);
  if (method.kind === "server_stream" || method.kind === "bidi_stream") {
    for await (const message of reply) await print(message);
    return;
  }
  // Of a one-way call nothing comes back.
  const message: JsonObject | undefined = await reply;
  if (message !== undefined) await print(message);
}

/** Remembers what was wrong with the messages of a stream, which else shows only as the failure of their call. */
class Input {
  error: UsageError | undefined;

  watch(request: JsonObject | AsyncIterable<JsonObject>): JsonObject | AsyncIterable<JsonObject> {
    return Symbol.asyncIterator in request ? this.#watched(request) : request;
  }

  async *#watched(messages: AsyncIterable<JsonObject>): AsyncGenerator<JsonObject> {
    try {
      yield* messages;
    } catch (error) {
      if (error instanceof UsageError) this.error = error;
      throw error;
    }
  }
}

/** The result, or undefined as soon as nobody wants it any more. */
function unlessEnded<T>(work: Promise<T>, ended: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    ended.addEventListener("abort", () => resolve(undefined), { once: true });
    if (ended.aborted) resolve(undefined);
    work.then(resolve, reject);
  });
}
