import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { Channel, ReplyChannel, ServiceHost, Status, binding, memory, workers, zeromq } from "zerobind";
import type { ChannelOptions, ServiceHostOptions } from "zerobind";
import type { DynamicContract } from "../src/dynamic/types.ts";
import { readGreeter } from "./support/greeter.ts";
import { misfortunes } from "./support/misfortunes.ts";
import {
  amount,
  normalised,
  optionTables,
  page,
  printedErrors,
  product,
  propertiesOf,
  read,
  table,
} from "./support/semantics-page.ts";

let greeter: DynamicContract;
beforeAll(async () => {
  greeter = await readGreeter();
});

describe("errors print as docs/semantics.md shows them", () => {
  const printed = printedErrors();

  test("each that is shown can be brought about", () => {
    expect([...printed.keys()].toSorted()).toEqual(Object.keys(misfortunes).toSorted());
  });

  test.each([...printed])("%s", async (name, forms) => {
    const outcome = await misfortunes[name]!(greeter).then(
      (value) => `no error, but ${JSON.stringify(value)}`,
      (error: unknown) => String(error),
    );
    expect(forms.map(normalised)).toContain(normalised(outcome));
  });
});

/** Gives an option to what takes it; for each table of options. */
const takers: Readonly<Record<string, (option: string, value: number) => unknown>> = {
  Limits: (option, value) => [host({ limits: { [option]: value } }), channel({ limits: { [option]: value } })],
  EndOptions: (option, value) => [host({ [option]: value }), channel({ [option]: value })],
  ChannelOptions: (option, value) => channel({ [option]: value }),
  CallOptions: (option, value) => {
    const ping = new Channel("memory://semantics").client(greeter)["sayHello"]!;
    // An aborted call makes no traffic, whatever else it says.
    ping({}, { [option]: value, signal: AbortSignal.abort() }).catch(() => undefined);
  },
  RetryPolicy: (option, value) => channel({ retry: { [option]: value } }),
  RetryBudget: (option, value) => channel({ retryBudget: { [option]: value } }),
  ServiceHostOptions: (option, value) => host({ [option]: value }),
  WorkerOptions: (option, value) => workers(greeter, "worker.js", { [option]: value }),
  ThrottleOptions: (option, value) =>
    host({}).serve(greeter, { sayHello: () => ({}), countdown: () => [] }, { throttle: { [option]: value } }),
  ReplyChannelOptions: (option, value) =>
    new ReplyChannel("memory://semantics", binding(memory()), { [option]: value }),
  ZeromqOptions: (option, value) =>
    zeromq({
      ...(option === "heartbeatIntervalMs" && { heartbeatTimeoutMs: 6_553_500 }),
      ...(option === "heartbeatTimeoutMs" && { heartbeatIntervalMs: 1 }),
      ...(option === "reconnectMinMs" && { reconnectMaxMs: 0x7fffffff }),
      ...(option === "reconnectMaxMs" && { reconnectMinMs: 1 }),
      [option]: value,
    }),
};

function host(options: ServiceHostOptions): ServiceHost {
  return new ServiceHost(options);
}

function channel(options: ChannelOptions): Channel {
  return new Channel("memory://semantics", options);
}

/** What the sources say that an option is if it is not given. */
function defaultOf(option: string, sources: readonly string[]): number | undefined {
  for (const source of sources) {
    const [, found] =
      new RegExp(`\\b${option}(?: =|:| \\?\\?) (Infinity|[\\d_.]+(?: \\* \\d+)*)\\b`).exec(source) ?? [];
    if (found !== undefined) return product(found);
  }
  return undefined;
}

describe.each(optionTables().map((each) => [each.name, each] as const))(
  "the options of %s",
  (name, { sources, rows }) => {
    test("are all of them that have a number", () => {
      const numbers = [...propertiesOf(sources[0]!, name)].filter(([, type]) => /\bnumber\b/.test(type));
      expect(rows.map(({ option }) => option)).toEqual(numbers.map(([option]) => option));
    });

    test.each(rows)("$option has the default $default", ({ option, default: given }) => {
      expect(defaultOf(option, sources)).toBe(amount(given));
    });

    for (const { option, range } of rows.filter((row) => row.range.includes(" to ")))
      test(`${option} is from ${range}`, () => {
        const [from = 0, to = 0] = range.split(" to ").map(amount);
        const take = takers[name]!;
        for (const value of [from, to]) expect(() => take(option, value)).not.toThrow();
        const beyond = to === Infinity ? [from - 1, NaN] : [from - 1, to + 1, NaN];
        for (const value of beyond) expect(() => take(option, value)).toThrow(TypeError);
      });
  },
);

