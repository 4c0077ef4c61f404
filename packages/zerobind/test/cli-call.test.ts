import { describe, expect, test } from "@jest/globals";
import { Status } from "zerobind";
import { runHere, startHere } from "./support/cli.ts";
import { everythingHost } from "./support/everything-host.ts";
import { everythingProto, folderWith } from "./support/protos.ts";

const open = (): ReturnType<typeof everythingHost> => everythingHost("memory://*");
const quiet = { status: 0, stderr: "" };

describe("unary calls", () => {
  test("the reply is one line of JSON", async () => {
    await using host = await open();
    const request = '{"string_field":"Ada ☺","int64Field":"9223372036854775807","texts":{"a":"b"}}';
    expect(await runHere(host.callOf("Echo", request))).toEqual({
      ...quiet,
      stdout: '{"int64Field":"9223372036854775807","stringField":"Ada ☺","texts":{"a":"b"}}\n',
    });
  });

  test("the request may come from standard input, over any number of lines", async () => {
    await using host = await open();
    const expected = { ...quiet, stdout: '{"int32Field":1}\n' };
    expect(await runHere(host.callOf("Echo"), '\n{\n  "int32Field": 1\n}\n\n')).toEqual(expected);
    expect(await runHere(host.callOf("Echo", "-"), '{"int32Field":1}')).toEqual(expected);
  });

  test("without any input the request has its defaults", async () => {
    await using host = await open();
    expect(await runHere(host.callOf("Echo"), "")).toEqual({ ...quiet, stdout: "{}\n" });
    expect(await runHere(host.callOf("Echo"), undefined)).toEqual({ ...quiet, stdout: "{}\n" });
  });

  test("two requests are one too many", async () => {
    await using host = await open();
    const outcome = await runHere(host.callOf("Echo", '{"int32Field":1}{}'));
    expect(outcome).toEqual({ status: 64, stdout: "", stderr: "error: Echo takes one message, and there are 2\n" });
  });

  test("integers that are too large for JavaScript arrive whole", async () => {
    await using host = await open();
    const outcome = await runHere(
      host.callOf(
        "Echo",
        '{"int64Field":9007199254740993,"int64s":[-9223372036854775808],"stringField":"9007199254740993"}',
      ),
    );
    expect(outcome.stdout).toBe(
      '{"int64Field":"9007199254740993","stringField":"9007199254740993","int64s":["-9223372036854775808"]}\n',
    );
  });

  test("messages whose JSON is no object are written as they are", async () => {
    await using host = await open();
    expect(await runHere(host.callOf("Moment", '"2024-02-29T12:00:00Z"'))).toEqual({
      ...quiet,
      stdout: '"2024-02-29T12:00:00.000Z"\n',
    });
  });

  test("a one-way call prints nothing", async () => {
    await using host = await open();
    const told = host.service.next("told");
    expect(await runHere(host.callOf("Notify", '{"stringField":"news"}'))).toEqual({ ...quiet, stdout: "" });
    expect(await told).toBe("news");
  });

  test("--emit-defaults prints all fields", async () => {
    await using host = await open();
    const { stdout } = await runHere(host.callOf("Echo", "{}", "--emit-defaults"));
    expect(JSON.parse(stdout)).toMatchObject({
      int32Field: 0,
      int64Field: "0",
      stringField: "",
      color: "COLOR_UNSPECIFIED",
      strings: [],
    });
  });

  test("the method may be written with dots, and the service by its last part", async () => {
    await using host = await open();
    for (const path of ["test.v1.Everything.Echo", "Everything/Echo", "/test.v1.Everything/Echo"]) {
      expect(await runHere(["call", host.address, path, "{}", "--proto", everythingProto])).toEqual({
        ...quiet,
        stdout: "{}\n",
      });
    }
  });
});

