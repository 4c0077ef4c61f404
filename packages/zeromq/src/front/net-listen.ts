import type { Server } from "node:net";
import type { ParsedAddress } from "../address.ts";

/** As many as ZeroMQ's own listeners let wait. */
const backlog = 4_096;

/** Listens where an address says. Rejects with the error of the system, whose `code` says why it cannot. */
export function listening(server: Server, target: ParsedAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(listenOptions(target), () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** The address that a server got. */
export function addressOf(server: Server, { endpoint, scheme }: ParsedAddress): string {
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) return endpoint;
  const [, path = ""] = /^\w+:\/\/[^/]*(\/.*)?$/.exec(endpoint) ?? [];
  return `${scheme}://${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}${path}`;
}

/** Where a connection comes from, without its port; undefined if it is gone, or comes from no network. */
export function hostOf(remoteAddress: string | undefined): string | undefined {
  return remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "");
}

function listenOptions({ scheme, endpoint, ipv6 }: ParsedAddress): object {
  const rest = endpoint.slice(scheme.length + 3);
  if (scheme === "ipc") return { path: rest, backlog };
  const [hostPort = ""] = rest.split("/");
  const colon = hostPort.lastIndexOf(":");
  const host = hostPort.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = hostPort.slice(colon + 1);
  return { host: host === "*" ? "0.0.0.0" : (interfaceAddress(host, ipv6) ?? host), port: Number(port) || 0, backlog };
}

/** ZeroMQ takes names of network interfaces for hosts, and so does this. */
function interfaceAddress(host: string, ipv6: boolean): string | undefined {
  const family = ipv6 ? "IPv6" : "IPv4";
  const found = process.getBuiltinModule("node:os").networkInterfaces()[host];
  return found?.find((one) => one.family === family)?.address;
}
