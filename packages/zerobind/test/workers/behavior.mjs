// The handler of test.v1.Behavior that the tests of worker threads load. The text of Echo says what to do.
import { existsSync, writeFileSync } from "node:fs";
import { threadId } from "node:worker_threads";
import { RpcError, ServiceHost, errorDetail } from "zerobind";

/** A file by which threads, one after the other, and the test know of each other. */
const mark = new URL(import.meta.url).searchParams.get("mark");

let aborted = 0;
const notes = [];

const spin = (ms) => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};

const deeds = {
  thread: () => String(threadId),
  aborted: () => String(aborted),
  notes: () => notes.join(),
  deadline: (_, context) => String(Math.ceil(context.timeRemainingMs() / 1000)),
  nothing: () => undefined,
  spin({ delayMs }) {
    spin(delayMs);
    return String(threadId);
  },
  loop() {
    for (;;);
  },
  exit: () => process.exit(3),
  throw() {
    setTimeout(() => {
      throw new Error("boom");
    });
    return new Promise(() => undefined);
  },
  wait: (_, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        aborted += 1;
        reject(signal.reason);
      });
    }),
  memory() {
    const held = [];
    for (;;) held.push(new Array(100_000).fill(held.length));
  },
  async socket() {
    await new ServiceHost().serve({ typeName: "none.None", methods: [] }, {}).open("tcp://127.0.0.1:*");
    return "opened";
  },
  blocks(_, context) {
    context.setHeader({ "header-key": context.metadata.get("key") ?? "" });
    context.setTrailer({ "trailer-bin": new Uint8Array([1, 2]) });
    return "blocks";
  },
};

export const handler = {
  async echo(request, context) {
    const deed = deeds[request.text];
    if (!deed) return { text: request.text, data: request.data };
    const text = await deed(request, context);
    return text === undefined ? undefined : { text };
  },
  async *count({ count, intervalMs }, { signal }) {
    try {
      for (let value = 0n; value < count; value++) {
        if (intervalMs > 0) await new Promise((resolve) => setTimeout(resolve, intervalMs));
        signal.throwIfAborted();
        yield { value };
      }
    } finally {
      notes.push(`count ended`);
    }
  },
  async sum(items) {
    let [total, count] = [0n, 0];
    for await (const { value } of items) [total, count] = [total + value, count + 1];
    return { total, count };
  },
  async *relay(lines) {
    for await (const line of lines) yield line;
  },
  fail({ code, message, reason }) {
    if (code === 0) throw new Error(message);
    const type = {
      $type: "test.v1.FailReason",
      fromPartial: (value) => value,
      encode: () => ({ finish: () => reasonBytes(reason) }),
    };
    throw new RpcError(code, message, { details: [errorDetail(type, {})], trailer: undefined });
  },
  notify({ text, failWith }) {
    if (failWith) throw new Error(failWith);
    notes.push(text);
  },
  ping({ sequence }) {
    if (sequence === 666 || (sequence === 13 && !existsSync(mark))) {
      if (mark) writeFileSync(mark, "");
      process.exit(1);
    }
    return { sequence };
  },
  [Symbol.dispose]() {
    if (mark) writeFileSync(mark, "");
  },
};

const reasonBytes = (reason) => {
  const text = new TextEncoder().encode(reason);
  return Uint8Array.of(10, text.length, ...text);
};