describe("streams", () => {
  test("replies are printed one a line", async () => {
    await using host = await open();
    expect((await runHere(host.callOf("Repeat", '{"int32Field":3}'))).stdout).toBe('{"int32Field":3}\n'.repeat(3));
  });

  test("requests are read one a line, or however they come", async () => {
    await using host = await open();
    const input = '{"stringField":"a"}\n\n{"stringField":"}{"} {"stringField":\n"c"}{}';
    expect(await runHere(host.callOf("Relay"), input)).toEqual({
      ...quiet,
      stdout: '{"stringField":"a"}\n{"stringField":"}{"}\n{"stringField":"c"}\n{}\n',
    });
    expect((await runHere(host.callOf("Collect"), input)).stdout).toBe('{"int32Field":4}\n');
    expect((await runHere(host.callOf("Collect"), "")).stdout).toBe("{}\n");
    expect((await runHere(host.callOf("Collect", '{"stringField":"a"} {"stringField":"b"}'))).stdout).toBe(
      '{"int32Field":2,"stringField":"b"}\n',
    );
  });

  test("each request is sent as soon as it is whole", async () => {
    await using host = await open();
    const running = startHere(host.callOf("Relay"));
    running.stdin.write('{"stringField":"fir');
    running.stdin.write('st"}');
    expect(await running.line()).toBe('{"stringField":"first"}');
    running.stdin.write('{"stringField":"second"}\n');
    expect(await running.line()).toBe('{"stringField":"second"}');
    running.stdin.end();
    expect((await running.outcome).status).toBe(0);
  });

  test("wrong JSON in the middle ends the call, and is told with its place", async () => {
    await using host = await open();
    const outcome = await runHere(host.callOf("Relay"), '{"stringField":"a"}\n{"stringField":}\n');
    expect(outcome.status).toBe(64);
    expect(outcome.stderr).toMatch(/^error: standard input, line 2, column 16: this is no JSON: Unexpected token.*\n$/);
  });
});

