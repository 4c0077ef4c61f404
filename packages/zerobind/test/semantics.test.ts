import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { Status } from "zerobind";
import type { DynamicContract } from "../src/dynamic/types.ts";
import { readGreeter } from "./support/greeter.ts";
import { misfortunes } from "./support/misfortunes.ts";
import { takers } from "./support/option-takers.ts";
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

/** What the sources say that an option is if it is not given. */
function defaultOf(option: string, sources: readonly string[]): number | undefined {
  for (const source of sources) {
    const [, found] =
      new RegExp(`\\b${option}(?: =|:| \\?\\?) (Infinity|[\\d_.]+(?: \\*\\*? \\d+)*)\\b`).exec(
        source.replaceAll(/^\s*\*.*$/gm, ""),
      ) ?? [];
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
        const take = (value: number): unknown => takers[name]!(greeter, option, value);
        for (const value of [from, to]) expect(() => take(value)).not.toThrow();
        const beyond = to === Infinity ? [from - 1, NaN] : [from - 1, to + 1, NaN];
        for (const value of beyond) expect(() => take(value)).toThrow(TypeError);
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
    ["EndOptions", "core/src/end.ts"],
    ["ChannelOptions", "core/src/channel-options.ts"],
    ["CallOptions", "core/src/call-options.ts"],
    ["ServiceHostOptions", "core/src/host.ts"],
    ["ServeOptions", "core/src/serve-options.ts"],
    ["MethodServeOptions", "core/src/serve-options.ts"],
    ["RetryPolicy", "core/src/retry.ts"],
    ["QueueDeviceOptions", "core/src/device/device-options.ts"],
    ["SubscribeOptions", "core/src/event-types.ts"],
    ["EventPublisherOptions", "zeromq/src/events/event-options.ts"],
    ["EventSubscriberOptions", "zeromq/src/events/event-options.ts"],
    ["ReplayOptions", "zeromq/src/events/event-options.ts"],
    ["VentilatorOptions", "core/src/pipeline/ventilator.ts"],
    ["BatchOptions", "core/src/pipeline-types.ts"],
    ["PipelineWorkerOptions", "core/src/pipeline/worker.ts"],
    ["PipelineSinkOptions", "core/src/pipeline/sink.ts"],
    ["PushPullOptions", "zeromq/src/push-pull.ts"],
    ["PumpOptions", "zeromq/src/device/pump-device.ts"],
    ["WorkerOptions", "zerobind/src/workers/workers.ts"],
    ["CompressionOptions", "zerobind/src/compression.ts"],
  ])("says something of each option of %s, here or in the guides", (name, path) => {
    const pages = page + read("docs/guide.md") + read("docs/patterns.md");
    const silent = [...propertiesOf(read(`packages/${path}`), name).keys()].filter(
      (option) => !new RegExp(`\\b${option}\\b`).test(pages),
    );
    expect(silent).toEqual([]);
  });
});

describe("links of the docs", () => {
  test.each(["docs/semantics.md", "docs/guide.md", "docs/patterns.md", "docs/architecture.md", "docs/states.md"])(
    "in %s",
    (path) => {
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
    },
  );
});

/** All sources of the packages, without what is generated. */
function sources(): string[] {
  return ["core", "zeromq", "zerobind"].flatMap((name) =>
    readdirSync(join(import.meta.dirname, "../..", name, "src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !/(^|[/\\])(gen|cli)[/\\]/.test(path))
      .map((path) => read(`packages/${name}/src/${path}`).replaceAll(/^\s*(\*|\/\/).*$/gm, "")),
  );
}