describe("docs/semantics.md", () => {
  test("why there is no connection is known before calls stop waiting for one", () => {
    const given = (name: string) =>
      amount(
        optionTables()
          .flatMap(({ rows }) => rows)
          .find(({ option }) => option === name)?.default ?? "",
      );
    const connectTimeoutMs = given("connectTimeoutMs");
    for (const name of ["handshakeTimeoutMs", "answerTimeoutMs"]) expect(given(name)).toBeLessThan(connectTimeoutMs!);
  });

  test.each(table("fixed"))("%s: %s", (_what, value = "", where = "") => {
    const [, name = "", path = ""] = /^`(\w+)` in (\S+)$/.exec(where) ?? [];
    const [, found = ""] =
      new RegExp(`^(?:export )?const ${name}(?:: number)? = (.+);$`, "m").exec(read(`packages/${path}`)) ?? [];
    expect(product(found)).toBe(amount(value));
  });

  test("knows which statuses the library gives, and which it never does", () => {
    const given = new Set(
      sources().flatMap((text) => [...text.matchAll(/\bStatus\.([A-Z_]+)\b/g)].map(([, code = ""]) => code)),
    );
    given.delete("OK");
    expect(table("statuses").map(([code]) => code)).toEqual(Object.keys(Status).filter((code) => given.has(code)));
    const never = Object.keys(Status).filter((code) => code !== "OK" && !given.has(code));
    expect(
      table("programs' statuses")
        .map(([code]) => code)
        .toSorted(),
    ).toEqual(never.toSorted());
  });

  test("knows all counters", () => {
    const counted = sources().flatMap((text) =>
      [...text.matchAll(/\bcount\("([^"]+)"\)/g)].map(([, reason = ""]) => reason),
    );
    expect(
      table("counters")
        .map(([counter]) => counter)
        .toSorted(),
    ).toEqual([...new Set(counted)].toSorted());
  });

  test.each([
    ["EndOptions", "end"],
    ["ChannelOptions", "channel-options"],
    ["CallOptions", "call-options"],
    ["ServiceHostOptions", "host"],
    ["ServeOptions", "serve-options"],
    ["MethodServeOptions", "serve-options"],
    ["RetryPolicy", "retry"],
  ])("says something of each option of %s, here or in the guide", (name, file) => {
    const pages = page + read("docs/guide.md");
    const silent = [...propertiesOf(read(`packages/core/src/${file}.ts`), name).keys()].filter(
      (option) => !new RegExp(`\\b${option}\\b`).test(pages),
    );
    expect(silent).toEqual([]);
  });
});

describe("links of the docs", () => {
  test.each(["docs/semantics.md", "docs/guide.md", "docs/architecture.md", "docs/states.md"])("in %s", (path) => {
    const text = read(path);
    for (const [, target = "", anchor] of text.matchAll(/\]\(([^)#\s]*)(?:#([^)]+))?\)/g)) {
      if (/^https?:/.test(target)) continue;
      const linked = target === "" ? text : read(join(path, "..", target));
      const anchors = [...linked.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
        title
          .toLowerCase()
          .replace(/[^\w -]/g, "")
          .replaceAll(" ", "-"),
      );
      if (anchor !== undefined) expect(anchors).toContain(anchor);
    }
  });
});

/** All sources of the packages, without what is generated. */
function sources(): string[] {
  return ["core", "zeromq", "zerobind"].flatMap((name) =>
    readdirSync(join(import.meta.dirname, "../..", name, "src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !/(^|[/\\])(gen|cli)[/\\]/.test(path))
      .map((path) => read(`packages/${name}/src/${path}`).replaceAll(/^\s*(\*|\/\/).*$/gm, "")),
  );
}