describe("what is wrong with the input is told", () => {
  test.each([
    ['{"int32Field":1', /^error: the JSON argument, line 1, column 16: this is no JSON: /],
    ["{int32Field:1}", /^error: the JSON argument, line 1, column 2: this is no JSON: /],
    ['{\n  "int32Field": 1,\n}', /^error: the JSON argument, line 3, column 1: this is no JSON: /],
    ["hello", /^error: the JSON argument, line 1, column 1: this is no JSON: /],
    [
      '{"int32Feild":1}',
      /^error: the JSON argument, line 1: test\.v1\.EchoEverything has no field "int32Feild"\. Did you mean "int32Field"\? /,
    ],
    ['{"int32Field":"x"}', /test\.v1\.EchoEverything\.int32_field: invalid integer: "x"\n$/],
    ['{"int32Field":1,"int32Field":2}', /duplicate key in JSON object: "int32Field"\n$/],
    ["[]", /test\.v1\.EchoEverything: expected object: \[\]\n$/],
  ])("JSON %j", async (json, message) => {
    await using host = await open();
    const { status, stdout, stderr } = await runHere(host.callOf("Echo", json));
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test.each([
    [
      ["test.v1.Everything/Ehco"],
      'error: test.v1.Everything has no method "Ehco". Did you mean "Echo"? Its methods are: Echo, Repeat, Collect, Relay, Moment, Fail, Notify, ToString, Priced.\n',
    ],
    [["test.v1.Everything/constructor"], /has no method "constructor"\. Its methods are: Echo, /],
    [
      ["test.v1.Anything/Echo"],
      /error: .*: there is no service "test\.v1\.Anything"\. Did you mean "test\.v1\.Everything"\? The services are: test\.v1\.Everything\.\n$/,
    ],
    [
      ["Echo"],
      /^error: "Echo" is no method; write package\.Service\/Method\. The services are: test\.v1\.Everything\.\n$/,
    ],
    [["test.v1.Everything/Priced"], "error: test.v1.Everything/Priced is of the pattern event and cannot be called\n"],
    [
      ["Everything/Echo", "{}", "--timeout", "5"],
      /^error: --timeout takes a time such as 500ms, 5s, 2m or 1h, or none; not "5"\n$/,
    ],
    [
      ["Everything/Echo", "{}", "--timeout-ms", "5s"],
      /^error: --timeout-ms takes a number of milliseconds, not "5s"\n$/,
    ],
    [
      ["Everything/Echo", "{}", "--timeout-ms", "5", "--timeout", "5s"],
      "error: give --timeout or --timeout-ms, not both\n",
    ],
    [["Everything/Echo", "{}", "--metadata", "novalue"], 'error: --metadata takes key=value, not "novalue"\n'],
    [
      ["Everything/Echo", "{}", "--metadata", "ä=1"],
      /^error: --metadata: metadata key "ä" may only have the characters/,
    ],
    [
      ["Everything/Echo", "{}", "--metadata", "k-bin=*"],
      /^error: --metadata k-bin: .* bytes in base64, and "\*" is none\n$/,
    ],
  ])("%j", async (args, message) => {
    const { status, stderr } = await runHere(["call", "memory://nobody", ...args, "--proto", everythingProto]);
    expect(status).toBe(64);
    if (typeof message === "string") expect(stderr).toBe(message);
    else expect(stderr).toMatch(message);
  });

  test("the proto", async () => {
    await using folder = await folderWith({ "bad.proto": 'syntax = "proto3";\n\nmessage {' });
    const { status, stderr } = await runHere([
      "call",
      "memory://nobody",
      "a.S/M",
      "{}",
      "--proto",
      `${folder.path}/bad.proto`,
    ]);
    expect(status).toBe(64);
    expect(stderr).toBe(`error: ${folder.path}/bad.proto:3: "{" is no type name that may stand here\n`);
  });

  test.each([
    [
      "nonsense",
      /^error: "nonsense" is no address that a default binding is known for; addresses begin with .*tcp:\/\/.*, for example tcp:\/\/127\.0\.0\.1:5555\n$/,
    ],
    ["smtp://x", /^error: "smtp:\/\/x" is no address that a default binding is known for/],
    ["memory://*", /^error: "memory:\/\/\*" can only be bound/],
  ])("the address %s", async (address, message) => {
    const { status, stderr } = await runHere(["call", address, "Everything/Echo", "{}", "--proto", everythingProto]);
    expect(status).toBe(64);
    expect(stderr).toMatch(message);
  });
});

describe("errors of calls", () => {
  test("the exit status is the code; code, message and details are on standard error", async () => {
    await using host = await open();
    const { status, stdout, stderr } = await runHere(
      host.callOf("Fail", '{"code":5,"message":"no such book\\nat all \\u001b[31m"}'),
    );
    expect({ status, stdout }).toEqual({ status: Status.NOT_FOUND, stdout: "" });
    expect(stderr).toBe(
      [
        "NOT_FOUND: no such book",
        "  at all \\u001b[31m",
        '  google.rpc.BadRequest {"fieldViolations":[{"field":"name","description":"is missing"}]}',
        '  test.v1.Detail {"reason":"gone","count":"9007199254740993"}',
        "  elsewhere.v1.Unknown (2 bytes of a type that is in none of the .proto files)",
        "",
      ].join("\n"),
    );
  });

  test("a deadline that passes", async () => {
    await using host = await open();
    const aborted = host.service.next("aborted");
    const { status, stderr } = await runHere(host.callOf("Echo", '{"stringField":"wait"}', "--timeout", "50ms"));
    expect(status).toBe(Status.DEADLINE_EXCEEDED);
    expect(stderr).toMatch(
      /^DEADLINE_EXCEEDED: test\.v1\.Everything\/Echo at memory:.* did not end within its deadline/,
    );
    await aborted;
  });

  test("a server that is not there, waited for or not", async () => {
    const args = ["call", "memory://nobody", "Everything/Echo", "{}", "--proto", everythingProto];
    const [waited, not] = await Promise.all([runHere([...args, "--wait", "--timeout-ms", "30"]), runHere(args)]);
    expect(waited.status).toBe(Status.DEADLINE_EXCEEDED);
    expect(waited.stderr).toMatch(/there was still no connection/);
    expect(not.status).toBe(Status.UNAVAILABLE);
    expect(not.stderr).toMatch(
      /^UNAVAILABLE: .* found no connection within 10000 ms \(.*\): .*Is the server running there\?\n$/,
    );
  });

  test("Ctrl-C cancels the call", async () => {
    await using host = await open();
    const waiting = host.service.next("waiting");
    const running = startHere(host.callOf("Echo", '{"stringField":"wait"}'));
    await waiting;
    const aborted = host.service.next("aborted");
    running.interrupt();
    expect(await running.outcome).toEqual({ status: 130, stdout: "", stderr: "" });
    await aborted;
  });

  test("Ctrl-C while the request is still read", async () => {
    await using host = await open();
    const running = startHere(host.callOf("Echo"));
    running.stdin.write("{");
    await new Promise(setImmediate);
    running.interrupt();
    expect((await running.outcome).status).toBe(130);
  });

  test("a reader that leaves ends the call quietly", async () => {
    await using host = await open();
    const running = startHere(host.callOf("Repeat", "{}"));
    expect(await running.line()).toBe("{}");
    const left = host.service.next("left");
    running.stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    expect(await running.outcome).toMatchObject({ status: 0, stderr: "" });
    await left;
  });
});

describe("metadata", () => {
  test("goes with the request, and is shown on request", async () => {
    await using host = await open();
    const metadata = ["-m", "key=a=b", "-m", "Key=c", "--metadata", "raw-bin=AAH/"];
    const { status, stdout, stderr } = await runHere(host.callOf("Echo", "{}", ...metadata, "--show-metadata"));
    expect({ status, stdout }).toEqual({ status: 0, stdout: "{}\n" });
    const block = (name: string): string => `${name}:\n  ${name}-key: a=b\n  ${name}-key: c\n  ${name}-raw-bin: AAH/\n`;
    expect(stderr).toBe(block("header") + block("trailer"));
  });
});
