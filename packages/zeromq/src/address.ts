import { tmpdir } from "node:os";
import { join } from "node:path";

/** The schemes that the transport understands. */
export const schemes = ["tcp", "ipc", "inproc", "ws"] as const;

/** An address, taken apart as far as the transport has to know. */
export interface ParsedAddress {
  /** As it was given. */
  readonly address: string;
  readonly scheme: (typeof schemes)[number];
  /** What to hand to ZeroMQ. */
  readonly endpoint: string;
  /** File of an ipc address that is no abstract name. */
  readonly path: string | undefined;
  /** Whether IPv6 has to be switched on. */
  readonly ipv6: boolean;
  /** Whether what travels there leaves this machine, or may come from beyond it. */
  readonly remote: boolean;
}

/** Which end of a connection the address is for. */
export type AddressMode = "bind" | "connect";

/** Names in the address that are refused, each with what to do instead. */
const otherSchemes: Readonly<Record<string, string>> = {
  wss: "ZeroMQ here speaks ws without TLS: use ws:// behind a proxy that does TLS",
  http: "for WebSockets write ws://host:port/path",
  https: "for WebSockets write ws://host:port/path, behind a proxy that does TLS",
  unix: "for a socket in the file system write ipc:///path",
  udp: "UDP loses messages and has no connections: use tcp://host:port",
  memory: "that is the scheme of the memory transport of @zerobind/core, which is another binding",
};

/** Length of a path in `sockaddr_un`, without the end mark. */
const maxIpcPathBytes = process.platform === "linux" ? 107 : 103;
const maxInprocNameBytes = 255;

/**
 * Takes an address apart; TypeError, with a hint, if it is none or is not for this mode. `:*` and `:0` stand for a free
 * port, the host `*` for all IPv4 addresses of the machine, `ipc://*` for a new name in the directory for temporary
 * files: all three can be bound only. Host names stand for IPv4 addresses; IPv6 addresses are written in brackets.
 */
export function parseAddress(address: string, mode: AddressMode): ParsedAddress {
  if (typeof address !== "string") throw new TypeError(`an address must be a string, not ${typeof address}`);
  if (/[\s\p{Cc}]/u.test(address)) throw wrong(address, "it has a space or control character in it", "remove it");
  const [, scheme, rest] = /^([a-zA-Z][\w+.-]*):\/\/(.*)$/.exec(address) ?? [];
  if (scheme === undefined || rest === undefined) {
    const hint = /^(?:[\w.-]+|\[.*\]):\d+$/.test(address) ? `tcp://${address}` : "for example tcp://127.0.0.1:5555";
    throw wrong(address, "it does not begin with a scheme", `write ${hint}`);
  }
  if (scheme === "tcp") return parseTcp(address, rest, mode);
  if (scheme === "ws") return parseWs(address, rest, mode);
  if (scheme === "ipc") return parseIpc(address, rest, mode);
  if (scheme === "inproc") return parseInproc(address, rest);
  const other =
    otherSchemes[scheme.toLowerCase()] ?? `the schemes are ${schemes.map((name) => `${name}://`).join(", ")}`;
  throw wrong(address, `it has the scheme "${scheme}"`, other);
}

/** The address as it is to be told: ZeroMQ adds a slash to ws addresses that have no path. */
export function tidyEndpoint(endpoint: string, given: ParsedAddress): string {
  const added = given.scheme === "ws" && endpoint.endsWith("/") && !given.endpoint.endsWith("/");
  return added ? endpoint.slice(0, -1) : endpoint;
}

function parseTcp(address: string, rest: string, mode: AddressMode): ParsedAddress {
  if (rest.includes("/")) throw wrong(address, "it has a path", "tcp addresses are tcp://host:port and nothing more");
  return { address, scheme: "tcp", path: undefined, ...parseHostPort(address, rest, mode) };
}

function parseWs(address: string, rest: string, mode: AddressMode): ParsedAddress {
  const slash = rest.indexOf("/");
  const hostPort = slash < 0 ? rest : rest.slice(0, slash);
  if (slash !== rest.lastIndexOf("/")) {
    throw wrong(address, "its path has several parts, of which ZeroMQ understands one", "write ws://host:port/path");
  }
  return { address, scheme: "ws", path: undefined, ...parseHostPort(address, hostPort, mode) };
}

