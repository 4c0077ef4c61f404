import { expect, test } from "@jest/globals";
import { isLoopback, parseAddress, tidyEndpoint } from "../src/address.ts";
import { setDisconnectNotice, setLossNotice } from "../src/draft-options.ts";
import { zeromq } from "../src/index.ts";
import { toSettings } from "../src/options.ts";
import { escapeBytes, Troubles } from "../src/trouble.ts";

const good: [mode: "bind" | "connect", address: string, expected: object][] = [
  ["connect", "tcp://127.0.0.1:5555", { scheme: "tcp", ipv6: false, remote: false }],
  ["connect", "tcp://localhost:1", { remote: false }],
  ["connect", "tcp://[::1]:65535", { ipv6: true, remote: false }],
  ["connect", "tcp://10.0.0.5:5555", { remote: true }],
  ["connect", "tcp://greeter.example.org:5555", { remote: true }],
  ["connect", "tcp://[fe80::1%eth0]:5555", { ipv6: true, remote: true }],
  ["bind", "tcp://127.0.0.1:*", { endpoint: "tcp://127.0.0.1:0", remote: false }],
  ["bind", "ws://*:*/rpc", { endpoint: "ws://*:0/rpc", remote: true }],
  ["bind", "tcp://127.0.0.1:0", { remote: false }],
  ["bind", "tcp://*:5555", { remote: true }],
  ["bind", "tcp://0.0.0.0:5555", { remote: true }],
  ["bind", "tcp://[::]:5555", { ipv6: true, remote: true }],
  ["bind", "tcp://eth0:5555", { remote: true }],
  ["connect", "ws://127.0.0.1:80/rpc", { scheme: "ws", remote: false }],
  ["connect", "ws://127.0.0.1:80", { scheme: "ws" }],
  ["bind", "ws://[::1]:0/", { scheme: "ws", ipv6: true }],
  ["connect", "ipc:///run/app.sock", { scheme: "ipc", path: "/run/app.sock", remote: false }],
  ["connect", "ipc://app.sock", { path: "app.sock" }],
  ["bind", "ipc://@abstract", { path: undefined }],
  ["connect", "inproc://greeter", { scheme: "inproc", remote: false }],
];

test.each(good)("to %s %s is understood", (mode, address, expected) => {
  expect(parseAddress(address, mode)).toMatchObject({ endpoint: address, ...expected });
});