function parseIpc(address: string, rest: string, mode: AddressMode): ParsedAddress {
  const local = { address, scheme: "ipc", ipv6: false, remote: false } as const;
  if (rest === "*") {
    if (mode === "connect") throw bindOnly(address);
    // ZeroMQ's own wildcard makes a directory where the process happens to stand.
    const path = join(tmpdir(), `zerobind-${globalThis.crypto.getRandomValues(Buffer.alloc(8)).toString("hex")}.sock`);
    return { ...local, endpoint: `ipc://${path}`, path };
  }
  if (rest === "" || rest === "@") throw wrong(address, "it has no path", "for example ipc:///run/app/greeter.sock");
  const bytes = Buffer.byteLength(rest);
  if (bytes > maxIpcPathBytes) {
    throw wrong(
      address,
      `its path has ${bytes} bytes, and the system allows ${maxIpcPathBytes}`,
      "choose a shorter path",
    );
  }
  return { ...local, endpoint: address, path: rest.startsWith("@") ? undefined : rest };
}

function parseInproc(address: string, name: string): ParsedAddress {
  if (name === "" || name === "*")
    throw wrong(address, "it has no name", "inproc has no wildcard: choose a name, as in inproc://greeter");
  if (Buffer.byteLength(name) > maxInprocNameBytes) {
    throw wrong(address, `its name is longer than ${maxInprocNameBytes} bytes`, "choose a shorter one");
  }
  return { address, scheme: "inproc", endpoint: address, path: undefined, ipv6: false, remote: false };
}

type HostPort = Pick<ParsedAddress, "endpoint" | "ipv6" | "remote">;

function parseHostPort(address: string, text: string, mode: AddressMode): HostPort {
  const [, bracketed, name, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text) ?? [];
  const host = bracketed ?? name;
  if (host === undefined)
    throw wrong(
      address,
      "its host and port cannot be told apart",
      "write IPv6 addresses in brackets, as in tcp://[::1]:5555",
    );
  if (host === "")
    throw wrong(address, "it has no host", 'for this machine write 127.0.0.1, to bind all addresses "*"');
  if (bracketed === undefined ? !/^(?:\*|[\w.-]+)$/.test(host) : !/^[\da-fA-F:.]+(?:%[\w.-]+)?$/.test(host)) {
    throw wrong(
      address,
      `${JSON.stringify(host)} is no host`,
      "write a name, an IPv4 address, or an IPv6 address in brackets",
    );
  }
  checkPort(address, port, mode);
  if (mode === "connect" && (host === "*" || host === "0.0.0.0" || host === "::")) throw bindOnly(address);
  // Where a path follows, ZeroMQ does not understand the star.
  const endpoint = port === "*" ? address.replace(/:\*(?=\/|$)/, ":0") : address;
  return { endpoint, ipv6: bracketed !== undefined, remote: !isLoopback(host) };
}

function checkPort(address: string, port: string | undefined, mode: AddressMode): void {
  if (port === undefined || port === "") {
    throw wrong(
      address,
      "it has no port",
      mode === "bind" ? 'add ":5555", or ":0" for a free port' : 'add the port, as in ":5555"',
    );
  }
  if (port === "*" || port === "0") {
    if (mode === "connect") throw bindOnly(address);
    return;
  }
  if (!/^\d+$/.test(port) || Number(port) > 65_535)
    throw wrong(address, `its port "${port}" is no number from 1 to 65535`, 'as in ":5555"');
}

/** Whether a host, without brackets, can only be this machine. Other names may change their meaning at any time. */
export function isLoopback(host: string): boolean {
  return /^127(?:\.\d{1,3}){3}$/.test(host) || host === "::1" || host.toLowerCase() === "localhost";
}

function bindOnly(address: string): TypeError {
  return wrong(
    address,
    "it has a wildcard, which can only be bound",
    "connect to the address that the binding end tells",
  );
}

function wrong(address: string, problem: string, hint: string): TypeError {
  return new TypeError(`${JSON.stringify(address.slice(0, 200))} cannot be used as an address: ${problem}; ${hint}`);
}