const bad: [mode: "bind" | "connect", address: string, message: RegExp][] = [
  ["connect", "127.0.0.1:5555", /scheme; write tcp:\/\/127\.0\.0\.1:5555$/],
  ["connect", "localhost", /for example tcp:\/\/127/],
  ["connect", "", /scheme/],
  ["connect", "quic://a:1", /scheme "quic"; the schemes are tcp:\/\/, ipc:\/\/, inproc:\/\/, ws:\/\//],
  ["connect", "wss://127.0.0.1:1", /without TLS.*proxy/],
  ["connect", "http://127.0.0.1:1", /ws:\/\/host:port/],
  ["connect", "https://127.0.0.1:1", /ws:\/\/host:port/],
  ["connect", "TCP://127.0.0.1:1", /scheme "TCP"; the schemes/],
  ["connect", "memory://x", /memory transport/],
  ["connect", "tcp://127.0.0.1", /no port; add the port/],
  ["bind", "tcp://127.0.0.1", /no port; add ":5555", or ":0"/],
  ["connect", "tcp://127.0.0.1:", /no port/],
  ["connect", "tcp://127.0.0.1:65536", /"65536" is no number from 1 to 65535/],
  ["connect", "tcp://127.0.0.1:http", /"http" is no number/],
  ["connect", "tcp://127.0.0.1:-1", /"-1"/],
  ["connect", "tcp://:5555", /no host/],
  ["connect", "tcp://::1:5555", /brackets/],
  ["connect", "tcp://[::1:5555", /brackets/],
  ["connect", "tcp://[hello]:5555", /no host/],
  ["connect", "tcp://a;b:5555", /no host/],
  ["connect", "tcp://127.0.0.1:5555/path", /has a path/],
  ["connect", "ws://127.0.0.1:5555/a/b", /several parts.*ws:\/\/host:port\/path/],
  ["connect", "tcp://127.0.0.1:5555 ", /space or control character/],
  ["connect", "tcp://127.0.0.1:5555\u0000", /space or control character/],
  ["connect", "tcp://127.0.0.1:0", /wildcard, which can only be bound/],
  ["connect", "tcp://127.0.0.1:*", /wildcard/],
  ["connect", "tcp://*:5555", /wildcard/],
  ["connect", "tcp://0.0.0.0:5555", /wildcard/],
  ["connect", "tcp://[::]:5555", /wildcard/],
  ["connect", "ws://127.0.0.1:0/path", /wildcard/],
  ["connect", "ipc://*", /wildcard/],
  ["bind", "ipc://", /no path/],
  ["bind", "ipc://@", /no path/],
  ["bind", `ipc:///${"x".repeat(120)}`, /121 bytes.*shorter/],
  ["bind", "inproc://", /no name/],
  ["bind", "inproc://*", /no wildcard/],
  ["bind", `inproc://${"x".repeat(300)}`, /longer than 255/],
];

test.each(bad)("to %s %j is refused", (mode, address, message) => {
  const check = (): void => zeromq({ insecure: true }).check(address, mode);
  expect(check).toThrow(message);
  expect(check).toThrow(JSON.stringify(address.slice(0, 200)));
  try {
    check();
  } catch (error) {
    expect(error).toMatchObject({ name: "TypeError" });
  }
});

test("what is no string is refused as address", () => {
  expect(() => zeromq().check(5555 as never, "bind")).toThrow("must be a string, not number");
});

test("an ipc wildcard becomes a new name in the directory for temporary files", () => {
  const [one, two] = [parseAddress("ipc://*", "bind"), parseAddress("ipc://*", "bind")];
  expect(one.path).toMatch(/zerobind-[0-9a-f]{16}\.sock$/);
  expect(one.path).not.toBe(two.path);
});

test("loopback is what cannot mean another machine", () => {
  expect(["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"].filter((host) => !isLoopback(host))).toEqual([]);
  const others = [
    "10.0.0.1",
    "128.0.0.1",
    "127.example.org",
    "127.0.0.1.evil.org",
    "localhost.evil.org",
    "::",
    "::2",
    "*",
  ];
  expect(others.filter((host) => isLoopback(host))).toEqual([]);
});

test("the slash that ZeroMQ adds to a ws address goes, one that was given stays", () => {
  const tidy = (endpoint: string, given: string): string => tidyEndpoint(endpoint, parseAddress(given, "bind"));
  expect(tidy("ws://127.0.0.1:80/", "ws://127.0.0.1:0")).toBe("ws://127.0.0.1:80");
  expect(tidy("ws://127.0.0.1:80/", "ws://127.0.0.1:0/")).toBe("ws://127.0.0.1:80/");
  expect(tidy("ws://127.0.0.1:80/rpc", "ws://127.0.0.1:0/rpc")).toBe("ws://127.0.0.1:80/rpc");
});

test.each([
  [{ heartbeatMs: 5 }, /no option "heartbeatMs"; it has heartbeatIntervalMs/],
  [{ heartbeatIntervalMs: 0 }, /heartbeatIntervalMs.*whole number from 1 to 6553500, not 0/],
  [{ heartbeatTimeoutMs: 7_000_000 }, /not 7000000/],
  [{ reconnectMinMs: 1.5 }, /reconnectMinMs/],
  [{ reconnectMaxMs: NaN }, /reconnectMaxMs/],
  [{ handshakeTimeoutMs: "5" }, /must be a number, not string/],
  [{ insecure: "yes" }, /must be a boolean, not string/],
  [{ onWarning: true }, /must be a function, not boolean/],
  [{ heartbeatIntervalMs: 30_000 }, /heartbeatIntervalMs.*\(30000\) must not exceed heartbeatTimeoutMs \(20000\)/],
  [{ reconnectMinMs: 6_000 }, /must not exceed reconnectMaxMs/],
])("options %j are refused", (options, message) => {
  expect(() => zeromq(options as object)).toThrow(message);
});

test("options that are undefined stand for their defaults", () => {
  expect(toSettings({ reconnectMinMs: undefined } as object)).toMatchObject({ reconnectMinMs: 100, insecure: false });
});

test("troubles are told at once, then rarely and with their number, and anew once they were over", () => {
  const told: string[] = [];
  const troubles = new Troubles((problem) => told.push(problem), 1_000_000);
  for (let index = 0; index < 10; index++) troubles.report("a", () => `a ${index}`);
  troubles.report("b", () => "b");
  expect(told).toEqual(["a 0", "b"]);
  troubles.over("a");
  troubles.report("a", () => "a again");
  expect(told.at(-1)).toBe("a again");
  const often: string[] = [];
  const chatty = new Troubles((problem) => often.push(problem), 0);
  chatty.report("a", () => "a");
  chatty.report("a", () => "a");
  expect(often).toEqual(["a", "a (2 times so far)"]);
});

test("bytes of the wire are escaped and cut", () => {
  expect(escapeBytes(Buffer.from('a"\\\n\u00e9'))).toBe('"a\\x22\\x5c\\x0a\\xc3\\xa9"');
  expect(escapeBytes(Buffer.alloc(100, "x"))).toBe(`"${"x".repeat(48)}…" (100 bytes)`);
});

test("an option that this build of libzmq does not have is reported as missing, not as an error", () => {
  const without = {
    setStringOption() {
      throw Object.assign(new Error("Invalid argument"), { code: "EINVAL" });
    },
  };
  expect([setLossNotice(without, Buffer.of(1)), setDisconnectNotice(without, Buffer.of(1))]).toEqual([false, false]);
});
